"""The name `edgepress`: the four packages under one, whatever else is called as they are."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_artifact import write_tiny

import compress
import edgepress

STRANGERS = ("benchmarks", "compress", "export", "runtimes")


def test_its_names_are_those_of_the_packages() -> None:
    assert set(edgepress.__all__) == {
        *compress.__all__, "load", "benchmarks", "export", "runtimes",
    }  # fmt: skip
    for name in ("ArtifactError", "Recipe", "Result", "train"):
        assert getattr(edgepress, name) is getattr(compress, name)
    assert set(edgepress.__all__) <= set(dir(edgepress))
    with pytest.raises(AttributeError, match="compres'"):
        edgepress.compres  # noqa: B018


def test_a_module_is_the_same_by_both_names() -> None:
    import edgepress.compress.errors
    import edgepress.export.quantization
    import runtimes.errors
    from edgepress.compress.errors import BudgetError
    from edgepress.runtimes.errors import ArtifactError

    assert ArtifactError is runtimes.errors.ArtifactError is edgepress.ArtifactError
    assert BudgetError is compress.BudgetError
    assert edgepress.export.quantization is sys.modules["export.quantization"]
    assert edgepress.runtimes is runtimes
    assert edgepress.compress is compress.compress  # not the package that was imported above
    with pytest.raises(ModuleNotFoundError, match=r"runtimes\.eror"):
        import edgepress.runtimes.eror
    with pytest.raises(ModuleNotFoundError, match=r"edgepress\.numpy"):
        import edgepress.numpy


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "artifact")


def strangers(folder: Path, kind: str) -> Path:
    """Write somebody's own modules into a folder, called as ours."""
    for name in STRANGERS:
        if kind == "modules":
            (folder / f"{name}.py").write_text("MINE = True\n")
            continue
        (folder / name).mkdir()
        (folder / name / "mine.py").write_text("MINE = True\n")
        if kind == "packages":
            (folder / name / "__init__.py").write_text("MINE = True\n")
    return folder


def in_folder(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = """
import json, pickle, sys

theirs = sys.argv[1] == "before"
if theirs:
    import benchmarks, compress, export, runtimes
from edgepress import Recipe, compress as ours, load
import edgepress.runtimes.errors
from edgepress.benchmarks.child import module_command
from edgepress.benchmarks.render.html import render_html
from edgepress.compress.cli.app import main
import benchmarks, compress, export, runtimes

classify = load(sys.argv[2], threads=1)
again = pickle.loads(pickle.dumps(classify))
try:
    load("nowhere")
except edgepress.runtimes.errors.ArtifactError as error:
    said = str(error)
print(json.dumps({
    "theirs": [getattr(m, "MINE", m.__spec__.origin) for m in (benchmarks, compress, export, runtimes)],
    "labels": [classify("a gorgeous film")[0]["label"], again("a gorgeous film")[0]["label"]],
    "said": said,
    "stages": list(Recipe.preset("fast").stages),
    "function": ours is edgepress.compress and ours.__module__,
    "child": module_command("benchmarks.worker")[-1].rpartition("; from ")[2],
    "command": main(["recipe", "fast"]),
}))
"""  # noqa: E501


@pytest.mark.parametrize(
    ("kind", "first"), [("modules", "before"), ("packages", "after"), ("namespaces", "after")]
)
def test_other_modules_of_these_names_stay_and_ours_are_found(
    kind: str, first: str, artifact: Path, tmp_path: Path
) -> None:
    shown = in_folder(strangers(tmp_path, kind), "-c", PROGRAM, first, str(artifact))
    answer = json.loads(shown.splitlines()[-1])
    assert set(answer["theirs"]) <= {True, None}  # None is that of namespaces
    assert len(answer["theirs"]) == 4
    assert answer["labels"][0] == answer["labels"][1]
    assert "nowhere does not exist" in answer["said"]
    assert answer["stages"] == ["prune", "quantize"]
    assert answer["function"] == "edgepress.compress.api"
    assert answer["child"] == "edgepress.benchmarks.worker import main; main()"
    assert answer["command"] == 0


@pytest.mark.parametrize("module", ["edgepress", "compress"])
def test_the_module_forms_take_nothing_from_the_working_directory(
    module: str, artifact: Path, tmp_path: Path
) -> None:
    folder = strangers(tmp_path, "modules")
    if module == "compress":  # which Python itself looks for there
        (folder / "compress.py").unlink()
    shown = in_folder(folder, "-m", module, "predict", str(artifact), "a gorgeous film")
    assert shown.endswith("\ta gorgeous film\n")


def test_no_library_is_told_one_of_the_names() -> None:
    """It would find the other module: only the statement `import` finds ours, and `lazy` by it."""
    told = re.compile(r"(?<!\w)(?:import_module|PackageLoader|find_spec|files)\(\s*f?[\"'](\w+)")
    for package in STRANGERS:
        for path in (Path(edgepress.__file__).parents[1] / package).rglob("*.py"):
            assert not {*told.findall(path.read_text("utf-8"))} & {*STRANGERS}, path


def test_it_is_light(artifact: Path) -> None:
    code = (
        "import sys; from edgepress import load\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert "runtimes" in loaded
    assert not loaded & {"torch", "transformers", "typer", "pydantic", "yaml", "onnxruntime"}


@pytest.mark.minutes
def test_the_whole_job_beside_other_modules(tmp_path: Path, task: Any) -> None:
    code = """
import sys
import benchmarks, export
from edgepress import Recipe, compress, load

recipe = Recipe.preset("balanced", max_drop=50.0, speedups=[], threads=1).replace(
    distill={"epochs": 1.0, "augment": 1, "learning_rate": 1e-3, "layers": 2, "enough": 0},
    prune={"steps": 1, "neuron_step": 8},
    quantize={"calibration_texts": 4, "alternatives": False},
    benchmark={"rounds": 2, "sentences": 5, "baselines": ["onnx-fp32"]})
result = compress(sys.argv[1], data=sys.argv[2], recipe=recipe, out="out")
print(result.load()("a good film")[0]["label"], load("out/artifact")("a bad film")[0]["label"])
assert "export.stock" not in sys.modules and "edgepress.export.package" in sys.modules
"""
    shown = in_folder(strangers(tmp_path, "packages"), "-c", code, str(task.model), str(task.data))
    assert shown.splitlines()[-1] == "better worse"
