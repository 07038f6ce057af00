"""The device that this process computes on, and what its hardware can do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from compress.system.distributed import process_state

__all__ = ["full_precision", "has_bfloat16", "reduced_precision", "training_device"]


def training_device() -> torch.device:
    """Return this process's GPU, or the CPU where there is none."""
    return torch.device(process_state().device)


def has_bfloat16(device: torch.device) -> bool:
    """Return whether `device` multiplies bfloat16 matrices natively: emulation is slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


@contextmanager
def reduced_precision(device: torch.device) -> Iterator[None]:
    """Within the block layers multiply in bfloat16 where `device` does so natively.

    For what is averaged over many texts and compared with its like; eight bits of a product's
    operands are kept. Weights may be changed meanwhile.
    """
    # A cache would go on using weights as they were before they were refitted.
    enabled = has_bfloat16(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=False):
        yield


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Within the block, inside one of `reduced_precision`, nothing is rounded further.

    Products of float32 matrices may round what is multiplied to bfloat16, where `device` does so
    natively, but not their sums: of matrices that were rounded before, that costs nothing.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
