"""Every task through every stage to every runtime: the artifact answers as PyTorch does.

Tasks, stages and runtimes are discovered; a new task needs a line in `ROWS` and `LABELS`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from compress.config.recipe import Recipe
from compress.data.columns import NamedColumns
from compress.data.tokenized import TokenizedTexts, collate, length_grouped_batches
from compress.encoder.checkpoint import read_config
from compress.pipeline.inputs import Job
from compress.pipeline.prepare import prepare, read_data
from compress.predictions.decisions import decided
from compress.predictions.objective import objective_for
from compress.predictions.predict import predict_logits
from compress.quantization.fake_quantization import fake_quantized
from compress.stages import get_stage, stage_names
from compress.stages.base import Context, Encoder
from compress.system.progress import SilentProgress
from compress.system.workspace import Workspace
from compress.training.loop import fit
from export.package import export_artifact
from export.stock import export_stock
from export.targets.registry import target_names
from runtimes import load
from runtimes.loading import open_checkpoint, open_model_folder
from runtimes.registry import get_task, task_names

FILM = ("a", "the", "film", "plot", "is", "was", "very", "and", "its", "cast")
OPINIONS = ("good", "great", "bad", "awful")
QUICK: dict[str, Any] = {
    "speedups": [],
    "distill": {"epochs": 0.2, "augment": 1, "layers": 2, "enough": 0.0},
    "prune": {"steps": 1, "neuron_step": 8},
    "quantize": {"calibration_texts": 8},
}


def text_classification(words: list[str]) -> dict[str, Any]:
    good = not {"good", "great"}.isdisjoint(words)
    return {"text": " ".join(words), "label": ("worse", "better")[good]}


def token_classification(words: list[str]) -> dict[str, Any]:
    return {"tokens": words, "tags": ["B-opinion" if w in OPINIONS else "O" for w in words]}


def question_answering(words: list[str]) -> dict[str, Any]:
    context = " ".join(words)
    place = next(i for i, word in enumerate(words) if word in OPINIONS)
    start = len(" ".join(words[:place])) + (place > 0)
    answer = {"text": words[place], "answer_start": start}
    return {"context": context, "qas": [{"id": context, "question": "film", "answers": [answer]}]}


def multiple_choice(words: list[str]) -> dict[str, Any]:
    choices, place = ["bad", "awful"], len(words) % 3
    choices.insert(place, "good")
    return {"prompt": " ".join(words), "choices": choices, "label": place}


def sentence_embedding(words: list[str]) -> dict[str, Any]:
    return {"text": " ".join(words), "text_pair": " ".join(words[::-1]), "score": len(words) / 10}


def fill_mask(words: list[str]) -> dict[str, Any]:
    return {"text": " ".join(words[:1] * len(words))}


ROWS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "text-classification": text_classification,
    "token-classification": token_classification,
    "question-answering": question_answering,
    "multiple-choice": multiple_choice,
    "sentence-embedding": sentence_embedding,
    "fill-mask": fill_mask,
}
LABELS = {
    "text-classification": ("worse", "better"),
    "token-classification": ("O", "B-opinion", "I-opinion"),
}


@dataclass(frozen=True)
class Prepared:
    """A task's model in the lean encoder, which has learnt it, and what its stages are given."""

    encoder: Encoder
    context: Context


def save_model(folder: Path, name: str, save_bert: Callable[..., Path]) -> Path:
    """An untrained model of the task, as its users save it."""
    base = save_bert(folder / "base")
    labels = LABELS.get(name, ("no", "yes"))
    torch.manual_seed(0)
    model = getattr(transformers, get_task(name).SPEC.auto_class).from_pretrained(
        base,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        num_labels=len(labels),
        ignore_mismatched_sizes=True,
    )
    model.save_pretrained(folder / "model")
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder / "model")
    if name == "sentence-embedding":
        modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
        (folder / "model" / "modules.json").write_text(
            json.dumps(
                [{"type": f"sentence_transformers.models.{kind}", "path": p} for kind, p in modules]
            )
        )
        (folder / "model" / "1_Pooling").mkdir()
        (folder / "model" / "1_Pooling" / "config.json").write_text(
            '{"pooling_mode_mean_tokens": true}'
        )
    return folder / "model"


