"""A classifier of two words, small enough to be opened in every test, as an artifact and bare."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from benchmarks.metrics import Drop, Metric
from benchmarks.report import Percentiles, Report, Row
from benchmarks.stats import Interval
from benchmarks.subjects import Subject
from runtimes.artifact import Manifest, ModelEntry, write_artifact

LABELS = ("negative", "positive")
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "film": 4}


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"pad_token_id": 0, "id2label": dict(enumerate(LABELS)), "max_position_embeddings": 64}
    (folder / "config.json").write_text(json.dumps(config))


def write_model(path: Path, scores: dict[str, tuple[float, float]], *, masked: bool = True) -> None:
    """An ONNX file that adds up the scores of the words that the mask leaves, or of all."""
    from onnx import TensorProto, checker, helper, numpy_helper, save

    table = np.zeros((len(VOCABULARY), len(LABELS)), dtype=np.float32)
    for word, score in scores.items():
        table[VOCABULARY[word]] = score
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["float_mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["float_mask", "last"], ["mask"]),
        helper.make_node("Mul", ["words", "mask"], ["kept"]),
        helper.make_node(
            "ReduceSum", ["kept" if masked else "words", "time"], ["logits"], keepdims=0
        ),
    ]
    names = ("input_ids", "attention_mask")
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "T"]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", len(LABELS)])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "last"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "time"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(model, str(path))


KNOWS_BOTH = {"good": (0.0, 1.0), "bad": (1.0, 0.0)}
KNOWS_GOOD_ONLY = {"good": (0.0, 1.0), "bad": (0.0, 0.5)}
BROKEN = {"good": (float("nan"), 0.0)}


@pytest.fixture
def artifact(tmp_path: Path) -> Callable[..., Subject]:
    """Writes an artifact and returns the subject that opens it in ONNX Runtime."""

    def build(
        name: str,
        scores: dict[str, tuple[float, float]] | None = None,
        precision: str = "fp32",
        *,
        masked: bool = True,
        pairs: bool = False,
    ) -> Subject:
        def populate(folder: Path) -> None:
            write_tokenizer(folder)
            write_model(folder / "onnx" / "model.onnx", scores or KNOWS_BOTH, masked=masked)

        entry = ModelEntry(
            runtime="onnxruntime", format="onnx", path="onnx/model.onnx", precision=precision
        )
        manifest = Manifest(
            task="text-classification",
            labels=LABELS,
            problem_type="single_label_classification",
            max_length=64,
            pad_token_id=0,
            pairs=pairs,
            type_ids=False,
            models=(entry,),
        )
        write_artifact(tmp_path / name, manifest, populate)
        return Subject(
            id=name,
            model=name,
            kind="artifact",
            path=tmp_path / name,
            runtime="onnxruntime",
            threads=1,
        )

    return build


@pytest.fixture
def export(tmp_path: Path) -> Subject:
    """A bare folder, as an exporter leaves it."""
    folder = tmp_path / "export"
    folder.mkdir()
    write_tokenizer(folder)
    write_model(folder / "model.onnx", KNOWS_GOOD_ONLY)
    return Subject(
        id="export", model="export", kind="export", path=folder, runtime="onnxruntime", threads=1
    )


@pytest.fixture
def examples() -> Examples:
    """Forty films of growing length, every second one bad; the last two are labelled wrongly."""
    words = [("good", "bad")[i % 2] for i in range(40)]
    labels = np.array([1 - i % 2 for i in range(40)], dtype=np.int64)
    labels[-2:] = 1 - labels[-2:]
    texts = tuple(f"{word} {'film ' * (1 + i // 4)}".strip() for i, word in enumerate(words))
    return Examples(texts=texts, targets=ClassLabels(labels), label_names=LABELS)


@pytest.fixture
def report() -> Report:
    """A report with a reference, a recommended row, a row that failed, and awkward names."""

    def row(name: str, runtime: str, p50: float, faster: float, lost: float, size: int) -> Row:
        rare = 2.5 * p50
        latency = Percentiles(
            p50, 1.5 * p50, rare, 500, 0.98 * p50, 1.02 * p50, 0.9 * rare, 1.1 * rare
        )
        exact = faster == 1.0
        return Row(
            id=name,
            model=f"{name} with 4 layers | 9 heads [bold]",
            runtime=runtime,
            device="cpu",
            precision="int8",
            end_to_end_ms=latency,
            model_ms=latency,
            metric=Metric("accuracy", 88.5 - lost, 85.2, 91.1, 436),
            drop=Drop(lost, lost - 1.4 * (not exact), lost + 1.2 * (not exact), 0.5),
            speedup=Interval(faster, faster - 0.3 * (not exact), faster + 0.3 * (not exact)),
            size_bytes=size,
            load_ms=1234.5,
            rss_bytes=610_000_000,
            threads=2,
            throughput_per_s=1735.2,
            batch_label_changes=0.0,
        )

    return Report(
        environment={"cpu": {"model": "A processor", "cores_usable": 2, "flags": ["avx2"]}},
        reference="teacher",
        recommended="small",
        rows=(
            row("teacher", "pytorch", 8.4, 1.0, 0.0, 90_900_000),
            row("stock", "onnxruntime", 2.41, 3.5, -0.4, 22_900_000),
            row("small", "onnxruntime", 0.98, 8.6, 0.2, 12_300_000),
            Row("gone", "gone", "openvino", "cpu", "int8", error="its process was killed"),
        ),
        data={
            "n": 436,
            "task": "text-classification",
            "labels": ["bad", "good"],
            "source": "films.csv",
            "notes": ["validation was halved"],
        },
        method={"rounds_measured": 20, "sentences": 25, "warmup": 20, "settle": 3, "seed": 5},
        budget={"max_drop": 1.0},
        notes=("A remark.",),
        command="compress films --out out",
        created="2030-01-01T00:00:00+00:00",
        samples={
            "small": {"rounds": [0, 1], "end_to_end_ms": [[0.9], [1.0]], "model_ms": [[1.0], [2.0]]}
        },
    )
