"""The self-test: made at export, asked on the device, and red where a runtime is wrong."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.cli.app import main
from compress.quantization.fake_quantization import fake_quantized
from export.package import Exported, export_artifact
from export.quantization import QuantizationPlan
from runtimes import load
from runtimes.__main__ import main as on_device
from runtimes.adapters.openvino import OpenVinoSession
from runtimes.artifact import read_manifest, verify
from runtimes.checks import (
    Checks,
    Rounded,
    answered,
    check_artifact,
    check_predictor,
    lengths_to_check,
    read_checks,
)
from runtimes.errors import ArtifactError, WrongAnswersError

WRONG_AT = 7


@pytest.fixture
def export(
    lean: Callable[..., Any], tokenizer: Any, texts: list[str], tmp_path: Path
) -> Callable[..., Exported]:
    """`export(plan=None)` writes `tmp_path/"artifact"`, of texts of up to 40 tokens."""

    def run(plan: QuantizationPlan | None = None, **options: Any) -> Exported:
        return export_artifact(
            tmp_path / "artifact",
            module=lean(),
            tokenizer=tokenizer,
            plan=plan,
            max_length=40,
            calibration=texts[:6],
            checks=texts,
            **options,
        )

    return run


@pytest.fixture
def wrong_at_one_length(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, OpenVINO answers inputs of seven tokens wrongly, as it did with AMX.

    It does after longer ones: what it keeps of those is at fault.
    """
    right = OpenVinoSession.run
    before: dict[Any, int] = {}

    def run(self: Any, inputs: Any) -> Any:
        outputs = right(self, inputs)
        rows, length = inputs["input_ids"].shape
        longer = before.get(self, 0) > length
        before[self] = length
        if longer and (rows, length) == (1, WRONG_AT):
            return {name: values[..., ::-1] * -30 for name, values in outputs.items()}
        return outputs

    return lambda: monkeypatch.setattr(OpenVinoSession, "run", run)


