"""Nothing is sent, and nothing is prepared to be sent."""

import ast
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import runtimes
with runtimes.load({artifact!r}, runtime={runtime!r}) as classify:
    print(classify("a gorgeous , witty film"), classify(["dull", "witty film"]))
print([device.detail for device in runtimes.devices()])
"""


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_answers_leave_no_trace_in_the_home_folder_and_on_the_network(
    both_runtimes: Path,
    watch: Callable[..., Any],
    runtime: str,
) -> None:
    done = watch("-c", PROGRAM.format(artifact=str(both_runtimes), runtime=runtime))
    assert "score" in done.output
    assert (done.calls, done.home) == ([], [])


def test_what_would_report_is_imported_in_one_place_each() -> None:
    places = set()
    for package in ("benchmarks", "compress", "export", "runtimes"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        [folder] = spec.submodule_search_locations or ()
        for path in Path(folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "import onnxruntime" in text or "import openvino" in text:
                for node in ast.walk(ast.parse(text)):
                    if isinstance(node, ast.Import):
                        places |= {(path.stem, name.name) for name in node.names}
    libraries = ("onnxruntime", "openvino")
    found = {place for place in places if place[1].split(".")[0] in libraries}
    assert found == {(name, name) for name in libraries}  # by their adapters


def test_a_connection_would_be_seen(watch: Callable[..., Any]) -> None:
    done = watch(
        "-c",
        "import pathlib, socket, tempfile\n"
        "tempfile.mkdtemp(prefix='mine-')\n"
        "pathlib.Path.home().joinpath('id').write_text('me')\n"
        "try: socket.create_connection(('127.0.0.1', 9))\n"
        "except OSError: pass",
    )
    assert len(done.calls) == 2  # looked up, and connected to
    assert done.home == ["id"]
    [made] = done.temporary
    assert made.startswith("mine-")
