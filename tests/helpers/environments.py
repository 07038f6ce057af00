"""Environments of other people's libraries, kept between test sessions, and scripts run in them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = [
    "ENVIRONMENTS",
    "UnavailableError",
    "folder_of",
    "python_of",
    "run_python",
    "run_script",
    "versions",
]

# The same PyTorch in all of them, as built for what this machine's pip is set up for.
_TORCH = f"torch=={version('torch').partition('+')[0]}"

ENVIRONMENTS: dict[str, Sequence[str]] = {
    "optimum-onnx": ("optimum-onnx[onnxruntime]==0.1.*", "transformers==4.57.*", _TORCH),
    "optimum-intel": ("optimum-intel[openvino]", _TORCH),
    "transformers-5": ("transformers>=5", "sentence-transformers", "onnxruntime", _TORCH),
    "onnxruntime": ("onnxruntime", "numpy", "tokenizers"),
    # The oldest that the portable graph is for, and what came between.
    "onnxruntime-1.17": ("onnxruntime==1.17.3", "numpy<2", "tokenizers"),
    "onnxruntime-1.20": ("onnxruntime==1.20.1", "numpy", "tokenizers"),
    "onnxruntime-1.24": ("onnxruntime==1.24.3", "numpy", "tokenizers"),
    "onnxruntime-1.25": ("onnxruntime==1.25.0", "numpy", "tokenizers"),
    "openvino": ("openvino", "numpy", "tokenizers"),
    "tritonclient": ("tritonclient[grpc]",),
    "dockerfile": ("dockerfile", "PyYAML"),
    "js": ("@huggingface/transformers",),
}
"""What is installed, by the name of an environment; "js" is npm's."""

# Is installed along, and as the registry has it breaks a PyTorch that has no CUDA.
_REMOVED = "torchvision"

_SHOWN = ("transformers", "optimum-onnx", "optimum-intel", "onnxruntime", "openvino")


class UnavailableError(Exception):
    """An environment that cannot be made here; says why."""


def folder_of(name: str) -> Path:
    """Return where an environment lies, after making it if it is not there.

    Raises:
        UnavailableError: It cannot be made.
    """
    home = os.environ.get("EDGEPRESS_INTEROP") or Path.home() / ".cache" / "edgepress-interop"
    folder, wanted = Path(home) / name, " ".join(ENVIRONMENTS[name])
    mark = folder / ".installed"
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if name == "js":
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise UnavailableError("there is no Node here")
        _do(["npm", "init", "--yes"], folder)
        _do(["npm", "install", "--no-audit", "--no-fund", *ENVIRONMENTS[name]], folder)
    else:
        _do([sys.executable, "-m", "venv", "."], folder)
        pip = [str(python_of(folder)), "-m", "pip", "install", "--disable-pip-version-check"]
        _do([*pip, *ENVIRONMENTS[name]], folder)
        _do([*pip[:3], "uninstall", "--yes", _REMOVED], folder)
    mark.write_text(wanted, encoding="utf-8")
    return folder


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def versions(name: str) -> str:
    """Return what of an environment matters, such as `transformers 4.57.6, onnxruntime 1.32.0`."""
    folder = folder_of(name)
    if name == "js":
        package = folder / "node_modules" / ENVIRONMENTS[name][0] / "package.json"
        return f"transformers.js {json.loads(package.read_text())['version']}"
    code = (
        "from importlib.metadata import distributions as d; "
        f"print(', '.join(sorted(f'{{x.name}} {{x.version}}' for x in d() if x.name in {_SHOWN})))"
    )
    return _do([str(python_of(folder)), "-c", code], folder).strip()


def run_python(name: str, script: Path, *arguments: str, given: Any) -> Any:
    """Run a script in an environment; JSON goes in and comes out."""
    return run_script([str(python_of(folder_of(name))), str(script), *arguments], given)


def run_script(command: Sequence[str], given: Any) -> Any:
    """Run a command that reads JSON from stdin and writes it to stdout, without any hub.

    Raises:
        AssertionError: It failed; says what it wrote to stderr.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command,
        input=json.dumps(given),
        env={**kept, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
        cwd=Path(command[1]).parent,  # not where our packages could be imported from
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def _do(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        # Where there is a compiler for CUDA, onnxruntime-node would fetch its libraries elsewhere.
        env={**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise UnavailableError(f"{' '.join(command[:6])} failed: {' / '.join(last)}")
    return done.stdout
