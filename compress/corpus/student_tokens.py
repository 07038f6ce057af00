"""Reads for a student what the teacher reads: tokens of another tokenizer.

Many encoders share a vocabulary and number it differently: MPNet's and BERT's word pieces are the
same. There a student's tokens are the teacher's, one by one, and all that the teacher says of them
is good for the student. Otherwise a text is spelled out and tokenized again, and only answers to
whole texts compare.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.data.tokenized import TokenizedTexts, tokenize
from compress.errors import ModelError
from runtimes.registry import get_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["StudentTokens"]

_ROLES = (
    "cls_token",
    "sep_token",
    "bos_token",
    "eos_token",
    "pad_token",
    "unk_token",
    "mask_token",
)
_COMPARED = 512  # texts that both tokenizers read, to see whether they cut them alike


class StudentTokens:
    """Turns texts of the teacher's tokens into texts of a student's.

    Args:
        teacher: The teacher's tokenizer.
        student: The student's.
        examples: Texts of the task: on some of them the tokenizers are compared.
        max_length: Tokens that the student keeps of a text.

    Attributes:
        aligned: Whether each token of the one is a token of the other, at the same place.

    Raises:
        ModelError: They are not aligned, and the task is about words or tokens.
    """

    def __init__(
        self,
        teacher: "PreTrainedTokenizerBase",
        student: "PreTrainedTokenizerBase",
        examples: Examples,
        max_length: int,
    ) -> None:
        self._teacher, self._student, self._max_length = teacher, student, max_length
        self._numbers = _numbers(teacher, student)
        few = examples.take(range(0, len(examples), -(-len(examples) // _COMPARED)))
        theirs, own = (tokenize(few, each, max_length) for each in (teacher, student))
        self.aligned = all(
            np.array_equal(self._numbers[a], b) for a, b in zip(theirs.ids, own.ids, strict=True)
        )
        self._has_types = own.type_ids is not None
        spec = get_task(examples.task).SPEC
        if not self.aligned and spec.reads_tokens:
            raise ModelError(
                f"the student's tokenizer cuts texts into other tokens than the model's, and "
                f"{examples.task} is about tokens",
                hint="name a student with the model's own vocabulary",
            )

    def tokenize(self, examples: Examples) -> TokenizedTexts:
        """Return texts as the student reads them."""
        return tokenize(examples, self._student, self._max_length)

    def retold(self, texts: TokenizedTexts) -> TokenizedTexts:
        """Return texts in the student's tokens; they have no labels.

        Args:
            texts: In the teacher's tokens, such as text that was generated of them.
        """
        if self.aligned:
            return TokenizedTexts([self._numbers[ids] for ids in texts.ids], texts.type_ids)
        parts = [self._spelled(ids) for ids in texts.ids]
        pairs = [part[1] if len(part) > 1 else "" for part in parts]
        encoded = self._student(
            [part[0] for part in parts],
            pairs if any(pairs) else None,
            truncation=True,
            max_length=self._max_length,
            return_attention_mask=False,
            return_token_type_ids=self._has_types,
        )
        types = encoded["token_type_ids"] if self._has_types else None
        return TokenizedTexts(
            ids=[np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]],
            type_ids=None if types is None else [np.asarray(row, dtype=np.int8) for row in types],
        )

    def _spelled(self, ids: NDArray[np.int32]) -> Sequence[str]:
        """Return the text between special tokens, or both texts of a pair."""
        special = {*self._teacher.all_special_ids} - {self._teacher.mask_token_id}
        parts: list[list[int]] = [[]]
        for token in ids.tolist():
            if token not in special:
                parts[-1].append(token)
            elif parts[-1]:
                parts.append([])
        if not parts[-1] and len(parts) > 1:
            parts.pop()
        spelled = [self._teacher.decode(part) for part in parts]
        mask, own = self._teacher.mask_token, self._student.mask_token or ""
        return [text.replace(mask, own) if mask else text for text in spelled]


def _numbers(
    teacher: "PreTrainedTokenizerBase", student: "PreTrainedTokenizerBase"
) -> NDArray[np.int32]:
    """Return the student's number of each of the teacher's tokens; of one that it lacks, that of
    the unknown."""
    own = student.get_vocab()
    unknown = student.unk_token_id if student.unk_token_id is not None else 0
    theirs = teacher.get_vocab()
    numbers = np.full(max(theirs.values()) + 1, unknown, dtype=np.int32)
    for token, index in theirs.items():
        numbers[index] = own.get(token, unknown)
    # BERT's [CLS] is RoBERTa's <s>: special tokens are known by their role.
    for role in _ROLES:
        index, mine = (getattr(each, f"{role}_id") for each in (teacher, student))
        if index is not None and mine is not None:
            numbers[index] = mine
    return numbers
