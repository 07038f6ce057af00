"""A report that others wrote is read, or refused by name."""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.report import Report, load_report, save_report
from runtimes.errors import ArtifactError

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(
    max_examples=100,
    deadline=10_000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(["rows", 0, "end_to_end_ms", "p50"], "x")
@example(["rows", 0, "end_to_end_ms", "p50"], 10**400)
@example(["rows", 0, "end_to_end_ms", "p50"], True)
@example(["rows", 0, "model"], 5)
@example(["rows", 0, "id"], [])
@example(["rows", 0, "by_class"], {})
@example(["samples"], {"small": True})
@example(["samples", "small", "rounds"], [[]])
@example(["samples", "small", "end_to_end_ms"], [[-1.0], [0.0]])
@example(["notes"], 5)
@given(
    st.sampled_from(
        [
            *(["format"], ["rows"], ["reference"], ["recommended"], ["environment"], ["data"]),
            *(["notes"], ["samples"], ["family"], ["decisions"], ["command"], ["method"]),
            *(["rows", 0, name] for name in ("id", "model", "metric", "drop", "speedup", "error")),
            *(["rows", 0, "metric", name] for name in ("name", "value", "n")),
            *(["samples", "small", name] for name in ("rounds", "end_to_end_ms", "model_ms")),
        ]
    ),
    _VALUES,
)
def test_any_report_is_read_or_refused(
    report: Report, tmp_path: Path, place: list[Any], value: Any
) -> None:
    path = tmp_path / "report.json"
    save_report(report, path)
    values = json.loads(path.read_text())
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(values))
    try:
        again = load_report(path)
    except ArtifactError:
        return
    json.dumps(again.to_json(), ensure_ascii=False).encode()
