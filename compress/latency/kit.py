"""Writes a kit: probes of many sizes, for each runtime and scheme that a device may have.

`python -m benchmarks profile` measures it there; `device.py` reads what that found.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.profiling.kit import Kit, KitFile, ProbeModel, ProbeSet
from benchmarks.profiling.timing import Texts
from compress.encoder.config import LeanEncoderConfig
from compress.encoder.modules import LeanEncoderWithHead
from compress.latency.measurement import shapes_to_measure, shared_sizes
from compress.latency.probe import WORDS, Layers, check_lengths, models_of, write_probe
from compress.system.progress import Progress
from export.products import exact_model, product_models
from export.quantization import QuantizationPlan
from export.quiet import quiet_libraries
from export.targets.base import FLOAT
from export.targets.registry import get_target, target_names
from runtimes.tokenization import Tokenizer
from runtimes.versions import tool_version

__all__ = ["write_kit"]

_RACE = 4  # shapes that settings are compared by
_CALIBRATED = 2  # rows that static ranges of probes are from: of random weights, any will do
_RANGE = (-4.0, 4.0)
_TEXTS = 25  # that tokenizing is timed on


def write_kit(
    folder: Path,
    config: LeanEncoderConfig,
    tokenizer: Path,
    lengths: Sequence[int],
    *,
    name: str,
    runtimes: Sequence[str] | None,
    progress: Progress,
) -> Kit:
    """Write a kit into an empty folder.

    There are probes of all sizes for each runtime's first scheme and for float, and a few for the
    other schemes, which a device compares with those.

    Args:
        folder: Empty.
        config: Of the largest model that the kit is for.
        tokenizer: Folder with its tokenizer.
        lengths: Tokens of the data's texts.
        name: Of the model, for people.
        runtimes: Those to write probes for; None is all that artifacts have files for.
        progress: Told of each shape.

    Raises:
        ValueError: The lengths do not fit the model, or its layers differ in head size.
    """
    check_lengths(config, lengths)
    shapes = shapes_to_measure(config)
    race = _race(shapes)
    schemes = [
        (runtime, scheme)
        for runtime in runtimes or target_names()
        for scheme in get_target(runtime).SCHEMES
    ]
    texts = Texts(lengths, min(config.vocab_size, WORDS), types=bool(config.type_vocab_size))
    files: dict[str, KitFile] = {}
    sets: dict[tuple[str, str], ProbeSet] = {}
    rng = np.random.default_rng(0)
    calibration = [
        texts.draw(int(length), rng) for length in np.quantile(lengths, [0.5, 0.9][:_CALIBRATED])
    ]
    with (
        progress.track("writing probes", len(shapes)) as task,
        quiet_libraries(),
        tempfile.TemporaryDirectory(prefix=".probe-", dir=folder) as scratch,
    ):
        for number, model in enumerate(models_of(config, shapes)):
            for runtime, scheme in schemes:
                if number not in race and not _is_whole(runtime, scheme):
                    continue
                place = Path(scratch) / f"{number}-{runtime}-{scheme}"
                plan = _plan(model, runtime, scheme)
                entries = write_probe(model, plan, runtime, place, calibration)
                known = sets.get((runtime, scheme))
                each = sets[runtime, scheme] = ProbeSet(
                    runtime,
                    scheme,
                    get_target(runtime).UNQUANTIZED if scheme == FLOAT else "int8",
                    tuple(ProbeModel(entry.path, entry.needs) for entry in entries),
                    (*(() if known is None else known.shapes), number),
                )
                for path in sorted(place.rglob("*")):
                    if path.is_file():
                        inside = path.relative_to(place).as_posix()
                        packed = f"{each.folder(number)}/{inside}"
                        files[packed] = Kit.pack(folder, packed, path.read_bytes())
                        path.unlink()
            task.advance()
    for precision, content in product_models().items():
        files[f"products/{precision}.onnx"] = Kit.pack(
            folder, f"products/{precision}.onnx", content
        )
    files["exact.onnx"] = Kit.pack(folder, "exact.onnx", exact_model())
    files |= _tokenizer_files(folder, tokenizer, lengths)
    kit = Kit(
        folder=folder,
        created_by=tool_version(),
        model=name,
        sizes=shared_sizes(config),
        lengths=tuple(map(int, lengths)),
        words=texts.words,
        types=texts.types,
        shapes=tuple(
            tuple((s.heads, s.head_size, s.intermediate_size) for s in shape) for shape in shapes
        ),
        race=race,
        sets=tuple(sets.values()),
        files=files,
    )
    kit.write()
    return Kit.read(folder)


def _race(shapes: Sequence[Layers]) -> tuple[int, ...]:
    """Return the largest shape and smaller ones, by about how much they compute.

    The smallest quarter, some of which are next to nothing, tell little of a runtime.
    """
    sizes = [
        sum(3 * s.heads * s.head_size + s.intermediate_size for s in shape) for shape in shapes
    ]
    by_size = np.argsort(sizes)[::-1]
    places = np.linspace(0, 0.75 * (len(shapes) - 1), _RACE).astype(int)
    return tuple(sorted({int(by_size[place]) for place in places}))


def _is_whole(runtime: str, scheme: str) -> bool:
    return scheme in (next(iter(get_target(runtime).SCHEMES)), FLOAT)


def _plan(model: LeanEncoderWithHead, runtime: str, scheme: str) -> QuantizationPlan:
    from torch import nn

    ranges: dict[str, tuple[float, float]] = {}
    if get_target(runtime).SCHEMES[scheme].needs_ranges:
        modules = ((n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear))
        ranges = {name.removeprefix("encoder."): _RANGE for name, _ in modules}
    return QuantizationPlan({runtime: scheme}, static_ranges=ranges)


def _tokenizer_files(folder: Path, tokenizer: Path, lengths: Sequence[int]) -> dict[str, KitFile]:
    """Pack the tokenizer, and texts of random words that are as long as the data's."""
    files = {}
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        if (tokenizer / name).is_file():
            packed = f"tokenizer/{name}"
            files[packed] = Kit.pack(folder, packed, (tokenizer / name).read_bytes())
    opened = Tokenizer.from_folder(tokenizer)
    raw: Any = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    words = raw.get("model", {}).get("vocab") or {}
    words = [
        w for w in (words if isinstance(words, dict) else [n for n, _ in words]) if w.isalpha()
    ]
    rng = np.random.default_rng(0)
    texts = []
    for length in np.quantile(lengths, np.linspace(0, 1, _TEXTS)).astype(int):
        drawn = rng.choice(words, size=int(length)).tolist() if words else ["a"] * int(length)
        while len(drawn) > 1 and opened.rows([" ".join(drawn)]).lengths[0] > length:
            drawn.pop()
        texts.append(" ".join(drawn))
    content = json.dumps(texts, ensure_ascii=False).encode()
    return {**files, "texts.json": Kit.pack(folder, "texts.json", content)}
