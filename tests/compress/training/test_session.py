"""A training's folder is one training's at a time."""

from pathlib import Path

import pytest

from compress.errors import UsageError
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
