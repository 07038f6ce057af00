"""`edgepress predict` in a pipeline: a line out for each line in, whatever stands in it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_artifact import write_tiny

from compress.cli.app import main
from runtimes import load
from runtimes.tokenization import Tokenizer


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("predict") / "artifact")


def predicted(artifact: Path, text: str, monkeypatch: Any, capfd: Any) -> list[str]:
    """The lines that stdin with `text` gives."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()), newline="\n"))
    assert main(["predict", str(artifact)]) == 0
    return capfd.readouterr().out.split("\n")[:-1]


def test_ends_of_lines_and_marks_of_files_are_no_text(
    artifact: Path, monkeypatch: Any, capfd: Any
) -> None:
    plain = predicted(artifact, "dull\ngorgeous\n", monkeypatch, capfd)
    assert predicted(artifact, "\ufeffdull\r\ngorgeous\r\n", monkeypatch, capfd) == plain
    assert predicted(artifact, "dull\ngorgeous", monkeypatch, capfd) == plain
    with load(artifact) as predict:
        assert [line.split("\t")[0] for line in plain] == [
            predict(text)[0]["label"] for text in ("dull", "gorgeous")
        ]


def test_a_line_for_each_line(artifact: Path, monkeypatch: Any, capfd: Any) -> None:
    text = "\ndull\n\n  \t\r\na\x0bb\x85c\u2028d\x1ce\n\n"
    lines = predicted(artifact, text, monkeypatch, capfd)
    assert [bool(line) for line in lines] == [False, True, False, False, True, False]
    assert lines[4].endswith(r"a\x0bb\x85c\u2028d\x1ce")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["predict", str(artifact), "--json"]) == 0
    answers = [json.loads(line) for line in capfd.readouterr().out.split("\n")[:-1]]
    assert [answer and answer["text"] for answer in answers] == [
        None, "dull", None, None, "a\x0bb\x85c\u2028d\x1ce", None,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n", " \r\n\n", "\ufeff"])
def test_nothing_to_label_is_said(artifact: Path, text: str, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["predict", str(artifact)]) == 2
    assert "there is no text" in capfd.readouterr().err


def test_labels_and_texts_forge_no_line_and_move_no_cursor(tmp_path: Path, capfd: Any) -> None:
    labels = ("\x1b[2J\nglad\t1.0000", "a\tb", "\x9b31m")
    artifact = write_tiny(tmp_path / "artifact", labels)
    assert main(["predict", str(artifact), "dull\x1b[1A\x07", "gorgeous\tfilm"]) == 0
    lines = capfd.readouterr().out.split("\n")[:-1]
    assert [line.count("\t") for line in lines] == [2, 2]
    assert all(character.isprintable() or character == "\t" for line in lines for character in line)
    assert {line.split("\t")[0] for line in lines} <= {
        r"\x1b[2J\nglad\t1.0000", r"a\tb", r"\x9b31m",
    }  # fmt: skip
    assert [line.split("\t")[2] for line in lines] == [r"dull\x1b[1A\x07", "gorgeous film"]


def test_of_pairs_both_texts_are_columns(tmp_path: Path, capfd: Any) -> None:
    artifact = write_tiny(tmp_path / "artifact", pairs=True)
    assert main(["predict", str(artifact), "dull\tfilm\tx"]) == 0
    assert capfd.readouterr().out.split("\t")[2:] == ["dull", "film\\tx\n"]


def asked(capfd: Any, *arguments: Any) -> str:
    """What a command that succeeds writes."""
    assert main(["predict", *map(str, arguments)]) == 0
    return str(capfd.readouterr().out)


def refused(capfd: Any, *arguments: Any) -> str:
    """What a command that is refused says."""
    assert main(["predict", *map(str, arguments)]) in (1, 2)
    written = capfd.readouterr()
    assert written.out == ""
    return str(written.err)


def test_the_best_answers_may_be_asked_for(artifact: Path, capfd: Any) -> None:
    with load(artifact) as predict:
        [expected] = predict(["dull"], top_k=2)
    lines = asked(capfd, artifact, "dull", "--top-k", "2").splitlines()
    assert [line.split("\t") for line in lines] == [
        [each["label"], f"{each['score']:.4f}", "dull"] for each in expected
    ]
    answers = json.loads(asked(capfd, artifact, "dull", "--top-k", "2", "--json"))
    assert answers == [{"text": "dull", **each} for each in expected]
    assert asked(capfd, artifact, "dull", "--top-k", "1") == asked(capfd, artifact, "dull")


def test_csv_has_a_header_and_numbers_the_texts(
    artifact: Path, monkeypatch: Any, capfd: Any
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('dull\n\n=1+1, "a"\n'))
    rows = list(csv.reader(asked(capfd, artifact, "--format", "CSV").splitlines()))
    assert rows[0] == ["row", "label", "score", "text"]
    assert [(row[0], row[3]) for row in rows[1:]] == [("1", "dull"), ("3", '\'=1+1, "a"')]
    assert all(0 < float(row[2]) < 1 for row in rows[1:])


def test_texts_come_from_a_table_or_a_file_of_lines(
    artifact: Path, tmp_path: Path, capfd: Any
) -> None:
    texts = ["dull", "gorgeous\tfilm", "a\nfilm", " "]
    table = tmp_path / "reviews.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "Review"), *enumerate(texts)])
    lines = asked(capfd, artifact, "--file", table, "--json").splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer and answer["text"] for answer in answers] == [
        "dull", "gorgeous film", "a\nfilm", None,
    ]  # fmt: skip
    named = asked(capfd, artifact, "--file", table, "--text-column", "review", "--json")
    assert [json.loads(line) for line in named.splitlines()] == answers
    for batch_size in (2, 50):
        many = asked(capfd, artifact, "--file", table, "--json", "--batch-size", str(batch_size))
        assert [json.loads(line)["label"] for line in many.splitlines()[:3]] == [
            answer["label"] for answer in answers[:3]
        ]
    plain = tmp_path / "reviews.txt"
    plain.write_text("dull\ngorgeous\n")
    assert asked(capfd, artifact, "--file", plain) == asked(capfd, artifact, "dull", "gorgeous")
    words = tmp_path / "words.jsonl"
    words.write_text('{"tokens": ["dull", "film"], "tags": [0, 1]}\n')
    assert asked(capfd, artifact, "--file", words) == asked(capfd, artifact, "dull film")
    assert "no column 'txt'" in refused(capfd, artifact, "--file", table, "--text-column", "txt")
    assert "there is no such file" in refused(capfd, artifact, "--file", tmp_path / "none.csv")


