"""The Open Inference Protocol: what clients of KServe and Triton send and read."""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from served import Answer, Asker
from toy_tasks import ASKED, TEXTS

from runtimes.pipeline import Predictor

Served = Callable[[str], Asker]
Toy = Callable[[str], Predictor]
INFER = "/v2/models/toy/infer"
LENGTH = "Inference-Header-Content-Length"


def tensors(kind: str, inputs: list[Any]) -> list[dict[str, Any]]:
    """A tensor for each part of the inputs."""
    if isinstance(inputs[0], str):
        inputs = [{"text": text} for text in inputs]
    found = []
    for name in inputs[0]:
        values = [each[name] for each in inputs]
        shape = [len(values)]
        if isinstance(values[0], list):
            shape.append(len(values[0]))
            values = [text for row in values for text in row]
        found.append({"name": name, "datatype": "BYTES", "shape": shape, "data": values})
    return found


def outputs(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return {each["name"]: each for each in answer.json()["outputs"]}


@pytest.mark.parametrize("kind", [kind for kind in ASKED if kind != "multiple-choice"])
def test_every_task_answers_in_tensors(kind: str, served: Served, toy: Toy) -> None:
    inputs = ASKED[kind]
    expected: Any = toy(kind)(inputs)
    found = outputs(served(kind).ask(INFER, {"inputs": tensors(kind, inputs)}))
    described = served(kind).ask("/v2/models/toy").json()
    assert [each["name"] for each in described["outputs"]] == list(found)
    if kind == "sentence-embedding":
        assert found["embedding"]["shape"] == list(expected.shape)
        assert found["embedding"]["data"] == expected.ravel().tolist()
    elif "result" in found:
        written = [json.loads(text) for text in found["result"]["data"]]
        assert written == json.loads(json.dumps(expected, default=float))
    else:
        for name, tensor in found.items():
            assert tensor["shape"] == [len(inputs)]
            assert tensor["data"] == pytest.approx([each[name] for each in expected], abs=1e-6)


def test_choices_are_a_tensor_with_a_row_a_question(served: Served, toy: Toy) -> None:
    questions = [ASKED["multiple-choice"][0]] * 2
    asked = {"inputs": tensors("multiple-choice", questions)}
    found = outputs(served("multiple-choice").ask(INFER, asked))
    expected = toy("multiple-choice")(questions)
    assert found["answer"]["data"] == [each["answer"] for each in expected]
    assert found["index"]["data"] == [each["index"] for each in expected]


def test_tensors_come_and_go_in_bytes(served: Served, toy: Toy) -> None:
    texts = [text.encode() for text in (*TEXTS, "der Süden ☀")]
    packed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    head = json.dumps(
        {
            "id": "seven",
            "inputs": [
                {
                    "name": "text",
                    "datatype": "BYTES",
                    "shape": [len(texts), 1],
                    "parameters": {"binary_data_size": len(packed)},
                }
            ],
            "outputs": [
                {"name": "score", "parameters": {"binary_data": True}},
                {"name": "label", "parameters": {"binary_data": True}},
            ],
        }
    ).encode()
    answer = served("text-classification").ask(
        INFER, head + packed, **{LENGTH.replace("-", "_"): str(len(head))}
    )
    assert answer.status == 200, answer.body
    length = int(answer.headers[LENGTH.lower()])
    said, left = json.loads(answer.body[:length]), answer.body[length:]
    assert (said["id"], said["model_name"], said["model_version"]) == ("seven", "toy", "1")
    sizes = [each["parameters"]["binary_data_size"] for each in said["outputs"]]
    assert sum(sizes) == len(left)
    expected = toy("text-classification")([text.decode() for text in texts])
    assert np.frombuffer(left[: sizes[0]], "<f4") == pytest.approx(
        [each["score"] for each in expected]
    )
    labels, place = [], sizes[0]
    while place < len(left):
        (size,) = struct.unpack_from("<I", left, place)
        labels.append(left[place + 4 : place + 4 + size].decode())
        place += 4 + size
    assert labels == [each["label"] for each in expected]


def test_health_and_the_model_are_described(served: Served) -> None:
    asker = served("text-classification")
    assert asker.ask("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert asker.ask("/v2/health/live").json() == {"live": True}
    assert asker.ask("/v2/health/ready").json() == {"ready": True}
    assert asker.ask("/v2/models/toy/ready").json()["ready"] is True
    assert asker.ask("/v2/models/toy/versions/1").json()["versions"] == ["1"]
    assert asker.ask("/v2/models/other").status == 404
    assert asker.ask("/v2/models/toy/versions/2/ready").status == 404


def test_several_answers_an_input_have_a_place_of_their_own(served: Served) -> None:
    asked = {"inputs": tensors("", TEXTS[:2]), "parameters": {"top_k": 3}}
    found = outputs(served("text-classification").ask(INFER, asked))
    assert found["label"]["shape"] == found["score"]["shape"] == [2, 3]


TEXT = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"inputs": None}, "list of tensors"),
        ({"inputs": []}, "lacks the input 'text'"),
        ({"inputs": [{**TEXT, "name": "words"}]}, "'words'"),
        ({"inputs": [TEXT, TEXT]}, "twice"),
        ({"inputs": [{**TEXT, "datatype": "FP32"}]}, "BYTES"),
        ({"inputs": [{**TEXT, "shape": [2]}]}, "1 texts"),
        ({"inputs": [{**TEXT, "shape": [1, 1, 1]}]}, "shape"),
        ({"inputs": [{**TEXT, "shape": [1, 2], "data": ["a", "b"]}]}, "[N, 1]"),
        ({"inputs": [{**TEXT, "shape": [-1]}]}, "shape"),
        ({"inputs": [{**TEXT, "data": [5]}]}, "must be texts"),
        ({"inputs": [{**TEXT, "data": "a"}]}, "no data"),
        (
            {"inputs": [TEXT, {**TEXT, "name": "text_pair", "shape": [2], "data": ["a", "b"]}]},
            "as many rows",
        ),
        ({"inputs": [{**TEXT, "parameters": {"binary_data_size": 5}}]}, "0 bytes are left"),
        ({"outputs": [{"name": "logits"}]}, "label, score"),
        ({"outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "classification"),
        ({"parameters": {"priority": 1}}, "priority"),
        ({"id": 5}, "id"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], said: str, served: Served) -> None:
    answer = served("text-classification").ask(INFER, {"inputs": [TEXT], **changed})
    assert answer.status in (400, 422)
    assert said in " ".join(answer.json().values())


@pytest.mark.parametrize("packed", [b"\x01", b"\x05\x00\x00\x00abc", b"\x01\x00\x00\x00\xff", b""])
def test_bytes_that_are_no_texts_are_refused(packed: bytes, served: Served) -> None:
    tensor = {**TEXT, "parameters": {"binary_data_size": len(packed)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {LENGTH.replace("-", "_"): str(len(head))}
    answer = served("text-classification").ask(INFER, head + packed, **headers)
    assert answer.status in (400, 422)
    beyond = served("text-classification").ask(
        INFER, head, **{LENGTH.replace("-", "_"): str(len(head) + 1)}
    )
    assert beyond.status == 400
    behind = served("text-classification").ask(
        INFER, json.dumps({"inputs": [TEXT]}).encode() + b"more", **headers
    )
    assert behind.status == 400
