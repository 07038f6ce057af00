"""What the page to try a model on asks: both models, the same inputs, rows and milliseconds."""

from collections.abc import Callable
from typing import Any

import pytest
from served import in_thread
from toy_tasks import ASKED

from runtimes.pipeline import Predictor
from runtimes.serving.demo import Demo

PAGE = "<!doctype html><title>try it</title>"


@pytest.mark.parametrize("kind", ASKED)
def test_both_models_answer(kind: str, toy: Callable[[str], Predictor], kept: Any) -> None:
    demo = Demo(lambda _: PAGE, kept(toy(kind)))
    inputs = ASKED[kind][:2] if kind == "sentence-embedding" else ASKED[kind][0]
    with in_thread(kept(toy(kind)), demo) as asker:
        page = asker.ask("/")
        assert page.body.decode() == PAGE
        assert "default-src 'none'" in page.headers["content-security-policy"]
        found = asker.ask("/demo/ask", {"inputs": inputs}).json()
        assert found.keys() == {"small", "original"}
        assert found["small"]["rows"] == found["original"]["rows"]
        assert found["small"]["ms"] > 0
        rows = found["small"]["rows"]
        assert all({"name", "score"} <= row.keys() for row in rows)
        if kind == "question-answering":
            assert inputs["context"][rows[0]["start"] : rows[0]["end"]] == rows[0]["name"]
        assert asker.ask("/demo/ask", {"inputs": 5}).status == 422
        assert asker.ask("/demo/ask", {"texts": inputs}).status == 422


def test_without_the_original_the_small_one_answers_alone(
    toy: Callable[[str], Predictor], kept: Any
) -> None:
    with in_thread(kept(toy("text-classification")), Demo(lambda _: PAGE)) as asker:
        found = asker.ask("/demo/ask", {"inputs": "cold"}).json()
        assert found.keys() == {"small"}
        assert [row["score"] for row in found["small"]["rows"]] == sorted(
            (row["score"] for row in found["small"]["rows"]), reverse=True
        )
