"""A full report of each task, from the project's own measures, without measuring anything."""

from dataclasses import replace
from typing import Any

import numpy as np
from answered import answered

from benchmarks.latency import summarize
from benchmarks.report import LengthPoint, Report, Row, Step
from benchmarks.stats import Interval, paired_ratio_interval
from benchmarks.tasks import get_measure

__all__ = ["report_of"]

# Name, runtime, precision, times as fast, size in MB, and how much worse than the small model.
_ROWS = (
    ("pytorch-fp32", "films (original)", "pytorch", "fp32", 1.0, 90.9, 0.0),
    ("stock-fp32", "stock ONNX export", "onnxruntime", "fp32", 2.1, 90.7, 0.05),
    ("stock-bf16", "stock OpenVINO export", "openvino", "bf16", 2.2, 45.6, 0.06),
    ("stock-int8", "stock ONNX export, dynamic INT8", "onnxruntime", "int8", 3.4, 23.2, 0.4),
    ("full-onnxruntime", "full: 6 layers, 72 heads", "onnxruntime", "int8", 5.3, 23.1, 0.3),
    ("x2-onnxruntime", "x2: 5 layers, 40 heads", "onnxruntime", "int8", 9.9, 17.5, 0.6),
    ("x3-onnxruntime", "x3: 4 layers, 22 heads", "onnxruntime", "int8", 17.8, 15.2, 1.0),
    ("x4-onnxruntime", "x4: 2 layers, 8 heads", "onnxruntime", "int8", 27.0, 13.3, 2.2),
    ("x3-openvino", "x3: 4 layers, 22 heads", "openvino", "int8", 7.2, 15.4, 1.0),
)
_RECOMMENDED = "x3-onnxruntime"
_ORIGINAL_MS = 3.52


