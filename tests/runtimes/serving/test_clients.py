"""Other people's clients and a load generator: right answers, whoever asks and however many do."""

import importlib.util
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from served import Asker
from tiny_artifact import write_tiny
from toy_tasks import TEXTS

from runtimes.pipeline import Predictor

Served = Callable[[str], Asker]
Toy = Callable[[str], Predictor]

OPENAI = """
import sys
from openai import NotFoundError, OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none")
texts = ["the sun rises in the east", "cold"]
for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
    found = client.embeddings.create(model="toy", input=texts, **more)
    values = found.data[1].embedding
    print(*(values[:4] if isinstance(values, list) else []), sep="\\t")
print(found.usage.total_tokens, [model.id for model in client.models.list()])
try:
    client.embeddings.create(model="other", input="a")
except NotFoundError as error:
    print(error.body["message"])
"""

TRITON = """
import sys
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1].removeprefix("http://"))
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("toy")
assert client.get_model_metadata("toy")["inputs"][0]["name"] == "text"
texts = np.array(["the sun rises in the east", "cold", "der S\\u00fcden"], dtype=object)
for in_bytes in (True, False):
    asked = triton.InferInput("text", [3], "BYTES")
    asked.set_data_from_numpy(texts, binary_data=in_bytes)
    for outputs in (None, [triton.InferRequestedOutput("label", binary_data=in_bytes),
                           triton.InferRequestedOutput("score", binary_data=in_bytes)]):
        found = client.infer("toy", [asked], outputs=outputs, request_id="seven")
        assert found.get_response()["id"] == "seven"
        labels = [x.decode() if isinstance(x, bytes) else x for x in found.as_numpy("label")]
        print(*labels, *(f"{x:.5f}" for x in found.as_numpy("score")))
try:
    client.infer("other", [asked])
except triton.InferenceServerException as error:
    print(error.message())
"""


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the clients, and none of our packages."""
    folder = tmp_path_factory.mktemp("clients")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = ("openai", "tritonclient[http]", "setuptools<81")
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"the clients cannot be installed here: {done.stderr[-300:]}")
    return python


def said(python: Path, program: str, url: str) -> list[str]:
    done = subprocess.run(
        [str(python), "-c", program, url], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.minutes
def test_openais_client_reads_vectors(clients: Path, served: Served, toy: Toy) -> None:
    *rows, usage, error = said(clients, OPENAI, served("sentence-embedding").url)
    expected = toy("sentence-embedding")(["the sun rises in the east", "cold"])[1][:4]
    found = [[float(value) for value in row.split("\t")] for row in rows if row]
    assert len(found) >= 2
    assert all(row == pytest.approx(expected, abs=1e-6) for row in found)
    assert "['toy']" in usage
    assert "no model 'other'" in error


@pytest.mark.minutes
def test_tritons_client_reads_labels_in_bytes_and_in_json(
    clients: Path, served: Served, toy: Toy
) -> None:
    *rows, error = said(clients, TRITON, served("text-classification").url)
    answers = toy("text-classification")(["the sun rises in the east", "cold", "der Süden"])
    labels = [each["label"] for each in answers]
    scores = [each["score"] for each in answers]
    assert len(rows) == 4
    for row in rows:
        words = row.split()
        assert words[:3] == labels
        assert [float(word) for word in words[3:]] == pytest.approx(scores, abs=1e-4)
    assert "no model 'other'" in error


@pytest.fixture(scope="module")
def load_test() -> ModuleType:
    """`load.py`, which is a script."""
    spec = importlib.util.spec_from_file_location("load", Path(__file__).with_name("load.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["load"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.minutes
@pytest.mark.skipif(shutil.which("wrk") is None, reason="there is no wrk here")
def test_under_load_every_answer_is_right_and_nothing_grows(
    load_test: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = write_tiny(tmp_path / "tiny")
    good = load_test.loads(artifact, 20, TEXTS[:3])
    assert good, capsys.readouterr().out
