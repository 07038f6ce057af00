"""Every parser answers any input with a table or settings, or with a named error.

What once did harm stays as an `@example`.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from compress.config.loading import read_settings
from compress.config.recipe import load_recipe
from compress.data.formats.delimited import read_delimited
from compress.data.reading import read_file
from compress.data.table import require_whole_characters
from compress.errors import EdgepressError, RecipeError

_BOUNDED = settings(max_examples=60, deadline=10_000, derandomize=True)

_CELLS = st.text(st.sampled_from('ab ,;\t"\n\r\0\x0b\x85\u2028=é'), max_size=8)
_NAMES = ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def rows_of(path: Path) -> int | None:
    """Return the rows that are read; None where the file is refused."""
    try:
        table = read_file(path)
        require_whole_characters(table)
    except EdgepressError:
        return None
    assert all(len(cells) == len(table) for cells in table.columns.values())
    return len(table)


@_BOUNDED
@example([('"lone', "a"), ("b\x85c", "d"), ('"', "e")], "\t")
@example([("a\u2028b", ""), ('"', '""')], ",")
@example([("a;b", 'say "hi"'), ("line 1\nline 2", "tab\there")], ";")
@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1), st.sampled_from([",", ";", "\t"]))
def test_rows_that_csv_writes_are_read_or_refused(
    rows: list[tuple[str, str]], separator: str
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=separator).writerows([("text", "label"), *rows])
    path = Path("a.tsv" if separator == "\t" else "a.csv")
    try:
        table = read_delimited(path, written.getvalue())
    except EdgepressError:
        return
    literal = separator == "\t" and '"' in written.getvalue()  # in TSV, quotes may be text
    if not literal:
        assert list(table.columns["text"]) == [text or None for text, _ in rows]
        assert list(table.columns["label"]) == [label or None for _, label in rows]
    if not (literal and any(end in cell for row in rows for cell in row for end in "\r\n")):
        assert len(table) == len(rows)


@_BOUNDED
@example(['"film good', "b", '"film bad'])
@example(['"text'] * 6)
@example(["a\x85b", '"never closed'])
@given(st.lists(_CELLS.map(lambda cell: cell.replace("\n", " ").replace("\r", " ")), min_size=1))
def test_lines_of_two_cells_are_rows_or_refused(cells: list[str]) -> None:
    lines = [f"{cell.replace(',', '')},x{i}" for i, cell in enumerate(cells)]
    assume(not any('",' in line for line in lines))  # it may close a quote of a line above
    try:
        table = read_delimited(Path("a.csv"), "\n".join(["text,label", *lines]))
    except EdgepressError:
        return
    assert len(table) == len(cells)


@_BOUNDED
@example("a.json", b"[" * 100_000)
@example("a.jsonl", b"[" * 100_000)
@example("a.json", b'[{"text": ' + b"9" * 5000 + b"}]")
@example("a.csv", "text,label\na,b\n".encode("utf-16-le"))
@example("a.csv", b"\xff\xfea")
@example("a.tsv", b"\x1f\x8b\x08\x00")
@example("a.jsonl", rb'{"text": "\ud83d"}')
@given(st.sampled_from(_NAMES), st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_a_table_or_an_error(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.write_bytes(content)
    rows_of(path)


@_BOUNDED
@given(st.lists(st.dictionaries(st.text(max_size=4), _VALUES, max_size=3), min_size=1), st.data())
def test_records_are_read_or_refused(
    folder: Path, records: list[dict[str, Any]], data: st.DataObject
) -> None:
    lines = "\n".join(json.dumps(record) for record in records)
    for name, content in (("a.json", json.dumps(records)), ("a.jsonl", lines)):
        path = folder / name
        path.write_text(content, "utf-8")
        assert rows_of(path) in (len(records), None)
        start = data.draw(st.integers(0, len(content)))
        path.write_text(content[:start] + content[start + data.draw(st.integers(1, 4)) :], "utf-8")
        rows_of(path)


@_BOUNDED
@given(
    st.text(st.sampled_from("a:-[]{}&*!|>%@'\"#\n ,0129.~=<?\t"), max_size=40)
    | _VALUES.map(lambda value: json.dumps({"distill": value, "seed": value}))
    | st.binary(max_size=30).map(lambda raw: raw.decode("latin-1"))
)
def test_a_recipe_is_read_or_refused(folder: Path, text: str) -> None:
    path = folder / "recipe.yaml"
    path.write_text(text, "utf-8")
    for overrides, given_path in (([], path), ([f"seed={text}"], None)):
        try:
            load_recipe(given_path, overrides)
        except EdgepressError:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(
            [
                "a0: &a0 [x, x]",
                *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)),
            ]
        ),
        "seed: " + "[" * 90_000,
        "seed: " + "9" * 5_000,
        "seed: !!int ''",
        "seed: !!bool x",
        "seed: !!timestamp x",
        "seed: 2020-13-45",
        "? [a]\n: b",
        "1: 2",
        "x" * 200_000,
    ],
    ids=range(10),
)
def test_recipes_that_once_did_harm(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert len(str(caught.value)) < 1000


def test_a_recipe_is_a_regular_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no regular file"):
        read_settings("recipe", tmp_path)
