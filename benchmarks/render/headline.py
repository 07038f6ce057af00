"""Says in a line what a model does, and what was gained and lost."""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from benchmarks.agreement import measures_agreement
from benchmarks.entities import kind_of, marks_entities
from benchmarks.render.figures import (
    agreement,
    doubts,
    lost_or_gained,
    metric_words,
    milliseconds,
    result,
)
from benchmarks.report import Report, Row

__all__ = ["data_name", "headline", "machine_name", "size_in_words", "summary", "title_of"]

_SHOWN_LABELS = 4
# Names of files and folders that say nothing of what is in them.
_GENERIC = {"all", "data", "dataset", "datasets", "test", "train", "valid", "validation"}
_SAME_SPEED = 0.05  # a share: nearer to 1 than that is neither faster nor slower
_SHARES = (
    *("half", "a third of", "a quarter of", "a fifth of", "a sixth of"),
    *("a seventh of", "an eighth of", "a ninth of", "a tenth of"),
)
# What is left of a processor's name for people.
_FAMILIES = re.compile(
    r"Xeon|EPYC|Threadripper|Ryzen \d|Core i\d|Core Ultra \d|Celeron|Pentium|Atom|Apple M\d+"
    r"|Cortex-\w+|Neoverse-\w+|Graviton\d*|Ampere|Snapdragon|Raspberry Pi \w+",
    re.IGNORECASE,
)


def title_of(report: Report) -> str:
    """Return what the model does: its task, its labels, and the data's name."""
    task = str(report.data.get("task") or "").replace("-", " ").capitalize() or "Benchmark"
    if report.data.get("problem_type") in ("regression", "multi_label_classification"):
        # Text classification, as far as Transformers is concerned.
        kinds = {"regression": "Scores of texts", "multi_label_classification": "Text tagging"}
        task = kinds[report.data["problem_type"]] if task == "Text classification" else task
    if source := report.data.get("source"):
        task += f" on {data_name(str(source))}"
    return f"{task}: {labels}" if (labels := _labels(report.data.get("labels"))) else task


def data_name(source: str) -> str:
    """Return a data set's name: the last part of its path that says something."""
    path = PurePath(source)
    names = [path.stem if path.suffix in (".csv", ".tsv", ".json", ".jsonl", ".txt") else path.name]
    if path.suffix == ".parquet":
        names = [path.stem]
    for parent in path.parents:
        if names[0].lower() not in _GENERIC or parent.name in ("", ".", ".."):
            break
        names.insert(0, parent.name)
    return "/".join(names)


def headline(report: Report) -> str:
    """Say in words how much faster, less accurate and smaller the recommended model is.

    A ratio in doubt is not named (docs/adr/0011), nor are the medians that it would follow from.

    Returns:
        One sentence; "" where nothing is recommended or nothing was measured.
    """
    if report.recommended in (None, report.reference):
        return ""
    row, reference = report.row(report.recommended), report.row(report.reference)
    if row.error is not None:
        return ""
    parts = []
    if row.sure_speedup is not None:
        parts.append(_faster(row.sure_speedup.value))
    if measures_agreement(row.metric):
        parts.append(f"{agreement(row)[0]} agreement with the original")
    elif (drop := report.told_drop) is not None and row.metric is not None:
        parts.append(_accurate(drop.value, row.metric.name))
    if row.size_bytes is not None and reference.size_bytes:
        parts.append(size_in_words(row.size_bytes / reference.size_bytes))
    told = ", ".join(parts)
    if row.sure_speedup is not None and row.end_to_end_ms and reference.end_to_end_ms:
        told += (
            f": answers in {milliseconds(row.end_to_end_ms.p50)} ms on this "
            f"{machine_name(report.environment, row)} instead of "
            f"{milliseconds(reference.end_to_end_ms.p50)} ms"
        )
    return f"{told[0].upper()}{told[1:]}." if told else ""


def summary(report: Report) -> str:
    """Say what is to be doubted, the headline, and the same with intervals and names."""
    parts = (doubts(report), headline(report), result(report))
    return " ".join(part for part in parts if part)


def size_in_words(share: float) -> str:
    """Word a size as a share of another: `a ninth of the size`, `43% of the size`."""
    times = 1 / share
    nearest = round(times)
    if abs(share - 1) <= 0.05:
        return "the same size"
    if share > 1:
        return f"{share:.1f} times the size"
    if nearest > 10:
        return f"1/{nearest} of the size"
    if nearest < 2 or abs(times - nearest) > 0.07 * nearest:
        return f"{share:.0%} of the size"
    return f"{_SHARES[nearest - 2]} the size"


def machine_name(environment: Any, row: Row) -> str:
    """Name what a row ran on, for people: `2-core Xeon`, `NVIDIA H200`."""
    if row.device != "cpu":
        gpus: Sequence[str] = environment.get("gpus") or ()
        return gpus[0].partition(",")[0] if gpus and row.device == "cuda" else row.device.upper()
    cpu = environment.get("cpu") or {}
    family = _FAMILIES.search(str(cpu.get("model") or ""))
    cores = cpu.get("cores_usable") or cpu.get("cores_logical")
    count = f"{cores}-core " if cores else ""
    return f"{count}{family[0] if family else 'machine'}"


def _labels(names: Any) -> str:
    """List labels, or the kinds of entities that tags mark; long lists by their first ones."""
    if not names:
        return ""
    names = [str(name) for name in names]
    if marks_entities(names):
        names = list(dict.fromkeys(kind for name in names if (kind := kind_of(name))))
    if len(names) <= _SHOWN_LABELS:
        return ", ".join(names)
    return f"{len(names)} labels, such as {', '.join(names[:2])}"


def _faster(times: float) -> str:
    if abs(times - 1) <= _SAME_SPEED:
        return "as fast"
    return f"{times:.1f} times faster" if times > 1 else f"{1 / times:.1f} times slower"


def _accurate(drop: float, metric: str) -> str:
    points = f"{abs(drop):.1f}"
    if points == "0.0":
        return "as accurate" if metric == "accuracy" else f"the same {metric_words(metric)}"
    unit = "point" if points == "1.0" else "points"
    if metric == "accuracy":
        return f"{points} {unit} {'less' if drop > 0 else 'more'} accurate"
    return f"{points} {unit} of {metric_words(metric)} {lost_or_gained(drop)}"
