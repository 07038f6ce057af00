"""Words numbers, names and rows, the same in every rendering."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.agreement import AGREEMENT, basis_of, measures_agreement
from benchmarks.latency import FACTOR
from benchmarks.metrics import CrossFitted, Drop
from benchmarks.report import Percentiles, Report, Row
from benchmarks.stats import Interval
from runtimes.registry import runtime_title

__all__ = [
    "MINUS",
    "MISSING",
    "accuracy_points",
    "agreement",
    "budget_line",
    "describe_cpu",
    "doubts",
    "doubts_and_advice",
    "drop_points",
    "full_name",
    "left_out",
    "lost_or_gained",
    "measured_by_agreement",
    "median",
    "megabytes",
    "metric_name",
    "metric_title",
    "metric_words",
    "milliseconds",
    "of_correlation",
    "per_core_hour",
    "rare",
    "ratio",
    "recommended_mark",
    "result",
    "runtime_name",
    "signed",
    "whole",
]

MISSING = _DASH = "\u2013"  # en dash
MINUS = "\u2212"  # as wide as a plus sign, unlike the hyphen
_TIMES = "\u00d7"
_PLUS_MINUS = "\u00b1"
_ELLIPSIS = "\u2026"
_CORRELATIONS = ("Pearson", "Spearman")  # times 100, but no shares


def milliseconds(value: float | None) -> str:
    """Format a timing by what it is good for: `0.041`, `0.41`, `1.36`, `24.1`, `310`."""
    if value is None:
        return MISSING
    decimals = 3 if value < 0.0995 else 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def median(latency: Percentiles | None) -> str:
    """Format a row's p50."""
    return milliseconds(None if latency is None else latency.p50)


def rare(latency: Percentiles | None) -> str:
    """Format a row's p99; where it is noise it is not shown (`sections.method_facts` says when)."""
    if latency is None or latency.p99_low is None or latency.p99_high is None:
        return MISSING
    return MISSING if latency.p99_high > FACTOR * latency.p99_low else milliseconds(latency.p99)


def megabytes(value: int | None) -> str:
    """Format bytes in millions: `22.7`, `0.31`."""
    if value is None:
        return MISSING
    size = value / 1e6
    return f"{size:.2f}" if size < 0.995 else f"{size:.1f}" if size < 99.95 else f"{size:.0f}"


def whole(value: float | None) -> str:
    """Format a rounded number with its thousands apart."""
    return MISSING if value is None else f"{value:,.0f}"


def metric_name(report: Report) -> str:
    """Return the name of the rows' metric, such as `accuracy`."""
    return next((row.metric.name for row in report.rows if row.metric is not None), "accuracy")


def metric_title(report: Report) -> str:
    """Return the metric's name with its unit, such as `accuracy %`."""
    name = metric_name(report)
    return f"{name} {_TIMES}100" if of_correlation(name) else f"{name} %"


def metric_words(name: str) -> str:
    """Return what a metric is called in a sentence, such as `Spearman's correlation`."""
    return f"{name}'s correlation" if of_correlation(name) else name


def of_correlation(metric: str) -> bool:
    """Return whether a metric, or what agreement is measured by, is a correlation."""
    return basis_of(metric) in _CORRELATIONS


def measured_by_agreement(report: Report) -> bool:
    """Return whether the original's own answers are what answers were compared with."""
    return any(measures_agreement(row.metric) for row in report.rows)


def agreement(row: Row) -> tuple[str, str]:
    """Format agreement with the original: `("99.4%", "95% interval 98.5 to 99.8")`.

    Other metrics than accuracy are named.
    """
    metric = row.metric
    if metric is None:
        return MISSING, ""
    name = basis_of(metric.name)
    value = f"{metric.value:.1f}"
    value += "%" if name == AGREEMENT else f" points of {metric_words(name)}"
    return value, f"95% interval {metric.low:.1f} to {metric.high:.1f}"


def accuracy_points(row: Row) -> str:
    """Format a row's metric: `88.5`."""
    return MISSING if row.metric is None else f"{row.metric.value:.1f}"


def ratio(interval: Interval | None) -> tuple[str, str]:
    """Format a speed-up and its interval: `("6.1x", "5.9-6.3")`, in print signs."""
    if interval is None:
        return MISSING, ""
    if interval.low == interval.high:
        return f"{interval.value:.1f}{_TIMES}", ""  # the reference against itself
    decimals = 2 if interval.value < 0.995 else 1
    low, high = f"{interval.low:.{decimals}f}", f"{interval.high:.{decimals}f}"
    return f"{interval.value:.{decimals}f}{_TIMES}", f"{low}{_DASH}{high}"


