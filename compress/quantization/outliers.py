"""Makes a few values that stand far above all others small, before an encoder is quantized.

Eight bits have to span all values of a tensor. Trained encoders have neurons and channels that are
ten times as large as the rest, mostly for a text's first or last token, and a range that reaches
them leaves few levels to everything else (Bondarenko et al. 2021,
https://arxiv.org/abs/2109.12948; Sun et al. 2024, https://arxiv.org/abs/2402.17762). SmoothQuant
(Xiao et al. 2022, https://arxiv.org/abs/2211.10438) scales such channels at the cost of a product
for each tensor, as what a LayerNorm gives here is also added to a later sum. Both rewrites below
cost nothing, or two neurons, when the model runs:

- A neuron g(x) that is large for a few tokens becomes b g(a x + t) + d, smaller by a factor, with
  b in the column of the matrix behind it and d in that matrix's bias.
- A channel of the LayerNorm before the feed-forward network is divided by f, and the network's
  columns for it are multiplied. What the sum behind the network lacks then, f - 1 times the
  channel, is what a pair of new neurons gives: GELU, SiLU and ReLU have g(x) - g(-x) = x.

What each rewrite gains is measured by emulating INT8 on one network after the other, from what it
reads to the LayerNorm behind it, so that a network which has no such values stays as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.data.tokenized import TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import rebuilt
from compress.predictions.predict import batches_by_length, evaluating
from compress.quantization.calibration import first_texts
from compress.quantization.fake_quantization import quantize_activations, quantize_weights
from compress.quantization.interception import LinearCall, intercepted_linears
from compress.system.progress import Progress
from export.quantization import QuantizationPlan

__all__ = ["Suppressed", "suppress_outliers"]

_TOKENS = 1024
_COUNTS = (0, 1, 2, 3, 4, 6, 8, 12, 16)  # neurons of a layer
_KNEES = 48
_MOST_CHANNELS = 4  # of each layer: all get as many, so that a model of equal layers stays one
# What a fit misses is the same for each token; rounding cancels out.
_SYSTEMATIC = 4.0
_WORTH = 0.8  # of the error before: a rewrite has to be worth it


@dataclass(frozen=True)
class Suppressed:
    """A model for INT8, and what was done to it.

    Attributes:
        model: The one given, where nothing was gained.
        neurons: Neurons that were made smaller.
        channels: Channels that were made smaller.
        gain: What is left of the mean squared error that INT8 makes in the feed-forward networks,
            as a share of what it was, in the mean over layers.
    """

    model: LeanEncoderWithHead
    neurons: int = 0
    channels: int = 0
    gain: float = 1.0


@dataclass(frozen=True)
class _Network:
    """A feed-forward network and the channels before it.

    Attributes:
        up: (I, H), and `bias` (I,).
        down: (H, I), and `offset` (H,).
        shares: (H,) what is left of each channel of the LayerNorm before it.
        neurons: How many were made smaller.
    """

    up: Tensor
    bias: Tensor
    down: Tensor
    offset: Tensor
    shares: Tensor
    neurons: int = 0


class _Layer:
    """A layer's feed-forward network, with the texts that reached it.

    Args:
        model: Has the layer.
        index: Its number.
        read: Of each batch what the network read, (B, T, H), and the mask, (B, T) or None.
        levels: Largest magnitude of a rounded weight.

    Attributes:
        inputs: (N, H), what the network read of all tokens.
        network: As it is in the model.
    """

    def __init__(
        self,
        model: LeanEncoderWithHead,
        index: int,
        read: Sequence[tuple[Tensor, Tensor | None]],
        levels: int,
    ) -> None:
        self.index, self._read, self._levels = index, read, levels
        layer: Any = model.encoder.layers[index]
        up, down = layer.feed_forward.up, layer.feed_forward.down
        self._norm: nn.LayerNorm = layer.feed_forward_norm
        self._goals = [self._norm(x + layer.feed_forward(x)) for x, _ in read]
        self.activation: Callable[[Tensor], Tensor] = layer.feed_forward.activation
        self.inputs = torch.cat([x.flatten(0, -2) if m is None else x[m] for x, m in read])
        self.network = _Network(
            up.weight.detach(),
            up.bias.detach(),
            down.weight.detach(),
            down.bias.detach(),
            torch.ones_like(down.bias),
        )

    def error(self, network: _Network) -> float:
        """Return the mean squared error behind the network that INT8 makes, and the rewrite."""
        total, count = 0.0, 0
        up = quantize_weights(network.up, self._levels)
        down = quantize_weights(network.down, self._levels)
        for (x, mask), goal in zip(self._read, self._goals, strict=True):
            less = x * network.shares
            z = self.activation(F.linear(quantize_activations(less, mask), up, network.bias))
            z = F.linear(quantize_activations(z, mask), down, network.offset)
            apart = self._norm(less + z) - goal
            apart = apart.flatten(0, -2) if mask is None else apart[mask]
            total, count = total + float((apart**2).sum()), count + apart.numel()
        return total / max(1, count)

    def rounding(self, down: Tensor, power: Tensor, reach: Tensor) -> float:
        """Return about what rounding adds to the mean square of the network's output.

        Args:
            down: (H, I).
            power: (I,) mean squares of the neurons.
            reach: From the lowest to the highest value of any.
        """
        of_values = (reach / 255) ** 2 * (down**2).sum()
        of_weights = ((down.abs().amax(dim=1) / self._levels) ** 2).sum() * power.sum()
        return float(of_values + of_weights) / 12


def suppress_outliers(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    plan: QuantizationPlan,
    *,
    progress: Progress,
    finer: int = 1,
) -> Suppressed:
    """Return a model that answers alike in float and loses less to INT8.

    Args:
        model: Not changed.
        texts: Training texts, of which as many are looked at as have 1,024 tokens.
        plan: How it will be quantized. Nothing is done where ONNX Runtime's file stays float.
        progress: Told of each layer.
        finer: Weights count as rounded to so many times as many levels, where what rounding them
            costs is taken back later (`compress.quantization.rounding`).
    """
    if plan.is_float("onnxruntime") or not len(texts):
        return Suppressed(model)
    with evaluating(model), torch.inference_mode():
        layers = list(_layers(model, first_texts(texts, _TOKENS), plan, finer))
        with progress.track("making outliers small", len(layers)) as task:
            kept, gains = list[list[_Network]](), list[list[float]]()
            for layer in layers:
                found = list(_rewrites(layer))
                before = layer.error(layer.network)
                errors = [layer.error(network) / max(before, 1e-30) for network in found]
                if errors[0] > _WORTH:
                    found[0], errors[0] = layer.network, 1.0
                kept.append(found)
                gains.append(errors)
                task.advance()
    if not layers:
        return Suppressed(model)
    means = [sum(errors) / len(layers) for errors in zip(*gains, strict=True)]
    channels = 0
    while channels + 1 < len(means) and means[channels + 1] < _WORTH * means[channels]:
        channels += 1
    networks = [found[channels] for found in kept]
    neurons = sum(network.neurons for network in networks)
    if not channels and not neurons:
        return Suppressed(model)
    changed = _with_networks(
        model, {layer.index: n for layer, n in zip(layers, networks, strict=True)}
    )
    return Suppressed(changed, neurons, channels * len(layers), means[channels])


def _layers(
    model: LeanEncoderWithHead, texts: TokenizedTexts, plan: QuantizationPlan, finer: int
) -> Iterator[_Layer]:
    """Yield the layers whose feed-forward network has neurons, and INT8."""
    read: dict[int, list[tuple[Tensor, Tensor | None]]] = {}

    def watched(call: LinearCall) -> Tensor:
        if call.layer.endswith(".feed_forward.up"):
            read.setdefault(int(call.layer.split(".")[1]), []).append((call.x.float(), call.mask))
        return F.linear(call.x, call.weight, call.bias)

    with intercepted_linears(model, watched):
        for _, inputs in batches_by_length(model, texts, 16):
            model(**inputs)
    for index, batches in read.items():
        parts = [f"layers.{index}.feed_forward.{part}" for part in ("up", "down")]
        if not all(map(plan.keeps_in_float, parts)):
            yield _Layer(model, index, batches, finer * plan.weight_levels)


def _rewrites(layer: _Layer) -> Iterator[_Network]:
    """Yield the network with smaller neurons, then with 1, 2, ... smaller channels as well."""
    smaller = _smaller_neurons(layer)
    yield smaller
    x = torch.linspace(-8, 8, 33)
    odd = torch.allclose(layer.activation(x) - layer.activation(-x), x, atol=1e-5)
    for channels in range(1, _MOST_CHANNELS + 1) if odd else ():
        yield _smaller_channels(layer, smaller, channels)


def _smaller_neurons(layer: _Layer) -> _Network:
    """Return the network with its largest neurons made smaller, where that costs less than it
    gains."""
    own = layer.network
    x = F.linear(layer.inputs, own.up, own.bias)  # (N, I)
    y = layer.activation(x)
    highest, order = y.amax(dim=0).sort(descending=True)  # (I,)
    power = (y**2).mean(dim=0)  # (I,)
    columns = (own.down**2).sum(dim=0)  # (I,)
    best, fits = float("inf"), dict[int, _Fit]()
    for count in _COUNTS:
        if count >= len(highest) or highest[count] <= 0:
            break
        top = highest[count]
        found = {int(j): _fit(x[:, j], y[:, j], layer.activation, top) for j in order[:count]}
        grown = torch.ones_like(own.bias)
        for j, fit in found.items():
            grown[j] = fit.outer
        missed = sum(fit.error * float(columns[j]) for j, fit in found.items())
        rounding = layer.rounding(own.down * grown, power / grown**2, top - y.amin())
        cost = _SYSTEMATIC * missed + rounding
        if cost < best:
            best, fits = cost, found
    up, bias, down, offset = (each.clone() for each in (own.up, own.bias, own.down, own.offset))
    for j, fit in fits.items():
        offset += fit.offset * down[:, j]
        down[:, j] *= fit.outer
        up[j] *= fit.inner
        bias[j] = bias[j] * fit.inner + fit.shift
    return _Network(up, bias, down, offset, own.shares, len(fits))


@dataclass(frozen=True)
class _Fit:
    """g(x) as outer * g(inner * x + shift) + offset, and the mean squared error of that."""

    inner: float
    shift: float
    outer: float
    offset: float
    error: float


def _fit(x: Tensor, y: Tensor, activation: Callable[[Tensor], Tensor], top: Tensor) -> _Fit:
    """Return the fit of least error to y = g(x), both (N,), whose g is nowhere above `top`."""
    knees = torch.linspace(0, 1, _KNEES + 1)[:-1] * x.amax()  # where g begins to rise
    inner = top / (x.amax() - knees)
    z = activation(inner[:, None] * (x - knees[:, None]))  # (knees, N)
    centred, goal = z - z.mean(dim=1, keepdim=True), y - y.mean()
    outer = (centred @ goal) / (centred**2).sum(dim=1).clamp(min=1e-12)
    errors = ((outer[:, None] * centred - goal) ** 2).mean(dim=1)
    best = int(errors.argmin())
    return _Fit(
        inner=float(inner[best]),
        shift=float(-inner[best] * knees[best]),
        outer=float(outer[best]),
        offset=float(y.mean() - outer[best] * z[best].mean()),
        error=float(errors[best]),
    )


def _smaller_channels(layer: _Layer, network: _Network, channels: int) -> _Network:
    """Return the network with its input's largest channels made small, and two neurons for each."""
    inputs = layer.inputs
    highest = layer.activation(F.linear(inputs, network.up, network.bias)).amax().clamp(min=1e-6)
    largest = inputs.abs().amax(dim=0).topk(channels + 1)
    limit = largest.values[-1].clamp(min=1e-6)
    up, shares, reads, writes = network.up.clone(), network.shares.clone(), [], []
    for place, size in zip(largest.indices[:-1], largest.values[:-1], strict=True):
        factor = size / limit
        shares[place] /= factor
        up[:, place] *= factor
        row, column = torch.zeros_like(shares), torch.zeros_like(shares)
        row[place] = highest / limit  # as large as other neurons are
        column[place] = (factor - 1) / row[place]
        reads += [row, -row]
        writes += [column, -column]
    return replace(
        network,
        up=torch.cat([up, torch.stack(reads)]),
        bias=torch.cat([network.bias, torch.zeros(len(reads))]),
        down=torch.cat([network.down, torch.stack(writes, dim=1)], dim=1),
        shares=shares,
    )


def _with_networks(
    model: LeanEncoderWithHead, networks: dict[int, _Network]
) -> LeanEncoderWithHead:
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    sizes = list(model.config.layer_sizes)
    for index, network in networks.items():
        layer = f"encoder.layers.{index}"
        for name in ("weight", "bias"):
            norm = f"{layer}.attention_norm.{name}"
            weights[norm] = weights[norm] * network.shares
        weights |= {
            f"{layer}.feed_forward.up.weight": network.up,
            f"{layer}.feed_forward.up.bias": network.bias,
            f"{layer}.feed_forward.down.weight": network.down,
            f"{layer}.feed_forward.down.bias": network.offset,
        }
        sizes[index] = replace(sizes[index], intermediate_size=len(network.bias))
    config = model.config.replaced(layers=[asdict(each) for each in sizes])
    return rebuilt(model, config, weights)
