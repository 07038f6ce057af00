"""`report.json`, format 1."""

import json
from dataclasses import replace

import pytest

from benchmarks.report import load_report, save_report
from runtimes.errors import ArtifactError


def test_it_has_the_keys_that_format_1_promises(report, tmp_path):
    save_report(report, tmp_path / "out" / "report.json")
    values = json.loads((tmp_path / "out" / "report.json").read_text())

    assert values["format"] == 1
    assert {"environment", "reference", "recommended", "rows"} <= values.keys()
    row = next(row for row in values["rows"] if row["id"] == values["recommended"])
    assert {"id", "model", "runtime", "device", "precision"} <= row.keys()
    for latency in (row["end_to_end_ms"], row["model_ms"]):
        assert {"p50", "p90", "p99", "n"} <= latency.keys()
    assert row["metric"].keys() == {"name", "value", "low", "high", "n"}
    assert {"value", "low", "high"} <= row["drop"].keys()
    assert row["speedup"].keys() == {"value", "low", "high"}
    assert {"size_bytes", "load_ms", "rss_bytes"} <= row.keys()


def test_it_comes_back_as_it_was(report, tmp_path):
    path = tmp_path / "report.json"
    save_report(report, path)
    loaded = load_report(path)

    assert replace(loaded, data=report.data) == report
    assert loaded.data == report.data
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]  # nothing half-written stays


def test_raw_samples_take_one_line_a_row(report, tmp_path):
    path = tmp_path / "report.json"
    save_report(report, path)

    assert sum('end_to_end_ms":[[' in line for line in path.read_text().splitlines()) == 1
    save_report(replace(report, samples={}), path)
    assert load_report(path).samples == {}


def test_keys_of_later_additions_are_ignored(report, tmp_path):
    path = tmp_path / "report.json"
    save_report(report, path)
    values = json.loads(path.read_text())
    values["colour"] = values["rows"][0]["colour"] = values["rows"][0]["metric"]["colour"] = "red"
    path.write_text(json.dumps(values))

    assert load_report(path).rows == report.rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(format=2), "format 2"),
        (lambda values: values.pop("format"), "no edgepress report"),
        (lambda values: values.pop("rows"), "damaged"),
        (lambda values: values.pop("environment"), "damaged"),
        (lambda values: values["rows"][0].pop("model"), "damaged"),
        (lambda values: values["rows"][0]["metric"].pop("low"), "damaged"),
        (lambda values: values.update(rows=[1]), "damaged"),
        (lambda values: values.update(reference="nobody"), "nobody"),
        (lambda values: values.update(recommended="nobody"), "nobody"),
    ],
)
def test_what_is_no_such_report_is_refused_and_named(report, tmp_path, change, message):
    path = tmp_path / "report.json"
    save_report(report, path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))

    with pytest.raises(ArtifactError, match=message) as caught:
        load_report(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"3"])
def test_files_that_are_no_json_object_are_refused(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=r"report\.json"):
        load_report(path)


def test_a_missing_report_is_said_to_be_missing(tmp_path):
    with pytest.raises(ArtifactError, match="no such report"):
        load_report(tmp_path / "report.json")


def test_numbers_that_json_does_not_have_leave_the_old_file_alone(report, tmp_path):
    path = tmp_path / "report.json"
    save_report(report, path)
    broken = replace(report, rows=(replace(report.rows[0], load_ms=float("nan")),))

    with pytest.raises(ValueError, match="JSON"):
        save_report(broken, path)
    assert load_report(path).rows == report.rows
