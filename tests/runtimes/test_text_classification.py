"""Results have the form and the numbers of `transformers.pipeline("text-classification")`."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes import open_checkpoint
from runtimes.errors import UsageError
from runtimes.tasks.base import Outputs
from runtimes.tasks.text_classification import parse, postprocess, postprocess_one, scores

TEXT = "a gorgeous , witty film"
PAIR = {"text": "a dull film", "text_pair": "not witty"}
CALLS: list[tuple[Any, dict[str, Any]]] = [
    (TEXT, {}),
    ([TEXT], {}),
    ([TEXT, "dull", ""], {}),
    (TEXT, {"top_k": None}),
    ([TEXT, "dull"], {"top_k": None}),
    (TEXT, {"top_k": 2}),
    ([TEXT, "dull"], {"top_k": 2}),
    (TEXT, {"top_k": 50}),
    (PAIR, {}),
    ([PAIR, PAIR], {}),
    (PAIR, {"top_k": None}),
    (TEXT, {"function_to_apply": "none"}),
    ([TEXT, "dull"], {"function_to_apply": "sigmoid", "top_k": None}),
]
HEADS = {
    "three classes": {"num_labels": 3},
    "multi-label": {"num_labels": 3, "problem_type": "multi_label_classification"},
    "one output": {"num_labels": 1},
    "regression": {"num_labels": 1, "problem_type": "regression"},
}


def _same(actual: Any, expected: Any) -> None:
    assert type(actual) is type(expected)
    if isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            _same(one, other)
    else:
        assert list(actual) == list(expected) == ["label", "score"]
        assert actual["label"] == expected["label"]
        assert type(actual["score"]) is float
        assert actual["score"] == pytest.approx(expected["score"], abs=1e-5)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_every_call_answers_as_the_transformers_pipeline(
    make_checkpoint: Callable[..., Path], head: dict[str, Any]
) -> None:
    from transformers import pipeline

    folder = make_checkpoint(**head)
    theirs = pipeline("text-classification", model=str(folder), device="cpu")
    with open_checkpoint(folder) as ours:
        for inputs, options in CALLS:
            _same(ours(inputs, **options), theirs(inputs, **options))


@given(
    logits=st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=9),
    problem_type=st.sampled_from(
        ["single_label_classification", "multi_label_classification", "regression"]
    ),
)
def test_the_short_way_for_one_input_gives_what_the_long_one_does(
    logits: list[float], problem_type: str
) -> None:
    labels = [f"c{i}" for i in range(len(logits))]
    row = np.array(logits, dtype=np.float32)
    one = postprocess_one(row, labels, problem_type)
    many = postprocess(Outputs(["a"], row[None]), labels, problem_type)[0]
    assert one["label"] == many["label"]
    assert math.isclose(one["score"], many["score"], rel_tol=1e-5, abs_tol=1e-7)


def test_scores_do_not_overflow() -> None:
    extreme = np.array([[1e4, -1e4]], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(scores(extreme, "softmax"), [[1, 0]])
        np.testing.assert_allclose(scores(extreme, "sigmoid"), [[1, 0]])


def test_texts_and_pairs_are_read_in_all_their_forms() -> None:
    assert parse("a").inputs == ["a"]
    assert parse(("a", "b")).inputs == [("a", "b")]
    assert parse({"text": "a", "text_pair": "b"}).inputs == [("a", "b")]
    assert parse([]).inputs == []
    assert parse(["a", {"text": "b"}, ("c", "d")]).inputs == ["a", "b", ("c", "d")]
    assert parse([]).shaped([]) == []


@pytest.mark.parametrize("wrong", [3, None, [3], [None], {"txt": "a"}, ("a", "b", "c"), b"a"])
def test_other_inputs_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="Expected a text"):
        parse(wrong)


def test_options_that_do_not_exist_are_refused() -> None:
    logits = Outputs(["a"], np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(UsageError, match="softmx"):
        postprocess(logits, "ab", "regression", function_to_apply="softmx")
    with pytest.raises(UsageError, match="top_k is 0"):
        postprocess(logits, "ab", "regression", top_k=0)
