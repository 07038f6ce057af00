"""Whatever a report says, it moves no cursor, forges no line, makes no HTML and no formula."""

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from rich.console import Console
from tiny_artifact import describe_tiny, write_tiny_files

from benchmarks.compare import Change
from benchmarks.differences import Difference, Differences
from benchmarks.metrics import ClassDrop
from benchmarks.quality import ClassQuality, Quality
from benchmarks.render.architecture import Kept, render_kept
from benchmarks.render.comparison import print_changes
from benchmarks.render.front import front_plot
from benchmarks.render.html import render_html
from benchmarks.render.markdown import render_markdown
from benchmarks.render.plots import DESK, draw_file
from benchmarks.render.table import render_csv
from benchmarks.render.terminal import print_report
from benchmarks.report import Report, Row, Step
from benchmarks.stats import Interval
from export.card import Measured, render_card
from export.origin import Origin
from runtimes.artifact import write_artifact

SHORT = "=1+1\x1b[2J\x9b\u202e\ud83d<img>\n# forged"
EVIL = f"{SHORT}<script>x</script>![i](//x)[l](//x)\r\n"
KEPT = {
    "name": EVIL,
    "description": EVIL,
    "lineage": [
        {
            "stage": "prune",
            "original": {"heads": [1], "neurons": [1]},
            "provenance": {"layers": [0], "heads": [[0]], "neurons": [1]},
        }
    ],
}


@pytest.fixture
def evil(report: Report) -> Report:
    """A report with hostile text wherever the doors show some."""

    def spoilt(row: Row) -> Row:
        error = None if row.error is None else EVIL
        return replace(row, model=SHORT, precision=SHORT, error=error)

    rows = [spoilt(row) for row in report.rows]
    rows[2] = replace(rows[2], doubt=EVIL, by_class=(ClassDrop(SHORT, 30, 3.3),))
    classes = (ClassQuality(EVIL, 20, 90.0, 85.0, 87.4),)
    quality = Quality(classes, ((0, 0, 20), (0, 1, 3)), (EVIL, SHORT))
    timed = {"rounds": [0], "end_to_end_ms": [[1.0, 1.1]], "model_ms": [[1.0, 1.1]]}
    return replace(
        report,
        rows=tuple(rows),
        data={
            "n": 436,
            "task": EVIL,
            "labels": [EVIL, SHORT],
            "source": EVIL,
            "notes": [EVIL],
        },
        next_steps=(Step(EVIL, EVIL),),
        compared="small",
        quality={"teacher": quality, "small": quality},
        differences=Differences(9, 1, 1, 0, (Difference(EVIL, EVIL, EVIL, EVIL, 0.9, EVIL, 0.8),)),
        environment={"cpu": {"model": EVIL, "cores_usable": 2, "flags": [EVIL]}},
        method={**report.method, "choosing": EVIL},
        notes=(EVIL,),
        decisions=(EVIL,),
        command=EVIL,
        family=(KEPT,),
        samples={"teacher": timed, "small": timed},
    )


def terminal(evil: Report) -> str:
    console = Console(file=io.StringIO(), width=200)
    print_report(evil, console)
    print_changes(
        [Change(evil.rows[2], "speed-up", 1.0, 2.0, Interval(2.0, 1.9, 2.1), False)], console
    )
    return console.file.getvalue()  # type: ignore[attr-defined]


def card(evil: Report) -> str:
    whole = EVIL.replace("\ud83d", "")  # no manifest holds half of a pair
    steps = ({"stage": whole, "kept": whole}, {"stage": "prune", "in_words": whole})
    with TemporaryDirectory() as place:
        folder = Path(place) / "artifact"
        manifest = replace(describe_tiny((whole, whole[:20], "glad")), lineage=steps)
        write_artifact(folder, manifest, write_tiny_files)
        written = render_card(folder, Origin(EVIL), Measured(EVIL, EVIL, "", EVIL))
    return written.split("\n---\n", 1)[
        1
    ]  # what stands before is YAML, which has escapes of its own


def kept(evil: Report) -> str:
    found = Kept.of(KEPT)
    assert found is not None
    return render_kept(found)


def front(evil: Report) -> str:
    plot = front_plot(replace(evil, rows=tuple(replace(row, doubt="") for row in evil.rows)), DESK)
    assert plot is not None
    return draw_file(plot)


DOORS = (terminal, card, kept, front, render_html, render_markdown, render_csv)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_no_text_of_a_report_is_obeyed(evil: Report, door: Any, tmp_path: Path) -> None:
    written = door(evil)
    assert r"\x1b[2J" in written  # it is shown, as what it is
    path = tmp_path / "written"
    path.write_text(written, encoding="utf-8", newline="")  # which halves of pairs cannot be
    said = written.replace("\r\n", "\n") if door is render_csv else written
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in said)
    assert "\u202e" not in said
    if door in (card, render_markdown):
        said = "\n".join(line for line in said.split("\n") if not line.startswith("    "))  # code
        assert "\n# forged" not in said
        assert "<script" not in said
        assert "<img" not in said
        assert "](//x)" not in said
    if door is render_csv:
        cells = [cell for line in csv.reader(io.StringIO(said)) for cell in line]
        assert any("1+1" in cell for cell in cells)
        assert not any(cell.startswith("=") for cell in cells)
    if door in (render_html, kept, front):
        tags = _Tags()
        tags.feed(said)
        assert "img" not in tags.seen
        assert tags.addresses <= {"artifact/"}
        assert tags.seen.count("script") == (door is render_html)  # its own


class _Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.addresses: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        self.addresses |= {value for name, value in attrs if name in ("href", "src", "xlink:href")}
