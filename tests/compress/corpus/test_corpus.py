"""What students learn from: the given texts every time, new generated ones for each draw."""

from pathlib import Path
from typing import Any

import numpy as np


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
