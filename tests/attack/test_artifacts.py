"""Artifacts that were damaged, mixed up or forged: refused by name, or the same answers."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from odd_values import in_turn, with_value, without

from runtimes.artifact import read_manifest
from runtimes.fingerprint import device_key

Damage = tuple[str, Callable[[Path], object]]

MANIFEST = "manifest.json"


def files_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def at_random(folder: Path) -> Iterator[Damage]:
    """Bits, ends and stretches of every file, drawn with a fixed seed."""
    rng = np.random.default_rng(17)

    def flip(path: Path, place: int, bit: int) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1 << bit
        path.write_bytes(content)

    def overwrite(path: Path, place: int, new: bytes) -> None:
        content = path.read_bytes()
        path.write_bytes(content[:place] + new + content[place + len(new) :])

    def truncate(path: Path, size: int) -> None:
        path.write_bytes(path.read_bytes()[:size])

    def append(path: Path, more: bytes) -> None:
        path.write_bytes(path.read_bytes() + more)

    for name in files_of(folder):
        size = (folder / name).stat().st_size
        for _ in range(62):
            place, bit = int(rng.integers(size)), int(rng.integers(8))
            yield (
                f"{name} flipped at {place}.{bit}",
                lambda f, a=(name, place, bit): flip(f / a[0], *a[1:]),
            )
        for _ in range(16):
            place = int(rng.integers(size))
            yield f"{name} cut at {place}", lambda f, a=(name, place): truncate(f / a[0], a[1])
        for _ in range(10):
            more = rng.bytes(int(rng.integers(1, 50)))
            yield (
                f"{name} with {len(more)} more bytes",
                lambda f, a=(name, more): append(f / a[0], a[1]),
            )
        for kind in ("noise", "zeros"):
            for _ in range(5):
                place, length = int(rng.integers(size)), int(rng.integers(1, 100))
                new = rng.bytes(length) if kind == "noise" else bytes(length)
                yield (
                    f"{name} overwritten with {kind} at {place}",
                    lambda f, a=(name, place, new): overwrite(f / a[0], *a[1:]),
                )


def in_kind(folder: Path, another: Path) -> Iterator[Damage]:
    """Files that are something else, are gone, or are those of another artifact."""
    kinds: dict[str, Callable[[Path], object]] = {
        "removed": lambda path: None,
        "empty": lambda path: path.write_bytes(b""),
        "a folder": lambda path: path.mkdir(),
        "a pipe": os.mkfifo,
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to its folder": lambda path: path.symlink_to("."),
        "a link to /etc/passwd": lambda path: path.symlink_to("/etc/passwd"),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to /dev/null": lambda path: path.symlink_to("/dev/null"),
        "deeply nested": lambda path: path.write_text("[" * 100_000),
        "no text": lambda path: path.write_bytes(b"\xff\xfe\x00\x80"),
    }

    def replace(path: Path, make: Callable[[Path], object]) -> None:
        path.unlink(missing_ok=True)
        make(path)

    def link(path: Path) -> None:
        """Keep the content beside the folder, as the hub's cache does."""
        kept = path.parent / f"{path.name}.kept"
        path.rename(kept)
        path.symlink_to(kept.name)

    def swap(first: Path, second: Path) -> None:
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)

    names = files_of(folder)
    for name in [*names, Path("tuning.json")]:
        for kind, make in kinds.items():
            yield f"{name} is {kind}", lambda f, a=(name, make): replace(f / a[0], a[1])
    for name in names:
        yield f"{name} is a link to itself elsewhere", lambda f, n=name: link(f / n)
        yield f"{name} of another artifact", lambda f, n=name: shutil.copyfile(another / n, f / n)
    for first, second in pairwise(names):
        yield f"{first} and {second} swapped", lambda f, a=(first, second): swap(f / a[0], f / a[1])
    for name in {path.parts[0] for path in names if len(path.parts) > 1}:
        yield f"{name} is removed", lambda f, n=name: shutil.rmtree(f / n)
        yield (
            f"{name} of another artifact",
            lambda f, n=name: shutil.copytree(another / n, f / n, dirs_exist_ok=True),
        )
    for name in ("modules.json", "notes.txt", "onnx/model.onnx.data2", "special_tokens_map.json"):
        for content in ("", "[" * 100_000, '[{"type": "Dense"}]', "\x00"):
            yield f"{name} beside it", lambda f, a=(name, content): (f / a[0]).write_text(a[1])


def test_damaged_artifacts(
    published: Path, another: Path, doors: Any, tally: Any, chosen: Any, tmp_path: Path
) -> None:
    cases = [
        *chosen(list(at_random(published)), 25, at_least=900),
        *chosen(list(in_kind(published, another)), 25, at_least=100),
    ]
    for number, (case, damage) in enumerate(cases):
        folder = tmp_path / "case"
        shutil.copytree(published, folder)
        damage(folder)
        doors.judge_all(tally, number, case, folder)
        shutil.rmtree(folder)


