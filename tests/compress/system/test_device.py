"""What the device multiplies in."""

import pytest
import torch

from compress.system import device
from compress.system.device import full_precision, reduced_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [True, False])
def test_layers_are_rounded_where_the_device_does_so_by_itself_and_sums_never(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "has_bfloat16", lambda _: native)
    layer, x = torch.nn.Linear(8, 4), torch.randn(3, 8)
    before = torch.get_float32_matmul_precision()
    with torch.no_grad(), reduced_precision(CPU):
        rounded = layer(x)
        layer.weight.data = torch.zeros_like(layer.weight)  # as a repair does
        after = layer(x)
        with full_precision(CPU):
            assert (x.T @ x).dtype == torch.float32
    assert rounded.dtype == (torch.bfloat16 if native else torch.float32)
    assert torch.allclose(after.float(), layer.bias.expand(3, 4), atol=1e-2)
    assert torch.get_float32_matmul_precision() == before
