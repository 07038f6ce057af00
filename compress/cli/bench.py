"""`edgepress bench`: measure models, compare two reports, tune an artifact."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.differences import MOST_TEXTS
from compress.cli.output import (
    Data,
    Json,
    LabelColumn,
    PairColumn,
    Quiet,
    TextColumn,
    Threads,
    require_data,
    show_report,
    tell,
    wide_console,
    write_json,
)
from compress.errors import EdgepressError, UsageError

__all__ = ["bench"]


def bench(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Checkpoints, artifacts, ONNX or OpenVINO folders, or ids of the hub.",
        ),
    ],
    data: Data = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            metavar="",
            help="Compare two reports: OLD.json NEW.json; 1 if it is worse.",
        ),
    ] = False,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", metavar="", help="Find an artifact's fastest settings here, and keep them."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for the report, HTML and JSON.")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=2, help="Interleaved rounds.")] = 20,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="It cuts the data; by default as the artifact's run."
        ),
    ] = None,
    threads: Threads = None,
    threads_curve: Annotated[
        bool,
        typer.Option("--threads-curve", metavar="", help="With fewer threads as well: 1, 2, 4 ..."),
    ] = False,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", metavar="[cpu|cuda|gpu|npu]", help="May be given again."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            metavar="[fp32|bf16|fp16|int8]",
            help="Of checkpoints; may be given again.",
        ),
    ] = None,
    texts: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Texts shown on which two models differ; 0: none."),
    ] = MOST_TEXTS,
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
        _compare([Path(model) for model in models], as_json=as_json)
        return
    for_rows = (threads_curve, threads is not None, out is not None, device, precision)
    if tune and (len(models) != 1 or any(for_rows)):
        raise UsageError(
            "--tune takes one artifact and --data, and finds the threads itself",
            hint=f"try: edgepress bench {shlex.quote(models[0])} --tune --data my-data.csv",
        )
    typed = ["bench", *models, *(["--tune"] if tune else [])]
    data = require_data(data, "models are measured on labelled text", typed)
    common: dict[str, Any] = {
        "seed": seed,
        "text_column": text_column,
        "pair_column": pair_column,
        "label_column": label_column,
        "progress": not quiet,
    }
    from compress import api

    if tune:
        from runtimes.hub import artifact_folder

        folder = artifact_folder(models[0])
        _show_tuning(api.tune(folder, data, **common), folder, as_json=as_json)
        return
    measured = api.benchmark(
        models,
        data,
        out=out,
        rounds=rounds,
        threads=threads,
        threads_curve=threads_curve,
        devices=device or ["cpu"],
        precisions=precision or ["fp32"],
        texts=texts,
        command=context.obj,
        **common,
    )
    report = measured.report
    show_report(report, as_json=as_json)
    if out is not None:
        tell(f"report    {out / 'report.html'}")
    others = [row for row in report.rows if row.id != report.reference]
    if others and all(row.error is not None for row in others):
        raise EdgepressError("nothing but the reference could be measured")


def _show_tuning(tuning: Any, artifact: Path, *, as_json: bool) -> None:
    if as_json:
        write_json(tuning.to_json())
        return
    from benchmarks.render.tuning import print_tuning

    print_tuning(tuning, artifact)


def _compare(paths: list[Path], *, as_json: bool) -> None:
    """Print what changed from the first report to the second.

    Raises:
        EdgepressError: Something became worse; or they are no two reports that can be compared.
    """
    if len(paths) != 2:
        raise UsageError(
            f"--compare takes two reports, not {len(paths)}",
            hint="try: edgepress bench --compare old/report.json new/report.json",
        )
    from dataclasses import asdict

    from benchmarks.compare import compare_reports
    from benchmarks.report import damage_named, load_report

    before, after = (load_report(_report_file(path)) for path in paths)
    with damage_named(*paths):
        changes = compare_reports(before, after)
    if as_json:
        write_json([asdict(change) for change in changes])
    else:
        from benchmarks.render.comparison import print_changes

        print_changes(changes, wide_console())
    worse = [change for change in changes if change.regression]
    if worse:
        named = ", ".join(f"{change.quantity} of {change.row.model}" for change in worse)
        raise EdgepressError(f"worse than before: {named}")


def _report_file(path: Path) -> Path:
    """The report in a folder, or the file itself."""
    return path / "report.json" if path.is_dir() else path
