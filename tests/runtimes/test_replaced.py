"""Whoever loads while an artifact is replaced gets the old one or the new one, and no error."""

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from runtimes import load, replaced
from runtimes.artifact import Manifest, previous_of, write_artifact
from runtimes.errors import ArtifactError

TEXT = "a gorgeous , witty film"
NAMES = (("a", "b", "c"), ("one", "two", "three"))


@pytest.fixture
def publish(
    artifact: Path,
    manifest: Manifest,
    wordpiece: Tokenizer,
    token_vectors: np.ndarray,
    write_onnx: Callable[..., Path],
) -> Callable[[int], None]:
    """`publish(0)` and `publish(1)` replace the artifact by one with another model and labels."""
    vectors = token_vectors.copy()

    def make(number: int) -> None:
        token_vectors[:] = vectors * (1, -1)[number]

        def populate(folder: Path) -> None:
            wordpiece.save(str(folder / "tokenizer.json"))
            write_onnx(folder / "onnx" / "model.onnx")

        write_artifact(artifact, dataclasses.replace(manifest, labels=NAMES[number]), populate)

    return make


@pytest.fixture
def answers(artifact: Path, publish: Callable[[int], None]) -> list[Any]:
    """What the two artifacts say."""
    found = []
    for number in (1, 0):
        publish(number)
        with load(artifact, threads=1) as predict:
            found.append(predict(TEXT))
    return found[::-1]


def test_a_load_between_the_two_renames_waits_for_the_second(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact.rename(previous_of(artifact))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            previous_of(artifact).rename(artifact)

    monkeypatch.setattr(time, "sleep", sleep)
    with load(artifact, threads=1) as predict:
        assert predict(TEXT)[0]["label"] in ("sad", "fine", "glad")
    assert len(slept) == 3


def test_where_the_second_rename_never_comes_it_says_where_the_artifact_is(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    previous = previous_of(artifact)
    artifact.rename(previous)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(ArtifactError, match="does not exist") as found:
        load(artifact)
    assert str(previous) in str(found.value)
    assert 1 <= sum(slept) <= 5
    with pytest.raises(ArtifactError, match="does not exist"):
        load(artifact.with_name("never"))
    assert len(slept) < 2 * replaced._TRIES  # which is not waited for


@pytest.mark.parametrize("verify", [True, False])
def test_old_labels_never_meet_a_new_model(
    artifact: Path,
    publish: Callable[[int], None],
    answers: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    verify: bool,
) -> None:
    """It is replaced after its manifest was read, and before its files are."""
    opened: list[Any] = []

    def read_content(folder: Path) -> bytes:
        content = (folder / "manifest.json").read_bytes()
        if not opened:
            publish(1)
        opened.append(content)
        return content

    monkeypatch.setattr("runtimes.loading.read_content", read_content)
    with load(artifact, threads=1, verify=verify) as predict:
        assert predict(TEXT) == answers[1]
    assert len(opened) == 2


def test_many_loads_while_it_is_replaced_again_and_again(
    artifact: Path, publish: Callable[[int], None], answers: list[Any]
) -> None:
    stop = threading.Event()

    def replace() -> None:
        number = 0
        while not stop.is_set():
            publish(number % 2)
            number += 1

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(25):
            with load(artifact, threads=1) as predict:
                assert predict(TEXT) in answers
    finally:
        stop.set()
        writer.join()


def test_a_second_rename_while_one_looks_for_it_is_seen(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    previous = replaced.previous_of(artifact)
    tries: list[bool] = []

    def attempt() -> Any:
        tries.append(artifact.exists())
        if len(tries) == 1:
            artifact.rename(previous)
            raise ArtifactError("a file of it is gone")
        return "opened"

    def finished(folder: Path) -> Path:
        previous.rename(folder)  # the writer's second rename; then it removes the earlier one
        return previous

    monkeypatch.setattr(replaced, "previous_of", finished)
    assert replaced.open_settled(artifact, attempt, verified=True) == "opened"
    assert tries == [True, True]


def test_damage_is_not_waited_for(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    (artifact / "onnx" / "model.onnx").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="has 1 bytes"):
        load(artifact)
    assert slept == []
