"""Kits and profiles that others wrote: looked at before anything in them is used."""

import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from profiles import profile_of

from benchmarks.profiling.kit import KIT_NAME, Kit, ProbeModel, ProbeSet, checksum
from benchmarks.profiling.measure import measure_profile
from benchmarks.profiling.profile import DeviceProfile
from runtimes.errors import ProfileError

SHAPES = (((2, 8, 16), (2, 8, 16)), ((2, 8, 16),), ((1, 8, 8),))


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    folder = tmp_path / "kit"
    folder.mkdir()
    models = (ProbeModel("onnx/unpadded.onnx", "1.25"), ProbeModel("onnx/model.onnx", "1.17"))
    each = ProbeSet("onnxruntime", "dynamic", "int8", models, (0, 1, 2))
    names = [f"{each.folder(shape)}/{model.path}" for shape in each.shapes for model in models]
    files = {name: Kit.pack(folder, name, b"no model") for name in ("exact.onnx", *names)}
    sizes = {"hidden_size": 16, "head": "sequence"}
    kit = Kit(folder, "0.1.0", "toy", sizes, (4, 5), 50, False, SHAPES, (0, 2), (each,), files)
    kit.write()
    return Kit.read(folder)


def profile(kit: Kit) -> DeviceProfile:
    return profile_of(kit, {("onnxruntime", "dynamic", 1): lambda shape: 0.1 * len(shape)})


def forged(path: Path, change: Callable[[Any], object], *, signed: bool = True) -> None:
    """Change a file, and its checksum with it."""
    values = json.loads(path.read_text())
    change(values)
    if signed:
        values.pop("digest", None)
        values["digest"] = checksum(values)
    path.write_text(json.dumps(values))


def test_both_are_read_as_they_were_written(kit: Kit, tmp_path: Path) -> None:
    assert kit.shapes == SHAPES
    path = tmp_path / "pi.json"
    profile(kit).save(path)
    read = DeviceProfile.read(path)
    assert read == profile(kit)
    assert read.digest
    assert replace(profile(kit), tokenize_ms=1.0).to_json()["digest"] != read.digest
    assert [choice.factor for choice in read.choices()] == [1.0]


def test_a_scheme_without_a_table_is_taken_by_its_ratio(kit: Kit) -> None:
    found = profile_of(
        kit,
        {
            ("onnxruntime", "dynamic", 1): lambda shape: 0.2 * len(shape),
            ("onnxruntime", "static", 1): lambda shape: 0.1 * len(shape),
            ("openvino", "smooth", 1): lambda shape: 0.4 * len(shape),
        },
    )
    dynamic = replace(found.tables[0], scheme="dynamic", ms=(0.4, 0.2, 0.2))
    found = replace(found, tables=(dynamic, found.tables[1]))
    static, second, _ = found.choices()
    assert (static.raced.scheme, static.table.scheme) == ("static", "dynamic")
    assert static.factor == pytest.approx(0.5)
    assert second.factor == 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda of: of["files"].update({"../../up": {"sha256": "0", "bytes": 1}}),
        lambda of: of["files"].update({"/etc/passwd": {"sha256": "0", "bytes": 1}}),
        lambda of: of["files"].update({"x": {"sha256": "0", "bytes": 1 << 60}}),
        lambda of: of["sets"][0].update(runtime="pickle"),
        lambda of: of["sets"][0].update(scheme="../x"),
        lambda of: of["sets"][0]["models"][0].update(path="../../x.onnx"),
        lambda of: of["sets"][0].update(shapes=[0, 9]),
        lambda of: of["sets"].clear(),
        lambda of: of.update(race=[]),
        lambda of: of.update(race=[True]),
        lambda of: of.update(lengths=[0]),
        lambda of: of.update(lengths="1"),
        lambda of: of.update(shapes=[[]]),
        lambda of: of.update(shapes=[[[1, 2]]]),
        lambda of: of.update(words=0),
        lambda of: of.pop("files"),
        lambda of: of.update(format=2),
        lambda of: of.update(kind="something"),
    ],
)
def test_a_kit_that_is_none_is_refused(kit: Kit, change: Any) -> None:
    forged(kit.folder / KIT_NAME, change)
    with pytest.raises(ProfileError) as refused:
        Kit.read(kit.folder)
    assert "edgepress profile kit" in str(refused.value.hint)


