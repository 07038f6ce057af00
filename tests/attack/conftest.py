"""What attacks count: cases that were tried, and what became of each; a table at the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from runtimes.errors import EdgepressError

_Case = TypeVar("_Case")
_COUNTS = ("tried", "refused", "same", "failed")
_LONGEST = 10.0  # seconds; what takes longer counts as hanging
_found: dict[str, list[int]] = {}


@dataclass
class Tally:
    """The cases of one kind of attack.

    Attributes:
        refused: So many were refused by a named error.
        same: So many made no difference.
        faults: What became of all others.
    """

    refused: int = 0
    same: int = 0
    faults: list[str] = field(default_factory=list)

    def judge(self, case: str, act: Callable[[], Any], expected: Any) -> None:
        """Count one case: refused by a named error, without effect, or a fault.

        Args:
            case: Its name.
            act: Does what a user would; returns the answers.
            expected: The answers as they should be. A function is asked whether the answers are
                right.
        """
        start = time.monotonic()
        try:
            answers = act()
        except EdgepressError as error:
            words = str(error)
            self.count(case, fault="" if words.strip() else "an error without a word", refused=True)
        except Exception as error:  # noqa: BLE001 - each of them would be a traceback
            self.count(case, fault=f"{type(error).__name__}: {error}")
        else:
            right = expected(answers) if callable(expected) else answers == expected
            self.count(case, fault="" if right else f"answered {answers!r:.200} without a word")
        if (seconds := time.monotonic() - start) > _LONGEST:
            self.faults.append(f"{case}: took {seconds:.0f} s")

    def count(self, case: str, *, fault: str = "", refused: bool = False) -> None:
        """Count one case that was judged elsewhere."""
        if fault:
            self.faults.append(f"{case}: {fault:.400}")
        elif refused:
            self.refused += 1
        else:
            self.same += 1


@pytest.fixture
def tally(request: pytest.FixtureRequest, record_property: Callable[..., None]) -> Iterator[Tally]:
    """Counts the cases of a test, which fails if one of them is a fault."""
    made = Tally()
    yield made
    failed = len(made.faults)
    tried = made.refused + made.same + failed
    kind = request.node.originalname.removeprefix("test_").replace("_", " ")
    record_property("attack", [kind, tried, made.refused, made.same, failed])
    if made.faults:
        pytest.fail("\n".join([f"{failed} of {tried}:", *made.faults[:50]]), pytrace=False)


@pytest.fixture(
    params=[
        pytest.param(False, id="some"),
        pytest.param(True, id="all", marks=pytest.mark.attack),
    ]
)
def chosen(request: pytest.FixtureRequest) -> Callable[[Sequence[_Case], int], Sequence[_Case]]:
    """`chosen(cases, few)`: all cases where the attack was asked for, else `few`, evenly spread."""

    def choose(cases: Sequence[_Case], few: int) -> Sequence[_Case]:
        if request.param or few >= len(cases):
            return cases
        return [cases[place * len(cases) // few] for place in range(few)]

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
