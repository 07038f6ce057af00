"""The matrix: what is delivered answers elsewhere as in our own runner.

See README.md beside this file for how the environments are made.
"""

import functools
import http.server
import json
import re
import shutil
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from environments import UnavailableError, folder_of, run_python, run_script, versions

pytestmark = [pytest.mark.minutes, pytest.mark.shared, pytest.mark.timeout(3600)]

HERE = Path(__file__).parent / "consumers"
TASKS = ("text-classification", "token-classification", "question-answering", "sentence-embedding")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


TEXTS = 200
# Share of top answers that are the same on another graph of the same INT8 weights.
FASTER = 0.97

# In bf16, which OpenVINO takes by itself where the processor has AMX, some answers are others.
IN_FULL = {"INFERENCE_PRECISION_HINT": "f32"}


def by_script(
    environment: str,
    script: str,
    library: str,
    folder: Path,
    task: str,
    inputs: Any,
    side: str = "",
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    given = (library, str(folder), task, json.dumps(dict(settings)), side)
    return run_python(environment, HERE / script, *given, given=inputs)


def in_node(folder: Path, task: str, inputs: Any, side: str = "") -> Any:
    command = ["node", str(HERE / "node.mjs"), str(folder_of("js")), str(folder), task, side]
    return run_script(command, inputs)


def in_chromium(folder: Path, task: str, inputs: Any, side: str = "") -> Any:
    if CHROMIUM is None:
        raise UnavailableError("there is no Chromium here")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UnavailableError("playwright is not installed") from error
    roots = {"library": folder_of("js"), "page": HERE, "models/artifact": folder}
    with served(roots) as address, sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page()
        page.set_default_timeout(600_000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/page/page.html")
        page.wait_for_function("() => window.answer")
        found = page.evaluate("(given) => window.answer(...given)", [task, inputs, side])
        browser.close()
    assert not [url for url in asked if not url.startswith((address, "blob:", "data:"))]
    return found


@dataclass(frozen=True)
class Consumer:
    """One way to open what was delivered.

    Attributes:
        environment: Its environment.
        ours: Our own runtime to compare with.
        ask: Asks a folder, of a task, about inputs.
        what: The folder that it opens.
        least: Share of top answers that have to be ours.
    """

    environment: str
    ours: str
    ask: Callable[..., Any]
    what: str = "artifact"
    least: float = 1.0


def scripted(environment: str, script: str, library: str, **settings: Any) -> Callable[..., Any]:
    return functools.partial(by_script, environment, script, library, **settings)


CONSUMERS = {
    "optimum-onnx, transformers 4.57": Consumer(
        "optimum-onnx",
        "portable",
        scripted("optimum-onnx", "pipelines.py", "optimum-onnx"),
    ),
    "optimum-intel": Consumer(
        "optimum-intel",
        "openvino",
        scripted("optimum-intel", "pipelines.py", "optimum-intel", settings=IN_FULL),
    ),
    "optimum-intel, as it is": Consumer(
        "optimum-intel",
        "openvino",
        scripted("optimum-intel", "pipelines.py", "optimum-intel"),
        least=0.9,
    ),
    "onnxruntime": Consumer(
        "onnxruntime", "portable", scripted("onnxruntime", "plain.py", "onnxruntime")
    ),
    "openvino": Consumer(
        "openvino", "openvino", scripted("openvino", "plain.py", "openvino", settings=IN_FULL)
    ),
    "openvino, as it is": Consumer(
        "openvino", "openvino", scripted("openvino", "plain.py", "openvino"), least=0.9
    ),
    "transformers 5": Consumer(
        "transformers-5", "portable", scripted("transformers-5", "plain.py", "transformers")
    ),
    "transformers.js, Node": Consumer("js", "portable", in_node),
    # Of embeddings of INT8 a few neighbours change places in WebAssembly.
    "transformers.js, Chromium": Consumer("js", "portable", in_chromium, least=0.95),
    "transformers 4.57, checkpoint": Consumer(
        "optimum-onnx",
        "pytorch",
        scripted("optimum-onnx", "pipelines.py", "transformers"),
        what="checkpoint",
    ),
    "transformers 5, checkpoint": Consumer(
        "transformers-5",
        "pytorch",
        scripted("transformers-5", "pipelines.py", "transformers"),
        what="checkpoint",
    ),
}


# The oldest runtimes that the portable graph is for, the newest, and those of JavaScript.
EVERYWHERE: dict[str, tuple[str, Callable[..., Any]]] = {
    **{
        name: (name, scripted(name, "plain.py", "onnxruntime"))
        for name in (*(f"onnxruntime-1.{minor}" for minor in (17, 20, 24, 25)), "onnxruntime")
    },
    "transformers.js, Node": ("js", in_node),
    "transformers.js, Chromium": ("js", in_chromium),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_top_answers_are_ours(
    consumer: str,
    task: str,
    delivered: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = CONSUMERS[consumer]
    try:
        with_versions = versions(one.environment)
        result = delivered(task).of(TEXTS)
        found = one.ask(getattr(result, one.what), task, result.inputs)
    except UnavailableError as error:
        pytest.skip(f"{one.environment}: {error}")
    same, said = compared(task, result.ours(one.ours), found)
    shown = f"{same.sum()} of {len(same)}{said}"
    if one.ours == "portable":  # `load` takes faster graphs, whose sums are rounded otherwise
        faster, said = compared(task, result.ours("onnxruntime"), found)
        shown += f"; of the faster graphs {faster.sum()}{said}"
        assert faster.mean() >= FASTER
    with capsys.disabled():
        print(f"\n{consumer} ({with_versions}): {task}: {shown}")
    assert len(same) == len(result.inputs) == TEXTS
    assert same.mean() >= one.least, [result.inputs[i] for i in np.flatnonzero(~same)[:3]]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("side", ["", "right", "left"])
@pytest.mark.parametrize("consumer", EVERYWHERE)
def test_top_answers_are_those_of_the_float_model(
    consumer: str,
    side: str,
    task: str,
    delivered: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment, ask = EVERYWHERE[consumer]
    result = delivered(task)
    try:
        with_versions = versions(environment)
        found = ask(result.artifact, task, result.inputs, side=side)
    except UnavailableError as error:
        pytest.skip(f"{environment}: {error}")
    right = result.ours("pytorch")
    if task == "token-classification":  # of words, which their first tokens speak for
        right, found = ([word for each in all_ for word in words(each)] for all_ in (right, found))
    same, said = compared(task, right, found)
    with capsys.disabled():
        how = f"padded {side}" if side else "not padded"
        print(
            f"\n{consumer} ({with_versions}): {task}, {how}: {same.mean():.2%} of {len(same)}{said}"
        )
    assert len(result.inputs) == 500
    assert same.mean() >= 0.99


def words(tokens: list[list[str]]) -> list[list[str]]:
    """Those that begin a word."""
    return [token for token in tokens if not token[0].startswith("##")]


def compared(task: str, ours: list[Any], found: list[Any]) -> tuple[Any, str]:
    """Return which top answers are the same, and what else there is to say."""
    assert len(ours) == len(found)
    if task == "sentence-embedding":  # the top answer to a text is the text that is nearest
        vectors = [
            np.asarray(each) / np.linalg.norm(each, axis=1)[:, None] for each in (ours, found)
        ]
        nearest = [(v @ v.T - 2 * np.eye(len(v))).argmax(axis=1) for v in vectors]
        least = float((vectors[0] * vectors[1]).sum(axis=1).min())
        return nearest[0] == nearest[1], f", least cosine {least:.5f}"
    if task == "question-answering":  # transformers.js puts an answer together from its tokens
        ours, found = ([_letters(each) for each in answers] for answers in (ours, found))
    return np.array([one == other for one, other in zip(ours, found, strict=True)]), ""


def _letters(text: str) -> str:
    """Without what BERT's tokens do not keep."""
    return re.sub(r"\W", "", unicodedata.normalize("NFKD", text.lower()))


class _Files(http.server.SimpleHTTPRequestHandler):
    """Serves several folders under names."""

    roots: dict[str, Path]

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0].lstrip("/")
        for name, root in self.roots.items():
            if path.startswith(f"{name}/"):
                return str(root / path.removeprefix(f"{name}/"))
        return str(Path("/nowhere"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is called so
        pass


@contextmanager
def served(roots: dict[str, Path]) -> Iterator[str]:
    """Serve folders on this machine, and give their address."""
    kind = type("Served", (_Files,), {"roots": roots})
    kind.extensions_map = {
        **_Files.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
