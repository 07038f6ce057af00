"""Artifacts with files for both runtimes, of a few kilobytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_models import save_bert, word_tokenizer

TEXTS = ["the sun rises in the east", "cold", "the west sets, cold and cold"]
WORDS = ("the", "sun", "rises", "sets", "in", "east", "west", "cold", "who", "it", "##s", ",")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def artifact_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`artifact_of(model="BertForTokenClassification", precision="int8", **config)`, made once."""
    made: dict[str, Path] = {}

    def make(
        model: str = "BertForSequenceClassification", precision: str = "int8", **config: Any
    ) -> Path:
        key = f"{model}{precision}{config}"
        if key not in made:
            made[key] = _export(tmp_path_factory.mktemp("deployed"), model, precision, config)
        return made[key]

    return make


@pytest.fixture(scope="session")
def artifact(artifact_of: Callable[..., Path]) -> Path:
    """A classifier of three classes, in INT8."""
    return artifact_of(num_labels=3, id2label={0: "sad", 1: "fine", 2: "glad"})


def _export(folder: Path, model: str, precision: str, config: dict[str, Any]) -> Path:
    import transformers

    from compress.encoder.importers.registry import import_encoder
    from compress.quantization.plan import quantization_plan
    from export.package import export_artifact

    save_bert(
        folder / "model",
        getattr(transformers, model),
        word_tokenizer(WORDS),
        initializer_range=0.5,
        **config,
    )
    imported = import_encoder(folder / "model")
    asked: list[Any] = [("who rises", t) for t in TEXTS] if "Question" in model else TEXTS
    export_artifact(
        folder / "artifact",
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=quantization_plan() if precision == "int8" else None,
        max_length=32,
        calibration=asked,
        checks=asked,
    )
    return folder / "artifact"
