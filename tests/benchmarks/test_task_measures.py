"""Several labels a text, and scores: metrics, drops and their intervals."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import f1_score

from benchmarks.examples import Examples
from benchmarks.labels import LabelSets, Scores
from benchmarks.tasks import get_measure


def several(count: int = 300) -> tuple[Examples, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random((count, 3)) < [0.5, 0.3, 0.1]).astype(np.int64)
    logits = (4 * labels - 2 + 2 * rng.normal(size=labels.shape)).astype(np.float32)
    examples = Examples(
        tuple(f"t{i}" for i in range(count)),
        LabelSets(labels),
        ("a", "b", "c"),
    )
    return examples, logits


def scored(count: int = 300) -> tuple[Examples, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=count)
    logits = (labels + rng.normal(size=count) / 2).astype(np.float32)[:, None]
    examples = Examples(tuple(f"t{i}" for i in range(count)), Scores(labels), ("score",))
    return examples, logits


def test_f1_of_several_labels_is_the_librarys() -> None:
    examples, logits = several()
    metric = get_measure(examples).metric(logits, examples)
    expected = 100 * f1_score(examples.labels, logits > 0, average="micro")
    assert metric.value == pytest.approx(expected)
    assert metric.low < metric.value < metric.high
    by_class = get_measure(examples).drop_by_class(examples.labels - 0.5, logits, examples)
    recall = (logits > 0)[examples.labels[:, 0] == 1, 0].mean()
    assert by_class[0].value == pytest.approx(100 * (1 - recall))


def test_pearson_is_the_librarys() -> None:
    examples, logits = scored()
    metric = get_measure(examples).metric(logits, examples)
    assert metric.value == pytest.approx(100 * pearsonr(logits[:, 0], examples.labels).statistic)
    assert metric.low < metric.value < metric.high
    constant = get_measure(examples).metric(np.zeros_like(logits), examples)
    assert constant.value == 0


@pytest.mark.parametrize("make", [several, scored])
def test_drops_are_paired(make: object) -> None:
    examples, logits = make()  # type: ignore[operator]
    measure = get_measure(examples)
    worse = logits + 3 * np.random.default_rng(1).normal(size=logits.shape).astype(np.float32)
    drop = measure.drop(logits, worse, examples, seed=0)
    difference = measure.metric(logits, examples).value - measure.metric(worse, examples).value
    assert drop.value == pytest.approx(difference)
    assert 0 < drop.low < drop.value < drop.high
    assert drop.p_value < 0.05
    same = measure.drop(logits, logits, examples, seed=0)
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    expected = measure.expected_drop(logits, worse, examples)
    assert expected.value == pytest.approx(difference)
    assert 0 < expected.standard_error < drop.value
    assert measure.changed(logits, worse).mean() > 0.1
    assert not measure.changed(logits, logits).any()


@pytest.mark.parametrize("make", [several, scored])
def test_parts_are_alike(make: object) -> None:
    from compress.data.splitting import stratified

    examples, _ = make()  # type: ignore[operator]
    first, second = stratified(examples, (0.5, 0.5), seed=0)
    assert first.problem_type == examples.problem_type
    assert len(first) == len(second) == 150
    apart = np.abs(first.labels.mean(axis=0) - second.labels.mean(axis=0)).max()
    assert apart < 0.1
