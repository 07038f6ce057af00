"""What the configuration files of a Hugging Face folder say about inputs and labels."""

import os
from collections.abc import Callable, Mapping, Sequence
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
    "check_tokenizer_config",
    "first_position",
    "labels_of",
    "problem_type_of",
    "read_hf_config",
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
    "num_labels": (1, 100_000),
    "num_hidden_layers": (1, 200),
    "n_layers": (1, 200),
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
    "chunk_size_feed_forward": (0, 1),  # more would have to divide every length
}
_TEXTS = ("model_type", "hidden_act", "activation", "head", "pooling", "dtype", "torch_dtype")
_NUMBERS = ("layer_norm_eps", "layer_norm_epsilon", "initializer_range")
# Other ways are libraries for a GPU, or are fetched from the hub as compiled code.
_ATTENTION = ("eager", "sdpa", "flex_attention")

_Rule = tuple[Callable[[Any], bool], str]  # of a value: whether it may be, and what it should be


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _within(least: int, most: int) -> _Rule:
    return (
        lambda value: type(value) is int and least <= value <= most,
        f"a whole number from {least} to {most:,}",
    )


def _one_of(values: Sequence[str]) -> _Rule:
    return lambda value: value in values, f"one of {', '.join(values)}"


_CONFIG_RULES: dict[str, _Rule] = {
    **{name: _within(*bounds) for name, bounds in _RANGES.items()},
    **dict.fromkeys(
        _NUMBERS, (lambda value: _is_number(value) and 0 <= value <= 1e38, "a number from 0 on")
    ),
    **dict.fromkeys(_TEXTS, (lambda value: isinstance(value, str), "text")),
    "architectures": (
        lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
        "a list of names",
    ),
    "problem_type": _one_of(PROBLEM_TYPES),
    **dict.fromkeys(("attn_implementation", "_attn_implementation"), _one_of(_ATTENTION)),
}
_TOKENIZER_RULES: dict[str, _Rule] = {
    "model_max_length": (_is_number, "a number of tokens"),
    "pad_token_type_id": _within(0, 2**31 - 1),
    "truncation_side": _one_of(("left", "right")),
}


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
    check_tokenizer_config(Path(folder) / "tokenizer_config.json", tokenizer)
    model_type = str(config.get("model_type") or "")
    pad = config.get("pad_token_id")
    limits = [_DEFAULT_MAX_LENGTH] if not config else []
    if isinstance(positions := config.get("max_position_embeddings"), int) and positions > 0:
        limits.append(positions - first_position(model_type, pad))
    length = tokenizer.get("model_max_length")
    if length is not None and 0 < length < _NO_LIMIT:
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

    given = {name: value for name, value in config.items() if value is not None}
    _refuse_odd(path, given, _CONFIG_RULES)
    for name, value in given.items():
        if "dropout" in name and type(value) in (int, float) and not 0 <= value <= 1:
            raise ModelError(f"{path}: {name} is {value!r:.60}, not a share from 0 to 1")
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


def check_tokenizer_config(path: Path, config: dict[str, Any]) -> None:
    """Refuse a `tokenizer_config.json` with values that no tokenizer could have.

    Args:
        path: Names it in errors.
        config: What it holds.

    Raises:
        ModelError: Names the field.
    """

    _refuse_odd(path, config, _TOKENIZER_RULES)


def _refuse_odd(path: Path, config: dict[str, Any], rules: Mapping[str, _Rule]) -> None:
    for name in config.keys() & rules.keys():
        right, what = rules[name]
        if (value := config[name]) is not None and not right(value):
            raise ModelError(f"{path}: {name} is {value!r:.60}, not {what}")


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
