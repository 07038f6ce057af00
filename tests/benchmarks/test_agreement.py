"""Texts that nobody labelled: the original's answers are the labels, and the report says so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.agreement import Agreement, by_definition, lost, measures_agreement
from benchmarks.chance import chance_notes
from benchmarks.examples import Examples
from benchmarks.expected import expected_drop
from benchmarks.labels import (
    Choices,
    ClassLabels,
    Labels,
    LabelSets,
    PairScores,
    Scores,
    Spans,
    WordLabels,
)
from benchmarks.latency import LatencySettings
from benchmarks.metrics import Metric
from benchmarks.render.answers import class_rows, differences_line, matrices
from benchmarks.render.html import render_html
from benchmarks.render.markdown import render_markdown
from benchmarks.render.terminal import print_report
from benchmarks.report import Report
from benchmarks.run import benchmark
from benchmarks.stats import wilson_interval
from benchmarks.subjects import Subject
from benchmarks.tasks import answered, get_measure

TAGS = ("O", "B-a", "I-a", "B-b")
QUICK = LatencySettings(rounds=2, sentences=4, warmup=2, settle=1, pause_s=0.0, throughput_inputs=0)


def unlabelled(kind: str, count: int = 200) -> tuple[Examples, np.ndarray, np.ndarray]:
    """Examples of a task, and what an original and a model near it say of them."""
    rng = np.random.default_rng(0)
    texts = tuple(f"text {number} is so" for number in range(count))
    halves = np.repeat(np.arange(count // 2), 2)
    pairs = None
    task, names = "text-classification", TAGS
    targets: Labels
    shape = (count, len(TAGS))
    if kind == "classes":
        targets = ClassLabels(np.zeros(count, dtype=np.int64))
    elif kind == "sets":
        targets = LabelSets(np.zeros(shape, dtype=np.int64))
    elif kind == "scores":
        targets, names, shape = Scores(np.zeros(count)), ("score",), (count, 1)
    elif kind == "words":
        targets = WordLabels(np.zeros(4 * count, dtype=np.int64), np.full(count, 4))
        task, shape = "token-classification", (4 * count, len(TAGS))
    elif kind == "choices":
        targets, pairs, names, shape = (
            Choices(np.zeros(count), halves),
            texts,
            ("score",),
            (count, 1),
        )
        task = "multiple-choice"
    elif kind == "vectors":
        targets, names, shape = PairScores(np.zeros(count), halves), (), (count, 8)
        task = "sentence-embedding"
    else:
        targets = Spans(np.zeros((count, 2), dtype=np.int64), [("",)] * count)
        task, names, pairs = "question-answering", ("start", "end"), texts
        starts = rng.integers(0, 5, size=count)
        spans = np.stack([starts, starts + 5, np.full(count, 0.9), np.zeros(count)], axis=1)
        other = spans.copy()
        other[: count // 20, 0] += 3
        examples = Examples(texts, targets.unknown(), names, pairs, task, labelled=False)
        return examples, spans.astype(np.float32), other.astype(np.float32)
    reference = (2 * rng.normal(size=shape)).astype(np.float32)
    near = reference + (0.1 * rng.normal(size=shape)).astype(np.float32)
    return Examples(texts, targets.unknown(), names, pairs, task, labelled=False), reference, near


KINDS = ("classes", "sets", "scores", "words", "choices", "vectors", "questions")


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_those_of_labels_that_are_the_originals_answers(kind: str) -> None:
    bare, reference, near = unlabelled(kind)
    examples = answered(bare, reference)
    people = replace(examples, labelled=True)
    ours, theirs = get_measure(examples), get_measure(people)
    assert isinstance(ours, Agreement)
    assert theirs.metric(reference, people).value == pytest.approx(100, abs=1e-4)

    found, expected = ours.metric(near, examples), theirs.metric(near, people)
    assert 60 < found.value < 100
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)
    assert measures_agreement(found)
    assert found.name in ("agreement", f"agreement ({expected.name})")
    drop = ours.drop(reference, near, examples, seed=0)
    assert (drop.value, drop.low) == (100 - found.value, 100 - found.high)
    assert drop.value == pytest.approx(theirs.drop(reference, near, people, seed=0).value, abs=1e-3)
    assert ours.drop(reference, reference, examples, seed=0).high == 0
    assert ours.drop_by_class(reference, near, examples) == theirs.drop_by_class(
        reference, near, people
    )
    differing = ours.differences(reference, near, examples)
    assert differing.differing == theirs.differences(reference, near, people).differing
    assert (differing.reference_right, differing.answer_right) == (0, 0)
    assert {one.label for one in differing.texts} <= {""}
    assert answered(people, near) is people  # whom people labelled, nobody labels anew


@pytest.mark.parametrize("kind", KINDS)
def test_where_no_text_differs_the_interval_still_has_a_width(kind: str) -> None:
    bare, reference, _ = unlabelled(kind)
    examples = answered(bare, reference)
    found = get_measure(examples).metric(reference.copy(), examples)
    if kind in ("scores", "vectors"):  # numbers always differ
        return
    assert found.low == pytest.approx(100 * wilson_interval(found.n, found.n).low)
    assert lost(found).high == pytest.approx(100 - found.low)
    assert by_definition(found).low == 100


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_the_expected_drop_is_right_on_average_where_labels_are_the_originals(noise: float) -> None:
    """Counting is; what learns from such labels that the original is always right is not."""
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 4, size=200_000)
    moved = margins + rng.normal(0, noise, size=len(margins))
    originals, others = (
        np.stack([-each / 2, each / 2], axis=1).astype(np.float32) for each in (margins, moved)
    )
    truth = 100 * float((originals.argmax(1) != others.argmax(1)).mean())
    texts, names = ("",) * 692, ("no", "yes")
    estimates, errors, learnt = [], [], []
    for _ in range(100):
        drawn = rng.integers(0, len(margins), size=692)
        before, after = originals[drawn], others[drawn]
        bare = Examples(texts, ClassLabels(np.full(692, -1)), names, labelled=False)
        examples = answered(bare, before)
        estimate = get_measure(examples).expected_drop(before, after, examples)
        estimates.append(estimate.value)
        errors.append(estimate.standard_error)
        learnt.append(expected_drop(before, after, examples.labels).value)
    spread = float(np.std(estimates))
    assert float(np.mean(estimates)) == pytest.approx(truth, abs=4 * spread / np.sqrt(100))
    assert float(np.mean(errors)) == pytest.approx(spread, rel=0.3)
    assert float(np.mean(learnt)) < 0.6 * truth


def test_an_original_that_always_says_the_same_is_named() -> None:
    bare, reference, _ = unlabelled("classes")
    constant = np.zeros_like(reference)
    [note] = chance_notes(constant, answered(bare, constant))
    assert "answers 'O' to all of 200 cases" in note
    assert chance_notes(reference, answered(bare, reference)) == []
    assert chance_notes(reference, bare) == []


@pytest.fixture
def measured(artifact: Callable[..., Subject], examples: Examples) -> Report:
    bare = replace(examples, targets=examples.targets.unknown(), labelled=False)
    subjects = [artifact("original"), artifact("other", {"good": (0.0, 1.0), "bad": (0.0, 0.5)})]
    report = benchmark(
        subjects, bare, reference="original", compared="other", recommended="other", settings=QUICK
    )
    budget = {"max_drop": 60.0, "min_agreement": 40.0, "confidence": 0.7}
    return replace(report, budget=budget)


def test_a_benchmark_asks_the_reference_what_is_right(measured: Report) -> None:
    original, other = measured.row("original"), measured.row("other")
    assert original.metric == Metric("agreement", 100.0, 100.0, 100.0, 40)
    assert original.drop is not None
    assert original.drop.high == 0
    assert other.metric is not None
    assert (other.metric.name, other.metric.value) == ("agreement", 50.0)
    assert other.drop is not None
    assert (other.drop.value, other.drop.high) == (50.0, 100 - other.metric.low)
    assert {part.label: part.value for part in other.by_class} == {"negative": 100, "positive": 0}
    assert measured.notes == ()
    assert not measured.quality["other"].bins


def test_without_its_reference_nothing_is_right(
    artifact: Callable[..., Subject], examples: Examples, tmp_path: Any
) -> None:
    bare = replace(examples, targets=examples.targets.unknown(), labelled=False)
    absent = Subject("absent", "absent", "artifact", tmp_path / "nowhere", "openvino")
    report = benchmark([absent, artifact("one")], bare, reference="absent", settings=QUICK)
    assert (report.row("one").metric, report.row("one").drop) == (None, None)


def test_every_rendering_says_agreement(measured: Report) -> None:
    from rich.console import Console

    console = Console(width=160, record=True)
    print_report(measured, console)
    terminal, page = console.export_text(), render_html(measured)
    written = render_markdown(measured)
    for text in (terminal, page, written):
        assert "50.0% agreement with the original" in text
        assert "accura" not in text.lower()
        assert "at least 40% with the original" in text
        assert "50.0%" in text
    assert "agree" in terminal
    assert "agreement % (95%)" in written
    assert "100.0 (by definition)" in written
    assert "nobody labelled" in written
    assert "right answer" not in page.replace("right answers", "")
    assert "other and the original differ on 20 of 40 texts." in differences_line(measured)
    assert [one.title for one in matrices(measured)] == ["other"]
    assert not any("original" in cell.detail for row in class_rows(measured) for cell in row)
    assert "Do scores hold?" not in page
