"""`POST /predict`: the answers of the predictor, in the form of the hub's inference API."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from served import Asker
from toy_tasks import ASKED, TEXTS

from runtimes.pipeline import Predictor

Served = Callable[[str], Asker]
Toy = Callable[[str], Predictor]


def plain(value: Any) -> Any:
    """As it comes out of JSON."""
    return json.loads(json.dumps(value, default=lambda array: array.tolist()))


@pytest.mark.parametrize("kind", ASKED)
def test_every_task_answers_as_the_predictor_does(kind: str, served: Served, toy: Toy) -> None:
    predictor, asker, inputs = toy(kind), served(kind), ASKED[kind]
    ranked = {"top_k": 5} if kind in ("text-classification", "pairs") else {}
    expected = plain(predictor(inputs, **ranked))
    assert asker.predict(inputs) == expected
    for one, answer in zip(inputs, expected, strict=True):
        # Classes of a text alone are a list in a list, as the hub has it.
        assert asker.predict(one) == ([answer] if ranked else answer)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("text-classification", {"top_k": 2, "function_to_apply": "sigmoid"}),
        ("token-classification", {"aggregation_strategy": "simple", "ignore_labels": []}),
        ("question-answering", {"top_k": 3, "max_answer_len": 2}),
        ("fill-mask", {"top_k": 2}),
    ],
)
def test_parameters_are_those_of_the_pipeline(
    kind: str, parameters: dict[str, Any], served: Served, toy: Toy
) -> None:
    expected = plain(toy(kind)(ASKED[kind], **parameters))
    assert expected != plain(toy(kind)(ASKED[kind]))
    assert served(kind).predict(ASKED[kind], **parameters) == expected


def test_the_best_class_alone_is_still_a_list(served: Served) -> None:
    [[best]] = served("text-classification").predict(TEXTS[0], top_k=1)
    first = served("text-classification").predict(TEXTS[0])[0][0]
    assert best["label"] == first["label"]
    assert best["score"] == pytest.approx(first["score"], abs=1e-6)


def test_the_hubs_own_client_reads_the_answers(
    served: Served, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import InferenceClient, constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # it asks this machine alone

    def client(kind: str) -> InferenceClient:
        return InferenceClient(model=f"{served(kind).url}/predict", timeout=60)

    text = TEXTS[0]
    [best, *_] = client("text-classification").text_classification(text)
    assert best.label == toy("text-classification")(text)[0]["label"]
    tagged = client("token-classification").token_classification(
        text, aggregation_strategy="simple", ignore_labels=[]
    )
    assert [each.word for each in tagged]
    asked = ASKED["question-answering"][0]
    found = client("question-answering").question_answering(**asked)
    assert found.answer == toy("question-answering")(asked)["answer"]
    filled = client("fill-mask").fill_mask(ASKED["fill-mask"][0], top_k=2)
    assert len(filled) == 2
    vector = client("sentence-embedding").feature_extraction(text)
    assert vector == pytest.approx(toy("sentence-embedding")(text), abs=1e-6)


def test_sentences_are_compared(served: Served, toy: Toy) -> None:
    vectors = toy("sentence-embedding")(TEXTS[:3]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:3]}
    found = served("sentence-embedding").predict(asked)
    assert found == pytest.approx((vectors[1:] @ vectors[0]).tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "line 1"),
        (b"\xff{}", 400, "no JSON"),
        (b"[" * 100_000, 400, "nested"),
        (b"[]", 400, "a list"),
        ({}, 422, "'inputs'"),
        ({"inputs": 5}, 422, "a text"),
        ({"inputs": {"txt": "a"}}, 422, "txt"),
        ({"inputs": ["a", 5]}, 422, "5"),
        ({"inputs": "a", "parameter": {}}, 422, "parameters"),
        ({"inputs": "a", "parameters": []}, 422, "parameters"),
        ({"inputs": "a", "parameters": {"topk": 1}}, 422, "top_k"),
        ({"inputs": "a", "parameters": {"top_k": 0}}, 422, "top_k is 0"),
        ({"inputs": "a", "parameters": {"top_k": "many"}}, 422, "str"),
        ({"inputs": "a", "parameters": {"top_k": 10**9}}, 422, "1000"),
        ({"inputs": "a", "parameters": {"function_to_apply": "relu"}}, 422, "softmax"),
    ],
)
def test_what_is_wrong_is_named(body: Any, status: int, said: str, served: Served) -> None:
    answer = served("text-classification").ask("/predict", body)
    assert answer.status == status
    assert said in " ".join(answer.json().values())


def test_other_addresses_and_methods_are_named(served: Served) -> None:
    asker = served("text-classification")
    assert "/predict" in asker.ask("/predictt").json()["hint"]
    wrong = asker.ask("/predict")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert "POST" in wrong.json()["error"]
    assert asker.ask("/predict", b"{}", Content_Encoding="gzip").status == 415


@settings(
    max_examples=150,
    deadline=10_000,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example("/predict", b'{"inputs": "\\ud83d"}')
@example("/predict", b'{"inputs": "a", "parameters": {"top_k": NaN}}')
@example("/predict", b'{"inputs": "a", "inputs": "b"}')
@example("/v2/models/toy/infer", b'{"inputs": [{"name": "text", "shape": [1e999]}]}')
@given(
    st.sampled_from(["/predict", "/v2/models/toy/infer", "/v1/embeddings"]),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("inputs", "parameters", "top_k", "text", "name", "shape", "data"),
                        *("datatype", "outputs", "id", "input", "encoding_format", "BYTES", "x"),
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_body_is_answered_or_refused_in_words(
    served: Served, toy: Toy, path: str, body: bytes
) -> None:
    for kind in ("text-classification", "sentence-embedding"):
        answer = served(kind).ask(path, body)
        assert answer.status in (200, 400, 404, 422), answer.body
        assert answer.status == 200 or answer.json()["error"]
