"""Masks heads, neurons and layers, to ask what a model answers without them.

Importance scores are gradients with respect to these masks (Michel et al. 2019,
https://arxiv.org/abs/1905.10650; Kwon et al. 2022, https://arxiv.org/abs/2204.09656); a zero here
equals physical removal by `compress.encoder.surgery`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compress.encoder.config import LeanEncoderConfig

__all__ = ["EncoderMasks"]


@dataclass(frozen=True)
class EncoderMasks:
    """Multipliers for every removable part of a lean encoder of L layers.

    Attributes:
        heads: L tensors (heads of layer l,); each multiplies a head's context before the output
            projection. Those of single texts have one more dimension, see `ones`.
        neurons: L tensors (intermediate size of layer l,); each multiplies an activated neuron
            before the output projection. Likewise.
        layers: Tensor (L,); `g` turns a layer's output into `x + g * (layer(x) - x)`, so that
            0 skips the layer.
    """

    heads: tuple[Tensor, ...]
    neurons: tuple[Tensor, ...]
    layers: Tensor

    @classmethod
    def ones(
        cls,
        config: LeanEncoderConfig,
        *,
        requires_grad: bool = False,
        texts: int | None = None,
        device: torch.device | str | None = None,
    ) -> "EncoderMasks":
        """Return masks that change nothing, in float32.

        Args:
            config: The encoder that they are for.
            requires_grad: Whether gradients with respect to the masks are wanted. A mask of
                size 0 (a layer without heads) never receives one: pass `allow_unused=True` to
                `torch.autograd.grad`.
            texts: Masks of heads and neurons are apart for each of so many texts of a batch,
                (texts, heads) and (texts, 1, intermediate size), so that their gradients are; None
                shares them.
            device: Where the encoder lies.
        """

        def one(*size: int) -> Tensor:
            return torch.ones(size, device=device, requires_grad=requires_grad)

        sizes = config.layer_sizes
        apart = ((), ()) if texts is None else ((texts,), (texts, 1))
        return cls(
            heads=tuple(one(*apart[0], layer.heads) for layer in sizes),
            neurons=tuple(one(*apart[1], layer.intermediate_size) for layer in sizes),
            layers=one(len(sizes)),
        )

    def tensors(self) -> list[Tensor]:
        """Return all masks in one list: heads, then neurons (2 L of them), then layers."""
        return [*self.heads, *self.neurons, self.layers]

    def check(self, config: LeanEncoderConfig) -> None:
        """Compare the masks' shapes with the encoder's sizes.

        Raises:
            ValueError: The masks were made for an encoder of other sizes.
        """
        sizes = config.layer_sizes
        expected_heads = [layer.heads for layer in sizes]
        expected_neurons = [layer.intermediate_size for layer in sizes]
        if _lengths(self.heads) != expected_heads or _lengths(self.neurons) != expected_neurons:
            raise ValueError(
                f"masks do not fit this encoder: heads {_lengths(self.heads)} for "
                f"{expected_heads}, neurons {_lengths(self.neurons)} for {expected_neurons}"
            )
        if self.layers.shape != (len(sizes),):
            raise ValueError(
                f"the layer mask has shape {tuple(self.layers.shape)}, the encoder {len(sizes)} "
                "layers"
            )


def _lengths(masks: Sequence[Tensor]) -> list[int]:
    return [mask.shape[-1] for mask in masks]
