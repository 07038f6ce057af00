"""The training loop."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import compress.training.loop
from compress.errors import ModelError
from compress.system.progress import LineProgress, SilentProgress
from compress.training.loop import Evaluation, fit

pytestmark = pytest.mark.usefixtures("single_precision")


def line() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(64, 3)
    return nn.Linear(3, 1), x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3


def train(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Callable[[Any], torch.Tensor] | None = None,
    **settings: Any,
) -> Any:
    defaults: dict[str, Any] = {"epochs": 60, "learning_rate": 0.1, "weight_decay": 0.0}
    return fit(
        model,
        loss or (lambda rows: (model(x[rows]) - y[rows]).square().mean()),
        lambda epoch: torch.arange(64).split(16),
        description="line",
        **{"progress": SilentProgress(), **defaults, **settings},
    )


def test_learns_and_repeats_itself() -> None:
    model, x, y = line()
    assert train(model, x, y) == 240
    again, *_ = line()
    train(again, x, y)
    assert (model(x) - y).square().mean() < 1e-3
    assert torch.equal(model.weight, again.weight)  # type: ignore[arg-type]


def test_bfloat16_trains_weights_that_stay_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress.training.loop, "has_bfloat16", lambda device: True)
    model, x, y = line()
    multiplied = []

    def loss(rows: torch.Tensor) -> torch.Tensor:
        answers = model(x[rows])
        multiplied.append(answers.dtype)
        return (answers.float() - y[rows]).square().mean()

    train(model, x, y, loss)
    assert set(multiplied) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert (model(x) - y).square().mean() < 1e-2


def test_a_fraction_of_an_epoch() -> None:
    model, x, y = line()
    assert train(model, x, y, epochs=1.5) == 6


def test_steps_are_fewer_where_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a second, a look at the model two: 40 seconds are 32 steps and four looks."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(compress.training.loop, "time", clock)
    model, x, y = line()
    looks: list[int] = []

    def evaluate() -> Evaluation:
        now[0] += 2
        looks.append(round(now[0]))
        return Evaluation((now[0],), {})

    def step_loss(rows: Any) -> torch.Tensor:
        now[0] += 1
        return (model(x[rows]) - y[rows]).square().mean()

    rates: list[float] = []
    given = partial(
        fit,
        model,
        step_loss,
        lambda epoch: torch.arange(64).split(16),
        epochs=60,
        learning_rate=0.1,
        description="line",
        progress=SilentProgress(),
        evaluate=evaluate,
        evaluations=3,
        last_phase=(0.5, lambda: bool(rates.append(now[0]))),
    )
    assert given(seconds=40) == 32
    assert now == [40]
    assert len(looks) == 4
    assert looks[-1] == 40  # after the last step
    assert rates == [2 + 16 + 2]  # half way of the steps that there are
    assert given(seconds=None) == 240


def test_the_pace_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first twelve steps take a second each, the others three, as where a teacher answered
    beforehand for as many batches."""
    now, steps = [0.0], [0]
    monkeypatch.setattr(compress.training.loop, "time", SimpleNamespace(monotonic=lambda: now[0]))
    model, x, y = line()

    def step_loss(rows: Any) -> torch.Tensor:
        steps[0] += 1
        now[0] += 1 if steps[0] <= 12 else 3
        return (model(x[rows]) - y[rows]).square().mean()

    assert train(model, x, y, step_loss, epochs=500, seconds=600) == steps[0]
    assert 600 <= now[0] < 640  # told by the first ten steps alone it would be 1,776


def test_no_epochs_change_nothing_but_are_evaluated() -> None:
    model, x, y = line()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    looks: list[Evaluation] = []

    def evaluate() -> Evaluation:
        looks.append(Evaluation((1.0,), {"accuracy": 1.0}))
        return looks[-1]

    assert train(model, x, y, epochs=0, evaluate=evaluate) == 0
    assert len(looks) == 1
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_frozen_parameters_stay() -> None:
    model, x, y = line()
    model.bias.requires_grad_(False)  # type: ignore[union-attr]
    before = model.bias.clone()  # type: ignore[operator, union-attr]
    train(model, x, y, weight_decay=0.1)
    assert torch.equal(model.bias, before)  # type: ignore[arg-type]


def test_only_matrices_decay() -> None:
    model, x, _ = line()
    weight, bias = model.weight.clone(), model.bias.clone()  # type: ignore[operator, union-attr]
    fit(
        model,
        lambda _: model(x).sum() * 0.0,
        lambda epoch: [0] * 10,
        epochs=1,
        learning_rate=0.1,
        weight_decay=0.5,
        progress=SilentProgress(),
        description="decay",
    )
    assert model.weight.abs().sum() < weight.abs().sum() * 0.9  # type: ignore[operator, union-attr]
    assert torch.equal(model.bias, bias)  # type: ignore[arg-type]


def test_the_best_weights_win_over_the_last() -> None:
    model, x, y = line()
    scores = iter([1.0, 5.0, 3.0, 2.0])
    seen: list[torch.Tensor] = []

    def evaluate() -> Evaluation:
        seen.append(model.weight.detach().clone())  # type: ignore[operator, union-attr]
        score = next(scores)
        return Evaluation((score,), {"accuracy": score})

    train(model, x, y, epochs=2, evaluate=evaluate, evaluations=3)
    assert torch.equal(model.weight, seen[1])  # type: ignore[arg-type]
    assert len(seen) == 4  # before the first step, and three times
    assert not torch.equal(seen[1], seen[-1])


def test_dropout_is_off_and_the_mode_and_random_state_stay() -> None:
    layer = nn.Dropout(0.5)
    model = nn.Sequential(nn.Linear(4, 4), layer).train()
    modes: list[bool] = []

    def loss(_: int) -> torch.Tensor:
        modes.append(layer.training)
        return model(torch.ones(2, 4)).sum()

    state = torch.random.get_rng_state()
    fit(
        model,
        loss,
        lambda epoch: [0, 1],
        epochs=1,
        learning_rate=0.01,
        progress=SilentProgress(),
        description="dropout",
    )
    assert modes == [False, False]
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())


def test_where_it_diverges_it_stops_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    model, x, y = line()
    broken = y.clone()
    broken[7] = torch.inf
    with pytest.raises(ModelError, match=r"diverged: at step [1-4] the loss is (inf|nan)"):
        train(model, x, broken)
    assert torch.isfinite(model.weight).all()  # type: ignore[call-overload]

    def evaluate() -> Evaluation:
        return Evaluation((-float((model(x) - y).square().mean().detach()),), {})

    before = evaluate().score
    assert train(model, x, broken, evaluate=evaluate, progress=LineProgress()) < 4
    assert evaluate().score >= before
    assert "the best weights before it are kept" in capsys.readouterr().err
