"""`--compare`: a real regression is found, noise is not, and unlike reports are refused."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.compare import compare_reports
from benchmarks.metrics import Drop
from benchmarks.report import Report, Row, save_report
from compress.cli.app import main
from runtimes.errors import DataError


@pytest.fixture
def report(report: Report) -> Report:
    """Of data that is known."""
    return replace(report, data={**report.data, "fingerprint": "films"})


def measured(report: Report, speedup: float, *, noise: float = 0.03, seed: int = 0) -> Report:
    """Twenty rounds of the reference and of a row that is `speedup` times as fast."""
    rng = np.random.default_rng(seed)
    drift = rng.uniform(0.5, 2.0, (20, 1)) * np.ones((20, 5))
    fast = drift / speedup * np.exp(rng.normal(0, noise, (20, 1)))
    samples = {
        name: {"rounds": list(range(20)), "end_to_end_ms": timings.tolist()}
        for name, timings in (("teacher", drift), ("small", fast))
    }
    return replace(report, samples=samples)


def regressions(before: Report, after: Report) -> list[tuple[str, str]]:
    return [(c.row.id, c.quantity) for c in compare_reports(before, after) if c.regression]


def changed(report: Report, **values: object) -> Report:
    """With another row `small`."""
    rows = [replace(row, **values) if row.id == "small" else row for row in report.rows]  # type: ignore[arg-type]
    return replace(report, rows=tuple(rows))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_speed_on_another_day_is_no_regression(report: Report, seed: int) -> None:
    before, after = (measured(report, 8.0, seed=s) for s in (seed, seed + 100))
    assert regressions(before, after) == []
    assert regressions(after, before) == []


def test_slower_beyond_noise_and_tolerance_is_one(report: Report) -> None:
    before, after = measured(report, 8.0), measured(report, 7.0, seed=1)
    assert regressions(before, after) == [("small", "speed-up")]
    assert regressions(after, before) == []  # faster is none
    change = next(c for c in compare_reports(before, after) if c.quantity == "speed-up")
    assert change.change.low < 7 / 8 < change.change.high < 0.97
    assert change.before == pytest.approx(8.0, rel=0.05)
    assert regressions(before, measured(report, 7.9, seed=1)) == []  # within the tolerance
    assert regressions(before, measured(report, 7.0, noise=0.8, seed=1)) == []  # within the noise


def test_accuracy_size_and_missing_rows_count(report: Report) -> None:
    report = measured(report, 8.0)
    worse = Drop(4.0, 3.0, 5.0, 0.001)
    assert regressions(report, changed(report, drop=worse)) == [("small", "drop")]
    assert regressions(report, changed(report, drop=Drop(0.5, -1.0, 2.0, 0.5))) == []
    assert regressions(report, changed(report, size_bytes=12_900_000)) == [("small", "size")]
    assert regressions(report, changed(report, size_bytes=12_400_000)) == []
    assert regressions(report, changed(report, error="died")) == [("small", "measured")]
    gone = replace(report, rows=report.rows[:2], recommended=None)
    assert regressions(report, gone) == [("small", "measured")]
    more = replace(report, rows=(*report.rows, replace(report.rows[2], id="new", model="new")))
    assert regressions(report, more) == []  # a new row is none


def test_reports_of_other_data_or_references_are_refused(report: Report) -> None:
    other = replace(report, data={**report.data, "fingerprint": "another"})
    with pytest.raises(DataError, match="the data was films, and is another now"):
        compare_reports(report, other)
    with pytest.raises(DataError, match="the reference was teacher"):
        compare_reports(report, replace(report, reference="stock"))
    with pytest.raises(DataError, match="the processor was A processor"):
        compare_reports(report, replace(report, environment={}))
    nowhere = replace(report, data={})
    with pytest.raises(DataError, match="do not say what data"):
        compare_reports(nowhere, nowhere)


def test_nothing_to_compare_is_no_success(report: Report) -> None:
    with pytest.raises(DataError, match="no timings in common"):
        compare_reports(replace(report, samples={}), report)


def test_rows_of_one_name_cannot_be_told_apart(report: Report) -> None:
    twice = replace(report, rows=(*report.rows, replace(report.rows[2], id="again")))
    with pytest.raises(DataError, match="several rows called small"):
        compare_reports(measured(report, 8.0), measured(twice, 8.0))


def test_other_sizes_are_the_same_member(report: Report) -> None:
    before = changed(measured(report, 8.0), model="x2.4: 5 layers, 28 heads")
    after = changed(measured(report, 6.0, seed=1), model="x2.4: 5 layers, 27 heads")
    assert regressions(before, after) == [("small", "speed-up")]


def test_the_command_prints_the_changes_and_says_by_its_code_if_it_is_worse(
    report: Report, tmp_path, capfd
) -> None:
    for name, found in (("old", measured(report, 8.0)), ("new", measured(report, 6.0, seed=1))):
        save_report(found, tmp_path / name / "report.json")
    old, new = str(tmp_path / "old" / "report.json"), str(tmp_path / "new")
    assert main(["bench", "--compare", old, new]) == 1
    captured = capfd.readouterr()
    assert "worse than before: speed-up of small with 4 layers" in captured.err
    assert "8.0" in captured.out
    assert "6.0" in captured.out
    assert main(["bench", "--compare", new, old, "--json"]) == 0
    assert main(["bench", "--compare", old]) == 2
    assert main(["bench", old]) == 2
    assert "--data is missing" in capfd.readouterr().err


def test_a_row_that_failed_before_cannot_become_worse(report: Report) -> None:
    row = next(row for row in report.rows if row.error is not None)
    assert isinstance(row, Row)
    timed = measured(report, 8.0)
    assert all(change.row.id != row.id for change in compare_reports(timed, timed))


def test_a_ratio_in_doubt_is_not_compared(report: Report) -> None:
    before, after = measured(report, 8.0), measured(report, 2.0, seed=1)
    unsure = replace(
        after, rows=tuple(replace(row, doubt="others used 48% of the cores") for row in after.rows)
    )
    assert regressions(before, after) == [("small", "speed-up")]
    with pytest.raises(DataError, match="the machine was busy"):
        compare_reports(before, unsure)
