# ruff: noqa: ARG002 - what callbacks are told is the library's choice
"""The training loop: Transformers' `Trainer`, told what these settings mean.

It brings what a loop of one's own would have to prove: gradient accumulation, resuming (of what
draws nothing while it collates, to the same weights), several processes and machines through
`accelerate launch`, TensorBoard.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback

from compress.system.device import has_bfloat16, training_device
from compress.system.distributed import processes
from compress.system.progress import Progress, Task
from compress.training.settings import TrainingSettings
from compress.training.tasks import TrainingTask

__all__ = ["build_pretrainer", "build_trainer", "class_weights", "freeze", "train_or_take_up"]


def build_trainer(
    model: Any,
    tokenizer: Any,
    train: Sequence[dict[str, Any]],
    validation: Sequence[dict[str, Any]],
    folder: Path,
    settings: TrainingSettings,
    *,
    task: TrainingTask,
    names: tuple[str, ...],
    weights: Tensor | None,
    progress: Progress,
) -> Trainer:
    """A trainer that keeps the best weights by the validation metric.

    Args:
        model: A Transformers classifier.
        tokenizer: Its tokenizer, which pads batches.
        train: Examples as `task.features` gives them.
        validation: Likewise.
        folder: Where checkpoints and TensorBoard logs go.
        settings: How to train.
        task: Gives collation and figures.
        names: Of the C classes.
        weights: (C,) of the classes in the loss; None: equal.
        progress: Told of each step.
    """
    trainer = _Trainer(
        model=model,
        args=_arguments(folder, settings, len(train), settings.metric or task.FIGURES[0]),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=task.collator(tokenizer),
        processing_class=tokenizer,
        compute_loss_func=_Loss(weights, settings.label_smoothing, model.config.problem_type),
        compute_metrics=lambda found: task.figures(
            *task.decided(found.predictions, found.label_ids, names)
        ),
        callbacks=_callbacks(settings, progress),
    )
    return _quiet(trainer, settings)


def build_pretrainer(
    model: Any,
    tokenizer: Any,
    train: Sequence[dict[str, Any]],
    validation: Sequence[dict[str, Any]],
    folder: Path,
    settings: TrainingSettings,
    *,
    collator: Any,
    progress: Progress,
) -> Trainer:
    """A trainer by the model's own loss, which also picks the best weights.

    It evaluates to `eval_masked_loss` too: the cross entropy of all held-out tokens that are asked
    for, without what a model's loss may hold beside it.

    Args:
        model: A Transformers model that gives a loss.
        tokenizer: Its tokenizer.
        train: Inputs of their own lengths.
        validation: Likewise, with labels.
        folder: Where checkpoints and TensorBoard logs go.
        settings: How to train.
        collator: Puts inputs into batches.
        progress: Told of each step.
    """
    trainer = _Pretrainer(
        model=model,
        args=_arguments(folder, settings, len(train), "loss", greater_is_better=False),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collator,
        processing_class=tokenizer,
        compute_metrics=lambda found: {
            "masked_loss": float(found.predictions.sum() / found.label_ids.sum())
        },
        callbacks=_callbacks(settings, progress),
    )
    # The library takes any model that has **kwargs for one that divides its loss by the labels of
    # all batches and processes. These give a mean: it would be summed over batches, and multiplied
    # by processes.
    trainer.model_accepts_loss_kwargs = False
    return _quiet(trainer, settings)


def train_or_take_up(trainer: Trainer, checkpoint: str | None) -> None:
    """Train from a checkpoint, or from the beginning, to the best weights.

    The checkpoint of a training that had ended holds all that there is to learn: its best weights
    and its history are taken up. The library would go on, past the end.
    """
    state = None if checkpoint is None else TrainerState.load_from_json(_state_file(checkpoint))
    if checkpoint is None or state is None or not _had_ended(state):
        trainer.train(resume_from_checkpoint=checkpoint)
        return
    best = str(Path(checkpoint).with_name(f"checkpoint-{state.best_global_step}"))
    trainer._load_from_checkpoint(best if Path(_state_file(best)).is_file() else checkpoint)
    # Of the process that saved it, it says that this is the first one.
    state.is_local_process_zero = trainer.is_local_process_zero()
    state.is_world_process_zero = trainer.is_world_process_zero()
    trainer.state = state


def _state_file(checkpoint: str) -> str:
    return str(Path(checkpoint) / "trainer_state.json")


def _had_ended(state: TrainerState) -> bool:
    control: Any = (state.stateful_callbacks or {}).get("TrainerControl", {})
    stopped = control.get("args", {}).get("should_training_stop", False)
    return bool(stopped) or state.global_step >= state.max_steps


def _arguments(
    folder: Path,
    settings: TrainingSettings,
    examples: int,
    metric: str,
    *,
    greater_is_better: bool = True,
) -> TrainingArguments:
    assert settings.learning_rate is not None  # see `TrainingSettings.for_width`
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=_SCHEDULES[settings.schedule],
        warmup_steps=settings.warmup,  # below 1, a share
        weight_decay=settings.weight_decay,
        gradient_accumulation_steps=settings.accumulate,
        max_grad_norm=settings.clip,
        eval_strategy="steps",
        eval_steps=_interval(examples, settings),
        save_strategy="steps",
        save_steps=_interval(examples, settings),
        save_total_limit=2,  # the best and the last
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        greater_is_better=greater_is_better,
        logging_strategy="steps",
        logging_steps=10,
        report_to=["tensorboard"],
        disable_tqdm=True,
        seed=settings.seed,
        remove_unused_columns=False,
        label_names=["labels"],
        # Of grouping by length the library forgets, when it resumes, where it was.
        train_sampling_strategy="random",
        restore_callback_states_from_checkpoint=True,  # the patience that is left
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.accelerator.is_available(),
        bf16=has_bfloat16(training_device()),
    )
    # Without a launcher the library would spread a batch over all GPUs that it sees, and scale the
    # loss wrongly. Several GPUs are for `accelerate launch`.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _callbacks(settings: TrainingSettings, progress: Progress) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [_Reporting(progress)]
    if settings.patience is not None:
        callbacks.append(EarlyStoppingCallback(settings.patience))
    return callbacks


def _quiet(trainer: "_Trainer", settings: TrainingSettings) -> Trainer:
    """Without the library's own printing, and with all logs in the training's folder: an evaluation
    before the first step would otherwise begin one where the command is called."""
    trainer.settings = settings
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, TensorBoardCallback):
            callback.logging_dir = str(Path(trainer.args.output_dir) / "runs")
    for printer in ("PrinterCallback", "ProgressCallback"):
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ == printer:
                trainer.remove_callback(callback)
    return trainer


def class_weights(labels: np.ndarray, classes: int) -> Tensor:
    """(C,) weights that make all classes that occur count the same; over all texts their mean is
    1."""
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights.astype(np.float32))


def freeze(model: Any, *, embeddings: bool, layers: int) -> None:
    """Leave the word table, or the lowest layers, out of training.

    Raises:
        ValueError: The model has fewer layers than are to be frozen.
    """
    base = model.base_model
    if embeddings:
        for parameter in base.get_input_embeddings().parameters():
            parameter.requires_grad_(False)
    if layers == 0:
        return
    stack = next(
        (
            module
            for module in base.modules()
            if isinstance(module, torch.nn.ModuleList)
            and len(module) == base.config.num_hidden_layers
        ),
        None,
    )
    if stack is None or layers > len(stack):
        raise ValueError(f"the model has no {layers} layers to freeze")
    for layer in stack[:layers]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)


# What Transformers calls them; the exponential one is not among its own.
_SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "exponential": "constant_with_warmup",
}


class _Trainer(Trainer):
    settings: TrainingSettings
    lr_scheduler: Any

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save under the names that the model has, not those of the file that it came from.

        Of others (BERT's own release says `LayerNorm.gamma`) the library, which takes weights up
        again by name when it resumes and when it returns to the best, finds none and goes on.
        """
        save = self.model.save_pretrained
        self.model.save_pretrained = partial(save, save_original_format=False)
        try:
            super()._save(output_dir, state_dict)
        finally:
            del self.model.save_pretrained

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Refuse to go on where weights were not found; the library only logs it."""
        known = self.model.state_dict()
        taken = {known[name].data_ptr() for name in known.keys() - set(load_result.missing_keys)}
        lost = [name for name in load_result.missing_keys if known[name].data_ptr() not in taken]
        if lost or load_result.unexpected_keys:
            names = ", ".join([*lost, *load_result.unexpected_keys][:3])
            raise RuntimeError(f"the training's checkpoint lacks weights or has others: {names}")

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        if self.settings.schedule != "exponential" or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        warmup = max(1, self.args.get_warmup_steps(num_training_steps))
        down = math.log(self.settings.decay) / max(1, num_training_steps - warmup)

        def factor(step: int) -> float:
            return step / warmup if step < warmup else math.exp(down * (step - warmup))

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler


class _Pretrainer(_Trainer):
    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Any, Any, Any]:
        """The loss, and by text (N,) the summed cross entropy of tokens that are asked for, and how
        many they are: the logits of a whole evaluation are too many to keep."""
        loss, logits, labels = super().prediction_step(
            model, inputs, prediction_loss_only=False, ignore_keys=ignore_keys
        )
        words = logits[0] if isinstance(logits, tuple) else logits  # the next sentence's are behind
        asked = labels != -100
        entropy = torch.zeros(labels.shape, device=labels.device)
        entropy[asked] = cross_entropy(words[asked].float(), labels[asked], reduction="none")
        return loss, entropy.sum(dim=1), asked.sum(dim=1)


class _Loss:
    """The loss over all labels of a step, whatever batches they come in."""

    def __init__(self, weights: Tensor | None, smoothing: float, problem_type: str | None) -> None:
        self._weights, self._smoothing = weights, smoothing
        self._problem_type = problem_type

    def __call__(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        if "start_logits" in outputs:
            both = torch.cat([outputs.start_logits, outputs.end_logits]).float()
            total = cross_entropy(both, torch.cat([labels[:, 0], labels[:, 1]]), reduction="sum")
            return total / (labels.numel() if num_items_in_batch is None else num_items_in_batch)
        if self._problem_type in ("multi_label_classification", "regression"):
            # The library counts labels, all C of a text, or one.
            count = labels.numel() if num_items_in_batch is None else num_items_in_batch
            logits = outputs.logits.float()
            if self._problem_type == "regression":
                return mse_loss(logits.flatten(), labels.float().flatten(), reduction="sum") / count
            apart = binary_cross_entropy_with_logits(logits, labels.float(), reduction="sum")
            return apart * labels.shape[-1] / count
        weights = None if self._weights is None else self._weights.to(outputs.logits.device)
        total = cross_entropy(
            outputs.logits.float().flatten(0, -2),
            labels.flatten(),
            weight=weights,
            label_smoothing=self._smoothing,
            reduction="sum",
        )
        known = (labels != -100).sum()  # tokens without a label do not count
        return total / (known if num_items_in_batch is None else num_items_in_batch)


class _Reporting(TrainerCallback):
    """Tells a `Progress` of steps, loss and metric."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar: AbstractContextManager[Task] | None = None
        self._task: Task | None = None
        self._figures: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar = self._progress.track("training", state.max_steps)
        self._task = self._bar.__enter__()
        if state.global_step:
            self._task.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._task is not None:
            self._task.advance(1, **self._figures)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self._figures["loss"] = float(logs["loss"])

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        name = args.metric_for_best_model
        if metrics and f"eval_{name}" in metrics:
            self._figures[name] = float(metrics[f"eval_{name}"])

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = self._task = None


def _interval(examples: int, settings: TrainingSettings) -> int:
    together = settings.batch_size * settings.accumulate * processes()
    steps = math.ceil(examples / together)
    return max(1, round(steps / settings.evaluations))