def save_data(folder: Path, name: str) -> Path:
    """240 different rows."""
    rng = np.random.default_rng(0)
    texts: dict[str, list[str]] = {}
    while len(texts) < 240:
        words = [str(word) for word in rng.choice(FILM, size=rng.integers(3, 9))]
        words.insert(int(rng.integers(len(words))), str(rng.choice(OPINIONS)))
        texts[" ".join(words)] = words
    rows = [ROWS[name](words) for words in texts.values()]
    if name == "question-answering":
        path = folder / "data.json"
        path.write_text(json.dumps({"data": [{"title": "films", "paragraphs": rows}]}))
    else:
        path = folder / "data.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def learn(model: Any, texts: TokenizedTexts) -> None:
    """Train on the labels until there is hardly a doubt: rounding is not to decide anything."""
    assert texts.labels is not None
    labels, objective = texts.labels, objective_for(model.config)

    def loss(indices: Any) -> torch.Tensor:
        logits = decided(model(**collate(texts, indices, 0)).logits, texts, indices)
        return objective.hard(logits, torch.from_numpy(labels[texts.decisions(indices)]))

    fit(
        model,
        loss,
        lambda epoch: length_grouped_batches(texts.lengths, 16, np.random.default_rng(epoch)),
        epochs=1 + 800 // len(texts) * 2,
        learning_rate=3e-3,
        progress=SilentProgress(),
        description="learning",
    )
    figures = objective.figures(predict_logits(model, texts), labels)
    assert min(figures.values()) > 98, "the model has not learnt its task"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, task: Any) -> Callable[[str], Prepared]:
    """`prepared(task name)`: as a run begins."""

    @cache
    def make(name: str) -> Prepared:
        folder = tmp_path_factory.mktemp(name)
        model, data = save_model(folder, name, task.save_bert), save_data(folder, name)
        config = read_config(str(model))
        splits = read_data(str(model), str(data), config, NamedColumns(), 0)
        workspace = Workspace(folder / "out")
        workspace.create()
        job = Job(
            str(model),
            str(data),
            model,
            splits,
            None,
            Recipe.model_validate(QUICK),
            workspace,
            SilentProgress(),
            None,
        )
        start = prepare(job, config)
        assert start.encoder is not None
        assert start.context is not None
        if name != "sentence-embedding":  # vectors have no margin that could be trained
            learn(start.encoder.module, start.context.material.texts)
        return Prepared(start.encoder, start.context)

    return make


def agreement(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    """Share of the decisions, a row each, that are the same; of vectors, that are nearly so."""
    if name == "sentence-embedding":
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        return float(((found * expected).sum(axis=1) >= 0.98 * lengths).mean())
    return float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())


def test_every_task_is_in_the_table() -> None:
    assert set(ROWS) == set(task_names())


@pytest.mark.parametrize("stage", stage_names())
@pytest.mark.parametrize("name", task_names())
def test_the_artifact_answers_as_pytorch_does(
    name: str, stage: str, prepared: Callable[[str], Prepared], tmp_path: Path
) -> None:
    encoder, context = prepared(name).encoder, prepared(name).context
    with context.material:
        result = get_stage(stage).apply(encoder, context)
    assert result.lineage[-1]["stage"] == stage

    inputs = context.train.inputs()
    export_artifact(
        tmp_path / "artifact",
        module=result.module,
        tokenizer=result.tokenizer,
        plan=result.plan,
        max_length=context.max_length,
        calibration=inputs[:8],
        checks=inputs[:8],
        lineage=result.lineage,
        rounding=partial(fake_quantized, fixed=True),
    )
    result.module.save_pretrained(tmp_path / "checkpoint")
    result.tokenizer.save_pretrained(tmp_path / "checkpoint")
    with open_checkpoint(tmp_path / "checkpoint") as original:
        expected = original.logits(inputs[:40], batch_size=1)
    assert expected.std() > 1e-3, "answers that hardly vary could not tell"

    for runtime in target_names():
        with load(tmp_path / "artifact", runtime=runtime) as deployed:
            found = deployed.logits(inputs[:40], batch_size=1)
        assert found.shape == expected.shape
        errors = np.abs(found - expected)
        if result.plan is None:
            assert errors.max() < 1e-3, runtime
        else:
            assert agreement(name, found, expected) >= 0.99, runtime


@pytest.mark.parametrize("name", task_names())
def test_a_stock_export_answers_as_pytorch_does(
    name: str, prepared: Callable[[str], Prepared], task: Any, tmp_path: Path
) -> None:
    checkpoint = save_model(tmp_path, name, partial(task.save_bert, num_hidden_layers=1))
    inputs = prepared(name).context.train.inputs()[:40]
    export_stock(checkpoint, tmp_path / "stock", "onnx-fp32")
    with open_checkpoint(checkpoint) as original:
        expected = original.logits(inputs, batch_size=1)
    assert expected.std() > 1e-3, "answers that hardly vary could not tell"
    with open_model_folder(tmp_path / "stock", runtime="onnxruntime") as rival:
        found = rival.logits(inputs, batch_size=1)
        labels = rival.labels
    assert np.abs(found - expected).max() < 1e-3
    assert labels == original.labels
