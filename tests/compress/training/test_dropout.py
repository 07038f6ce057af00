"""Dropout whose random numbers are cheap: the same chance, expectation and gradient."""

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from compress.training.dropout import QuickDropout, use_quick_dropout


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_rest_makes_up_for_it(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(50, 7, 301, dtype=dtype, requires_grad=True)  # no multiple of four
    y = QuickDropout(p).train()(x)
    dropped = (y == 0).float()
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(float(dropped.mean()) - p) < 4 * deviation
    assert (dropped.mean(dim=(1, 2)) - p).abs().max() < 0.05  # everywhere alike
    kept = y.detach().float().unique()
    assert kept.tolist() == [0.0, pytest.approx(1 / (1 - p), rel=3e-3)]
    (gradient,) = torch.autograd.grad(y.float().sum(), x)
    assert torch.equal(gradient, y.detach())


def test_what_is_drawn_follows_from_the_random_state_of_torch() -> None:
    layer, x = QuickDropout(0.3).train(), torch.ones(1000)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, second = layer(x), layer(x)
    torch.set_rng_state(state)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_in_evaluation_or_without_a_chance_and_all_with_certainty() -> None:
    x = torch.randn(10)
    assert QuickDropout(0.5).eval()(x) is x
    assert QuickDropout(0.0).train()(x) is x
    assert not QuickDropout(1.0).train()(x).any()


def test_every_dropout_module_of_a_model_is_replaced() -> None:
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=8, hidden_dropout_prob=0.2,
    )  # fmt: skip
    model = BertForSequenceClassification(config).train()
    chances = [each.p for each in model.modules() if isinstance(each, nn.Dropout)]
    use_quick_dropout(model)
    assert [each.p for each in model.modules() if isinstance(each, QuickDropout)] == chances
    assert not [each for each in model.modules() if isinstance(each, nn.Dropout)]
    assert all(each.training for each in model.modules())
