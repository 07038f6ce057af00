"""A kit of probes: written here, measured where nothing but a device's packages is installed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from profiles import ABSENT, profile_of

from benchmarks.profiling.kit import Kit
from benchmarks.profiling.profile import DeviceProfile
from benchmarks.report import load_report
from compress.cli.app import main
from runtimes.artifact import read_manifest

DEVICE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
from benchmarks.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def on_device(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m benchmarks` where the rest of the tool is not installed."""
    command = [sys.executable, "-c", DEVICE.format(absent=ABSENT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def kit(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile") / "kit"
    arguments = ["profile", "kit", str(task.model), "--data", str(task.data), "--out", str(folder)]
    assert main([*arguments, "--runtimes", "onnxruntime", "--quiet"]) == 0
    return folder


def test_a_kit_holds_probes_of_all_sizes_and_no_text(kit: Path, task: Any) -> None:
    found = Kit.read(kit)
    schemes = {each.scheme: len(each.shapes) for each in found.sets}
    assert schemes.pop("static") == len(found.race) < schemes["dynamic"] == schemes["float"]
    assert schemes["dynamic"] == len(found.shapes)
    assert max(found.shapes, key=len) == ((4, 8, 64),) * 3
    assert 5 < np.median(found.lengths) < 12  # of the data, with [CLS] and [SEP]
    assert sum(path.stat().st_size for path in kit.rglob("*")) < 3e6
    contents = b"".join(found._content(name, file) for name, file in found.files.items())
    with (task.data / "train.csv").open() as lines:
        texts = [line.rpartition(",")[0] for line in lines][1:]
    assert not any(text.encode() in contents for text in texts)


def test_a_device_measures_it_with_its_own_packages(kit: Path, tmp_path: Path) -> None:
    out = tmp_path / "pi.json"
    done = on_device("profile", str(kit), "--out", str(out), "--seconds", "0.1", "--threads", "1")
    assert done.returncode == 0, done.stderr
    found, of = DeviceProfile.read(out), Kit.read(kit)
    assert {one.setting for one in found.race} == {
        ("onnxruntime", scheme, 1) for scheme in ("dynamic", "static", "float")
    }
    (table,) = found.tables
    assert len(table.ms) == len(of.shapes)
    assert found.exact["onnxruntime"] in (True, False)
    assert found.tokenize_ms > 0
    assert {peak.threads for peak in found.peaks} == {1}
    assert len(found.choices()) == 3
    # largest of all takes longer than the smallest
    by_size = sorted(range(len(of.shapes)), key=lambda i: sum(map(sum, of.shapes[i])))
    assert table.ms[by_size[-1]] > table.ms[by_size[0]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runtime", "openvino"], "the kit has no probes for it"),
        (["--threads", "5000"], "this process may use"),
    ],
)
def test_what_a_device_lacks_is_said(
    kit: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.__main__ import main as measure

    assert measure(["profile", str(kit), "--out", str(tmp_path / "pi.json"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_folders_of_others_are_left_alone(tmp_path: Path, task: Any) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["profile", "kit", str(task.model), "--out", str(tmp_path)]) == 2
    assert main(["profile", "kat", str(task.model), "--out", str(tmp_path / "new")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_a_family_for_a_device_is_measured_there(kit: Path, task: Any, tmp_path: Path) -> None:
    """A device on which static INT8 is fastest, with one thread, and where sums saturate."""

    def cost(shape: Any) -> float:
        return float(sum(0.01 + 0.02 * heads + 0.0004 * neurons for heads, _, neurons in shape))

    costs: dict[Any, Any] = {
        ("onnxruntime", "static", 1): cost,
        ("onnxruntime", "dynamic", 1): lambda shape: 2 * cost(shape),
    }
    profile_of(Kit.read(kit), costs).save(tmp_path / "pi.json")
    out, device = tmp_path / "out", tmp_path / "device.json"
    arguments = [str(task.model), "--data", str(task.data), "--out", str(out)]
    arguments += ["stages=[prune,quantize]", "speedups=[]", "quantize.alternatives=false"]
    arguments += ["--runtimes", "onnxruntime", "--max-drop", "50", "benchmark.baselines=[]"]
    assert main([*arguments, "--device-profile", str(tmp_path / "pi.json"), "--quiet"]) == 0
    report = load_report(out / "report.json")
    assert all(row.end_to_end_ms is None and row.speedup is None for row in report.rows)
    assert all(row.load_ms is None for row in report.rows)
    assert not report.samples
    expected = report.method["device"]["expected_ms"]
    assert expected["full-onnxruntime"] == pytest.approx(0.05 + cost([(4, 8, 64)] * 3), rel=0.1)
    assert "Cortex-A72" in " ".join(report.notes)
    plan = read_manifest(out / "artifact").quantization
    assert (plan["onnxruntime"], plan["reduce_range"]) == ("static", True)
    tuned = json.loads((out / "artifact" / "tuning.json").read_text())["devices"]
    assert tuned["0123456789abcdef"]["best"]["threads"] == 1  # there, and not here
    assert "x " not in (out / "report.md").read_text().partition("## ")[0]

    data = str(task.data / "test.csv")
    shutil.copytree(out / "family" / "full", tmp_path / "another")
    artifacts = [str(out / "family" / "full"), str(out / "artifact"), str(tmp_path / "another")]
    measured = ["run", *artifacts, "--data", data, "--out", str(device), "--rounds", "2"]
    done = on_device(*measured)
    assert done.returncode == 0, done.stderr
    assert main(["report", "merge", str(out / "report.json"), str(device)]) == 0
    both = load_report(out / "report.json")
    timed = {row.id for row in both.rows if row.end_to_end_ms is not None}
    assert timed == {f"{name}-onnxruntime" for name in ("full", "prune")}
    assert [row.drop for row in both.rows] == [row.drop for row in report.rows]
    assert all(row.speedup is None for row in both.rows)  # the original was not measured there
    assert "were expected" in " ".join(both.notes)
    assert "another device" not in " ".join(both.notes)
    assert "not the one whose profile" in " ".join(both.notes)  # this machine is no Cortex

    forged = json.loads(device.read_text())
    forged["method"]["artifacts"] = dict.fromkeys(forged["method"]["artifacts"], "0" * 64)
    device.write_text(json.dumps(forged))
    assert main(["report", "merge", str(out), str(device)]) == 1
    assert load_report(out / "report.json") == both
