"""The door to Hugging Face checkpoints: what is looked at before a library opens one.

Transformers believes what a configuration says: it takes memory for a model of these sizes, draws
the weights that it does not find, and reads whatever files an index names.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from runtimes.errors import ModelError
from runtimes.hf_config import check_config, check_tokenizer_config
from runtimes.json_files import read_json
from runtimes.quiet import quiet
from runtimes.tasks.base import TaskSpec

__all__ = [
    "check_checkpoint",
    "open_checked",
    "open_whole",
    "refuse_adapter",
    "refuse_own_code",
    "sizes_behind",
]

_Found = TypeVar("_Found")
_SUFFIX = ".safetensors"
_INDEX = "model.safetensors.index.json"
_WEIGHTS = ("model.safetensors", _INDEX)


def check_checkpoint(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder that no library should open.

    Args:
        folder: A checkpoint, or what was fetched of one.

    Raises:
        ModelError: It holds what is no file (a pipe, a device), an adapter, or code of its own; its
            weights are to be read from elsewhere; or its configuration has a value that no model
            could have. Names it.
    """
    folder = Path(folder)
    refuse_adapter(folder)
    _refuse_devices(folder)
    refuse_own_code(folder)
    for name, check in (
        ("config.json", check_config),
        ("tokenizer_config.json", check_tokenizer_config),
    ):
        check(folder / name, read_json(folder / name))
    _check_places(folder)


def open_whole(opener: Any, source: str | Path, spec: TaskSpec, **options: Any) -> Any:
    """Open a model of which every weight is there, and of the size that `config.json` says.

    Args:
        opener: Class of Transformers that has `from_pretrained`.
        source: Checkpoint folder, after `check_checkpoint`, or hub id.
        spec: Of the task that the model is for.
        options: More arguments of `from_pretrained`.

    Raises:
        ModelError: Names the weight, and what of the configuration does not fit it.
        Exception: Whatever else Transformers raises.
    """

    def check(model: Any, info: dict[str, Any]) -> None:
        missing = sorted(info["missing_keys"])
        if spec.pooled:  # its vectors do not go through a pooler of the model's own
            missing = [key for key in missing if not key.startswith("pooler.")]
        if missing:
            architecture = ", ".join(model.config.architectures or ["unknown"])
            raise ModelError(
                f"{source}: not fine-tuned for {spec.name}: it is a {architecture} and lacks "
                f"{', '.join(missing[:4])}{' ...' if len(missing) > 4 else ''}"
                f"{sizes_behind(model.config, info)}",
                hint="Fine-tune it first: edgepress train",
            )
        if mismatched := sorted(info["mismatched_keys"]):
            name, found, said = mismatched[0]
            raise ModelError(
                f"{source}: weights and config.json disagree about the size of {name}"
                f"{f' and {len(mismatched) - 1} more' if len(mismatched) > 1 else ''}: "
                f"{tuple(found)} is stored, {tuple(said)} expected"
                f"{sizes_behind(model.config, info)}",
                hint="Heads pruned with an older transformers? Its pruned checkpoints cannot be "
                "loaded by transformers 5; pass the unpruned one.",
            )

    return open_checked(opener, source, check, **options)[0]


def open_checked(
    opener: Any, source: str | Path, check: Callable[[Any, dict[str, Any]], _Found], **options: Any
) -> tuple[Any, _Found]:
    """Open a model after looking at it without weights, for which nothing is allocated.

    Args:
        opener: Class of Transformers that has `from_pretrained`.
        source: Checkpoint folder, after `check_checkpoint`, or hub id.
        check: Is given a model on the device "meta", and what Transformers says of its weights:
            `missing_keys`, and `mismatched_keys` as (name, size that is stored, size of the model).
            Raises if it should not be opened.
        options: More arguments of `from_pretrained`.

    Returns:
        The model, and what `check` returned.

    Raises:
        Exception: Whatever `check` or Transformers raises.
    """
    options = {**options, "use_safetensors": True, "ignore_mismatched_sizes": True}
    with quiet("transformers"):  # what it says of other weights, `check` says
        empty, info = opener.from_pretrained(
            str(source),
            trust_remote_code=False,
            device_map="meta",
            output_loading_info=True,
            **options,
        )
        found = check(empty, info)
        return opener.from_pretrained(str(source), trust_remote_code=False, **options), found


def sizes_behind(config: Any, info: dict[str, Any]) -> str:
    """Return, as an aside, which sizes of a configuration ask for weights that are not there.

    Args:
        config: Of Transformers.
        info: As `open_checked` gives it.
    """
    sizes = {
        size
        for _, found, said in info["mismatched_keys"]
        for place, size in enumerate(said)
        if len(found) != len(said) or found[place] != size
    }
    sizes |= {
        max(map(int, re.findall(r"\.(\d+)\.", " ".join(info["missing_keys"]))), default=0) + 1
    }
    named = {**config.to_dict(), "num_labels": config.num_labels}
    found = [f"{k} is {v:,}" for k, v in sorted(named.items()) if type(v) is int and v in sizes]
    return f" (config.json: {', '.join(found)})" if found else ""


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


def _refuse_devices(folder: Path) -> None:
    """Refuse pipes and devices among the files: reading them does not end."""
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            mode = path.stat().st_mode
        except OSError:  # a link to nothing is as good as absent
            continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ModelError(f"{path} is not a regular file")


def _check_places(folder: Path) -> None:
    """Refuse weights that are to be read from elsewhere than beside their index."""
    path = folder / "config.json"
    named = read_json(path).get("transformers_weights")
    if named not in (None, *_WEIGHTS):
        raise ModelError(f"{path}: transformers_weights is {named!r:.60}, not {_WEIGHTS[0]}")
    path = folder / _INDEX
    places = read_json(path).get("weight_map", {})
    if not isinstance(places, dict):
        raise ModelError(f"{path}: weight_map is {places!r:.40}, not an object")
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(_SUFFIX):
            raise ModelError(f"{path}: {name!r:.60} is no file of weights beside it")
