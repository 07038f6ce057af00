"""The stages on a toy task: what comes out is smaller, recorded, and still right."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.distillation.layer_map import after_removal, imitated_layers
from compress.encoder.surgery import SlicePlan, keep_layers, slice_model
from compress.errors import RecipeError, UsageError
from compress.latency.table import Curve, LatencyTable, LayerCosts
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.quantization.fake_quantization import fake_quantized
from compress.search.family import run_stages
from compress.search.members import Staged
from compress.stages import get_stage, stage_names
from compress.stages.base import Encoder
from compress.system.workspace import Workspace
from compress.training.rates import rate_for_width
from export.quantization import QuantizationPlan

LEARN = {"enough": 0.0, "epochs": 2.0, "augment": 1, "batch_size": 16, "learning_rate": 2e-3}
HALVE = {"heads": 0.5, "neurons": 0.5, "neuron_step": 8}


def selection_accuracy(toy: Any, encoder: Encoder) -> float:
    logits = predict_logits(encoder.module, toy.selection_texts)
    return 100 * float((logits.argmax(axis=1) == toy.selection_texts.labels).mean())


def distance(toy: Any, encoder: Encoder) -> float:
    texts = toy.selection_texts
    return divergence(
        predict_logits(encoder.module, texts),
        predict_logits(toy.teacher, texts),
        objective_for(toy.teacher.config),
    )


def start(toy: Any) -> Encoder:
    return Encoder(toy.teacher, toy.tokenizer)


def unrepaired(toy: Any, small: Encoder) -> Encoder:
    """The teacher cut down to the heads and neurons of `small`, its weights as they were.

    Repairs change output projections alone: what is left is told by the rows of the others.
    """
    heads, neurons = {}, {}
    pairs = zip(small.module.encoder.layers, toy.teacher.encoder.layers, strict=True)
    for index, (own, whole) in enumerate(pairs):
        size = small.module.config.layer_sizes[index]
        queries = own.attention.qkv.weight[: size.heads * size.head_size : size.head_size]
        rows = places(queries, whole.attention.qkv.weight)
        heads[index] = [row // size.head_size for row in rows]
        neurons[index] = places(own.feed_forward.up.weight, whole.feed_forward.up.weight)
    return Encoder(slice_model(toy.teacher, SlicePlan(heads=heads, neurons=neurons)), toy.tokenizer)


def places(rows: torch.Tensor, table: torch.Tensor) -> list[int]:
    """Where each of the rows stands in the table."""
    return [int((table == row).all(dim=1).nonzero()[0]) for row in rows]


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_stages_are_found_by_file_name() -> None:
    assert {"distill", "prune"} <= set(stage_names())
    assert "base" not in stage_names()
    assert get_stage("distill").name == "distill"
    with pytest.raises(UsageError, match="Did you mean distill"):
        get_stage("destill")


def test_finding_stages_loads_no_torch() -> None:
    code = (
        "import sys, compress.stages, compress.stages.base; compress.stages.stage_names();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_distilling_halves_the_layers_and_keeps_the_answers(toy: Any, tmp_path: Path) -> None:
    before = weights(toy.teacher)
    context = toy.context(tmp_path, distill={**LEARN, "layers": 2, "continued_epochs": 1.0})
    encoder = start(toy)
    stage = get_stage("distill")
    stage.check(encoder, context)
    with context.material:
        student = stage.apply(encoder, context)
    entry = student.lineage[-1]
    assert len(student.module.config.layers) == 2
    assert entry["stage"] == "distill"
    assert entry["teacher_layers"][-1] == 2
    assert entry["steps"] == 128
    assert entry["texts"] == 1024
    assert entry["in_words"] == (
        "It was cut to 2 layers. It was trained to answer as the original does (distillation): "
        "128 steps on 1,024 texts."
    )
    with fake_quantized(student.module, context.plan):  # as it will run
        found = context.material.guide.evaluate(student.module).figures
    assert {name: entry[f"guide_{name}"] for name in found} == pytest.approx(found, abs=1e-4)
    assert selection_accuracy(toy, student) >= selection_accuracy(toy, encoder) - 5
    assert json.loads(json.dumps(entry)) == entry
    assert all(torch.equal(before[k], v) for k, v in toy.teacher.state_dict().items())
    assert all(p.requires_grad for p in student.module.parameters())
    assert not student.module.training
    assert not list(tmp_path.iterdir())


def test_the_same_seed_gives_the_same_student(toy: Any, tmp_path: Path) -> None:
    settings = {**LEARN, "layers": 1, "epochs": 1}
    students = [
        get_stage("distill").apply(start(toy), toy.context(tmp_path, distill=settings, seed=seed))
        for seed in (3, 3, 4)
    ]
    same, again, other = (weights(s.module) for s in students)
    assert all(torch.equal(same[k], again[k]) for k in same)
    assert not all(torch.equal(same[k], other[k]) for k in same)


def test_the_learning_rate_follows_the_width(toy: Any, tmp_path: Path) -> None:
    settings = {"layers": 1, "epochs": 1, "augment": 0, "enough": 0.0}
    chosen = [{}, {"learning_rate": rate_for_width(toy.teacher.config.hidden_size)}]
    same, again = (
        weights(
            get_stage("distill")
            .apply(start(toy), toy.context(tmp_path, distill={**settings, **rate}))
            .module
        )
        for rate in chosen
    )
    assert all(torch.equal(same[k], again[k]) for k in same)
    # As TrainingSettings has it for training on labels.
    assert [rate_for_width(width) for width in (128, 384, 768)] == [3e-4, 2e-4, 5e-5]


def test_rounding_is_trained_for_only_where_it_costs(toy: Any, tmp_path: Path) -> None:
    def learn(**changes: Any) -> dict[str, torch.Tensor]:
        settings = {**LEARN, "layers": 1, "epochs": 1, **changes}
        # 8 bits whatever the processor: with 7 this student loses nothing to rounding
        context = replace(toy.context(tmp_path, distill=settings), plan=QuantizationPlan())
        return weights(get_stage("distill").apply(start(toy), context).module)

    without, never = learn(quantization_aware=0.0), learn(rounding_share=1e9)
    always = learn(rounding_share=0.0, quantization_aware=0.9)
    assert all(torch.equal(without[k], never[k]) for k in without)
    assert not all(torch.equal(without[k], always[k]) for k in without)


def test_layers_as_named(toy: Any, tmp_path: Path) -> None:
    settings = {"layers": [0, 1], "epochs": 0, "freeze_embeddings": False}
    student = get_stage("distill").apply(start(toy), toy.context(tmp_path, distill=settings))
    assert student.lineage[-1]["layers"] == [0, 1]
    assert student.lineage[-1]["teacher_layers"] == [0, 2]
    assert student.lineage[-1]["in_words"] == "It was cut to 2 layers. It was not trained."
    teacher = toy.teacher.encoder.layers[1].attention.qkv.weight
    assert torch.equal(student.module.encoder.layers[1].attention.qkv.weight, teacher)
    plain = Encoder(keep_layers(toy.teacher, [0, 1]), toy.tokenizer)
    assert distance(toy, student) < distance(toy, plain)  # least squares, without any training


@pytest.mark.parametrize("layers", [0, 4, [], [0, 3], [1, 0], [1, 1]])
def test_layers_that_do_not_exist_are_refused(toy: Any, tmp_path: Path, layers: Any) -> None:
    context = toy.context(tmp_path, distill={"layers": layers})
    with pytest.raises(RecipeError, match=r"distill\.layers"):
        get_stage("distill").check(start(toy), context)


def test_pruning_by_shares_repairs(toy: Any, tmp_path: Path) -> None:
    settings = {"heads": 0.25, "neurons": 0.25, "neuron_step": 8, "steps": 1}
    small = get_stage("prune").apply(start(toy), toy.context(tmp_path, prune=settings))
    entry = small.lineage[-1]
    assert sum(entry["heads"]) == 9
    assert sum(entry["neurons"]) == 144
    assert entry["in_words"].startswith(
        "Parts that matter least were removed: 3 of 3 layers, 9 of 12 attention heads, and "
    )
    assert " of 64 neurons in a feed-forward layer were kept" in entry["in_words"]
    assert all(width % 8 == 0 for width in entry["neurons"])
    assert [layer["heads"] for layer in small.module.config.layers] == entry["heads"]
    assert selection_accuracy(toy, small) >= selection_accuracy(toy, start(toy)) - 5
    assert json.loads(json.dumps(entry)) == entry
    assert distance(toy, small) < 0.5 * distance(toy, unrepaired(toy, small))


def test_pruning_in_turns_and_a_layer_less_then_recovery(toy: Any, tmp_path: Path) -> None:
    settings = {**HALVE, "steps": 2, "layers": 1}
    context = toy.context(tmp_path, prune=settings, distill=LEARN)
    small = get_stage("prune").apply(start(toy), context)
    entry = small.lineage[-1]
    assert len(entry["heads"]) == 2
    assert sum(entry["heads"]) == 4  # half of the two layers' eight
    assert sum(entry["neurons"]) == 64
    assert entry["teacher_layers"][-1] == 2
    with context.material:
        recovered = get_stage("distill").apply(small, context)
    assert selection_accuracy(toy, recovered) >= selection_accuracy(toy, start(toy)) - 8
    assert distance(toy, recovered) < 0.01


TABLE = LatencyTable(  # milliseconds such as a machine might have
    base_ms=0.1,
    inner=LayerCosts(Curve((0, 1, 4), (0.1, 0.2, 0.3)), Curve((0, 8, 64), (0.0, 0.1, 0.4))),
    last=LayerCosts(Curve((0, 1, 4), (0.1, 0.12, 0.2)), Curve((0, 8, 64), (0.0, 0.02, 0.1))),
)


@pytest.mark.parametrize("target_ms", [1.2, 0.6, 0.45])
def test_pruning_to_a_latency(toy: Any, tmp_path: Path, target_ms: float) -> None:
    context = toy.context(tmp_path, prune={"neuron_step": 8})
    context = replace(context, latency=TABLE, target_ms=target_ms)
    encoder = start(toy)
    small = get_stage("prune").apply(encoder, context)
    entry = small.lineage[-1]
    assert TABLE.predict(toy.teacher.config.layer_sizes) > target_ms
    assert TABLE.predict(small.module.config.layer_sizes) <= target_ms
    assert entry["predicted_ms"] <= target_ms
    assert entry["kl_by_depth"]
    assert json.loads(json.dumps(entry)) == entry
    found = small.state.parts_left(toy.teacher.config.layer_sizes)
    assert [len(heads) for heads in found.heads] == entry["heads"]
    assert list(found.neurons) == entry["neurons"]
    again = get_stage("prune").apply(small, replace(context, target_ms=target_ms * 0.9))
    later = again.state.parts_left(toy.teacher.config.layer_sizes)
    assert set(later.layers) <= set(found.layers)
    for layer, heads in zip(later.layers, later.heads, strict=True):
        assert set(heads) <= set(found.heads[found.layers.index(layer)])


def test_kinds_of_scores_are_compared_once(toy: Any, tmp_path: Path) -> None:
    def prune(encoder: Encoder, target_ms: float, **settings: Any) -> Encoder:
        context = toy.context(tmp_path, prune={"neuron_step": 8, **settings})
        return get_stage("prune").apply(
            encoder, replace(context, latency=TABLE, target_ms=target_ms)
        )

    first = prune(start(toy), 0.38)  # not even one layer is this fast as wide as it is
    entry = first.lineage[-1]
    assert set(entry["kl_by_scores"]) == {"labels", "teacher"}
    assert entry["scores"] == min(entry["kl_by_scores"], key=entry["kl_by_scores"].__getitem__)
    second = prune(first, 0.35).lineage[-1]
    assert set(second["kl_by_scores"]) == {entry["scores"]}
    assert prune(start(toy), 0.38, scores="teacher").lineage[-1]["scores"] == "teacher"


def test_the_first_pruning_records_what_the_original_was_worth(toy: Any, tmp_path: Path) -> None:
    context = toy.context(tmp_path, prune=HALVE)
    first = get_stage("prune").apply(start(toy), context)
    again = get_stage("prune").apply(first, context)
    original = first.lineage[-1]["original"]
    assert original["heads"] == [4, 4, 4]
    assert original["neurons"] == [64, 64, 64]
    assert sum(map(sum, original["head_importance"])) == pytest.approx(1.0, abs=1e-3)
    assert sum(original["neuron_importance"]) == pytest.approx(1.0, abs=1e-3)
    assert "original" not in again.lineage[-1]


def test_a_latency_out_of_reach_is_refused(toy: Any, tmp_path: Path) -> None:
    context = replace(toy.context(tmp_path), latency=TABLE, target_ms=0.1)
    with pytest.raises(RecipeError, match=r"0\.10 ms"):
        get_stage("prune").apply(start(toy), context)


@pytest.mark.parametrize(("inside", "names"), [(True, ["full", "prune"]), (False, ["full"])])
def test_without_speedups_the_budget_says_how_much_goes(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool, names: list[str]
) -> None:
    """And where nothing can go there is no member that is the original once more."""
    settings = {"prune": {"neuron_step": 8}, "stages": ["prune", "quantize"]}
    context = toy.context(tmp_path, **settings, max_drop=30 if inside else 0)
    contexts = contexts_given(monkeypatch, "prune")
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    with context.material:
        if not inside:
            drops = (7.0 + turn for turn in range(9))
            monkeypatch.setattr(
                "compress.search.family._Family._drop_of", lambda *_, **__: next(drops)
            )
        members = run_stages(start(toy), context, workspace, "key")
        again = run_stages(start(toy), context, workspace, "key")
    assert [member.name for member in members] == [member.name for member in again] == names
    assert len(contexts) == 1  # the second time it is there already
    if not inside:
        return
    (entry,) = members[1].encoder.lineage
    small = members[1].encoder.module
    assert entry["heads"] == [layer["heads"] for layer in small.config.layers]
    assert entry["multiplications"] == min(
        float(share) for share, drop in entry["drop_by_share"].items() if drop <= 30
    )
    lost = 100 * (1 - entry["multiplications"])
    assert lost > 30  # a toy that is told by single words
    assert selection_accuracy(toy, members[1].encoder) > selection_accuracy(toy, start(toy)) - 30
    assert sum(map(sum, entry["original"]["head_importance"])) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("deadline", [None, 0.0])
def test_members_that_would_be_late_are_left_out(
    toy: Any, tmp_path: Path, deadline: float | None
) -> None:
    """But for the first one: a family has something faster than its teacher."""
    context = toy.context(
        tmp_path,
        prune={"neuron_step": 8},
        distill={**LEARN, "epochs": 0.2},
        speedups=[1.3, 1.7, 2.1],
        beyond=False,
    )
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    with context.material:
        members = run_stages(
            start(toy), replace(context, latency=TABLE), workspace, "key", deadline=deadline
        )
    names = [member.name for member in members]
    assert names[:2] == ["full", "x1.3"]
    assert names[2:] == ([] if deadline == 0.0 else ["x1.7", "x2.1"])


def contexts_given(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """What a stage, which does its work as ever, is given from now on."""
    stage, given = type(get_stage(name)), []
    original = stage.apply

    def apply(self: Any, encoder: Encoder, context: Any) -> Encoder:
        given.append(context)
        return original(self, encoder, context)

    monkeypatch.setattr(stage, "apply", apply)
    return given


def test_all_that_is_trained_shares_a_time_budget(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members, a student of other origin, and those that compete with it."""
    context = toy.context(
        tmp_path,
        prune={"neuron_step": 8},
        distill={"epochs": 0},
        speedups=[1.3],
        beyond=False,
    )
    context = replace(context, latency=TABLE)
    given = contexts_given(monkeypatch, "distill")
    short = Staged(
        "short", "short", replace(start(toy), module=keep_layers(toy.teacher, [2])), context
    )
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    deadline = time.monotonic() + 1240
    with context.material:
        members = run_stages(
            start(toy), context, workspace, "key", deadline=deadline, students=[short]
        )
    allowed = [each.training_s for each in given]
    assert len(allowed) >= 3  # both competitors, and what members are cut from
    assert all(30 <= seconds <= 250 for seconds in allowed), (allowed, members)


