"""What goes to a device: numpy, tokenizers and one runtime library, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import runtimes

# Everything of the full tool that a device lacks; the other runtime is added by each test.
ABSENT = [
    "accelerate", "benchmarks", "compress", "datasets", "export", "huggingface_hub", "jinja2",
    "nncf", "onnx", "onnxscript", "optimum", "pandas", "psutil", "pydantic",
    "requests", "rich", "safetensors", "scipy", "sklearn", "torch", "transformers", "typer", "yaml",
]  # fmt: skip

PROGRAM = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
from runtimes import devices, load

classify = load({artifact!r}, threads=1)
print(json.dumps({{
    "runtime": classify.session.runtime,
    "one": classify("a gorgeous , witty film"),
    "many": classify(["dull", "witty"], top_k=None),
    "available": [d.runtime for d in devices() if d.available],
}}))
"""


def _python(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_an_artifact_runs_where_only_its_runtime_is_installed(
    both_runtimes: Path,
    runtime: str,
) -> None:
    other = {"onnxruntime": "openvino", "openvino": "onnxruntime"}[runtime]
    program = PROGRAM.format(absent=[*ABSENT, other], artifact=str(both_runtimes))
    answer = json.loads(_python(program))
    assert answer["runtime"] == runtime
    assert set(answer["available"]) == {runtime}
    with runtimes.load(both_runtimes, threads=1) as here:
        [expected] = here("a gorgeous , witty film")
    assert answer["one"][0]["label"] == expected["label"]
    assert answer["one"][0]["score"] == pytest.approx(expected["score"], abs=1e-5)
    assert [len(row) for row in answer["many"]] == [3, 3]


def test_importing_the_package_imports_no_library() -> None:
    program = (
        "import sys, runtimes, runtimes.errors, runtimes.registry, runtimes.loading\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = set(_python(program).split())
    assert "runtimes" in loaded
    assert not loaded & {*ABSENT, "onnxruntime", "openvino", "tokenizers"}


def test_every_public_name_is_there() -> None:
    for name in runtimes.__all__:
        assert getattr(runtimes, name) is not None
    assert set(runtimes.__all__) <= set(dir(runtimes))
    with pytest.raises(AttributeError, match="lode"):
        runtimes.lode  # noqa: B018
