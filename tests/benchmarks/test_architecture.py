"""Pictures of what pruning kept."""

from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.render.architecture import Kept, describe_kept, render_kept

ORIGINAL = {
    "heads": [2, 2, 2],
    "neurons": [64, 64, 32],
    "head_importance": [[0.5, 0.1], [0.05, 0.05], [0.1, 0.2]],
    "neuron_importance": [0.6, 0.1, 0.3],
}


def member(**original: Any) -> dict[str, Any]:
    first = {
        "stage": "prune",
        "original": {**ORIGINAL, **original},
        "provenance": {"layers": [0, 1, 2], "heads": [[0, 1], [0], [0, 1]], "neurons": [64, 8, 32]},
    }
    last = {
        "stage": "prune",
        "provenance": {"layers": [0, 2], "heads": [[0], [0, 1]], "neurons": [48, 32]},
    }
    return {"name": "x2", "description": "2 layers <&>", "lineage": [first, {"stage": "x"}, last]}


def test_it_shows_the_last_of_what_was_left() -> None:
    kept = Kept.of(member())
    assert kept is not None
    assert kept.heads == ((0,), None, (0, 1))
    assert kept.neurons == (48, 0, 32)
    assert describe_kept(kept) == (
        "x2: layers 0, 2 of 3; 3 of 6 heads with 80% of the heads' importance; 80 of 160 neurons."
    )
    assert Kept.of({"name": "full", "description": "", "lineage": []}) is None


def test_the_picture_has_a_square_a_head_and_a_bar_a_layer() -> None:
    kept = Kept.of(member())
    assert kept is not None
    root = ElementTree.fromstring(render_kept(kept))
    boxes = [e.attrib for e in root.iter() if e.tag.endswith("rect")]
    kinds = [box["class"] for box in boxes]
    assert kinds.count("kept") == 3 + 2  # heads, and the filled part of two bars
    assert kinds.count("gone") == 3 + 3  # heads, and the outline of every bar
    strongest = max((box for box in boxes if box["class"] == "kept"), key=lambda b: b["opacity"])
    assert strongest["opacity"] == "1.00"
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert "x2: 2 layers <&>" in texts
    assert "removed" in texts
    assert "48 of 64" in texts
    width = float(root.attrib["width"])
    assert all(float(b["x"]) + float(b["width"]) <= width for b in boxes)


@pytest.mark.parametrize("name", ["head_importance", "neuron_importance"])
def test_without_importance_all_that_is_kept_is_drawn_alike(name: str) -> None:
    kept = Kept.of(member(**{name: None}))
    assert kept is not None
    assert 'opacity="1.00"' in render_kept(kept)
