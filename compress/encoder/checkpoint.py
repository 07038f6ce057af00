"""Reads Hugging Face checkpoints: what may be wrong with a folder is said before torch says it."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.encoder.task import note_pooling, task_of_checkpoint
from compress.errors import ModelError
from compress.system.hub import hub_if_reachable
from runtimes.artifact import MANIFEST_NAME
from runtimes.checkpoint import check_checkpoint, open_whole, refuse_adapter
from runtimes.errors import nearest
from runtimes.json_files import read_json, read_json_list
from runtimes.pooling import MODULES, read_pooling
from runtimes.quiet import quiet
from runtimes.registry import get_task
from runtimes.tasks.base import TaskSpec

__all__ = [
    "PRECISION",
    "Checkpoint",
    "check_sound",
    "check_source",
    "first_line",
    "load_checkpoint",
    "open_pretrained",
    "read_config",
]

PRECISION = "float32"
"""Of weights, whatever the file has: in half precision small steps are lost."""

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_SAFE = ("model.safetensors", "model.safetensors.index.json")
_CONFIGURATION = ("config.json", "tokenizer_config.json", "model.safetensors.index.json")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned model as transformers loads it, float32, in evaluation mode."""

    model: Any
    tokenizer: Any


def open_pretrained(opener: Any, source: str | Path, **options: Any) -> Any:
    """Open a config or a tokenizer; code of a checkpoint's own is never run.

    Args:
        opener: Class of transformers that has `from_pretrained`.
        source: Checkpoint folder or hub id, after `check_source`.
        options: More arguments of `from_pretrained`.

    Raises:
        ModelError: It needs code of its own.
        Exception: Whatever else transformers raises.
    """
    try:
        return opener.from_pretrained(str(source), trust_remote_code=False, **options)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise ModelError(
            f"{source}: it needs code of the checkpoint's own, which is not run",
            hint="Pass a checkpoint of an architecture that transformers itself has.",
        ) from error


def check_source(source: str | Path) -> None:
    """Refuse a checkpoint that no library should open; of one on the hub its configuration is
    fetched for that.

    Args:
        source: Checkpoint folder or hub id.

    Raises:
        ModelError: As `check_checkpoint`.
    """
    if Path(source).is_dir():
        check_checkpoint(source)
        return
    _check_hub_id(str(source), Path(source).expanduser())
    found = [_fetched(str(source), name) for name in _CONFIGURATION]
    for folder in {path.parent for path in found if path is not None}:
        check_checkpoint(folder)


def read_config(source: str | Path) -> Any:
    """Return the checkpoint's transformers config, after checking that the folder can be read.

    Args:
        source: Checkpoint folder or hub id.

    Raises:
        ModelError: There is no such folder, it is no checkpoint, its weights are pickled, or
            it lacks a file; names the file.
    """
    path = Path(source).expanduser()
    if path.exists():
        _check_folder(path)
    else:
        _check_hub_id(str(source), path)
    from transformers import AutoConfig

    try:
        if path.exists():
            return _noted(open_pretrained(AutoConfig, path), path)
        with hub_if_reachable():
            check_source(source)
            return _noted(open_pretrained(AutoConfig, source), _pooling_files(str(source)))
    except ModelError:
        raise
    except Exception as error:  # transformers raises of every kind
        if path.exists():
            raise ModelError(
                f"{path / 'config.json'}: transformers cannot read it: {first_line(error)}",
                hint="Is it a checkpoint of a newer transformers? Try pip install -U transformers",
            ) from error
        raise ModelError(
            f"{source}: neither a folder here nor a model that the Hugging Face hub would give: "
            f"{first_line(error)}",
            hint="Check the spelling and the network, or pass a checkpoint folder.",
        ) from error


def load_checkpoint(source: str | Path, config: Any) -> Checkpoint:
    """Load the stock model and tokenizer; nothing is unpickled.

    Args:
        source: What `read_config` accepted.
        config: What it returned.

    Raises:
        ModelError: Weights or tokenizer cannot be read, or the checkpoint has no trained
            classification head.
    """
    import transformers

    path = Path(source).expanduser()
    name = str(path) if path.exists() else str(source)
    task = get_task(task_of_checkpoint(config)).SPEC
    try:
        with quiet("transformers", "huggingface_hub"):  # the errors raised here say it in words
            tokenizer = open_pretrained(transformers.AutoTokenizer, name)
            model = open_whole(_opener(task, config), name, task, config=config, dtype=PRECISION)
    except ModelError:
        raise
    except Exception as error:  # transformers and safetensors raise of every kind
        raise ModelError(f"{source}: cannot be loaded: {first_line(error)}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{source}: its tokenizer has no fast version (tokenizer.json), which the artifact "
            "needs",
            hint="Convert the tokenizer to the `tokenizers` format and save it beside the model.",
        )
    check_sound(source, tokenizer, model)
    return Checkpoint(model=model.eval(), tokenizer=tokenizer)


