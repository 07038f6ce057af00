"""Watches what other processes do with the cores while models are timed.

They do not slow all models alike: threads that wait for one another lose far more than a model that
is done in a millisecond, so pairing by rounds does not take them out of a ratio. What was timed
beside them is timed again, until the machine is quiet or patience is used up.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

from runtimes.cores import usable_cores
from runtimes.errors import UsageError

__all__ = [
    "CORES_FOR_OTHERS",
    "PATIENCE",
    "Disturbance",
    "NotQuietError",
    "Taken",
    "Watch",
    "patience_seconds",
]

CORES_FOR_OTHERS = 0.2
"""Cores that others may keep busy, on average, beside those that no model uses.

A fifth of one core: then four timings of five, and with them the median, have the cores to
themselves.
"""

PATIENCE = "EDGEPRESS_PATIENCE"
"""Environment variable: seconds to spend on waiting for quiet and on timing again."""
_PATIENCE_S = 60.0

# So many times, and in more than this share of all pieces of work, is again and again.
_SPELLS = 3
_OFTEN = 0.1

_Timed = TypeVar("_Timed")

_RESOLUTION_S = 0.05  # the system counts in ticks of 10 ms, by core and by process
_LOOK_S = 0.5  # how long the machine is looked at while waiting


class NotQuietError(Exception):
    """Others disturbed a piece of work until patience was used up."""


def patience_seconds() -> float:
    """Return the seconds that a measurement may spend on waiting and on timing again.

    Raises:
        UsageError: `EDGEPRESS_PATIENCE` is no such number.
    """
    given = os.environ.get(PATIENCE, "").strip()
    try:
        seconds = float(given or _PATIENCE_S)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(
            f"{PATIENCE}={given!r} is no number of seconds", hint=f"leave it out, or {PATIENCE}=0"
        )
    return seconds


def _read_proc(name: str) -> str:
    return (Path("/proc") / name).read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class Disturbance:
    """How much others took part in a measurement.

    Attributes:
        watched: Whether the system tells who uses its cores; the rest is 0 where it does not.
        measured: Pieces of work, such as rounds, that were timed, those timed again included.
        disturbed: Of these, pieces during which others took more than they may.
        kept: Of these, pieces that stand in the result, as patience was used up.
        others: Share of the cores (0 to 1) that other processes used during disturbed pieces.
        stolen: Share that the hypervisor gave to other machines meanwhile.
        waited_s: Seconds spent on waiting and on timing again.
        patience_s: Seconds there were for it.
        spells: How many times others began to disturb, after a quiet piece or at first.
    """

    watched: bool = False
    measured: int = 0
    disturbed: int = 0
    kept: int = 0
    others: float = 0.0
    stolen: float = 0.0
    waited_s: float = 0.0
    patience_s: float = 0.0
    spells: int = 0

    @property
    def keeps_coming(self) -> bool:
        """Whether others came again and again.

        Then quiet pieces are not what a quiet machine gives, either: threads that had to share a
        core stay there for a while, which slows models of several threads the more, the faster
        they are.
        """
        return self.spells >= _SPELLS and self.disturbed > _OFTEN * self.measured

    @staticmethod
    def from_json(values: Any) -> "Disturbance":
        """Return what a report holds; nothing seen where it holds nothing that can be read."""
        try:
            found = Disturbance(**values)
        except TypeError:
            return Disturbance()
        numbers = (int, float)
        return found if all(isinstance(each, numbers) for each in astuple(found)) else Disturbance()

    def describe(self) -> str:
        """Say who disturbed and how much: `other processes used 48% of the cores`."""
        used = f"other processes used {self.others:.0%} of the cores"
        stolen = f"{self.stolen:.0%} of the cores' time went to other virtual machines"
        if self.stolen < 0.05:
            return used
        return stolen if self.others < 0.05 else f"{used}, and {stolen}"


@dataclass(frozen=True)
class _Reading:
    """Counters at a moment, in seconds.

    Attributes:
        at: Clock.
        cores: Cores that count.
        idle: Of all of them since the start of the system.
        stolen: Likewise.
        own: By process, ended children included.
    """

    at: float
    cores: int
    idle: float
    stolen: float
    own: Mapping[int, float]


@dataclass(frozen=True)
class Taken:
    """What others took of the cores in some time, in seconds of a core.

    Attributes:
        others_s: By other processes.
        stolen_s: By the hypervisor.
        cores_s: Of all cores that count.
        allowed_s: That they may take.
    """

    others_s: float
    stolen_s: float
    cores_s: float
    allowed_s: float

    @property
    def too_much(self) -> bool:
        return self.others_s + self.stolen_s > self.allowed_s


class Watch:
    """Tells whether a piece of work had the cores to itself, and waits for quiet.

        timings = watch.repeat(work)
        if watch.disturbed: ...  # others disturbed it to the end of patience

    Args:
        threads: CPU threads of the models at most; None is one a core. Others may use the cores
            that this leaves.
        patience_s: Seconds to spend on waiting and on timing again; None is `patience_seconds()`.
        on_wait: Told while it waits: seconds waited and seconds there are.
        read: Returns a file of `/proc` by its name, or raises OSError; None reads the system's.
        cores: Numbers of the cores that count; None is those that this process may use.
        clock: Gives seconds.
        sleep: Waits.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        patience_s: float | None = None,
        on_wait: Callable[[float, float], None] | None = None,
        read: Callable[[str], str] | None = None,
        cores: Sequence[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.pids: Sequence[int] = (os.getpid(),)
        """Processes that are no others."""
        self.spent_s = 0.0
        """Seconds spent on waiting and on timing again."""
        self.disturbed = False
        """Whether others disturbed the last piece of work."""
        self._threads = threads
        self._patience_s = patience_seconds() if patience_s is None else patience_s
        self._on_wait = on_wait or (lambda *_: None)
        self._file = read or _read_proc
        self._cores = cores
        self._clock, self._sleep = clock, sleep
        self._before: _Reading | None = None
        self._started = self._clock()
        self._watched = True
        self._measured = self._disturbed = self._kept = self._spells = 0
        self._others_s = self._stolen_s = self._cores_s = 0.0  # during disturbed pieces

    @property
    def patient(self) -> bool:
        """Whether there is time left to wait or to time something again."""
        return self.spent_s < self._patience_s

    def begin(self) -> None:
        """Look at the counters before a piece of work."""
        self._started, self._before = self._clock(), self._read()

    def repeat(self, work: Callable[[], _Timed]) -> _Timed:
        """Do a piece of work, again and again while others disturb it and patience lasts.

        Returns:
            What the work gave the last time; `disturbed` tells whether others took part in it.
        """
        while True:
            self.begin()
            done = work()
            if not self.again():
                return done

    def require_quiet(self, work: Callable[[], _Timed]) -> _Timed:
        """Do a piece of work like `repeat`, and take the result if nobody disturbed it.

        Raises:
            NotQuietError: Somebody did until patience was used up.
        """
        done = self.repeat(work)
        if self.disturbed:
            self.discard(1)
            raise NotQuietError
        return done

    def again(self) -> bool:
        """Return whether the work since `begin` is to be done again; wait for quiet before that.

        False where nobody disturbed it, and where patience is used up: `disturbed` tells.
        """
        self._judge()
        if not self.disturbed:
            return False
        if not self.patient:
            self._kept += 1
            return False
        self.spend()
        self._wait_for_quiet()
        return True

    def over(self) -> bool:
        """End a piece of work that is done again whatever happens; return whether it was quiet."""
        self._judge()
        self.spend()
        return not self.disturbed

    def spend(self) -> None:
        """Count the time since `begin` as spent: its work was done again, or in vain."""
        self.spent_s += self._clock() - self._started

    def discard(self, pieces: int) -> None:
        """Take disturbed pieces out of the result after all."""
        self._kept -= pieces

    def disturbance(self) -> Disturbance:
        """Sum up what happened until now."""
        cores_s = self._cores_s or 1.0
        return Disturbance(
            watched=self._watched and self._measured > 0,
            measured=self._measured,
            disturbed=self._disturbed,
            kept=self._kept,
            others=self._others_s / cores_s,
            stolen=self._stolen_s / cores_s,
            waited_s=round(self.spent_s, 1),
            patience_s=self._patience_s,
            spells=self._spells,
        )

    def _judge(self) -> None:
        self._measured += 1
        taken, before = self._taken(), self.disturbed
        self.disturbed = taken is not None and taken.too_much
        self._spells += self.disturbed and not before
        if taken is not None and taken.too_much:
            self._disturbed += 1
            self._others_s += taken.others_s
            self._stolen_s += taken.stolen_s
            self._cores_s += taken.cores_s

    def _wait_for_quiet(self) -> None:
        while self.patient:
            self._on_wait(self.spent_s, self._patience_s)
            self.begin()
            self._sleep(_LOOK_S)
            taken = self._taken()
            self.spend()
            if taken is None or not taken.too_much:
                return

    def _taken(self) -> Taken | None:
        """Return what others took since `begin`; None where it cannot be seen."""
        before, after = self._before, self._read()
        if before is None or after is None or after.cores != before.cores:
            self._watched = False
            return None
        elapsed = after.at - before.at
        own = sum(after.own.values()) - sum(before.own.values())
        stolen = max(0.0, after.stolen - before.stolen)
        busy = elapsed * after.cores - (after.idle - before.idle)
        spare = max(0, after.cores - (self._threads or usable_cores()))
        return Taken(
            others_s=max(0.0, busy - own - stolen),
            stolen_s=stolen,
            cores_s=elapsed * after.cores,
            allowed_s=(CORES_FOR_OTHERS + spare) * elapsed + _RESOLUTION_S,
        )

    def _read(self) -> _Reading | None:
        """Read the counters; None where the system has none, or keeps them at 0."""
        now = self._clock()
        try:
            lines = self._file("stat").splitlines()
            ticks = os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, AttributeError):
            return None
        wanted = {f"cpu{core}" for core in self._usable()}
        counted = [
            # user, nice, system, idle, waiting for disks, interrupts (2), stolen
            [int(field) for field in line.split()[1:9]]
            for line in lines
            if line.partition(" ")[0] in wanted
        ]
        if len(counted) < len(wanted) or any(len(core) < 8 for core in counted):
            return None
        if not any(map(sum, counted)):
            return None
        return _Reading(
            at=now,
            cores=len(counted),
            idle=sum(core[3] + core[4] for core in counted) / ticks,
            stolen=sum(core[7] for core in counted) / ticks,
            own={pid: seconds for pid in self.pids if (seconds := self._of_process(pid, ticks))},
        )

    def _usable(self) -> Sequence[int]:
        if self._cores is not None:
            return self._cores
        if hasattr(os, "sched_getaffinity"):
            return sorted(os.sched_getaffinity(0))
        return range(os.cpu_count() or 1)

    def _of_process(self, pid: int, ticks: int) -> float:
        """Return the seconds that a process computed with all its threads; 0 where it is gone.

        Those of its children that ended count as its own.
        """
        try:
            text = self._file(f"{pid}/stat")
        except OSError:
            return 0.0
        fields = text.rpartition(")")[2].split()  # the name before may hold anything
        return sum(map(int, fields[11:15])) / ticks