@pytest.mark.parametrize("plan", [None, QuantizationPlan(reduce_range=True)], ids=["fp32", "int8"])
def test_every_length_and_script_is_asked_and_right_here(
    export: Callable[..., Exported], tmp_path: Path, plan: Any, capsys: Any
) -> None:
    exported = export(plan)
    folder = tmp_path / "artifact"
    assert [(one.runtime, one.verdict) for one in exported.checked] == [
        ("onnxruntime", "right"),
        ("openvino", "right"),
    ]
    checks = read_checks(folder)
    assert set(range(2, 41)) <= set(checks.rows.lengths.tolist())  # [CLS] and [SEP] at least
    assert len(checks.texts) > 20
    assert {"onnxruntime", "openvino"} == set(checks.answers)
    with load(folder, check=True) as predictor:
        assert predictor.runtime == "onnxruntime"
    assert main(["check", str(folder)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table] == ["runtime", "onnxruntime", "openvino"]
    assert all(line.endswith("right") for line in table[1:])
    assert on_device(["check", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["right"] for one in found] == [True, True]
    assert all(one["ms"] for one in found)
    assert found[0]["largest"] < (1e-4 if plan is None else 1.0)


def test_a_runtime_that_is_wrong_at_one_length_is_found_on_the_device(
    export: Callable[..., Exported],
    wrong_at_one_length: Callable[[], None],
    tmp_path: Path,
    capsys: Any,
) -> None:
    export(QuantizationPlan(reduce_range=True))
    folder = tmp_path / "artifact"
    wrong_at_one_length()
    first, second = check_artifact(folder)
    assert first.right
    assert second.wrong_lengths == (WRONG_AT,)
    assert second.verdict == f"wrong at {WRONG_AT} tokens"
    with pytest.raises(WrongAnswersError, match=f"openvino answers .* wrong at {WRONG_AT} tokens"):
        load(folder, runtime="openvino", check=True)
    load(folder, check=True).close()  # ONNX Runtime is right
    assert main(["check", str(folder)]) == 1
    assert "openvino: wrong on this machine" in capsys.readouterr().err
    assert on_device(["check", str(folder)]) == 1


def test_a_runtime_that_is_wrong_where_it_is_exported_is_not_offered(
    export: Callable[..., Exported], wrong_at_one_length: Callable[[], None], tmp_path: Path
) -> None:
    wrong_at_one_length()
    exported = export(QuantizationPlan(reduce_range=True))
    folder = tmp_path / "artifact"
    manifest = read_manifest(folder)
    verify(folder, manifest)
    assert {entry.runtime for entry in manifest.models} == {"onnxruntime"}
    assert not (folder / "openvino").exists()
    assert [one.wrong_lengths for one in exported.checked] == [(), (WRONG_AT,)]
    assert [one["verdict"] for one in manifest.metrics["checks"]] == [
        "right",
        f"wrong at {WRONG_AT} tokens",
    ]
    assert set(read_checks(folder).answers) == {"onnxruntime"}
    assert set(read_checks(folder).in_batches) == {"onnxruntime"}


def test_what_int8_costs_is_no_fault_of_the_runtime(
    export: Callable[..., Exported], tmp_path: Path
) -> None:
    """As where a model was pruned and not trained: one length suffers, alone and not padded."""
    export(QuantizationPlan(reduce_range=True), rounding=fake_quantized)
    folder = tmp_path / "artifact"
    checks = dataclasses.replace(read_checks(folder), answers={}, in_batches={})
    with load(folder, runtime="onnxruntime") as predictor:
        known, padded = (answered(predictor, checks, batches=each) for each in (False, True))
        answers = known.copy()
        answers[checks.rows.lengths == WRONG_AT] += 5 * np.std(checks.expected)
        for rounded, wrong in (
            (None, (WRONG_AT,)),
            (Rounded(known, padded), (WRONG_AT,)),
            (Rounded(answers, padded), ()),
        ):
            found = check_predictor(predictor, checks, answers, rounded=rounded)
            assert found.wrong_lengths == wrong


def test_what_a_shared_range_costs_a_batch_is_no_fault_either(
    export: Callable[..., Exported], tmp_path: Path
) -> None:
    """Dynamic INT8 has one range for all of a padded batch: coarser than for one text alone."""
    export(QuantizationPlan(reduce_range=True), rounding=fake_quantized)
    folder = tmp_path / "artifact"
    checks = read_checks(folder)
    alone, padded = (checks.answers["onnxruntime"], checks.in_batches["onnxruntime"])
    assert not np.array_equal(alone, padded)
    coarse = padded.copy()
    coarse[checks.rows.lengths == WRONG_AT] += 5 * np.std(checks.expected)
    with load(folder, runtime="onnxruntime") as predictor:
        for known, wrong in ((padded, (WRONG_AT,)), (coarse, ())):
            recorded = dataclasses.replace(checks, in_batches={"onnxruntime": known})
            found = check_predictor(predictor, recorded, alone, in_batches=coarse)
            assert (found.wrong_lengths, found.wrong_in_batches) == ((), wrong)


def test_where_all_are_wrong_nothing_is_exported(
    export: Callable[..., Exported], wrong_at_one_length: Callable[[], None], monkeypatch: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    wrong_at_one_length()
    monkeypatch.setattr("export.package.target_names", lambda: ("openvino",))
    with pytest.raises(WrongAnswersError, match=f"openvino is wrong at {WRONG_AT} tokens"):
        export(QuantizationPlan(reduce_range=True))
    assert not (tmp_path / "artifact").exists()


def test_checks_can_be_removed_and_not_be_changed(
    export: Callable[..., Exported], tmp_path: Path
) -> None:
    export()
    file = tmp_path / "artifact" / "checks.npz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"checks\.npz"):
        check_artifact(tmp_path / "artifact")
    file.unlink()
    load(tmp_path / "artifact").close()
    with pytest.raises(ArtifactError, match=r"checks\.npz"):
        load(tmp_path / "artifact", check=True)


def test_what_is_written_is_read_again(export: Callable[..., Exported], tmp_path: Path) -> None:
    export()
    content = (tmp_path / "artifact" / "checks.npz").read_bytes()
    checks = Checks.read(content)
    checks.write(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == content
    cut = dataclasses.replace(checks, texts=())
    cut.write(tmp_path / "cut.npz")
    assert Checks.read((tmp_path / "cut.npz").read_bytes()).texts == []
    for damaged in (b"", content[:100], b"x" * 100):
        with pytest.raises(ValueError, match="holds no checks"):
            Checks.read(damaged)


def test_lengths_are_all_the_short_ones_and_fewer_of_the_long_ones() -> None:
    assert lengths_to_check(3, 20) == list(range(3, 21))
    lengths = lengths_to_check(2, 512)
    assert lengths[:63] == list(range(2, 65))
    assert lengths[-1] == 512
    assert len(lengths) < 80
    longer = np.array(lengths[62:])  # odd ones among them: kernels differ at multiples of 2, 4, 16
    assert (longer[1:] / longer[:-1]).max() < 1.5
    assert (longer % 2).any()


@pytest.mark.parametrize(("flags", "named"), [({"avx2"}, True), ({"asimd"}, False)])
def test_sums_that_may_saturate_are_named_beside_the_verdict(
    export: Callable[..., Exported],
    tmp_path: Path,
    flags: set[str],
    named: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for plan in (QuantizationPlan(), QuantizationPlan(reduce_range=True)):
        with warnings.catch_warnings(), monkeypatch.context() as patch:
            warnings.simplefilter("ignore", RuntimeWarning)
            export(plan, runtimes=["onnxruntime"])
            for module in ("runtimes.checks", "runtimes.loading"):
                patch.setattr(f"{module}.processor_flags", lambda: frozenset(flags))
            (found,) = check_artifact(tmp_path / "artifact")
        lacks = named and not plan.reduce_range
        assert ("avx512_vnni" in found.lacking) == lacks
        assert ("may saturate here: there is none of avx512_vnni" in found.verdict) == lacks
        assert found.to_json()["lacking"] == list(found.lacking)
