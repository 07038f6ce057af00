"""Words what every rendering of a report has: remarks, data, method, environment."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.disturbance import CORES_FOR_OTHERS, Disturbance
from benchmarks.latency import FACTOR
from benchmarks.noise import CloseRows, close_rows
from benchmarks.render.figures import (
    describe_cpu,
    full_name,
    left_out,
    measured_by_agreement,
    whole,
)
from benchmarks.report import Report

__all__ = [
    "data_facts",
    "environment_facts",
    "failures",
    "method_facts",
    "remarks",
]


_DROP = (
    "Drop: points lost against the reference on the same examples, with a paired 95% bootstrap "
    "interval (`same`: right on the very same examples); `report.json` has the exact McNemar "
    "p-value. Accuracy has its Wilson interval, F1 a bootstrap over texts."
)
_AGREEMENT = (
    "Agreement: nobody labelled the texts, so the reference's own answers are what every row is "
    "compared with. The reference agrees with itself by definition: its 100 has no interval. A "
    "share of texts has its Wilson interval, other metrics a bootstrap over texts. Drop: what "
    "agreement lacks to 100; by class, the share of what the reference calls so that a row does "
    "not. How often the reference is right was not measured."
)


def failures(report: Report) -> list[str]:
    """Say what could not be measured, and why."""
    return [f"{full_name(row)}: {row.error}" for row in report.rows if row.error is not None]


def remarks(report: Report) -> list[str]:
    """Say what a reader should know of the report and of single rows."""
    found = [*report.notes, *(f"{full_name(row)}: {row.note}" for row in report.rows if row.note)]
    if line := _batches(report):
        found.append(line)
    for row in report.rows:
        if row.throughput_alone_per_s is not None and report.recommended in (None, row.id):
            found.append(
                f"{full_name(row)}: {whole(row.throughput_alone_per_s)} inputs a second one by one,"
                f" as it answers lists; {whole(row.throughput_per_s)} in batches, which "
                "`load(..., batch_invariant=False)` asks for."
            )
    found += [_close(pair) for pair in close_rows(report)]
    return [*found, *_disturbance(report)]


def _crossed(report: Report) -> list[str]:
    """Say how the drop of the recommended row was told from examples that chose it."""
    if (crossed := report.crossed) is None:
        return []
    nothing = f" (in {crossed.none} of them nothing was within the budget)" if crossed.none else ""
    return [
        f"The {crossed.n:,} examples of the table also chose the recommended row, so its accuracy "
        "and drop there are those of a winner. Its drop is therefore told by cross-fitting: half "
        f"of the examples chose and the other half measured, {crossed.choices} times{nothing}; "
        "the mean drop, with a 95% interval corrected for examples that halves share (Nadeau & "
        "Bengio 2003).",
    ]


def _batches(report: Report) -> str:
    """Say which rows answer otherwise in batches; "" where none does."""
    told = [
        f"{full_name(row)} to {100 * row.batch_label_changes:.1f}%"
        + ("" if (lost := row.batch_points_lost) is None else f", which costs {lost:.1f} points")
        for row in report.rows
        if row.batch_label_changes
    ]
    if not told:
        return ""
    return (
        "Where quantization ranges depend on batch mates, some inputs got another label in a "
        f"batch than alone: {'; '.join(told)}."
    )


def _disturbance(report: Report) -> list[str]:
    """Say what others did with the cores meanwhile, and which ratios are not named for it."""
    found = [
        f"{full_name(row)}: its ratio is not named: {row.doubt}."
        for row in report.rows
        if row.doubt
    ]
    seen = Disturbance.from_json(report.method.get("disturbance"))
    if seen.disturbed:
        found.append(
            f"The machine was not quiet: {seen.describe()} in {seen.disturbed} of {seen.measured} "
            f"timings. {seen.disturbed - seen.kept} of these were left out or made again, which "
            f"took {seen.waited_s:.0f} s with the waiting."
        )
    return [*found, *([line] if (line := left_out(report)) else [])]


def _close(pair: CloseRows) -> str:
    more = (
        f"about {pair.rounds} rounds would probably tell"
        if pair.rounds is not None
        else "a thousand rounds would hardly tell"
    )
    return (
        f"{full_name(pair.faster)} and {full_name(pair.slower)} cannot be ranked by speed: the "
        f"second takes {pair.ratio.value:.2f} times as long (95% interval {pair.ratio.low:.2f} to "
        f"{pair.ratio.high:.2f}); {more}."
    )


def data_facts(report: Report) -> list[str]:
    """Say what it was measured on."""
    facts = dict(report.data)
    notes, labels = facts.pop("notes", ()), facts.pop("labels", ())
    lines = []
    if "n" in facts:
        judged = "Agreement" if measured_by_agreement(report) else "Accuracy"
        lines.append(f"{judged} and latency: {facts.pop('n'):,} examples.")
    lines += [f"{_label(key)}: {_value(value)}" for key, value in facts.items()]
    if labels:
        lines.append(f"Labels: {_value(labels)}.")
    return [*lines, *(str(note) for note in notes)]


def method_facts(report: Report) -> list[str]:
    """Say how it was measured, and what the columns mean."""
    m = report.method
    lines = [
        "Every row ran in a process of its own; one process was busy at any time.",
        "`p50 ms` and `p99 ms`: one input at a time, from text to answer. `model only`: the same "
        "on inputs that were tokenized beforehand.",
    ]
    if "rounds_measured" in m:
        groups = m.get("groups", 1)
        lines.append(
            f"{m['rounds_measured']} rounds"
            + (f" in {groups} groups that fit into memory" if groups > 1 else "")
            + f"; in each, every row in turn timed the same {m['sentences']} inputs, drawn from "
            f"the data's own length distribution. {m['warmup']} inputs before the first round and "
            f"{m['settle']} at the start of each turn are not counted."
        )
    lines += [
        "Speed-up: the ratio of the end-to-end medians in each round, and of these the median. "
        "Its interval, and that of p50 in `report.json`, is a 95% bootstrap over rounds.",
        _watching(m),
        "`p99 ms`, with the number of timings that it is of, is left out where it is noise: where "
        "fewer than 368 timings give it no 95% interval (between two of the sorted timings, Hahn & "
        f"Meeker 1991), or the ends of that are more than {FACTOR:g} times apart; and where others "
        "disturbed a round.",
        _AGREEMENT if measured_by_agreement(report) else _DROP,
        "Rows of INT8 answered one input at a time, as when timed; rows of full precision in "
        "batches, which does not change their answers.",
        *_crossed(report),
        "Size: the model files that the runtime reads. Memory: the process's peak after single "
        "inputs. Load: a fresh process's time to an open model, imports and checksums included.",
    ]
    if m.get("throughput_batches"):
        sizes = ", ".join(str(size) for size in m["throughput_batches"])
        lines.append(
            f"`batched /s`: inputs a second, text to logits, at the best batch size of {sizes}, "
            "which stands in brackets"
            + (
                "; artifacts are tried with a session for each thread as well."
                if m.get("throughput_sessions")
                else "."
            )
        )
    for peaks in m.get("peaks") or ():
        fastest, slowest = peaks["reading"][0][1], peaks["reading"][-1][1]
        lines.append(
            "`model / floor`: the model's median over the least time that its products, or reading "
            f"its weights, take here for {m['median_tokens']} tokens (the median length). With "
            f"{peaks['threads']} threads this machine reaches {peaks['gmacs']['fp32']:.0f} billion "
            f"multiplications a second in float and {peaks['gmacs']['int8']:.0f} in INT8 (through "
            f"ONNX Runtime), and reads {slowest:.0f} (memory) to {fastest:.0f} (caches) GB/s."
        )
    if any(row.energy_mj is not None for row in report.rows):
        lines.append(
            "`energy mJ`: millijoules that the processor's packages count (RAPL) while inputs are "
            "answered one by one, by the input; what else the machine does is in it."
        )
    lines.append(
        "`inputs a core-hour`: at the mean end-to-end time of single inputs, by the cores that the "
        "row has threads for."
    )
    if m.get("cold_starts"):
        lines.append(
            "`cold start ms`: from the start of a process to its first answer, median of "
            f"{m['cold_starts']}; the files are in the system's cache by then."
        )
    return [line for line in lines if line]


def _watching(method: Mapping[str, Any]) -> str:
    """Say how the machine was watched, and when a ratio is not named."""
    if "disturbance" not in method:
        return ""
    seen = Disturbance.from_json(method["disturbance"])
    how = "Nothing here tells what other processes do with the cores"
    if seen.watched:
        how = (
            "A round was timed again where other processes, or other virtual machines, used more "
            f"than {CORES_FOR_OTHERS:g} cores beside those that no row uses"
        )
    return (
        f"{how}. A round was also timed again where a row's median was more than {FACTOR:g} times "
        f"off that of its other rounds. At most {seen.patience_s:.0f} s were for that and for "
        "waiting. A ratio is not named where rounds stayed disturbed or disagree, or where the "
        f"ends of its interval are more than {FACTOR:g} times apart. Latency by length, throughput "
        "and cold starts are watched in the same way, and left out where they stayed disturbed."
    )


def environment_facts(environment: Mapping[str, Any]) -> list[str]:
    """Describe the machine."""
    cpu = environment.get("cpu") or {}
    memory = environment.get("memory_bytes")
    lines = [
        f"Processor: {describe_cpu(environment)}"
        + (" (virtual machine)" if cpu.get("virtual") else "")
        + f"; frequency governor: {cpu.get('governor') or 'not visible'}",
        f"Memory: {memory / 2**30:.0f} GiB" if memory else "",
        f"System: {environment.get('os')}, Python {environment.get('python')}",
        *(f"GPU: {gpu}" for gpu in environment.get("gpus") or ()),
    ]
    libraries = environment.get("libraries") or {}
    lines.append(", ".join(f"{name} {version}" for name, version in libraries.items()))
    return [line for line in lines if line]


def _label(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, str) or not isinstance(value, Sequence):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return ", ".join(_value(item) for item in value)
