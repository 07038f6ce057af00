"""The command `compress` (also `edgepress`, also `python -m compress`).

Data goes to stdout, everything else to stderr. Heavy libraries are imported inside the commands, so
that `--help` and mistakes are answered at once.
"""

import errno
import io
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from compress.cli.launch import missing_processes
from compress.errors import BudgetError, DataError, EdgepressError, UsageError

__all__ = ["app", "main"]

# Failures of the machine, not of the program: worth a sentence, not a traceback.
_SYSTEM_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE}

app = typer.Typer(
    name="compress",
    help="Compress a fine-tuned Transformer encoder inside an accuracy budget, and prove it.\n\n"
    "`compress MODEL --data DATA` is short for `compress run MODEL --data DATA`.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RESUMABLE = ("run", "demo", "train")

# The demo has 20,000 utterances: enough text without much augmentation, and it should be over soon.
_DEMO_RECIPE = [
    "speedups=[1.5, 2.5]",
    "beyond=false",
    "distill.augment=1",
    "distill.epochs=0.5",
    "quantize.alternatives=false",
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
TextColumn = Annotated[str | None, typer.Option(help="Column of the text, if not found by name.")]
PairColumn = Annotated[str | None, typer.Option(help="Column of the second sentence of pairs.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column of the label.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; by default all cores.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from compress.system.version import tool_version

        sys.stdout.write(f"edgepress {tool_version()}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before any command."""


@app.command()
def run(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Checkpoint folder, or a model id of the hub.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys, such as distill.epochs=2."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="File or folder (csv, tsv, json, jsonl, parquet) or hub id.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for artifact, report and log.")] = Path("out"),
    max_drop: Annotated[
        float | None, typer.Option(min=0, help="Accuracy budget in points (default 1.0).")
    ] = None,
    target_latency: Annotated[
        float | None,
        typer.Option(help="Milliseconds: the least drop within them, instead of --max-drop."),
    ] = None,
    effort: Annotated[
        str | None, typer.Option(help="fast (no training), balanced (default) or best.")
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Minutes the run may take: fewer members, or more at the budget's edge."),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="More text, which the model labels: txt, csv, jsonl ...")
    ] = None,
    stages: Annotated[
        str | None, typer.Option(help="Comma-separated, of distill, prune, quantize.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file with recipe keys.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.")] = None,
    threads: Threads = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compress MODEL on DATA: the fastest artifact inside the budget, and the table for it."""
    if data is None:
        raise UsageError(
            "--data is missing: the drop can only be measured on your own labelled text",
            hint=f"try: compress {model} --data my-data.csv",
        )
    from compress.config.recipe import load_recipe

    resolved = load_recipe(
        recipe,
        overrides or [],
        {
            "max_drop": max_drop,
            "target_latency_ms": target_latency,
            "effort": effort,
            "time_budget_minutes": time_budget,
            "seed": seed,
            "threads": threads,
            "stages": None if stages is None else _stage_names(stages),
        },
    )
    # After the recipe: a mistake in it is answered before the exporters are imported.
    from compress.data.columns import NamedColumns
    from compress.pipeline.run import run as run_pipeline

    result = run_pipeline(
        model,
        data,
        out,
        resolved,
        progress=_progress(quiet),
        columns=NamedColumns(text_column, pair_column, label_column),
        unlabelled=unlabelled,
        command=context.obj,
    )
    if result is not None:  # this is the first of several processes, or the only one
        _show(result.report, as_json=as_json)
        _finish(result, out)


@app.command()
def train(
    context: typer.Context,
    base: Annotated[str, typer.Argument(help="Encoder checkpoint folder, or an id of the hub.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as schedule=cosine."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Labelled text, as for `compress run`.")] = None,
    task: Annotated[
        str,
        typer.Option(
            help="text-classification, token-classification, question-answering or multiple-choice."
        ),
    ] = "text-classification",
    objective: Annotated[
        str, typer.Option(help="task; or mlm, mlm+nsp: pre-training on plain text.")
    ] = "task",
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint.")] = Path("teacher"),
    epochs: Annotated[float | None, typer.Option(help="Passes over the training text.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Examples a step.")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak of the schedule; by default the narrower the encoder, the higher."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.")] = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune BASE on DATA: the teacher that `compress run` then makes fast."""
    if data is None:
        raise UsageError(
            "--data is missing: there is nothing to learn from",
            hint=f"try: compress train {base} --data my-data.csv",
        )
    from compress.training.settings import load_training_settings

    settings = load_training_settings(
        overrides or [],
        {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
        },
    )
    if objective != "task":
        _pretrain(base, data, out, settings, objective, text_column, context.obj, as_json, quiet)
        return
    from compress.data.columns import NamedColumns
    from compress.training.run import train as run_training

    trained = run_training(
        base,
        data,
        out,
        settings,
        task=task,
        columns=NamedColumns(text_column, pair_column, label_column),
        progress=_progress(quiet),
        command=context.obj,
    )
    if not trained.main_process:
        return
    if as_json:
        _write_json({"folder": str(trained.folder), "metrics": trained.metrics})
        return
    for note in trained.notes:
        sys.stderr.write(f"note: {note}\n")
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
    sys.stderr.write(
        f"\ncheckpoint  {trained.folder}\ncompress it  compress {trained.folder} --data {data}\n"
    )


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("demo-out"),
    effort: Annotated[str | None, typer.Option(help="fast, balanced or best.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole job with no download: generated voice-assistant data, a small BERT."""
    from compress.config.recipe import load_recipe
    from compress.demo import prepare
    from compress.pipeline.run import run as run_pipeline

    progress = _progress(quiet)
    paths = prepare(seed=seed, progress=progress)
    _say(
        f"model  {paths.model}\ndata   {paths.data}\n"
        f"teacher {paths.teacher_accuracy:.1f}%, bag of words {paths.bag_of_words_accuracy:.1f}%",
        quiet,
    )
    result = run_pipeline(
        str(paths.model),
        str(paths.data),
        out,
        load_recipe(overrides=_DEMO_RECIPE, options={"effort": effort, "seed": seed}),
        progress=progress,
        command=context.obj,
    )
    if result is not None:  # this is the first of several processes, or the only one
        _show(result.report, as_json=as_json)
        _finish(result, out)


@app.command()
def bench(
    context: typer.Context,
    models: Annotated[
        list[Path], typer.Argument(help="Checkpoints, artifacts, ONNX or OpenVINO folders.")
    ],
    data: Annotated[str | None, typer.Option(help="Labelled text, as for `compress run`.")] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Compare two reports: OLD.json NEW.json; 1 if it is worse."),
    ] = False,
    tune: Annotated[
        bool,
        typer.Option("--tune", help="Find an artifact's fastest settings here, and keep them."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the report, HTML and JSON.")] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Interleaved rounds.")] = 20,
    seed: Annotated[
        int | None, typer.Option(min=0, help="It cuts the data; by default as the artifact's run.")
    ] = None,
    threads: Threads = None,
    threads_curve: Annotated[
        bool,
        typer.Option("--threads-curve", help="With fewer threads as well: 1, 2, 4 ..."),
    ] = False,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="cpu, cuda, gpu, npu ...; may be given again."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option("--precision", help="Of checkpoints: fp32, bf16, fp16, int8; and again."),
    ] = None,
    text_column: TextColumn = None,
    pair_column: PairColumn = None,
    label_column: LabelColumn = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure any mix of models on the same data; the first one is the reference."""
    if compare:
        if tune or threads_curve or data is not None or out is not None or device or precision:
            raise UsageError("--compare takes two reports, and no option but --json")
        _compare(models, as_json=as_json)
        return
    for_rows = (threads_curve, threads is not None, out is not None, device, precision)
    if tune and (len(models) != 1 or any(for_rows)):
        raise UsageError(
            "--tune takes one artifact and --data, and finds the threads itself",
            hint=f"try: compress bench {models[0]} --tune --data my-data.csv",
        )
    if data is None:
        raise UsageError(
            "--data is missing: models are measured on labelled text",
            hint=f"try: compress bench {shlex.join(map(str, models))} --data my-data.csv",
        )
    from compress.data.columns import NamedColumns
    from compress.evaluation.bench import bench_models, tune_artifact

    if tune:
        names = NamedColumns(text_column, pair_column, label_column)
        tuning = tune_artifact(models[0], data, columns=names, seed=seed, progress=_progress(quiet))
        if as_json:
            _write_json(tuning.to_json())
        else:
            from benchmarks.render.tuning import print_tuning

            print_tuning(tuning, models[0])
        return
    report = bench_models(
        models,
        data,
        columns=NamedColumns(text_column, pair_column, label_column),
        out=out,
        rounds=rounds,
        seed=seed,
        threads=threads,
        threads_curve=threads_curve,
        devices=device or ["cpu"],
        precisions=precision or ["fp32"],
        progress=_progress(quiet),
        command=context.obj,
    )
    _show(report, as_json=as_json)


@app.command()
def predict(
    artifact: Annotated[Path, typer.Argument(help="Artifact folder.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without any, stdin.")] = None,
    runtime: Annotated[str | None, typer.Option(help="onnxruntime or openvino.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, gpu or npu.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Label texts with an artifact: label, score and text between tabs, or a line an entity."""
    import json

    from runtimes import load
    from runtimes.artifact import read_manifest

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as what is read, whatever the locale says
    given = texts or _lines()
    if not given:
        raise UsageError("there is no text", hint=f'try: compress predict {artifact} "some text"')
    with load(artifact, runtime=runtime, device=device) as classify:
        task, pairs = classify.task, read_manifest(artifact).pairs
        # To a model of single texts a tab is a space.
        inputs = [task.from_line(line if pairs else line.replace("\t", " ")) for line in given]
        if pairs and (alone := next((i for i in inputs if isinstance(i, str)), None)) is not None:
            raise UsageError(
                f"{alone!r:.60} is one text, and the model was made for pairs of them",
                hint="put a tab between the two texts of a line",
            )
        for text, result in zip(given, classify(inputs, **task.SPEC.shown), strict=True):
            if as_json:
                lines = [json.dumps(task.record(text, result), ensure_ascii=False)]
            else:
                lines = task.lines(text, result)
            sys.stdout.writelines(f"{line}\n" for line in lines)


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="Artifact, checkpoint, output folder or report.")],
    as_json: Json = False,
) -> None:
    """Show what a folder is: task, labels, sizes, what was done to it, whether it is intact."""
    from compress.cli.inspect import inspect_path

    sys.stdout.write(inspect_path(path, as_json=as_json))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show this machine: runtimes, devices and why one is absent, versions, conflicts."""
    from compress.cli.doctor import diagnose, render_diagnosis

    diagnosis = diagnose()
    if as_json:
        _write_json(diagnosis)
    else:
        sys.stdout.write(render_diagnosis(diagnosis))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code.

    Known errors are printed with what to do next; a traceback appears only with EDGEPRESS_DEBUG=1.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    typed = shlex.join(["compress", *arguments])
    command = ""
    try:
        arguments = _with_command(arguments)
        command = arguments[0] if arguments else ""
        if command in _RESUMABLE and (warning := missing_processes(arguments)):
            sys.stderr.write(f"warning: {warning}\n")
        # Typer turns Ctrl-C into the result 130; commands themselves return nothing.
        if app(args=arguments, prog_name="compress", standalone_mode=False, obj=typed) == 130:
            raise KeyboardInterrupt
    except EdgepressError as error:
        if os.environ.get("EDGEPRESS_DEBUG") == "1":
            raise
        return _failed(error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        resume = "; the same command goes on from the last finished stage"
        sys.stderr.write(f"\ninterrupted{resume if command in _RESUMABLE else ''}\n")
        return 130  # what shells report for a program ended by Ctrl-C
    except typer.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if os.environ.get("EDGEPRESS_DEBUG") == "1" or error.errno not in _SYSTEM_ERRORS:
            raise
        return _failed(f"{error.filename or 'writing'}: {error.strerror}", None, 1)
    except Exception as error:
        # click's own errors carry a message and an exit code; anything else is a bug: let it show
        if not hasattr(error, "format_message"):
            raise
        known = f" {command}" if command in _commands() else ""
        hint = f"try: compress{known} --help"
        return _failed(error.format_message(), hint, int(getattr(error, "exit_code", 2)))
    return 0


def _failed(message: str, hint: str | None, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"       {hint}\n")
    return code


def _commands() -> list[str]:
    return [command.callback.__name__ for command in app.registered_commands if command.callback]


def _with_command(arguments: list[str]) -> list[str]:
    """`MODEL …` becomes `run MODEL …`; a misspelt command gets a suggestion."""
    if not arguments:
        return ["--help"]
    if arguments[0] in ("-h", "--help", "--version"):
        return arguments
    first = arguments[0]
    if first in _commands():
        return arguments
    if not first.startswith("-") and not Path(first).exists() and "/" not in first:
        from difflib import get_close_matches

        near = get_close_matches(first, _commands(), n=1, cutoff=0.7)
        if near:
            raise UsageError(
                f"there is no command {first!r}, and no model of that name",
                hint=f"did you mean: compress {near[0]}",
            )
    return ["run", *arguments]


def _lines() -> list[str]:
    """The lines of stdin that are not blank.

    Raises:
        DataError: They are not UTF-8.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")  # whatever the locale says
    try:
        return [line.rstrip("\n") for line in sys.stdin if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8: {error.reason}") from error


def _stage_names(text: str) -> list[str]:
    """Comma-separated stages, each of which exists.

    Raises:
        UsageError: One does not; with the nearest.
    """
    from compress.stages import get_stage, stage_names

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in stage_names():
            get_stage(name)  # raises with the nearest name
    return names


def _progress(quiet: bool) -> Any:
    from compress.system.progress import LineProgress, SilentProgress, TerminalProgress

    if quiet:
        return SilentProgress()
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        sys.stderr.write(f"{text}\n")


def _pretrain(
    base: str,
    data: str,
    out: Path,
    settings: Any,
    objective: str,
    text_column: str | None,
    command: str,
    as_json: bool,
    quiet: bool,
) -> None:
    from typing import get_args

    from compress.training.pretraining import Objective, pretrain

    if objective not in get_args(Objective):
        known = ", ".join(("task", *get_args(Objective)))
        raise UsageError(f"there is no objective {objective!r}", hint=f"there are: {known}")
    done = pretrain(
        base,
        data,
        out,
        settings,
        objective=objective,  # type: ignore[arg-type]
        text_column=text_column,
        progress=_progress(quiet),
        command=command,
    )
    if not done.main_process:
        return
    before, after = done.perplexity
    for note in () if as_json else done.notes:
        sys.stderr.write(f"note: {note}\n")
    if as_json:
        _write_json({"folder": str(out), "perplexity": {"before": before, "after": after}})
    else:
        sys.stdout.write(
            f"perplexity of masked tokens {after:.1f}, {before:.1f} before; {done.texts:,} texts\n"
        )


def _show(report: Any, *, as_json: bool) -> None:
    if as_json:
        _write_json(report.to_json())
        return
    from rich.console import Console

    from benchmarks.render.terminal import print_report

    console = Console()
    print_report(report, console if console.is_terminal else Console(width=120))


def _compare(paths: list[Path], *, as_json: bool) -> None:
    """Print what changed from the first report to the second.

    Raises:
        EdgepressError: Something became worse; or they are no two reports that can be compared.
    """
    if len(paths) != 2:
        raise UsageError(
            f"--compare takes two reports, not {len(paths)}",
            hint="try: compress bench --compare old/report.json new/report.json",
        )
    from dataclasses import asdict

    from benchmarks.compare import compare_reports
    from benchmarks.report import load_report

    before, after = (load_report(_report_file(path)) for path in paths)
    changes = compare_reports(before, after)
    if as_json:
        _write_json([asdict(change) for change in changes])
    else:
        from rich.console import Console

        from benchmarks.render.comparison import print_changes

        console = Console()
        print_changes(changes, console if console.is_terminal else Console(width=120))
    worse = [change for change in changes if change.regression]
    if worse:
        named = ", ".join(f"{change.quantity} of {change.row.model}" for change in worse)
        raise EdgepressError(f"worse than before: {named}")


def _report_file(path: Path) -> Path:
    """The report in a folder, or the file itself."""
    return path / "report.json" if path.is_dir() else path


def _write_json(value: Any) -> None:
    import json

    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _finish(result: Any, out: Path) -> None:
    """Say what to know and where things are; exit code 4 where nothing met the budget."""
    from export.examples import example_command

    for note in result.report.notes:
        sys.stderr.write(f"note: {note}\n")
    if result.artifact is None:
        budget, report = result.report.budget, out / "report.html"
        if budget["target_latency_ms"] is not None:
            raise BudgetError(
                f"no candidate answers within {budget['target_latency_ms']:g} ms; the report is in "
                f"{report}",
                hint="allow more with --target-latency: the report shows what was reached",
            )
        raise BudgetError(
            f"no candidate stays within {budget['max_drop']:g} points; the report is in {report}",
            hint="allow more with --max-drop, or let it train longer with --effort best",
        )
    sys.stderr.write(
        f"\nartifact  {result.artifact}\nreport    {out / 'report.html'}\n"
        f"try it    {example_command(result.artifact)}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
