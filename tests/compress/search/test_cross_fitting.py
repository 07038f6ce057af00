"""What a choice loses, by texts that choose it: right on average, and its interval holds."""

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.expected import expected_drop
from benchmarks.labels import ClassLabels
from benchmarks.metrics import CrossFitted
from compress.search.cross_fitting import cross_fitted
from compress.search.selection import Figures, fastest_inside

Logits = NDArray[np.float32]
NOISE = {"twin-a": 1.5, "twin-b": 1.5, "twin-c": 1.5, "twin-d": 1.5}
PACES = {name: ("a runtime", 9.0 - place) for place, name in enumerate(NOISE)}
within = partial(fastest_inside, max_drop=4.0, confidence=0.7)


def world(rng: np.random.Generator, texts: int) -> tuple[Logits, dict[str, Logits], Examples]:
    """A reference that is right as often as it says, and candidates that answer it with noise.

    Several lose the same, so that the one that is chosen is the luckiest of them.
    """
    reference = rng.normal(size=(texts, 2)) * 2
    chances = 1 / (1 + np.exp(reference[:, 0] - reference[:, 1]))
    labels = (rng.random(texts) < chances).astype(np.int64)
    found = {
        name: (reference + noise * rng.normal(size=reference.shape)).astype(np.float32)
        for name, noise in NOISE.items()
    }
    named = Examples(("text",) * texts, ClassLabels(labels), ("no", "yes"))
    return reference.astype(np.float32), found, named


def lost(reference: Logits, logits: Logits, examples: Examples) -> float:
    right = [each.argmax(axis=1) == examples.labels for each in (reference, logits)]
    return 100 * float(right[0].mean() - right[1].mean())


def chosen(figures: list[Figures]) -> int:
    """The luckiest."""
    return int(np.argmin([one.expected.value for one in figures]))


def test_a_winner_seems_better_than_it_is_and_cross_fitting_says_what_it_loses() -> None:
    rng = np.random.default_rng(0)
    truth = np.mean([lost(ref, found["twin-a"], of) for ref, found, of in [world(rng, 100_000)]])
    seen, crossed, covered = [], [], []
    for seed in range(25):
        reference, found, examples = world(rng, 200)
        place = chosen(
            [
                Figures(*PACES[name], expected_drop(reference, logits, examples.labels))
                for name, logits in found.items()
            ]
        )
        seen.append(lost(reference, list(found.values())[place], examples))
        estimate = cross_fitted(reference, found, PACES, examples, chosen, seed=seed, most=10)
        assert estimate is not None
        crossed.append(estimate.value)
        covered.append(estimate.low <= truth <= estimate.high)
    error = float(np.std(crossed)) / np.sqrt(25)
    assert float(np.mean(seen)) < truth - 2 * error
    assert float(np.mean(crossed)) == pytest.approx(truth, abs=3 * error)
    assert np.mean(covered) >= 0.9


def test_the_same_seed_gives_the_same_estimate() -> None:
    reference, found, examples = world(np.random.default_rng(1), 120)
    one, same, other = (
        cross_fitted(reference, found, PACES, examples, within, seed=seed, most=10)
        for seed in (3, 3, 4)
    )
    assert one == same != other
    assert isinstance(one, CrossFitted)
    assert (one.n, one.choices) == (120, 20)


def test_where_no_half_chooses_nothing_is_estimated() -> None:
    reference, found, examples = world(np.random.default_rng(2), 60)
    assert cross_fitted(reference, found, PACES, examples, lambda _: None, seed=0, most=3) is None


def test_halves_that_choose_nothing_are_counted_and_left_out() -> None:
    reference, found, examples = world(np.random.default_rng(3), 60)
    turns = iter(range(1000))
    estimate = cross_fitted(
        reference, found, PACES, examples, lambda _: 0 if next(turns) % 2 else None, seed=0, most=10
    )
    assert estimate is not None
    assert (estimate.choices, estimate.none) == (20, 10)
    assert estimate.low < lost(reference, found["twin-a"], examples) < estimate.high


def test_of_the_same_answers_nothing_is_lost_for_sure() -> None:
    reference, _, examples = world(np.random.default_rng(4), 60)
    same = cross_fitted(reference, {"twin-a": reference}, PACES, examples, within, seed=0, most=3)
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
