"""`compress train`: data prepared, a classifier learnt, resumed to the same end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.examples import Examples
from compress.cli import main
from compress.data import Splits
from compress.errors import DataError, RecipeError
from compress.finetune import TrainingSettings, load_training_settings, train
from compress.finetune.preparation import prepare
from compress.finetune.trainer import class_weights, freeze
from compress.progress import SilentProgress

NAMES = ("bad", "good")


def examples(*rows: tuple[str, int], pairs: tuple[str, ...] | None = None) -> Examples:
    texts, labels = zip(*rows, strict=True)
    return Examples(texts, np.array(labels, dtype=np.int64), NAMES, pairs)


def splits(train_part: Examples, held_back: Examples) -> Splits:
    return Splits(train_part, held_back, held_back, (), "x")


def test_training_text_is_cleaned_and_what_was_done_is_told() -> None:
    decomposed = "cafe\u0301  great"
    given = splits(
        examples(
            (decomposed, 1),
            ("café great", 1),  # the same, in normal form
            ("dull", 0),
            ("dull", 1),  # a contradiction
            ("seen  before", 0),  # a validation text but for a space
            ("awful", 0),
        ),
        examples(("seen before", 0), ("other", 1)),
    )
    cleaned, notes = prepare(given, TrainingSettings())
    assert cleaned.texts == ("café great", "awful")
    assert cleaned.labels.tolist() == [1, 0]
    text = " ".join(notes)
    for part in ("2 training texts were brought", "1 training texts are, in normal form", "twice"):
        assert part in text
    assert "several labels" in text
    as_is = TrainingSettings(unicode="none", whitespace=False, duplicates="keep")
    same, notes = prepare(given, as_is)
    assert same.texts == given.train.texts
    assert notes == []


def test_copies_vary_and_keep_their_labels_and_pairs() -> None:
    words = " ".join(f"word{i}" for i in range(40))
    given = splits(
        examples((words, 1), ("short one", 0), pairs=("p", "q")),
        examples(("x", 0), ("y", 1), pairs=("p", "q")),
    )
    more, notes = prepare(given, TrainingSettings(augment=3))
    assert len(more) == 8
    assert more.labels.tolist() == [1, 0] * 4
    assert more.pairs == ("p", "q") * 4
    copies = more.texts[2::2]
    assert len(set(copies)) == 3
    assert all(set(copy.split()) < set(words.split()) for copy in copies)
    assert all(more.texts[1::2])  # never empty
    assert "6 varied copies" in notes[0]
    assert prepare(given, TrainingSettings(augment=3))[0].texts == more.texts  # the seed's


def test_nothing_left_to_learn_is_an_error() -> None:
    given = splits(examples(("a", 0), ("a", 1), ("b", 0)), examples(("x", 0), ("y", 1)))
    with pytest.raises(DataError, match="fewer than two classes"):
        prepare(given, TrainingSettings())


def test_rare_classes_weigh_more_and_absent_ones_nothing() -> None:
    weights = class_weights(np.array([0, 0, 0, 1]), 3)
    assert weights.tolist() == pytest.approx([4 / 6, 2.0, 0.0])
    labels = torch.tensor([0, 0, 0, 1])
    assert weights[labels].mean() == pytest.approx(1.0)


def test_settings_are_checked() -> None:
    assert load_training_settings(["schedule=cosine"], {"epochs": 2}).schedule == "cosine"
    with pytest.raises(RecipeError, match="no key 'shedule'") as error:
        load_training_settings(["shedule=cosine"])
    assert "schedule" in str(error.value)
    with pytest.raises(RecipeError, match="'schedule'"):
        load_training_settings(["schedule=cosin"])


def test_frozen_parts_do_not_learn(task: Any) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(task.model)
    freeze(model, embeddings=True, layers=1)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("word_embeddings" in name or "layer.0." in name for name in learning)
    assert any("layer.1." in name for name in learning)
    with pytest.raises(ValueError, match="no 9 layers"):
        freeze(model, embeddings=False, layers=9)


@pytest.mark.parametrize(("width", "rate"), [(1024, 2.8e-5), (768, 5e-5), (384, 2e-4), (128, 3e-4)])
def test_narrow_encoders_learn_at_a_higher_rate(width: int, rate: float) -> None:
    assert TrainingSettings().for_width(width).learning_rate == rate
    assert TrainingSettings(learning_rate=1e-6).for_width(width).learning_rate == 1e-6


@pytest.fixture
def base(task: Any, tmp_path: Path) -> Path:
    """The task's encoder with all that it has learnt forgotten, its layer norms named as in the
    files of BERT's own release."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(3)
    config = AutoConfig.from_pretrained(task.model)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(task.model).save_pretrained(tmp_path / "base")
    file = tmp_path / "base" / "model.safetensors"
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    weights = load_file(file)
    for new, old in older.items():
        weights = {name.replace(new, old): value for name, value in weights.items()}
    save_file(weights, file, metadata={"format": "pt"})
    return tmp_path / "base"


