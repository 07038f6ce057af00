"""Every kind of source gives the same tables, and every broken file says where it is broken."""

import csv
import json
import os
import shlex
from pathlib import Path

import pytest

from compress.data.reading import read_file, read_tables
from compress.data.sources import locate
from compress.errors import DataError

ROWS = [
    {"text": "turn it up, please", "label": "louder"},
    {"text": 'she said "no"', "label": "quieter"},
    {"text": "null", "label": "louder"},
    {"text": "007", "label": "quieter"},
    {"text": "2020-01-01", "label": "louder"},
    {"text": "grüße 🙂 こんにちは", "label": "quieter"},
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def as_csv(separator: str) -> str:
    quoted = ['"' + row["text"].replace('"', '""') + '"' + separator + row["label"] for row in ROWS]
    return "\n".join([f"text{separator}label", *quoted]) + "\n"


def write_parquet(path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("extension", ["csv", "tsv", "json", "data.json", "lines.json", "jsonl"])
def test_text_formats_give_the_same_rows(tmp_path: Path, extension: str) -> None:
    content = {
        "csv": as_csv(","),
        "tsv": as_csv("\t"),
        "json": json.dumps(ROWS),
        "data.json": json.dumps({"version": 1, "data": ROWS}),
        "lines.json": "\n".join(json.dumps(row) for row in ROWS),
        "jsonl": "\n".join(json.dumps(row) for row in ROWS) + "\n\n",
    }[extension]
    table = read_file(write(tmp_path / f"some.{extension}", content))
    assert table.columns == {
        "text": [row["text"] for row in ROWS],
        "label": [row["label"] for row in ROWS],
    }


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    table = read_file(write_parquet(tmp_path / "some.parquet"))
    assert list(table.columns["text"]) == [row["text"] for row in ROWS]


def test_parquet_without_rows_is_empty(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="no data rows"):
        read_file(tmp_path / "none.parquet")


def test_glob_characters_in_a_path_are_literal(tmp_path: Path) -> None:
    folder = tmp_path / "run [1]*"
    folder.mkdir()
    assert len(read_file(write(folder / "a.csv", as_csv(",")))) == len(ROWS)


def test_byte_order_mark_semicolons_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(b"\xef\xbb\xbftext;label\r\nhello, you;a\r\nbye;b\r\n")
    table = read_file(path)
    assert table.columns == {"text": ["hello, you", "bye"], "label": ["a", "b"]}


def test_a_separator_at_the_end_of_each_line_moves_no_cell(tmp_path: Path) -> None:
    table = read_file(write(tmp_path / "a.csv", "text,label,\na,x,\nb,y,\n"))
    assert (table.columns["text"], table.columns["label"]) == (["a", "b"], ["x", "y"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_text_with_a_byte_order_mark_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "unicode.csv"
    path.write_bytes("text\tlabel\r\n映画, good\ta\r\nbye\tb\r\n".encode(encoding))
    assert read_file(path).columns == {"text": ["映画, good", "bye"], "label": ["a", "b"]}


def test_a_first_line_may_name_the_separator(tmp_path: Path) -> None:
    path = write(tmp_path / "excel.csv", "sep=|\r\ntext|label\r\na,b|x\r\nc|y|z\r\n")
    with pytest.raises(DataError, match="line 4 has 3 cells"):
        read_file(path)
    path = write(path, "sep=;\ntext;label\na,b;x\n")
    assert read_file(path).columns == {"text": ["a,b"], "label": ["x"]}


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("row", ['{"text": "so \\ud83d", "label": "a"}', '{"x": ["b\\udc00"]}'])
def test_half_characters_are_refused_with_their_rows(tmp_path: Path, name: str, row: str) -> None:
    rows = ['{"text": "ok \\ud83d\\ude00", "label": "a"}', row, row]
    content = f"[{','.join(rows)}]" if name == "a.json" else "\n".join(rows)
    with pytest.raises(DataError, match=r"data row 2, 3: text holds half of a character"):
        read_tables(write(tmp_path / name, content))
    assert len(read_tables(write(tmp_path / name, rows[0]))["all"]) == 1


def test_columns_that_are_not_used_may_be_of_any_type(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    extra = pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64()))
    table = pa.table({"text": ["a", "b"], "extra": extra, "label": [0, 1]})
    pq.write_table(table, tmp_path / "map.parquet")
    columns = read_file(tmp_path / "map.parquet").columns
    # As they are: who names it for the text is told what it holds, not that it is empty.
    assert columns == {"text": ["a", "b"], "extra": [[("a", 1)], []], "label": [0, 1]}


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("loop.csv", "gone.csv"):
        with pytest.raises(DataError, match=rf"{name}: a link that leads to no file"):
            locate(str(tmp_path / name))
    for path in (str(tmp_path / "pipe.csv"), "/dev/null"):
        with pytest.raises(DataError, match="a device, pipe or socket"):
            locate(path)


def test_lone_quotes_in_tsv_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "glue.tsv", 'sentence\tlabel\n"hello there\t0\nbye "\t1\n"a" b\t0\n')
    assert read_file(path).columns["sentence"] == ['"hello there', 'bye "', '"a" b']


def test_header_cells_without_a_name_or_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "index.csv", ",text,text,label\n0,a,b,x\n1,c,d,y\n")
    assert list(read_file(path).columns) == ["column 1", "text", "text (3)", "label"]


def test_empty_cells_short_rows_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n\na,\n" ",b\n \t\nc\n"",d\n"e\r\nf",NA')
    assert read_file(path).columns == {
        "text": ["a", " ", "c", None, "e\r\nf"],
        "label": [None, "b", None, "d", "NA"],
    }


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.csv", b"", ["empty.csv", "empty"]),
        ("blank.json", b" \n \n", ["blank.json", "empty"]),
        ("header.csv", b"text,label\n", ["header.csv", "no data rows"]),
        ("none.json", b"[]", ["none.json", "no data rows"]),
        (
            "latin.csv",
            b"text,label\nok,a\ncaf\xe9,b\n",
            ["latin.csv", "0xe9", "offset 19", "line 3"],
        ),
        ("bom.csv", b"\xef\xbb\xbftext,label\ncaf\xe9,b\n", ["0xe9", "offset 17", "line 2"]),
        (
            "first.csv",
            b"text,label\na, b,x\nc,y\n",
            ["first.csv", "line 2", "3 cells", "text, label"],
        ),
        ("later.csv", b"text,label\na,x\nb,y\nc, d,x\n", ["later.csv", "line 4", "3 cells"]),
        ("in.csv", b'text,label\n"a\nb",x\nc, d,x\n', ["in.csv", "line 4", "3 cells"]),
        ("open.csv", b'text,label\na,x\n"b,y\nc,x\n', ["open.csv", "never closed", "line 3"]),
        (
            "broken.jsonl",
            b'{"text": "a"}\n{"text": \n',
            ["broken.jsonl", "line 2", "not valid JSON"],
        ),
        ("broken.json", b'[{"text": "a"},\n{"text" "b"}]', ["broken.json", "line 2", "column 9"]),
        ("scalar.json", b'[{"text": "a"}, "b"]', ["scalar.json", "record 2", "not an object"]),
        ("squad.json", b'{"text": ["a", "b"]}', ["squad.json", "'data'"]),
        ("deep.json", b"[" * 100_000, ["deep.json", "nested too deeply"]),
        ("deep.jsonl", b'{"text": "a"}\n' + b"[" * 100_000, ["line 2", "nested too deeply"]),
        ("long.json", b"[" + b"9" * 5000 + b"]", ["long.json", "a number too long"]),
        ("long.jsonl", b'{"label": ' + b"9" * 5000 + b"}", ["line 1", "a number too long"]),
        ("packed.csv", b"\x1f\x8b\x08\x00", ["packed.csv", "gzip"]),
        ("sheet.csv", b"PK\x03\x04rest", ["sheet.csv", "Excel workbook"]),
        ("mark.csv", b"\xff\xfea", ["mark.csv", "UTF-16"]),
        ("wide.csv", "text,label\na,b\n".encode("utf-16-le"), ["wide.csv", "looks like UTF-16"]),
        ("sep.csv", b"sep=;\n", ["sep.csv", "no data rows"]),
        ("kana.csv", "text,label\n映画,b\n".encode("shift-jis"), ["not UTF-8", "line 2"]),
        ("fake.parquet", b"text,label\na,b\n", ["fake.parquet", "Parquet"]),
    ],
)
def test_broken_files_are_named_with_the_place(
    tmp_path: Path, name: str, content: bytes, expected: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_file(path)
    assert all(words in caught.value.message for words in expected), caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a b.csv", "$HOME.csv", "it's.csv", "`id`.tsv"])
@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-16-le", "UTF-16LE"), ("iso2022_jp", "ISO-2022-JP"), ("shift-jis", "SHIFT_JIS")],
)
def test_the_command_that_converts_a_file_can_be_pasted(
    tmp_path: Path, name: str, encoding: str, named: str
) -> None:
    path = tmp_path / name
    path.write_bytes("text,label\n映画,b\n".encode(encoding))
    with pytest.raises(DataError) as caught:
        read_file(path)
    hint = str(caught.value.hint)
    assert f" {named}" in hint
    assert ("WINDOWS-1252" in hint) == (encoding == "shift-jis")  # which leaves several open
    typed = shlex.split(hint[hint.index("-t ") :])
    assert typed == ["-t", "UTF-8", str(path), ">", f"utf8{path.suffix}"]


