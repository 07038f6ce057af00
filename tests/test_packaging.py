"""What is installed: four packages and their one name, light to import, with honest `__all__`s."""

import ast
import importlib
import json
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType

import pytest

from export.deployment.wheel import write_wheel

PACKAGES = ("benchmarks", "compress", "edgepress", "export", "runtimes")
ROOT = Path(__file__).parent.parent

# Libraries that a device does not have, and whose import takes seconds.
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "scipy",
    "sklearn",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy so that nothing is left in the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for package in (*PACKAGES, "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    # Without isolation and without the network: setuptools is what pip would use.
    code = f"from setuptools import build_meta; print(build_meta.build_wheel({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(folder / done.stdout.splitlines()[-1])


def test_the_wheel_holds_exactly_the_packages(wheel: zipfile.ZipFile) -> None:
    files = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in files} == set(PACKAGES)
    source = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set(files) == source
    for package in PACKAGES:
        assert f"{package}/py.typed" in files


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "Name: edgepress\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "Requires-Python: >=3.10\n" in metadata
    points = ConfigParser()
    points.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert {group: dict(points[group]) for group in points.sections()} == {
        "console_scripts": {
            "compress": "edgepress.compress.cli.entry:main",
            "edgepress": "edgepress.compress.cli.entry:main",
        },
        "edgepress.checkpoints": {
            "lean-encoder": "edgepress.compress.encoder.auto_classes:register"
        },
    }


def test_a_bundle_gets_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """It is made of what is installed, which here may point to the source tree."""
    path = write_wheel(tmp_path)
    assert path.name == Path(str(wheel.filename)).name
    with zipfile.ZipFile(path) as ours:
        assert ours.testzip() is None
        differ = {
            name
            for name in {*ours.namelist(), *wheel.namelist()}
            if name not in ours.namelist()
            or name not in wheel.namelist()
            or ours.read(name) != wheel.read(name)
        }
        [described] = [name for name in ours.namelist() if name.endswith("/METADATA")]
        assert ours.read(described).startswith(b"Metadata-Version: ")
    # The description is that of the day on which the source tree was installed.
    assert {name.rpartition("/")[2] for name in differ} - {"METADATA"} == {"WHEEL", "RECORD"}
    first = path.read_bytes()
    assert write_wheel(tmp_path).read_bytes() == first


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    code = (
        f"import {package}, sys, json; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        found.append(package)
        path = [str(ROOT / package)]
        found += [info.name for info in pkgutil.walk_packages(path, f"{package}.")]
    return [name for name in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_all_is_what_is_there(name: str) -> None:
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        assert public(module) == set(), "a module that defines something says what is public"
        return
    assert len(set(module.__all__)) == len(module.__all__), "each name once"
    assert [exported for exported in module.__all__ if not hasattr(module, exported)] == []
    missing = public(module) - set(module.__all__)
    assert not missing, "what is defined without an underscore is public"


# What Python 3.10 lacks; devices have it. Later names of the library are found by test_device.py.
NEWER = {
    *("asyncio.timeout", "asyncio.TaskGroup", "asyncio.Runner", "datetime.UTC", "enum.StrEnum"),
    *("hashlib.file_digest", "tomllib", "typing.Self", "typing.Never", "typing.assert_never"),
    *("typing.override", "contextlib.chdir", "itertools.batched", "sys.flags.safe_path"),
}


def names_used(path: Path) -> Iterator[str]:
    """Names of modules, and of what is taken from them, but for those in an `if`."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.If):
                yield child
                yield from walk(child)

    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_what_runs_on_devices_is_there_in_python_3_10() -> None:
    """PyTorch's adapter alone may ask for more, in a function: it is for the full tool."""
    newer = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in ("benchmarks", "edgepress", "runtimes")
        for path in (ROOT / package).rglob("*.py")
        for name in names_used(path)
        if name in NEWER
    }
    assert newer == {("runtimes/adapters/pytorch.py", "tomllib")}


def public(module: ModuleType) -> set[str]:
    """Functions and classes that a module itself defines, without a leading underscore."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
    }
