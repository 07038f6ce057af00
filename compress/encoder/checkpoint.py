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
from runtimes.errors import nearest
from runtimes.hf_config import check_config, refuse_adapter, refuse_own_code
from runtimes.json_files import read_json, read_json_list
from runtimes.pooling import MODULES, read_pooling
from runtimes.quiet import quiet
from runtimes.registry import get_task
from runtimes.tasks.base import TaskSpec

__all__ = [
    "Checkpoint",
    "check_sound",
    "first_line",
    "load_checkpoint",
    "open_pretrained",
    "open_weights",
    "read_config",
]

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_SUFFIX = ".safetensors"
_SAFE = ("model.safetensors", "model.safetensors.index.json")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned model as transformers loads it, float32, in evaluation mode."""

    model: Any
    tokenizer: Any


def open_pretrained(opener: Any, source: str | Path, **options: Any) -> Any:
    """Open a config, a tokenizer or a model; code of a checkpoint's own is never run.

    Args:
        opener: Class of transformers that has `from_pretrained`.
        source: Checkpoint folder or hub id.
        options: More arguments of `from_pretrained`.

    Raises:
        ModelError: It brings code of its own, or its config has a value that no model could have.
        Exception: Whatever else transformers raises.
    """
    if Path(source).is_dir():
        refuse_own_code(source)
        refuse_adapter(source)
        path = Path(source) / "config.json"
        check_config(path, read_json(path))
    try:
        return opener.from_pretrained(str(source), trust_remote_code=False, **options)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise ModelError(
            f"{source}: it needs code of the checkpoint's own, which is not run",
            hint="Pass a checkpoint of an architecture that transformers itself has.",
        ) from error


def open_weights(opener: Any, source: str | Path, **config: Any) -> tuple[Any, dict[str, Any]]:
    """Open a model in float32, and say which weights are missing or of another size.

    Args:
        opener: Class of transformers that has the head.
        source: Checkpoint folder or hub id.
        config: The model's config, or what to change in it.

    Raises:
        ModelError: It brings code of its own.
        Exception: Whatever else transformers raises.
    """
    import torch

    model, info = open_pretrained(
        opener,
        source,
        **config,
        # Left to itself the library takes the file's, and in half precision small steps are lost.
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # callers report them by name
    )
    return model, info


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
            model, info = open_weights(_opener(task, config), name, config=config)
    except ModelError:
        raise
    except Exception as error:  # transformers and safetensors raise of every kind
        raise ModelError(f"{source}: cannot be loaded: {first_line(error)}") from error
    missing = sorted(info["missing_keys"])
    if task.pooled:  # its vectors do not go through a pooler of the model's own
        missing = [key for key in missing if not key.startswith("pooler.")]
    if missing:
        architecture = ", ".join(config.architectures or ["unknown"])
        raise ModelError(
            f"{source}: not fine-tuned for {task.name}: it is a {architecture} and lacks "
            f"{', '.join(missing[:4])}{' ...' if len(missing) > 4 else ''}",
            hint="Fine-tune it first: edgepress train",
        )
    if mismatched := sorted(str(key[0]) for key in info["mismatched_keys"]):
        raise ModelError(
            f"{source}: weights and config.json disagree about the size of {mismatched[0]}"
            f"{f' and {len(mismatched) - 1} more' if len(mismatched) > 1 else ''}",
            hint="Heads pruned with an older transformers? Its pruned checkpoints cannot be loaded "
            "by transformers 5; pass the unpruned one.",
        )
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
    from transformers.utils import cached_file

    def file(name: str) -> str | None:
        found: str | None = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
        return found

    modules = file(MODULES)
    if modules is None:
        return Path("nowhere")
    for module in read_json_list(Path(modules)):
        if module.get("path"):
            file(f"{module['path']}/config.json")
    return Path(modules).parent


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
    _check_config(path / "config.json")
    if not names.intersection(_SAFE):
        _refuse_weights(path, names)
    if "tokenizer.json" not in names:
        raise ModelError(
            f"{path} has no tokenizer.json",
            hint=f"Write it: {_saving_again('AutoTokenizer', path)}",
        )
    _check_shards(path / "model.safetensors.index.json")


def _check_config(path: Path) -> None:
    """Refuse a config.json that transformers fails on in ways of its own, or takes minutes over."""
    config = read_json(path)
    if not config.get("model_type"):
        raise ModelError(f"{path} has no model_type, so its architecture is unknown")
    check_config(path, config)


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
            hint=f"compress the checkpoint that it was made from, or: edgepress predict {path}",
        )
    raise ModelError(
        f"{path} has no weights (model.safetensors)",
        hint="name a folder that save_pretrained wrote, or a model id of the hub",
    )


def _check_shards(path: Path) -> None:
    """Refuse an index whose weights lie elsewhere than beside it."""
    places = read_json(path).get("weight_map", {})
    if not isinstance(places, dict):
        raise ModelError(f"{path}: weight_map is {places!r:.40}, not an object")
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(_SUFFIX):
            raise ModelError(f"{path}: {name!r:.60} is no file of weights beside it")


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
        hint = f"Did you mean {parent / near}?" if near else None
        raise ModelError(f"{source}: no such folder", hint=hint)


def first_line(error: Exception) -> str:
    """Return what an error of a library says first, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
