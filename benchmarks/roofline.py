"""Estimates the least time that a row could take here, and how far it is above it.

A roofline (Williams, Waterman & Patterson 2009, https://doi.org/10.1145/1498765.1498785): a model
can be no faster than its products at the processor's peak, nor than its weights can be read. Peaks
are what this machine reaches: of products, through ONNX Runtime, whatever runtime the row is of.
What lies between the floor and the measured time is what small shapes, element-wise operators,
hand-overs between threads and the runtime itself cost. `benchmarks.profiling.peaks` measures the
peaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.artifact import DETAILS_NAME
from runtimes.errors import ModelError
from runtimes.hf_config import task_of
from runtimes.json_files import read_json
from runtimes.registry import get_task, spec_of_head

__all__ = ["Floor", "Peaks", "floor_of", "multiplications"]

_BYTES = {"fp32": 4, "int8": 1}  # of a weight


@dataclass(frozen=True)
class Peaks:
    """Peaks of a machine.

    Attributes:
        threads: Threads that it was measured with.
        gmacs: By precision (`fp32`, `int8`), billions of multiplications (with addition) a second.
        reading: (bytes, billions of bytes a second) of reading as much again and again: the
            more, the further from the processor it lies. Ascending.
    """

    threads: int
    gmacs: Mapping[str, float]
    reading: tuple[tuple[int, float], ...]

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Peaks":
        """Return the peaks that `dataclasses.asdict` gave, after JSON."""
        reading = tuple((int(size), float(rate)) for size, rate in values["reading"])
        return Peaks(int(values["threads"]), dict(values["gmacs"]), reading)

    def read_ms(self, size: int) -> float:
        """Return the milliseconds to read so many bytes, when they are read again and again."""
        rate = next((rate for held, rate in self.reading if size <= held), self.reading[-1][1])
        return size / rate / 1e6


@dataclass(frozen=True)
class Floor:
    """The least time of a row at one length.

    Attributes:
        tokens: The length.
        million_macs: Multiplications, in millions.
        compute_ms: Milliseconds they take at the machine's peak in the row's precision.
        read_ms: Milliseconds that reading the weights takes.
        ratio: Measured median of the model alone over the longer of the two.
    """

    tokens: int
    million_macs: float
    compute_ms: float
    read_ms: float
    ratio: float


def multiplications(config: Mapping[str, Any], tokens: int) -> int | None:
    """Count a classifier's or masked-language model's multiplications for `tokens` tokens.

    Args:
        config: `encoder` in an artifact's details, or `config.json` of a BERT-like checkpoint.
        tokens: T.

    Returns:
        Those of its matrix products; None where the configuration does not tell.
    """
    hidden: Any = config.get("hidden_size")
    layers: Any = config.get("layers")
    if layers is None:
        depth: Any = config.get("num_hidden_layers")
        heads: Any = config.get("num_attention_heads")
        width: Any = config.get("intermediate_size")
        if None in (hidden, depth, heads, width):
            return None
        size = {"heads": heads, "head_size": hidden // heads, "intermediate_size": width}
        layers = [size] * depth
    if not isinstance(hidden, int):
        return None
    embedding = config.get("embedding_size") or hidden
    spec = spec_of_head(config.get("head"))
    if spec is None:
        spec = get_task(task_of(config.get("architectures"), None)).SPEC
    if spec.of_vocabulary:
        total = tokens * embedding * (hidden + int(config.get("vocab_size") or 0))
    else:
        total = hidden * hidden + hidden * len(config.get("id2label") or (0, 1))
    total += tokens * embedding * hidden if embedding != hidden else 0
    for index, layer in enumerate(layers):
        # The last layer of ours computes one token's query and feed-forward network.
        alone = index == len(layers) - 1 and bool(config.get("first_token_last_layer"))
        rows = 1 if alone else tokens
        width = layer["heads"] * layer["head_size"]
        total += hidden * width * (rows + 2 * tokens)  # queries; keys and values
        total += 2 * rows * tokens * width + rows * width * hidden  # attention and its output
        total += 2 * rows * hidden * layer["intermediate_size"]
    return int(total)


def floor_of(
    folder: Path, precision: str, model_ms: float, tokens: int, peaks: Peaks
) -> Floor | None:
    """Return how near a row is to what the machine could do.

    Args:
        folder: Holds the model's `config.json`, or an artifact's sizes by layer.
        precision: What the row executed in.
        model_ms: Its median, the model alone, at about `tokens` tokens.
        tokens: Length of the median input.
        peaks: The machine's.

    Returns:
        None where the configuration does not tell what is multiplied.
    """
    try:
        config = read_json(folder / DETAILS_NAME).get("encoder") or read_json(
            folder / "config.json"
        )
    except ModelError:
        return None
    count, rate = multiplications(config, tokens), peaks.gmacs.get(precision)
    if count is None or rate is None:
        return None
    compute_ms = count / rate / 1e6
    # For one token, every weight of a matrix is multiplied once.
    weights = multiplications({**config, "first_token_last_layer": False}, 1)
    read_ms = peaks.read_ms((weights or 0) * _BYTES[precision])
    return Floor(tokens, count / 1e6, compute_ms, read_ms, model_ms / max(compute_ms, read_ms))