@pytest.mark.parametrize("validation", ["validation", "valid", "val", "dev"])
def test_a_folder_is_read_by_its_file_names(tmp_path: Path, validation: str) -> None:
    for name in ("test.tsv", f"{validation}.tsv", "Train.tsv"):
        write(tmp_path / name, as_csv("\t"))
    write(tmp_path / "README.md", "not data")
    assert list(read_tables(str(tmp_path))) == ["train", "validation", "test"]


def test_shards_are_joined_in_order(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(2):
        write(tmp_path / "data" / f"train-0000{i}-of-00002.csv", f"text,label\nt{i},a\n")
    tables = read_tables(str(tmp_path))
    assert tables["train"].columns["text"] == ["t0", "t1"]


def test_a_dataset_saved_to_disk_is_read(tmp_path: Path) -> None:
    import datasets

    data = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"train": data, "dev": data}).save_to_disk(tmp_path / "saved")
    data.save_to_disk(tmp_path / "single")
    assert list(read_tables(str(tmp_path / "saved"))) == ["train", "validation"]
    assert list(read_tables(str(tmp_path / "single"))) == ["all"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "empty"),
        (["notes.md"], "notes.md"),
        (["train.csv", "train.json"], "several files for the train split"),
        (["a.csv", "b.csv"], "a.csv, b.csv"),
    ],
)
def test_folders_that_say_nothing_are_refused(
    tmp_path: Path, names: list[str], expected: str
) -> None:
    for name in names:
        write(tmp_path / name, "text,label\na,b\n")
    with pytest.raises(DataError, match=expected):
        locate(str(tmp_path))


