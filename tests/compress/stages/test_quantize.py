"""From the recipe's words to the plan that exporters lower."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx.numpy_helper import to_array
from transformers import BertTokenizer

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.config.recipe import Recipe, load_recipe
from compress.corpus.corpus import Material
from compress.errors import RecipeError
from compress.quantization.fake_quantization import linear_layers
from compress.quantization.mixed_precision import safe_plan
from compress.stages.base import Encoder
from compress.stages.quantize import STAGE, planned
from compress.system.progress import SilentProgress
from export.onnx import build_onnx
from export.quantization import QuantizationPlan
from runtimes.processor import processor_flags

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]


@pytest.fixture
def encoder(lean: Any) -> Encoder:
    return Encoder(lean, BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}))


def context(count: int = 30, pairs: bool = False, **quantize: Any) -> Any:
    """The parts of a context that the stage reads."""
    texts = tuple(" ".join("abcdefg"[: 1 + index % 7]) for index in range(count))
    labels = np.zeros(count, dtype=np.int64)
    return SimpleNamespace(
        recipe=Recipe.model_validate({"quantize": quantize}),
        train=Examples(texts, ClassLabels(labels), ("no", "yes"), texts if pairs else None),
        max_length=12,
        progress=SilentProgress(),
    )


def material(encoder: Encoder, train: Examples, scratch: Path) -> Material:
    """What the stage samples from; the texts that decide are the same."""
    return Material(
        encoder.module,
        encoder.tokenizer,
        train,
        train,
        max_length=12,
        seed=0,
        scratch=scratch,
    )


def here(plan: QuantizationPlan) -> QuantizationPlan:
    """The plan as this processor takes it: with weights of seven bits where eight saturate."""
    return safe_plan(plan, processor_flags())


def test_by_default_the_plan_is_the_default(encoder: Encoder) -> None:
    planned = STAGE.apply(encoder, context(suppress_outliers=False, round_weights=False))
    assert planned.plan == here(QuantizationPlan())
    assert planned.lineage[-1]["onnxruntime"] == "dynamic INT8, one scale a column"
    said = planned.lineage[-1]["in_words"]
    assert said.startswith("It was quantized: dynamic INT8, one scale a column for ONNX Runtime; ")
    assert " for OpenVINO; INT8 embeddings" in said


def test_forced_schemes_reach_the_plan(encoder: Encoder) -> None:
    planned = STAGE.apply(
        encoder, context(onnxruntime="float", openvino="plain", suppress_outliers=False)
    )
    assert planned.plan == here(QuantizationPlan({"onnxruntime": "float", "openvino": "plain"}))
    assert planned.lineage[-1]["onnxruntime"] == "float"
    assert "no SmoothQuant" in planned.lineage[-1]["openvino"]


@pytest.mark.parametrize("count", [3, 30])
@pytest.mark.parametrize("pairs", [False, True])
def test_static_ranges_are_measured_on_training_texts(
    encoder: Encoder, tmp_path: Path, count: int, pairs: bool
) -> None:
    given = context(count, pairs, onnxruntime="static", calibration_texts=8)
    given.material = material(encoder, given.train, tmp_path)
    planned = STAGE.apply(encoder, given)
    assert planned.plan is not None
    assert planned.plan.schemes["onnxruntime"] == "static"
    assert planned.plan.static_ranges.keys() == linear_layers(encoder.module).keys()
    build_onnx(encoder.module, planned.plan)


def test_the_file_holds_the_models_own_weights(encoder: Encoder, tmp_path: Path) -> None:
    """Rounded for what layers give, they are levels already when they are exported."""
    given = context(60)
    given.material = material(encoder, given.train, tmp_path)
    rounded = STAGE.apply(encoder, given)
    assert 0 < rounded.lineage[-1]["rounding_error"] < 1
    assert "of the error of rounding each to its nearest" in rounded.lineage[-1]["in_words"]
    stored = {
        each.name: to_array(each)
        for each in build_onnx(rounded.module, rounded.plan).graph.initializer
    }
    for name, layer in linear_layers(rounded.module).items():
        if f"{name}.weight_int8" not in stored:
            continue  # the first token's queries are a product by themselves
        own = stored[f"{name}.weight_int8"] * stored[f"{name}.scale"]
        np.testing.assert_allclose(own.T, layer.weight.detach().numpy(), rtol=1e-6, atol=1e-9)
    assert sum(name.endswith(".weight_int8") for name in stored) > 4


def test_before_ranges_are_measured_dynamic_ones_stand_in() -> None:
    recipe = load_recipe(None, ["quantize.onnxruntime=static", "quantize.openvino=float"])
    assert planned(recipe.quantize) == here(QuantizationPlan({"openvino": "float"}))


def test_unknown_words_are_refused(encoder: Encoder) -> None:
    with pytest.raises(RecipeError, match=r"(?s)quantize\.onnxruntime.*did you mean 'static'"):
        load_recipe(None, ["quantize.onnxruntime=statik"])
    with pytest.raises(RecipeError, match=r"no linear layer 'layers\.7\.x'"):
        STAGE.check(encoder, context(float_layers=("layers.7.x",)))
