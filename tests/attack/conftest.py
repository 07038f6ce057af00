"""What attacks count: cases that were tried, and what became of each; a table at the end."""

import re
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runtimes import load
from runtimes.artifact import read_manifest
from runtimes.errors import EdgepressError

_Case = TypeVar("_Case")
_COUNTS = ("cases", "tried", "refused", "answered", "failed")
_LONGEST = 10.0  # seconds; what takes longer counts as hanging
_MOST = 1_000  # MB; what takes more memory at a time counts as a fault
_found: dict[str, list[int]] = {}


@dataclass
class Tally:
    """The cases of one kind of attack.

    Attributes:
        refused: So many were refused by a named error.
        answered: So many were answered as they should be.
        faults: What became of all others.
        cases: So many files, environments or moments there were, each of which may be tried at
            several doors; 0 where all of them are tried once.
        full: Whether each is tried at every door, not at one of them in turn.
    """

    refused: int = 0
    answered: int = 0
    faults: list[str] = field(default_factory=list)
    cases: int = 0
    full: bool = True

    def doors(self, known: Sequence[_Case], number: int) -> Sequence[_Case]:
        """Return the doors at which a case is tried, by its number among the cases."""
        return known if self.full else [known[number % len(known)]]

    def judge(self, case: str, act: Callable[[], Any], expected: Any) -> None:
        """Count one case: refused by a named error, without effect, or a fault.

        Args:
            case: Its name.
            act: Does what a user would; returns the answers.
            expected: The answers as they should be. A function is asked whether the answers are
                right.
        """
        start, held = time.monotonic(), memory_mb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
        try:
            with bounded():
                answers = act()
        except EdgepressError as error:
            words = str(error)
            self.count(case, fault="" if words.strip() else "an error without a word", refused=True)
        except Exception as error:  # noqa: BLE001 - each of them would be a traceback
            self.count(case, fault=f"{type(error).__name__}: {error}")
        else:
            try:
                right = expected(answers) if callable(expected) else answers == expected
            except ValueError:  # arrays, which cannot be compared so: no answers of this model
                right = False
            self.count(case, fault="" if right else f"answered {answers!r:.200} without a word")
        if (seconds := time.monotonic() - start) > _LONGEST:
            self.faults.append(f"{case}: took {seconds:.0f} s")
        if (taken := memory_mb("VmHWM") - held) > _MOST:
            self.faults.append(f"{case}: took {taken:,} MB")

    def count(self, case: str, *, fault: str = "", refused: bool = False) -> None:
        """Count one case that was judged elsewhere."""
        if fault:
            self.faults.append(f"{case}: {fault:.400}")
        elif refused:
            self.refused += 1
        else:
            self.answered += 1


def memory_mb(name: str) -> int:
    """Return what Linux says of this process's memory under a name, in MB."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


@contextmanager
def bounded() -> Iterator[None]:
    """Refuse this process a few times as much memory as may be taken: the machine is not its
    own."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = (memory_mb("VmSize") + 6 * _MOST) << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def tally(request: pytest.FixtureRequest, record_property: Callable[..., None]) -> Iterator[Tally]:
    """Counts the cases of a test, which fails if one of them is a fault."""
    made = Tally()
    yield made
    failed = len(made.faults)
    tried = made.refused + made.answered + failed
    kind = request.node.originalname.removeprefix("test_").replace("_", " ")
    cases = made.cases or tried
    record_property("attack", [kind, cases, tried, made.refused, made.answered, failed])
    if made.faults:
        pytest.fail("\n".join([f"{failed} of {tried}:", *made.faults[:50]]), pytrace=False)


