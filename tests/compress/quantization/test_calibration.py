"""Static ranges: what they are, and that measuring them does not grow with the texts."""

import gc
from typing import Any

import numpy as np
import pytest
import torch

from compress.data.tokenized import TokenizedTexts
from compress.quantization.calibration import RunningHistogram, activation_ranges
from compress.quantization.fake_quantization import linear_layers
from compress.system.progress import SilentProgress


def make_texts(count: int, seed: int = 0) -> TokenizedTexts:
    rng = np.random.default_rng(seed)
    return TokenizedTexts(
        [rng.integers(1, 300, n).astype(np.int32) for n in rng.integers(1, 40, count)]
    )


def test_extremes_are_those_of_module_inputs(lean: Any) -> None:
    texts = make_texts(9)
    expected: dict[str, list[float]] = {}
    hooks = []
    for name, module in linear_layers(lean).items():

        def watch(module: Any, args: Any, name: str = name) -> None:
            expected.setdefault(name, []).extend([float(args[0].min()), float(args[0].max())])

        hooks.append(module.register_forward_pre_hook(watch))
    lean.config.first_token_last_layer = False
    with torch.no_grad():
        for ids in texts.ids:
            lean(torch.from_numpy(ids.astype(np.int64))[None])
    for hook in hooks:
        hook.remove()
    # padded batches: padding has no part in it
    ranges = activation_ranges(
        lean, texts, progress=SilentProgress(), method="extremes", batch_size=5
    )
    assert ranges.keys() == expected.keys() == linear_layers(lean).keys()
    for name, (low, high) in ranges.items():
        assert low == pytest.approx(min(0.0, *expected[name]), rel=1e-4)
        assert high == pytest.approx(max(0.0, *expected[name]), rel=1e-4)


def test_the_last_layer_is_measured_as_it_is_deployed(lean: Any) -> None:
    texts = make_texts(9)
    first_only = activation_ranges(lean, texts, progress=SilentProgress(), method="extremes")
    lean.config.first_token_last_layer = False
    every = activation_ranges(lean, texts, progress=SilentProgress(), method="extremes")
    assert first_only["layers.2.attention.qkv"] == pytest.approx(every["layers.2.attention.qkv"])
    low, high = first_only["layers.2.feed_forward.up"]
    all_low, all_high = every["layers.2.feed_forward.up"]
    rounding = 1e-6  # of sums in float32, which the two take in different orders
    assert all_low <= low + rounding
    assert high <= all_high + rounding
    assert (low, high) != (all_low, all_high)


def test_what_is_kept_does_not_grow_with_the_texts(
    lean: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    histograms: list[RunningHistogram] = []
    init = RunningHistogram.__init__

    def counted(self: RunningHistogram) -> None:
        init(self)
        histograms.append(self)

    monkeypatch.setattr(RunningHistogram, "__init__", counted)

    def kept(count: int) -> tuple[int, int]:
        """Bytes in histograms, and tensors alive that were not before."""
        histograms.clear()
        gc.collect()
        before = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
        activation_ranges(lean, make_texts(count), progress=SilentProgress(), batch_size=4)
        gc.collect()
        after = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
        size = sum(
            sum(value.nbytes for value in vars(h).values() if isinstance(value, np.ndarray))
            for h in histograms
        )
        return size, after - before

    layers = len(linear_layers(lean))
    assert kept(4) == kept(80) == (layers * 2048 * 8, 0)


def test_nothing_is_left_behind(lean: Any) -> None:
    lean.train()
    activation_ranges(lean, make_texts(4), progress=SilentProgress())
    assert lean.training
    assert not lean.encoder._forward_pre_hooks


def test_the_same_texts_give_the_same_ranges(lean: Any) -> None:
    runs = [activation_ranges(lean, make_texts(20), progress=SilentProgress()) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_histogram_counts_every_value_once() -> None:
    histogram = RunningHistogram()
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(3, 50, generator=generator) * 10**power for power in (-4, 2, 0, 1)]
    for part in values:
        histogram.add(part)
    everything = torch.cat(values).flatten()
    assert histogram.counts.sum() == everything.numel()
    assert (histogram.low, histogram.high) == (float(everything.min()), float(everything.max()))
    width = 2 * histogram.reach / len(histogram.counts)
    centers = -histogram.reach + width * (np.arange(len(histogram.counts)) + 0.5)
    mean = float((centers * histogram.counts).sum() / histogram.counts.sum())
    assert mean == pytest.approx(float(everything.mean()), abs=width)


def squared_error(values: torch.Tensor, low: float, high: float) -> float:
    scale = (high - low) / 255
    rounded = torch.clamp(torch.round((values - low) / scale), 0, 255) * scale + low
    return float((rounded - values).square().mean())


def test_clipping_a_rare_outlier_is_chosen_where_it_pays() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(200_000, generator=generator)
    values[0] = 12.0
    histogram = RunningHistogram()
    histogram.add(values)
    low, high = histogram.least_error_range()
    assert high < 9.0
    assert squared_error(values, low, high) < squared_error(values, histogram.low, histogram.high)
    # a constant outlier, such as one dimension of every token, carries weight and stays
    values[::400] = 12.0
    histogram.add(values)
    assert histogram.least_error_range()[1] > 11.5


def test_constant_and_empty_inputs_have_a_range() -> None:
    histogram = RunningHistogram()
    assert histogram.least_error_range() == (0.0, 0.0)
    histogram.add(torch.zeros(3))
    histogram.add(torch.zeros(0))
    assert histogram.least_error_range() == (0.0, 0.0)
    histogram.add(torch.full((4,), 2.0))
    assert histogram.least_error_range()[1] == pytest.approx(2.0, rel=0.1)


def test_a_broken_model_is_named() -> None:
    with pytest.raises(ValueError, match="not finite"):
        RunningHistogram().add(torch.tensor([1.0, float("nan")]))
