"""What leaves by any door is text, whatever it was."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.escaping import (
    dump_json,
    escape_cell,
    escape_line,
    escape_lines,
    escape_markdown,
)

ANY = st.text(st.characters(codec=None))  # halves of pairs, too


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain, ä, 猫, 👨‍👩‍👧, \\", "plain, ä, 猫, 👨‍👩‍👧, \\"),
        ("a\tb\nc\r", r"a\tb\nc\r"),
        ("\x1b[2J\x00\x7f\x9b", r"\x1b[2J\x00\x7f\x9b"),
        ("a\u2028b\u202ec\ud83d", r"a\u2028b\u202ec\ud83d"),
    ],
)
def test_a_line_is_one_line_and_moves_no_cursor(text: str, line: str) -> None:
    assert escape_line(text) == line
    assert escape_lines(f"x\n{text}", "  ").startswith("x\n  ")


@given(ANY)
def test_lines_can_be_written_anywhere(text: str) -> None:
    line = escape_line(text)
    assert line.encode().decode() == line
    assert line.splitlines() in ([], [line])
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)


@given(ANY)
def test_json_stays_the_same_value(text: str) -> None:
    written = dump_json({text: [text]}, indent=2)
    assert json.loads(written.encode()) == {text: [text]}
    assert escape_lines(written) == written


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</td><img src=//x>",
        "<!-- ",
        "`` <img src=//x> `",
        "![a](//x)",
        "[a](javascript:x)",
        "[a][b]",
        "[a]: //x",
        "a\n\n# heading",
        "# heading",
        "&lt;b&gt;",
        "a | b",
        "x\x1b[2J",
    ],
)
def test_markdown_is_neither_html_nor_link(text: str) -> None:
    from markdown_it import MarkdownIt

    shown = escape_markdown(text)
    page = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render(f"- {shown}\n\n{shown}\n\n| a |\n| - |\n| {shown} |")
    )
    for made in ("<script", "<img", "<a ", "<h1", "<!--", "</td>\n<td", "\x1b", "<td></td>"):
        assert made not in page
    assert escape_markdown("19.2 ms, \u22120.7 points, `model / floor`, F1 [0, 1]") == (
        "19.2 ms, \u22120.7 points, `model / floor`, F1 [0, 1]"
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r\n=1", "a\n=1"])
def test_a_cell_is_no_formula(text: str) -> None:
    file = io.StringIO()
    csv.writer(file).writerow([escape_cell(text)])
    ((cell,),) = csv.reader(io.StringIO(file.getvalue()))
    assert cell[0] not in "=+-@\t\r\n "
    assert "\n" not in cell
    assert escape_cell("minilm: 6 layers") == "minilm: 6 layers"
