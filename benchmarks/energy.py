"""Reads what the processor says of its own energy: Intel's and AMD's RAPL, through Linux.

Where a machine does not count it (most virtual machines), or lets nobody but root read it, nothing
is said of energy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Meter"]

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Meter:
    """Counters of the processor packages, which begin anew at some range.

    Attributes:
        counters: A file for each package, and after how many microjoules it begins anew.
    """

    counters: tuple[tuple[Path, int], ...]

    @classmethod
    def find(cls, powercap: Path | None = None) -> "Meter | None":
        """Return the meter of this machine; None where it has none that can be read.

        Args:
            powercap: Where its kernel shows counters, if not where Linux does.
        """
        counters = []
        # intel-rapl:0 is a package, intel-rapl:0:1 a part of it (also on AMD).
        for folder in sorted((powercap or _POWERCAP).glob("intel-rapl:*")):
            try:
                if not (folder / "name").read_text(encoding="ascii").startswith("package"):
                    continue
                span = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
                int((folder / "energy_uj").read_text(encoding="ascii"))
            except (OSError, ValueError):
                return None
            counters.append((folder / "energy_uj", span))
        return cls(tuple(counters)) if counters else None

    def read(self) -> tuple[int, ...]:
        """Return the counters, in microjoules.

        Raises:
            OSError: One can no longer be read.
            ValueError: One is no number.
        """
        return tuple(int(file.read_text(encoding="ascii")) for file, _ in self.counters)

    def joules(self, before: tuple[int, ...], after: tuple[int, ...]) -> float:
        """Return what was used between two readings that are less than a range apart."""
        spans = (span for _, span in self.counters)
        used = (
            (second - first) % (span + 1)
            for first, second, span in zip(before, after, spans, strict=True)
        )
        return sum(used) / 1e6

    def joules_a_pass(self, work: Callable[[], object], *, seconds: float = 1.0) -> float:
        """Return the joules that some work takes, from as many passes as take some time.

        Counters tick a thousand times a second: of shorter times they tell little.

        Args:
            work: One pass.
            seconds: The least time that is counted over.

        Raises:
            OSError: A counter can no longer be read.
            ValueError: One is no number.
        """
        started, passes, before = time.perf_counter(), 0, self.read()
        while passes == 0 or time.perf_counter() - started < seconds:
            work()
            passes += 1
        return self.joules(before, self.read()) / passes
