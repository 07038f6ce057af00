"""Each exported file is run and compared with the PyTorch model that it came from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtimes.base import logits_of
from runtimes.errors import ModelError
from runtimes.registry import get_runtime

__all__ = ["FLOAT_TOLERANCE", "Parity", "answers", "check_parity", "torch_logits", "torch_outputs"]

# Largest difference of a logit that a float export may show. Different summation orders give
# 1e-6 to 1e-5; a wrong graph gives 1e-1 and more. Of logits larger than 1, a share of the largest.
FLOAT_TOLERANCE = 1e-3

Batches = Sequence[Mapping[str, NDArray[np.int64]]]


@dataclass(frozen=True)
class Parity:
    """How an exported file agrees with PyTorch FP32.

    Attributes:
        runtime: Runtime that executed it.
        precision: Precision of the file.
        max_abs_delta: Largest difference of any logit.
        label_agreement: Share (0 to 1) of texts, or of tokens, that got the same label.
        texts: Number of texts compared.
    """

    runtime: str
    precision: str
    max_abs_delta: float
    label_agreement: float
    texts: int

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def torch_logits(module: Any, batches: Batches) -> NDArray[np.float32]:
    """Return logits (M, C) of a PyTorch model for all batches, in evaluation mode on the CPU: a row
    a text, or a row a token that is not padding.
    """
    return np.concatenate([answers(torch_outputs(module, batch), batch) for batch in batches])


def torch_outputs(module: Any, batch: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """Return what a PyTorch model says of a batch, (B, C) or (B, T, C), in evaluation mode on the
    CPU.
    """
    import torch

    module.eval()
    with torch.inference_mode():
        inputs = {name: torch.from_numpy(value) for name, value in batch.items()}
        outputs: NDArray[np.float32] = module(**inputs).logits.float().numpy()
    return outputs


def check_parity(
    path: Path, runtime: str, precision: str, batches: Batches, expected: NDArray[np.float32]
) -> Parity:
    """Run an exported file and compare its logits.

    Args:
        path: `.onnx` or `.xml` file.
        runtime: Runtime to open it with.
        precision: `"fp32"` or `"int8"`, what the file holds.
        batches: Padded batches of inputs.
        expected: (M, C) logits of the PyTorch model for them, from `torch_logits`.

    Raises:
        ModelError: A float file differs by more than `FLOAT_TOLERANCE`.
    """
    session = get_runtime(runtime).open_model(path, precision=precision)
    try:
        outputs = [
            answers(
                logits_of(session.run({name: batch[name] for name in session.input_names})), batch
            )
            for batch in batches
        ]
    finally:
        session.close()
    logits = np.concatenate(outputs)
    result = Parity(
        runtime=runtime,
        precision=precision,
        max_abs_delta=float(np.abs(logits - expected).max()),
        label_agreement=float((logits.argmax(-1) == expected.argmax(-1)).mean()),
        texts=sum(len(batch["input_ids"]) for batch in batches),
    )
    allowed = FLOAT_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if precision == "fp32" and not result.max_abs_delta <= allowed:
        raise ModelError(
            f"the float export {path.name} differs from PyTorch by {result.max_abs_delta:.2g} "
            f"on {runtime}; {allowed:g} is allowed",
            hint="This is a defect of the exporter: please report it with the model's config.json.",
        )
    return result


def answers(
    logits: NDArray[np.float32], batch: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.float32]:
    """Return (B, C) as it is, of (B, T, C) the tokens that are not padding, (m, C)."""
    return logits if logits.ndim == 2 else logits[batch["attention_mask"].astype(bool)]