@pytest.mark.parametrize(("seconds", "share", "first"), [(1e3, 0.25, "x1.6"), (1.0, 1.0, "x1.3")])
def test_where_time_is_short_pruning_reads_less_and_members_are_further_apart(
    toy: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    share: float,
    first: str,
) -> None:
    settings = {"prune": {"neuron_step": 8}, "distill": {"epochs": 0}, "beyond": False}
    context = toy.context(tmp_path, **settings, speedups=[1.3, 1.6, 2.0])
    monkeypatch.setattr("compress.search.family._pruning_s", lambda _: seconds)
    given = contexts_given(monkeypatch, "prune")
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    # Of the 500 s that measuring leaves, a thousand would be pruning: one member is expected.
    deadline = time.monotonic() + (1240 if share == 1 else 800)
    context = replace(context, latency=TABLE)
    with context.material:
        members = run_stages(start(toy), context, workspace, "key", deadline=deadline)
    assert {each.pruning_share for each in given} == {share}
    assert members[1].name == first


def test_pruning_all_layers_is_refused(toy: Any, tmp_path: Path) -> None:
    context = toy.context(tmp_path, prune={"layers": 3})
    with pytest.raises(RecipeError, match=r"prune\.layers=3.*at most 2"):
        get_stage("prune").check(start(toy), context)


