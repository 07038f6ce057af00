"""One set of promises for every stage, importer, export target and runtime there is.

Everything is discovered: a new file in `compress/stages`, `compress/encoder/importers` or
`runtimes/adapters` is held to the same promises without a change here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.config.recipe import Recipe
from compress.corpus.corpus import Material
from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.importers.registry import TOLERANCE, import_encoder, supported_model_types
from compress.stages import get_stage, planned_quantization, stage_names
from compress.stages.base import Context, Encoder
from compress.system.progress import SilentProgress
from export.onnx import build_onnx, build_portable_onnx
from export.package import export_artifact
from export.parity import torch_logits
from runtimes import get_runtime, load, runtime_names
from runtimes.artifact import read_manifest
from runtimes.tokenization import Tokenizer

# Settings that make every stage do its work, and little of it.
QUICK: dict[str, Any] = {
    "speedups": [],
    "distill": {"epochs": 0.2, "augment": 1, "layers": 2, "enough": 0.0},
    "prune": {"steps": 1, "neuron_step": 8},
    "quantize": {"calibration_texts": 4},
}


@pytest.fixture(scope="module")
def encoder(task: Any) -> Encoder:
    """The task's model in the lean encoder."""
    imported = import_encoder(task.model)
    return Encoder(imported.model, imported.tokenizer)


@pytest.fixture
def context(task: Any, encoder: Encoder, tmp_path: Path) -> Callable[..., Context]:
    """`context(seed)`: what a stage is given."""

    def examples(count: int, seed: int) -> Examples:
        texts, labels = zip(*task.make_rows(count, seed), strict=True)
        numbers = np.array([task.labels.index(label) for label in labels])
        return Examples(texts, ClassLabels(numbers), task.labels)

    def make(seed: int = 0) -> Context:
        train, recipe = examples(160, 1), Recipe.model_validate({**QUICK, "seed": seed})
        return Context(
            recipe=recipe,
            plan=planned_quantization(recipe),
            teacher=encoder,
            train=train,
            material=Material(
                encoder.module,
                encoder.tokenizer,
                train,
                examples(64, 2),
                max_length=24,
                seed=seed,
                scratch=tmp_path,
            ),
            max_length=24,
            progress=SilentProgress(),
        )

    return make


