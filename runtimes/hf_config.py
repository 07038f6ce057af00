"""What the configuration files of a Hugging Face folder say about inputs and labels."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.errors import ModelError
from runtimes.json_files import Contents, read_json
from runtimes.manifest import PROBLEM_TYPES
from runtimes.pooling import SENTENCE_LIMIT, Pooling, pooling_of
from runtimes.registry import get_task, task_names
from runtimes.tasks import DEFAULT_TASK

__all__ = [
    "HfConfig",
    "check_config",
    "first_position",
    "labels_of",
    "problem_type_of",
    "read_hf_config",
    "refuse_adapter",
    "refuse_own_code",
    "task_of",
]

# Families whose first position is `pad_token_id + 1`, so that fewer are usable than the table has.
# Configs do not say so, and the importers, which know it, are not on the device.
_OFFSET_POSITIONS = {
    "camembert",
    "data2vec-text",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}
# Tokenizers without a limit carry a huge number instead of none.
_NO_LIMIT = 1_000_000
_DEFAULT_MAX_LENGTH = 512
# More than any encoder has: Transformers would build for minutes, or take all memory.
_RANGES = {
    "num_labels": (1, 1_000_000),
    "num_hidden_layers": (1, 1_000),
    "n_layers": (1, 1_000),
    "num_attention_heads": (1, 10_000),
    "n_heads": (1, 10_000),
    "hidden_size": (1, 20_000),
    "embedding_size": (1, 20_000),
    "dim": (1, 20_000),
    "intermediate_size": (1, 200_000),
    "hidden_dim": (1, 200_000),
    "vocab_size": (1, 10_000_000),
    "type_vocab_size": (0, 1_000),
    "max_position_embeddings": (-1, 1_000_000),
    "pad_token_id": (-1, 2**31 - 1),
    "chunk_size_feed_forward": (0, 1_000_000),
}
_TEXTS = ("model_type", "hidden_act", "activation", "head", "pooling", "dtype", "torch_dtype")
_NUMBERS = ("layer_norm_eps", "layer_norm_epsilon", "initializer_range")


@dataclass(frozen=True)
class HfConfig:
    """The part of a Hugging Face configuration that running a model needs.

    Attributes:
        model_type: Architecture name (`"bert"`), `""` if the folder has no `config.json`.
        task: What the model was fine-tuned for, by the name of its class.
        labels: Class names in the order of the outputs; empty if not stated.
        pooling: How sentence vectors are made of the outputs; None of all other models.
        problem_type: `"single_label_classification"` unless stated otherwise.
        max_length: Longest input in tokens: the tokenizer's limit or the number of usable
            positions, whichever is smaller.
        pad_token_id: As configured, or None.
        type_vocab_size: Number of token types (0 or 1: the model does not tell segments apart).
        tokenizer: `tokenizer_config.json` as it is (empty if absent).
    """

    model_type: str
    task: str
    labels: tuple[str, ...]
    pooling: Pooling | None
    problem_type: str
    max_length: int
    pad_token_id: int | None
    type_vocab_size: int
    tokenizer: dict[str, Any]


def read_hf_config(folder: str | os.PathLike[str], contents: Contents | None = None) -> HfConfig:
    """Read the configuration files of `folder`; absent files give defaults.

    Args:
        folder: A checkpoint, export or artifact.
        contents: Where its files are looked up; None: on the disk.

    Raises:
        ModelError: A file is there but is not JSON, or has a value that no model could have.
    """
    config = read_json(Path(folder) / "config.json", contents)
    check_config(Path(folder) / "config.json", config)
    tokenizer = read_json(Path(folder) / "tokenizer_config.json", contents)
    model_type = str(config.get("model_type") or "")
    pad = config.get("pad_token_id")
    limits = [_DEFAULT_MAX_LENGTH] if not config else []
    if isinstance(positions := config.get("max_position_embeddings"), int) and positions > 0:
        limits.append(positions - first_position(model_type, pad))
    length = tokenizer.get("model_max_length")
    if isinstance(length, int | float) and 0 < length < _NO_LIMIT:
        limits.append(int(length))
    pooling = pooling_of(Path(folder), config, contents)
    if pooling is not None:
        length = read_json(Path(folder) / SENTENCE_LIMIT, contents).get("max_seq_length")
        limits += [length] if isinstance(length, int) else []
    task = task_of(config.get("architectures"), pooling)
    return HfConfig(
        model_type=model_type,
        task=task,
        labels=labels_of(task, _labels(config)),
        pooling=pooling,
        problem_type=str(config.get("problem_type") or "single_label_classification"),
        max_length=min(limits, default=_DEFAULT_MAX_LENGTH),
        pad_token_id=pad if isinstance(pad, int) else None,
        type_vocab_size=config.get("type_vocab_size") or 0,
        tokenizer=tokenizer,
    )


def check_config(path: Path, config: dict[str, Any]) -> None:
    """Refuse a `config.json` with values that no encoder could have.

    Libraries fail on them in ways of their own, build for minutes, or shift the classes' names.

    Args:
        path: Names it in errors.
        config: What it holds.

    Raises:
        ModelError: Names the field.
    """

    def refuse(name: str, what: str) -> ModelError:
        return ModelError(f"{path}: {name} is {config[name]!r:.60}, not {what}")

    given = {name: value for name, value in config.items() if value is not None}
    for name in given.keys() & _RANGES.keys():
        least, most = _RANGES[name]
        if type(given[name]) is not int or not least <= given[name] <= most:
            raise refuse(name, f"a whole number from {least} to {most:,}")
    for name in given.keys() & set(_NUMBERS):
        value = given[name]
        if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
            raise refuse(name, "a number from 0 on")
    for name in given.keys() & set(_TEXTS):
        if not isinstance(given[name], str):
            raise refuse(name, "text")
    classes = given.get("architectures", [])
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise refuse("architectures", "a list of names")
    if given.get("problem_type") not in (None, *PROBLEM_TYPES):
        raise refuse("problem_type", f"one of {', '.join(PROBLEM_TYPES)}")
    names = given.get("id2label")
    if names is None:
        return
    if not isinstance(names, dict) or set(names) != {str(index) for index in range(len(names))}:
        raise ModelError(
            f"{path}: id2label is {names!r:.80}, not a name for each class from 0 on",
            hint='Write it as {"0": "first class", "1": "second class"}, without gaps.',
        )
    for index, name in names.items():
        if not isinstance(name, str):
            raise ModelError(f"{path}: id2label names class {index} {name!r:.40}, not by text")


def refuse_own_code(folder: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint that brings Python code of its own, which is never run.

    Such a checkpoint may also name a family that Transformers knows. Opened as that, it would be
    another model, so it is refused too. Code of a tokenizer is left out where there is a
    `tokenizer.json` to go by.

    Raises:
        ModelError: Names the file and the code.
    """
    path = Path(folder) / "config.json"
    named = read_json(path).get("auto_map")
    if not named and not (Path(folder) / "tokenizer.json").is_file():
        path = Path(folder) / "tokenizer_config.json"
        named = read_json(path).get("auto_map")
    if not named:
        return
    names = named.values() if isinstance(named, dict) else [named]
    raise ModelError(
        f"{path}: auto_map names code of the checkpoint's own, which is not run: "
        f"{', '.join(map(str, names)):.200}",
        hint="If it is an ordinary model of its model_type after all, remove auto_map.",
    )


