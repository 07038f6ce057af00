"""The quantization plan, and how a weight matrix becomes INT8.

A plan is what the `quantize` stage decides; each exporter lowers it to what its runtime has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.targets.base import FLOAT
from export.targets.registry import default_schemes, get_target, target_names
from runtimes.errors import ArtifactError, ModelError

__all__ = [
    "QuantizationPlan",
    "activation_scale",
    "quantize_columns",
    "quantize_rows",
]

# x86 instruction sets that multiply u8 by s8 without an intermediate 16-bit sum; ARM has no other.
_EXACT = ("avx512_vnni", "avx_vnni", "amx_int8")
_ANY = ("any",)


@dataclass(frozen=True)
class QuantizationPlan:
    """How exporters quantize an encoder.

    Attributes:
        schemes: By runtime, how its file multiplies matrices: one of its target's `SCHEMES`
            (`export.targets`), where none is given the default. For ONNX Runtime, `"dynamic"`:
            activations get the scale of their own range at every call; `"static"`: the scale of
            `static_ranges`. For OpenVINO, `"smooth"`: static INT8 after SmoothQuant of strength
            `smooth_quant_alpha`; `"plain"`: static INT8 without it. For all, `"float"`.

    Raises:
        ValueError: There is no such target or scheme.
        embeddings: `"int8"` (one scale per word) or `"fp32"`.
        reduce_range: Weights in 7 bits instead of 8. On x86 CPUs without VNNI, u8 x s8 products
            are summed in pairs in 16 bits and saturate with full-range weights
            (onnxruntime#6004); 7 bits cannot.
        float_layers: Linear layers left in float, such as `layers.2.feed_forward.down`.
        calibration_texts: Training texts that static activation ranges are measured on.
        smooth_quant_alpha: SmoothQuant strength for static quantization; negative is off
            (https://arxiv.org/abs/2211.10438).
        static_ranges: Lowest and highest input of each linear layer, by its name; what lies
            outside is clipped. For the static scheme of ONNX Runtime; NNCF measures its own.
    """

    schemes: Mapping[str, str] = field(default_factory=dict, hash=False)
    embeddings: str = "int8"
    reduce_range: bool = False
    float_layers: tuple[str, ...] = ()
    calibration_texts: int = 128
    smooth_quant_alpha: float = 0.95
    static_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for runtime, scheme in self.schemes.items():
            if scheme not in get_target(runtime).SCHEMES:
                raise ValueError(f"{runtime} has no quantization scheme {scheme!r}")
        object.__setattr__(self, "schemes", {**default_schemes(), **self.schemes})

    @property
    def weight_levels(self) -> int:
        """Largest magnitude of a quantized weight."""
        return 63 if self.reduce_range else 127

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """CPU features of which one is needed for the quantized arithmetic to be exact."""
        exact = self.reduce_range or all(map(self.is_float, self.schemes))
        return _ANY if exact else _EXACT

    def instruction_sets_of(self, runtime: str) -> tuple[str, ...]:
        """Return `instruction_sets` for the file of one runtime."""
        return _ANY if self.is_float(runtime) else self.instruction_sets

    def is_float(self, runtime: str) -> bool:
        """Return whether the file of `runtime` is float throughout."""
        return self.schemes[runtime] == FLOAT

    def keeps_in_float(self, layer: str) -> bool:
        """Return whether `float_layers` names a linear layer, or the matrix that it is rows of."""
        return _whole(layer, self.float_layers) is not None

    def static_range(self, layer: str) -> tuple[float, float]:
        """Return the lowest and highest input of a linear layer, or of the matrix it is part of.

        Raises:
            ModelError: `static_ranges` has none for it.
        """
        name = _whole(layer, self.static_ranges)
        if name is None:
            raise ModelError(
                f"the quantization plan is static and has no range for the input of {layer}",
                hint="Measure static_ranges on the model that is exported: pruning changes layers.",
            )
        return self.static_ranges[name]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, for the manifest; schemes stand under their runtimes."""
        content = asdict(self)
        return {
            **content.pop("schemes"),
            **content,
            "float_layers": list(self.float_layers),
            "static_ranges": {name: list(ends) for name, ends in self.static_ranges.items()},
            "instruction_sets": list(self.instruction_sets),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "QuantizationPlan":
        """Read what `to_json` wrote, of this or an earlier version.

        Raises:
            ArtifactError: It holds what this version does not know.
        """
        known = {entry.name for entry in fields(cls)} - {"schemes"} | set(target_names())
        given = {name: value for name, value in content.items() if name != "instruction_sets"}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ArtifactError(f"the quantization plan has unknown entries: {', '.join(unknown)}")
        schemes = {name: given.pop(name) for name in target_names() if name in given}
        if "float_layers" in given:
            given["float_layers"] = tuple(given["float_layers"])
        ranges = given.get("static_ranges", {})
        given["static_ranges"] = {n: (float(low), float(high)) for n, (low, high) in ranges.items()}
        try:
            return cls(schemes, **given)
        except ValueError as error:
            raise ArtifactError(f"the quantization plan cannot be read: {error}") from error


def _whole(layer: str, names: Iterable[str]) -> str | None:
    """Return the entry of `names` that contains `layer`: the layer itself or the fused matrix it
    was sliced from."""
    # Q and K, V of a first-token layer are rows of one matrix: layers.5.attention.qkv.0_384
    return next((name for name in names if layer == name or layer.startswith(f"{name}.")), None)


def activation_scale(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Return the scale and zero point that spread [low, high] (widened to hold 0) over 0 to 255."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / 255, 1e-12))
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


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
