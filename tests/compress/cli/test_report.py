"""`edgepress report`: a page anew at a price, and several reports on one page."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reports import report_of

from benchmarks.report import save_report
from compress.cli.app import main


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three output folders, two of which have the same name."""
    root, report = tmp_path_factory.mktemp("reports"), report_of("text-classification")
    found = [root / "one" / "out", root / "two" / "out", root / "three"]
    for number, folder in enumerate(found):
        folder.mkdir(parents=True)
        save_report(replace(report, data={**report.data, "seed": number}), folder / "report.json")
    return found


def test_a_page_is_written_anew_at_a_price(folders: list[Path], capfd: Any) -> None:
    page = folders[0] / "report.html"
    assert main(["report", str(folders[0])]) == 0
    before = page.read_text(encoding="utf-8")
    assert main(["report", str(folders[0] / "report.json"), "--price", "0.05"]) == 0
    after = page.read_text(encoding="utf-8")
    assert "17.8 times faster" in before
    assert (before.count(" a million</small>"), after.count(" a million</small>")) == (0, 9)
    told = capfd.readouterr()
    assert told.out.startswith("out: 17.8 times faster, 5.0 points less accurate")
    assert f"page  {page}" in told.err


def test_several_are_shown_side_by_side(
    folders: list[Path], capfd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *map(str, folders), "--json"]) == 0
    told = capfd.readouterr()
    assert [one["name"] for one in json.loads(told.out)] == [
        "one/out",
        "two/out",
        f"{folders[2].parent.name}/three",
    ]
    assert [one["seed"] for one in json.loads(told.out)] == [0, 1, 2]
    assert "page  reports.html" in told.err
    page = (tmp_path / "reports.html").read_text(encoding="utf-8")
    assert "one/out" in page
    assert main(["report", *map(str, folders[1:]), "--out", "b.html"]) == 0
    assert (tmp_path / "b.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no such report"),
        (["{0}", "{0}"], "a report is given twice"),
        (["{0}", "{1}", "--out", "{0}"], "is no HTML file"),
        (["{0}", "--out", "notes.txt"], "is no HTML file"),
        (["{0}", "--out", "no/such/page.html"], "its folder does not exist"),
        (["{0}", "--price", "-1"], "greater than or equal to 0"),
        (["{0}", "--price", "inf"], "--price inf is no price"),
    ],
)
def test_what_cannot_be_done_is_said(
    folders: list[Path],
    arguments: list[str],
    message: str,
    capfd: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *(each.format(*folders) for each in arguments)]) in (1, 2)
    assert message in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_is_damaged_is_named(folders: list[Path], tmp_path: Path, capfd: Any) -> None:
    values = json.loads((folders[0] / "report.json").read_text())
    values["family"] = [{"name": 5}]
    damaged = tmp_path / "report.json"
    damaged.write_text(json.dumps(values))
    assert main(["report", str(damaged)]) == 1
    assert "is incomplete or damaged" in capfd.readouterr().err
    assert not (tmp_path / "report.html").exists()