def test_sentence_pairs_go_through_both_stages(toy: Any, tmp_path: Path) -> None:
    context = toy.context(
        tmp_path,
        pairs=True,
        distill={**LEARN, "epochs": 0.5, "layers": 2},
        prune={**HALVE, "steps": 1},
    )
    encoder = start(toy)
    with context.material:
        for name in ("distill", "prune"):
            encoder = get_stage(name).apply(encoder, context)
    assert [entry["stage"] for entry in encoder.lineage] == ["distill", "prune"]
    assert encoder.lineage[1]["teacher_layers"] == encoder.lineage[0]["teacher_layers"]
    texts = context.material.selection.texts
    assert texts.type_ids is not None
    assert predict_logits(encoder.module, texts).shape == (96, 2)


def test_who_answers_like_the_teacher_is_not_trained(toy: Any, tmp_path: Path) -> None:
    context = toy.context(tmp_path, distill={**LEARN, "enough": 0.05})
    with context.material:
        trained = get_stage("distill").apply(start(toy), context)
        context = replace(context, acceptable=lambda _: True)
        same = get_stage("distill").apply(start(toy), context)
    assert trained.lineage[-1]["steps"] > 0, "nothing says that it is within the budget"
    assert same.lineage[-1]["steps"] == 0
    before = weights(toy.teacher)
    assert all(torch.equal(before[k], v) for k, v in same.module.state_dict().items())


