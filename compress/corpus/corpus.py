"""Makes the texts that the stages of a run train and measure on, when they are asked for.

The members of a family are taught one after another by the same teacher, which is asked once about
each text. The training text is the same for all; generated text is new for each member that goes on
from what another has learnt. A part of the training text is set aside: what is decided on the way
is decided on it, so that the texts which choose a member at the end are fresh to all of them.
"""

import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from compress.corpus.augmentation import Vocabulary, augment, read_vocabulary
from compress.corpus.selection_split import Selection
from compress.corpus.student_tokens import StudentTokens
from compress.corpus.teacher_outputs import TeacherOutputs
from compress.data.splitting import stratified
from compress.data.tokenized import TokenizedTexts, tokenize
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.predict import predict_logits
from compress.system.device import has_bfloat16, training_device
from compress.system.distributed import from_main

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Material", "Purpose", "set_aside"]


Purpose = Literal["probe", "draft", "repair", "importance", "ranges", "sensitivity", "rounding"]
"""Purposes that training texts are drawn for."""

# Each has a draw of its own.
_DRAWS: dict[Purpose, int] = {
    "probe": 1,  # comparing models without training
    "draft": 2,  # refitting projections while comparing
    "repair": 3,  # refitting them in earnest
    "importance": 4,  # scoring heads and neurons
    "ranges": 5,  # static INT8
    "sensitivity": 6,  # which layers INT8 hurts
    "rounding": 7,  # what its weights are rounded for
}

# Generated texts per training text. Twice as much text, each learnt from at most once, takes a
# student of SST-2 from a KL of 0.087 to 0.078; twice as many passes take it nowhere (docs/log.md).
_COPIES, _COPIES_BFLOAT16 = 5, 11

# Training texts that are set aside: a tenth, at most so many; of fewer than these, none.
_GUIDE, _LEAST_TO_SET_ASIDE = 400, 1000


