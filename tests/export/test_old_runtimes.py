"""Real versions of ONNX Runtime, in environments of their own, answer the graph that is theirs."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from environments import UnavailableError, folder_of, python_of

from compress.quantization.mixed_precision import safe_plan
from export.package import export_artifact
from export.quantization import QuantizationPlan
from runtimes import load
from runtimes.processor import processor_flags

pytestmark = [pytest.mark.minutes, pytest.mark.timeout(3000)]

# Widths that are multiples of 16: of others, ONNX Runtime 1.24 multiplies integers wrongly on
# processors with AMX, in batches (17 to 31 columns beyond a multiple of 32). The self-test says so.
LAYERS = [
    {"heads": 4, "head_size": 8, "intermediate_size": 48},
    {"heads": 2, "head_size": 8, "intermediate_size": 32},
]
HEADS: dict[str, dict[str, Any]] = {
    "text-classification": {},
    "token-classification": {"head": "token", "first_token_last_layer": False},
    "question-answering": {
        "head": "span",
        "first_token_last_layer": False,
        "num_labels": 2,
        "id2label": {0: "start", 1: "end"},
    },
    "sentence-embedding": {"head": "embedding", "first_token_last_layer": False},
    "vectors for distances": {"max_relative_distance": 9, "distance_vectors": True},
}
# Answers rows of an .npz with bare ONNX Runtime; what it says goes to another.
ASKING = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
rows = np.load(sys.argv[2])
found = {}
for way in ("right", "left", "none"):
    count = int(rows[way + "_batches"])
    for number in range(count):
        inputs = {i.name: rows[f"{way}_{number}_{i.name}"] for i in session.get_inputs()}
        for output, values in zip(session.get_outputs(), session.run(None, inputs)):
            found[f"{way}_{number}_{output.name}"] = values
np.savez(sys.argv[3], **found)
"""


@pytest.fixture(scope="module", params=["1.17", "1.20", "1.24", "1.25"])
def old(request: pytest.FixtureRequest) -> Path:
    """Python with nothing but numpy, tokenizers and an old ONNX Runtime."""
    try:
        return python_of(folder_of(f"onnxruntime-{request.param}"))
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(params=HEADS)
def export(
    request: pytest.FixtureRequest,
    lean: Callable[..., Any],
    tokenizer: Any,
    texts: list[str],
    tmp_path: Path,
) -> Callable[..., Path]:
    """`export(plan)` writes an artifact of a task."""
    pairs = list(pairwise(texts))

    def run(plan: QuantizationPlan | None) -> Path:
        export_artifact(
            tmp_path / "artifact",
            module=lean(layers=LAYERS, **HEADS[request.param]),
            tokenizer=tokenizer,
            plan=plan,
            max_length=24,
            checks=pairs[:4] if request.param == "question-answering" else texts[:4],
            runtimes=["onnxruntime"],
        )
        return tmp_path / "artifact"

    return run


def write_rows(path: Path) -> int:
    """Write 48 rows of tokens, in batches padded on the right and on the left, and one by one.

    Returns:
        How many batches there are of one kind.
    """
    rng = np.random.default_rng(0)
    rows: dict[str, Any] = {}

    def add(way: str, number: int, ids: np.ndarray) -> None:
        mask = (ids > 0).astype(np.int64)
        named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        rows.update({f"{way}_{number}_{name}": values for name, values in named.items()})

    for number in range(6):
        lengths = rng.integers(2, 24, 8)
        tokens = [rng.integers(5, 30, length) for length in lengths]
        most = int(lengths.max())
        add("right", number, np.stack([np.pad(t, (0, most - len(t))) for t in tokens]))
        add("left", number, np.stack([np.pad(t, (most - len(t), 0)) for t in tokens]))
        for place, row in enumerate(tokens):
            add("none", 8 * number + place, row[None])
    np.savez(path, right_batches=6, left_batches=6, none_batches=48, **rows)
    return 6


def test_bare_old_versions_answer_the_portable_graph_alike(
    old: Path, export: Callable[..., Path], tmp_path: Path
) -> None:
    count = write_rows(tmp_path / "rows.npz")
    model = export(None) / "onnx" / "model.onnx"
    for python, name in ((old, "old"), (sys.executable, "new")):
        command = [python, "-c", ASKING, model, tmp_path / "rows.npz", tmp_path / f"{name}.npz"]
        subprocess.run(command, check=True, timeout=300)
    was, now = np.load(tmp_path / "old.npz"), np.load(tmp_path / "new.npz")
    assert set(was.files) == set(now.files)
    assert len(was.files) >= count * 2 + 8 * count
    rows = np.load(tmp_path / "rows.npz")
    for name in was.files:
        way, number, _ = name.split("_", 2)
        mask = rows[f"{way}_{number}_attention_mask"].astype(bool)
        of_tokens = was[name].shape[: mask.ndim] == mask.shape
        before, after = (each[name][mask] if of_tokens else each[name] for each in (was, now))
        np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_self_test_of_int8_passes_there(old: Path, export: Callable[..., Path]) -> None:
    artifact = export(safe_plan(QuantizationPlan(), processor_flags()))
    done = subprocess.run(
        [old, "-m", "runtimes", "check", artifact],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(onnxruntime.__file__).anchor,
        env={"PYTHONPATH": str(Path(load.__code__.co_filename).parents[1]), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("right")
    assert done.stderr == ""
