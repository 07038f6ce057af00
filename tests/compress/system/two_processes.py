"""What `test_distributed.py` runs in two processes: each writes what it saw to FOLDER/RANK.pt."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compress.errors import DataError
from compress.system.distributed import from_main, on_main, own_share, processes, rank, wait
from compress.system.progress import SilentProgress
from compress.training.loop import Evaluation, fit


class StubbornError(Exception):
    """An error that cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("not this one")


def train() -> tuple[dict[str, torch.Tensor], int]:
    """Train a network, in double precision, to add up; return its weights and its evaluations."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    model.unused = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    x = torch.randn(64, 6, dtype=torch.float64)
    y = x.sum(dim=1, keepdim=True)
    scores: list[float] = []

    def evaluate() -> Evaluation:
        # What a process finds differs: the first one decides which weights are kept.
        scores.append(-1.0 if rank() and processes() > 1 else float(len(scores)))
        return Evaluation((scores[-1],), {})

    fit(
        model,
        lambda rows: (model(x[rows]) - y[rows]).square().mean(),
        lambda epoch: torch.randperm(64, generator=torch.Generator().manual_seed(epoch)).split(16),
        epochs=10,
        learning_rate=0.01,
        progress=SilentProgress(),
        description="sum",
        evaluate=evaluate,
    )
    return model.state_dict(), len(scores)


def raised_by(work: Any) -> tuple[str, str, str | None]:
    """Return type, message and hint of what `work` raises where the first process calls it."""
    try:
        on_main(work)
    except Exception as error:  # noqa: BLE001 - whatever comes
        return type(error).__name__, str(error.args[0]), getattr(error, "hint", None)
    raise AssertionError("nothing was raised")


def refuse() -> None:
    raise DataError("no texts", hint="add some")


def be_stubborn() -> None:
    raise StubbornError("cannot be sent")


def main(folder: Path) -> None:
    """Do everything once; where one process waited for ever, the test would time out."""
    calls: list[int] = []
    seen: dict[str, Any] = {
        "processes": processes(),
        "share": own_share(list(range(5))),
        "from_main": from_main(rank()),
        "on_main": on_main(lambda: calls.append(rank()) or f"of {rank()}"),
        "calls": calls,
        "error": raised_by(refuse),
        "stubborn": raised_by(be_stubborn),
        "unsendable": raised_by(lambda: lambda: None)[0],
        # Nobody is waited for inside.
        "alone": on_main(lambda: (wait(), processes(), from_main(7), own_share([1, 2, 3]))[1:]),
        "trained_alone": on_main(train),
        "trained": train(),
    }
    torch.save(seen, folder / f"{rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
