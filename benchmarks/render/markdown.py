"""Renders a report as Markdown: what was found, on what, how, and how to do it again."""

from collections.abc import Sequence
from urllib.parse import quote

from benchmarks.render import sections
from benchmarks.render.answers import (
    calibration_line,
    class_columns,
    class_rows,
    compared_names,
    differences_line,
    said,
)
from benchmarks.render.architecture import describe_kept, kept_of
from benchmarks.render.columns import Column, how_run, main_columns, mark_of, more_columns
from benchmarks.render.figures import (
    budget_line,
    doubts_and_advice,
    measured_by_agreement,
    result,
)
from benchmarks.render.front import front_plot
from benchmarks.render.headline import headline, title_of
from benchmarks.render.plots import DESK
from benchmarks.report import Report
from runtimes.escaping import escape_line, escape_markdown

__all__ = ["FRONT", "PICTURES", "render_markdown", "render_table"]

PICTURES = "pictures"  # folder beside the report
FRONT = "front.svg"


def render_markdown(report: Report) -> str:
    """Render the whole `report.md`."""
    parts = [
        f"# {escape_markdown(title_of(report))}",
        escape_markdown(doubts_and_advice(report)),
        f"**{escape_markdown(first)}**" if (first := headline(report)) else "",
        escape_markdown(result(report)),
        _front(report),
        render_table(report),
        escape_markdown(budget_line(report)),
        escape_markdown(differences_line(report)),
        _texts(report),
        _classes(report),
        escape_markdown(calibration_line(report)),
        _section("What to do next", _next(report)),
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
    """Render the rows, for a report, a model card or a README: what decides, and the rest folded.

    One wide table would be cut off where most people read it.
    """
    more = more_columns(report)
    rest = "" if not more else _folded("All figures", _rows(report, more, marked=False))
    return "\n\n".join(part for part in (_rows(report, main_columns(report)), rest) if part)


def _rows(report: Report, columns: Sequence[Column], *, marked: bool = True) -> str:
    """Return a table with a line for each row, whose first column says what it is."""
    words = ["", "model", "runtime"] if marked else ["model", "runtime"]
    titles = [*words, *(escape_markdown(column.title) for column in columns)]
    lines = [_line(titles), _line(["---"] * len(words) + ["--:"] * len(columns))]
    for row in report.rows:
        mark = escape_markdown(mark_of(report, row))
        if row.id == report.recommended:
            mark = f"**{mark}**"
        named = [escape_markdown(row.model), escape_markdown(how_run(row))]
        figures = [escape_markdown(column.cell(row).line) for column in columns]
        lines.append(_line([*([mark] if marked else []), *named, *figures]))
    return "\n".join(lines)


def _folded(title: str, body: str) -> str:
    """Return a part that is opened by a click, on GitHub and on the hub."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def _texts(report: Report) -> str:
    """Return the texts on which two models differ, folded."""
    found, names = report.differences, compared_names(report)
    if found is None or names is None or not found.texts:
        return ""
    known = any(one.label for one in found.texts)  # of agreement, nobody knows what is right
    titles = ("text", *(["right answer"] * known), *names)
    lines = [
        _line([*map(escape_markdown, titles)]),
        _line(["---"] * len(titles)),
        *(
            _line(
                [
                    escape_markdown(f"{one.text} / {one.pair}" if one.pair else one.text),
                    *([escape_markdown(one.label)] * known),
                    *(escape_markdown(said(one, original=own).line) for own in (True, False)),
                ]
            )
            for one in found.texts
        ),
    ]
    return _folded("Texts on which they differ", "\n".join(lines))


def _classes(report: Report) -> str:
    """Return the figures by class, folded."""
    rows = class_rows(report)
    if not rows:
        return ""
    lines = [
        _line(columns := class_columns(report)),
        _line(["---", *["--:"] * (len(columns) - 1)]),
        *(_line([escape_markdown(cell.line) for cell in row]) for row in rows),
    ]
    return _folded("Figures by class", "\n".join(lines))


def _front(report: Report) -> str:
    """Return the picture of the front, which `write_report` puts there."""
    if front_plot(report, DESK) is None:
        return ""
    judged = "agreement" if measured_by_agreement(report) else "accuracy"
    return f"![Speed and {judged} of all rows]({PICTURES}/{FRONT})"


def _kept(report: Report) -> str:
    """Return a picture and a sentence for each pruned member."""
    return "\n\n".join(
        f"{escape_markdown(describe_kept(kept))}\n\n"
        f"![{escape_markdown(kept.name)}]({PICTURES}/{quote(kept.name, errors='replace')}.svg)"
        for kept in kept_of(report.family)
    )


def _next(report: Report) -> str:
    """Return commands behind blanks: a fence could be closed by what stands in it."""
    return "\n\n".join(
        f"{escape_markdown(step.what)}\n\n    {escape_line(step.command)}"
        for step in report.next_steps
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
