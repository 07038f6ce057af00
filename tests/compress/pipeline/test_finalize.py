"""What a run does at its end within a time budget."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from compress.pipeline import finalize


@pytest.mark.parametrize(("left_s", "tried"), [(None, True), (300, False), (3000, True)])
def test_other_schemes_are_tried_while_there_is_time(
    left_s: float | None, tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def alternatives(*given: Any) -> Any:
        asked.append(given)
        return [], ("tried",)

    monkeypatch.setattr(finalize, "_alternatives", alternatives)
    deadline = None if left_s is None else time.monotonic() + left_s
    family: Any = SimpleNamespace(deadline=deadline, export_s=100.0)
    decision = finalize._Decision(None, (), (), ("before",))
    job: Any = None
    found = finalize._refine(job, family, job, decision)
    assert bool(asked) == tried
    said = "tried" if tried else "Other schemes were not tried: the time budget is used up."
    assert found.reasons == ("before", said)
