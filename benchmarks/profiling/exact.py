"""Sees whether sums of INT8 products are exact on this processor, by computing some."""

from pathlib import Path

import numpy as np

from runtimes.errors import EdgepressError
from runtimes.registry import get_runtime

__all__ = ["sums_are_exact"]

_SHAPE, _INPUT, _SUM = (16, 64), 255, 255 * 127 * 64  # of `export.products.exact_model`


def sums_are_exact(model: Path, runtime: str) -> bool | None:
    """Return whether a runtime adds products of 8 bits without saturating here.

    Instruction sets tell what a processor could do; which of them a runtime uses, and whether it
    widens sums by itself, only its answer tells.

    Args:
        model: Of `export.products.exact_model`.
        runtime: Its name.

    Returns:
        None where the runtime cannot open the model, or computes it in float.
    """
    try:
        session = get_runtime(runtime).open_model(model, threads=1, precision="int8")
    except EdgepressError:
        return None
    try:
        (sums,) = session.run({"input_ids": np.full(_SHAPE, _INPUT, np.int64)}).values()
    finally:
        session.close()
    return bool(np.all(np.abs(np.asarray(sums) - _SUM) < 1e-3 * _SUM))
