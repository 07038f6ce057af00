"""Writes a report in all its forms, side by side in one folder."""

from pathlib import Path

from benchmarks.render.architecture import kept_of, render_kept
from benchmarks.render.front import front_plot
from benchmarks.render.html import render_html
from benchmarks.render.markdown import FRONT, PICTURES, render_markdown
from benchmarks.render.plots import DESK, draw_file
from benchmarks.render.table import render_csv
from benchmarks.report import Report, save_report

__all__ = ["write_report"]


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, `.md`, `.html`, `.csv`, and the `pictures/` of the Markdown.

    Args:
        report: What was measured.
        folder: Is there; earlier reports in it are replaced.
    """
    pictures = folder / PICTURES
    drawn = {f"{kept.name}.svg": render_kept(kept) for kept in kept_of(report.family)}
    if (front := front_plot(report, DESK)) is not None:
        drawn[FRONT] = draw_file(front)
    for picture in pictures.glob("*.svg") if drawn else ():
        picture.unlink()  # of members that are no more
    for name, svg in drawn.items():
        pictures.mkdir(exist_ok=True)
        (pictures / name).write_text(svg, encoding="utf-8")
    # The figures first: whatever else goes wrong, they are there.
    save_report(report, folder / "report.json")
    (folder / "report.csv").write_text(render_csv(report), encoding="utf-8")
    (folder / "report.md").write_text(render_markdown(report), encoding="utf-8")
    (folder / "report.html").write_text(render_html(report), encoding="utf-8")