@pytest.mark.parametrize("content", [b"", b"short", lzma.compress(b"\0" * 100_000_000)])
def test_a_file_that_is_not_the_kits_is_not_unpacked(kit: Kit, content: bytes) -> None:
    (kit.folder / "exact.onnx.xz").write_bytes(content)
    with pytest.raises(ProfileError, match=r"exact\.onnx\.xz"):
        measure_profile(kit, seconds=0.0, threads=1)


def test_probes_that_no_runtime_opens_are_named(kit: Kit) -> None:
    with pytest.raises(ProfileError, match="none of the kit's probes can be run here"):
        measure_profile(kit, seconds=0.0, threads=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda of: of["tables"][0].update(ms=[0.1]),
        lambda of: of["tables"][0]["ms"].__setitem__(0, -1.0),
        lambda of: of["tables"][0]["ms"].__setitem__(0, "1"),
        lambda of: of["tables"][0].update(threads=0),
        lambda of: of["tables"][0].update(runtime="numpy"),
        lambda of: of["tables"].clear(),
        lambda of: of["race"][0].update(ms=[]),
        lambda of: of["race"].clear(),
        lambda of: of.update(race={}),
        lambda of: of["exact"].update(onnxruntime="yes"),
        lambda of: of.update(exact=[]),
        lambda of: of.update(tokenize_ms=-1),
        lambda of: of.update(peaks=[{"threads": 1}]),
        lambda of: of["kit"].update(shapes=[]),
        lambda of: of["kit"].pop("sizes"),
        lambda of: of["kit"].update(lengths=[1.5]),
        lambda of: of.update(environment=[]),
        lambda of: of.update(format="1"),
        lambda of: of.update(kind=None),
    ],
)
def test_a_profile_that_is_none_is_refused(kit: Kit, tmp_path: Path, change: Any) -> None:
    path = tmp_path / "pi.json"
    profile(kit).save(path)
    forged(path, change)
    with pytest.raises(ProfileError) as refused:
        DeviceProfile.read(path)
    assert "python -m benchmarks profile" in str(refused.value.hint)


def test_a_changed_figure_is_found(kit: Kit, tmp_path: Path) -> None:
    path = tmp_path / "pi.json"
    profile(kit).save(path)
    forged(path, lambda of: of.update(tokenize_ms=0.06), signed=False)
    with pytest.raises(ProfileError, match="checksum"):
        DeviceProfile.read(path)
    for content in ("", "{", "[]", '{"kind": "x", "kind": "x"}'):
        path.write_text(content)
        with pytest.raises(ProfileError):
            DeviceProfile.read(path)
    with pytest.raises(ProfileError, match="no device profile"):
        DeviceProfile.read(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda ids: np.zeros((1, 0)), "no number"),
        (lambda ids: np.full((1, 2), np.nan), "no number"),
        (lambda ids: np.ones((1, 2)), "the same"),
        (lambda ids: 1 // 0, "ZeroDivisionError"),
    ],
)
def test_what_answers_nothing_is_not_the_fastest(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    class Session:
        def run(self, inputs: Any) -> Any:
            return {"logits": answer(inputs["input_ids"])}

        def close(self) -> None:
            pass

    monkeypatch.setattr("runtimes.adapters.onnxruntime.open_model", lambda *_, **__: Session())
    monkeypatch.setattr("benchmarks.profiling.measure.sums_are_exact", lambda *_: True)
    with pytest.raises(ProfileError, match=said):
        measure_profile(kit, seconds=0.0, threads=1)
