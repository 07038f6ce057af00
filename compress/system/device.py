"""The device that this process computes on, and what its hardware can do."""

import torch

from compress.system.distributed import process_state

__all__ = ["has_bfloat16", "training_device"]


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
