"""`edgepress train`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.cli.output import (
    Data,
    Json,
    LabelColumn,
    PairColumn,
    Quiet,
    TextColumn,
    require_data,
    tell,
    write_json,
)
from compress.errors import UsageError
from runtimes.tasks import DEFAULT_TASK

if TYPE_CHECKING:
    from compress.training.pretraining import Pretrained
    from compress.training.run import Trained

__all__ = ["train"]


def train(
    context: typer.Context,
    base: Annotated[
        str, typer.Argument(metavar="BASE", help="Encoder checkpoint folder, or an id of the hub.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings, such as schedule=cosine."),
    ] = None,
    data: Data = None,
    task: Annotated[
        str,
        typer.Option(
            metavar="TASK",
            help="text-classification, token-classification, question-answering or "
            "multiple-choice.",
        ),
    ] = DEFAULT_TASK,
    objective: Annotated[
        str,
        typer.Option(metavar="[task|mlm|mlm+nsp]", help="The two others pre-train on plain text."),
    ] = "task",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the checkpoint.")] = Path(
        "teacher"
    ),
    epochs: Annotated[
        float | None, typer.Option(metavar="N", help="Passes over the training text.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Examples a step.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Peak of the schedule; by default the narrower the encoder, the higher.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of everything random.")
    ] = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune BASE on DATA: the teacher that `edgepress run` then makes fast."""
    data = require_data(data, "there is nothing to learn from", ["train", base])
    from compress import api
    from compress.training.settings import load_training_settings

    options = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    common: dict[str, Any] = {
        "settings": load_training_settings(overrides or [], options),
        "out": out,
        "text_column": text_column,
        "progress": not quiet,
        "command": context.obj,
    }
    if objective != "task":
        _check_objective(objective)
        pretrained = api.pretrain(base, data, objective=objective, **common)  # type: ignore[arg-type]
        _show_pretrained(pretrained, out, as_json=as_json)
        return
    common |= {"pair_column": pair_column, "label_column": label_column}
    trained = api.train(base, data, task=task, **common)
    _show_trained(trained, data, as_json=as_json)


def _check_objective(objective: str) -> None:
    from typing import get_args

    from compress.training.pretraining import Objective

    if objective not in get_args(Objective):
        known = ", ".join(("task", *get_args(Objective)))
        raise UsageError(f"there is no objective {objective!r}", hint=f"there are: {known}")


def _show_trained(trained: "Trained", data: str, *, as_json: bool) -> None:
    if not trained.main_process:
        return
    if as_json:
        write_json({"folder": str(trained.folder), "metrics": trained.metrics})
        return
    for note in trained.notes:
        tell(note, kind="note")
    metric = trained.metric
    assert metric is not None  # of the main process
    others = ", ".join(
        f"{name.replace('_', ' ')} {value:.1f}"
        for name, value in trained.metrics["report"].items()
        if name.casefold() != metric.name.casefold()
    )
    sys.stdout.write(
        f"{metric.name} {metric.value:.1f} ({metric.low:.1f} to {metric.high:.1f}) on "
        f"{metric.n:,} validation texts that took no part in stopping; {others}\n"
    )
    typed = shlex.join(["edgepress", str(trained.folder), "--data", data])
    tell("")
    tell(f"checkpoint  {trained.folder}")
    tell(f"compress it  {typed}")


def _show_pretrained(done: "Pretrained", out: Path, *, as_json: bool) -> None:
    if not done.main_process:
        return
    before, after = done.perplexity
    if as_json:
        write_json({"folder": str(out), "perplexity": {"before": before, "after": after}})
        return
    for note in done.notes:
        tell(note, kind="note")
    sys.stdout.write(
        f"perplexity of masked tokens {after:.1f}, {before:.1f} before; {done.texts:,} texts\n"
    )
