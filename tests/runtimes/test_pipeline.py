"""The predictor: order, batching, padding and the single-text path all agree."""

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from runtimes import load, open_checkpoint
from runtimes.errors import ArtifactError, UsageError
from runtimes.pipeline import Predictor
from runtimes.registry import get_task
from runtimes.tokenization import Tokenizer

LABELS = ("sad", "fine", "glad")
TEXTS = st.lists(
    st.lists(st.sampled_from(["film", "witty", "dull", "not", ","]), max_size=12).map(" ".join)
)


class FakeSession:
    """A session in numpy, logits the mean of token vectors; it keeps the shapes it was given."""

    runtime = "fake"
    device = "cpu"
    precision = "fp32"

    def __init__(self, vectors: np.ndarray, *, padded: bool) -> None:
        self.vectors = vectors
        self.input_names = ("input_ids", "attention_mask") if padded else ("input_ids",)
        self.shapes: list[tuple[int, ...]] = []
        self.closed = False

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        assert set(inputs) == set(self.input_names)
        ids = inputs["input_ids"]
        self.shapes.append(ids.shape)
        weights = inputs.get("attention_mask", np.ones_like(ids))[..., None]
        return {"logits": (self.vectors[ids] * weights).sum(1) / weights.sum(1)}

    def close(self) -> None:
        self.closed = True


def _predictor(
    wordpiece: Backend,
    vectors: np.ndarray,
    *,
    padded: bool = True,
    labels: Any = LABELS,
    batch_invariant: bool = False,
    pairs: bool = True,
) -> Predictor:
    return Predictor(
        FakeSession(vectors, padded=padded),
        Tokenizer(wordpiece, max_length=16, pad_token_id=0),
        get_task("text-classification"),
        labels=labels,
        batch_invariant=batch_invariant,
        pairs=pairs,
    )


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "unpadded"])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, batch_size=st.integers(1, 5))
def test_batches_keep_the_order_and_do_not_mix_rows(
    wordpiece: Backend,
    token_vectors: np.ndarray,
    expected_logits: Callable[..., np.ndarray],
    padded: bool,
    texts: list[str],
    batch_size: int,
) -> None:
    predict = _predictor(wordpiece, token_vectors, padded=padded)
    logits = predict.logits(texts, batch_size)
    assert logits.shape == (len(texts), 3)
    assert logits.dtype == np.float32
    if texts:
        np.testing.assert_allclose(logits, expected_logits(texts), atol=1e-6)
    assert all(rows <= batch_size for rows, _ in predict.session.shapes)  # type: ignore[attr-defined]


def test_the_single_text_path_agrees_with_the_list_path(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors)
    for text in ("", "a witty film", "dull , not witty"):
        [one] = predict(text)
        [many] = predict([text])
        assert one["label"] == many["label"]
        assert one["score"] == pytest.approx(many["score"], abs=1e-6)


def test_inputs_of_similar_length_share_a_batch(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors)
    predict(["film " * 9, "film", "film " * 9, "film"], batch_size=2)
    assert predict.session.shapes == [(2, 3), (2, 11)]  # type: ignore[attr-defined]


def test_a_list_is_answered_text_by_text_unless_batches_are_asked_for(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors, batch_invariant=True)
    predict(["film " * 9, "film"], batch_size=2)
    assert sorted(predict.session.shapes) == [(1, 3), (1, 11)]  # type: ignore[attr-defined]


def test_encode_gives_just_what_the_session_takes(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors, padded=False)
    assert list(predict.encode(["a witty film"])) == ["input_ids"]


def test_it_closes_its_session(wordpiece: Backend, token_vectors: np.ndarray) -> None:
    with _predictor(wordpiece, token_vectors) as predict:
        pass
    assert predict.session.closed  # type: ignore[attr-defined]


def test_labels_that_do_not_fit_the_model_are_an_error(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors, labels=("bad", "good"))
    for inputs in (["film"], "film"):
        with pytest.raises(ArtifactError, match="3 outputs but 2 labels: bad, good"):
            predict(inputs)


@pytest.mark.parametrize("task", ["fill-mask", "token-classification"])
def test_a_model_of_another_task_is_an_error(
    wordpiece: Backend, token_vectors: np.ndarray, task: str
) -> None:
    tokenizer = Tokenizer(wordpiece, max_length=16, pad_token_id=0)
    session = FakeSession(token_vectors, padded=True)
    labels = () if task == "fill-mask" else LABELS
    with pytest.raises(ArtifactError, match=rf"shape \(1, 3\), which is not that of {task}"):
        Predictor(session, tokenizer, get_task(task), labels=labels)("film")