def test_of_a_table_of_pairs_both_columns_are_read(tmp_path: Path, capfd: Any) -> None:
    artifact = write_tiny(tmp_path / "artifact", pairs=True)
    table = tmp_path / "pairs.tsv"
    table.write_text("sentence1\tsentence2\ndull\tfilm\nfilm\t\n")
    first, second = asked(capfd, artifact, "--file", table).split("\n")[:-1]
    assert first + "\n" == asked(capfd, artifact, "dull\tfilm")
    assert second == ""
    header = asked(capfd, artifact, "--file", table, "--format", "csv").splitlines()[0]
    assert header == "row,label,score,text,text_pair"
    table.write_text("a\tb\ndull\tfilm\n")
    assert "no first text column found" in refused(capfd, artifact, "--file", table)
    named = asked(capfd, artifact, "--file", table, "--text-column", "a", "--pair-column", "b")
    assert named.split("\n")[0] == first


def test_what_cannot_be_meant_is_refused(artifact: Path, tmp_path: Path, capfd: Any) -> None:
    table = tmp_path / "reviews.csv"
    table.write_text("text\ndull\n")
    said = refused(capfd, artifact, str(table))
    assert f"{table} is a file, not a text" in said
    assert f"edgepress predict {artifact} --file {table}" in said
    assert "did you mean jsonl?" in refused(capfd, artifact, "dull", "--format", "jsnl")
    assert "give one of the two" in refused(capfd, artifact, "dull", "--format", "csv", "--json")
    assert "give one of the two" in refused(capfd, artifact, "dull", "--file", str(table))
    said = refused(capfd, artifact, "dull", "--text-column", "text")
    assert "columns of --file, which is missing" in said
    assert len(asked(capfd, artifact, "x" * 5000, "a\0b").splitlines()) == 2  # no names of files


@pytest.mark.skipif(os.name == "nt", reason="a pipe that stays open")
def test_a_line_is_answered_before_the_next_one_comes(artifact: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "predict", str(artifact)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("dull", "gorgeous"):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            assert process.stdout.readline().endswith(f"\t{text}\n")
        process.stdin.close()
        assert process.wait() == 0


COMMAND = (sys.executable, "-m", "edgepress")
NO_UTF8 = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("typed", [True, False])
def test_texts_are_utf8_whatever_the_locale_says(artifact: Path, typed: bool) -> None:
    text = "gorgeous é 猫"
    done = subprocess.run(
        [*COMMAND, "predict", str(artifact), "--json", *([text] if typed else [])],
        input=b"" if typed else text.encode(),
        env={**os.environ, **NO_UTF8},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["text"] == text
    assert done.stderr == b""


def test_what_is_not_utf8_is_refused(artifact: Path, monkeypatch: Any, capfd: Any) -> None:
    assert main(["predict", str(artifact), "dull", "a\udcff"]) == 1
    assert r"'a\udcff' is not UTF-8" in capfd.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"dull\na\xff\n")))
    assert main(["predict", str(artifact)]) == 1
    assert "standard input is not UTF-8" in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a shell's redirections")
@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("predict artifact < big | head -n 1", 0, True, ""),
        ("predict artifact <&-", 2, False, "there is no text"),
        ("recipe >&-", 0, False, ""),
        ("recipe nonsense <&- >&- 2>&-", 2, False, ""),
        ("recipe > /dev/full", 1, False, "No space left on device"),
    ],
)
def test_streams_may_be_closed_full_or_left(
    artifact: Path, command: str, code: int, out: bool, err: str
) -> None:
    (artifact.parent / "big").write_text("a gorgeous , witty film\n" * 3000)
    script = f'"$0" -m edgepress {command}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=artifact.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, bool(done.stdout)) == (code, out)
    assert "Traceback" not in done.stderr
    assert err in done.stderr
    assert bool(err) == bool(done.stderr)


def test_texts_are_tokenized_once(artifact: Path, monkeypatch: Any, capfd: Any) -> None:
    read: list[Any] = []
    for name in ("encode_one", "rows", "truncated"):
        real = getattr(Tokenizer, name)

        def noted(self: Any, inputs: Any, *args: Any, real: Any = real, **options: Any) -> Any:
            read.append(inputs)
            return real(self, inputs, *args, **options)

        monkeypatch.setattr(Tokenizer, name, noted)
    assert main(["predict", str(artifact), "film " * 40, "dull"]) == 0
    assert "1 of 2 texts were cut to 16 tokens" in capfd.readouterr().err
    assert sum("dull" in inputs for inputs in read) == 1