def refuse_adapter(folder: str | os.PathLike[str]) -> None:
    """Refuse a checkpoint with a PEFT adapter, which would be left out or put in unasked.

    Raises:
        ModelError: There is one; says how to merge it.
    """
    if (Path(folder) / "adapter_config.json").exists():
        raise ModelError(
            f"{folder} holds an adapter of PEFT (adapter_config.json), which is not read",
            hint="Merge it into the model, in Python: AutoPeftModelForSequenceClassification"
            ".from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW_FOLDER); or, if the "
            "weights beside it are whole without it, remove adapter_config.json.",
        )


def first_position(model_type: str, pad_token_id: int | None) -> int:
    """Return which row of its table of positions a family gives to a text's first token."""
    return (pad_token_id or 0) + 1 if model_type in _OFFSET_POSITIONS else 0


def task_of(architectures: Sequence[str] | None, pooling: Pooling | None) -> str:
    """Return a task by the names of model classes, such as `["BertForTokenClassification"]`, and by
    how sentence vectors are made, where they are."""
    if pooling is not None:
        return next(name for name in task_names() if get_task(name).SPEC.pooled)
    return _named_task(architectures) or DEFAULT_TASK


def labels_of(task: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a model's outputs: the task's own, where it has some whatever the config
    says, or those of the config."""
    own = get_task(task).SPEC.labels
    return tuple(names) if own is None else own


def problem_type_of(problem_type: str | None, outputs: int) -> str:
    """Return the kind of labels that a classifier of texts gives; where it is not stated, what
    Transformers takes it for in training."""
    return problem_type or ("regression" if outputs == 1 else "single_label_classification")


def _named_task(architectures: Sequence[str] | None) -> str | None:
    for name in architectures or ():
        for task in task_names():
            suffix = get_task(task).SPEC.model_suffix
            if suffix and name.endswith(suffix):
                return task
    return None


def _labels(config: dict[str, Any]) -> tuple[str, ...]:
    names = config.get("id2label")
    if isinstance(names, dict) and names:
        return tuple(names[str(index)] for index in range(len(names)))
    count = config.get("num_labels")
    task = _named_task(config.get("architectures"))
    if count is None and task is not None:
        # Transformers leaves out of the file what is its default.
        count = get_task(task).SPEC.default_labels or None
    return tuple(f"LABEL_{i}" for i in range(count)) if isinstance(count, int) else ()
