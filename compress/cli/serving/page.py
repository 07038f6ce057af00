"""What the page of `edgepress serve --demo` shows: model, original, and the run's report."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.report import Report
    from runtimes import Predictor

__all__ = ["page_of", "report_of_run"]


def page_of(
    given: str, artifact: str, original: "Predictor | None"
) -> "Callable[[Predictor], str]":
    """Return what makes the page for the model that answers.

    Args:
        given: What the user named, an artifact or a run's output folder.
        artifact: The artifact.
        original: The model that it was made of, where that is asked, too.

    Raises:
        DataError: The run's report cannot be read.
    """
    from benchmarks.render.try_page import Tried, render_try_page

    report = report_of_run(Path(given), Path(artifact))

    def page(predictor: "Predictor") -> str:
        tried = Tried(
            name=Path(artifact).absolute().name,
            spec=predictor.task.SPEC,
            pairs=predictor.pairs,
            how=_how(predictor),
            original=None if original is None else _how(original),
        )
        return render_try_page(tried, report)

    return page


def report_of_run(given: Path, artifact: Path) -> "Report | None":
    """Return the report of the run that made an artifact, where it lies in or beside it.

    Raises:
        DataError: It cannot be read.
    """
    from benchmarks.report import load_report

    for folder in (given, artifact.parent):
        if (folder / "report.json").is_file():
            return load_report(folder / "report.json")
    return None


def _how(predictor: "Predictor") -> str:
    from runtimes.registry import runtime_title

    precision = predictor.precision.upper()
    return f"{precision} by {runtime_title(predictor.runtime)} on {predictor.device}"
