"""The teacher's outputs are the same from the model, from the file, and half from each."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.corpus.teacher_outputs import TeacherOutputs
from compress.data.tokenized import collate


@pytest.mark.parametrize("limit", [0, 60_000, 10**9], ids=["no file", "some", "all"])
def test_batches_are_what_the_teacher_says(toy: Any, tmp_path: Path, limit: int) -> None:
    with closing(
        TeacherOutputs(toy.teacher, toy.texts, folder=tmp_path, limit_bytes=limit)
    ) as outputs:
        outputs.batch(np.arange(0, 40), (0, 2), 2)
        size = (tmp_path / "teacher-outputs.f16").stat().st_size
        assert size <= limit
        assert (size > 0) == (limit > 0)
        indices = np.asarray([3, 50, 7, 60])  # two from the file, two never met
        got = outputs.batch(indices, (0, 2), 2)
    inputs = collate(toy.texts, indices, 0)
    with torch.no_grad():
        expected = toy.teacher(**inputs, output_hidden_states=True, output_qkv=True)
    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(got.logits, expected.logits, atol=1e-4, rtol=1e-4)
    for layer in (0, 2):
        own, wanted = got.hidden[layer][real], expected.hidden_states[layer + 1][real]
        torch.testing.assert_close(own, wanted, atol=5e-3, rtol=5e-3)
    assert got.qkv is not None
    for ours, theirs in zip(got.qkv, expected.qkv[2], strict=True):
        own, wanted = (x.transpose(1, 2)[real] for x in (ours, theirs))
        torch.testing.assert_close(own, wanted, atol=5e-3, rtol=5e-3)
    assert not list(tmp_path.iterdir())


def counted(toy: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts the teacher is asked at once, a number for each time from now on."""
    calls: list[int] = []
    forward = toy.teacher.forward

    def asked(**inputs: Any) -> Any:
        calls.append(len(inputs["input_ids"]))
        return forward(**inputs)

    monkeypatch.setattr(toy.teacher, "forward", asked)
    return calls


def test_a_text_is_computed_once(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(toy, monkeypatch)
    with closing(TeacherOutputs(toy.teacher, toy.texts, folder=tmp_path)) as outputs:
        outputs.batch(np.arange(8), (1,))
        outputs.batch(np.arange(4, 12), (1,))
        outputs.batch(np.arange(12), (1,))
        assert calls == [8, 4]
        outputs.batch(np.arange(6), (2, 1))  # another student, which learns from one layer more
        outputs.batch(np.arange(12), (1,))
        outputs.batch(np.arange(6), (2,))
    assert calls == [8, 4, 6]


def test_what_is_learnt_ahead_is_not_computed_again(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = np.array([7, 3, 50, 3, 60])
    with closing(TeacherOutputs(toy.teacher, toy.texts, folder=tmp_path)) as outputs:
        expected = outputs.batch(indices, (1,), 2)
    calls = counted(toy, monkeypatch)
    for limit, asked in ((10**9, [4]), (0, [5])):  # without room, when they are asked for
        calls.clear()
        with closing(
            TeacherOutputs(toy.teacher, toy.texts, folder=tmp_path, limit_bytes=limit)
        ) as outputs:
            outputs.learn(indices, (1,), 2)
            outputs.learn(indices, (1,), 2)
            found = outputs.batch(indices, (1,), 2)
        assert calls == asked
        torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.hidden[1], expected.hidden[1], atol=5e-3, rtol=5e-3)


def test_logits_alone_need_no_file(toy: Any, tmp_path: Path) -> None:
    with closing(TeacherOutputs(toy.teacher, toy.texts, folder=tmp_path)) as outputs:
        batch = outputs.batch(np.arange(4))
        assert (tmp_path / "teacher-outputs.f16").stat().st_size == 0
    assert batch.hidden == {}
    assert batch.qkv is None


def test_texts_that_come_later_are_served_beside_the_first(toy: Any, tmp_path: Path) -> None:
    later = toy.texts.take(np.arange(60, 30, -1))
    with closing(
        TeacherOutputs(toy.teacher, toy.texts.take(np.arange(20)), folder=tmp_path)
    ) as outputs:
        before = outputs.batch(np.arange(6), (1,))
        indices = outputs.extend(later)
        assert indices.tolist() == list(range(20, 50))
        again = outputs.batch(np.arange(6), (1,))
        torch.testing.assert_close(again.logits, before.logits)
        torch.testing.assert_close(again.hidden[1], before.hidden[1])
        got = outputs.batch(indices[:4], (1,))
    inputs = collate(later, np.arange(4), 0)
    with torch.no_grad():
        expected = toy.teacher(**inputs, output_hidden_states=True)
    torch.testing.assert_close(got.logits, expected.logits, atol=1e-4, rtol=1e-4)
