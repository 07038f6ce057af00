"""Pre-training on plain text: from nothing and from a checkpoint, with and without pairs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.cli import main
from compress.errors import DataError
from compress.finetune.pretraining import _features, _Masking, read_documents
from compress.finetune.scratch import train_tokenizer

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "the",
    "dog",
    "ran",
    "to",
    "a",
    "red",
    "house",
]


def sentences(count: int, seed: int) -> list[str]:
    """Each word is followed by one of two: there is something to learn."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        place, words = int(rng.integers(len(WORDS))), []
        for _ in range(int(rng.integers(5, 12))):
            words.append(WORDS[place])
            place = (place + int(rng.integers(1, 3))) % len(WORDS)
        found.append(" ".join(words))
    return found


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    lines = sentences(400, seed=0)
    path.write_text("\n\n".join("\n".join(lines[i : i + 4]) for i in range(0, 400, 4)))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp"])
def test_an_encoder_from_nothing_learns_the_text(
    objective: str, text: Path, task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, here = tmp_path / "out", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    command = ["train", "bert-tiny", "--objective", objective, "--data", str(text)]
    command += ["--out", str(out), "--epochs", "4", "--learning-rate", "3e-3"]
    assert main([*command, "vocabulary=100", "max_length=32"]) == 0
    record = json.loads((out / "training.json").read_text())
    found = record["perplexity"]
    assert found["after"] < 0.5 * found["before"]
    assert list((out / ".training" / "runs").iterdir())
    assert not list(here.iterdir()), "nothing is written where the command is called"
    assert main([*command, "vocabulary=100", "max_length=32"]) == 0, "it resumes, and is done"
    if objective == "mlm":
        return
    # What was learnt is what a task begins with.
    done = ["train", str(out), "--data", str(task.data), "--out", str(tmp_path / "teacher")]
    assert main([*done, "--epochs", "1"]) == 0
    assert (tmp_path / "teacher" / "model.safetensors").is_file()


def test_tokens_are_masked_by_berts_rule() -> None:
    tokenizer = train_tokenizer(sentences(50, seed=1), 100, 32)
    masking = _Masking(tokenizer, seed=0)
    asked, masked, kept, total = 0, 0, 0, 0
    for line in sentences(400, seed=2):
        ids = tokenizer(line)["input_ids"]
        batch = masking([{"input_ids": ids}])
        labels, given = batch["labels"][0].numpy(), batch["input_ids"][0].numpy()
        chosen = labels != -100
        assert (given[~chosen] == np.array(ids)[~chosen]).all()
        assert (labels[chosen] == np.array(ids)[chosen]).all()
        assert not chosen[[0, -1]].any(), "special tokens are not asked for"
        asked, total = asked + chosen.sum(), total + len(ids) - 2
        masked += (given[chosen] == tokenizer.mask_token_id).sum()
        kept += (given[chosen] == np.array(ids)[chosen]).sum()
    assert asked / total == pytest.approx(0.15, abs=0.02)
    assert masked / asked == pytest.approx(0.8, abs=0.06)
    assert kept / asked == pytest.approx(0.1, abs=0.05)


def test_held_out_text_is_masked_once() -> None:
    tokenizer = train_tokenizer(sentences(50, seed=1), 100, 32)
    feature = {"input_ids": tokenizer("the cat sat on a mat")["input_ids"]}
    one, other = (_Masking(tokenizer, seed=3).masked(feature) for _ in range(2))
    assert one == other
    assert any(label != -100 for label in one["labels"])
    batch = _Masking(tokenizer, seed=4)([one, one])
    assert batch["labels"].tolist() == [one["labels"]] * 2


def test_text_of_which_nothing_is_known_is_left_out() -> None:
    tokenizer = train_tokenizer(sentences(50, seed=0), 200, 64)
    documents = [[sentence] for sentence in sentences(60, seed=1)] + [["\U0001f600"]] * 60
    train, held_out = _features(documents, tokenizer, 64, "mlm", seed=0)
    assert len(train) + len(held_out) == 60
    assert all(_Masking(tokenizer, 0).masked(feature) for feature in held_out)
    with pytest.raises(DataError, match="knows no word"):
        _features([["\U0001f600"]] * 60, tokenizer, 64, "mlm", seed=0)


def test_of_one_long_document_a_part_is_held_out() -> None:
    tokenizer = train_tokenizer(sentences(50, seed=1), 100, 32)
    numbered = [f"the cat {'sat ' * i}on a mat" for i in range(200)]
    for objective in ("mlm", "mlm+nsp"):
        train, held_out = _features([numbered], tokenizer, 512, objective, seed=0)
        learnt = {tuple(feature["input_ids"]) for feature in train}
        assert held_out
        if objective == "mlm":
            assert len(train) + len(held_out) == 200
        assert not any(tuple(feature["input_ids"]) in learnt for feature in held_out)


def test_documents_are_read(text: Path, tmp_path: Path) -> None:
    documents = read_documents(str(text))
    assert [len(document) for document in documents] == [4] * 100
    table = tmp_path / "table.csv"
    table.write_text("text,other\n" + "".join(f"line {i},x\n" for i in range(30)))
    assert read_documents(str(table))[0] == ["line 0"]
    short = tmp_path / "short.txt"
    short.write_text("one\ntwo\n")
    with pytest.raises(DataError, match="too few"):
        read_documents(str(short))


def test_what_does_not_exist_is_refused(
    text: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "bert-tiny", "--data", str(text), "--out", str(tmp_path / "out")]
    assert main([*command, "--objective", "clm"]) == 2
    assert "mlm+nsp" in capfd.readouterr().err


def test_a_vocabulary_in_another_script() -> None:
    tokenizer = train_tokenizer(["\u4eca\u5929\u5929\u6c14 good", "\u4eca\u5929"], 100, 32)
    tokens = tokenizer.tokenize("\u4eca\u5929 Good")
    assert tokens == ["\u4eca", "\u5929", "good"]
