"""Each version of a runtime is given a graph that it answers rightly, or is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.package import export_artifact
from runtimes import load, loading
from runtimes.errors import OutdatedRuntimeError
from runtimes.versions import at_least


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [
        ("1.25.0", "1.25", True),
        ("1.25", "1.25", True),
        ("1.24.4", "1.25", False),
        ("1.9.0", "1.25", False),
        ("2.0", "1.25", True),
        ("1.25.0.dev20260101", "1.25", True),
        ("1.24.3+cpu", "1.25", False),
        ("1.25.0", "", True),
        ("unknown", "1.25", True),
    ],
)
def test_versions_are_compared_by_number(version: str, least: str, expected: bool) -> None:
    assert at_least(version, least) is expected


@pytest.fixture
def exported(lean: Callable[..., Any], tokenizer: Any, texts: list[str], tmp_path: Path) -> Path:
    export_artifact(
        tmp_path / "artifact",
        module=lean(),
        tokenizer=tokenizer,
        max_length=16,
        checks=texts[:4],
        runtimes=["onnxruntime"],
    )
    return tmp_path / "artifact"


@pytest.fixture
def as_if(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`as_if("1.24.3")`: ONNX Runtime says that this is its version."""

    def run(version: str) -> None:
        monkeypatch.setattr(loading, "installed_versions", lambda *names: {"onnxruntime": version})

    return run


def test_an_old_version_is_given_the_portable_graph(
    exported: Path, as_if: Callable[[str], None], texts: list[str], monkeypatch: Any
) -> None:
    opened: list[str] = []
    runtime: Any = loading.get_runtime("onnxruntime")
    open_model = runtime.open_model
    monkeypatch.setattr(
        runtime, "open_model", lambda path, **kw: opened.append(path.name) or open_model(path, **kw)
    )
    with load(exported, runtime="onnxruntime", batch_invariant=False) as classify:
        expected = classify.logits(texts)
    assert opened == ["unpadded.onnx", "padded.onnx"]
    as_if("1.24.3")
    del opened[:]
    with load(exported, runtime="onnxruntime", batch_invariant=False) as classify:
        np.testing.assert_allclose(classify.logits(texts), expected, atol=1e-4)
    assert opened == ["model.onnx"]


def test_a_version_that_is_too_old_for_all_is_named_before_anything_is_opened(
    exported: Path, as_if: Callable[[str], None]
) -> None:
    as_if("1.16.3")
    message = r"onnxruntime 1\.17 or newer; 1\.16\.3"
    with pytest.raises(OutdatedRuntimeError, match=message) as caught:
        load(exported, runtime="onnxruntime")
    assert caught.value.hint is not None
    assert 'pip install --upgrade "onnxruntime>=1.25"' in caught.value.hint
