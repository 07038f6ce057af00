"""Checkpoints that are odd, damaged or hostile: opened as they are meant, or refused by name."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from odd_values import in_turn

from compress.cli.inspect import inspect_path
from compress.encoder.importers.registry import import_encoder
from compress.training.base import load_base
from compress.training.settings import TrainingSettings
from runtimes import open_checkpoint

Change = tuple[str, Callable[[Path], object]]

CONFIG = (
    *("model_type", "architectures", "hidden_act", "hidden_size", "num_hidden_layers"),
    *("num_attention_heads", "intermediate_size", "layer_norm_eps", "max_position_embeddings"),
    *("vocab_size", "type_vocab_size", "pad_token_id", "dtype", "torch_dtype", "id2label"),
    *("label2id", "num_labels", "problem_type", "position_embedding_type", "initializer_range"),
    *("hidden_dropout_prob", "classifier_dropout", "is_decoder", "add_cross_attention", "auto_map"),
    *("attn_implementation", "quantization_config", "tie_word_embeddings", "transformers_version"),
    *("head", "pruned_heads", "chunk_size_feed_forward", "use_cache", "gradient_checkpointing"),
)
TOKENIZER = (
    *("model_max_length", "tokenizer_class", "truncation_side", "padding_side", "pad_token"),
    *("unk_token", "do_lower_case", "added_tokens_decoder", "auto_map", "extra_special_tokens"),
)


def edit(path: Path, **changes: Any) -> None:
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps({**raw, **changes}))


def of_fields() -> Iterator[Change]:
    for name, fields in (("config.json", CONFIG), ("tokenizer_config.json", TOKENIZER)):
        for number, field in enumerate(fields):
            for value in in_turn(number, 8):
                yield (
                    f"{name}: {field} is {value!r:.30}",
                    lambda f, a=(name, field, value): edit(f / a[0], **{a[1]: a[2]}),
                )

    for sizes in (
        *({"vocab_size": 9_999_999}, {"vocab_size": 9_999_999, "hidden_size": 19_968}),
        *({"hidden_size": 19_968}, {"intermediate_size": 200_000}, {"num_hidden_layers": 200}),
        *({"max_position_embeddings": 1_000_000}, {"type_vocab_size": 1000}),
        *({"num_attention_heads": 1}, {"num_labels": 100_000}, {"num_hidden_layers": 4}),
    ):
        yield f"config.json: {sizes}", lambda f, s=sizes: edit(f / "config.json", **s)


def labels() -> Iterator[Change]:
    for value in (
        *({"0": "a", "2": "b"}, {"1": "a", "2": "b"}, {"0": None, "1": "b"}, {"0": 1, "1": 2}),
        *({"0": "a"}, {"0": "a", "1": "b", "2": "c"}, {"0": "a", "1": "a"}, {"0": "", "1": " "}),
        *({"x": "a", "y": "b"}, {"00": "a", "1": "b"}, {"-1": "a", "0": "b"}, ["a", "b"], "ab"),
        *({"0": ["a"], "1": {}}, {"0": "\x1b[2J", "1": "a\nb"}, {"1": "b", "0": "a"}, 5),
        *({str(i): str(i) for i in range(5000)}, {"0": "\ud83d", "1": "b"}, {"0": "a" * 10**6}),
    ):
        yield f"id2label is {value!r:.40}", lambda f, v=value: edit(f / "config.json", id2label=v)


def of_files() -> Iterator[Change]:
    kinds: dict[str, Callable[[Path], object]] = {
        "removed": lambda path: None,
        "empty": lambda path: path.write_bytes(b""),
        "a folder": lambda path: path.mkdir(),
        "a pipe": os.mkfifo,
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "deeply nested": lambda path: path.write_text("[" * 100_000),
        "nested objects": lambda path: path.write_text('{"a":' * 100_000),
        "a long number": lambda path: path.write_text('{"a": ' + "9" * 5000 + "}"),
        "a list": lambda path: path.write_text("[]"),
        "an object": lambda path: path.write_text("{}"),
        "no text": lambda path: path.write_bytes(b"\xff\xfe\x00\x80" * 10),
        "zeros": lambda path: path.write_bytes(bytes(5000)),
    }

    def replace(path: Path, make: Callable[[Path], object]) -> None:
        path.unlink()
        make(path)

    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        for kind, make in kinds.items():
            yield f"{name} is {kind}", lambda f, a=(name, make): replace(f / a[0], a[1])

    def truncate(path: Path, share: float) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        for share in (0.001, 0.01, 0.3, 0.9, 0.999):
            yield f"{name} cut at {share}", lambda f, a=(name, share): truncate(f / a[0], a[1])


def of_weights() -> Iterator[Change]:
    def weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
        from safetensors.torch import load_file, save_file

        path = folder / "model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    def fill(value: float) -> Callable[[Path], object]:
        def change(tensors: dict[str, Any]) -> None:
            tensors["bert.encoder.layer.0.output.dense.weight"][0, 0] = value

        return lambda folder: weights(folder, change)

    for value in (float("nan"), float("inf"), -float("inf"), 1e38, 0.0):
        yield f"a weight is {value}", fill(value)
    names = (
        "classifier.weight",
        "bert.embeddings.word_embeddings.weight",
        "bert.pooler.dense.bias",
    )
    for name in names:
        yield f"no {name}", lambda f, n=name: weights(f, lambda t: t.pop(n))
        yield f"{name} cut", lambda f, n=name: weights(f, lambda t: t.update({n: t[n][:1]}))
        yield (
            f"{name} in halves",
            lambda f, n=name: weights(f, lambda t: t.update({n: t[n].half()})),
        )
        yield f"{name} whole", lambda f, n=name: weights(f, lambda t: t.update({n: t[n].long()}))
        yield f"{name} flat", lambda f, n=name: weights(f, lambda t: t.update({n: t[n].flatten()}))

    def header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
        path = folder / "model.safetensors"
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        raw = json.loads(content[8 : 8 + size])
        change(raw)
        made = json.dumps(raw).encode()
        path.write_bytes(len(made).to_bytes(8, "little") + made + content[8 + size :])

    first = "classifier.weight"
    for offsets in ([0, 10**12], [-1, 5], [5, 0], [0], "x", [2**63, 2**64]):
        yield (
            f"offsets {offsets}",
            lambda f, o=offsets: header(f, lambda raw: raw[first].update(data_offsets=o)),
        )
    for shape in ([10**9, 10**9], [-1], [], "x", [0]):
        yield f"shape {shape}", lambda f, s=shape: header(f, lambda raw: raw[first].update(shape=s))
    for kind in ("F8", "x", 5, None, "BOOL", "F64"):
        yield f"type {kind}", lambda f, k=kind: header(f, lambda raw: raw[first].update(dtype=k))
    for size in (2**63, 2**64 - 1, 0, 10**9):
        yield (
            f"header of {size}",
            lambda f, s=size: (f / "model.safetensors").write_bytes(
                s.to_bytes(8, "little") + (f / "model.safetensors").read_bytes()[8:]
            ),
        )
    for target in (
        "../other.safetensors",
        "/etc/passwd",
        "model-1.safetensors",
        "",
        "/dev/zero",
        5,
    ):

        def shard(folder: Path, target: Any = target) -> None:
            path = folder / "model.safetensors"
            path.rename(folder.parent / "other.safetensors")
            index = {"metadata": {}, "weight_map": {first: target}}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))

        yield f"a shard {target}", shard
    for name in ("../other.safetensors", "/dev/zero", "other.safetensors.index.json"):

        def named(folder: Path, name: str = name) -> None:
            shutil.copy(folder / "model.safetensors", folder.parent / "other.safetensors")
            index = {"metadata": {}, "weight_map": {first: "/dev/zero"}}
            (folder / "other.safetensors.index.json").write_text(json.dumps(index))
            edit(folder / "config.json", transformers_weights=name)

        yield f"weights named {name}", named


def beside() -> Iterator[Change]:
    """Files of other libraries beside the weights."""
    for name in (
        *("added_tokens.json", "chat_template.jinja", "generation_config.json", "vocab.txt"),
        *("model.safetensors.index.json", "modules.json", "special_tokens_map.json"),
        *("sentence_bert_config.json", "adapter_config.json", "merges.txt", "other"),
    ):
        yield f"{name} is a pipe", lambda f, n=name: os.mkfifo(f / n)
        yield f"{name} is /dev/zero", lambda f, n=name: (f / n).symlink_to("/dev/zero")
    for name, content in {
        "adapter_config.json": '{"peft_type": "LORA"}',
        "adapter_model.safetensors": "x",
        "modules.json": "[]",
        "config_setfit.json": "{}",
        "model_head.pkl": "x",
        "generation_config.json": "[",
        "special_tokens_map.json": "[" * 100_000,
        "added_tokens.json": '{"film": 1000000}',
        "vocab.txt": "",
        "config_sentence_transformers.json": "{",
        "pytorch_model.bin": "x",
        "chat_template.jinja": "{% for a in range(10**9) %}{% endfor %}",
        "evil.py": "raise SystemExit('this code was run')",
    }.items():
        yield f"{name} beside", lambda f, a=(name, content): (f / a[0]).write_text(a[1])
    for content in (
        *("[" * 100_000, "{}", "[1]", '[{"type": "Dense"}]', '[{"type": 5, "path": 5}]'),
        '[{"type": "Pooling", "path": "../../etc"}]',
        '[{"type": "Pooling", "path": "/dev"}]',
    ):
        yield (
            f"modules.json is {content[:30]}",
            lambda f, c=content: (f / "modules.json").write_text(c),
        )

    def tokens(folder: Path, entry: dict[str, Any]) -> None:
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        path = folder / "tokenizer.json"
        added = json.loads(path.read_bytes())["added_tokens"]
        edit(path, added_tokens=[*added, {**flags, **entry}])

    for entry in (
        {"id": 10**6, "content": "film"},
        {"id": 23, "content": "new"},
        {"id": 2**40, "content": "x"},
        {"id": -1, "content": "x"},
        {"id": 0, "content": "x"},
    ):
        yield f"an added token {entry}", lambda f, e=entry: tokens(f, e)


def is_sound(answers: list[Any]) -> bool:
    return all(np.isfinite(each).all() for each in answers)


def imported(folder: Path) -> list[Any]:
    """The import compares itself with the original, and refuses what differs."""
    import torch

    made = import_encoder(folder)
    batch = made.tokenizer(["a lovely film", "dull"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        return [made.model(**batch).logits.numpy()]


def opened(folder: Path) -> list[Any]:
    with open_checkpoint(folder, threads=1) as predict:
        predict("a lovely film")
        return [predict.logits(["a lovely film", "dull"])]


def based(folder: Path) -> list[Any]:
    """What training would begin with."""
    import torch
    from transformers import AutoModelForSequenceClassification

    model, tokenizer, _ = load_base(
        str(folder),
        AutoModelForSequenceClassification,
        TrainingSettings(),
        ["a lovely film"],
        purpose="as a classifier",
        num_labels=2,
    )
    batch = tokenizer(["a lovely film", "dull"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        return [model.eval()(**batch).logits.numpy()]


KINDS = (of_fields, labels, of_files, of_weights, beside)


def test_checkpoints(task: Any, tally: Any, chosen: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    doors: dict[str, tuple[Callable[..., Any], Callable[[Any], bool]]]
    doors = {"imported": (imported, is_sound), "opened": (opened, is_sound)}
    # Weights that overflow are met by the first steps of a training, which says so.
    doors |= {"based": (based, bool), "inspected": (inspect_path, bool)}
    cases = [each for kind in KINDS for each in chosen(list(kind()), 4)]
    for number, (case, change) in enumerate(cases):
        shutil.copytree(task.model, folder)
        change(folder)
        for door in tally.doors(list(doors), number + number // len(doors)):
            act, is_right = doors[door]
            tally.judge(f"{case}, {door}", partial(act, folder), is_right)
        shutil.rmtree(folder)
        (tmp_path / "other.safetensors").unlink(missing_ok=True)


def test_there_are_checkpoints_enough() -> None:
    assert sum(len(list(kind())) for kind in KINDS) >= 135
