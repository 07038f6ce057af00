# ruff: noqa: ARG002 - what callbacks are told is the library's choice
"""The training loop: Transformers' `Trainer`, told what these settings mean.

It brings what a loop of one's own would have to prove: gradient accumulation, resuming (of what
draws nothing while it collates, to the same weights), several processes and machines through
`accelerate launch`, TensorBoard.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Sampler
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback
from transformers.trainer import TRAINER_STATE_NAME

from compress.data.tokenized import length_grouped_batches
from compress.errors import ModelError
from compress.system.device import has_bfloat16, training_device
from compress.system.distributed import processes
from compress.system.progress import Progress
from compress.training.dropout import use_quick_dropout
from compress.training.settings import TrainingSettings

__all__ = [
    "Loss",
    "Pretrainer",
    "TextTrainer",
    "answer_in_full_precision",
    "class_weights",
    "evaluate_untrained",
    "freeze",
    "train_or_take_up",
]


class TextTrainer(Trainer):
    """A trainer that follows `TrainingSettings` and keeps the best weights by a metric.

    Args:
        model: A Transformers model.
        tokenizer: Its tokenizer.
        train: Features with `labels`, each of its own length.
        validation: Likewise.
        folder: Where checkpoints and TensorBoard logs go.
        settings: How to train.
        progress: Told of each step.
        metric: Figure that picks the best weights; the larger the better, except a loss.
        given: What else `transformers.Trainer` takes: collator, loss, metrics.
    """

    lr_scheduler: Any

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        train: Sequence[dict[str, Any]],
        validation: Sequence[dict[str, Any]],
        folder: Path,
        settings: TrainingSettings,
        progress: Progress,
        *,
        metric: str,
        **given: Any,
    ) -> None:
        self.settings = settings
        logs = TensorBoardCallback()
        # Else an evaluation before the first step would begin one where the command is called.
        logs.logging_dir = str(folder / "runs")
        callbacks = [_Reporting(progress), logs]
        if settings.patience is not None:
            callbacks.append(EarlyStoppingCallback(settings.patience))
        if training_device().type == "cpu":
            use_quick_dropout(model)
        super().__init__(
            model,
            _arguments(folder, settings, len(train), metric),
            train_dataset=train,
            eval_dataset=validation,
            processing_class=tokenizer,
            callbacks=callbacks,
            **given,
        )
        self.remove_callback(PrinterCallback)

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

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.settings.group_by_length:
            return _ByLength(self)
        return super()._get_train_sampler(train_dataset)

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


class Pretrainer(TextTrainer):
    """A trainer by the model's own loss, which also picks the best weights.

    It evaluates to `eval_masked_loss` too: the cross entropy of all held-out tokens that are asked
    for, without what a model's loss may hold beside it.
    """

    def __init__(self, *arguments: Any, **given: Any) -> None:
        super().__init__(
            *arguments,
            metric="loss",
            compute_metrics=lambda found: {
                "masked_loss": float(found.predictions.sum() / found.label_ids.sum())
            },
            **given,
        )
        # The library takes any model that has **kwargs for one that divides its loss by the labels
        # of all batches and processes. These give a mean: it would be summed over batches, and
        # multiplied by processes.
        self.model_accepts_loss_kwargs = False

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Any, Any, Any]:
        """Return the loss, and by text (N,) the cross entropy of its masked tokens and their count.

        The logits of a whole evaluation are too many to keep.
        """
        loss, logits, labels = super().prediction_step(
            model, inputs, prediction_loss_only=False, ignore_keys=ignore_keys
        )
        words = logits[0] if isinstance(logits, tuple) else logits  # the next sentence's are behind
        asked = labels != -100
        entropy = torch.zeros(labels.shape, device=labels.device)
        entropy[asked] = cross_entropy(words[asked].float(), labels[asked], reduction="none")
        return loss, entropy.sum(dim=1), asked.sum(dim=1)


class _ByLength(Sampler[int]):
    """A sampler whose batches hold inputs of similar length, in another order each epoch.

    The library has one too, but does not know any more, when it resumes, what it had drawn.
    """

    def __init__(self, trainer: TextTrainer) -> None:
        self._trainer = trainer
        inputs = [feature["input_ids"] for feature in trainer.train_dataset]
        # Of a question with choices, the longest of them.
        longest = [max(map(len, ids)) if isinstance(ids[0], list) else len(ids) for ids in inputs]
        self._lengths = np.array(longest)

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        seed, epoch = self._trainer.settings.seed, int(self._trainer.state.epoch or 0)
        # Of a whole step: its texts are the same, however they are shared out.
        given = self._trainer.args
        size = given.train_batch_size * given.gradient_accumulation_steps * processes()
        batches = length_grouped_batches(self._lengths, size, np.random.default_rng([seed, epoch]))
        batches.sort(key=len, reverse=True)  # the smaller one ends the epoch
        return iter(np.concatenate(batches).tolist())


class Loss:
    """The mean loss over all labels of a step, whatever batches they come in.

    Args:
        weights: (C,) of the classes; None: equal.
        smoothing: Share of the probability that goes to all classes alike.
        problem_type: Kind of the labels, as in Hugging Face configs.
    """

    def __init__(self, weights: Tensor | None, smoothing: float, problem_type: str | None) -> None:
        self._weights, self._smoothing = weights, smoothing
        self._problem_type = problem_type

    def __call__(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        total, count = self._sum(outputs, labels)
        return total / (count if num_items_in_batch is None else num_items_in_batch)

    def _sum(self, outputs: Any, labels: Tensor) -> tuple[Tensor, Tensor | int]:
        """Return the sum over a batch, and how many labels it has as the library counts them."""
        if "start_logits" in outputs:
            both = torch.cat([outputs.start_logits, outputs.end_logits]).float()
            places = torch.cat([labels[:, 0], labels[:, 1]])
            return cross_entropy(both, places, reduction="sum"), labels.numel()
        logits = outputs.logits.float()
        if self._problem_type == "regression":
            squares = mse_loss(logits.flatten(), labels.float().flatten(), reduction="sum")
            return squares, labels.numel()
        if self._problem_type == "multi_label_classification":
            apart = binary_cross_entropy_with_logits(logits, labels.float(), reduction="sum")
            return apart * labels.shape[-1], labels.numel()  # all C of a text are counted
        total = cross_entropy(
            logits.flatten(0, -2),
            labels.flatten(),
            weight=None if self._weights is None else self._weights.to(logits.device),
            label_smoothing=self._smoothing,
            reduction="sum",
        )
        return total, (labels != -100).sum()  # tokens without a label do not count


class _Reporting(TrainerCallback):
    """A callback that tells a `Progress` of steps, loss and metric."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._bar = progress, ExitStack()
        self._figures: dict[str, float] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        track = self._progress.track("training", state.max_steps)
        self._task = self._bar.enter_context(track)
        if state.global_step:
            self._task.advance(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._task.advance(1, **self._figures)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        metric = args.metric_for_best_model
        logs = logs or {}
        for name, key in (("loss", "loss"), (metric, f"eval_{metric}")):
            if key in logs:
                self._figures[name] = float(logs[key])
        loss = float(logs.get("loss", logs.get("train_loss", 0.0)))
        if not math.isfinite(loss):
            raise ModelError(
                f"the training diverged: at step {state.global_step} its loss is {loss}",
                hint="Are the base model's weights sound? Otherwise try a lower --learning-rate.",
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.close()


def answer_in_full_precision(trainer: Trainer) -> None:
    """Let a trained model answer in float32 from now on, as it does for whoever opens it.

    Accelerate has it answer in bfloat16 where it was trained so.
    """
    trainer.accelerator.native_amp = False  # for a model that it has not wrapped yet
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)


def evaluate_untrained(trainer: Trainer) -> dict[str, float]:
    """Evaluate a model that is to be trained.

    Accelerate takes a model that it prepared for this for one that is prepared for training. Of
    several processes each would then learn by itself: it has to forget that it knows the model.
    """
    figures: dict[str, float] = trainer.evaluate()
    trainer.accelerator._models.clear()
    trainer.model._is_accelerate_prepared = False
    return figures


def train_or_take_up(trainer: Trainer, checkpoint: Path | None) -> None:
    """Train from a checkpoint, or from the beginning, to the best weights.

    The checkpoint of a training that had ended holds all that there is to learn: its best weights
    and its history are taken up. The library would go on, past the end.
    """
    if checkpoint is None:
        trainer.train()
        return
    state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
    control: Any = (state.stateful_callbacks or {}).get("TrainerControl", {})
    stopped = control.get("args", {}).get("should_training_stop", False)
    if not stopped and state.global_step < state.max_steps:
        trainer.train(resume_from_checkpoint=str(checkpoint))
        return
    best = checkpoint.with_name(f"checkpoint-{state.best_global_step}")
    whole = (best / TRAINER_STATE_NAME).is_file()
    trainer._load_from_checkpoint(str(best if whole else checkpoint))
    # Of the process that saved it, it says that this is the first one.
    state.is_local_process_zero = trainer.is_local_process_zero()
    state.is_world_process_zero = trainer.is_world_process_zero()
    trainer.state = state


def class_weights(labels: np.ndarray, classes: int) -> Tensor:
    """Return (C,) weights that make all classes that occur count the same.

    Over all texts their mean is 1.
    """
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
    depth = base.config.num_hidden_layers
    lists = (part for part in base.modules() if isinstance(part, torch.nn.ModuleList))
    stack = next((part for part in lists if len(part) == depth), ())
    if layers > len(stack):
        raise ValueError(f"the model has no {layers} layers to freeze")
    for part in (*([base.get_input_embeddings()] * embeddings), *stack[:layers]):
        part.requires_grad_(False)


def _arguments(
    folder: Path, settings: TrainingSettings, examples: int, metric: str
) -> TrainingArguments:
    assert settings.learning_rate is not None  # see `TrainingSettings.for_width`
    # The exponential schedule is not among the library's own: see `create_scheduler`.
    known = settings.schedule in ("linear", "cosine")
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule if known else "constant_with_warmup",
        warmup_steps=settings.warmup,  # below 1, a share
        weight_decay=settings.weight_decay,
        gradient_accumulation_steps=settings.accumulate,
        max_grad_norm=settings.clip,
        eval_strategy="steps",
        eval_steps=_interval(examples, settings),
        save_steps=_interval(examples, settings),
        save_total_limit=2,  # the best and the last
        load_best_model_at_end=True,
        metric_for_best_model=metric,
        logging_steps=10,
        logging_nan_inf_filter=False,  # see `_Reporting`
        report_to="none",  # but see `TextTrainer`
        disable_tqdm=True,
        seed=settings.seed,
        remove_unused_columns=False,
        label_names=["labels"],
        restore_callback_states_from_checkpoint=True,  # the patience that is left
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.accelerator.is_available(),
        bf16=has_bfloat16(training_device()),
    )
    # Without a launcher the library would spread a batch over all GPUs that it sees, and scale the
    # loss wrongly. Several GPUs are for `accelerate launch`.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _interval(examples: int, settings: TrainingSettings) -> int:
    together = settings.batch_size * settings.accumulate * processes()
    steps = math.ceil(examples / together)
    return max(1, round(steps / settings.evaluations))
