"""The self-test on other processors, emulated: `make devices`. See tests/helpers/emulated.py."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from emulated import PROCESSORS, UnavailableError

from compress.encoder.importers.registry import import_encoder
from compress.quantization.fake_quantization import fake_quantized
from export.package import export_artifact
from export.quantization import QuantizationPlan
from runtimes.artifact import CHECKS_NAME, Manifest, write_artifact
from runtimes.checks import Checks, Rounded

pytestmark = [pytest.mark.minutes, pytest.mark.timeout(3600)]

MODEL = Path(os.environ.get("EDGEPRESS_SHARED", "../shared")) / "models" / "minilm-sst2"
SEVEN, EIGHT = QuantizationPlan(reduce_range=True), QuantizationPlan()


def check(processor: str, artifact: Path) -> tuple[int, list[dict[str, Any]]]:
    """Run an artifact's self-test on a processor; returns the exit code, and what it found."""
    begun = time.perf_counter()
    try:
        done = PROCESSORS[processor].run("-m", "runtimes", "check", artifact, "--json")
    except UnavailableError as error:
        pytest.skip(str(error))
    assert done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    print(f"\n{processor}, {artifact.name}, {time.perf_counter() - begun:.0f} s:")
    for one in found:
        same, largest = one["same_labels"], one["largest"]
        print(f"  {one['cases']} inputs, same label {same:.1%}, largest error {largest:.2f}")
        print(f"  {one['verdict']}")
    assert ("RuntimeWarning" in done.stderr) == bool(found[0]["lacking"]), done.stderr
    return done.returncode, found


def made_elsewhere(
    target: Path,
    manifest: Manifest,
    populate: Callable[[Path], None],
    checks: Checks,
    draft: Path,
    rounded: Mapping[str, Rounded],
) -> tuple[Manifest, tuple[()]]:
    """Write an artifact as on a processor with VNNI, whatever this one is: its files answer as they
    should there."""

    def publish(partial: Path) -> None:
        populate(partial)
        alone = {name: each.alone for name, each in rounded.items()}
        padded = {name: each.in_batches for name, each in rounded.items()}
        replace(checks, answers=alone, in_batches=padded).write(partial / CHECKS_NAME)

    return write_artifact(target, manifest, publish), ()


@pytest.fixture
def of_real_size(tmp_path: Path) -> Callable[[QuantizationPlan], Path]:
    """`of_real_size(plan)` exports MiniLM-L6."""
    if not MODEL.is_dir():
        pytest.skip(f"{MODEL} is missing (set EDGEPRESS_SHARED)")
    from transformers import AutoTokenizer

    def make(plan: QuantizationPlan) -> Path:
        export_artifact(
            tmp_path / f"minilm-{7 if plan.reduce_range else 8}-bits",
            module=import_encoder(MODEL).model,
            tokenizer=AutoTokenizer.from_pretrained(MODEL),
            plan=plan,
            max_length=24,  # emulated, it takes a hundred times as long
            checks=["a gorgeous , witty film"],
            runtimes=["onnxruntime"],
            rounding=fake_quantized,
        )
        return tmp_path / f"minilm-{7 if plan.reduce_range else 8}-bits"

    return make


@pytest.fixture
def saturating(
    lean: Callable[..., Any],
    tokenizer: Any,
    texts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[QuantizationPlan], Path]:
    """`saturating(plan)` exports a model whose weights in eight bits are all as large as can be, so
    that two products hardly ever fit in 16 bits."""
    monkeypatch.setattr("export.package.write_checked", made_elsewhere)
    module = lean()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim == 2:
                weight.copy_(weight.sign() * weight.std())

    def make(plan: QuantizationPlan) -> Path:
        export_artifact(
            tmp_path / f"large-{7 if plan.reduce_range else 8}-bits",
            module=module,
            tokenizer=tokenizer,
            plan=plan,
            max_length=24,
            checks=texts[:4],
            runtimes=["onnxruntime"],
            rounding=fake_quantized,
        )
        return tmp_path / f"large-{7 if plan.reduce_range else 8}-bits"

    return make


@pytest.mark.parametrize("plan", [SEVEN, EIGHT], ids=["7 bits", "8 bits"])
@pytest.mark.parametrize("processor", ["Cortex-A72", "Cortex-A76"])
def test_arm_is_right_with_and_without_dot_products(
    processor: str, plan: QuantizationPlan, saturating: Callable[..., Path]
) -> None:
    code, (found,) = check(processor, saturating(plan))
    assert (code, found["verdict"], found["lacking"]) == (0, "right", [])
    assert found["cases"] > 60


@pytest.mark.parametrize("processor", ["Cortex-A72", "Haswell"])
def test_a_real_model_of_seven_bits_passes_everywhere(
    processor: str, of_real_size: Callable[..., Path]
) -> None:
    code, (found,) = check(processor, of_real_size(SEVEN))
    assert (code, found["verdict"], found["same_labels"]) == (0, "right", 1.0)
    assert found["cases"] > 80


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the packages here are of x86")
def test_without_vnni_seven_bits_pass_and_eight_saturate(saturating: Callable[..., Path]) -> None:
    code, (found,) = check("Haswell", saturating(SEVEN))
    assert (code, found["verdict"]) == (0, "right")
    code, (found,) = check("Haswell", saturating(EIGHT))
    assert code == 1
    assert found["verdict"].startswith("wrong at ")
    assert "INT8 sums may saturate here: there is none of avx512_vnni" in found["verdict"]
