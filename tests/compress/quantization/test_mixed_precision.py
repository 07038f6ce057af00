"""The decisions, with planted figures."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.quantization.mixed_precision import Fallback, return_to_float, safe_plan
from compress.quantization.sensitivity import Sensitivity
from export.quantization import QuantizationPlan

LAYERS = [f"layers.{index}.feed_forward.down" for index in range(12)]
SENSITIVITIES = [
    Sensitivity(layer, 0.1, 0.1 - 0.05 / (index + 1)) for index, layer in enumerate(LAYERS)
]


def distance_until(needed: int, start: float = 2.0, end: float = 0.5) -> Callable[..., float]:
    """A distance that falls to `end` once the `needed` worst layers are in float."""
    return lambda plan: end if len(plan.float_layers) >= needed else start


def fall_back(verify: Callable[..., float], **options: int) -> Fallback:
    return return_to_float(QuantizationPlan(), SENSITIVITIES, verify, bound=1.0, **options)


@given(st.integers(0, 12))
def test_the_fewest_float_layers_inside_the_bound(needed: int) -> None:
    result = fall_back(distance_until(needed), most_tries=20)
    assert result.inside
    assert result.layers == result.plan.float_layers == tuple(LAYERS[:needed])
    assert len({entry.layers for entry in result.tries}) == len(result.tries)


@given(st.lists(st.floats(0, 3), min_size=13, max_size=13), st.integers(1, 9))
def test_what_comes_out_was_verified_whatever_the_noise(drops: list[float], tries: int) -> None:
    result = fall_back(lambda plan: drops[len(plan.float_layers)], most_tries=tries)
    assert len(result.tries) <= tries
    if result.inside:
        assert drops[len(result.layers)] <= 1.0
        assert result.layers in [entry.layers for entry in result.tries]
    else:
        assert result.plan == QuantizationPlan()
        assert all(entry.distance > 1.0 for entry in result.tries)


def test_a_plan_inside_the_bound_stays_as_it_is() -> None:
    result = fall_back(distance_until(0))
    assert (result.layers, len(result.tries)) == ((), 1)
    assert result.reason == (
        "All layers stay INT8: their answers are at KL 0.500 from the original's, and 1.000 is "
        "near enough."
    )


def test_the_reason_names_layer_gain_and_distance() -> None:
    assert fall_back(distance_until(1)).reason == (
        "layers.0.feed_forward.down was returned to float: INT8 there moved the answers by KL "
        "0.05. Now they are at 0.500 from the original's instead of 2.000; 1.000 is near enough."
    )
    several = fall_back(distance_until(5), most_tries=20).reason
    assert "layers.2.feed_forward.down and 2 more were returned to float" in several


def test_tries_grow_and_then_go_back() -> None:
    counts = [len(entry.layers) for entry in fall_back(distance_until(3)).tries]
    assert counts == [0, 1, 2, 4, 3]
    assert [len(e.layers) for e in fall_back(distance_until(9)).tries] == [0, 1, 2, 4, 8, 12, 10, 9]


def test_with_few_tries_the_last_good_one_is_kept() -> None:
    result = fall_back(distance_until(3), most_tries=4)
    assert result.inside
    assert len(result.layers) == 4


def test_if_nothing_helps_it_says_so() -> None:
    result = fall_back(distance_until(99), most_tries=20)
    assert not result.inside
    assert result.plan == QuantizationPlan()
    assert [len(entry.layers) for entry in result.tries] == [0, 1, 2, 4, 8, 12]
    assert result.reason == (
        "INT8 moves the answers to KL 2.000 from the original's, and 1.000 is near enough. No "
        "layer was returned to float: with up to 12 of them it was 2.000 at best."
    )
    alone = return_to_float(QuantizationPlan(), [], distance_until(99), bound=1.0)
    assert not alone.inside
    assert "no layer was tried" in alone.reason
    assert not fall_back(lambda plan: float("nan")).inside


def test_layers_that_were_float_stay_so() -> None:
    plan = QuantizationPlan(float_layers=("layers.20.attention.qkv",), reduce_range=True)
    result = return_to_float(plan, SENSITIVITIES, distance_until(2), bound=1.0)
    assert result.plan.float_layers == ("layers.20.attention.qkv", LAYERS[0])
    assert result.plan.reduce_range


def test_no_try_is_refused() -> None:
    with pytest.raises(ValueError, match="most_tries"):
        fall_back(distance_until(0), most_tries=0)


@pytest.mark.parametrize(
    ("flags", "reduced"),
    [
        (["avx2", "avx512f"], True),
        (["avx2", "avx_vnni"], False),
        (["avx512f", "avx512_vnni"], False),
        (["asimd"], False),
        ([], False),  # a system that does not tell
    ],
)
def test_cpus_that_would_saturate_get_seven_bits(flags: list[str], reduced: bool) -> None:
    plan = safe_plan(QuantizationPlan(), flags)
    assert plan.reduce_range == reduced
    assert safe_plan(plan, flags) == plan
    floats = QuantizationPlan({"onnxruntime": "float", "openvino": "float"})
    assert safe_plan(floats, flags) == floats
