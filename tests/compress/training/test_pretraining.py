"""Pre-training on plain text: from nothing and from a checkpoint, with and without pairs."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.cli.app import main
from compress.errors import DataError, ModelError, UsageError
from compress.system.progress import SilentProgress
from compress.training.pretraining import _features, _Masking, _pairs, pretrain, read_documents
from compress.training.scratch import train_tokenizer
from compress.training.settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("single_precision")

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


@pytest.mark.slow
def test_accumulated_batches_count_as_their_mean(text: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(
        epochs=1, batch_size=8, accumulate=4, learning_rate=1e-5, vocabulary=100, max_length=32
    )
    out = tmp_path / "out"
    pretrain(*("bert-tiny", str(text), out, settings), objective="mlm", progress=SilentProgress())
    words = json.loads((out / "config.json").read_text())["vocab_size"]
    history = json.loads((out / "training.json").read_text())["history"]
    # It has learnt next to nothing yet: all words are as likely.
    assert next(e["loss"] for e in history if "loss" in e) == pytest.approx(
        math.log(words), rel=0.1
    )


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["mlm", "mlm+nsp"])
def test_the_perplexity_is_that_of_masked_tokens_alone(
    objective: Any, text: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, BertForPreTraining

    settings = TrainingSettings(
        epochs=1, learning_rate=3e-3, vocabulary=100, max_length=32, freeze_embeddings=True
    )
    out = tmp_path / "out"
    done = pretrain(
        *("bert-tiny", str(text), out, settings), objective=objective, progress=SilentProgress()
    )
    tokenizer, model = AutoTokenizer.from_pretrained(out), BertForPreTraining.from_pretrained(out)
    _, held_out = _features(read_documents(str(text)), tokenizer, 32, objective, settings.seed)
    masking, losses = _Masking(tokenizer, settings.seed), []
    for feature in held_out:
        batch = masking([masking.masked(feature)])
        labels = batch.pop("labels")
        batch.pop("next_sentence_label", None)
        with torch.no_grad():
            scores = model.eval()(**batch).prediction_logits[labels != -100]
        losses += (-scores.log_softmax(-1))[range(len(scores)), labels[labels != -100]].tolist()
    assert done.perplexity[1] == pytest.approx(math.exp(np.mean(losses)), rel=0.03)
    record = json.loads((out / "training.json").read_text())
    assert record["perplexity"]["after"] == done.perplexity[1]
    looks = [entry for entry in record["history"] if "eval_loss" in entry]
    assert looks[-1]["eval_loss"] == min(entry["eval_loss"] for entry in looks)


@pytest.mark.slow
def test_a_base_is_learnt_on_in_float32_without_what_is_frozen(
    text: Path, task: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    base, out = task.save_bert(tmp_path / "base"), tmp_path / "out"
    given = {name: v.bfloat16() for name, v in load_file(base / "model.safetensors").items()}
    save_file(given, base / "model.safetensors", metadata={"format": "pt"})
    settings = TrainingSettings(
        epochs=1, learning_rate=1e-3, max_length=32, freeze_embeddings=True, freeze_layers=1
    )
    done = pretrain(
        *(str(base), str(text), out, settings), objective="mlm", progress=SilentProgress()
    )
    weights = load_file(out / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    same = {
        name
        for name, value in weights.items()
        if name in given and value.equal(given[name].float())
    }
    assert "bert.embeddings.word_embeddings.weight" in same
    assert "bert.encoder.layer.0.output.dense.weight" in same
    assert "bert.encoder.layer.1.output.dense.weight" not in same
    # A classifier's file has no head for masked words.
    [note] = done.notes
    assert "cls.predictions" in note
    assert json.loads((out / "training.json").read_text())["notes"] == [note]
    command = ["train", str(base), "--objective", "mlm", "--data", str(text), "--out", str(out)]
    command += ["epochs=1", "learning_rate=1e-3", "max_length=32"]
    assert main([*command, "freeze_embeddings=true", "freeze_layers=1"]) == 0  # it was finished
    assert f"note: {note}" in capfd.readouterr().err


def test_a_base_that_is_not_whole_is_refused(text: Path, task: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base, settings = task.save_bert(tmp_path / "base"), TrainingSettings(max_length=32)
    weights = load_file(base / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    for objective in ("mlm", "mlm+nsp"):
        with pytest.raises(ModelError, match=r"bert\.encoder\.layer\.1\.output\.dense\.weight"):
            pretrain(
                *(str(base), str(text), tmp_path / "out", settings),
                objective=objective,  # type: ignore[arg-type]
                progress=SilentProgress(),
            )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "setting",
    [
        {"metric": "accuracy"},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.1},
        {"augment": 1},
        {"unicode": "NFKC"},
        {"whitespace": False},
        {"missing": "drop"},
        {"duplicates": "keep"},
        {"freeze_layers": 9},
    ],
)
def test_settings_that_would_change_nothing_are_refused(
    setting: dict[str, Any], text: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        pretrain(
            *("bert-tiny", str(text), tmp_path / "out", TrainingSettings(**setting)),
            objective="mlm",
            progress=SilentProgress(),
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_between_its_end_and_its_record_it_trains_no_further(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainingSettings(epochs=1, learning_rate=3e-3, vocabulary=100, max_length=32)

    def run(out: str) -> Any:
        return pretrain(
            *("bert-tiny", str(text), tmp_path / out, settings),
            objective="mlm",
            progress=SilentProgress(),
        )

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    whole = run("whole")
    with monkeypatch.context() as patch:
        patch.setattr("compress.training.session.Session.save", killed)
        with pytest.raises(KeyboardInterrupt):
            run("parts")
    monkeypatch.setattr("transformers.Trainer.training_step", None)
    assert run("parts").perplexity == whole.perplexity
    files = [tmp_path / name / "model.safetensors" for name in ("whole", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_does_not_follow_is_neither_the_next_sentence_nor_the_same() -> None:
    def pairs(documents: list[list[str]], seed: int) -> list[tuple[str, str, int]]:
        found = list[tuple[str, str]]()

        def tokenizer(first: list[str], second: list[str], **_: Any) -> dict[str, Any]:
            found.extend(zip(first, second, strict=True))
            return {name: [[0]] * len(first) for name in ("input_ids", "token_type_ids")}

        labels = _pairs(documents, tokenizer, 8, random.Random(seed))
        return [
            (*pair, label["next_sentence_label"]) for pair, label in zip(found, labels, strict=True)
        ]

    following = {"a": "b", "b": "c"}
    drawn = [pair for seed in range(50) for pair in pairs([["a", "b", "c"]], seed)]
    assert {label for *_, label in drawn} == {0, 1}
    for one, other, label in drawn:
        assert (other == following[one]) == (label == 0)
        assert other != one
    assert {pair for seed in range(9) for pair in pairs([["a", "b"]], seed)} == {("a", "b", 0)}


def test_tokens_are_masked_by_berts_rule() -> None:
    tokenizer = train_tokenizer(sentences(50, seed=1), 100, 32)
    masking = _Masking(tokenizer, seed=0)
    asked, masked, kept, total = 0, 0, 0, 0
    texts = [tokenizer(line)["input_ids"] for line in sentences(400, seed=2)]
    batch = masking([{"input_ids": ids} for ids in texts])
    for ids, all_labels, all_given in zip(
        texts, batch["labels"].numpy(), batch["input_ids"].numpy(), strict=True
    ):
        assert (all_labels[len(ids) :] == -100).all(), "padding is not asked for"
        labels, given = all_labels[: len(ids)], all_given[: len(ids)]
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
    odd = tmp_path / "odd.txt"
    odd.write_text("a\u2028b\x85c\n" * 30, "utf-8")  # ends of lines to `str.splitlines`, not here
    assert read_documents(str(odd)) == [["a\u2028b\x85c"] * 30]
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
