"""What `test_distributed.py` runs in two processes: each writes what it saw to FOLDER/RANK.pt."""

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from compress.errors import DataError
from compress.system.distributed import from_main, on_main, own_share, processes, rank, wait
from compress.system.progress import SilentProgress
from compress.training.loop import Evaluation, fit

BATCH = 32  # examples a step, over all processes


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


def command(*arguments: str | Path, interrupt_at: int | None = None) -> dict[str, Any]:
    """Call the command in this process and watch its training steps, which are in float32.

    Returns its exit code, what it wrote ("out", "err"), and by step the token ids of its texts.

    Args:
        arguments: As typed behind `edgepress`.
        interrupt_at: Training step before which Ctrl-C comes to all processes.
    """
    from transformers import Trainer

    from compress.cli.app import main

    step = Trainer.training_step
    batches: list[list[tuple[int, ...]]] = []

    def watched(trainer: Any, model: Any, inputs: Any, items: Any = None) -> Any:
        if len(batches) == interrupt_at:
            raise KeyboardInterrupt
        padding = inputs["attention_mask"] == 0
        rows = inputs["input_ids"].masked_fill(padding, -1).tolist()
        batches.append([tuple(token for token in row if token >= 0) for row in rows])
        return step(trainer, model, inputs, items)

    with ExitStack() as stack:
        out = stack.enter_context(redirect_stdout(io.StringIO()))
        err = stack.enter_context(redirect_stderr(io.StringIO()))
        stack.enter_context(single_precision())
        stack.enter_context(patch.object(Trainer, "training_step", watched))
        code = main([*map(str, arguments)])
    wait()
    return {"code": code, "out": out.getvalue(), "err": err.getvalue(), "batches": batches}


@contextmanager
def single_precision() -> Iterator[None]:
    """Train in float32, whatever the processor has: bfloat16 rounds by the size of a batch."""
    with (
        patch("compress.training.trainer.has_bfloat16", lambda _: False),
        patch("compress.training.loop.has_bfloat16", lambda _: False),
    ):
        yield


def fine_tune(
    folder: Path, out: str, *settings: str, interrupt_at: int | None = None
) -> dict[str, Any]:
    """Fine-tune FOLDER/base on FOLDER/even for 2 epochs of 4 steps."""
    own = BATCH // processes()
    return command(
        *("train", folder / "base", "--data", folder / "even", "--out", folder / out),
        *(f"batch_size={own}", "epochs=2", "learning_rate=1e-3", "patience=null", *settings),
        interrupt_at=interrupt_at,
    )


def pretrain(folder: Path, out: str) -> dict[str, Any]:
    """Go on with the pre-training of FOLDER/base: a step is the mean of four batches.

    A text is masked by its own words: masks drawn batch by batch differ with the batches.
    """
    from compress.training.pretraining import _Masking

    put_together = _Masking.__call__

    def mask_by_text(masking: Any, features: list[dict[str, Any]]) -> Any:
        own = [
            feature
            if "labels" in feature
            else _Masking(masking._tokenizer, sum(feature["input_ids"])).masked(feature)
            for feature in features
        ]
        return put_together(masking, own)

    with patch.object(_Masking, "__call__", mask_by_text):
        return command(
            *("train", folder / "base", "--objective", "mlm", "--data", folder / "text.txt"),
            *("--out", folder / out, "learning_rate=1e-3", "epochs=2", "batch_size=16"),
            f"accumulate={4 // processes()}",
        )


def distil(folder: Path) -> tuple[dict[str, torch.Tensor], int]:
    """Teach a student by all losses; return its weights and its steps.

    All texts are as long: losses are means over tokens, and a process weighs as any other.
    """
    from compress.corpus.teacher_outputs import TeacherOutputs
    from compress.data.tokenized import TokenizedTexts
    from compress.distillation.matching import MatchSettings, match_teacher
    from compress.encoder.config import LeanEncoderConfig
    from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification

    def encoder(layers: int, seed: int) -> LeanEncoderForSequenceClassification:
        torch.manual_seed(seed)
        config = LeanEncoderConfig(
            vocab_size=20,
            embedding_size=32,
            hidden_size=32,
            layers=[{"heads": 4, "head_size": 8, "intermediate_size": 64}] * layers,
            max_position_embeddings=16,
            initializer_range=0.1,
        )
        return LeanEncoderForSequenceClassification(config).eval()

    ids = np.random.default_rng(0).integers(5, 20, size=(96, 10)).astype(np.int32)
    student = encoder(2, seed=1)
    settings = MatchSettings(
        epochs=2,
        batch_size=BATCH,
        learning_rate=1e-3,
        warmup=0.1,
        weight_decay=0.01,
        temperature=1.0,
        soft_weight=1.0,
        hidden_weight=3.0,
        relation_weight=1.0,
        label_weight=0.0,
        freeze_embeddings=True,
        quantization_aware=0.0,
        rounding_share=0.1,
    )
    own = folder / f"outputs-{processes()}-{rank()}"
    own.mkdir()
    outputs = TeacherOutputs(encoder(3, seed=0), TokenizedTexts([*ids]), folder=own)
    with single_precision(), closing(outputs):
        steps = match_teacher(
            *(student, outputs, settings, (1, 2)),
            guide=None,
            progress=SilentProgress(),
            description="distilling",
        )
    return student.state_dict(), steps


def compress_whole(folder: Path) -> tuple[dict[str, Any], ...]:
    """Train a teacher as the command does, and distil and quantize it; all by the command."""
    data = ("--data", folder / "opinions")
    return (
        command(
            *("train", folder / "base", *data, "--out", folder / "teacher"),
            *("learning_rate=3e-3", "epochs=6", "patience=20", "batch_size=16"),
        ),
        command(
            *(folder / "teacher", *data, "--out", folder / "out", "--max-drop", "9"),
            *("--effort", "fast"),
            *("distill.epochs=2", "distill.augment=1", "distill.learning_rate=1e-3"),
            *("distill.enough=0", "quantize.alternatives=false"),
            *("speedups=[]", "distill.layers=2", "benchmark.rounds=2", "threads=1"),
            "stages=[distill, quantize]",
            *("benchmark.sentences=5", "benchmark.cold_starts=0", "benchmark.baselines=[]"),
            *("runtimes=[onnxruntime]", "quantize.calibration_texts=8"),
        ),
    )


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
    grouped = "group_by_length=true"
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
        "fine-tuned": fine_tune(folder, "whole"),
        "by length": fine_tune(folder, "by-length", grouped),
        "interrupted": fine_tune(folder, "parts", grouped, interrupt_at=7),
        "resumed": fine_tune(folder, "parts", grouped),
        "pretrained": pretrain(folder, "pretrained"),
        "distilled": distil(folder),
        "compressed": compress_whole(folder),
    }
    torch.save(seen, folder / f"{rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
