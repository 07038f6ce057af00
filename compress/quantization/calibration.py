"""Ranges of activations for static quantization, measured in one pass over calibration texts.

What is kept of a layer is a histogram of fixed size, whatever the number of texts: tools that keep
every calibration tensor need hundreds of gigabytes for what these need kilobytes.
"""

from collections import defaultdict
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.predict import batches_by_length, evaluating
from compress.quantization.interception import LinearCall, intercepted_linears
from compress.system.progress import Progress

__all__ = ["RangeMethod", "RunningHistogram", "activation_ranges", "first_texts"]

RangeMethod = Literal["extremes", "error"]

_BINS = 2048
_STEPS = 64  # candidates for either end of a range


class RunningHistogram:
    """Histogram of a stream of values, in memory that does not grow.

    The bins cover [-reach, reach], reach being a power of two. A value beyond doubles it: pairs of
    bins are merged, so no value is ever looked at twice.
    """

    def __init__(self) -> None:
        self.reach = 2.0**-10
        self.counts: NDArray[np.int64] = np.zeros(_BINS, dtype=np.int64)
        self.low = 0.0
        self.high = 0.0

    def add(self, values: Tensor) -> None:
        """Count the values of a tensor of any shape.

        Raises:
            ValueError: One of them is not finite.
        """
        if not values.numel():
            return
        low, high = (float(end) for end in values.aminmax())
        if not np.isfinite([low, high]).all():
            raise ValueError("activations are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        while max(-low, high) > self.reach:
            self._double()
        counts = torch.histc(values.float().cpu(), _BINS, min=-self.reach, max=self.reach)
        self.counts += counts.numpy().astype(np.int64)

    def _double(self) -> None:
        merged = self.counts.reshape(-1, 2).sum(axis=1)  # (_BINS / 2,)
        quarter = _BINS // 4
        self.counts = np.pad(merged, (quarter, quarter))
        self.reach *= 2

    def least_error_range(self) -> tuple[float, float]:
        """Return the range whose rounding and clipping lose least, by mean squared error.

        A few outliers, far from the rest, are cheaper to clip than to make room for; but clipping
        one costs by the square of its distance, so that those that carry weight stay.
        """
        width = 2 * self.reach / _BINS
        centers = -self.reach + width * (np.arange(_BINS) + 0.5)
        used = self.counts > 0
        centers, counts = centers[used], self.counts[used].astype(np.float64)
        if not len(centers) or self.low == self.high:
            return self.low, self.high
        shares = np.arange(1, _STEPS + 1) / _STEPS
        lows, highs = self.low * shares, self.high * shares
        below = (np.maximum(lows[:, None] - centers, 0.0) ** 2) @ counts  # (steps,)
        above = (np.maximum(centers - highs[:, None], 0.0) ** 2) @ counts  # (steps,)
        rounding = ((highs - lows[:, None]) / 255) ** 2 / 12 * counts.sum()  # (low, high)
        errors = below[:, None] + above + rounding
        # of equals the widest: the last
        place = errors.size - 1 - int(np.argmin(errors[::-1, ::-1]))
        row, column = divmod(place, _STEPS)
        return float(lows[row]), float(highs[column])


def activation_ranges(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    *,
    progress: Progress,
    method: RangeMethod = "error",
    batch_size: int = 16,
) -> dict[str, tuple[float, float]]:
    """Return lowest and highest input of each linear layer of the encoder, for a plan.

    Args:
        model: Float; left as it was.
        texts: A few hundred of the training texts. Padding does not count.
        progress: Told of each batch.
        method: `"extremes"` of all values, or the range of least squared `"error"`.
        batch_size: Texts at once.
    """
    seen: defaultdict[str, RunningHistogram] = defaultdict(RunningHistogram)

    def watched(call: LinearCall) -> Tensor:
        if not call.queries_only:  # the keys and values of the same layer read that token too
            values = call.x if call.mask is None else call.x[call.mask]
            seen[call.layer].add(values)
        return F.linear(call.x, call.weight, call.bias)

    count = len(range(0, len(texts), batch_size))
    with (
        progress.track("measuring activation ranges", count) as task,
        evaluating(model),
        torch.inference_mode(),
        intercepted_linears(model, watched),
    ):
        for _, inputs in batches_by_length(model, texts, batch_size):
            model(**inputs)
            task.advance()
    if method == "extremes":
        return {name: (histogram.low, histogram.high) for name, histogram in seen.items()}
    return {name: histogram.least_error_range() for name, histogram in seen.items()}


def first_texts(texts: TokenizedTexts, tokens: int) -> TokenizedTexts:
    """Return as many texts as have no more tokens together, at least one."""
    count = int((texts.lengths.cumsum() <= tokens).sum())
    return texts.take(range(max(1, count)))
