"""The report as Markdown: what was found, on what, how, and how to do it again."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.render.architecture import describe_kept, kept_of
from benchmarks.render.figures import (
    MISSING,
    accuracy_points,
    describe_cpu,
    drop_points,
    full_name,
    megabytes,
    milliseconds,
    ratio,
    runtime_name,
    summary,
    whole,
)
from benchmarks.report import Percentiles, Report, Row

__all__ = ["PICTURES", "render_markdown", "render_table"]

PICTURES = "pictures"  # folder beside the report


def render_markdown(report: Report, *, title: str = "Benchmark") -> str:
    """The whole `report.md`.

    Args:
        report: What was measured.
        title: Its first heading.
    """
    sections = [
        f"# {title}",
        summary(report),
        render_table(report),
        _failures(report),
        _section("Remarks", _bullets([*report.notes, *_remarks(report)])),
        _section("What was kept", _kept(report)),
        _section("Decisions", _bullets([_escape(reason) for reason in report.decisions])),
        _section("Data", _bullets(_data(report))),
        _section("How it was measured", _bullets(_method(report))),
        _section("Environment", _bullets(_environment(report.environment))),
        _section("How to reproduce", _reproduce(report)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def render_table(report: Report) -> str:
    """The table alone, for a model card or a README."""
    header = (
        ("", "---"),
        ("model", "---"),
        ("runtime", "---"),
        ("precision", "---"),
        ("p50 ms", "--:"),
        ("p99 ms", "--:"),
        ("model only p50 ms", "--:"),
        ("speed-up (95%)", "--:"),
        ("accuracy % (95%)", "--:"),
        ("drop, points (95%)", "--:"),
        ("size MB", "--:"),
        ("memory MB", "--:"),
        ("load ms", "--:"),
        ("batched /s", "--:"),
    )
    lines = [
        _line([name for name, _ in header]),
        _line([rule for _, rule in header]),
        *(_line(_cells(report, row)) for row in report.rows),
    ]
    return "\n".join(lines)


def _cells(report: Report, row: Row) -> list[str]:
    mark = ""
    if row.id == report.recommended:
        mark = "**recommended**"
    elif row.id == report.reference:
        mark = "reference"
    if row.error is not None:
        mark = f"{mark} failed".strip()
    accuracy = accuracy_points(row)
    if row.metric is not None:
        accuracy += f" ({row.metric.low:.1f}\u2013{row.metric.high:.1f})"
    return [
        mark,
        _escape(row.model),
        runtime_name(row),
        row.precision or MISSING,
        _at(row.end_to_end_ms, "p50"),
        _at(row.end_to_end_ms, "p99"),
        _at(row.model_ms, "p50"),
        _with_interval(ratio(row.speedup)),
        accuracy,
        _with_interval(drop_points(row.drop)),
        megabytes(row.size_bytes),
        megabytes(row.rss_bytes),
        whole(row.load_ms),
        whole(row.throughput_per_s),
    ]


def _failures(report: Report) -> str:
    failed = [f"{full_name(row)}: {row.error}" for row in report.rows if row.error is not None]
    return _section("What could not be measured", _bullets([_escape(text) for text in failed]))


def _remarks(report: Report) -> list[str]:
    """What a reader should know of single rows."""
    remarks = [f"{full_name(row)}: {row.note}" for row in report.rows if row.note]
    for row in report.rows:
        if row.batch_label_changes:
            remarks.append(
                f"{full_name(row)}: {100 * row.batch_label_changes:.1f}% of the inputs got another "
                "label in a batch than alone (its quantization ranges depend on batch mates)."
            )
    load, cpu = report.environment.get("load_average"), report.environment.get("cpu") or {}
    cores = cpu.get("cores_usable")
    if load is not None and cores and load > 0.5 * cores:
        remarks.append(
            f"The machine was busy when the benchmark began (load {load} on {cores} cores): "
            "timings are slower than on a quiet machine; the paired ratios suffer less."
        )
    return [_escape(remark) for remark in remarks]


def _kept(report: Report) -> str:
    """A picture and a sentence for each pruned member."""
    return "\n\n".join(
        f"{describe_kept(kept)}\n\n![{kept.name}]({PICTURES}/{kept.name}.svg)"
        for kept in kept_of(report.family)
    )


def _data(report: Report) -> list[str]:
    facts = dict(report.data)
    notes = facts.pop("notes", ())
    lines = []
    if "n" in facts:
        lines.append(f"Accuracy and latency: {facts.pop('n'):,} examples.")
    lines += [f"{_label(key)}: {_value(value)}" for key, value in facts.items()]
    return [*lines, *(str(note) for note in notes)]


def _method(report: Report) -> list[str]:
    m = report.method
    lines = [
        "Every row ran in a process of its own; one process was busy at any time.",
        "`p50 ms` and `p99 ms`: one input at a time, from text to label. `model only`: the same on "
        "inputs that were tokenized beforehand.",
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
        "Drop: points lost against the reference on the same examples, with a paired 95% bootstrap "
        "interval (`same`: right on the very same examples); `report.json` has the exact McNemar "
        "p-value. Accuracy has its Wilson interval. Rows of INT8 answered one input at a time, as "
        "when timed; rows of full precision in batches, which does not change their answers.",
        "Size: the model files that the runtime reads. Memory: the process's peak after single "
        "inputs. Load: a fresh process's time to an open model, imports and checksums included.",
    ]
    if "throughput_batch_size" in m:
        lines.append(
            f"`batched /s`: inputs a second, text to logits, in batches of "
            f"{m['throughput_batch_size']}."
        )
    return lines


def _environment(environment: Mapping[str, Any]) -> list[str]:
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


def _reproduce(report: Report) -> str:
    lines = []
    if report.command:
        lines.append(f"```sh\n{report.command}\n```")
    details = [f"Seed {report.method['seed']}." if "seed" in report.method else ""]
    details.append(f"Measured {report.created}." if report.created else "")
    lines.append(" ".join(detail for detail in details if detail))
    return "\n\n".join(line for line in lines if line)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _with_interval(parts: tuple[str, str]) -> str:
    return f"{parts[0]} ({parts[1]})" if parts[1] else parts[0]


def _at(latency: Percentiles | None, percentile: str) -> str:
    return milliseconds(None if latency is None else getattr(latency, percentile))


def _escape(text: str) -> str:
    """Keep a name or message from breaking its cell or line."""
    return " ".join(text.replace("|", "\\|").split())


def _label(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, str) or not isinstance(value, Sequence):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return ", ".join(_value(item) for item in value)
