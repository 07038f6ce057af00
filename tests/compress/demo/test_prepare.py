"""The demo's teacher is a standard checkpoint, made once and kept whole."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from compress.demo import DemoPaths, prepare
from compress.demo.bag_of_words import bag_of_words_accuracy
from compress.demo.grammar import Utterance, generate
from compress.demo.prepare import DATA, MODEL
from compress.demo.settings import TeacherSettings
from compress.demo.teacher import MODEL_FILES
from compress.errors import EdgepressError
from compress.system.progress import SilentProgress

SIZES = {"train": 640, "validation": 64, "test": 64}
TINY = TeacherSettings(
    layers=1, hidden_size=32, heads=2, intermediate_size=64, vocabulary=300, epochs=1.0
)


class Recorder(SilentProgress):
    """A progress that counts."""

    def __init__(self) -> None:
        self.steps = 0
        self.total = 0

    def track(self, description: str, total: int) -> "Recorder":
        self.total = total
        return self

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.steps += steps


def tiny(cache: Path, recorder: Recorder | None = None) -> DemoPaths:
    return prepare(cache, progress=recorder, sizes=SIZES, settings=TINY)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoPaths:
    return tiny(tmp_path_factory.mktemp("cache"))


def test_the_checkpoint_is_what_transformers_expects(demo: DemoPaths) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(demo.model, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(demo.model)
    assert type(model).__name__ == "BertForSequenceClassification"
    assert model.config.id2label[0] == "add_to_list"
    assert len(model.config.id2label) == 16
    batch = tokenizer(["play some jazz", "wake me up at seven"], padding=True, return_tensors="pt")
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask"}
    assert batch["input_ids"][:, 0].tolist() == [tokenizer.cls_token_id] * 2
    with torch.inference_mode():
        assert model(**batch).logits.shape == (2, 16)
    assert tokenizer.model_max_length == model.config.max_position_embeddings


def test_the_accuracy_is_that_of_the_saved_checkpoint(demo: DemoPaths) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(demo.model)
    tokenizer = AutoTokenizer.from_pretrained(demo.model)
    test = generate(0, SIZES)["test"]
    batch = tokenizer([u.text for u in test], padding=True, return_tensors="pt")
    with torch.inference_mode():
        guesses = model(**batch).logits.argmax(-1).tolist()
    right = sum(model.config.id2label[g] == u.intent for g, u in zip(guesses, test, strict=True))
    assert demo.teacher_accuracy == pytest.approx(100 * right / len(test))


def test_a_second_call_takes_the_cache(demo: DemoPaths) -> None:
    recorder = Recorder()
    assert tiny(demo.model.parent.parent, recorder) == demo
    assert recorder.total == 0


@dataclass(frozen=True)
class Remade:
    """What came of an entry that lacked its weights, beside what killed processes had left."""

    cache: Path
    before: DemoPaths
    after: DemoPaths
    old: Path
    young: Path
    recorder: Recorder


@pytest.fixture(scope="module")
def remade(demo: DemoPaths, tmp_path_factory: pytest.TempPathFactory) -> Remade:
    cache = tmp_path_factory.mktemp("damaged")
    entry = cache / demo.model.parent.name
    shutil.copytree(demo.model.parent, entry)
    before = tiny(cache)
    (entry / MODEL / "model.safetensors").unlink()
    old, young = (cache / f".{entry.name}-{name}" for name in ("old", "young"))
    for leftover in (old, young):
        leftover.mkdir()
    os.utime(old, (0, 0))
    recorder = Recorder()
    return Remade(cache, before, tiny(cache, recorder), old, young, recorder)


def test_only_whole_entries_appear_and_a_damaged_one_is_made_again(remade: Remade) -> None:
    assert remade.after == remade.before
    assert remade.recorder.steps == remade.recorder.total == 20
    entries = {entry.name for entry in remade.cache.iterdir()} - {remade.young.name}
    assert entries == {remade.after.model.parent.name}


def test_what_a_killed_process_left_is_swept_once_it_is_old(remade: Remade) -> None:
    assert not remade.old.exists()
    assert remade.young.exists()


def test_the_same_seed_gives_the_same_weights(demo: DemoPaths, remade: Remade) -> None:
    weights = [(d.model / "model.safetensors").read_bytes() for d in (demo, remade.after)]
    assert weights[0] == weights[1]


def test_nothing_but_the_checkpoint_is_kept(demo: DemoPaths) -> None:
    assert {path.name for path in demo.model.iterdir()} == set(MODEL_FILES)
    assert {path.name for path in demo.model.parent.iterdir()} == {DATA, MODEL, "demo.json"}


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    class Interrupted(Recorder):
        def advance(self, steps: int = 1, **figures: float) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(tmp_path, Interrupted())
    assert list(tmp_path.iterdir()) == []


def test_seed_and_settings_have_entries_of_their_own(demo: DemoPaths) -> None:
    cache = demo.model.parent.parent
    other = prepare(cache, seed=1, sizes=SIZES, settings=TINY)
    assert other.model != demo.model
    assert other.data != demo.data


def test_the_environment_says_where(
    demo: DemoPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = demo.model.parent
    for name, value, cache in (
        ("XDG_CACHE_HOME", tmp_path / "xdg", tmp_path / "xdg" / "edgepress"),
        ("EDGEPRESS_CACHE", tmp_path / "own", tmp_path / "own"),
    ):
        monkeypatch.setenv(name, str(value))
        shutil.copytree(entry, cache / entry.name)
        assert prepare(sizes=SIZES, settings=TINY).model == cache / entry.name / MODEL


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(EdgepressError, match="cannot be written") as caught:
        tiny(tmp_path / "file")
    assert "EDGEPRESS_CACHE" in str(caught.value.hint)


def test_a_bag_of_words_knows_words_and_not_their_order() -> None:
    by_word = [Utterance("red one", "a"), Utterance("blue one", "b")] * 10
    by_order = [Utterance("x then y", "a"), Utterance("y then x", "b")] * 10
    assert bag_of_words_accuracy(by_word, by_word) == 100
    assert bag_of_words_accuracy(by_order, by_order) == 50


def test_the_summary_holds_what_is_returned(demo: DemoPaths) -> None:
    summary = json.loads((demo.model.parent / "demo.json").read_text(encoding="utf-8"))
    assert summary["teacher_accuracy"] == demo.teacher_accuracy
    assert summary["bag_of_words_accuracy"] == demo.bag_of_words_accuracy
    assert 0 < demo.bag_of_words_accuracy < 100
