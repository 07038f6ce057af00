"""What a device's profile decides of a run, and which profiles are refused."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from profiles import Setting, profile_of

from benchmarks.profiling.kit import Kit, Shape
from benchmarks.profiling.profile import DeviceProfile
from compress.config.recipe import Recipe
from compress.encoder.config import LayerSizes, LeanEncoderConfig
from compress.errors import ProfileError, RecipeError
from compress.latency.measurement import shapes_to_measure, shared_sizes
from compress.pipeline.device import Device, for_device, saturating
from compress.search.checkpoints import import_key
from runtimes.versions import tool_version

VNNI = ("avx2", "avx512_vnni")


def config(layers: int = 3, **changes: Any) -> LeanEncoderConfig:
    sizes = {"heads": 4, "head_size": 8, "intermediate_size": 64}
    small = {"vocab_size": 50, "embedding_size": 16, "hidden_size": 16, "num_labels": 2}
    return LeanEncoderConfig(layers=[sizes] * layers, **{**small, **changes})


def cost(shape: Shape) -> float:
    return sum(0.1 + 0.02 * heads + 0.001 * neurons for heads, _, neurons in shape)


def profile(
    costs: Mapping[Setting, float], created_by: str | None = None, **changes: Any
) -> DeviceProfile:
    """Of a device on which settings cost so many times `cost`."""
    shapes = tuple(
        tuple((s.heads, s.head_size, s.intermediate_size) for s in shape)
        for shape in shapes_to_measure(config())
    )
    kit = Kit(
        Path("kit"), created_by or tool_version(), "toy", shared_sizes(config()), (7, 9, 12), 50,
        False, shapes, (2, 20, 40), (), {}, "0" * 64,
    )  # fmt: skip

    def times(factor: float) -> Any:
        return lambda shape: factor * cost(shape)

    return profile_of(kit, {of: times(factor) for of, factor in costs.items()}, **changes)


def on(tmp_path: Path, found: DeviceProfile, recipe: Recipe) -> tuple[Recipe, Device]:
    found.save(tmp_path / "pi.json")
    return for_device(recipe, tmp_path / "pi.json")


RACE = {
    ("openvino", "float", 2): 1.0,
    ("onnxruntime", "static", 1): 1.2,
    ("onnxruntime", "dynamic", 1): 1.5,
    ("onnxruntime", "dynamic", 4): 2.0,
}


def test_the_fastest_setting_decides_runtime_scheme_and_threads(tmp_path: Path) -> None:
    recipe, device = on(tmp_path, profile(RACE, flags=VNNI), Recipe.preset("fast"))
    assert (recipe.threads, recipe.competing) == (2, ("openvino",))
    assert (recipe.quantize.openvino, recipe.quantize.reduce_range) == ("float", False)
    assert device.runtime == "openvino"
    assert "ONNX Runtime took 1.2 times as long" in device.decisions()[0]


def test_what_the_recipe_names_stands(tmp_path: Path) -> None:
    found = profile(RACE, flags=VNNI)
    recipe, _ = on(tmp_path, found, Recipe.preset("fast", runtimes=["onnxruntime"]))
    assert (recipe.threads, recipe.quantize.onnxruntime) == (1, "static")
    recipe, device = on(tmp_path, found, Recipe.preset("fast", stages=["prune"]))
    assert (device.runtime, device.choice.raced.scheme) == ("openvino", "float")
    for asked in ({"threads": 3}, {"runtimes": ["onnxruntime"], "threads": 2}):
        with pytest.raises(RecipeError, match="has no figures for"):
            on(tmp_path, found, Recipe.preset("fast", **asked))


def test_of_equally_fast_schemes_the_usual_one_is_taken(tmp_path: Path) -> None:
    race = {("onnxruntime", "static", 1): 1.0, ("onnxruntime", "dynamic", 1): 1.02}
    recipe, _ = on(tmp_path, profile(race), Recipe.preset("fast"))
    assert recipe.quantize.onnxruntime == "dynamic"


@pytest.mark.parametrize(
    ("flags", "exact", "seven"),
    [
        (VNNI, True, False),
        (VNNI, False, True),  # the runtime was kept from using them
        (("avx2",), None, True),
        (("asimd",), None, False),
        ((), None, False),
    ],
)
def test_weights_have_seven_bits_where_sums_saturate(
    tmp_path: Path, flags: tuple[str, ...], exact: bool | None, seven: bool
) -> None:
    race = {("onnxruntime", "dynamic", 1): 1.0}
    found = profile(race, flags=flags, exact={"onnxruntime": exact})
    assert saturating(found, "onnxruntime") is seven
    recipe, device = on(tmp_path, found, Recipe.preset("fast"))
    assert recipe.quantize.reduce_range is seven
    assert any("7 bits" in said for said in device.decisions()) is seven


def test_the_table_is_the_devices(tmp_path: Path) -> None:
    _, device = on(tmp_path, profile(RACE, flags=VNNI), Recipe.preset("fast"))
    device = device.of_model(config())
    assert device.table is not None
    rng = np.random.default_rng(1)
    for _ in range(10):
        sizes = [
            LayerSizes(int(rng.integers(1, 5)), 8, 16 * int(rng.integers(1, 5))) for _ in range(3)
        ]
        expected = cost(tuple((s.heads, 8, s.intermediate_size) for s in sizes))
        assert device.table.predict(sizes) == pytest.approx(expected, rel=0.1)
    assert "2026-01-02" in device.table.describe()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 24}, "hidden_size is 16 instead of 24"),
        ({"num_labels": 3}, "num_labels is 2 instead of 3"),
        ({"type_vocab_size": 0}, "type_vocab_size"),
        ({"layers": 4}, "3 of 4 heads"),
    ],
)
def test_a_profile_of_another_model_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    _, device = on(tmp_path, profile(RACE), Recipe.preset("fast"))
    with pytest.raises(ProfileError, match=said) as refused:
        device.of_model(config(**changes))
    assert "edgepress profile kit" in str(refused.value.hint)


def test_a_profile_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"edgepress 0\.0\.7") as refused:
        on(tmp_path, profile(RACE, created_by="0.0.7"), Recipe.preset("fast"))
    assert "edgepress profile kit" in str(refused.value.hint)


def test_a_run_goes_on_for_the_same_device_alone(tmp_path: Path) -> None:
    def key(device: str | None) -> str:
        same: dict[str, Any] = {"model": "m", "data": "d", "unlabelled": None, "machine": {}}
        return import_key(**same, max_length=8, device=device)

    _, device = on(tmp_path, profile(RACE), Recipe.preset("fast"))
    _, slower = on(tmp_path, replace(profile(RACE), tokenize_ms=1.0), Recipe.preset("fast"))
    keys = {key(None), key(device.profile.digest), key(slower.profile.digest)}
    assert len(keys) == 3
    assert key(None) == import_key(model="m", data="d", unlabelled=None, max_length=8, machine={})
