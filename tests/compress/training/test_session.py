"""A training's folder is one training's at a time."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import BertConfig, BertModel

from compress.errors import EdgepressError, UsageError
from compress.system import room
from compress.system.memory import Limit
from compress.training.session import Session
from compress.training.settings import TrainingSettings


def session(out: Path) -> Session:
    return Session("bert-mini", "films", out, TrainingSettings(), "fill-mask", "rows", None)


def test_two_trainings_never_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "teacher"
    with session(out).at_work() as scratch:
        (scratch / "mine").touch()
        with pytest.raises(UsageError, match="another training works on"), session(out).at_work():
            pass
        assert (scratch / "mine").exists()
    with pytest.raises(ValueError, match="a failure"), session(out).at_work():
        raise ValueError("a failure")
    with session(out).at_work() as again:  # neither an end nor a failure leaves it locked
        assert again == scratch


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = session(tmp_path / "file" / "below")
    with pytest.raises(UsageError, match="cannot be written to"), below.at_work():
        pass


@pytest.fixture
def model() -> BertModel:
    """107,456 weights, of which the 36,352 of the embeddings are frozen."""
    config = BertConfig(
        vocab_size=500,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    model = BertModel(config)
    model.embeddings.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (1e9, None),
        (1.2e6, r"needs about 430 kB in .*teacher and 3\.0 MB more .*; 1\.2 MB are free"),
        (1e5, "refused"),
    ],
)
def test_the_room_that_a_training_takes_is_said_before_it(
    model: BertModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, said: str | None
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    features = [{"input_ids": [1] * 9}, {"input_ids": [[1] * 20, [2] * 30]}]
    heard: list[str] = []
    with session(tmp_path / "teacher").at_work():
        begun = session(tmp_path / "teacher")
        if said == "refused":
            with pytest.raises(EdgepressError, match="too small: the training needs about"):
                begun.check_room(model, features, heard.append)
        else:
            begun.check_room(model, features, heard.append)
    assert bool(said and said != "refused") == bool(heard)
    if heard:
        assert re.search(str(said), heard[0])


def test_memory_that_will_not_do_is_said(
    model: BertModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "memory_limits", lambda: [Limit(10**9, "container")])
    heard: list[str] = []
    with session(tmp_path / "teacher").at_work():
        session(tmp_path / "teacher").check_room(model, [{"input_ids": [1]}], heard.append)
    assert heard == ["the training needs about 1.2 GB of memory; there are 1.0 GB (container)"]
