"""The split that decisions look at, where nobody labelled it: the teacher says what is right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_tasks import open_toy

from benchmarks.tasks import answered, get_measure
from compress.corpus.corpus import Material
from compress.data.columns import NamedColumns
from compress.encoder.checkpoint import read_config
from compress.encoder.importers.registry import import_encoder
from compress.pipeline.prepare import read_unlabelled
from compress.pruning.importance import fisher_importance
from compress.search.drop_estimate import estimate_drop
from compress.system.progress import SilentProgress

WORDS = ("the", "sun", "rises", "sets", "in", "east", "west", "cold", "who", "it")


def rows(kind: str, count: int = 60) -> list[Any]:
    rng = np.random.default_rng(0)

    def text() -> str:
        return " ".join(rng.choice(WORDS, size=rng.integers(3, 9)))

    of: dict[str, Any] = {
        "pairs": lambda: {"text": text(), "text_pair": text()},
        "question-answering": lambda: {"question": text(), "context": text()},
        "multiple-choice": lambda: {"prompt": text(), "choices": [text(), text(), text()]},
    }
    return [of.get(kind, text)() for _ in range(count)]


@pytest.mark.parametrize(
    "kind",
    [
        *("text-classification", "pairs", "token-classification", "question-answering"),
        *("multiple-choice", "fill-mask", "sentence-embedding"),
    ],
)
def test_the_teacher_agrees_with_itself_and_others_lose(kind: str, tmp_path: Path) -> None:
    folder, data = tmp_path / "model", tmp_path / "texts.jsonl"
    given = rows(kind)
    with open_toy(kind, folder) as predictor:
        lines = [json.dumps({"text": row} if isinstance(row, str) else row) for row in given]
        data.write_text("\n".join(lines), "utf-8")
        splits = read_unlabelled(str(folder), data, read_config(str(folder)), NamedColumns(), 0)
        logits = predictor.logits(splits.report.inputs(), batch_size=4)
    imported = import_encoder(folder)
    module = imported.model
    with Material(
        module,
        imported.tokenizer,
        splits.train,
        splits.selection,
        max_length=40,
        seed=0,
        scratch=tmp_path,
    ) as material:
        selection, texts = material.selection, material.texts
    # the deployed file's answers are understood as well
    examples = answered(splits.report, logits)
    measure = get_measure(examples)
    assert measure.metric(logits, examples).value == pytest.approx(100, abs=1e-3)
    assert measure.differences(logits, logits, examples).differing == 0

    assert set(selection.evaluate(module).figures) == {"kl"}
    assert estimate_drop(module, selection, None).value == pytest.approx(0, abs=1e-3)
    worse = import_encoder(folder).model
    with torch.no_grad():
        for parameter in worse.encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * parameter.std().nan_to_num())
    lost = estimate_drop(worse, selection, None)
    assert lost.value > 0
    assert lost.standard_error > 0

    # what is learnt from has no labels: importance draws them
    assert texts.targets is not None
    assert texts.targets.missing().all()
    scores = fisher_importance(module, texts.take(range(16)), progress=SilentProgress())
    assert all(np.isfinite(own).all() for own in scores.neurons)
    assert sum(own.sum() for own in scores.neurons) > 0
