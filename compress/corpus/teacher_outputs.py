"""Computes the teacher's outputs for each training text once, kept in a file while they fit."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from compress.data.tokenized import TokenizedTexts, collate
from compress.encoder.modules import LeanEncoderWithHead, LeanOutput
from compress.predictions.losses import QKV

__all__ = ["MOST_BYTES", "TeacherBatch", "TeacherOutputs"]

MOST_BYTES = 4_000_000_000
"""Size that the file with the teacher's outputs never exceeds."""

Column = tuple[Literal["hidden", "qkv", "logits"], int]
"""Kind of output that is kept of a text's tokens, and its layer."""
_LOGITS: Column = ("logits", -1)
_TOGETHER = 128  # texts that the teacher is asked at once, where that is known beforehand


@dataclass(frozen=True)
class TeacherBatch:
    """The teacher's outputs for one batch.

    Attributes:
        logits: (B, C), or (B, T, C) of a teacher that answers for every token.
        hidden: By teacher layer asked for, its output (B, T, H).
        qkv: Queries, keys and values of the relation layer, each (B, h, T, d), or None.
    """

    logits: Tensor
    hidden: dict[int, Tensor]
    qkv: QKV | None


class TeacherOutputs:
    """Serves the teacher's outputs batch by batch.

    A text's outputs are computed the first time it is met. Logits are kept in memory. Hidden
    states, queries, keys and values are written as float16 to one file in `folder` until it has
    `limit_bytes`, and read from there by position (not mapped: pages of a mapped file count as
    this process's memory); what came later is computed again each time. Several students may learn
    from one object, each from the layers that it needs.

    Args:
        teacher: On the device where batches are wanted; not modified.
        texts: What indices count, in the teacher's tokens.
        students: The same texts in a student's tokens, where these are others.
        folder: Where the file goes; `close` removes it.
        limit_bytes: Largest size of the file; None leaves others half of the disk's room.

    Attributes:
        texts: As students read them.
    """

    def __init__(
        self,
        teacher: LeanEncoderWithHead,
        texts: TokenizedTexts,
        *,
        students: TokenizedTexts | None = None,
        folder: Path,
        limit_bytes: int | None = None,
    ) -> None:
        self._read = texts
        self.texts = texts if students is None else students
        self.teacher = teacher
        self._device = next(teacher.parameters()).device
        if limit_bytes is None:
            limit_bytes = min(MOST_BYTES, shutil.disk_usage(folder).free // 2)
        self._limit_bytes = limit_bytes
        # Answers for every token are as much as a layer's output: they go to the file.
        self._of_tokens = teacher.config.reads_tokens
        self._logits = np.full(
            (len(texts), 1 if self._of_tokens else teacher.config.outputs),
            np.nan,
            dtype=np.float32,
        )
        self._offsets: dict[Column, NDArray[np.int64]] = {}  # (N,), -1: not in the file
        self._end = 0
        self._path = folder / "teacher-outputs.f16"
        self._file = self._path.open("w+b", buffering=0)

    def extend(
        self, texts: TokenizedTexts, students: TokenizedTexts | None = None
    ) -> NDArray[np.int64]:
        """Serve more texts as well; returns their indices, which follow those so far."""
        start, more = len(self.texts), len(texts)
        apart = None if students is None else self.texts.followed_by(students)
        self._read = self._read.followed_by(texts)
        self.texts = self._read if apart is None else apart
        unknown = np.full((more, self._logits.shape[1]), np.nan, dtype=np.float32)
        self._logits = np.concatenate([self._logits, unknown])
        for column, offsets in self._offsets.items():
            absent = np.full(more, -1, dtype=np.int64)
            self._offsets[column] = np.concatenate([offsets, absent])
        return np.arange(start, start + more)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def batch(
        self,
        indices: NDArray[np.int64],
        hidden_layers: Sequence[int] = (),
        relation_layer: int | None = None,
    ) -> TeacherBatch:
        """Return the outputs for the texts at `indices`, padded as `collate` pads them.

        Args:
            indices: (B,) into the texts.
            hidden_layers: Layers whose output is wanted.
            relation_layer: Layer whose queries, keys and values are wanted, or None.
        """
        columns = self._columns(hidden_layers, relation_layer)
        known = self._known(indices, columns)
        computed = {} if known.all() else self._compute(indices[~known], columns)
        values: dict[Column, Tensor] = {}  # each (B, T, width)
        for column in columns:
            rows = [
                computed[column, i] if (column, i) in computed else self._from_file(column, i)
                for i in indices.tolist()
            ]
            values[column] = pad_sequence(rows, batch_first=True).to(self._device).float()
        return TeacherBatch(
            logits=values[_LOGITS]
            if self._of_tokens
            else torch.from_numpy(self._logits[indices]).to(self._device),
            hidden={layer: values["hidden", layer] for layer in set(hidden_layers)},
            qkv=None
            if relation_layer is None
            else self._split(values["qkv", relation_layer], relation_layer),
        )

    def learn(
        self,
        indices: NDArray[np.int64],
        hidden_layers: Sequence[int] = (),
        relation_layer: int | None = None,
    ) -> None:
        """Compute ahead what `batch` will be asked for, many texts of similar length at once.

        Half of what a small batch takes in bfloat16 is the casting of weights. Where the file has
        no room nothing is computed: it would be again.

        Args:
            indices: (n,) into the texts.
            hidden_layers: As for `batch`.
            relation_layer: As for `batch`.
        """
        columns = self._columns(hidden_layers, relation_layer)
        unknown = np.unique(indices[~self._known(indices, columns)])
        lengths = self._read.lengths[unknown]
        if self._end + 2 * int(lengths.sum()) * sum(map(self._width, columns)) > self._limit_bytes:
            return
        order = unknown[np.argsort(lengths, kind="stable")]
        for start in range(0, len(order), _TOGETHER):
            self._compute(order[start : start + _TOGETHER], columns)

    def _columns(self, hidden_layers: Sequence[int], relation_layer: int | None) -> list[Column]:
        columns: list[Column] = [("hidden", layer) for layer in sorted(set(hidden_layers))]
        if relation_layer is not None:
            columns.append(("qkv", relation_layer))
        if self._of_tokens:
            columns.append(_LOGITS)
        for column in columns:
            if column not in self._offsets:
                self._offsets[column] = np.full(len(self.texts), -1, dtype=np.int64)
        return columns

    def _known(self, indices: NDArray[np.int64], columns: Sequence[Column]) -> NDArray[np.bool_]:
        """Return which texts (B,) need not be computed."""
        known: NDArray[np.bool_] = ~np.isnan(self._logits[indices, 0]) | self._of_tokens
        for column in columns:
            known &= self._offsets[column][indices] >= 0
        return known

    def _compute(
        self, indices: NDArray[np.int64], columns: Sequence[Column]
    ) -> Mapping[tuple[Column, int], Tensor]:
        """Run the teacher; remember logits, write what fits. By column and text, (T_i, width)."""
        inputs = collate(self._read, indices, self.teacher.config.pad_token_id or 0, self._device)
        with torch.no_grad():
            output: LeanOutput = self.teacher(
                **inputs,
                output_hidden_states=any(kind == "hidden" for kind, _ in columns),
                output_qkv=any(kind == "qkv" for kind, _ in columns),
            )
        assert output.logits is not None  # for the type checker
        if not self._of_tokens:
            self._logits[indices] = output.logits.float().cpu().numpy()
        found: dict[tuple[Column, int], Tensor] = {}
        for column in columns:
            rows = _rows(output, column).half().cpu()  # (B, T, width)
            for row, index in zip(rows, indices.tolist(), strict=True):
                found[column, index] = row[: len(self._read.ids[index])]
                self._write(column, index, found[column, index])
        return found

    def _write(self, column: Column, index: int, row: Tensor) -> None:
        offsets = self._offsets[column]
        if offsets[index] >= 0:
            return
        data = row.contiguous().numpy().tobytes()
        if self._end + len(data) > self._limit_bytes:
            return
        self._file.seek(self._end)
        self._file.write(data)
        offsets[index] = self._end
        self._end += len(data)

    def _from_file(self, column: Column, index: int) -> Tensor:
        width = self._width(column)
        length = len(self._read.ids[index])
        offset = int(self._offsets[column][index])
        data = bytearray(os.pread(self._file.fileno(), length * width * 2, offset))
        return torch.frombuffer(data, dtype=torch.float16).view(length, width)

    def _width(self, column: Column) -> int:
        kind, layer = column
        config = self.teacher.config
        if kind == "logits":
            return int(config.outputs)
        sizes = config.layer_sizes[layer]
        return int(config.hidden_size) if kind == "hidden" else 3 * sizes.heads * sizes.head_size

    def _split(self, rows: Tensor, layer: int) -> QKV:
        """Split (B, T, 3 h d) into queries, keys and values, each (B, h, T, d)."""
        sizes = self.teacher.config.layer_sizes[layer]
        q, k, v = (
            x.unflatten(-1, (sizes.heads, sizes.head_size)).transpose(1, 2)
            for x in rows.chunk(3, dim=-1)
        )
        return q, k, v


def _rows(output: LeanOutput, column: Column) -> Tensor:
    """Return (B, T, width) of one column."""
    kind, layer = column
    if kind == "logits":
        assert output.logits is not None
        return output.logits
    if kind == "hidden":
        assert output.hidden_states is not None  # it was asked for
        return output.hidden_states[layer + 1]
    assert output.qkv is not None
    return torch.cat([x.transpose(1, 2).flatten(2) for x in output.qkv[layer]], dim=-1)