def test_layer_maps() -> None:
    assert after_removal((0, 2, 3, 5), range(6)) == (1, 2, 4, 5)
    assert after_removal((0, 1, 2, 3, 4, 5), range(6)) == (0, 1, 2, 3, 4, 5)
    assert after_removal((3,), range(6)) == (5,)
    assert after_removal((0, 2), (1, 2, 5)) == (2, 5)
    assert imitated_layers(None, 3, 6) == (1, 3, 5)
    assert imitated_layers(None, 6, 6) == (0, 1, 2, 3, 4, 5)
    assert imitated_layers((0, 1, 5), 3, 6) == (0, 1, 5)


def test_no_stage_looks_at_the_selection_split(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What chooses at the end is fresh: nothing before it depends on these texts or labels."""
    settings = {
        "prune": {**HALVE, "layers": 1},
        "distill": {**LEARN, "rounding_share": 0.0, "quantization_aware": 0.5},
    }
    context = toy.context(tmp_path, **settings)
    monkeypatch.setattr(
        type(context.material),
        "selection",
        property(lambda self: pytest.fail("a stage asked for the selection split")),
    )
    encoder = start(toy)
    with context.material:
        for name in context.recipe.stages:
            encoder = get_stage(name).apply(encoder, context)
    assert [entry["stage"] for entry in encoder.lineage] == ["prune", "distill", "quantize"]
