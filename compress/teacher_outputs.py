"""What the teacher says about each training text: computed once, kept in a file while it fits."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from compress.losses import QKV
from compress.tokenized import TokenizedTexts, collate

if TYPE_CHECKING:
    from compress.encoder.modules import LeanEncoderForSequenceClassification, LeanOutput

__all__ = ["TeacherBatch", "TeacherOutputs"]


@dataclass(frozen=True)
class TeacherBatch:
    """The teacher's outputs for one batch.

    Attributes:
        logits: (B, C).
        hidden: By teacher layer asked for, its output (B, T, H).
        qkv: Queries, keys and values of the relation layer, each (B, h, T, d), or None.
    """

    logits: Tensor
    hidden: dict[int, Tensor]
    qkv: QKV | None


class TeacherOutputs:
    """Serves the teacher's outputs batch by batch; a context manager.

    A text's outputs are computed the first time it is met. Logits are kept in memory. Hidden
    states, queries, keys and values are written as float16 to one file in `folder` until it has
    `limit_bytes`, and read from there by position (not mapped: pages of a mapped file count as
    this process's memory); the outputs of texts that came later are computed again each time.

    Args:
        teacher: On the device where batches are wanted; not modified.
        texts: What indices count.
        hidden_layers: Layers whose output is wanted.
        relation_layer: Layer whose queries, keys and values are wanted, or None.
        folder: Where the file goes; it is removed on exit.
        limit_bytes: Largest size of the file; 0 when each text is met only once.
    """

    def __init__(
        self,
        teacher: "LeanEncoderForSequenceClassification",
        texts: TokenizedTexts,
        *,
        hidden_layers: Sequence[int] = (),
        relation_layer: int | None = None,
        folder: Path,
        limit_bytes: int = 2_000_000_000,
    ) -> None:
        self._teacher = teacher
        self._texts = texts
        self._device = next(teacher.parameters()).device
        self._hidden_layers = tuple(sorted(set(hidden_layers)))
        self._relation_layer = relation_layer
        self._limit_bytes = limit_bytes
        config = teacher.config
        self._heads, self._head_size = 0, 0
        if relation_layer is not None:
            sizes = config.layer_sizes[relation_layer]
            self._heads, self._head_size = sizes.heads, sizes.head_size
        relation_width = 3 * self._heads * self._head_size
        self._width = len(self._hidden_layers) * config.hidden_size + relation_width
        self._logits = np.full((len(texts), config.num_labels), np.nan, dtype=np.float32)
        self._offsets = np.full(len(texts), -1, dtype=np.int64)  # -1: not in the file
        self._end = 0
        self._path = folder / "teacher-outputs.f16"
        self._file: BinaryIO | None = None

    def __enter__(self) -> "TeacherOutputs":
        self._file = self._path.open("w+b", buffering=0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def batch(self, indices: NDArray[np.int64]) -> TeacherBatch:
        """The outputs for the texts at `indices`, padded as `collate` pads them."""
        known = ~np.isnan(self._logits[indices, 0])
        if self._width:
            known &= self._offsets[indices] >= 0
        computed = self._compute(indices[~known]) if not known.all() else {}
        logits = torch.from_numpy(self._logits[indices]).to(self._device)
        if not self._width:
            return TeacherBatch(logits=logits, hidden={}, qkv=None)
        rows = [computed[int(i)] if int(i) in computed else self._read(int(i)) for i in indices]
        padded = pad_sequence(rows, batch_first=True).to(self._device).float()  # (B, T, width)
        size = self._teacher.config.hidden_size
        hidden = {
            layer: padded[..., position * size : (position + 1) * size]
            for position, layer in enumerate(self._hidden_layers)
        }
        qkv: QKV | None = None
        if self._relation_layer is not None:
            rest = padded[..., len(self._hidden_layers) * size :]
            q, k, v = (
                x.unflatten(-1, (self._heads, self._head_size)).transpose(1, 2)
                for x in rest.chunk(3, dim=-1)
            )
            qkv = (q, k, v)
        return TeacherBatch(logits=logits, hidden=hidden, qkv=qkv)

    def _compute(self, indices: NDArray[np.int64]) -> dict[int, Tensor]:
        """Run the teacher; remember logits, write what fits. By text: (T_i, width) float16."""
        inputs = collate(self._texts, indices, self._teacher.config.pad_token_id or 0, self._device)
        with torch.no_grad():
            output: LeanOutput = self._teacher(
                **inputs,
                output_hidden_states=bool(self._hidden_layers),
                output_qkv=self._relation_layer is not None,
            )
        assert output.logits is not None  # for the type checker
        self._logits[indices] = output.logits.float().cpu().numpy()
        if not self._width:
            return {}
        parts: list[Tensor] = []
        if output.hidden_states is not None:
            parts += [output.hidden_states[layer + 1] for layer in self._hidden_layers]
        if output.qkv is not None and self._relation_layer is not None:
            parts += [x.transpose(1, 2).flatten(2) for x in output.qkv[self._relation_layer]]
        rows = torch.cat(parts, dim=-1).half().cpu()  # (B, T, width)
        by_text: dict[int, Tensor] = {}
        for row, index in zip(rows, indices, strict=True):
            by_text[int(index)] = row[: len(self._texts.ids[int(index)])]
            self._write(int(index), by_text[int(index)])
        return by_text

    def _write(self, index: int, row: Tensor) -> None:
        if self._file is None or self._offsets[index] >= 0:
            return
        data = row.contiguous().numpy().tobytes()
        if self._end + len(data) > self._limit_bytes:
            return
        self._file.seek(self._end)
        self._file.write(data)
        self._offsets[index] = self._end
        self._end += len(data)

    def _read(self, index: int) -> Tensor:
        length = len(self._texts.ids[index])
        if self._file is None:
            raise RuntimeError("teacher outputs are read outside their `with` block")
        size = length * self._width * 2
        data = bytearray(os.pread(self._file.fileno(), size, int(self._offsets[index])))
        return torch.frombuffer(data, dtype=torch.float16).view(length, self._width)