def test_a_batch_holds_at_least_one(wordpiece: Backend, token_vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        _predictor(wordpiece, token_vectors).logits(["film"], 0)


def test_texts_may_come_from_anything_that_can_be_gone_through(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors)
    texts = ["a witty film", "dull", ""]
    expected = predict(texts)
    for inputs in (
        (text for text in texts),
        np.array(texts),
        np.array(texts, dtype=object),
        pandas.Series(texts, index=[7, 5, 3]),
        datasets.Dataset.from_dict({"text": texts})["text"],
        dict.fromkeys(texts).keys(),
        deque(texts),
    ):
        if isinstance(inputs, type({}.keys())):  # in no order that a caller could rely on
            with pytest.raises(TypeError, match="not dict_keys"):
                predict(inputs)
        else:
            assert predict(inputs) == expected
    for wrong in (5, None, b"film", np.array(5), [texts], pandas.Series([1.5])):
        with pytest.raises(TypeError, match="Expected a text"):
            predict(wrong)


def test_arguments_of_pipelines_are_taken_or_refused_in_words(
    wordpiece: Backend, token_vectors: np.ndarray
) -> None:
    predict = _predictor(wordpiece, token_vectors)
    assert predict("film", truncation=True, max_length=16, batch_size=8) == predict("film")
    [answers] = predict(["film"], return_all_scores=True)
    assert [answer["label"] for answer in answers] == list(LABELS)
    assert sorted(answers, key=lambda a: -a["score"]) == predict(["film"], top_k=None)[0]
    for given_ in ({"truncation": False}, {"max_length": 512}):
        with pytest.raises(UsageError, match="reads 16 tokens") as error:
            predict("film", **given_)
        assert "truncated" in str(error.value.hint)


@pytest.mark.parametrize(
    "pair", [("a", "b"), {"text": "a", "text_pair": "b"}, ["film", ("a", "b")]]
)
def test_a_model_of_single_texts_refuses_pairs(
    wordpiece: Backend, token_vectors: np.ndarray, pair: Any
) -> None:
    predict = _predictor(wordpiece, token_vectors, pairs=False)
    with pytest.raises(UsageError, match=r"\('a', 'b'\) is a pair"):
        predict(pair)
    assert _predictor(wordpiece, token_vectors)(pair)


def test_it_says_what_it_is(artifact: Path) -> None:
    with load(artifact, threads=1) as predict:
        assert (predict.runtime, predict.device, predict.precision) == (
            "onnxruntime",
            "cpu",
            "fp32",
        )
        assert (predict.threads, predict.max_length) == (1, predict.tokenizer.max_length)
        assert repr(predict) == (
            f"<Predictor of {artifact}: text-classification, {len(predict.labels)} labels, at most "
            f"{predict.max_length} tokens; fp32 by onnxruntime on cpu, threads: 1>"
        )
    assert "Predictor" in repr(predict)  # also when closed


def test_several_threads_may_call_one_predictor(
    artifact: Path, expected_logits: Callable[..., np.ndarray]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from runtimes import load

    texts = [f"{'witty ' * (i % 7)}film" for i in range(64)]
    expected = expected_logits(texts).argmax(1)
    with load(artifact, threads=1) as predict, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(predict, texts))
    assert [answer[0]["label"] for answer in answers] == [LABELS[i] for i in expected]


@pytest.mark.parametrize("batch_invariant", [True, False])
def test_what_is_cut_is_said_beside_the_same_answers(
    wordpiece: Backend, token_vectors: np.ndarray, batch_invariant: bool
) -> None:
    predict = _predictor(wordpiece, token_vectors, batch_invariant=batch_invariant)
    texts = ["dull", "film " * 14, "film " * 15, "", "witty " * 90, "not a film"]
    found = predict.outputs(texts, 2, note_cut=True)
    assert found.cut == predict.truncated(texts) == [False, False, True, False, True, False]
    np.testing.assert_array_equal(found.logits, predict.outputs(texts, 2).logits)
    assert predict.outputs(texts).cut == []


def test_half_of_a_surrogate_pair_has_the_answer_of_no_character(
    wordpiece: Backend, token_vectors: np.ndarray, checkpoint: Path
) -> None:
    for predict in (
        _predictor(wordpiece, token_vectors, batch_invariant=True),
        open_checkpoint(checkpoint, threads=1),
    ):
        with predict:
            assert predict("a\ud83d film") == predict("a\ufffd film")
            assert predict(["\ud83d", "film"]) == predict(["\ufffd", "film"])
            assert predict(("film", "\ude00")) == predict(("film", "\ufffd"))
