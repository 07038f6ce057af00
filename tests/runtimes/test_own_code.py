"""A checkpoint's own Python is never run, and never asked about."""

import ast
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.stock import export_stock
from runtimes import open_checkpoint
from runtimes.errors import ModelError

DOORS = {"from_pretrained", "from_config", "pipeline"}
EVIL = "raise SystemExit('this code was run')\n"


def calls(package: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the source of a package that could be led to run a checkpoint's code."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    [folder] = spec.submodule_search_locations or ()
    for path in sorted(Path(folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func
                name = getattr(called, "attr", getattr(called, "id", None))
                if name in DOORS:
                    yield f"{path}:{node.lineno}", node


@pytest.mark.parametrize("package", ["runtimes", "benchmarks", "export", "compress"])
def test_every_door_says_that_it_is_not_run(package: str) -> None:
    for place, call in calls(package):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        said = given.get("trust_remote_code")
        assert isinstance(said, ast.Constant), place
        assert said.value is False, place


def test_the_doors_are_found() -> None:
    assert len(list(calls("runtimes"))) >= 3
    assert len(list(calls("export"))) >= 1
    assert len(list(calls("compress"))) >= 4


@pytest.mark.parametrize("model_type", ["evil", "bert"])
@pytest.mark.parametrize("door", [open_checkpoint, lambda f: export_stock(f, f, "onnx-fp32")])
def test_a_model_with_code_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, door: object, model_type: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "evil")
    path = tmp_path / "evil" / "config.json"
    code = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    config = {**json.loads(path.read_text()), "model_type": model_type, "auto_map": code}
    path.write_text(json.dumps(config))
    (tmp_path / "evil" / "evil.py").write_text(EVIL)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ModelError, match=r"not run: evil\.Config, evil\.Model"):
        door(tmp_path / "evil")  # type: ignore[operator]


def test_code_of_a_tokenizer_is_not_run(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoint, tmp_path / "evil")
    path = tmp_path / "evil" / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "auto_map": {"AutoTokenizer": [None, "evil.Tokens"]}}))
    (tmp_path / "evil" / "evil.py").write_text(EVIL)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with open_checkpoint(tmp_path / "evil", threads=1) as predict:
        assert predict("a film")[0]["label"] in predict.labels
    (tmp_path / "evil" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer_config.*evil"):
        open_checkpoint(tmp_path / "evil")