def forged(raw: dict[str, Any]) -> bytes:
    """Return a manifest with the checksum that belongs to it: no secret is needed for that."""
    blank = json.dumps({**raw, "manifest_sha256": ""}, indent=2).encode()
    digest = hashlib.sha256(blank).hexdigest()
    return re.sub(rb'("manifest_sha256": ")"', rb"\g<1>" + digest.encode() + b'"', blank)


def write_forged(folder: Path, name: str, content: bytes) -> None:
    """Write a file of an artifact, and what the manifest says of it."""
    (folder / name).write_bytes(content)
    raw = json.loads((folder / MANIFEST).read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    raw["files"][name] = {"sha256": digest, "size_bytes": len(content)}
    (folder / MANIFEST).write_bytes(forged(raw))


PATHS = [
    *("../model.onnx", "/etc/passwd", "onnx/../../x", "C:/x", "c:x", "\\\\host\\x", "onnx\\model"),
    *("", ".", "..", "./", "onnx/", "a\x00b", "~/x", "file:///etc/passwd", "onnx//model.onnx"),
    *("/dev/zero", "/proc/self/mem", "onnx/./model.onnx", "a" * 5000, "./onnx/model.onnx", "$HOME"),
    *("onnx/model.onnx/..", "..\\model.onnx", "\u202exnno", "con", "onnx/model.onnx\n", " "),
]


def at_every_place(raw: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every field of a manifest, of lists and models their first one."""
    if isinstance(raw, dict):
        for key in raw:
            if place != ("files",) or key == "onnx/model.onnx":
                yield (*place, key)
                yield from at_every_place(raw[key], (*place, key))
    elif isinstance(raw, list) and raw and place[0] == "models":
        for index, each in enumerate(raw):
            yield (*place, index)
            yield from at_every_place(each, (*place, index))


def forgeries(raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field with every odd value, every path that leaves the folder, and wrong relations."""
    fields = {name: raw[name] for name in raw if name not in ("metrics", "manifest_sha256")}
    for number, place in enumerate([*at_every_place(fields), ("metrics",)]):
        name = ".".join(map(str, place))
        yield f"no {name}", without(raw, place)
        for value in in_turn(number, 3):
            yield f"{name} is {value!r:.30}", with_value(raw, place, value)
    for path in PATHS:
        entry = raw["files"]["onnx/model.onnx"]
        yield f"file {path!r:.30}", with_value(raw, ("files",), {**raw["files"], path: entry})
        yield f"model {path!r:.30}", with_value(raw, ("models", 0, "path"), path)
        both = with_value(raw, ("files",), {**raw["files"], path: entry})
        yield f"model and file {path!r:.30}", with_value(both, ("models", 0, "path"), path)
    for task in ("token-classification", "question-answering", "fill-mask", "sentence-embedding"):
        yield f"task {task}", with_value(raw, ("task",), task)
    for index, model in enumerate(raw["models"]):
        other = "unpadded" if model["variant"] == "padded" else "padded"
        yield f"model {index} is {other}", with_value(raw, ("models", index, "variant"), other)
        for inputs in (["input_ids"], ["input_ids", "attention_mask"], ["attention_mask"]):
            yield (
                f"model {index} takes {inputs}",
                with_value(raw, ("models", index, "inputs"), inputs),
            )
        for path in [one["path"] for one in raw["models"]] + ["tokenizer.json"]:
            yield f"model {index} is {path}", with_value(raw, ("models", index, "path"), path)
        other = "openvino" if model["runtime"] == "onnxruntime" else "onnxruntime"
        yield f"model {index} is for {other}", with_value(raw, ("models", index, "runtime"), other)
        yield f"model {index} twice", {**raw, "models": [*raw["models"], model]}
        yield f"without model {index}", {
            **raw, "models": [m for m in raw["models"] if m is not model]
        }  # fmt: skip
    for labels in (["a"], ["a", "b", "c"], [*raw["labels"], "x"], raw["labels"] * 500):
        yield f"{len(labels)} labels", {**raw, "labels": labels}


def test_forged_manifests(
    published: Path, doors: Any, tally: Any, chosen: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "case"
    shutil.copytree(published, folder)
    raw = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_bytes(forged(raw))
    read_manifest(folder)  # or the checksum alone would be refused
    for number, (case, made) in enumerate(chosen(list(forgeries(raw)), 40, at_least=250)):
        (folder / MANIFEST).write_bytes(forged(made))
        doors.judge_all(tally, number, case, folder)


def edited(folder: Path, name: str, *place: Any, to: Any) -> bytes:
    """Return a JSON file of the artifact with another value at a place."""
    return json.dumps(with_value(json.loads((folder / name).read_bytes()), place, to)).encode()


def jsons(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Tokenizer and configuration with odd values; texts for each parser."""
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        raw = json.loads((folder / name).read_bytes())
        for content in (
            *(b"", b"\x00", b"{", b"[]", b"{}", b"null", b"1", b'"x"', b"[" * 100_000),
            *(b'{"a":' * 100_000, b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}"),
            *(b'{"a": 1, "a": 2}', b"\xff\xfe{", b'{"\\ud83d": 1}', b"NaN"),
        ):
            yield name, content
        for number, key in enumerate(raw):
            for value in in_turn(number, 6):
                yield name, edited(folder, name, key, to=value)
    name = "tokenizer.json"
    vocabulary = json.loads((folder / name).read_bytes())["model"]["vocab"]
    word = next(reversed(vocabulary))
    for index in (-1, 10**6, 2**31, 2**32, 2**63, 0, None, "1", 1.5):
        yield name, edited(folder, name, "model", "vocab", word, to=index)
    for entry in (
        {"id": 10**6, "content": "film"},
        {"id": 2**40, "content": "film"},
        {"id": -1, "content": "film"},
        {"id": len(vocabulary), "content": "film"},
        {"id": 0, "content": ""},
    ):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        yield name, edited(folder, name, "added_tokens", to=[{**flags, **entry}])
    for length in (0, 1, 2, 10**9):
        truncation = {"direction": "Left", "max_length": length, "strategy": "LongestFirst"}
        yield name, edited(folder, name, "truncation", to={**truncation, "stride": length})
    for strategy in ("BatchLongest", {"Fixed": 10**9}, {"Fixed": 0}, "x"):
        padding = {"strategy": strategy, "direction": "Left", "pad_to_multiple_of": 10**6}
        padding |= {"pad_id": 10**6, "pad_type_id": 9, "pad_token": "x"}
        yield name, edited(folder, name, "padding", to=padding)


def graphs(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Models whose weights lie elsewhere, and graphs that are none."""
    import onnx

    for key, value in (
        *(("location", path) for path in PATHS),
        *(("offset", text) for text in ("-1", "x", "1000000000", "1" * 40, "")),
        *(("length", text) for text in ("-1", "x", "1000000000000", "1" * 40, "0", "")),
    ):
        graph = onnx.load(folder / "onnx/unpadded.onnx", load_external_data=False)
        for tensor in graph.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == key:
                    entry.value = value
        yield "onnx/unpadded.onnx", graph.SerializeToString()
    for model in ("onnx/model.onnx", "onnx/unpadded.onnx"):
        raw = (folder / model).read_bytes()
        for content in (b"", b"\x00" * 100, raw[: len(raw) // 2], raw + raw, b"\xff" * 1000):
            yield model, content
    path = "openvino_model.xml"
    text = (folder / path).read_text()
    entity = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    bomb = entity[:-2] + "".join(
        f'<!ENTITY x{i} "{f"&x{i - 1};" * 10}">' for i in range(1, 12)
    ) + "]>"  # fmt: skip
    body = text[text.index("<net") :]
    for content in (
        *("", "<", "<net/>", text[: len(text) // 2], text + text, "\x00", "<net>" * 1000),
        *(entity + body, entity + body.replace('name="', 'name="&x;', 1)),
        bomb + body.replace('name="', 'name="&x11;', 1),
        *(re.sub(r'offset="\d+"', f'offset="{n}"', text) for n in ("-1", "10000000000", "x", "")),
        *(re.sub(r' size="\d+"', f' size="{n}"', text) for n in ("-1", "10000000000", "x", "")),
        *(re.sub(r'version="\d+"', f'version="{n}"', text, count=1) for n in ("0", "99", "x")),
        *(re.sub(r'type="(Gather|MatMul|Add)"', f'type="{n}"', text) for n in ("x", "If", "")),
        re.sub(r'from-layer="\d+"', 'from-layer="9999"', text, count=3),
        re.sub(r"<dim>\d+</dim>", "<dim>-7</dim>", text, count=9),
        re.sub(r"<dim>\d+</dim>", "<dim>1000000000000</dim>", text, count=9),
    ):
        yield path, content.encode()
    for content in (b"", b"\x00", (folder / "openvino_model.bin").read_bytes()[:-100]):
        yield "openvino_model.bin", content


def test_forged_files(
    published: Path, doors: Any, tally: Any, chosen: Any, tmp_path: Path, capfd: Any
) -> None:
    folder = tmp_path / "case"
    for number, (name, content) in enumerate(
        [*chosen(list(jsons(published)), 20), *chosen(list(graphs(published)), 10)]
    ):
        shutil.copytree(published, folder)
        write_forged(folder, name, content)
        case = f"{number}: {name} {content[:60]!r}"
        doors.judge_all(tally, number, case, folder, same="tokenizer" not in name)
        shutil.rmtree(folder)


def test_forged_tunings(
    published: Path, doors: Any, tally: Any, chosen: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "case"
    shutil.copytree(published, folder)
    best = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "options": {}}
    sound = {"format": 1, "devices": {device_key(): {"best": best}}}
    places = [
        ("format",),
        ("devices",),
        ("devices", device_key()),
        *(("devices", device_key(), "best", *key) for key in ((), *((name,) for name in best))),
        ("devices", device_key(), "best", "options", "spinning"),
    ]
    cases = [
        with_value(sound, place, value)
        for number, place in enumerate(places)
        for value in (*in_turn(number, 4), 300, 20_000)
    ]
    for number, made in enumerate(chosen(cases, 6)):
        (folder / "tuning.json").write_text(json.dumps(made))
        doors.judge_all(tally, number, f"{number}: {str(made)[:200]}", folder)
