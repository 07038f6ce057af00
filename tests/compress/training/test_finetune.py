"""`edgepress train`: data prepared, a classifier learnt, resumed to the same end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.examples import Examples
from benchmarks.labels import Choices, ClassLabels, Labels, LabelSets, Scores, Spans, WordLabels
from compress.cli.app import main
from compress.data import Splits
from compress.data.splitting import fingerprint
from compress.errors import DataError, ModelError, RecipeError, UsageError
from compress.system.progress import SilentProgress
from compress.training.base import new_pooler, open_base
from compress.training.preparation import prepare
from compress.training.run import _check_loss, _load, train
from compress.training.settings import TrainingSettings, load_training_settings
from compress.training.trainer import _arguments, _interval, class_weights, freeze

pytestmark = pytest.mark.usefixtures("single_precision")

NAMES = ("bad", "good")


def examples(*rows: tuple[str, int], pairs: tuple[str, ...] | None = None) -> Examples:
    texts, labels = zip(*rows, strict=True)
    return Examples(texts, ClassLabels(np.array(labels, dtype=np.int64)), NAMES, pairs)


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


Weights = dict[str, torch.Tensor]


def rewrite(folder: Path, change: Callable[[Weights], Weights], **config: Any) -> None:
    """Give a checkpoint other weights, and its configuration other values."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))


def without(*parts: str) -> Callable[[Weights], Weights]:
    return lambda weights: {
        name: value for name, value in weights.items() if not any(part in name for part in parts)
    }


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

    whole = learn("whole", epochs=2, patience=None, accumulate=2)
    with pytest.raises(KeyboardInterrupt):
        learn("parts", progress=StopAfter(11), epochs=2, patience=None, accumulate=2)
    assert not (tmp_path / "parts" / "training.json").exists()
    cut_off = tmp_path / "parts" / ".training" / "checkpoint-9999"  # killed while it was written
    cut_off.mkdir()
    (cut_off / "model.safetensors").write_bytes(b"half")
    parts = learn("parts", epochs=2, patience=None, accumulate=2)
    assert not cut_off.exists()
    assert parts.metrics == whole.metrics
    weights = [load_file(one.folder / "model.safetensors") for one in (whole, parts)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0)
    again = learn("parts", progress=StopAfter(0), epochs=2, patience=None, accumulate=2)
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
    assert "no such folder" in capfd.readouterr().err
    assert not (tmp_path / "new").exists()
    assert main(["train", str(base)]) == 2
    assert "--data is missing" in capfd.readouterr().err


