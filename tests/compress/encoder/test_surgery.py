"""A part that is masked and a part that is removed give the same model."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.masks import EncoderMasks
from compress.encoder.surgery import SlicePlan, keep_layers, keep_positions, slice_model

Batch = dict[str, torch.Tensor]
Lean = LeanEncoderForSequenceClassification
EXACT = {"atol": 1e-5, "rtol": 0}
WITH_DISTANCES = pytest.mark.parametrize(
    "lean",
    [{}, {"max_relative_distance": 5}, {"max_relative_distance": 50, "distance_vectors": True}],
    indirect=True,
    ids=["plain", "numbers for distances", "vectors for distances"],
)


def subsets(size: int, *, least: int = 0) -> st.SearchStrategy[list[int]]:
    """Ascending subsets of `range(size)`."""
    return st.sets(st.integers(0, size - 1), min_size=least).map(sorted)


@st.composite
def plans(draw: st.DrawFn) -> SlicePlan:
    """Any plan for the `lean` fixture."""
    return SlicePlan(
        layers=draw(subsets(3, least=1)),
        heads={layer: draw(subsets(n)) for layer, n in enumerate((4, 3, 1)) if draw(st.booleans())},
        neurons={
            layer: draw(subsets(n)) for layer, n in enumerate((20, 33, 7)) if draw(st.booleans())
        },
    )


def masks_of(plan: SlicePlan, model: Lean) -> EncoderMasks:
    """Masks that silence what the plan removes."""
    masks = EncoderMasks.ones(model.config)
    for layer, keep in plan.heads.items():
        masks.heads[layer].zero_()[list(keep)] = 1.0
    for layer, keep in plan.neurons.items():
        masks.neurons[layer].zero_()[list(keep)] = 1.0
    if plan.layers is not None:
        masks.layers.zero_()[list(plan.layers)] = 1.0
    return masks


@WITH_DISTANCES
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(plan=plans())
def test_removed_equals_masked(lean: Lean, batch: Batch, plan: SlicePlan) -> None:
    masks = masks_of(plan, lean)
    with torch.no_grad():
        removed = slice_model(lean, plan)
        torch.testing.assert_close(
            removed(**batch).logits, lean(**batch, masks=masks).logits, **EXACT
        )
        torch.testing.assert_close(
            removed.encoder(**batch).last_hidden_state,
            lean.encoder(**batch, masks=masks).last_hidden_state,
            **EXACT,
        )


@WITH_DISTANCES
def test_odd_head_is_removed(lean: Lean, batch: Batch) -> None:
    smaller = slice_model(lean, SlicePlan(heads={1: [0, 2]}))
    assert [layer["heads"] for layer in smaller.config.layers] == [4, 2, 1]
    attention = smaller.encoder.layers[1].attention
    assert attention.qkv.weight.shape == (3 * 2 * 6, 24)
    assert attention.output.weight.shape == (24, 2 * 6)
    masks = EncoderMasks.ones(lean.config)
    masks.heads[1][1] = 0.0
    torch.testing.assert_close(smaller(**batch).logits, lean(**batch, masks=masks).logits, **EXACT)
    assert (smaller(**batch).logits - lean(**batch).logits).abs().max() > 1e-3


def test_one_plan_equals_its_parts_one_by_one(lean: Lean, batch: Batch) -> None:
    plan = SlicePlan(layers=[0, 2], neurons={2: [1, 5, 6]}, heads={0: [3]})
    # Layers last: removing them renumbers those that follow.
    one_head = slice_model(lean, SlicePlan(heads={0: [3]}))
    three_neurons = slice_model(one_head, SlicePlan(neurons={2: [1, 5, 6]}))
    step_by_step = keep_layers(three_neurons, [0, 2])
    assert step_by_step.config.layers == slice_model(lean, plan).config.layers
    torch.testing.assert_close(
        step_by_step(**batch).logits, slice_model(lean, plan)(**batch).logits, atol=0, rtol=0
    )


@WITH_DISTANCES
def test_empty_sublayers_leave_their_bias(lean: Lean, batch: Batch) -> None:
    bare = slice_model(lean, SlicePlan(heads={1: []}, neurons={1: []}))
    names = {name for name in bare.state_dict() if name.startswith("encoder.layers.1.")}
    assert names == {
        f"encoder.layers.1.{name}"
        for name in (
            "attention.output.bias",
            "attention_norm.weight",
            "attention_norm.bias",
            "feed_forward.down.bias",
            "feed_forward_norm.weight",
            "feed_forward_norm.bias",
        )
    }
    q, _, _ = bare(**batch, output_qkv=True).qkv[1]
    assert q.shape == (3, 0, 9, 6)
    bare.train()(**batch, labels=torch.tensor([0, 1, 2])).loss.backward()


def test_surgery_leaves_the_original_and_the_seed_alone(lean: Lean, batch: Batch) -> None:
    before = {name: tensor.clone() for name, tensor in lean.state_dict().items()}
    layers = [dict(layer) for layer in lean.config.layers]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    smaller = slice_model(lean, SlicePlan(neurons={0: [1, 2]}))
    assert torch.equal(torch.rand(1), expected)
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.add_(1.0)
    assert lean.config.layers == layers
    for name, tensor in lean.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_result_keeps_mode_dtype_and_gradients(lean: Lean) -> None:
    smaller = keep_layers(lean.train().to(torch.bfloat16), [1])
    assert smaller.training
    assert all(p.dtype == torch.bfloat16 and p.requires_grad for p in smaller.parameters())
    assert not keep_layers(lean.eval(), [1]).training


@WITH_DISTANCES
def test_positions_that_no_input_has_leave_no_trace(lean: Lean, batch: Batch) -> None:
    shorter = keep_positions(lean, 9)
    assert shorter.config.max_position_embeddings == 9
    assert shorter.encoder.embeddings.positions.weight.shape == (9, 16)
    with torch.no_grad():
        torch.testing.assert_close(shorter(**batch).logits, lean(**batch).logits, **EXACT)
    for length in (1, 41):
        with pytest.raises(ValueError, match=f"{length} positions: the model has 40"):
            keep_positions(lean, length)


@WITH_DISTANCES
def test_base_model_can_be_sliced_too(lean: Lean, batch: Batch) -> None:
    plan = SlicePlan(heads={0: [2]})
    base = slice_model(lean.encoder, plan)
    torch.testing.assert_close(
        base(**batch).last_hidden_state,
        slice_model(lean, plan).encoder(**batch).last_hidden_state,
        atol=0,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SlicePlan(layers=[]), "at least one layer"),
        (SlicePlan(layers=[0, 3]), "layer 3"),
        (SlicePlan(layers=[1, 0]), "ascending"),
        (SlicePlan(heads={0: [1, 1]}), "ascending and distinct"),
        (SlicePlan(heads={0: [4]}), "layer 0: head 4"),
        (SlicePlan(heads={5: [0]}), "heads of layer 5"),
        (SlicePlan(neurons={2: [-1]}), "layer 2: neuron -1"),
        (SlicePlan(neurons={-1: [0]}), "neurons of layer -1"),
    ],
)
def test_impossible_plans_are_refused(lean: Lean, plan: SlicePlan, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        slice_model(lean, plan)
