"""What the page says of answers: of every task, from the project's own measures."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from answered import ANSWERED, answered
from reports import report_of

from benchmarks.render.answers import (
    calibration_line,
    class_rows,
    confused,
    differences_line,
    matrices,
    reliability_plot,
    said,
    threshold_rows,
)
from benchmarks.render.html import render_html
from benchmarks.render.markdown import render_markdown
from benchmarks.render.plots import DESK
from benchmarks.report import Report

TIMES_100 = "\u00d7100"  # what a correlation is shown in; it is no share


class Page(HTMLParser):
    """Headings and text of a page, whose tags are all closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("style", "script"):
            return
        self.text += data
        if self._open and self._open[-1] in ("h2", "summary"):
            self.headings.append(data)


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {name: report_of(name) for name in ANSWERED}


@pytest.mark.parametrize("name", ANSWERED)
def test_a_page_of_every_task_has_what_the_task_can_tell(
    reports: dict[str, Report], name: str
) -> None:
    page = Page(render_html(reports[name]))
    told = set(page.headings)
    assert "Where answers differ" in told
    with_classes = {"text-classification", "many labels", "multi-label", "token-classification"}
    assert ("By class" in told) == (name in with_classes)
    assert ("Do scores hold?" in told) == (name not in {"regression", "sentence-embedding"})
    confusions = {"text-classification", "many labels", "token-classification"}
    assert ("What is taken for what" in told) == (name in confusions)
    assert "from text to answer" in page.text
    assert "to label" not in page.text  # not all answers are labels
    correlation = name in {"regression", "sentence-embedding"}
    metric = reports[name].rows[0].metric
    assert metric is not None
    assert f"{metric.name} {'%' if not correlation else TIMES_100} (95%)" in page.text
    assert f"points of {metric.name}{chr(39) + 's correlation' if correlation else ''}" in page.text
    differences = reports[name].differences
    assert differences is not None
    for one in differences.texts:
        assert one.text[:20] in page.text


def test_it_says_who_is_right_where_they_differ(reports: dict[str, Report]) -> None:
    report = reports["text-classification"]
    examples, reference, small = answered("text-classification")
    first, second = (each.argmax(axis=1) for each in (reference, small))
    differ = first != second
    right = [int((differ & (each == examples.labels)).sum()) for each in (first, second)]
    assert differences_line(report) == (
        f"x3 and the original differ on {differ.sum()} of 240 texts: only the original is right on "
        f"{right[0]} of these, only x3 on {right[1]}."
    )
    found = report.differences
    assert found is not None
    some = replace(report, differences=replace(found, texts=found.texts[:3]))
    assert differences_line(some).endswith("The report shows 3, the most certain ones first.")
    private = replace(report, differences=replace(found, texts=()))
    assert differences_line(private).endswith("The texts are left out of this report.")
    assert found.texts[0].text not in render_html(private)
    same = replace(report, differences=replace(found, differing=0, texts=()))
    assert differences_line(same) == "Both give the same answers to all 240 texts."
    assert differences_line(replace(report, differences=None)) == ""
    for kind, words in (("regression", "nearer on"), ("sentence-embedding", "nearer by rank on")):
        report = reports[kind]
        assert f"the original is {words}" in differences_line(report)
        assert report.differences is not None
        some = replace(report.differences, texts=report.differences.texts[:1])
        told = differences_line(replace(report, differences=some))
        assert told.endswith("shows 1, the furthest apart first.")
        none = replace(some, texts=())
        assert f"the original is {words}" in differences_line(replace(report, differences=none))
    marked = [said(one, original=True).text for one in found.texts]
    assert sum("\u2713" in text for text in marked) == right[0]