class Material:
    """Teacher, texts and what the teacher says about them; a context manager.

    Args:
        teacher: The full-precision model as imported; never modified.
        tokenizer: The teacher's.
        train: Labelled training text.
        selection: The split that chooses a member.
        unlabelled: More text of the task's kind, which only the teacher labels.
        max_length: Tokens kept of a text.
        seed: Of sampling and of generated text.
        scratch: Folder for the file of teacher outputs.
        student: How students read texts, where their tokenizer is another than the teacher's.

    Attributes:
        device: Where teacher and students compute.
        aligned: Whether students' tokens are the teacher's, so that hidden states compare.
    """

    def __init__(
        self,
        teacher: LeanEncoderWithHead,
        tokenizer: "PreTrainedTokenizerBase",
        train: Examples,
        selection: Examples,
        *,
        unlabelled: Examples | None = None,
        max_length: int,
        seed: int,
        scratch: Path,
        student: StudentTokens | None = None,
    ) -> None:
        self.device = training_device()
        self.aligned = student is None or student.aligned
        self._student = student
        self._teacher, self._tokenizer = teacher, tokenizer
        self._train, self._selection, self._unlabelled = train, selection, unlabelled
        self._learnt, self._guide = set_aside(train, seed)
        self._max_length, self._seed, self._scratch = max_length, seed, scratch
        self._outputs: TeacherOutputs | None = None
        self._outputs_of: tuple[int, int] | None = None
        self._draws: dict[int, NDArray[np.int64]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._outputs is not None:
            self._outputs.close()

    @cached_property
    def teacher(self) -> LeanEncoderWithHead:
        """Copy of the teacher on the training device, in evaluation mode."""
        return copy.deepcopy(self._teacher).to(self.device).eval()

    @cached_property
    def texts(self) -> TokenizedTexts:
        """The labelled training text, with what is set aside of it, as students read it."""
        return self._own(self._train)

    @cached_property
    def learnt(self) -> TokenizedTexts:
        """The labelled training text that may be learnt from."""
        return self._own(self._learnt)

    @cached_property
    def guide(self) -> Selection:
        """Training text that is not learnt from, with the teacher's answers.

        All decisions in training are taken on it: which weights are best, whether there is anything
        to train, what rounding costs. Where there is little training text it is a sample of what is
        learnt from as well.
        """
        return self._with_answers(self._guide)

    @cached_property
    def selection(self) -> Selection:
        """The selection split with the teacher's answers."""
        return self._with_answers(self._selection)

    @cached_property
    def selection_is_cut(self) -> bool:
        """Whether the teacher may have read a text of the selection split only in part."""
        own = self._student is None
        texts = self.selection.texts if own else self._teachers(self._selection)
        return int(texts.lengths.max()) >= self._max_length

    def sample(self, most: int, purpose: Purpose) -> TokenizedTexts:
        """Return at most `most` labelled training texts: the same ones for the same purpose."""
        return self.learnt.take(self._drawn(most, purpose))

    def asked(self, most: int, purpose: Purpose) -> tuple[TokenizedTexts, NDArray[np.float32]]:
        """Return the texts of `sample`, and (M, C) what the teacher says about them."""
        drawn = self._drawn(most, purpose)
        logits = predict_logits(self.teacher, self._teachers_learnt.take(drawn))
        return self.learnt.take(drawn), logits

    def pool(
        self, *, most_texts: int, copies: int | None, draw: int
    ) -> tuple[TeacherOutputs, NDArray[np.int64]]:
        """Return texts to learn from, and what the teacher says about them.

        They are the training text (at most `most_texts`), unlabelled text, and generated
        text, which is new for each draw: a student that meets texts which it, or the model that it
        was cut from, has learnt from already learns little more from them.

        Args:
            most_texts: Training and unlabelled texts; where there are more, they are sampled.
            copies: Generated texts for each of them; None is what this device has time for.
            draw: 0, 1, ...; the same number gives the same texts.

        Returns:
            The teacher's outputs, which serve all draws' texts, and the indices of this one's.
        """
        # Of several processes the first one says: all cut the same texts into batches.
        copies = from_main(self.copies(copies))
        wanted = (most_texts, copies)
        if self._outputs is None or self._outputs_of != wanted:
            if self._outputs is not None:
                self._outputs.close()
            drawn = _limited(len(self._given), most_texts, np.random.default_rng([self._seed, 1]))
            given, own = self._given.take(drawn), None
            if self._student is not None:
                own = self._students_given.take(drawn)
            self._outputs = TeacherOutputs(self.teacher, given, students=own, folder=self._scratch)
            self._outputs_of, self._draws = wanted, {}
            self._sources = given
        given_indices = np.arange(len(self._sources))
        if copies == 0:
            return self._outputs, given_indices
        if draw not in self._draws:
            rng = np.random.default_rng([self._seed, 1, draw])
            generated = augment(self._sources, self._vocabulary, copies, rng, self._max_length)
            own = None if self._student is None else self._student.retold(generated)
            self._draws[draw] = self._outputs.extend(generated, own)
        return self._outputs, np.concatenate([given_indices, self._draws[draw]])

    def copies(self, wanted: int | None) -> int:
        """Return how many texts are generated for each; None: what this device has time for."""
        if wanted is not None:
            return wanted
        return _COPIES_BFLOAT16 if has_bfloat16(self.device) else _COPIES

    def _teachers(self, examples: Examples) -> TokenizedTexts:
        """Return texts as the teacher reads them."""
        return tokenize(examples, self._tokenizer, self._max_length)

    def _own(self, examples: Examples) -> TokenizedTexts:
        """Return texts as students read them."""
        tokenized = self._teachers if self._student is None else self._student.tokenize
        return tokenized(examples)

    def _with_answers(self, examples: Examples) -> Selection:
        logits = predict_logits(self.teacher, self._teachers(examples))
        return Selection.of(examples, self._own(examples), logits)

    @cached_property
    def _teachers_learnt(self) -> TokenizedTexts:
        return self.learnt if self._student is None else self._teachers(self._learnt)

    @cached_property
    def _given(self) -> TokenizedTexts:
        """Training text, and unlabelled text after it, in the teacher's tokens."""
        if self._unlabelled is None:
            return self._teachers_learnt
        more = self._teachers(self._unlabelled)
        return self._teachers_learnt.followed_by(more.without_labels())

    @cached_property
    def _students_given(self) -> TokenizedTexts:
        """The same in the student's."""
        if self._unlabelled is None:
            return self.learnt
        return self.learnt.followed_by(self._own(self._unlabelled).without_labels())

    def _drawn(self, most: int, purpose: Purpose) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, _DRAWS[purpose]])
        return _limited(len(self.learnt), most, rng)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        """The neighbours of all tokens that the texts hold."""
        table = self.teacher.encoder.embeddings.words.weight.detach().float().cpu().numpy()
        return read_vocabulary(self._tokenizer, table, self._given)


def set_aside(train: Examples, seed: int) -> tuple[Examples, Examples]:
    """Return the texts that are learnt from, and those that guide the training."""
    count = len(train)
    if count < _LEAST_TO_SET_ASIDE:
        share = min(1.0, _GUIDE / count)
        return train, train if share == 1 else stratified(train, (1 - share, share), seed)[1]
    share = min(0.1, _GUIDE / count)
    learnt, guide = stratified(train, (1 - share, share), seed)
    return learnt, guide


def _limited(count: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the indices of all texts, or of a random `most` of them."""
    return np.arange(count) if count <= most else np.sort(rng.permutation(count)[:most])
