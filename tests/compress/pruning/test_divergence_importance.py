"""Importance without labels: agrees with finite differences, and finds what is dead."""

from typing import Any

import numpy as np
import pytest
import torch

from compress.data.tokenized import TokenizedTexts, collate
from compress.encoder.masks import EncoderMasks
from compress.encoder.surgery import keep_layers
from compress.predictions.predict import predict_logits
from compress.pruning.importance import Importance, divergence_importance
from compress.system.progress import SilentProgress

SILENT = SilentProgress()


def expected_squares(model: Any, teacher: Any, texts: TokenizedTexts, index: int) -> Any:
    """By finite differences: sum over texts and classes of p(c) (d log q(c) / dm)^2."""
    step, total = 1e-4, 0.0
    for text in range(len(texts)):
        logs = []
        for change in (step, -step):
            masks = EncoderMasks.ones(model.config)
            tensors = [tensor.double() for tensor in (*masks.heads, *masks.neurons)]
            tensors[index][0] += change
            layers = len(masks.heads)
            changed = EncoderMasks(
                tuple(tensors[:layers]), tuple(tensors[layers:]), masks.layers.double()
            )
            with torch.no_grad():
                logits = model(**collate(texts, [text], 0), masks=changed).logits
            logs.append(logits[0].log_softmax(dim=0).numpy())
        chances = torch.from_numpy(teacher[text]).double().softmax(dim=0).numpy()
        total += float((chances * ((logs[0] - logs[1]) / (2 * step)) ** 2).sum())
    return total


def test_scores_agree_with_finite_differences(toy: Any) -> None:
    model = toy.make_model(seed=4, num_labels=3).double()
    teacher = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    texts = toy.texts.take(range(4))
    scores = divergence_importance(model, teacher, texts, progress=SILENT, batch_size=1)
    tensors = [*scores.heads, *scores.neurons]
    for index in range(6):
        expected = expected_squares(model, teacher, texts, index)
        assert tensors[index][0] == pytest.approx(expected, rel=1e-3)
        assert expected > 0


def test_a_batch_gives_what_single_texts_give(toy: Any) -> None:
    texts = toy.texts.take(range(64))
    model = toy.make_model(seed=4)
    teacher = predict_logits(toy.teacher, texts)
    alone, together = (
        divergence_importance(model, teacher, texts, progress=SILENT, batch_size=size, seed=size)
        for size in (1, 16)
    )
    for one, other in zip(
        [*alone.heads, *alone.neurons], [*together.heads, *together.neurons], strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-2, atol=1e-7)


def test_a_model_that_agrees_with_its_teacher_has_scores(toy: Any) -> None:
    """There a loss to the teacher has no gradient."""
    texts = toy.texts.take(range(16))
    model = toy.make_model(seed=4)
    own = predict_logits(model, texts)
    scores = divergence_importance(model, own, texts, progress=SILENT)
    assert all((layer > 0).all() for layer in scores.heads)


def test_what_is_dead_comes_last(toy: Any) -> None:
    model = keep_layers(toy.teacher, [0, 1, 2])
    with torch.no_grad():
        model.encoder.layers[1].feed_forward.down.weight[:, 5] = 0
        model.encoder.layers[1].attention.output.weight[:, 8:16] = 0
    texts = TokenizedTexts(toy.texts.ids[:64])
    scores = divergence_importance(
        model, predict_logits(toy.teacher, texts), texts, progress=SILENT
    )
    assert isinstance(scores, Importance)
    assert scores.neurons[1].argmin() == 5
    assert scores.neurons[1][5] == 0
    assert scores.heads[1].argmin() == 1
    assert scores.heads[1][1] == 0
    assert all(p.requires_grad for p in model.parameters())


def test_texts_of_one_decision_have_the_same_scores_with_every_seed(toy: Any) -> None:
    texts = toy.texts.take(range(32))
    teacher = predict_logits(toy.teacher, texts)
    model = toy.make_model(seed=4)
    first, other = (
        divergence_importance(model, teacher, texts, progress=SILENT, seed=seed) for seed in (1, 2)
    )
    np.testing.assert_array_equal(first.neurons[0], other.neurons[0])


def test_answers_to_other_texts_are_refused(toy: Any) -> None:
    with pytest.raises(ValueError, match="3 answers to 4 questions"):
        divergence_importance(
            toy.teacher, np.zeros((3, 2), np.float32), toy.texts.take(range(4)), progress=SILENT
        )