@pytest.fixture
def learn(base: Path, task: Any, tmp_path: Path) -> Callable[..., Any]:
    def run(out: str = "teacher", progress: Any = None, **settings: Any) -> Any:
        chosen = TrainingSettings(**{"epochs": 4, "learning_rate": 1e-3, **settings})
        return train(
            str(base), str(task.data), tmp_path / out, chosen, progress=progress or SilentProgress()
        )

    return run


@pytest.mark.slow
def test_it_learns_and_compress_reads_it(learn: Callable[..., Any], task: Any) -> None:
    trained = learn(
        epochs=8,
        learning_rate=3e-3,
        patience=10,
        class_weights="balanced",
        label_smoothing=0.05,
        schedule="exponential",
    )
    assert trained.metrics["report"]["accuracy"] > 75  # two classes
    assert trained.metric.low <= trained.metric.value <= trained.metric.high
    record = json.loads((trained.folder / "training.json").read_text())
    rates = [step["learning_rate"] for step in record["history"] if "learning_rate" in step]
    assert rates[-1] < 0.2 * max(rates)
    evaluated = [step["eval_accuracy"] for step in record["history"] if "eval_accuracy" in step]
    assert max(evaluated) == pytest.approx(trained.metrics["selection"]["accuracy"])
    assert list((trained.folder / ".training").rglob("events.out.tfevents*"))  # TensorBoard's
    assert not list((trained.folder / ".training").glob("checkpoint-*"))
    assert main(["inspect", str(trained.folder)]) == 0
    from runtimes import open_checkpoint

    with open_checkpoint(trained.folder) as classify, open_checkpoint(task.model) as original:
        assert sorted(classify.labels) == sorted(original.labels)


class StopAfter(SilentProgress):
    """Ctrl-C in the middle of training."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def track(self, description: str, total: int) -> Any:
        outer = self

        class Bar:
            def __enter__(self) -> "Bar":
                return self

            def __exit__(self, *_: Any) -> None: ...

            def advance(self, steps: int = 1, **_: float) -> None:
                outer.left -= steps
                if outer.left <= 0:
                    raise KeyboardInterrupt

        return Bar()


@pytest.mark.slow
def test_stopped_and_started_again_it_ends_at_the_same_weights(
    learn: Callable[..., Any], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    whole = learn("whole", patience=None, accumulate=2)
    with pytest.raises(KeyboardInterrupt):
        learn("parts", progress=StopAfter(17), patience=None, accumulate=2)
    assert not (tmp_path / "parts" / "training.json").exists()
    cut_off = tmp_path / "parts" / ".training" / "checkpoint-9999"  # killed while it was written
    cut_off.mkdir()
    (cut_off / "model.safetensors").write_bytes(b"half")
    parts = learn("parts", patience=None, accumulate=2)
    assert not cut_off.exists()
    assert parts.metrics == whole.metrics
    weights = [load_file(one.folder / "model.safetensors") for one in (whole, parts)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0)
    again = learn("parts", progress=StopAfter(0), patience=None, accumulate=2)
    assert (again.metrics, again.metric) == (parts.metrics, parts.metric)
    assert "nothing was trained" in again.notes[-1]


@pytest.mark.slow
def test_what_does_not_fit_is_refused_before_anything_is_touched(
    learn: Callable[..., Any], base: Path, task: Any, tmp_path: Path, capfd: Any
) -> None:
    learn("teacher", epochs=0.5)
    arguments = ["train", str(base), "--data", str(task.data), "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "teacher"), "--epochs", "9"]) == 2
    assert "another base, data or settings" in capfd.readouterr().err
    assert main([*arguments, "--out", str(base)]) == 2
    assert "was not written by a training" in capfd.readouterr().err
    assert main([*arguments, "--out", str(tmp_path / "new"), "freeze_layers=9"]) == 2
    assert "no 9 layers" in capfd.readouterr().err
    # What failed before it began does not stand in the way of the command put right.
    begun = tmp_path / "begun" / ".training"
    begun.mkdir(parents=True)
    (begun / "key").write_text("of a larger batch, for which there was no memory")
    learn("begun", epochs=0.5)
    assert main([*arguments, "--out", str(tmp_path / "new"), "max_length=9999"]) == 2
    to_new = ["--data", str(task.data), "--out", str(tmp_path / "new"), "--quiet"]
    assert main(["train", str(tmp_path / "no"), *to_new]) == 1
    assert "cannot be loaded as a classifier" in capfd.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main(["train", str(base)]) == 2
    assert "--data is missing" in capfd.readouterr().err
