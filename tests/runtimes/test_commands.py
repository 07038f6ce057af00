"""The commands of a device: what they print, and how they end."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_artifact import write_tiny

from runtimes import load
from runtimes.commands import COMMANDS, main


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("device") / "artifact")


@pytest.fixture(scope="module")
def for_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("pairs") / "artifact", pairs=True)


def typed(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it on standard input."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))


def test_predict_answers_as_load_does(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["a gorgeous film", "dull , dull"]
    with load(artifact) as classify:
        wanted = classify(texts)
    assert main(["predict", str(artifact), *texts]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(label, text) for label, _, text in lines] == [
        (one["label"], text) for one, text in zip(wanted, texts, strict=True)
    ]
    # Options may stand anywhere.
    assert main(["predict", str(artifact), "--json", *texts]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["score"] for one in found] == pytest.approx([one["score"] for one in wanted])


def test_predict_reads_lines(
    artifact: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(b"a film\r\n\ndull\tfilm\x1b[2J", monkeypatch)
    assert main(["predict", str(artifact)]) == 0
    first, blank, last = capsys.readouterr().out.splitlines()
    assert first.endswith("\ta film")
    assert blank == ""
    assert last.endswith("\tdull film\\x1b[2J")
    typed(b"caf\xe9\n", monkeypatch)
    assert main(["predict", str(artifact)]) == 1
    assert "standard input is not UTF-8" in capsys.readouterr().err


def test_predict_takes_pairs(for_pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with load(for_pairs) as classify:
        [wanted] = classify([("a film", "dull")])
    assert main(["predict", str(for_pairs), "a film\tdull", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == wanted["label"]


def test_inspect_ends_with_1_where_a_file_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = write_tiny(tmp_path / "artifact")
    assert main(["inspect", str(artifact)]) == 0
    whole = capsys.readouterr().out
    assert "text-classification: sad, fine, glad" in whole
    assert "as listed   tokenizer.json" in whole
    (artifact / "tokenizer.json").write_text("{}")
    assert main(["inspect", str(artifact), "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["files"]["tokenizer.json"]["state"] == "changed"
    assert "tokenizer.json" in captured.err


def test_doctor_shows_what_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "onnxruntime    cpu: CPUExecutionProvider" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"numpy", "tokenizers", "onnxruntime"} <= found["versions"].keys()
    assert any(one["available"] for one in found["devices"])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"python -m runtimes {name}" in capsys.readouterr().out


def test_unknown_options_are_refused(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["predict", str(artifact), "x", "--jsn"], ["check", str(artifact), "more"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    assert "unrecognized arguments: more" in capsys.readouterr().err
