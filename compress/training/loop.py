"""The training loop for a loss of one's own, as distillation has.

It uses AdamW, a linear schedule with warm-up, clipped gradients, bfloat16 where the hardware has
it, and keeps the best weights by evaluation. The caller's `step_loss` says what is learnt.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from typing import TypeVar

import torch
from torch import Tensor, nn

from compress.errors import ModelError
from compress.system.device import has_bfloat16
from compress.system.distributed import average_gradients, from_main, own_share
from compress.system.progress import Progress

__all__ = ["Evaluation", "fit"]

Batch = TypeVar("Batch")

_MAX_GRADIENT_NORM = 1.0
# The pace is that of so many steps, after the first ones.
_WARM, _TIMED = 2, 8
_SAID = 0.95  # a share of the steps that is worth a word


@dataclass(frozen=True)
class Evaluation:
    """Quality of the model at one moment.

    Attributes:
        score: Compared as a tuple; larger is better.
        figures: Shown beside the progress bar.
    """

    score: tuple[float, ...]
    figures: Mapping[str, float]


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
    evaluate: Callable[[], Evaluation] | None = None,
    evaluations: int = 6,
    last_phase: tuple[float, Callable[[], bool]] | None = None,
    seconds: float | None = None,
) -> int:
    """Train `model` in place.

    Parameters with `requires_grad=False` are left alone, and dropout is off: a teacher's answers
    leave nothing to regularise, and on a CPU the random numbers cost time. With `evaluate`, the
    weights as given compete too, so the model never ends worse than it began.

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
        evaluate: Called before the first step and then `evaluations` times, evenly spaced, the
            last time after the last step; the weights with the best score are kept.
        evaluations: See `evaluate`.
        last_phase: (share of the steps, function to call then). If it returns true, the model
            computes differently from there on, so earlier weights no longer compete.
        seconds: Time for all of it. Where the first steps tell that it will not do, there are
            fewer steps, over which the whole schedule is laid; None is as long as it takes.

    Returns:
        Optimizer steps taken. Where the training diverges it ends there, which is said, and the
        best weights are kept.

    Raises:
        ModelError: It diverged, and there is no `evaluate` that would tell which weights are good.
    """
    device = next(model.parameters()).device
    pace = _Pace(seconds)
    best = _Best(model, evaluate)
    pace.look(best.consider)
    pace.looks = evaluations
    first = batches(0) if epochs > 0 else ()
    steps = round(epochs * len(first))
    if steps:
        optimizer = torch.optim.AdamW(
            _parameter_groups(model, weight_decay), lr=learning_rate, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _linear(lambda: steps, warmup))
        trained = [p for p in model.parameters() if p.requires_grad]
        with _without_dropout(model), progress.track(description, steps) as task:
            endless = chain(first, chain.from_iterable(map(batches, count(1))))
            for step, batch in enumerate(endless, start=1):
                if last_phase and step - 1 == round(steps * last_phase[0]) and last_phase[1]():
                    best = _Best(model, evaluate)
                    pace.look(best.consider)
                    pace.looks += 1
                with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
                    loss = step_loss(own_share(batch))
                loss.backward()
                average_gradients(trained)
                # Of all processes' mean: they stop together.
                norm = nn.utils.clip_grad_norm_(trained, _MAX_GRADIENT_NORM)
                if not torch.isfinite(norm):
                    optimizer.zero_grad(set_to_none=True)
                    steps = step - 1
                    _say_diverged(step, float(loss.detach()), progress, known=evaluate is not None)
                    break
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                pace.began(step)
                # Told seldom: processes exchange nothing more than gradients otherwise.
                if _tells(step) and (fewer := from_main(pace.steps(step, steps))) < steps:
                    if fewer < _SAID * steps:
                        progress.say(f"{fewer} of {steps} steps fit into the time there is")
                    steps = fewer
                    task.shorten(steps)
                if any(step == round(steps * (i + 1) / evaluations) for i in range(evaluations)):
                    pace.look(best.consider)
                task.advance(1, loss=float(loss.detach()), **best.figures)
                if step >= steps:
                    break
    best.restore()
    return steps


class _Pace:
    """Tells how many steps there is time for.

    Args:
        seconds: For all of them, from now on; None: as many as are wanted.

    Attributes:
        looks: Those at the model that are still to come.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds, self._start = seconds, time.monotonic()
        self.looks = 0
        self._first = 0.0
        self._look_s, self._looked_s = 0.0, 0.0  # the last look, and all since the first steps

    def look(self, consider: Callable[[], None]) -> None:
        """Look at the model, which is no part of a step."""
        start = time.monotonic()
        consider()
        self._look_s = time.monotonic() - start
        self._looked_s += self._look_s
        self.looks -= 1

    def began(self, done: int) -> None:
        """Count from here once the first steps, which take longer, are done."""
        if done == _WARM:
            self._first, self._looked_s = time.monotonic(), 0.0

    def steps(self, done: int, wanted: int) -> int:
        """Return how many of `wanted` steps there will be, by what those so far took."""
        if self._seconds is None:
            return wanted
        now = time.monotonic()
        each = (now - self._first - self._looked_s) / (done - _WARM)
        left = self._start + self._seconds - self.looks * self._look_s - now
        return min(wanted, max(done, done + int(left / max(each, 1e-9))))


def _tells(done: int) -> bool:
    """Return whether so many steps tell how long the others take.

    At first ten do. The teacher answers for many batches at a time, so that it is only told by
    twice as many, and twice as many again.
    """
    turns, rest = divmod(done - _WARM, _TIMED)
    return turns > 0 and not rest and not turns & (turns - 1)


def _say_diverged(step: int, loss: float, progress: Progress, *, known: bool) -> None:
    what = f"at step {step} the loss is {loss:.3g} and its gradient is no number"
    if not known:
        raise ModelError(f"the training diverged: {what}", hint="Try a lower learning rate.")
    progress.say(
        f"the training diverged: {what}; the best weights before it are kept. "
        "A lower learning rate may help."
    )


class _Best:
    """The best weights seen so far."""

    def __init__(self, model: nn.Module, evaluate: Callable[[], Evaluation] | None) -> None:
        self._model, self._evaluate = model, evaluate
        self._weights: dict[str, Tensor] = {}
        self._kept: Evaluation | None = None
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
        if from_main(self._kept is None or evaluation.score > self._kept.score):
            self._kept = evaluation
            # Frozen tensors (the word table is most of a small model) never change.
            self._weights = {
                name: parameter.detach().clone()
                for name, parameter in self._model.named_parameters()
                if parameter.requires_grad
            }

    def restore(self) -> None:
        if self._weights:
            self._model.load_state_dict(self._weights, strict=False)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters: matrices decay; vectors (biases, normalisation) do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _linear(steps: Callable[[], int], warmup: float) -> Callable[[int], float]:
    """Return the learning rate's multiplier: up to 1 over the warm-up, then down to 0.

    Transformers' `get_linear_schedule_with_warmup` begins at 0 and so wastes the first step: it
    would train other weights.
    """

    def multiplier(step: int) -> float:
        rising = max(1, round(steps() * warmup))
        if step < rising:
            return (step + 1) / rising
        return max(0.0, (steps() - step) / max(1, steps() - rising))

    return multiplier


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    """Allow gradients of a model in evaluation mode; restore its mode afterwards."""
    before = model.training
    model.eval()
    try:
        with torch.enable_grad():
            yield
    finally:
        model.train(before)