def drop_points(drop: CrossFitted | Drop | None) -> tuple[str, str]:
    """Format a drop and its interval: `("0.6", "-0.8...2.0")`, in print signs."""
    if drop is None:
        return MISSING, ""
    if drop.low == drop.high:
        # Right on the very same examples: an interval without width would claim too much.
        return signed(drop.value), "same"
    return signed(drop.value), f"{signed(drop.low)}{_ELLIPSIS}{signed(drop.high)}"


def lost_or_gained(drop: float) -> str:
    """Return what happened to points whose number is shown without a sign."""
    return "lost" if signed(drop)[0] != MINUS else "gained"


def runtime_name(row: Row) -> str:
    """Name a row's runtime, `ONNX Runtime`, with the device where it is not the CPU."""
    name = runtime_title(row.runtime)
    return name if row.device == "cpu" else f"{name} {row.device.upper()}"


def describe_cpu(environment: Mapping[str, Any]) -> str:
    """Describe the processor in a line: its name, usable cores and instruction sets."""
    cpu = environment.get("cpu") or {}
    cores = cpu.get("cores_usable") or cpu.get("cores_logical")
    parts = [str(cpu.get("model") or "unknown processor")]
    if cores:
        parts.append(f"{cores} core{'s' if cores != 1 else ''}")
    if cpu.get("flags"):
        parts.append(" ".join(cpu["flags"]))
    return ", ".join(parts)


def doubts(report: Report) -> str:
    """Say why ratios are not named, and what else a busy machine may have changed.

    "" where nothing is in doubt.
    """
    doubted = {row.id: row.doubt for row in report.rows if row.doubt}
    others = [row for row in report.rows if row.speedup is not None and row.id != report.reference]
    found = ""
    if report.recommended in doubted:
        found = f"The ratio could not be measured: {doubted[report.recommended]}."
    elif report.recommended is None and doubted:
        reasons = list(doubted.values())
        which = "The ratio" if len(others) == 1 else "The ratios"
        if len(doubted) < len(others):
            which = f"The ratio of {len(doubted)} of {len(others)} rows"
        found = f"{which} could not be measured: {max(reasons, key=reasons.count)}."
    if busy := report.method.get("choosing"):
        found += f" The model was chosen while {busy}: another may be as good."
    return found.strip()


def doubts_and_advice(report: Report) -> str:
    """Say the same and what to do, for those who can; "" where nothing is in doubt."""
    if not (found := doubts(report)):
        return ""
    again = f": {report.command}" if report.command else "."
    return f"{found} Run again when the machine is quiet{again}"


def left_out(report: Report) -> str:
    """Say what was left out of which rows, as others disturbed it; "" where nothing was."""
    timed = [row.id for row in report.rows if row.error is None]
    found = []
    for what, ids in (report.method.get("left_out") or {}).items():
        names = [full_name(row) for row in report.rows if row.id in ids]
        found.append(f"{what} of {'all rows' if set(timed) <= set(ids) else ', '.join(names)}")
    if not found:
        return ""
    return f"Left out, as other processes were busy to the end of waiting: {'; '.join(found)}."


def recommended_mark(report: Report) -> str:
    """Return what the recommended row is called: nothing is recommended without a ratio."""
    if report.recommended in (None, report.reference):
        return "recommended"
    row = report.row(report.recommended)
    return "recommended" if row.sure_speedup is not None else "chosen, ratio not known"