@pytest.fixture(
    params=[
        pytest.param(False, id="some"),
        pytest.param(True, id="all", marks=[pytest.mark.attack, pytest.mark.timeout(7200)]),
    ]
)
def chosen(request: pytest.FixtureRequest, tally: Tally) -> Callable[..., Sequence[Any]]:
    """`chosen(cases, few)`: all cases where the attack was asked for, else `few`, evenly spread.

    `at_least` says how many there are to be in all.
    """
    tally.full = request.param

    def choose(cases: Sequence[_Case], few: int, at_least: int = 0) -> Sequence[_Case]:
        assert len(cases) >= at_least
        if not request.param and few < len(cases):
            cases = [cases[place * len(cases) // few] for place in range(few)]
        tally.cases += len(cases)
        return cases

    return choose


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the counts of a test, also of one that ran in another process."""
    counts = dict(report.user_properties).get("attack")
    if report.when == "teardown" and counts is not None:
        kind, *numbers = counts
        before = _found.get(kind, [0] * len(_COUNTS))
        _found[kind] = [a + b for a, b in zip(before, numbers, strict=True)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if not _found:
        return
    width = max(map(len, _found))
    terminalreporter.section("attacks")
    terminalreporter.write_line(" " * width + "".join(f"{name:>9}" for name in _COUNTS))
    for kind, numbers in sorted(_found.items()):
        terminalreporter.write_line(f"{kind:<{width}}" + "".join(f"{n:>9,}" for n in numbers))


TEXTS = ["a lovely film", "the plot was dull and the cast is poor ."]  # of two lengths


@pytest.fixture(scope="session")
def published(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of both runtimes, in float, with a card."""
    return publish(task, tmp_path_factory.mktemp("published") / "artifact")


@pytest.fixture(scope="session")
def another(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose model says the opposite."""
    return publish(task, tmp_path_factory.mktemp("another") / "artifact", sign=-1.0)


def publish(task: Any, target: Path, sign: float = 1.0) -> Path:
    """Write an artifact whose scores are those of the task's model times `sign`."""
    import torch

    from compress.encoder.importers.registry import import_encoder
    from export.package import export_artifact, republish

    imported = import_encoder(task.model)
    with torch.no_grad():
        for parameter in imported.model.classifier.parameters():
            parameter.mul_(sign)
    made = target.with_name("made")
    exported = export_artifact(
        made,
        module=imported.model,
        tokenizer=imported.tokenizer,
        max_length=32,
        checks=[text for text, _ in task.make_rows(4, seed=3)],
    )
    republish(made, target, exported.manifest, {"seed": 1}, "a card\n")
    return target


@dataclass(frozen=True)
class Doors:
    """The ways into an artifact, and what they say of the one that nobody touched."""

    expected: dict[str, Any]

    def judge_all(
        self, tally: Tally, number: int, case: str, folder: Path, *, same: bool = True
    ) -> None:
        """Open `folder` on every runtime, and on the one that is chosen where none is named.

        Args:
            tally: Counts what becomes of it.
            number: Of the case: in a sample it is opened in one of these ways.
            case: What was done to it.
            folder: The artifact.
            same: Whether it may answer as before only. Otherwise it is another artifact, which may
                say what it likes, as long as it says something.
        """
        for runtime in tally.doors((*self.expected, None), number):
            known = [self.expected[runtime]] if runtime else list(self.expected.values())
            tally.judge(
                f"{case}, {runtime}",
                partial(ask, folder, runtime),
                known.__contains__ if same else is_answer,
            )


def is_answer(answers: Any) -> bool:
    """Return whether there is a label and a score for each text."""
    first, second, both = answers
    each = [*first, *second, *both]
    return len(each) == 4 and all(0 <= one["score"] <= 1 for one in each)


def ask(folder: Path, runtime: str | None = None) -> list[Any]:
    """Return what an artifact answers to texts alone and in a list."""
    with load(folder, runtime=runtime, threads=None if runtime is None else 1) as predict:
        return [*map(predict, TEXTS), predict(TEXTS)]


@pytest.fixture(scope="session")
def doors(published: Path) -> Doors:
    """What the published artifact says, by runtime."""
    runtimes = dict.fromkeys(model.runtime for model in read_manifest(published).models)
    return Doors({runtime: ask(published, runtime) for runtime in runtimes})
