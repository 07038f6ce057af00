"""Files for ONNX Runtime: a padded and an unpadded graph over the same weights."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.targets.base import Calibration, Scheme, input_names
from runtimes.manifest import ModelEntry

if TYPE_CHECKING:
    from export.quantization import QuantizationPlan

__all__ = ["DESCRIPTION", "RUNTIME", "SCHEMES", "UNQUANTIZED", "write"]

RUNTIME = "onnxruntime"
SCHEMES = {
    "dynamic": Scheme("dynamic INT8, one scale a column"),
    "static": Scheme("static INT8, one scale a column", needs_ranges=True),
    "float": Scheme("float"),
}
DESCRIPTION = (
    "ONNX Runtime's file: INT8 with activation ranges found at every call, or measured on training "
    "texts, or no INT8"
)
UNQUANTIZED = "fp32"


def write(
    module: Any,
    plan: "QuantizationPlan | None",
    calibration: Calibration,  # noqa: ARG001 - ranges are in the plan, or found at every call
    folder: Path,
) -> list[ModelEntry]:
    """Write `onnx/model.onnx`, `onnx/unpadded.onnx` and their weights, `onnx/model.onnx.data`."""
    import onnx

    from export.onnx import build_onnx

    place = folder / "onnx"
    place.mkdir(parents=True)
    data = place / "model.onnx.data"
    digests = set[bytes]()
    for name, padded in (("unpadded.onnx", False), ("model.onnx", True)):
        onnx.save(
            build_onnx(module, plan, padded=padded),
            place / name,
            save_as_external_data=True,
            location=data.name,
            size_threshold=1024,
        )
        with data.open("rb") as file:
            digests.add(hashlib.file_digest(file, "sha256").digest())
        if not padded:
            data.unlink()  # the library appends to a file that is there
    if len(digests) > 1:
        raise RuntimeError("the two variants of a model do not have the same weights")
    return [
        ModelEntry(
            runtime=RUNTIME,
            format="onnx",
            path=f"onnx/{name}",
            precision="fp32" if plan is None or plan.is_float(RUNTIME) else "int8",
            variant=variant,
            inputs=input_names(module.config, padded=variant == "padded"),
        )
        for name, variant in (("model.onnx", "padded"), ("unpadded.onnx", "unpadded"))
    ]
