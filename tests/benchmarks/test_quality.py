"""Classes, confusions, calibration and differing texts: against libraries and by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from answered import ANSWERED, answered
from scipy.special import expit, softmax
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from benchmarks.differences import Answer, Item, bounded, compare, excerpt
from benchmarks.entities import entities
from benchmarks.labels import WordLabels
from benchmarks.metrics import ClassDrop
from benchmarks.quality import calibration
from benchmarks.report import Report
from benchmarks.tasks import get_measure

HAS_QUALITY = set(ANSWERED) - {"regression", "sentence-embedding"}


def test_classes_and_confusions_are_the_librarys() -> None:
    examples, logits, _ = answered("many labels")
    quality = get_measure(examples).quality(logits, examples)
    assert quality is not None
    predicted = logits.argmax(axis=1)
    names = range(len(examples.label_names))
    expected = precision_recall_fscore_support(
        examples.labels, predicted, labels=names, zero_division=0
    )
    found = [(c.precision / 100, c.recall / 100, c.f1 / 100, c.n) for c in quality.classes]
    assert np.array(found) == pytest.approx(np.array(expected).T)
    matrix = np.zeros((len(names), len(names)))
    for true, called, count in quality.confusions:
        matrix[true, called] = count
    assert (matrix == confusion_matrix(examples.labels, predicted, labels=names)).all()
    assert quality.names == examples.label_names


def test_labels_that_a_text_has_several_of_are_the_librarys() -> None:
    examples, logits, _ = answered("multi-label")
    quality = get_measure(examples).quality(logits, examples)
    assert quality is not None
    expected = precision_recall_fscore_support(examples.labels, logits > 0, zero_division=0)
    found = [(c.precision / 100, c.recall / 100, c.f1 / 100, c.n) for c in quality.classes]
    assert np.array(found) == pytest.approx(np.array(expected).T)
    assert quality.confusions == ()
    chances = expit(logits.astype(float))
    at_90 = next(t for t in quality.thresholds if t.score == 0.9)
    assert at_90.taken == pytest.approx((np.maximum(chances, 1 - chances) >= 0.9).mean())


def test_entities_are_counted_whole_and_words_by_kind() -> None:
    examples, logits, _ = answered("token-classification")
    quality = get_measure(examples).quality(logits, examples)
    assert quality is not None
    assert isinstance(examples.targets, WordLabels)
    tags = np.array(examples.label_names)
    parts = np.split(np.arange(len(logits)), examples.targets.starts[1:-1])
    true = [entities(tags[examples.labels[own]].tolist()) for own in parts]
    called = [entities(tags[logits.argmax(axis=1)[own]].tolist()) for own in parts]
    assert [c.label for c in quality.classes] == ["artist", "city"]
    for part in quality.classes:
        right = sum(e[0] == part.label for a, b in zip(true, called, strict=True) for e in a & b)
        said = sum(e[0] == part.label for own in called for e in own)
        assert part.n == sum(e[0] == part.label for own in true for e in own)
        assert part.precision == pytest.approx(100 * right / said)
        assert part.recall == pytest.approx(100 * right / part.n)
    assert quality.names == ("none", "artist", "city")
    assert sum(count for *_, count in quality.confusions) == len(examples.labels)


def test_scores_are_compared_with_what_is_right() -> None:
    draw = np.random.default_rng(3)
    confidence = draw.uniform(0.5, 1.0, 20_000)
    honest = calibration(confidence, draw.random(20_000) < confidence)
    boastful = calibration(confidence, draw.random(20_000) < confidence - 0.2)
    assert honest.calibration_error < 0.02
    assert boastful.calibration_error == pytest.approx(0.2, abs=0.02)
    assert [part.n for part in honest.bins] == [
        ((confidence >= low) & (confidence < low + 0.1)).sum() for low in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    at_90 = next(t for t in boastful.thresholds if t.score == 0.9)
    assert at_90.taken == pytest.approx(0.2, abs=0.02)
    assert at_90.right == pytest.approx(0.75, abs=0.03)
    none = calibration(np.array([0.3]), np.array([True])).thresholds[-1]
    assert (none.taken, none.right) == (0.0, None)
    sure = calibration(np.array([1.0]), np.array([True]))  # the last bin has its upper end
    assert [part.n for part in sure.bins] == [1]


def test_scores_of_classes_are_softmax() -> None:
    examples, logits, _ = answered("text-classification")
    quality = get_measure(examples).quality(logits, examples)
    assert quality is not None
    surest = softmax(logits.astype(float), axis=1).max(axis=1)
    at_80 = next(t for t in quality.thresholds if t.score == 0.8)
    assert at_80.taken == pytest.approx((surest >= 0.8).mean())
    right = logits.argmax(axis=1) == examples.labels
    assert at_80.right == pytest.approx(right[surest >= 0.8].mean())


@pytest.mark.parametrize("name", ANSWERED)
def test_every_task_tells_where_two_models_differ(name: str) -> None:
    examples, reference, logits = answered(name)
    measure = get_measure(examples)
    same = measure.differences(reference, reference, examples)
    assert (same.differing, same.texts) == (0, ())
    found = measure.differences(reference, logits, examples)
    assert same.items == found.items == 240
    assert 5 < found.differing == len(found.texts) < 240
    assert found.reference_right + found.answer_right <= found.differing
    assert found.reference_right > found.answer_right
    for one in found.texts:
        assert one.reference != one.answer
        assert one.label
        assert (one.reference_score is None) == (one.answer_score is None)
        assert all(0 <= s <= 1 for s in (one.reference_score, one.answer_score) if s is not None)
    if found.texts[0].reference_score is not None:
        sure = [min(t.reference_score or 0, t.answer_score or 0) for t in found.texts]
        assert sure == sorted(sure, reverse=True)
    quality = measure.quality(logits, examples)
    assert (quality is not None) == (name in HAS_QUALITY)
    if quality is not None:
        assert quality.bins
        assert bool(quality.classes) == (
            name in {"text-classification", "many labels", "multi-label", "token-classification"}
        )


def test_answers_are_in_words() -> None:
    told = {}
    for name in ANSWERED:
        examples, reference, logits = answered(name)
        told[name] = get_measure(examples).differences(reference, logits, examples).texts[0]
    assert {told["text-classification"].reference, told["text-classification"].answer} == {
        "negative",
        "positive",
    }
    assert "city: " in told["token-classification"].reference + told["token-classification"].answer
    assert told["multiple-choice"].label.startswith("it ends as ")
    assert float(told["regression"].answer) != float(told["regression"].reference)
    pair = told["sentence-embedding"]  # whose scores have another unit than cosines
    assert pair.label.startswith("score ")
    assert pair.reference.startswith("cosine ")
    assert pair.answer.startswith("cosine ")
    question = told["question-answering"]
    assert question.pair is not None
    assert len(question.pair) <= 602
    assert question.reference in (*question.pair.split(), "no answer", question.pair[:5].strip())


def test_a_long_text_is_shown_around_its_answer() -> None:
    text = " ".join(f"word{i}" for i in range(400))
    place = text.index("word333")
    shown = excerpt(text, place)
    assert "word333" in shown
    assert len(shown) <= 602
    assert shown[0] == shown[-1] == "\u2026"
    assert excerpt(text).startswith("word0")
    assert excerpt("short") == "short"


def test_a_number_of_texts_is_kept_and_all_are_counted() -> None:
    items = [Item(f"t{i}", "a") for i in range(9)]
    right = [Answer("a", 0.5 + i / 20, True) for i in range(9)]
    wrong = [Answer("b" if i % 2 else "a", 0.9, not i % 2) for i in range(9)]
    found = bounded(compare(items, right, wrong), 2)
    assert (found.items, found.differing, found.reference_right, found.answer_right) == (9, 4, 4, 0)
    assert [one.text for one in found.texts] == ["t7", "t5"]
    assert bounded(found, 0).texts == ()


def test_a_drop_in_a_class_has_its_interval() -> None:
    examples, reference, logits = answered("many labels", 1000)
    for part in get_measure(examples).drop_by_class(reference, logits, examples):
        assert part.low is not None
        assert part.high is not None
        assert part.low <= part.value <= part.high
        assert part.high - part.low < 60
    assert ClassDrop.of("x", np.array([1, 0, 0, 0])).value == 25
    same = get_measure(examples).drop_by_class(reference, reference, examples)
    assert {(part.value, part.low, part.high) for part in same} == {(0, 0, 0)}


@pytest.mark.parametrize("name", ANSWERED)
def test_a_report_keeps_them(report: Report, name: str) -> None:
    examples, reference, logits = answered(name)
    measure = get_measure(examples)
    quality = {
        row: found
        for row, own in (("teacher", reference), ("small", logits))
        if (found := measure.quality(own, examples)) is not None
    }
    differences = measure.differences(reference, logits, examples)
    told = replace(report, compared="small", quality=quality, differences=differences)
    again = Report.from_json(json.loads(json.dumps(told.to_json())))
    assert again.quality == quality
    assert again.differences == differences
    assert again.compared == "small"
