"""The second tier: the parts of a run, one after the other, as an experiment uses them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import compress
import compress.distillation
import compress.encoder
import compress.latency
import compress.pruning
import compress.quantization
import export
import runtimes
from benchmarks.profiling.timing import ProbeTimes
from compress import (
    DataError,
    distill,
    export_artifact,
    import_encoder,
    measure_latency_table,
    prune_heads,
    prune_to_latency,
    quantization_plan,
)
from compress.encoder.config import LayerSizes
from export.quantization import QuantizationPlan

FOLDERS = {
    compress.distillation: ["distill"],
    compress.encoder: ["import_encoder"],
    compress.latency: ["measure_latency_table"],
    compress.pruning: ["prune_heads", "prune_to_latency"],
    compress.quantization: ["quantization_plan"],
    export: ["export_artifact"],
}


@pytest.fixture
def texts(toy: Any) -> list[str]:
    return list(toy.make_examples(160, seed=5).texts)


def linear_cost(config: Any, shapes: Any, conditions: Any, progress: Any) -> Any:
    """Milliseconds that follow from the sizes: nothing is measured."""
    assert conditions.threads is None
    cost = [[1 + 0.5 * s.heads + s.intermediate_size / 64 for s in layers] for layers in shapes]
    return ProbeTimes(np.asarray([sum(layers) for layers in cost]))


def weights(model: Any) -> dict[str, Any]:
    return copy.deepcopy(model.state_dict())


def same(before: dict[str, Any], model: Any) -> bool:
    after = model.state_dict()
    return all(torch.equal(value, after[name]) for name, value in before.items())


def agreement(model: Any, teacher: Any, tokenizer: Any, texts: list[str]) -> float:
    """Share of texts that both label alike."""
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        found = [each(**inputs).logits.argmax(-1) for each in (model, teacher)]
    return float((found[0] == found[1]).float().mean())


def test_the_method_folders_have_them_too() -> None:
    for folder, names in FOLDERS.items():
        for name in names:
            assert getattr(folder, name) is getattr(compress, name)
            assert name in folder.__all__
        with pytest.raises(AttributeError, match="no attribute 'other'"):
            folder.other  # noqa: B018


def test_all_in_sequence(toy: Any, texts: list[str], tmp_path: Path) -> None:
    source = tmp_path / "teacher"
    toy.teacher.save_pretrained(source)
    toy.tokenizer.save_pretrained(source)
    imported = import_encoder(source)
    teacher, tokenizer = imported.model, imported.tokenizer
    before = weights(teacher)

    fewer = prune_heads(teacher, tokenizer, texts, share=0.5)
    assert sum(s.heads for s in fewer.config.layer_sizes) == 6

    table = measure_latency_table(
        teacher.config, [len(row) for row in tokenizer(texts)["input_ids"]], measure=linear_cost
    )
    whole_ms = table.predict(teacher.config.layer_sizes)
    shrunk = prune_to_latency(teacher, tokenizer, texts, table, 0.6 * whole_ms, neuron_step=8)
    assert shrunk.predicted_ms <= 0.6 * whole_ms
    assert shrunk.model.config.layer_sizes != teacher.config.layer_sizes

    plan = quantization_plan(
        {"onnxruntime": "static"}, model=shrunk.model, tokenizer=tokenizer, texts=texts
    )
    assert set(plan.static_ranges)
    untrained = weights(shrunk.model)
    student = distill(shrunk.model, teacher, tokenizer, texts, epochs=2, learning_rate=1e-3)
    assert same(untrained, shrunk.model)
    assert not same(untrained, student)
    assert agreement(student, teacher, tokenizer, texts) > 0.8

    export_artifact(
        tmp_path / "artifact",
        module=student,
        tokenizer=tokenizer,
        plan=plan,
        max_length=32,
        calibration=texts[:16],
        checks=texts[:8],
        runtimes=["onnxruntime"],
    )
    assert same(before, teacher)
    with runtimes.load(tmp_path / "artifact", threads=1) as classify:
        answers = [answer["label"] for answer in classify(texts)]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = student(batch["input_ids"], batch["attention_mask"]).logits
    expected = [student.config.id2label[index] for index in logits.argmax(-1).tolist()]
    assert np.mean([one == other for one, other in zip(answers, expected, strict=True)]) > 0.9


def test_heads_without_repair_and_with(toy: Any, texts: list[str]) -> None:
    cut = prune_heads(toy.teacher, toy.tokenizer, texts, share=0.5, repair=False)
    repaired = prune_heads(toy.teacher, toy.tokenizer, texts, share=0.5)
    assert cut.config.layer_sizes == repaired.config.layer_sizes
    unseen = list(toy.make_examples(200, seed=6).texts)
    alike = [agreement(each, toy.teacher, toy.tokenizer, unseen) for each in (cut, repaired)]
    assert alike[1] >= alike[0]
    whole = prune_heads(toy.teacher, toy.tokenizer, texts, share=0.0, repair=False)
    assert same(weights(toy.teacher), whole)


def test_pairs_are_texts(toy: Any) -> None:
    examples = toy.make_examples(48, seed=5, pairs=True)
    model = toy.make_model(type_vocab_size=2)
    smaller = prune_heads(model, toy.tokenizer, examples.inputs(), share=0.25)
    assert sum(s.heads for s in smaller.config.layer_sizes) == 9


def test_distilling_by_layers(toy: Any, texts: list[str]) -> None:
    student = distill(
        toy.make_model(2), toy.teacher, toy.tokenizer, texts, epochs=0.5, layer_map=[0, 2]
    )
    assert len(student.config.layers) == 2
    with pytest.raises(ValueError, match="does not fit"):
        distill(student, toy.teacher, toy.tokenizer, texts, layer_map=[0])


def test_a_plan_without_ranges_needs_no_model() -> None:
    plan = quantization_plan(float_layers=["layers.0.attention.qkv"])
    assert isinstance(plan, QuantizationPlan)
    assert plan.keeps_in_float("layers.0.attention.qkv")
    with pytest.raises(ValueError, match="onnxruntime=static: its ranges are measured"):
        quantization_plan({"onnxruntime": "static"})
    with pytest.raises(ValueError, match="no quantization scheme 'other'"):
        quantization_plan({"onnxruntime": "other"})


@pytest.mark.parametrize(
    "call",
    [
        lambda toy: prune_heads(toy.teacher, toy.tokenizer, []),
        lambda toy: prune_to_latency(toy.teacher, toy.tokenizer, [], None, 1.0),  # type: ignore[arg-type]
        lambda toy: distill(toy.teacher, toy.teacher, toy.tokenizer, []),
    ],
)
def test_no_texts_are_an_error(toy: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(DataError, match="no texts"):
        call(toy)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_all_heads_cannot_go(toy: Any, texts: list[str], share: float) -> None:
    with pytest.raises(ValueError, match="0 to below 1"):
        prune_heads(toy.teacher, toy.tokenizer, texts, share=share)


def test_sizes_are_what_a_table_predicts(toy: Any) -> None:
    table = measure_latency_table(toy.teacher.config, [8], measure=linear_cost)
    sizes = [LayerSizes(4, 8, 64)] * 3
    assert table.predict(sizes) == pytest.approx(3 * (1 + 2 + 1), rel=0.2)
