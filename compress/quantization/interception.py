"""Watches or changes the matrix products of a running encoder, from outside.

Swapping modules would miss the last layer of a classifier, where queries are computed with one part
of the fused Q, K, V matrix and keys and values with the rest: there the encoder calls the function,
not the module. So it is the function that is intercepted.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["LinearCall", "intercepted_linears", "linear_layers"]


@dataclass(frozen=True)
class LinearCall:
    """One product of an encoder's linear layer that is about to be computed.

    Attributes:
        layer: Its name in plans, such as `layers.0.attention.qkv`.
        x: (B, T, K), the input.
        weight: (N, K), the whole matrix or some of its rows.
        bias: (N,) or None.
        mask: (B, T), true for tokens and false for padding; None when nothing is padded, or when
            `x` is not one row a token.
        queries_only: Only the first token's queries are computed, of an input whose keys and
            values are computed by another call.
    """

    layer: str
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    mask: Tensor | None
    queries_only: bool


def linear_layers(model: LeanEncoderWithHead) -> dict[str, nn.Linear]:
    """Return the matrices that exporters quantize, by name in plans (`layers.0.attention.qkv`).

    The classifier's last one, a row a class, does not pay for it and stays in float, unless its
    classes are the vocabulary.
    """
    encoder = {
        name: module
        for name, module in model.encoder.named_modules()
        if isinstance(module, nn.Linear)
    }
    head = {
        f"classifier.{name}": module
        for name, module in model.classifier.named_modules()
        if isinstance(module, nn.Linear) and name in model.quantized_layers
    }
    return {**encoder, **head}


@contextmanager
def intercepted_linears(
    model: LeanEncoderWithHead,
    handle: Callable[[LinearCall], Tensor],
    embed: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[None]:
    """Within the block, `handle` computes what the model's `linear_layers` give.

    Args:
        model: Not changed; the interception is this thread's.
        handle: From a call to (B, T, N).
        embed: Changes word embeddings (B, T, E) after their look-up.
    """
    mode = _Interception(linear_layers(model), handle, model.encoder.embeddings.words, embed)
    hook = model.encoder.register_forward_pre_hook(mode.see_mask, with_kwargs=True)
    try:
        with mode:
            yield
    finally:
        hook.remove()


class _Interception(TorchFunctionMode):
    def __init__(
        self,
        layers: Mapping[str, nn.Linear],
        handle: Callable[[LinearCall], Tensor],
        words: nn.Embedding,
        embed: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        self._layers = dict(layers)
        self._names = {id(module.weight): name for name, module in layers.items()}
        self._handle, self._words, self._embed = handle, words, embed
        self._mask: Tensor | None = None

    def see_mask(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        """Hook of the encoder: which tokens of the coming pass are padding."""
        mask = args[1] if len(args) > 1 else kwargs.get("attention_mask")
        self._mask = None if mask is None else mask.bool()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.linear:
            call = self._call(*args, **kwargs)
            if call is not None:
                return self._handle(call)
        result = func(*args, **kwargs)
        if func is F.embedding and self._embed is not None and args[1] is self._words.weight:
            return self._embed(result)
        return result

    def _call(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> LinearCall | None:
        # Rows of a matrix are a view, and a view knows what it is a view of.
        name = self._names.get(id(weight)) or self._names.get(id(weight._base))
        if name is None:
            return None
        mask = self._mask
        if mask is not None and mask.shape != x.shape[:-1]:
            mask = None  # the first token alone is never padding
        rows = weight.shape[0]
        first = rows < self._layers[name].out_features and weight.storage_offset() == (
            self._layers[name].weight.storage_offset()
        )
        return LinearCall(name, x, weight, bias, mask, queries_only=first)
