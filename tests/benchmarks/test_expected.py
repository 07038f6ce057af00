"""The expected drop: right on average, nearer to the truth than counting, sure of what is sure."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.expected import ExpectedDrop, expected_drop
from benchmarks.metrics import drop

Logits = NDArray[np.float32]


def world(
    rng: np.random.Generator, texts: int, classes: int, noise: float
) -> tuple[Logits, Logits, NDArray[np.int64]]:
    """A reference that is right as often as it says, and a model that answers it with noise."""
    reference = rng.normal(size=(texts, classes)) * 2
    chances = np.exp(reference) / np.exp(reference).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < rng.random((texts, 1))).sum(axis=1)
    model = reference + noise * rng.normal(size=reference.shape)
    # overconfident, as fine-tuned models are: the estimate must not believe the scale
    return (3 * reference).astype(np.float32), (5 * model).astype(np.float32), labels


def measured(reference: Logits, model: Logits, labels: NDArray[np.int64]) -> float:
    return drop(reference.argmax(axis=1), model.argmax(axis=1), labels).value


@pytest.mark.parametrize(("classes", "noise"), [(2, 0.8), (7, 0.8), (2, 2.5)])
def test_it_is_right_on_average_and_nearer_than_counting(classes: int, noise: float) -> None:
    rng = np.random.default_rng(classes)
    truth = measured(*world(rng, 200_000, classes, noise))
    estimates, counts, errors = [], [], []
    for _ in range(150):
        sample = world(rng, 400, classes, noise)
        estimate = expected_drop(*sample)
        estimates.append(estimate.value)
        errors.append(estimate.standard_error)
        counts.append(measured(*sample))
    spread = float(np.std(estimates))
    assert float(np.mean(estimates)) == pytest.approx(truth, abs=4 * spread / np.sqrt(150))
    assert float(np.mean(errors)) == pytest.approx(spread, rel=0.25)
    assert spread < 0.85 * float(np.std(counts))


def test_a_model_that_answers_noise_loses_what_it_loses() -> None:
    rng = np.random.default_rng(0)
    reference, _, labels = world(rng, 2000, 3, 0.0)
    noise = rng.normal(size=reference.shape).astype(np.float32)
    lost = measured(reference, noise, labels)
    assert lost > 20
    estimate = expected_drop(reference, noise, labels)
    assert estimate.value == pytest.approx(lost, abs=3 * estimate.standard_error)


def test_a_model_that_knows_more_than_the_reference_gains() -> None:
    rng = np.random.default_rng(1)
    reference, model, labels = world(rng, 2000, 2, 0.5)
    assert expected_drop(model, reference, labels).value < 0


def test_the_same_answers_lose_nothing_for_sure() -> None:
    reference, _, labels = world(np.random.default_rng(2), 50, 2, 0.0)
    assert expected_drop(reference, reference, labels) == ExpectedDrop(0.0, 0.0)
    estimate = expected_drop(reference, 2 * reference, labels)
    assert (estimate.value, estimate.standard_error) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_where_all_are_right_it_stays_finite() -> None:
    labels = np.tile([0, 1], 30)
    reference = np.where(labels[:, None] == [0, 1], 9.0, -9.0).astype(np.float32)
    model = reference.copy()
    model[0] = -model[0]
    estimate = expected_drop(reference, model, labels)
    assert 0 < estimate.value < 5
    assert 0 < estimate.standard_error < 5
    constant = np.zeros_like(reference)
    assert np.isfinite(expected_drop(reference, constant, labels).standard_error)


def test_classes_that_a_text_does_not_have_change_nothing() -> None:
    reference, model, labels = world(np.random.default_rng(4), 400, 3, 0.8)
    absent = np.full((400, 40), -30_000.0, dtype=np.float32)
    padded = expected_drop(np.hstack([reference, absent]), np.hstack([model, absent]), labels)
    plain = expected_drop(reference, model, labels)
    assert plain.value > 1
    assert (padded.value, padded.standard_error) == pytest.approx(
        (plain.value, plain.standard_error), rel=1e-6
    )


def test_of_a_vocabulary_the_likeliest_words_are_enough() -> None:
    rng = np.random.default_rng(5)
    reference = rng.normal(scale=6, size=(60, 2000)).astype(np.float32)
    labels = (reference + rng.gumbel(size=reference.shape)).argmax(axis=1)
    model = (reference + rng.normal(scale=2, size=reference.shape)).astype(np.float32)
    some = expected_drop(reference, model, labels)
    every = expected_drop(reference, model, labels, most_classes=2000)
    assert every.value > 5
    assert some.value == pytest.approx(every.value, rel=0.05)
    assert some.standard_error == pytest.approx(every.standard_error, rel=0.05)


@pytest.mark.parametrize("texts", [0, 1])
def test_too_few_texts(texts: int) -> None:
    logits = np.zeros((texts, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="needs"):
        expected_drop(logits, logits, np.zeros(texts, dtype=np.int64))


def test_what_does_not_fit() -> None:
    logits = np.zeros((3, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="needs"):
        expected_drop(logits, logits[:, :1], np.zeros(3, dtype=np.int64))


@pytest.mark.parametrize("answer", [np.nan, np.inf, -np.inf])
def test_answers_that_are_no_numbers_give_one(answer: float) -> None:
    reference, model, labels = world(np.random.default_rng(3), 60, 3, 0.5)
    for wrong in (model[:7], model):
        wrong[:] = answer
        estimate = expected_drop(reference, model, labels)
        assert np.isfinite([estimate.value, estimate.standard_error]).all()
    assert estimate.value > 10