def report_of(name: str, **changes: Any) -> Report:
    """Return a report as a run writes it, with everything that a page can show.

    Args:
        name: A kind of labels, one of `answered.ANSWERED`.
        changes: Other fields of the report.
    """
    examples, reference, small = answered(name)
    measure = get_measure(examples)
    draw = np.random.default_rng(1)
    samples = {
        row: _timings(np.random.default_rng(2), draw, faster) for row, *_, faster, _, _ in _ROWS
    }
    rows = []
    for row, model, runtime, precision, faster, size, worse in _ROWS:
        logits = (reference + worse * (small - reference)).astype(np.float32)
        timed = np.array(samples[row]["end_to_end_ms"])
        first = np.array(samples["pytorch-fp32"]["end_to_end_ms"])
        medians = np.median(first, axis=1), np.median(timed, axis=1)
        quick = faster > 1
        rows.append(
            Row(
                id=row,
                model=model,
                runtime=runtime,
                device="cpu",
                precision=precision,
                end_to_end_ms=summarize(timed),
                model_ms=summarize(timed * 0.8),
                metric=measure.metric(logits, examples),
                drop=measure.drop(reference, logits, examples, seed=0),
                by_class=measure.drop_by_class(reference, logits, examples),
                speedup=paired_ratio_interval(*medians) if quick else Interval(1.0, 1.0, 1.0),
                size_bytes=round(size * 1e6),
                load_ms=120 + 4000 / faster**2,
                cold_start_ms=250 + 5000 / faster**2 if row != "stock-bf16" else None,
                rss_bytes=round(8e7 + 8e8 / faster**2),
                threads=2,
                throughput_per_s=900.0 * faster,
                throughput_batch=32,
                throughput_sessions=2,
                throughput_alone_per_s=700.0 * faster if quick else None,
                energy_mj=60 / faster,
                by_length=tuple(
                    LengthPoint(length, _ORIGINAL_MS / faster * (0.4 + length / 40))
                    for length in (8, 16, 32, 64, 128)
                ),
                batch_label_changes=0.013 if precision == "int8" else None,
                batch_points_lost=0.2 if precision == "int8" else None,
            )
        )
    gone = Row("x9", "x9: 1 layer", "openvino", "cpu", "int8", error="its process was killed")
    qualities = {"pytorch-fp32": reference, _RECOMMENDED: small}
    quality = {row: measure.quality(logits, examples) for row, logits in qualities.items()}
    report = Report(
        environment={
            "cpu": {
                "model": "Intel(R) Xeon(R) Processor @ 2.10GHz",
                "cores_usable": 2,
                "flags": ["avx2", "avx512f", "avx512_vnni", "amx_int8"],
            },
            "memory_bytes": 25_000_000_000,
            "os": "Debian GNU/Linux 12",
            "python": "3.11.5",
            "libraries": {"edgepress": "0.1.0", "onnxruntime": "1.32.0", "openvino": "2026.4"},
        },
        reference="pytorch-fp32",
        recommended=_RECOMMENDED,
        compared=_RECOMMENDED,
        rows=(*rows, gone),
        quality={row: found for row, found in quality.items() if found is not None},
        differences=measure.differences(reference, small, examples),
        sizes={row.id: _parts(row.size_bytes or 0) for row in rows if "stock" not in row.id},
        data={
            "n": len(examples),
            "task": examples.task,
            "problem_type": examples.problem_type,
            "classes": len(examples.label_names),
            "labels": [] if examples.task == "fill-mask" else list(examples.output_names),
            "source": "/data/films",
            "fingerprint": "1f" * 20,
            "seed": 3,
            "splits": {"train": 2000, "selection": 240, "report": 240},
            "notes": ["validation was halved"],
        },
        method={
            "rounds_measured": 20,
            "sentences": 25,
            "warmup": 20,
            "settle": 3,
            "seed": 3,
            "cold_starts": 1,
        },
        budget={"max_drop": 4.0, "confidence": 0.7, "target_latency_ms": None, "effort": "best"},
        decisions=(
            "OpenVINO was 2 to 3 times slower than ONNX Runtime here, so it was not considered.",
            "x3 on ONNX Runtime: chosen.",
        ),
        family=tuple(_member(model) for row, model, *_ in _ROWS if row.endswith("-onnxruntime")),
        notes=("A remark on `something`.",),
        next_steps=(
            Step("Ask it.", "edgepress predict out/artifact 'some text'"),
            Step("See what is in it.", f"{'/a/long/way' * 20}/edgepress inspect out/artifact"),
        ),
        command="compress minilm-films --data films --max-drop 4 --out out",
        created="2030-01-01T00:00:00+00:00",
        samples=samples,
    )
    return replace(report, **changes)


def _timings(
    rounds: np.random.Generator, draw: np.random.Generator, faster: float
) -> dict[str, Any]:
    """Twenty rounds of timings that share what the machine did."""
    drift = rounds.lognormal(0, 0.05, (20, 1))
    ms = _ORIGINAL_MS / faster * drift * draw.lognormal(0, 0.2, (20, 25))
    return {
        "rounds": list(range(20)),
        "disturbed": [],
        "characters": draw.integers(20, 200, (20, 25)).tolist(),
        "end_to_end_ms": np.round(ms, 4).tolist(),
        "model_ms": np.round(ms * 0.8, 4).tolist(),
    }


def _parts(size: int) -> dict[str, int]:
    parts = {"embeddings": 11_000_000, "head": 150_000, "graph": 50_000}
    return {**parts, "layers": size - sum(parts.values()), "tokenizer": 680_000}


def _member(model: str) -> dict[str, Any]:
    name, _, description = model.partition(": ")
    layers = list(range(int(description.split()[0])))
    draw = np.random.default_rng(len(layers))
    heads = [sorted(draw.choice(12, draw.integers(1, 12), replace=False).tolist()) for _ in layers]
    neurons = [int(draw.integers(64, 1536)) for _ in layers]
    importance = draw.dirichlet(np.full(72, 0.3)).reshape(6, 12)
    return {
        "name": name,
        "description": description,
        "lineage": [
            {
                "stage": "prune",
                "original": {
                    "heads": [12] * 6,
                    "neurons": [1536] * 6,
                    "head_importance": importance.tolist(),
                    "neuron_importance": importance.sum(axis=1).tolist(),
                },
                "provenance": {"layers": layers, "heads": heads, "neurons": neurons},
            }
        ],
    }
