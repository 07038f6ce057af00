"""Renders a report as Markdown: what was found, on what, how, and how to do it again."""

from collections.abc import Sequence
from urllib.parse import quote

from benchmarks.render import sections
from benchmarks.render.architecture import describe_kept, kept_of
from benchmarks.render.figures import budget_line
from benchmarks.render.headline import summary, title_of
from benchmarks.report import Report, Row
from runtimes.escaping import escape_line, escape_markdown

__all__ = ["PICTURES", "render_markdown", "render_table"]

PICTURES = "pictures"  # folder beside the report


def render_markdown(report: Report) -> str:
    """Render the whole `report.md`."""
    parts = [
        f"# {escape_markdown(title_of(report))}",
        escape_markdown(summary(report)),
        render_table(report),
        escape_markdown(budget_line(report)),
        _section("What could not be measured", _bullets(sections.failures(report))),
        _section("Remarks", _bullets(sections.remarks(report))),
        _section("What was kept", _kept(report)),
        _section("Decisions", _bullets(report.decisions)),
        _section("Data", _bullets(sections.data_facts(report))),
        _section("How it was measured", _bullets(sections.method_facts(report))),
        _section("Environment", _bullets(sections.environment_facts(report.environment))),
        _section("How to reproduce", _reproduce(report)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def render_table(report: Report) -> str:
    """Render the table alone, for a model card or a README."""
    columns = [escape_markdown(column) for column in sections.table_columns(report)]
    lines = [
        _line(columns),
        _line(["---"] * sections.TEXT_COLUMNS + ["--:"] * (len(columns) - sections.TEXT_COLUMNS)),
        *(_line(_cells(report, row)) for row in report.rows),
    ]
    return "\n".join(lines)


def _cells(report: Report, row: Row) -> list[str]:
    mark, *cells = (escape_markdown(cell) for cell in sections.table_cells(report, row))
    return [f"**{mark}**" if row.id == report.recommended else mark, *cells]


def _kept(report: Report) -> str:
    """Return a picture and a sentence for each pruned member."""
    return "\n\n".join(
        f"{escape_markdown(describe_kept(kept))}\n\n"
        f"![{escape_markdown(kept.name)}]({PICTURES}/{quote(kept.name, errors='replace')}.svg)"
        for kept in kept_of(report.family)
    )


def _reproduce(report: Report) -> str:
    lines = []
    if report.command:
        # One line, behind blanks: a fence could be closed by what stands in it.
        lines.append(f"    {escape_line(report.command)}")
    details = [f"Seed {report.method['seed']}." if "seed" in report.method else ""]
    details.append(f"Measured {report.created}." if report.created else "")
    lines.append(" ".join(detail for detail in details if detail))
    return "\n\n".join(line for line in lines if line)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape_markdown(line)}" for line in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
