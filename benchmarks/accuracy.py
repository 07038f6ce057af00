"""Takes the predictions of a deployed model on labelled examples."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.client import SubjectError, Worker
from benchmarks.differences import Differences, bounded
from benchmarks.examples import Examples
from benchmarks.quality import Quality
from benchmarks.tasks import get_measure
from runtimes.base import TextInput

__all__ = [
    "align_logits",
    "class_order",
    "describe_wrong",
    "differences",
    "predict",
    "quality_by_row",
    "write_inputs",
]

_GENERIC = re.compile(r"LABEL_\d+", re.IGNORECASE)  # what Transformers calls classes without names


# Of how far a file's answers spread: other arithmetic moves them by a tenth of this at most.
_WRONG = 0.25


def predict(
    worker: Worker, labels: Sequence[str], examples: Examples, *, batch_size: int = 1
) -> NDArray[np.float32]:
    """Run a worker's subject over labelled examples, as it is deployed.

    Args:
        worker: With its subject open, and the examples' inputs first among its own.
        labels: The subject's.
        examples: What to run it on.
        batch_size: Inputs a batch; 1 is how latency is measured. What dynamic INT8 answers may
            depend on it.

    Raises:
        SubjectError: The model fails, or has other labels than the examples.
    """
    logits, _ = worker.predict(count=len(examples), batch_size=batch_size)
    if examples.output_names:
        logits = align_logits(logits, labels, examples.output_names)
    if len(logits) != len(examples.labels):
        raise SubjectError(f"it gave {len(logits)} answers for {len(examples.labels)} labels")
    return logits


def describe_wrong(logits: NDArray[np.float32], right: NDArray[np.float32]) -> str:
    """Return a remark on answers that a runtime gives wrongly here; "" where it gives none.

    Args:
        logits: (M, C) what a file says as its library opens it.
        right: (M, C) what it says as `runtimes` opens it, which avoids the library's known faults.
    """
    spread = max(float(right.std(axis=0).max()), 1e-3)
    wrong = np.abs(logits - right).max(axis=1) > _WRONG * spread
    if not wrong.any():
        return ""
    others = int((logits[wrong].argmax(axis=1) != right[wrong].argmax(axis=1)).sum())
    return (
        f"{int(wrong.sum()):,} of its {len(wrong):,} answers are wrong on this processor "
        f"({others:,} name another label): a fault of the library, which runtimes.load avoids and "
        "this row, opened as its users open it, does not."
    )


def quality_by_row(
    answers: Mapping[str, NDArray[np.float32]], ids: Sequence[str | None], examples: Examples
) -> dict[str, Quality]:
    """Return what there is to say of rows' answers beyond the metric.

    Args:
        answers: By row, the logits (M, C) of those that answered.
        ids: Rows to tell of.
        examples: What they answered.
    """
    measure, found = get_measure(examples), {}
    for name in ids:
        if name is not None and name in answers:
            quality = measure.quality(answers[name], examples)
            if quality is not None:
                found[name] = quality
    return found


def differences(
    answers: Mapping[str, NDArray[np.float32]],
    ids: tuple[str, str | None],
    examples: Examples,
    *,
    most: int,
) -> Differences | None:
    """Return the texts on which two rows differ; None where one of them did not answer.

    Args:
        answers: By row, the logits (M, C) of those that answered.
        ids: The reference, and another row.
        examples: What they answered.
        most: Texts that are kept.
    """
    reference, other = (answers.get(name or "") for name in ids)
    if reference is None or other is None:
        return None
    found = get_measure(examples).differences(reference, other, examples)
    return bounded(found, most)


def align_logits(
    logits: NDArray[np.float32], model_labels: Sequence[str], label_names: Sequence[str]
) -> NDArray[np.float32]:
    """Reorder the model's outputs to the order of the examples' classes, by name.

    Args:
        logits: (M, C) in the model's order.
        model_labels: C names; where they are generic (`LABEL_0` ...) the order is trusted.
        label_names: The C names that the examples' class indices refer to.

    Raises:
        SubjectError: The names do not match; the message shows both lists. Or there is not an
            output for each.
    """
    order = class_order(model_labels, label_names)
    if logits.ndim != 2 or logits.shape[1] != len(order):
        raise SubjectError(f"it has {len(order)} labels, and {logits.shape[-1]} outputs")
    return logits if order == list(range(len(order))) else logits[:, order]


def class_order(model_labels: Sequence[str], label_names: Sequence[str]) -> list[int]:
    """Return, for the C classes of the examples, which outputs of the model they are.

    Args:
        model_labels: As for `align_logits`.
        label_names: As for `align_logits`.

    Raises:
        SubjectError: The names do not match; the message shows both lists.
    """
    ours, theirs = [n.casefold() for n in label_names], [n.casefold() for n in model_labels]
    if len(ours) == len(theirs):
        if ours != theirs and sorted(ours) == sorted(theirs) and len(set(ours)) == len(ours):
            return [theirs.index(name) for name in ours]
        generic = any(all(_GENERIC.fullmatch(name) for name in names) for names in (ours, theirs))
        if ours == theirs or generic:
            return list(range(len(ours)))
    raise SubjectError(
        f"its {len(model_labels)} labels ({', '.join(model_labels)}) do not match the data's "
        f"{len(label_names)} ({', '.join(label_names)})"
    )


def write_inputs(examples: Examples, folder: Path, more: Sequence[TextInput] = ()) -> Path:
    """Write the examples' inputs, and more after them, where a worker can read them."""
    path = folder / "inputs.json"
    path.write_text(json.dumps([*examples.inputs(), *more]), encoding="utf-8")
    return path
