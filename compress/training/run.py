"""Fine-tuning: from a base model and labelled data to a checkpoint and its accuracy."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.examples import Examples
from benchmarks.labels import Spans
from benchmarks.metrics import Metric
from benchmarks.tasks import get_measure
from compress.data import Data, describe, load_splits
from compress.data.columns import NamedColumns
from compress.data.tokenized import kept_length
from compress.errors import DataError, OtherTaskError, UsageError
from compress.system.progress import Progress, SilentProgress
from compress.training.base import load_base, new_pooler
from compress.training.preparation import prepare
from compress.training.session import Session
from compress.training.settings import TrainingSettings
from compress.training.tasks import check_trainable, get_training_task
from runtimes.loading import open_checkpoint
from runtimes.registry import get_task
from runtimes.tasks import DEFAULT_TASK

__all__ = ["Trained", "train"]


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes:
        folder: The checkpoint, as `from_pretrained` reads it.
        metrics: On the validation texts that stopping looked at, and on those that nothing did:
            `selection` and `report`, each with the figures of the task.
        metric: The task's on the latter, with its interval; None but for the main process.
        notes: What was done to the data, and what of the base starts anew.
        main_process: Whether this is the process that tells of it, of several.
    """

    folder: Path
    metrics: dict[str, dict[str, float]]
    metric: Metric | None
    notes: tuple[str, ...]
    main_process: bool = True


def train(
    base: str,
    data: Data,
    out: Path,
    settings: TrainingSettings,
    *,
    task: str = DEFAULT_TASK,
    columns: NamedColumns | None = None,
    progress: Progress,
    command: str | None = None,
) -> Trained:
    """Fine-tune `base` on labelled text.

    A training that was stopped goes on from its last evaluation when it is started again with the
    same base, data, settings and number of processes, to the weights that it would have come to
    undisturbed.

    Args:
        base: Encoder checkpoint folder or hub id, with or without a classifier; or a size of
            `compress.training.scratch` to start from nothing.
        data: As for a run, see `compress.data.load_splits`.
        out: Folder for the checkpoint; it is new, empty, or of an earlier training.
        settings: How to train.
        task: What for, by its name in `runtimes.tasks`.
        columns: Names of columns that convention does not find.
        progress: Where to report progress.
        command: What the user typed, for the record.

    Raises:
        DataError: The data cannot be read or used.
        ModelError: The base model cannot be loaded as a classifier, or lacks weights of its
            encoder.
        UsageError: `out` holds something else, or a training with other settings; or these do not
            fit the data.
    """
    from compress.system.distributed import is_main

    main_process = is_main()
    if not main_process:
        progress = SilentProgress()
    get_task(task)  # an unknown one is refused by name
    check_trainable(task)
    try:
        splits = load_splits(
            data,
            label_names=None,
            task=task,
            columns=columns,
            missing=settings.missing,
            seed=settings.seed,
        )
    except OtherTaskError as error:
        raise DataError(
            f"{describe(data)}: this looks like {error.task} data; {task} is to be learnt",
            hint=f"add --task {error.task}",
        ) from error
    examples, notes = prepare(splits, settings)
    names = splits.train.label_names
    session = Session(base, describe(data), out, settings, task, splits.fingerprint, command)
    if record := session.finished():
        finished = (*record["notes"], "It was finished before: nothing was trained.")
        return Trained(out, record["metrics"], Metric(**record["metric"]), finished, main_process)
    problem_type = splits.train.problem_type
    _check_loss(settings, splits.train)
    model, tokenizer, new = _load(base, task, names, problem_type, settings, examples)
    notes += new
    settings = session.prepare(model)
    training_task = get_training_task(splits.train)
    if settings.metric not in (None, *training_task.FIGURES):
        raise UsageError(
            f"metric={settings.metric} is not measured of {task}, {problem_type}",
            hint=f"there are: {', '.join(training_task.FIGURES)}",
        )
    length = kept_length(settings.max_length, model.config, tokenizer, task)
    from compress.training.trainer import (
        Loss,
        TextTrainer,
        answer_in_full_precision,
        class_weights,
    )

    weights = None
    if settings.class_weights == "balanced":
        weights = class_weights(examples.labels, len(names))

    def figures(answers: Any) -> dict[str, float]:
        return training_task.figures(answers.predictions, answers.label_ids, names)

    learnt, watched, reported = (
        training_task.features(part, tokenizer, length)
        for part in (examples, splits.selection, splits.report)
    )
    with session.at_work() as scratch:
        session.check_room(model, learnt, progress.say)
        trainer = TextTrainer(
            *(model, tokenizer, learnt, watched, scratch, settings, progress),
            metric=settings.metric or training_task.FIGURES[0],
            data_collator=training_task.collator(tokenizer),
            compute_loss_func=Loss(weights, settings.label_smoothing, model.config.problem_type),
            compute_metrics=figures,
        )
        session.run(trainer)
        answer_in_full_precision(trainer)
        parts = {"selection": watched, "report": reported}
        found = {name: figures(trainer.predict(part)) for name, part in parts.items()}
        metric = None
        if main_process:
            session.save(trainer.model, tokenizer, length)
            # As its user opens it, from text to answer.
            with open_checkpoint(out) as opened:
                metric = get_measure(splits.report).metric(
                    opened.logits(splits.report.inputs()), splits.report
                )
            session.record(
                trainer,
                settings,
                [*splits.notes, *notes],
                about={
                    "task": task,
                    "problem_type": problem_type,
                    "fingerprint": splits.fingerprint,
                },
                results={"metrics": found, "metric": asdict(metric)},
            )
    return Trained(out, found, metric, (*splits.notes, *notes), main_process)


def _check_loss(settings: TrainingSettings, train: Examples) -> None:
    """Refuse what only the loss of classes knows, where the loss is another.

    Raises:
        UsageError: It is asked for.
    """
    classes = train.problem_type == "single_label_classification" and not isinstance(
        train.targets, Spans
    )
    data = f"the data is {train.task}, {train.problem_type}"
    if settings.label_smoothing > 0 and not classes:
        raise UsageError(f"label_smoothing={settings.label_smoothing} is for classes; {data}")
    if settings.class_weights == "balanced" and (not classes or train.targets.groups is not None):
        raise UsageError(f"class_weights=balanced is for classes; {data}")


def _load(
    base: str,
    task: str,
    names: tuple[str, ...],
    problem_type: str,
    settings: TrainingSettings,
    examples: Examples,
) -> tuple[Any, Any, list[str]]:
    """Return the model with the task's head, its tokenizer, and notes for the user."""
    import transformers

    # Some tasks have labels of their own, whatever a config says (of choices: one score).
    spec = get_task(task).SPEC
    labels: dict[str, Any] = {"problem_type": None}
    if spec.labels is None:
        labels = {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: index for index, name in enumerate(names)},
            "problem_type": problem_type,
        }
    texts = [
        text for row in examples.inputs() for text in ((row,) if isinstance(row, str) else row)
    ]
    model, tokenizer, new = load_base(
        *(base, getattr(transformers, spec.auto_class), settings, texts),
        purpose="as a classifier",
        **labels,
    )
    notes = []
    if new_pooler(model, new):
        notes.append("The base has no pooler: a new one is learnt with the classifier.")
    return model, tokenizer, notes
