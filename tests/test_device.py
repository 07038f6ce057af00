"""The wheel on a machine that has nothing but what it brings along, on several Pythons."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_artifact import write_tiny

from export.deployment.wheel import write_wheel

pytestmark = [pytest.mark.minutes, pytest.mark.timeout(900)]

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# Of other extras; PyTorch's adapter is for machines that have it.
EXTRAS = {
    *("anyio", "jinja2", "matplotlib", "psutil", "starlette", "uvicorn", "prometheus_client"),
    *("torch", "transformers"),
}
EVERYTHING = """
import importlib, pkgutil, runtimes, benchmarks, edgepress
for package in (runtimes, benchmarks):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                print(error.name.partition(".")[0])
"""
# What works, and what says what it lacks.
COMMANDS = [
    (["predict", "artifact", "a gorgeous film"], 0),
    (["predict", "artifact", "--json", "dull"], 0),
    (["inspect", "artifact"], 0),
    (["doctor"], 0),
    (["help"], 0),
    (["--version"], 0),
    ([], 0),
    (["check", "nowhere"], 1),
    (["check", "artifact"], 1),  # one of so few bytes has no self-test
    (["serve", "artifact"], 3),
    (["bench", "artifact", "--data", "x.csv"], 3),
    (["train", "base", "--data", "x.csv"], 3),
    (["my-model", "--data", "x.csv"], 3),
    (["recipe"], 3),
]


def interpreter(version: str) -> str:
    """A Python of this version, which pyenv may have."""
    found = [shutil.which(f"python{version}")]
    found += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in filter(None, found):
        done = subprocess.run([path, "-V"], capture_output=True, text=True, check=False)
        if done.stdout.startswith(f"Python {version}."):
            return path
    pytest.skip(f"there is no Python {version} here")


@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_alone_runs_artifacts(version: str, tmp_path: Path) -> None:
    subprocess.run([interpreter(version), "-m", "venv", "env"], cwd=tmp_path, check=True)
    python, wheel = tmp_path / "env" / "bin" / "python", write_wheel(tmp_path)
    install = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    subprocess.run([*install, f"{wheel}[onnxruntime]"], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    write_tiny(tmp_path / "artifact")

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            arguments, cwd=tmp_path, capture_output=True, text=True, check=False, input=""
        )

    imported = run(python, "-W", "error", "-c", EVERYTHING)
    assert imported.returncode == 0, imported.stderr
    assert set(imported.stdout.split()) <= EXTRAS
    for arguments, code in COMMANDS:
        done = run(python.with_name("edgepress"), *arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        if code == 3:
            extra = "serve" if arguments[0] == "serve" else "compress"
            assert f"the extra [{extra}]" in done.stderr
