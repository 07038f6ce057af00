"""What transformers.js loads: names, types, and in Node the answers of `load`."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from environments import UnavailableError, folder_of, run_script
from tiny_artifact import describe_tiny, write_tiny_files

from export.deployment.deploy import deploy
from runtimes import load
from runtimes.artifact import read_manifest, write_artifact
from runtimes.errors import ModelError

NODE = Path(__file__).parents[2] / "interop" / "consumers" / "node.mjs"
MODELS: dict[str, dict[str, Any]] = {
    "BertForSequenceClassification": {
        "num_labels": 3,
        "id2label": {0: "sad", 1: "fine", 2: "glad"},
    },
    "BertForTokenClassification": {"num_labels": 3, "id2label": {0: "O", 1: "B-sky", 2: "I-sky"}},
    "BertForQuestionAnswering": {},
    "BertForMaskedLM": {},
}


@pytest.mark.parametrize(
    "model",
    [
        name
        if name == "BertForSequenceClassification"
        else pytest.param(name, marks=pytest.mark.minutes)
        for name in MODELS
    ],
)
def test_files_have_the_names_that_it_looks_for(
    model: str, artifact_of: Callable[..., Path], tmp_path: Path
) -> None:
    source = artifact_of(model, **MODELS[model])
    done = deploy(source, tmp_path / "mine", layout="transformers.js", name="mine")
    assert set(done.files) == {
        *("README.md", "config.json", "tokenizer.json", "tokenizer_config.json"),
        "onnx/model_quantized.onnx",
    }
    config = json.loads((done.path / "config.json").read_text())
    assert config["transformers.js_config"] == {"dtype": "q8"}
    assert config["model_type"] == "bert"
    portable = source / "onnx" / "model.onnx"
    assert (done.path / "onnx" / "model_quantized.onnx").read_bytes() == portable.read_bytes()
    said = (done.path / "README.md").read_text()
    task = read_manifest(source).task
    assert f'await pipeline("{task}", "mine")' in said


def test_what_it_has_no_pipeline_for_is_refused(tmp_path: Path) -> None:
    described = replace(describe_tiny(), task="multiple-choice", labels=())
    source = tmp_path / "source"
    write_artifact(source, described, write_tiny_files)
    with pytest.raises(ModelError, match="no pipeline for multiple-choice"):
        deploy(source, tmp_path / "mine", layout="transformers.js", name="mine")


@pytest.mark.minutes
def test_node_answers_as_load_does(
    artifact_of: Callable[..., Path], texts: list[str], tmp_path: Path
) -> None:
    """A classifier through the consumer of the matrix, and README's lines as they stand."""
    model = "BertForSequenceClassification"
    source = artifact_of(model, **MODELS[model])
    done = deploy(source, tmp_path / "mine", layout="transformers.js", name="mine")
    try:
        library = folder_of("js")
    except UnavailableError as error:
        pytest.skip(str(error))
    command = ["node", str(NODE), str(library), str(done.path), "text-classification"]
    found = run_script(command, texts)
    with load(source, runtime="onnxruntime") as classify:
        assert found == [one["label"] for one in classify(texts)]
        [wanted] = classify("some text")
    lines = (done.path / "README.md").read_text().splitlines()
    code = "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))
    script = library / "readme.mjs"
    asked = re.sub(r"console\.log\((.*)\);", r"process.stdout.write(JSON.stringify(\1));", code)
    script.write_text(asked.replace('"./"', json.dumps(f"{tmp_path}/")))
    [answer] = run_script(["node", str(script)], None)
    assert answer["label"] == wanted["label"]
    assert answer["score"] == pytest.approx(wanted["score"], abs=0.05)
