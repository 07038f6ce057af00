"""Folders that the documentation's examples find: a model, data and an artifact, all tiny."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# What the examples of a page are about, where it is not a classifier of texts.
KINDS = {
    "tutorials/tagger.md": "token-classification",
    "tutorials/question-answering.md": "question-answering",
    "tutorials/embedding.md": "sentence-embedding",
}
FILLERS = ("a", "the", "film", "plot", "was", "very", "and", "its")
GOOD, BAD = ("good", "great", "fine", "lovely"), ("bad", "awful", "poor", "dull")


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory, task: Any) -> Callable[[str], Path]:
    """`toys(kind)` is a folder with models and data of a kind, made once."""

    @cache
    def make(kind: str) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        rows = task.make_rows(600, seed=1)
        task.save_bert(folder / "my-base")
        if kind == "text-classification":
            task.save_bert(folder / "my-model", rows[:360])
        else:
            _convert(folder / "my-base", folder / "my-model", kind)
        _write_data(folder / "my-data", kind, rows, task)
        more = task.make_rows(200, seed=7)
        for name in ("more.txt", "texts.txt"):
            (folder / name).write_text("".join(f"{text}\n" for text, _ in more))
        (folder / "domain.txt").write_text("".join(f"{text}\n\n" for text, _ in more))
        _export(folder, pairs=kind == "question-answering")
        return folder

    return make


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where latency tables are kept: what sizes cost is measured once for models of a kind."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def world(
    tmp_path: Path, toys: Callable[[str], Path], tables: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bool], Path]:
    """`world(page, finished)` fills a folder for a page's examples and goes there.

    With `finished` the artifact is there that the page's long examples would have made.
    """

    def make(page: str, finished: bool) -> Path:
        folder = tmp_path / "world"
        ready = toys(KINDS.get(page, "text-classification"))
        shutil.copytree(ready, folder, ignore=None if finished else shutil.ignore_patterns("out"))
        (folder / "artifact").symlink_to(folder / "out" / "artifact")
        (folder / ".venv").symlink_to(sys.prefix)
        monkeypatch.setenv("PATH", f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("EDGEPRESS_CACHE", str(tables))
        monkeypatch.chdir(folder)
        return folder

    return make


def _convert(base: Path, folder: Path, kind: str) -> None:
    """Save an untrained model of another task."""
    import torch
    import transformers

    torch.manual_seed(0)
    if kind == "token-classification":
        tags = ("O", "B-good", "I-good", "B-bad", "I-bad")
        model = transformers.AutoModelForTokenClassification.from_pretrained(
            base,
            id2label=dict(enumerate(tags)),
            label2id={tag: index for index, tag in enumerate(tags)},
            num_labels=len(tags),
            ignore_mismatched_sizes=True,
        )
    elif kind == "question-answering":
        model = transformers.AutoModelForQuestionAnswering.from_pretrained(base)
    else:
        model = transformers.AutoModel.from_pretrained(base)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    if kind == "sentence-embedding":
        parts = [
            {"type": "sentence_transformers.models.Transformer", "path": ""},
            {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
        ]
        (folder / "modules.json").write_text(json.dumps(parts))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')


def _export(folder: Path, *, pairs: bool) -> None:
    """Export the model as it is."""
    from compress.encoder.importers.registry import import_encoder
    from export.package import export_artifact

    texts: list[Any] = ["the film was good", "a very bad plot"]
    if pairs:
        texts = [("good film", text) for text in texts]
    imported = import_encoder(folder / "my-model")
    export_artifact(
        folder / "out" / "artifact",
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=None,
        max_length=32,
        calibration=texts,
        checks=texts,
    )


def _write_data(folder: Path, kind: str, rows: list[tuple[str, str]], task: Any) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    bounds = {"train": slice(0, 360), "validation": slice(360, 480), "test": slice(480, 600)}
    for name, part in bounds.items():
        if kind == "text-classification":
            task.write_csv(folder / f"{name}.csv", rows[part])
        elif kind == "sentence-embedding":
            pairs = [("text", "text_pair", "score")]
            for one, other in zip(rows[part], rows[part][::-1], strict=True):
                pairs.append((one[0], other[0], str(rng.normal() + 2 * (one[1] == other[1]))))
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(pairs)
        elif kind == "token-classification":
            lines = [json.dumps(_tagged(text)) for text, _ in rows[part]]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        else:
            paragraphs = [_asked(text, index) for index, (text, _) in enumerate(rows[part])]
            squad = {"version": "1.1", "data": [{"title": name, "paragraphs": paragraphs}]}
            (folder / f"{name}.json").write_text(json.dumps(squad))


def _tagged(text: str) -> dict[str, Any]:
    tokens = text.split()
    tags = ["B-good" if t in GOOD else "B-bad" if t in BAD else "O" for t in tokens]
    return {"tokens": tokens, "tags": tags}


def _asked(text: str, index: int) -> dict[str, Any]:
    word = next(token for token in text.split() if token in GOOD + BAD)
    start = f" {text} ".index(f" {word} ")
    answers = [{"text": word, "answer_start": start}]
    question = "good film" if word in GOOD else "bad film"
    return {"context": text, "qas": [{"id": str(index), "question": question, "answers": answers}]}
