"""Dropout that costs a processor next to nothing.

PyTorch draws each element's fate from one random stream in one thread, which took a quarter of a
step of MPNet-base in bfloat16 (docs/log.md). Here a 64-bit draw of a faster generator decides four.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["QuickDropout", "use_quick_dropout"]

_LEVELS = 1 << 16  # chances are multiples of 1 in so many


class QuickDropout(nn.Module):
    """`torch.nn.Dropout` for a processor: other random numbers, the same chance and expectation.

    Args:
        p: Chance (0 to 1) that an element is dropped; rounded to 16 bits.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._dropped = min(round(p * _LEVELS), _LEVELS)

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of x, of any shape, in training mode; scale the others up."""
        if not self.training or self._dropped == 0:
            return x
        if self._dropped == _LEVELS:
            return x * 0.0
        # From PyTorch's own stream, whose state trainings save and restore.
        seed = int(torch.randint(2**63 - 1, ()))
        drawn = np.random.SFC64(seed).random_raw(-(-x.numel() // 4))
        fates = torch.from_numpy(drawn.view(np.uint16).astype(np.int32))[: x.numel()]
        factor = (fates >= self._dropped).view(x.shape).float()
        # In float32: rounded to bfloat16 the factor would be off by a fifth of a percent.
        return (x * factor.mul_(_LEVELS / (_LEVELS - self._dropped))).to(x.dtype)

    def extra_repr(self) -> str:
        """Say the chance."""
        return f"p={self.p}"


def use_quick_dropout(model: Any) -> None:
    """Replace a model's dropout modules, in place.

    Args:
        model: On a processor; what it calls without a module stays as it is.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout and not child.inplace:
                setattr(module, name, QuickDropout(child.p).train(child.training))