def check_sound(source: str | Path, tokenizer: Any, model: Any) -> None:
    """Refuse weights that are no numbers, and tokens that a text may hold and the model has no
    vector for.

    Args:
        source: Names the checkpoint in errors.
        tokenizer: Of transformers.
        model: Of transformers.

    Raises:
        ModelError: Names them.
    """
    broken = next((n for n, p in model.named_parameters() if not p.isfinite().all()), None)
    if broken is not None:
        raise ModelError(
            f"{source}: {broken} holds NaN or infinity",
            hint="Did its training diverge, or was it stored in half precision? Train it again, "
            "with a lower learning rate, and save it in float32.",
        )
    rows = model.get_input_embeddings().weight.shape[0]
    lost = [token for token, index in tokenizer.get_vocab().items() if index >= rows]
    if lost:
        raise ModelError(
            f"{source}: its tokenizer has {len(lost)} tokens more than the {rows} rows of its word "
            f"table: {', '.join(sorted(lost)[:4])}",
            hint="In Python: model.resize_token_embeddings(len(tokenizer)); then fine-tune it, so "
            "that the new rows mean something, and save both.",
        )


def _opener(task: TaskSpec, config: Any) -> Any:
    import transformers

    if config.model_type == "lean-encoder":
        from compress.encoder.heads.registry import model_of_task

        return model_of_task(task.name)
    return getattr(transformers, task.auto_class)


def _noted(config: Any, folder: Path) -> Any:
    """Return the config, which says from here on how sentence vectors are made, if they are."""
    note_pooling(config, read_pooling(folder))
    return config


def _pooling_files(source: str) -> Path:
    """Return where the hub's cache has what says how sentence vectors are made."""
    modules = _fetched(source, MODULES)
    if modules is None:
        return Path("nowhere")
    for module in read_json_list(modules):
        if module.get("path"):
            _fetched(source, f"{module['path']}/config.json")
    return modules.parent


def _fetched(source: str, name: str) -> Path | None:
    """Return where the hub's cache has a file of a model, if it has or can get it."""
    from transformers.utils import cached_file

    try:
        found = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
    except OSError:  # transformers will say so in its own words
        return None
    return None if found is None else Path(found)


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        raise ModelError(f"{path} is a file; a model is a checkpoint folder or a hub id")
    refuse_adapter(path)
    names = {entry.name for entry in path.iterdir()}
    if "config.json" not in names:
        contents = ", ".join(sorted(names)[:6]) or "nothing"
        raise ModelError(
            f"{path} is not a checkpoint: it has no config.json (it holds {contents})",
            hint="Pass the folder that save_pretrained wrote.",
        )
    check_checkpoint(path)
    if not read_json(path / "config.json").get("model_type"):
        raise ModelError(
            f"{path / 'config.json'} has no model_type, so its architecture is unknown"
        )
    if not names.intersection(_SAFE):
        _refuse_weights(path, names)
    if "tokenizer.json" not in names:
        raise ModelError(
            f"{path} has no tokenizer.json",
            hint=f"Write it: {_saving_again('AutoTokenizer', path)}",
        )


def _refuse_weights(path: Path, names: set[str]) -> None:
    pickles = sorted(names.intersection(_PICKLES))
    if pickles:
        raise ModelError(
            f"{path} has only pickled weights ({pickles[0]}), which can run code when loaded",
            hint="If you trust its author, convert it: "
            f"{_saving_again('AutoModelForSequenceClassification', path)}",
        )
    if (path / MANIFEST_NAME).is_file():
        raise ModelError(
            f"{path} is an artifact: it is compressed already",
            hint="compress the checkpoint that it was made from, or: "
            f"edgepress predict {shlex.quote(str(path))}",
        )
    raise ModelError(
        f"{path} has no weights (model.safetensors)",
        hint="name a folder that save_pretrained wrote, or a model id of the hub",
    )


def _saving_again(opener: str, path: Path) -> str:
    """Return a command that opens a checkpoint and writes it anew."""
    place = json.dumps(str(path))
    code = (
        f"from transformers import {opener} as A; "
        f"A.from_pretrained({place}).save_pretrained({place})"
    )
    return f"python -c {shlex.quote(code)}"


def _check_hub_id(source: str, path: Path) -> None:
    """Refuse what can only have been meant as a path; anything else may be a hub id."""
    looks_local = _HUB_ID.fullmatch(source) is None or (
        "/" in source and Path(source).parent.is_dir()
    )
    parent = path.parent
    siblings = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
    near = nearest(path.name, siblings)
    if looks_local or near:
        named = "Name a checkpoint folder, or a model id of the hub: OWNER/NAME."
        hint = f"Did you mean {parent / near}?" if near else named
        raise ModelError(f"{source}: no such folder", hint=hint)


def first_line(error: Exception) -> str:
    """Return what an error of a library says first, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
