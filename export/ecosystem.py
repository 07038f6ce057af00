"""Files by which other libraries open an artifact: as they would open a stock export of the family.

`config.json` is that of the family which the model was imported from, with the sizes that are left.
What the family's own configuration cannot say, each layer's sizes, is in `edgepress.json`. Neither
has to be told to transformers, optimum, transformers.js or sentence-transformers.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from runtimes.artifact import DETAILS_NAME, ModelEntry
from runtimes.hf_config import first_position
from runtimes.pooling import MODULES, SENTENCE_LIMIT
from runtimes.registry import task_of_head

__all__ = [
    "family_config",
    "for_every_transformers",
    "for_javascript",
    "save_configs",
    "save_modules",
]

# Of transformers 5 alone: the class of a tokenizer that is nothing but its tokenizer.json. This is
# what transformers 4 calls it, and 5 still knows.
_GENERIC, _GENERIC_BEFORE = "TokenizersBackend", "PreTrainedTokenizerFast"
# What families call the width of the feed-forward network.
_WIDTHS = ("intermediate_size", "hidden_dim")
# Of families that repeat layers (ALBERT): how many have weights of their own, and of how many parts
# each consists.
_GROUPS, _PARTS = "num_hidden_groups", "inner_group_num"
# What sentence-transformers calls ways to pool.
_MODES = {"cls_token": "cls", "mean_tokens": "mean"}
_POOLING = "1_Pooling/config.json"


def save_configs(module: Any, folder: Path) -> None:
    """Write `config.json` for other libraries and `edgepress.json` for this one.

    Both are the same whether the model was read from a checkpoint or never saved.

    Args:
        module: `LeanEncoderWithHead`.
        folder: Where to.
    """
    own = copy.deepcopy(module.config)
    own.architectures = [type(module).__name__]
    own.dtype = next(module.parameters()).dtype
    _write(folder / DETAILS_NAME, {"encoder": own.to_diff_dict()})
    _write(folder / "config.json", family_config(module.config).to_diff_dict())


def family_config(lean: Any) -> Any:
    """Return the configuration that the family of a lean encoder has for its sizes.

    Layers of different sizes have the original's: a family has one number for all of them.

    Args:
        lean: A `LeanEncoderConfig`.

    Returns:
        A config of transformers, of BERT where the encoder is of no family.
    """
    import transformers

    source = dict(lean.source_config or {})
    family = source.pop("model_type", None)
    if family not in transformers.CONFIG_MAPPING:
        source, family = {"hidden_size": lean.hidden_size, "hidden_act": lean.hidden_act}, "bert"
    config = transformers.AutoConfig.for_model(family, **source)
    opener = getattr(transformers, task_of_head(lean.head).SPEC.auto_class)
    config.architectures = [opener._model_mapping[type(config)].__name__]
    config.dtype = "float32"
    config.vocab_size = lean.vocab_size
    config.pad_token_id = lean.pad_token_id
    config.num_hidden_layers = len(lean.layers)
    if hasattr(config, _GROUPS):
        setattr(config, _GROUPS, len(lean.layers))
        setattr(config, _PARTS, 1)
    config.max_position_embeddings = lean.max_position_embeddings + first_position(
        family, lean.pad_token_id
    )
    config.id2label = dict(lean.id2label)
    config.label2id = {name: index for index, name in lean.id2label.items()}
    config.problem_type = lean.problem_type
    if all(layer == lean.layers[0] for layer in lean.layers[1:]):
        sizes = lean.layers[0]
        if sizes["heads"] * sizes["head_size"] == lean.hidden_size:
            config.num_attention_heads = sizes["heads"]
        for name in _WIDTHS:
            if hasattr(config, name):
                setattr(config, name, max(1, sizes["intermediate_size"]))  # 0 is no width
    return config


def for_every_transformers(folder: Path, max_length: int) -> None:
    """Let `tokenizer_config.json` be read by transformers 4 and 5 alike.

    Args:
        folder: Holds the file, as transformers 5 wrote it.
        max_length: Tokens that the model is used at.
    """
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("tokenizer_class", _GENERIC) == _GENERIC:
        config["tokenizer_class"] = _GENERIC_BEFORE
    if not config.get("extra_special_tokens"):
        config.pop("extra_special_tokens", None)  # an empty list, where 4 expects no list
    # The graphs read rows up to their length.
    _write(path, {**config, "model_max_length": max_length, "padding_side": "right"})


def save_modules(config: Any, folder: Path, max_length: int) -> list[str]:
    """Write the files by which sentence-transformers knows how vectors are made.

    Args:
        config: Of a lean encoder that embeds sentences.
        folder: Where to.
        max_length: Tokens that the model is used at.

    Returns:
        The files' paths in the folder.
    """
    kinds = ["Transformer", "Pooling", *(["Normalize"] if config.normalized else [])]
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{kind}" if index else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, kind in enumerate(kinds)
    ]
    _write(folder / MODULES, modules)
    _write(folder / SENTENCE_LIMIT, {"max_seq_length": max_length, "do_lower_case": False})
    modes = {f"pooling_mode_{mode}": name == config.pooling for mode, name in _MODES.items()}
    (folder / "1_Pooling").mkdir()
    _write(folder / _POOLING, {"word_embedding_dimension": config.hidden_size, **modes})
    return [MODULES, SENTENCE_LIMIT, _POOLING]


def for_javascript(folder: Path, models: Sequence[ModelEntry]) -> None:
    """Let transformers.js open `onnx/model.onnx`, whatever its precision is.

    It goes by the ends of files' names: "fp32" stands for a file that has none. Whether weights lie
    beside it has to be said.

    Args:
        folder: Holds `config.json`.
        models: The artifact's.
    """
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    external = [PurePosixPath(m.path).name for m in models if f"{m.path}_data" in m.weights]
    settings: dict[str, Any] = {"dtype": "fp32"}
    if external:
        settings["use_external_data_format"] = dict.fromkeys(external, 1)
    _write(path, {**config, "transformers.js_config": settings})


def _write(path: Path, content: Any) -> None:
    # Sorted, as Transformers writes checkpoints: what is read from one comes in that order.
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(f"{text}\n", encoding="utf-8")
