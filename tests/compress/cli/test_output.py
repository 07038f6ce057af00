"""What the subcommands print beside their result."""

import json

import pytest

from benchmarks.report import Report
from compress.cli.output import show_report


def test_notes_on_the_data_and_the_report_stand_on_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = {"notes": ["The test split (5) has no labels: left out."]}
    report = Report(environment={}, reference="a", rows=(), data=data, notes=("It is at chance.",))
    show_report(report, as_json=True)
    printed = capfd.readouterr()
    assert json.loads(printed.out)["data"] == data
    assert printed.err == (
        "note: The test split (5) has no labels: left out.\nnote: It is at chance.\n"
    )
