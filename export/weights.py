"""A lean encoder's weights as numpy arrays, by the names that `compress.encoder.modules` gives."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LeanWeights", "Linear"]


class Linear(NamedTuple):
    """A linear layer `x @ weight + bias` (the transpose of torch's layout).

    Attributes:
        name: Such as `layers.0.attention.qkv`.
        weight: (K, N) float32.
        bias: (N,) float32.
    """

    name: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def negated(self) -> "Linear":
        """Return the layer that gives the opposite."""
        return Linear(f"{self.name}.negated", -self.weight, -self.bias)


class LeanWeights:
    """Reads a lean encoder by name, without importing its classes (layers: export stands below).

    Args:
        module: A `LeanEncoderWithHead`.
    """

    def __init__(self, module: Any) -> None:
        self.config = module.config
        self._state = {
            name.removeprefix("encoder."): value.detach().float().cpu().numpy()
            for name, value in module.state_dict().items()
        }

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._state[name]

    def linear(self, name: str) -> Linear:
        """The linear layer called `name`."""
        return Linear(name, self._state[f"{name}.weight"].T, self._state[f"{name}.bias"])

    def rows(self, name: str, start: int, stop: int) -> Linear:
        """Output rows `start` to `stop` of a linear layer, such as the queries of `qkv`."""
        weight, bias = self._state[f"{name}.weight"], self._state[f"{name}.bias"]
        return Linear(f"{name}.{start}_{stop}", weight[start:stop].T, bias[start:stop])