def state(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder.module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("name", stage_names())
def test_a_stage(
    name: str, encoder: Encoder, context: Callable[..., Context], tmp_path: Path, task: Any
) -> None:
    stage = get_stage(name)
    assert stage.name == name
    before, lineage = state(encoder), encoder.lineage
    stage.check(encoder, context())
    given = context()
    with given.material:
        result = stage.apply(encoder, given)

    assert isinstance(result, Encoder), "it returns a new encoder"
    assert result is not encoder
    assert same(before, state(encoder)), "its input is as it was"
    assert (encoder.lineage, encoder.plan) == (lineage, None)

    assert len(result.lineage) == len(lineage) + 1, "it says what it did"
    assert result.lineage[-1]["stage"] == name
    assert result.lineage[-1]["in_words"].endswith("."), "in a sentence for people"

    given = context()
    with given.material:
        again = stage.apply(encoder, given)
    assert same(state(result), state(again)), "the seed decides everything"
    assert result.plan == again.plan

    folder = tmp_path / "saved"
    result.module.save_pretrained(folder)
    loaded = LeanEncoderForSequenceClassification.from_pretrained(folder)
    assert same(state(result), loaded.state_dict()), "its result can be saved and loaded"
    assert not result.module.training

    texts = [text for text, _ in task.make_rows(16, seed=5)]
    exported = export_artifact(
        tmp_path / "artifact",
        module=result.module,
        tokenizer=result.tokenizer,
        plan=result.plan,
        max_length=24,
        calibration=texts[:4],
        checks=texts,
        lineage=result.lineage,
    )
    assert exported.manifest.lineage[-1]["stage"] == name, "its result can be exported"
    for parity in exported.parity:
        assert parity.label_agreement >= 0.9


@pytest.mark.parametrize("family", supported_model_types())
def test_an_importer_loses_nothing(
    family: str, encoder: Encoder, task: Any, tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification, BertTokenizer

    config, tokenizer = encoder.module.config, encoder.tokenizer
    if family != config.model_type:
        sizes = {
            "vocab_size": config.vocab_size,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "max_position_embeddings": 40,
            "embedding_size": 8,
            "pad_token_id": 1,  # the only one that all families can have
            "num_labels": 3,
            "initializer_range": 0.4,
        }
        known = AutoConfig.for_model(family)
        names = {known.attribute_map.get(name, name): value for name, value in sizes.items()}
        if family == "distilbert":
            names["hidden_dim"] = names.pop("intermediate_size")
        fitting = {k: v for k, v in names.items() if hasattr(known, k) or k == "num_labels"}
        config = AutoConfig.for_model(family, **fitting)
        tokenizer = BertTokenizer(
            vocab={**task.vocabulary, "[UNK]": 0, "[PAD]": 1}, model_max_length=32
        )
    torch.manual_seed(0)
    original = AutoModelForSequenceClassification.from_config(config).eval()
    original.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    imported = import_encoder(tmp_path)
    assert isinstance(imported.model, LeanEncoderForSequenceClassification)
    assert imported.notes
    # Texts that the importer's own check does not see.
    inputs = tokenizer([text for text, _ in task.make_rows(16, seed=8)], padding=True)
    rows = {name: torch.tensor(inputs[name]) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        expected, actual = original(**rows).logits, imported.model(**rows).logits
    assert expected.std() > 100 * TOLERANCE, "logits that hardly vary could not tell"
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.fixture(scope="module")
def exported(encoder: Encoder, task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float artifact and a checkpoint of the task's model, side by side."""
    folder = tmp_path_factory.mktemp("exported")
    export_artifact(
        folder / "artifact",
        module=encoder.module,
        tokenizer=encoder.tokenizer,
        plan=None,
        max_length=24,
        calibration=[],
        checks=[text for text, _ in task.make_rows(16, seed=5)],
    )
    encoder.module.save_pretrained(folder / "checkpoint")
    encoder.tokenizer.save_pretrained(folder / "checkpoint")
    return folder


def batches(exported: Path, task: Any) -> list[dict[str, np.ndarray]]:
    tokenizer = Tokenizer.from_folder(exported / "artifact", max_length=24)
    texts = [text for text, _ in task.make_rows(24, seed=6)]
    return [tokenizer.encode(texts[i : i + 8]) for i in range(0, 24, 8)] + [tokenizer.encode(["a"])]


@pytest.mark.parametrize("name", runtime_names())
def test_a_runtime_gives_the_logits_of_pytorch(
    name: str, exported: Path, encoder: Encoder, task: Any
) -> None:
    runtime = get_runtime(name)
    assert name == runtime.NAME
    if not any(d.available and d.device == "cpu" for d in runtime.devices()):
        pytest.skip(f"{name} is not installed")
    entries = [e for e in read_manifest(exported / "artifact").models if e.runtime == name]
    if entries:
        path = exported / "artifact" / entries[0].path
    else:
        path = exported / "checkpoint"
        assert "huggingface" in runtime.FORMATS, "every runtime has something to open"
    inputs = batches(exported, task)
    session = runtime.open_model(path, device="cpu", threads=1, precision="fp32")
    try:
        assert (session.runtime, session.device, session.precision) == (name, "cpu", "fp32")
        assert {"input_ids", "attention_mask"} <= set(session.input_names)
        runs = [
            session.run({key: batch[key] for key in session.input_names})["logits"]
            for batch in inputs
        ]
    finally:
        session.close()
    assert all(run.dtype == np.float32 for run in runs)
    expected = torch_logits(encoder.module, inputs)
    assert np.abs(np.concatenate(runs) - expected).max() < 1e-3


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_export_target_is_in_the_artifact_and_answers(
    name: str, exported: Path, task: Any
) -> None:
    rows = task.make_rows(40, seed=7)
    with load(exported / "artifact", runtime=name) as classify:
        answers = classify([text for text, _ in rows])
    right = [answer["label"] == label for answer, (_, label) in zip(answers, rows, strict=True)]
    assert sum(right) >= 36


@pytest.mark.parametrize("build", [build_onnx, build_portable_onnx])
def test_a_graph_has_the_inputs_that_runtimes_give(build: Any, encoder: Encoder) -> None:
    graph = build(encoder.module).graph
    names = [value.name for value in graph.input]
    assert names == ["input_ids", "attention_mask", "token_type_ids"]
    assert [value.name for value in graph.output] == ["logits"]
