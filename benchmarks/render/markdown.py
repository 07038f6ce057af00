"""Renders a report as Markdown: what was found, on what, how, and how to do it again."""

from collections.abc import Sequence

from benchmarks.render import sections
from benchmarks.render.architecture import describe_kept, kept_of
from benchmarks.render.figures import budget_line, summary
from benchmarks.report import Report, Row

__all__ = ["PICTURES", "render_markdown", "render_table"]

PICTURES = "pictures"  # folder beside the report


def render_markdown(report: Report, *, title: str = "Benchmark") -> str:
    """Render the whole `report.md`.

    Args:
        report: What was measured.
        title: Its first heading.
    """
    parts = [
        f"# {title}",
        summary(report),
        render_table(report),
        budget_line(report),
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
    columns = sections.table_columns(report)
    lines = [
        _line(columns),
        _line(["---"] * sections.TEXT_COLUMNS + ["--:"] * (len(columns) - sections.TEXT_COLUMNS)),
        *(_line(_cells(report, row)) for row in report.rows),
    ]
    return "\n".join(lines)


def _cells(report: Report, row: Row) -> list[str]:
    mark, *cells = (_escape(cell) for cell in sections.table_cells(report, row))
    return [f"**{mark}**" if row.id == report.recommended else mark, *cells]


def _kept(report: Report) -> str:
    """Return a picture and a sentence for each pruned member."""
    return "\n\n".join(
        f"{describe_kept(kept)}\n\n![{kept.name}]({PICTURES}/{kept.name}.svg)"
        for kept in kept_of(report.family)
    )


def _reproduce(report: Report) -> str:
    lines = []
    if report.command:
        lines.append(f"```sh\n{report.command}\n```")
    details = [f"Seed {report.method['seed']}." if "seed" in report.method else ""]
    details.append(f"Measured {report.created}." if report.created else "")
    lines.append(" ".join(detail for detail in details if detail))
    return "\n\n".join(line for line in lines if line)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_escape(line)}" for line in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Keep a name or message from breaking its cell or line."""
    return " ".join(text.replace("|", "\\|").split())
