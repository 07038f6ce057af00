"""Text that others wrote on its way out: it may not move a cursor, forge a line or run a formula.

One function a door: a line of a terminal or of tab-separated columns, several lines of a terminal,
JSON, Markdown, a cell of a spreadsheet. HTML has jinja2's own.
"""

import json
import re
from typing import Any

__all__ = ["dump_json", "escape_cell", "escape_line", "escape_lines", "escape_markdown"]

# Control characters, ends of lines of all kinds, marks that turn the direction of what follows, and
# halves of surrogate pairs, which no encoding can write.
_UNSAFE = r"\x00-\x1f\x7f-\x9f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_IN_LINES = re.compile(f"[{_UNSAFE}]")
_IN_JSON = re.compile(f"(?![\\n])[{_UNSAFE}]")
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}

# What begins or ends HTML, images, links and their definitions, also between backticks, where
# readers of Markdown disagree.
_IN_MARKDOWN = re.compile(r"[<&](?=[\w/!?#])|!(?=\[)|(?<=\])[(\[:]")
_MARKDOWN = {"<": "&lt;", "&": "&amp;"}
# What a table or a heading would be made of where it stands first.
_FIRST_IN_MARKDOWN = re.compile(r"^(?=[#>~=+*-])")

_FORMULA = re.compile(r"\s*[=+\-@]")


def escape_line(text: str) -> str:
    r"""Return text as one line for a terminal, or as one of the columns between tabs.

    Control characters are written as in Python: `\t`, `\n`, `\x1b`, `\u2028`. All else stays,
    backslashes too: programs that need to tell them apart read JSON.
    """
    return _IN_LINES.sub(_escaped, text)


def escape_lines(text: str, indent: str = "") -> str:
    """Return text for a terminal; its lines stay lines.

    Args:
        text: Any.
        indent: Stands before all lines but the first, so that none looks like one of ours.
    """
    return f"\n{indent}".join(map(escape_line, text.split("\n")))


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON that a terminal can show and every encoding can write."""
    written = json.dumps(value, indent=indent, ensure_ascii=False)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def escape_markdown(text: str) -> str:
    """Return text as a part of a line of Markdown: no HTML, no link, no image, no column.

    Backticks still make code of what stands between them.
    """
    line = escape_line(" ".join(text.split())).replace("|", r"\|")
    line = _IN_MARKDOWN.sub(lambda found: _MARKDOWN.get(found[0], f"\\{found[0]}"), line)
    return _FIRST_IN_MARKDOWN.sub(r"\\", line)


def escape_cell(text: str) -> str:
    """Return text as a cell that a spreadsheet takes for text, and never for a formula."""
    line = escape_line(text)
    return f"'{line}" if _FORMULA.match(line) else line


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
