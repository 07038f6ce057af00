"""`edgepress run` and `edgepress demo`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.output import (
    Effort,
    Json,
    LabelColumn,
    Overwrite,
    PairColumn,
    Quiet,
    TextColumn,
    Threads,
    finish,
    require_data,
    tell,
)
from compress.errors import UsageError

__all__ = ["demo", "run"]

# The demo has 20,000 utterances: enough text without much augmentation, and it should be over soon.
_DEMO_RECIPE = [
    "speedups=[1.5, 2.5]",
    "beyond=false",
    "distill.augment=1",
    "distill.epochs=0.5",
    "quantize.alternatives=false",
]


def run(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Checkpoint folder, or a model id of the hub.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Keys that `edgepress recipe` lists, such as distill.epochs=2.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Labelled text (or --unlabelled): file or folder (csv, tsv, json, jsonl, parquet) "
            "or hub id.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For artifact, report and log.")
    ] = Path("out"),
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="POINTS", min=0, help="Accuracy budget in points (default 1.0)."),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            min=0,
            max=100,
            help="Budget without labels: agreement with MODEL on --unlabelled texts, with no DATA.",
        ),
    ] = None,
    target_latency: Annotated[
        float | None,
        typer.Option(
            metavar="MS", help="Milliseconds: the least drop within them, instead of --max-drop."
        ),
    ] = None,
    effort: Effort = None,
    time_budget: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            help="Minutes the run may take: fewer members, or more at the budget's edge.",
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="More text, or all of it, without labels: txt, csv, jsonl ..."
        ),
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="A smaller encoder to teach, if it beats MODEL's own layers; may be repeated.",
        ),
    ] = None,
    stages: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Comma-separated, of distill, prune, quantize."),
    ] = None,
    runtimes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Runtimes to have files for, of onnxruntime,openvino (default all).",
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML file with recipe keys.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Seed of everything random.")
    ] = None,
    threads: Threads = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    overwrite: Overwrite = False,
    remeasure: Annotated[
        bool,
        typer.Option(
            "--remeasure", metavar="", help="Measure anew what layers cost on this machine."
        ),
    ] = False,
    device_profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Profile of another device to make models for (edgepress profile)."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="ssh://USER@HOST",
            help="Measure another device over ssh, and make and measure models for it.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compress MODEL on DATA: the fastest artifact inside the budget, and the table for it."""
    if data is None and (named := next((o for o in overrides or () if "=" not in o), None)):
        raise UsageError(
            f"{named!r} stands where KEY=VALUE may stand",
            hint="did you mean: " + shlex.join(["edgepress", model, "--data", named]),
        )
    if unlabelled is None:
        data = require_data(
            data,
            "the drop can only be measured on your own labelled text (without labels: --unlabelled "
            "FILE --min-agreement 99)",
            [model],
        )
    from compress.config.recipe import load_recipe

    options = {
        "max_drop": max_drop,
        "min_agreement": min_agreement,
        "target_latency_ms": target_latency,
        "effort": effort,
        "time_budget_minutes": time_budget,
        "seed": seed,
        "threads": threads,
        "stages": None if stages is None else _stage_names(stages),
        "runtimes": None if runtimes is None else _split(runtimes),
    }
    resolved = load_recipe(recipe, overrides or [], options)
    named = "--max-drop" if min_agreement is None else "--min-agreement"
    budget = max_drop if min_agreement is None else min_agreement
    if target_latency is not None and budget is not None:
        tell(
            f"--target-latency {target_latency:g} asks for the least drop, so {named} {budget:g} "
            "is no limit",
            kind="note",
        )
    # After the recipe: a mistake in it is answered before the exporters are imported.
    from compress.api import compress

    result = compress(
        model,
        data,
        recipe=resolved,
        out=out,
        unlabelled=unlabelled,
        students=student or (),
        text_column=text_column,
        pair_column=pair_column,
        label_column=label_column,
        overwrite=overwrite,
        remeasure=remeasure,
        device_profile=device_profile,
        device=device,
        progress=not quiet,
        command=context.obj,
    )
    finish(result, out, as_json=as_json)


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="For everything it makes.")] = Path(
        "demo-out"
    ),
    effort: Effort = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of everything random.")] = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole job with no download: generated voice-assistant data, a small BERT."""
    from compress.api import compress
    from compress.config.recipe import load_recipe
    from compress.demo import prepare
    from compress.system.progress import SilentProgress, fitting_progress

    progress = SilentProgress() if quiet else fitting_progress()
    recipe = load_recipe(overrides=_DEMO_RECIPE, options={"effort": effort, "seed": seed})
    paths = prepare(seed=seed, progress=progress)
    if not quiet:
        tell(f"model  {paths.model}")
        tell(f"data   {paths.data}")
        words = f"bag of words {paths.bag_of_words_accuracy:.1f}%"
        tell(f"teacher {paths.teacher_accuracy:.1f}%, {words}")
    result = compress(
        paths.model,
        str(paths.data),
        recipe=recipe,
        out=out,
        overwrite=overwrite,
        progress=progress,
        command=context.obj,
    )
    finish(result, out, as_json=as_json)


def _stage_names(text: str) -> list[str]:
    """Split comma-separated names of stages.

    Raises:
        UsageError: A stage does not exist; names the nearest.
    """
    from compress.stages import get_stage, stage_names

    names = _split(text)
    for name in names:
        if name not in stage_names():
            get_stage(name)  # raises with the nearest name
    return names


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
