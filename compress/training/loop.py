"""The training loop for a loss of one's own, as distillation has.

It uses AdamW, a linear schedule with warm-up, clipped gradients, bfloat16 where the hardware has
it, and keeps the best weights by evaluation. The caller's `step_loss` says what is learnt.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from compress.system.device import has_bfloat16
from compress.system.distributed import average_gradients, from_main, own_share
from compress.system.progress import Progress

__all__ = ["Evaluation", "FitResult", "fit"]

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Evaluation:
    """Quality of the model at one moment.

    Attributes:
        score: Compared as a tuple; larger is better.
        figures: Shown beside the progress bar.
    """

    score: tuple[float, ...]
    figures: Mapping[str, float]


@dataclass(frozen=True)
class FitResult:
    """Outcome of a training run.

    Attributes:
        steps: Optimizer steps taken.
        seconds: Wall-clock time, evaluations included.
        loss: Mean loss of the last tenth of the steps; NaN when there were none.
        best: The evaluation of the weights that were kept, or None when nothing evaluated them.
    """

    steps: int
    seconds: float
    loss: float
    best: Evaluation | None


def fit(
    model: nn.Module,
    step_loss: Callable[[Batch], Tensor],
    batches: Callable[[int], Sequence[Batch]],
    *,
    epochs: float,
    learning_rate: float,
    progress: Progress,
    description: str,
    warmup: float = 0.06,
    weight_decay: float = 0.01,
    max_gradient_norm: float = 1.0,
    dropout: bool = False,
    seed: int = 0,
    evaluate: Callable[[], Evaluation] | None = None,
    evaluations: int = 6,
    last_phase: tuple[float, Callable[[], bool]] | None = None,
) -> FitResult:
    """Train `model` in place.

    Parameters with `requires_grad=False` are left alone. With `evaluate`, the weights as given
    compete too, so the model never ends worse than it began.

    Args:
        model: Trained on the device it lies on.
        step_loss: The loss (scalar) of one batch under the model's current weights.
        batches: The batches of an epoch (0, 1, ...); as many in each epoch.
        epochs: Passes; a fraction stops part of the way. 0 only evaluates.
        learning_rate: Peak of the schedule.
        progress: Told of each step.
        description: Label of the progress bar.
        warmup: Share of the steps in which the learning rate rises to its peak.
        weight_decay: AdamW's; biases and normalisation are exempt.
        max_gradient_norm: Gradients are clipped to it.
        dropout: Whether the model's dropout is active. Off for distillation: the teacher's
            answers leave nothing to regularise, and on a CPU the random numbers cost time.
        seed: Of dropout.
        evaluate: Called before the first step and then `evaluations` times, evenly spaced, the
            last time after the last step; the weights with the best score are kept.
        evaluations: See `evaluate`.
        last_phase: (share of the steps, function to call then). If it returns true, the model
            computes differently from there on, so earlier weights no longer compete.
    """
    start = time.monotonic()
    device = next(model.parameters()).device
    best = _Best(model, evaluate)
    best.consider()
    first = batches(0) if epochs > 0 else ()
    steps = round(epochs * len(first))
    losses: list[float] = []
    if steps:
        optimizer = torch.optim.AdamW(
            _parameter_groups(model, weight_decay), lr=learning_rate, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _linear(steps, warmup))
        trained = [p for p in model.parameters() if p.requires_grad]
        moments = {round(steps * (i + 1) / evaluations) for i in range(evaluations)}
        turning_point = None if last_phase is None else round(steps * last_phase[0])
        with _training(model, dropout, seed), progress.track(description, steps) as task:
            for step, batch in enumerate(_endless(batches, first, steps), start=1):
                if last_phase and step - 1 == turning_point and last_phase[1]():
                    best = _Best(model, evaluate)
                    best.consider()
                with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
                    loss = step_loss(own_share(batch))
                loss.backward()
                average_gradients(trained)
                nn.utils.clip_grad_norm_(trained, max_gradient_norm)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                losses.append(float(loss.detach()))
                if step in moments:
                    best.consider()
                task.advance(1, loss=losses[-1], **best.figures)
    best.restore()
    tail = losses[-max(1, len(losses) // 10) :]
    return FitResult(
        steps=steps,
        seconds=time.monotonic() - start,
        loss=sum(tail) / len(tail) if tail else math.nan,
        best=best.evaluation,
    )


class _Best:
    """Keeps the best weights seen so far."""

    def __init__(self, model: nn.Module, evaluate: Callable[[], Evaluation] | None) -> None:
        self._model, self._evaluate = model, evaluate
        self._weights: dict[str, Tensor] = {}
        self.evaluation: Evaluation | None = None
        self.figures: Mapping[str, float] = {}

    def consider(self) -> None:
        if self._evaluate is None:
            return
        training = self._model.training
        self._model.eval()
        with torch.no_grad():
            evaluation = self._evaluate()
        self._model.train(training)
        self.figures = evaluation.figures
        if from_main(self.evaluation is None or evaluation.score > self.evaluation.score):
            self.evaluation = evaluation
            # Frozen tensors (the word table is most of a small model) never change.
            self._weights = {
                name: parameter.detach().clone()
                for name, parameter in self._model.named_parameters()
                if parameter.requires_grad
            }

    def restore(self) -> None:
        if self._weights:
            self._model.load_state_dict(self._weights, strict=False)


def _endless(
    batches: Callable[[int], Sequence[Batch]], first: Sequence[Batch], steps: int
) -> Iterator[Batch]:
    """Yield `steps` batches from as many epochs as it takes."""
    epoch, current = 0, first
    for step in range(steps):
        if step - epoch * len(first) == len(current):
            epoch += 1
            current = batches(epoch)
        yield current[step - epoch * len(first)]


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters: matrices decay; vectors (biases, normalisation) do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _linear(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the learning rate's multiplier: up to 1 over the warm-up, then down to 0.

    Transformers' `get_linear_schedule_with_warmup` begins at 0 and so wastes the first step: it
    would train other weights.
    """
    rising = max(1, round(steps * warmup))

    def multiplier(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return max(0.0, (steps - step) / max(1, steps - rising))

    return multiplier


@contextmanager
def _training(model: nn.Module, dropout: bool, seed: int) -> Iterator[None]:
    """Switch to training, with a random state of its own; restore both afterwards."""
    before = model.training
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        model.train(dropout)
        try:
            yield
        finally:
            model.train(before)