def test_sources_that_do_not_exist(tmp_path: Path) -> None:
    write(tmp_path / "reviews.csv", "text,label\n")
    with pytest.raises(DataError) as caught:
        locate(str(tmp_path / "review.csv"))
    assert caught.value.hint == f"Did you mean {tmp_path / 'reviews.csv'}?"
    with pytest.raises(DataError, match="No such file"):
        locate("./nowhere")
    write(tmp_path / "table.xlsx", "x")
    with pytest.raises(DataError, match=r"\.xlsx"):
        locate(str(tmp_path / "table.xlsx"))


@pytest.mark.parametrize("source", ["imdb", "stanfordnlp/sst2", "nyu-mll/glue:sst2"])
def test_other_names_are_hub_datasets(source: str) -> None:
    assert locate(source).hub == source


def test_an_unreachable_hub_dataset_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[tuple[str, str | None]] = []

    def refuse(repository: str, config: str | None) -> None:
        asked.append((repository, config))
        raise ConnectionError("Couldn't reach the Hub\nlong explanation")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"'owner/name' is no file or folder here.*Couldn't reach"):
        read_tables("owner/name:part")
    assert asked == [("owner/name", "part")]


def test_hub_splits_are_named_by_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    data = datasets.Dataset.from_list(
        [{"text": "a", "label": 0}, {"text": "b", "label": 1}],
        features=datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
        ),
    )
    splits = datasets.DatasetDict({"train": data, "validation_matched": data, "extra": data})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: splits)
    tables = read_tables("owner/name")
    assert list(tables) == ["train", "validation"]
    assert tables["train"].class_names == {"label": ("no", "yes")}


def test_nothing_is_left_behind_and_bars_come_back(tmp_path: Path) -> None:
    import datasets

    datasets.enable_progress_bars()
    path = write(tmp_path / "a.csv", as_csv(","))
    limit = csv.field_size_limit()
    read_file(path)
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    read_tables(tmp_path / "saved")
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "saved"]
    assert datasets.are_progress_bars_disabled() is False
    assert csv.field_size_limit() == limit
