"""Everything that a report is written as, side by side in one folder."""

import shutil
from pathlib import Path

from benchmarks.render.architecture import kept_of, render_kept
from benchmarks.render.html import render_html
from benchmarks.render.markdown import PICTURES, render_markdown
from benchmarks.render.table import render_csv
from benchmarks.report import Report, save_report

__all__ = ["write_report"]


def write_report(report: Report, folder: Path, *, title: str = "Benchmark") -> None:
    """Write `report.json`, `.md`, `.html`, `.csv`, and `pictures/` of what was kept.

    Args:
        report: What was measured.
        folder: Is there; earlier reports in it are replaced.
        title: Heading of those that people read.
    """
    pictures = folder / PICTURES
    shutil.rmtree(pictures, ignore_errors=True)
    for kept in kept_of(report.family):
        pictures.mkdir(exist_ok=True)
        (pictures / f"{kept.name}.svg").write_text(render_kept(kept), encoding="utf-8")
    save_report(report, folder / "report.json")
    for name, text in (
        ("report.md", render_markdown(report, title=title)),
        ("report.html", render_html(report, title=title)),
        ("report.csv", render_csv(report)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
