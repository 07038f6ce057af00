"""What a module in `export/targets/` provides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtimes.manifest import ModelEntry

if TYPE_CHECKING:
    from export.quantization import QuantizationPlan

__all__ = ["FLOAT", "Calibration", "Scheme", "Target", "input_names"]

FLOAT = "float"
"""The scheme, known to every target, that quantizes nothing."""


@dataclass(frozen=True)
class Scheme:
    """One way in which a target can quantize a model.

    Attributes:
        summary: What it is, in a few words, for the lineage.
        needs_ranges: Whether the plan must hold ranges that were measured on the finished weights.
    """

    summary: str
    needs_ranges: bool = False


class Calibration(Protocol):
    """Batches of model inputs, each (B, T), that can be gone through several times.

    A list is one; so is an object that makes each batch when it is asked for.
    """

    def __len__(self) -> int:
        """Return the number of batches."""
        ...

    def __iter__(self) -> Iterator[Mapping[str, NDArray[np.int64]]]:
        """Go through the batches, from the first one on."""
        ...


class Target(Protocol):
    """Files for one runtime in an artifact.

    A module satisfies it: the file `openvino.py` is the target `"openvino"`.

    Attributes:
        RUNTIME: Name of the runtime that opens the files; equals the module's file name.
        SCHEMES: Ways to quantize, by name, the default first; `FLOAT` is among them.
        DESCRIPTION: What the recipe's key of this name decides.
        UNQUANTIZED: The precision that a file of the scheme `FLOAT` is opened in.
    """

    RUNTIME: str
    SCHEMES: Mapping[str, Scheme]
    DESCRIPTION: str
    UNQUANTIZED: str

    def write(
        self,
        module: Any,
        plan: "QuantizationPlan | None",
        calibration: Calibration,
        folder: Path,
    ) -> list[ModelEntry]:
        """Write the model's files into `folder`, which may not exist yet.

        Args:
            module: A lean encoder with a head.
            plan: How to quantize; None writes float32.
            calibration: Training texts as model inputs, for ranges.
            folder: Takes the place of the artifact's folder.

        Returns:
            The manifest's entries: a padded variant, and perhaps one for rows of equal length.

        Raises:
            ModelError: The plan does not fit the model.
        """
        ...


def input_names(config: Any, *, padded: bool = True) -> tuple[str, ...]:
    """Return the inputs of a lean encoder's graph, by its config.

    Args:
        config: A `LeanEncoderConfig`.
        padded: Whether rows may be padded, which takes a mask.
    """
    names = ("input_ids", "attention_mask") if padded else ("input_ids",)
    return (*names, "token_type_ids") if config.type_vocab_size else names
