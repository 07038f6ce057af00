"""The quantization plan, and how a weight matrix becomes INT8.

A plan is what the `quantize` stage decides; each exporter lowers it to what its runtime has.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["QuantizationPlan", "quantize_columns", "quantize_rows"]

# x86 instruction sets that multiply u8 by s8 without an intermediate 16-bit sum, and ARM's.
_EXACT = ("avx512_vnni", "avx_vnni", "amx_int8", "neon_dotprod", "neon_i8mm")
_ANY = ("any",)


@dataclass(frozen=True)
class QuantizationPlan:
    """How exporters quantize an encoder.

    Attributes:
        embeddings: `"int8"` (one scale per word) or `"fp32"`.
        reduce_range: Weights in 7 bits instead of 8. On x86 CPUs without VNNI, u8 x s8 products
            are summed in pairs in 16 bits and saturate with full-range weights
            (onnxruntime#6004); 7 bits cannot.
        float_layers: Linear layers left in float, such as `layers.2.feed_forward.down`.
        calibration_texts: Training texts that static activation ranges are measured on.
        smooth_quant_alpha: SmoothQuant strength for static quantization; negative is off
            (https://arxiv.org/abs/2211.10438).
    """

    embeddings: str = "int8"
    reduce_range: bool = False
    float_layers: tuple[str, ...] = ()
    calibration_texts: int = 300
    smooth_quant_alpha: float = 0.95

    @property
    def weight_levels(self) -> int:
        """Largest magnitude of a quantized weight."""
        return 63 if self.reduce_range else 127

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """CPU features of which one is needed for the quantized arithmetic to be exact."""
        return _ANY if self.reduce_range else _EXACT

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            **asdict(self),
            "float_layers": list(self.float_layers),
            "instruction_sets": list(self.instruction_sets),
        }


def _rounded(values: NDArray[np.float32], scale: NDArray[np.float32], levels: int) -> NDArray[Any]:
    return np.clip(np.rint(values / scale), -levels, levels).astype(np.int8)


def quantize_columns(
    weight: NDArray[np.float32], levels: int = 127
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize a (K, N) matrix symmetrically, one scale for each of its N columns.

    Returns:
        INT8 (K, N) and scales (N,), with `weight` about equal to their product.
    """
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / np.float32(levels)
    return _rounded(weight, scale, levels), scale


def quantize_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize a (V, E) table symmetrically, one scale a row: INT8 (V, E) and scales (V, 1)."""
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / np.float32(127)
    return _rounded(table, scale.astype(np.float32), 127), scale.astype(np.float32)
