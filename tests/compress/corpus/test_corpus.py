"""What students learn from: the given texts every time, new generated ones for each draw."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import WordLabels
from compress.corpus.corpus import Material, set_aside


def words(outputs: Any, indices: Any) -> list[tuple[int, ...]]:
    return [tuple(outputs.texts.ids[index].tolist()) for index in indices]


def test_a_draw_has_the_given_texts_and_new_ones(toy: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"most_texts": 60_000, "copies": 2}
    with toy.context(tmp_path).material as material:
        count = len(material.texts)
        outputs, first = material.pool(**settings, draw=0)
        _, second = material.pool(**settings, draw=1)
        assert len(first) == len(second) == 3 * count
        np.testing.assert_array_equal(first[:count], second[:count])
        generated = words(outputs, first[count:])
        assert len(set(generated) & set(words(outputs, second[count:]))) < len(set(generated)) / 2
        assert material.pool(**settings, draw=0)[0] is outputs
        np.testing.assert_array_equal(material.pool(**settings, draw=0)[1], first)


def test_a_draw_does_not_depend_on_those_before_it(toy: Any, tmp_path: Path) -> None:
    """A run that goes on from its checkpoints skips the first draws."""
    settings: dict[str, Any] = {"most_texts": 60_000, "copies": 1}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with toy.context(tmp_path / "a").material as material:
        material.pool(**settings, draw=0)
        outputs, indices = material.pool(**settings, draw=1)
        whole = words(outputs, indices)
    with toy.context(tmp_path / "b").material as material:
        assert words(*material.pool(**settings, draw=1)) == whole


def test_without_generated_text_all_draws_are_the_same(toy: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"most_texts": 60_000, "copies": 0}
    with toy.context(tmp_path).material as material:
        _, first = material.pool(**settings, draw=0)
        _, second = material.pool(**settings, draw=5)
    np.testing.assert_array_equal(first, second)


def material_of(toy: Any, folder: Path, count: int, seed: int = 0) -> Material:
    return Material(
        toy.teacher,
        toy.tokenizer,
        toy.make_examples(count, 5),
        toy.selection,
        max_length=24,
        seed=seed,
        scratch=folder,
    )


def test_decisions_in_training_have_texts_of_their_own(toy: Any, tmp_path: Path) -> None:
    with material_of(toy, tmp_path, 1500) as material:
        assert len(material.guide.examples) == 150
        assert len(material.learnt) == 1350
        # all that is learnt from, scored, refitted or calibrated on is drawn from the others
        held = words(material.guide, range(150))
        outputs, indices = material.pool(most_texts=60_000, copies=0, draw=0)
        assert len(indices) == 1350
        assert words(outputs, indices) == [tuple(ids) for ids in material.learnt.ids]
        assert len(material.sample(5000, "importance")) == 1350
        assert sorted(held + words(outputs, indices)) == sorted(
            tuple(ids) for ids in material.texts.ids
        )
    with material_of(toy, tmp_path, 5000) as material:
        assert len(material.guide.examples) == 400


def test_the_texts_set_aside_depend_on_the_seed_alone(toy: Any, tmp_path: Path) -> None:
    parts = [material_of(toy, tmp_path, 1200, seed).guide.examples.texts for seed in (3, 3, 4)]
    assert parts[0] == parts[1] != parts[2]


def test_of_little_training_text_nothing_is_set_aside(toy: Any, tmp_path: Path) -> None:
    with material_of(toy, tmp_path, 600) as material:
        assert len(material.learnt) == 600
        assert len(material.guide.examples) == 400
    with material_of(toy, tmp_path, 50) as material:
        assert len(material.guide.examples) == len(material.learnt) == 50


def test_texts_are_set_aside_whatever_is_known_of_their_labels(toy: Any, tmp_path: Path) -> None:
    words_of = WordLabels(np.full(3600, WordLabels.NONE), np.full(1200, 3))
    unlabelled = Examples(("a good film",) * 1200, words_of, ("O", "B-x"), labelled=False)
    learnt, guide = set_aside(unlabelled, 0)
    assert (len(learnt), len(guide)) == (1080, 120)
    assert len(guide.labels) == 360