@pytest.mark.slow
def test_a_base_in_half_precision_is_trained_in_full(
    learn: Callable[..., Any], base: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    rewrite(base, lambda weights: {name: value.bfloat16() for name, value in weights.items()})
    rewrite(base, lambda weights: weights, dtype="bfloat16")
    trained = learn(epochs=0.5)
    weights = load_file(trained.folder / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32}
    # What only bfloat16 holds would have been rounded to it at every step.
    classifier = weights["classifier.weight"]
    assert not torch.equal(classifier, classifier.bfloat16().float())
    assert json.loads((trained.folder / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.slow
def test_a_base_made_anew_or_more_processes_are_another_training(
    learn: Callable[..., Any], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import compress.system.distributed

    learn(epochs=0.5)
    assert "nothing was trained" in learn(epochs=0.5).notes[-1]
    with monkeypatch.context() as patch:
        patch.setattr(compress.system.distributed, "processes", lambda: 2)
        with pytest.raises(UsageError, match="number of processes"):
            learn(epochs=0.5)
    rewrite(base, lambda weights: {name: 2 * value for name, value in weights.items()})
    with pytest.raises(UsageError, match="another base"):
        learn(epochs=0.5)


def test_several_processes_look_at_the_validation_split_as_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = TrainingSettings(batch_size=10, evaluations=2)
    assert _interval(400, settings) == 20
    monkeypatch.setattr("compress.training.trainer.processes", lambda: 4)
    assert _interval(400, settings) == 5


def test_weights_that_a_base_lacks_are_not_drawn_in_silence(
    learn: Callable[..., Any], base: Path, tmp_path: Path
) -> None:
    rewrite(base, without("layer.1.attention.self.query", "pooler"))
    with pytest.raises(
        ModelError, match=r"bert\.encoder\.layer\.1\.attention\.self\.query"
    ) as error:
        learn()
    assert "pooler" not in str(error.value)
    assert not (tmp_path / "teacher").exists()


def test_an_encoder_of_another_size_than_its_configuration_is_refused(
    learn: Callable[..., Any], base: Path
) -> None:
    rewrite(base, lambda weights: weights, vocab_size=77)
    with pytest.raises(ModelError, match="word_embeddings"):
        learn()


def test_a_training_that_diverges_ends_at_once(learn: Callable[..., Any], base: Path) -> None:
    rewrite(
        base,
        lambda weights: {
            name: value * 1e38 if "layer.0.output.dense.weight" in name else value
            for name, value in weights.items()
        },
    )
    with pytest.raises(ModelError, match="diverged: at step 10 its loss is nan"):
        learn()


@pytest.mark.slow
def test_a_new_pooler_is_told_of(learn: Callable[..., Any], base: Path) -> None:
    assert not any("pooler" in note for note in learn("whole", epochs=0.5).notes)
    rewrite(base, without("pooler", "classifier"))
    assert any("no pooler" in note for note in learn("without", epochs=0.5).notes)


@pytest.mark.parametrize(
    "family", ["Albert", "Bert", "DebertaV2", "DistilBert", "Electra", "MPNet", "Roberta"]
)
def test_what_is_encoder_and_what_is_head_is_known_of_every_family(
    family: str, tmp_path: Path
) -> None:
    import transformers

    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    if family == "DistilBert":
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    config = getattr(transformers, f"{family}Config")(vocab_size=50, **sizes)
    getattr(transformers, f"{family}ForMaskedLM")(config).save_pretrained(tmp_path)
    opener = transformers.AutoModelForSequenceClassification
    model, new = open_base(opener, str(tmp_path), num_labels=3)
    assert any("classifier" in name for name in new)
    assert new_pooler(model, new) == (family in ("Albert", "Bert"))
    again, none = open_base(transformers.AutoModelForMaskedLM, str(tmp_path))
    assert none == []
    name = next(name for name, _ in again.base_model.named_parameters() if "ayer" in name)
    rewrite(tmp_path, without(f"{again.base_model_prefix}.{name}"))
    with pytest.raises(ModelError, match="weights of its encoder"):
        open_base(opener, str(tmp_path), num_labels=3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"patience": 1, "epochs": 9, "learning_rate": 1e-5}, {"epochs": 1.5}]
)
def test_killed_between_its_end_and_its_record_it_trains_no_further(
    settings: dict[str, Any],
    learn: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = learn("whole", **settings)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("compress.training.session.Session.save", killed)
        with pytest.raises(KeyboardInterrupt):
            learn("parts", **settings)
    monkeypatch.setattr("transformers.Trainer.training_step", None)
    parts = learn("parts", **settings)
    assert (parts.metrics, parts.metric) == (whole.metrics, whole.metric)
    files = [one.folder / "model.safetensors" for one in (whole, parts)]
    assert files[0].read_bytes() == files[1].read_bytes()
    histories = [json.loads((one.folder / "training.json").read_text()) for one in (whole, parts)]
    steps = [max(entry["step"] for entry in record["history"]) for record in histories]
    assert steps[0] == steps[1]
    if "patience" in settings:
        assert steps[0] < 9 * -(-360 // 32), "it was stopped early"


ZEROS = np.zeros(2, dtype=np.int64)
SPANS = Spans(np.zeros((2, 2), dtype=np.int64), (("x",), ("y",)))
SETS = LabelSets(np.zeros((2, 2), dtype=np.int64))


def labelled_as(task: str, targets: Labels) -> Examples:
    return Examples(("a", "b"), targets, NAMES, task=task)


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("question-answering", SPANS),
        ("text-classification", SETS),
        ("text-classification", Scores(np.zeros(2))),
    ],
)
@pytest.mark.parametrize("settings", [{"label_smoothing": 0.1}, {"class_weights": "balanced"}])
def test_what_only_the_loss_of_classes_knows_is_refused_elsewhere(
    task: str, targets: Labels, settings: dict[str, Any]
) -> None:
    chosen = TrainingSettings(**settings)
    with pytest.raises(UsageError, match=next(iter(settings))):
        _check_loss(chosen, labelled_as(task, targets))
    _check_loss(TrainingSettings(), labelled_as(task, targets))
    _check_loss(chosen, labelled_as("text-classification", ClassLabels(ZEROS)))
    _check_loss(chosen, labelled_as("token-classification", WordLabels(ZEROS, ZEROS + 1)))


def test_choices_are_learnt_as_choices_whatever_the_base_was_for(base: Path) -> None:
    rewrite(base, lambda weights: weights, problem_type="regression")
    given = labelled_as("multiple-choice", Choices(np.zeros(2), ZEROS))
    model, _, _ = _load(
        str(base), "multiple-choice", ("score",), given.problem_type, TrainingSettings(), given
    )
    assert model.config.problem_type is None


def test_other_answers_are_other_data() -> None:
    parts = [
        labelled_as("question-answering", Spans(SPANS.values, answers))
        for answers in ((("x", "y"), ("z",)), (("x",), ("y", "z")), (("x", "w"), ("z",)))
    ]
    assert len({fingerprint([part]) for part in parts}) == 3


def test_one_process_uses_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("compress.training.trainer.has_bfloat16", lambda device: False)
    settings = TrainingSettings(batch_size=8, learning_rate=1e-3)
    arguments = _arguments(tmp_path, settings, 100, "accuracy")
    assert (arguments.n_gpu, arguments.train_batch_size) == (1, 8)
