"""`/v1/embeddings`, as OpenAI's clients ask for it."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from served import Asker
from toy_tasks import TEXTS

from runtimes.pipeline import Predictor

PATH = "/v1/embeddings"


def test_vectors_are_the_predictors(
    served: Callable[[str], Asker], toy: Callable[[str], Predictor]
) -> None:
    asker, predictor = served("sentence-embedding"), toy("sentence-embedding")
    expected = predictor(TEXTS)
    plain = asker.ask(PATH, {"input": TEXTS, "model": "toy"}).json()
    assert [each["index"] for each in plain["data"]] == list(range(len(TEXTS)))
    assert [each["embedding"] for each in plain["data"]] == expected.tolist()
    packed = asker.ask(PATH, {"input": TEXTS, "model": "toy", "encoding_format": "base64"}).json()
    for each, row in zip(packed["data"], expected, strict=True):
        assert np.frombuffer(base64.b64decode(each["embedding"]), "<f4").tolist() == row.tolist()
    tokens = sum(int(predictor.tokenizer.rows([text]).lengths.sum()) for text in TEXTS)
    assert plain["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    alone = asker.ask(PATH, {"input": TEXTS[0], "dimensions": 32}).json()
    assert len(alone["data"]) == 1
    assert asker.ask("/v1/models").json()["data"][0]["id"] == "toy"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "text"),
        ({"input": []}, 422, "no text"),
        ({"input": [1, 2]}, 422, "tokens"),
        ({"input": "a", "model": "ada"}, 404, "'toy'"),
        ({"input": "a", "encoding_format": "hex"}, 422, "base64"),
        ({"input": "a", "dimensions": 7}, 422, "32"),
        ({"input": "a", "inputs": "b"}, 422, "input"),
        ({"input": ["a"] * 65}, 422, "64"),
    ],
)
def test_errors_have_the_form_that_clients_read(
    body: Any, status: int, said: str, served: Callable[[str], Asker]
) -> None:
    answer = served("sentence-embedding").ask(PATH, body)
    assert answer.status == status
    error = answer.json()["error"]
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"


def test_other_models_make_none(served: Callable[[str], Asker]) -> None:
    answer = served("text-classification").ask(PATH, {"input": "a"})
    assert answer.status == 404
    assert "/predict" in answer.json()["error"]["message"]