def result(report: Report) -> str:
    """Say in a sentence how fast, how accurate, how big, against what."""
    reference = report.row(report.reference)
    if report.recommended is None:
        none = "No model is recommended. " if report.budget else ""
        return f"{none}The reference is {full_name(reference)}."
    row = report.row(report.recommended)
    if row.id == reference.id:
        return f"The reference itself is recommended: {full_name(row)}."
    if row.error is not None:
        return f"{full_name(row)} was chosen but could not be measured: {row.error}."
    facts = []
    if row.sure_speedup is not None and row.end_to_end_ms and reference.end_to_end_ms:
        value, interval = ratio(row.sure_speedup)
        facts.append(
            f"is {value} as fast as {full_name(reference)} from text to answer (95% interval "
            f"{interval}; median {milliseconds(row.end_to_end_ms.p50)} ms against "
            f"{milliseconds(reference.end_to_end_ms.p50)} ms)"
        )
    if (metric := row.metric) is not None and measures_agreement(metric):
        value, interval = agreement(row)
        on = f"on {value} of {metric.n:,}" if value.endswith("%") else f"to {value} on {metric.n:,}"
        facts.append(f"agrees with the original {on} texts ({interval}; nobody labelled them)")
    elif (drop := report.told_drop) is not None and row.metric is not None:
        interval = "right on the same examples"
        if drop.low < drop.high:
            interval = f"95% interval {signed(drop.low)} to {signed(drop.high)}"
        verb = "loses" if lost_or_gained(drop.value) == "lost" else "gains"
        on = f"{row.metric.value:.1f} on {row.metric.n:,} examples"
        if report.crossed is not None:
            interval, on = f"cross-fitted, {interval}", f"{on}, which also chose it"
        facts.append(
            f"{verb} {abs(drop.value):.1f} points of {metric_words(row.metric.name)} (drop: "
            f"{interval}; {on})"
        )
    if row.size_bytes is not None and reference.size_bytes is not None:
        facts.append(
            f"takes {megabytes(row.size_bytes)} MB instead of {megabytes(reference.size_bytes)} MB"
        )
    if not facts:
        return f"{full_name(row)} is {recommended_mark(report)}."
    listed = facts[0] if len(facts) == 1 else ", ".join(facts[:-1]) + f", and {facts[-1]}"
    return f"{full_name(row)} {listed}."


def budget_line(report: Report) -> str:
    """What was asked for, and what the reported examples can tell of it; "" without a budget.

    The drop's interval narrows with the square root of the number of examples, which gives how many
    would tell it to one point.
    """
    most, latency = (report.budget.get(key) for key in ("max_drop", "target_latency_ms"))
    if latency is not None:
        asked = f"Budget: {latency:g} ms, and the least drop within it."
    elif most is not None:
        asked = f"Budget: a drop of at most {most:g} point{'' if most == 1 else 's'}"
        if (agreed := report.budget.get("min_agreement")) is not None:
            asked = f"Budget: an agreement of at least {agreed:g}% with the original"
        if (confidence := report.budget.get("confidence")) is not None:
            asked += f", with a probability of {confidence:.0%} as the selection split tells it"
        asked += f".{_kept(report, float(most))}"
    else:
        return ""
    crossed = report.crossed
    told = (
        [((crossed.high - crossed.low) / 2, crossed.n)]
        if crossed is not None
        else [
            ((row.drop.high - row.drop.low) / 2, row.metric.n)
            for row in report.rows
            if row.drop is not None and row.metric is not None and row.id != report.reference
            if report.recommended in (None, report.reference, row.id)
        ]
    )
    if not told or (half := max(told)[0]) == 0:
        return asked
    count = max(told)[1]
    what = "the agreement" if "min_agreement" in report.budget else "the drop"
    found = f" {count:,} reported examples tell {what} to {_PLUS_MINUS}{half:.1f} points"
    if half <= 1:
        return f"{asked}{found}."
    needed = float(f"{count * half**2:.2g}")
    return f"{asked}{found}; {_PLUS_MINUS}1 would take about {needed:,.0f}."


def _kept(report: Report, most: float) -> str:
    """Say whether the recommended row's drop is within the budget where it is reported."""
    if report.recommended in (None, report.reference):
        return ""
    if (drop := report.told_drop) is None:
        return ""
    reached = signed(drop.value)
    if "min_agreement" in report.budget:
        reached = f"{100 - drop.value:.1f}"
    where = "where it is reported" if report.crossed is None else "in cross-fitting"
    return f" {'Met' if drop.value <= most else 'Missed'} {where} ({reached})."


def per_core_hour(report: Report, row: Row) -> float | None:
    """Return the inputs that a core answers in an hour, one at a time; None off the CPU.

    From the mean of the timings, where these were kept: what is rare and slow costs, too.
    """
    cpu = report.environment.get("cpu") or {}
    cores = row.threads or cpu.get("cores_usable") or cpu.get("cores_logical")
    if row.device != "cpu" or row.end_to_end_ms is None or not cores:
        return None
    timings = report.samples.get(row.id, {}).get("end_to_end_ms")
    ms = row.end_to_end_ms.p50 if not timings else float(np.mean(np.concatenate(timings)))
    return float(3.6e6 / ms / cores)


def full_name(row: Row) -> str:
    """Name a row: `minilm on ONNX Runtime INT8`."""
    precision = f" {row.precision.upper()}" if row.precision else ""
    return f"{row.model} on {runtime_name(row)}{precision}"


def signed(value: float) -> str:
    """Format points with one decimal, and a minus in print."""
    text = f"{abs(value):.1f}"
    return f"{MINUS}{text}" if value < 0 and text != "0.0" else text
