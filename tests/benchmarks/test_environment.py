"""The environment is described without loading what it describes."""

import json
import subprocess
import sys

from benchmarks.environment import CPU_FLAGS, describe_environment

SCRIPT = """
import json, sys
import benchmarks, benchmarks.environment, benchmarks.report, benchmarks.run
import benchmarks.render.terminal, benchmarks.render.markdown
benchmarks.environment.describe_environment()
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def test_it_is_json_and_says_what_timings_depend_on():
    environment = json.loads(json.dumps(describe_environment()))

    assert environment["cpu"]["cores_usable"] >= 1
    assert set(environment["cpu"]["flags"]) <= set(CPU_FLAGS)
    assert environment["memory_bytes"] > 2**20
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "numpy" in environment["libraries"]
    assert isinstance(environment["gpus"], list)


def test_neither_it_nor_the_benchmark_loads_a_heavy_library():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))

    assert "benchmarks" in loaded
    heavy = {"torch", "transformers", "onnx", "onnxruntime", "openvino", "scipy"}
    assert not loaded & (heavy | {"rich", "datasets", "tokenizers"})


def test_importing_the_package_alone_does_not_even_load_numpy():
    script = "import sys, benchmarks; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