def test_classes_have_both_models_figures_and_the_drop_with_its_interval(
    reports: dict[str, Report],
) -> None:
    report = reports["token-classification"]
    lines = {cells[0].text: cells[1:] for cells in class_rows(report)}
    assert list(lines) == ["artist", "city"]
    assert report.compared is not None
    before, after = (report.quality[row] for row in (report.reference, report.compared))
    for old, new in zip(before.classes, after.classes, strict=True):
        n, precision, recall, f1, drop = lines[new.label]
        assert n.key == new.n
        assert (precision.text, precision.detail) == (
            f"{new.precision:.1f}",
            f"original {old.precision:.1f}",
        )
        assert (recall.key, f1.key) == (new.recall, new.f1)
        assert drop.key == pytest.approx(old.recall - new.recall)
        assert re.fullmatch(r".?[\d.]+\u2026[\d.]+", drop.detail)


def test_few_classes_have_matrices_and_many_a_list(reports: dict[str, Report]) -> None:
    small, many = reports["text-classification"], reports["many labels"]
    examples, reference, logits = answered("text-classification")
    assert not confused(small)
    for one, own in zip(matrices(small), (reference, logits), strict=True):
        counts = np.array([[count for count, _ in row] for row in one.rows])
        expected = np.zeros((2, 2))
        np.add.at(expected, (examples.labels, own.argmax(axis=1)), 1)
        assert (counts == expected).all()
    assert not matrices(many)
    worst = confused(many)
    assert len(worst) == 15
    assert all(is_ != taken for is_, taken, *_ in worst)
    counts = [max(own) for _, _, *own in worst]
    assert counts == sorted(counts, reverse=True)


def test_it_says_whether_a_threshold_holds(reports: dict[str, Report]) -> None:
    report = reports["text-classification"]
    _, reference, small = answered("text-classification")
    examples = answered("text-classification")[0]
    shares = []
    for logits in (reference, small):
        chances = 1 / (1 + np.exp(-np.abs(logits[:, 0] - logits[:, 1]).astype(float)))
        sure = chances >= 0.9
        right = (logits.argmax(axis=1) == examples.labels)[sure].mean()
        shares.append((f"{right:.1%}", f"{sure.mean():.0%}"))
    line = calibration_line(report)
    assert line.startswith(
        f"Of what is scored 0.9 or more, the original is right on {shares[0][0]} ({shares[0][1]} "
        f"of all answers) and x3 on {shares[1][0]} ({shares[1][1]})."
    )
    rows = threshold_rows(report)
    assert [row[0].key for row in rows] == [0.5, 0.7, 0.8, 0.9, 0.95, 0.99]
    assert rows[3][2].text == shares[0][0]
    plot = reliability_plot(report, DESK)
    assert plot is not None
    assert {mark.look for mark in plot.marks} == {"reference", "recommended"}
    # what is as good as it says is on the diagonal
    [diagonal] = [curve for curve in plot.curves if curve.look == "diagonal"]
    (x0, y0), (x1, y1) = diagonal.points
    assert report.compared is not None
    kept = [part for part in report.quality[report.compared].bins if part.n >= 5]
    for mark, part in zip(plot.marks[-len(kept) :], kept, strict=True):
        on_diagonal = y0 + (mark.x - x0) / (x1 - x0) * (y1 - y0)
        assert (mark.y < on_diagonal) == (part.right > part.confidence)
        assert mark.up is not None  # a few answers say little
        low, high = mark.up
        assert plot.frame.top <= high <= mark.y <= low <= plot.frame.bottom
        assert high < low
    assert reliability_plot(reports["regression"], DESK) is None
    assert calibration_line(reports["regression"]) == ""


@pytest.mark.parametrize("name", ANSWERED)
def test_markdown_has_the_same_folded(reports: dict[str, Report], name: str) -> None:
    report = reports[name]
    text = render_markdown(report)
    folds = re.findall(r"<summary>(.*)</summary>\n\n((?:\|.*\n)+)", text)
    titles = [title for title, _ in folds]
    assert titles[:2] == ["All figures", "Texts on which they differ"]
    assert ("Figures by class" in titles) == bool(class_rows(report))
    for _, table in folds:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    found = report.differences
    assert found is not None
    assert len(folds[1][1].splitlines()) == 2 + len(found.texts)
    private = replace(report, differences=replace(found, texts=()))
    assert found.texts[0].text not in render_markdown(private)
