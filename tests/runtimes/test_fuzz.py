"""Every parser of what is beside a model answers anything with a value or a named error.

What once did harm stays as an `@example`.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runtimes.artifact import Manifest
from runtimes.errors import EdgepressError
from runtimes.fingerprint import device_key
from runtimes.hf_config import read_hf_config
from runtimes.json_files import parse_json
from runtimes.manifest import parse, render
from runtimes.pooling import read_pooling
from runtimes.tuning import read_tuning

_BOUNDED = settings(
    max_examples=80,
    deadline=10_000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["../x", "\ud83d", "\x1b[2J", "bert", "0", "1"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from("01"), inner, max_size=3)
    ),
    max_leaves=6,
)


@_BOUNDED
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"9" * 5000)
@example(b'{"a": 1e999}')
@example(b'{"a": 1, "a": 2}')
@example(rb'"\ud83d"')
@example(rb'{"\udc00": 1}')
@given(st.binary(max_size=40) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_value_or_an_error(content: bytes) -> None:
    try:
        value = parse_json(content)
    except ValueError:
        return
    json.dumps(value, ensure_ascii=False).encode()  # it can be shown


@_BOUNDED
@example("labels", [])
@example("labels", "abc")
@example("files", [])
@example("files", {"a" * 5000: {"sha256": "0" * 64, "size_bytes": 1}})
@example("files", {"": {"sha256": "0" * 64, "size_bytes": 1}})
@example("max_length", True)
@example("format", 1.5)
@example("models", [{}])
@given(
    st.sampled_from(
        [
            *("task", "labels", "problem_type", "max_length", "pad_token_id", "type_ids"),
            *("models", "lineage", "metrics", "quantization", "files", "created_by", "pairs"),
            "format",
        ]
    ),
    _VALUES,
)
def test_a_manifest_is_read_or_refused(name: str, value: Any) -> None:
    sound = json.loads(render(_manifest()))
    try:
        made = parse({**sound, name: value})
    except ValueError:
        return
    assert isinstance(made, Manifest)


def _manifest() -> Manifest:
    return Manifest(
        task="text-classification",
        labels=("no", "yes"),
        problem_type="single_label_classification",
        max_length=8,
        pad_token_id=0,
        type_ids=False,
        models=(),
    )


_FIELDS = [
    *("model_type", "architectures", "id2label", "num_labels", "problem_type", "pad_token_id"),
    *("type_vocab_size", "max_position_embeddings", "head", "pooling", "normalized", "hidden_act"),
]


@_BOUNDED
@example("id2label", {"0": "a", "2": "b"})
@example("id2label", {"x": "a"})
@example("id2label", {"0": None})
@example("architectures", [5])
@example("architectures", 5)
@example("head", [])
@example("head", "sentence")
@example("pad_token_id", "x")
@given(st.sampled_from(_FIELDS), _VALUES)
def test_a_configuration_is_read_or_refused(tmp_path: Path, name: str, value: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta", name: value}))
    for read in (read_hf_config, read_pooling):
        _answers(read, tmp_path)


@_BOUNDED
@example([{"type": 5, "path": 5}])
@example([{"type": "Pooling", "path": "../../etc"}])
@given(_VALUES)
def test_modules_are_read_or_refused(tmp_path: Path, value: Any) -> None:
    (tmp_path / "modules.json").write_text(json.dumps(value))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": value}))
    _answers(read_hf_config, tmp_path)
    (tmp_path / "modules.json").write_text('[{"type": "Pooling", "path": "p"}]')
    (tmp_path / "p").mkdir(exist_ok=True)
    (tmp_path / "p" / "config.json").write_text(json.dumps({"pooling_mode": value}))
    _answers(read_pooling, tmp_path)


@_BOUNDED
@example("threads", 20_000)
@example("threads", 2**40)
@example("threads", True)
@given(st.sampled_from(["runtime", "precision", "threads", "options"]), _VALUES)
def test_a_setting_that_was_not_measured_here_counts_as_none(
    tmp_path: Path, name: str, value: Any
) -> None:
    best = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "options": {}}
    for inner in ({**best, name: value}, value):
        content = {"format": 1, "devices": {device_key(): {"best": inner}}}
        (tmp_path / "tuning.json").write_text(json.dumps(content))
        found = read_tuning(tmp_path)
        assert found is None or (found.threads == 1 and isinstance(found.runtime, str))


def _answers(read: Callable[[Path], Any], folder: Path) -> None:
    with contextlib.suppress(EdgepressError):
        read(folder)
