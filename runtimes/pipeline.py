"""Text in, labels out: a tokenizer, an open session and a task put together."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtimes.base import Array, Session, TextInput, logits_of
from runtimes.errors import ArtifactError, UsageError, not_finite
from runtimes.pool import SessionPool
from runtimes.pooling import Pooling, pooled
from runtimes.tasks.base import Outputs, Task
from runtimes.tokenization import Rows, TextTokenizer
from runtimes.variants import TwoVariants

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

    from tokenizers import Encoding

__all__ = ["Predictor"]

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

# Texts that are tokenized at once: enough to sort them by length, little enough for any memory.
_CHUNK = 4096


class Predictor:
    """A model that is called with text, and answers like `transformers.pipeline`.

    It is a context manager; `close()` frees the model's memory. Several threads may call it.

    A text has one answer: alone, in a list, and in whatever order. See `batch_invariant`.

    Args:
        session: The open model.
        tokenizer: Turns text into the session's inputs.
        task: Module of `runtimes.tasks` that reads inputs and shapes results.
        labels: The C class names, in the order of the model's outputs.
        problem_type: As in Hugging Face configs.
        pooling: How a sentence's vector is made of a session's token vectors; None where the
            model itself does that, or makes none.
        answer_one: Overrides how a single text is answered (the PyTorch reference passes the few
            lines that its users would write); None composes tokenizer, session and task.
        batch_invariant: Whether a text's answer is the same, to the last bit, alone and in any
            list: each goes through the model alone. Otherwise a list goes in batches. What shares
            a batch then changes the last bits of an answer, and with quantization ranges that are
            found at every call also labels.
        pairs: Whether it may be asked pairs of texts.
        threads: What the session was opened with; None: the library's choice.

    Example:
        >>> classify = runtimes.load("out/artifact")  # doctest: +SKIP
        >>> classify("a gorgeous, witty film")        # doctest: +SKIP
        [{'label': 'positive', 'score': 0.998}]
    """

    def __init__(
        self,
        session: Session,
        tokenizer: TextTokenizer,
        task: Task,
        *,
        labels: Sequence[str],
        problem_type: str = "single_label_classification",
        pooling: Pooling | None = None,
        answer_one: Callable[[str], dict[str, Any]] | None = None,
        batch_invariant: bool = True,
        pairs: bool = True,
        threads: int | None = None,
    ) -> None:
        self.session = session
        self.tokenizer = tokenizer
        self.task = task
        self.labels = tuple(labels)
        self.problem_type = problem_type
        self.batch_invariant = batch_invariant
        self.threads = threads
        self.pairs = pairs
        self._pooling = pooling
        # What makes such a predictor again: a function and its arguments (`runtimes.loading`).
        self.source: tuple[Callable[..., Predictor], tuple[Any, ...]] | None = None
        self._answer_one = answer_one or self._shortest_way()
        # A single input is not padded, and needs no mask where the session has a file without one.
        lean = session.unpadded_names if isinstance(session, TwoVariants) else None
        self._single_names = session.input_names if lean is None else lean
        # A graph without a mask cannot tell padding from text: only equal lengths share a batch.
        self._padded = "attention_mask" in session.input_names

    @property
    def runtime(self) -> str:
        """Name of the runtime that executes."""
        return self.session.runtime

    @property
    def device(self) -> str:
        """Where it executes."""
        return self.session.device

    @property
    def precision(self) -> str:
        """In what it computes: `"int8"`, `"fp32"`, ..."""
        return self.session.precision

    @property
    def max_length(self) -> int:
        """Most tokens of an input, special tokens included; longer ones are cut."""
        return self.tokenizer.max_length

    def __repr__(self) -> str:
        of = f" of {self.source[1][0]}" if self.source else ""
        labels = f", {len(self.labels)} labels" if self.labels else ""
        threads = "" if self.threads is None else f", threads: {self.threads}"
        return (
            f"<Predictor{of}: {self.task.SPEC.name}{labels}, at most {self.max_length} tokens; "
            f"{self.precision} by {self.runtime} on {self.device}{threads}>"
        )

    def __call__(
        self,
        inputs: Any,
        *,
        batch_size: int = 32,
        truncation: bool = True,
        max_length: int | None = None,
        **options: Any,
    ) -> Any:
        """Predict one input, or a list or any other iterable of them.

        Args:
            inputs: What the task takes: a text, a `(text, text_pair)` tuple, a dict of these two,
                or a list, array, Series, generator or column of such.
            batch_size: Most inputs that go through the model at once, where the predictor is not
                batch-invariant; one that is takes each alone.
            truncation: As long inputs are always cut (see `truncated`), this can only be true.
            max_length: As the model was made for so many tokens, it can only be these.
            options: The task's own: those of `postprocess` in its module of `runtimes.tasks`, such
                as `top_k` of a classifier.

        Returns:
            What `transformers.pipeline` of the task returns; for a list of N inputs a list of N.

        Raises:
            TypeError: `inputs` has another form, or there is no such option.
            UsageError: An option has a value that does not exist, an input is a pair and the model
                was made for single texts, or the predictor was closed.
            ArtifactError: The model's answer is no finite number.
        """
        if not truncation or max_length not in (None, self.max_length):
            raise UsageError(
                f"This model reads {self.max_length} tokens, and what is longer is always cut.",
                hint="which inputs those are: predictor.truncated(INPUTS)",
            )
        answer_one = None if options else self._answer_one
        if answer_one is not None and type(inputs) is str:
            return [answer_one(inputs)]
        parsed = self.task.parse(_listed(inputs))
        return parsed.shaped(self.results(parsed.inputs, batch_size=batch_size, **options))

    def results(
        self, inputs: Sequence[TextInput], *, batch_size: int = 32, **options: Any
    ) -> list[Any]:
        """Return a result for each of N texts or pairs, as the task's `parse` gives them.

        It is what a call does between reading what the caller passed (`Parsed.inputs`) and shaping
        what it gets back (`Parsed.shaped`): inputs of several callers can be answered together.

        Args:
            inputs: N texts or pairs.
            batch_size: See `__call__`.
            options: See `__call__`.

        Raises:
            TypeError: There is no such option.
            UsageError: See `__call__`.
            ArtifactError: The model's answer is no finite number.
        """
        texts = _texts(inputs)
        if texts is None and not self.pairs:
            pair = next(item for item in inputs if not isinstance(item, str))
            raise UsageError(
                f"{pair!r:.80} is a pair, and the model was made for single texts.",
                hint="make one text of the two, as in training",
            )
        answer_one = None if options else self._answer_one
        if answer_one is not None and self.batch_invariant and texts is not None:
            return list(self._map(answer_one, texts))
        outputs = self.outputs(inputs, batch_size)
        return self.task.postprocess(outputs, self.labels, self.problem_type, **options)

    def logits(self, inputs: Sequence[TextInput], batch_size: int = 32) -> NDArray[np.float32]:
        """Return raw outputs for N texts or pairs: float32 (M, C), a row a decision.

        A classifier decides once a text; one of tokens once a word, words being what white space
        separates.
        """
        return self.task.decisions(self.outputs(inputs, batch_size)).astype(np.float32, copy=False)

    def outputs(
        self, inputs: Sequence[TextInput], batch_size: int = 32, *, note_cut: bool = False
    ) -> Outputs:
        """Return what the model says about N texts or pairs, in their order.

        Inputs of similar length share a batch, if any do, so that little is computed on padding.

        Args:
            inputs: N texts or pairs.
            batch_size: Most of them that go through the model at once.
            note_cut: Whether to say which of them are cut, as `truncated` does.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
        if self.batch_invariant:
            batch_size = 1
        if self.task.SPEC.reads_tokens:
            return self._of_tokens(inputs, batch_size, note_cut)
        cut: list[bool] = []
        result = np.empty((len(inputs), len(self.labels)), dtype=np.float32)
        for start in range(0, len(inputs), _CHUNK):
            chunk = inputs[start : start + _CHUNK]
            if note_cut:
                rows = self.tokenizer.rows(chunk, offsets=True)
                cut += _cut(rows)
                batches, answer = self._batches(rows.lengths, batch_size), self.answering(rows)
            else:
                batches, answer = self._work(chunk, batch_size)
            for batch, logits in zip(batches, self._map(answer, batches), strict=True):
                if result.shape[1] != logits.shape[1]:  # of vectors the model says how long
                    result = np.empty((len(inputs), logits.shape[1]), dtype=np.float32)
                result[[start + index for index in batch]] = logits
        _check_finite(result)
        return Outputs(inputs, result, cut=cut)

    def truncated(self, inputs: Sequence[TextInput]) -> list[bool]:
        """Return, for N texts or pairs, which of them are cut to the model's `max_length`.

        What was cut off does not take part in the answer. No context of question answering is cut:
        its windows are all read.
        """
        return self.tokenizer.truncated(inputs)

    def _of_tokens(self, inputs: Sequence[TextInput], batch_size: int, note_cut: bool) -> Outputs:
        places = getattr(self.task, "places", None)
        encodings: list[Encoding] = []
        logits: list[Array] = []
        items: list[int] = []
        windows = self.task.SPEC.windows
        cut = [False] * len(inputs) if note_cut and windows else []
        for start in range(0, len(inputs), _CHUNK):
            rows = self.tokenizer.rows(inputs[start : start + _CHUNK], offsets=True)
            lengths = rows.lengths
            batches = self._batches(lengths, batch_size)
            answer = self.answering(rows)

            def kept(
                batch: list[int], rows: Rows = rows, answer: Callable[[list[int]], Array] = answer
            ) -> list[Array]:
                found = []
                for index, row in zip(batch, answer(batch), strict=True):
                    own = row[: rows.lengths[index]]
                    _check_finite(own)
                    # A copy, or a few rows would keep all of a batch's answers in memory.
                    found.append(own if places is None else own[places(rows.encodings[index])])
                return found

            found: dict[int, Array] = {}
            for batch, answers in zip(batches, self._map(kept, batches), strict=True):
                found.update(zip(batch, answers, strict=True))
            if note_cut and not windows:
                cut += _cut(rows)
            encodings += rows.encodings
            items += (start + item for item in rows.items)
            logits += (found[index] for index in range(len(lengths)))
        tokenizer = self.tokenizer
        return Outputs(
            inputs,
            logits,
            encodings,
            tokenizer.decode,
            items,
            tokenizer.subword_prefix,
            tokenizer.unknown_token,
            tokenizer.token,
            cut,
        )

    def answering(self, rows: Rows) -> Callable[[list[int]], Array]:
        """Return what answers a batch of tokenized inputs, named by their indices: float32 (B, C),
        or (B, T, C) where the model answers for each token."""

        def answer(batch: list[int]) -> Array:
            names = self._single_names if len(batch) == 1 else self.session.input_names
            return self._run(rows.batch(batch, names))

        return answer

    def _work(
        self, chunk: Sequence[TextInput], batch_size: int
    ) -> tuple[list[list[int]], Callable[[list[int]], Array]]:
        """Return batches of a chunk's indices, and what answers one."""
        if len(chunk) == 1 or batch_size == 1:
            singles = [[index] for index in range(len(chunk))]
            return singles, lambda batch: self._run(self.encode([chunk[batch[0]]]))
        rows = self.tokenizer.rows(chunk)
        return self._batches(rows.lengths, batch_size), self.answering(rows)

    def _map(self, answer: Callable[[_Item], _Answer], items: Sequence[_Item]) -> Iterable[_Answer]:
        """Answer texts or batches, in their order; several at a time where there are sessions."""
        if not isinstance(self.session, SessionPool):
            return map(answer, items)
        from concurrent.futures import ThreadPoolExecutor  # 6 ms of every start, else for nothing

        answers: dict[int, _Answer] = {}
        # The longest batches first: they stand last, and would be waited for alone. Each thread
        # takes the next one itself: handing over a small text costs as much as its answer.
        left = iter(reversed(range(len(items))))

        def work() -> None:
            try:
                for place in left:
                    answers[place] = answer(items[place])
            except BaseException:
                deque(left, maxlen=0)  # the others stop, too
                raise

        with ThreadPoolExecutor(self.session.size) as threads:
            for done in [threads.submit(work) for _ in range(self.session.size)]:
                done.result()
        return [answers[place] for place in range(len(items))]

    def encode(self, inputs: Sequence[TextInput]) -> dict[str, NDArray[np.int64]]:
        """Return what `session.run` takes for B texts or pairs: int64 (B, T) arrays; of long texts
        that are cut into windows, a row a window."""
        if self.task.SPEC.windows:
            rows = self.tokenizer.rows(inputs, offsets=True)
            return rows.batch(range(len(rows.lengths)), self.session.input_names)
        names = self._single_names if len(inputs) == 1 else self.session.input_names
        return self.tokenizer.encode(inputs, names)

    def warm(self, text: str) -> None:
        """Run the model once: libraries allocate in the first run.

        Raises:
            ArtifactError: Its answer does not fit the labels, or is no finite number.
        """
        _check_finite(self._run(self.encode([text])))

    def close(self) -> None:
        """Free the model's memory; any use of the predictor is an error afterwards."""
        self.session.close()
        self._answer_one = None  # it may hold the model, too
        self.source = None

    def __reduce__(self) -> tuple[Callable[..., "Predictor"], tuple[Any, ...]]:
        """Pickle, or copy, where it was loaded from: who unpickles it loads it there.

        Raises:
            TypeError: It was not opened by `load`, or was closed.
        """
        if self.source is None:
            raise TypeError("Only an open predictor of runtimes.load can be pickled or copied.")
        return self.source

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _shortest_way(self) -> Callable[[str], dict[str, Any]] | None:
        """How one text is answered, of a task that has a way for it."""
        postprocess = getattr(self.task, "postprocess_one", None)
        if postprocess is None:
            return None

        def answer(text: str) -> dict[str, Any]:
            arrays = self.tokenizer.encode_one(text, self._single_names)
            result: dict[str, Any] = postprocess(
                self._run(arrays)[0], self.labels, self.problem_type
            )
            return result

        return answer

    def _run(self, arrays: dict[str, NDArray[np.int64]]) -> Array:
        """Return the model's logits (B, C) or (B, T, C) for one batch."""
        logits = logits_of(self.session.run(arrays))
        if self._pooling is not None and logits.ndim == 3:
            return pooled(logits, arrays.get("attention_mask"), self._pooling)
        if logits.ndim != 2 + self.task.SPEC.reads_tokens:
            raise ArtifactError(
                f"The model's outputs have the shape {logits.shape}, which is not that of "
                f"{self.task.SPEC.name}."
            )
        if logits.shape[-1] != len(self.labels) and self.labels:
            raise ArtifactError(
                f"The model has {logits.shape[-1]} outputs but {len(self.labels)} labels: "
                f"{', '.join(self.labels)}."
            )
        return logits

    def _batches(self, lengths: NDArray[np.int64], batch_size: int) -> list[list[int]]:
        """Group inputs by similar length (by equal length without a mask)."""
        batches: list[list[int]] = []
        for index in np.argsort(lengths, kind="stable").tolist():
            last = batches[-1] if batches else None
            if (
                last is None
                or len(last) == batch_size
                or not (self._padded or lengths[last[0]] == lengths[index])
            ):
                batches.append([index])
            else:
                last.append(index)
        return batches


def _listed(inputs: Any) -> Any:
    """Return a list of what can be gone through once; what tasks read themselves as it is."""
    read = isinstance(inputs, str | bytes | Sequence | Mapping | Set)
    flat = getattr(inputs, "ndim", 1) == 1  # no table, and no number
    return list(inputs) if flat and not read and isinstance(inputs, Iterable) else inputs


def _texts(inputs: Sequence[TextInput]) -> list[str] | None:
    """Return the inputs where all are single texts, else None."""
    texts = [item for item in inputs if isinstance(item, str)]
    return texts if len(texts) == len(inputs) else None


def _cut(rows: Rows) -> list[bool]:
    """Return which rows were cut, where what the library knows of them was kept."""
    return [bool(encoding.overflowing) for encoding in rows.encodings]


def _check_finite(logits: Array) -> None:
    if not np.isfinite(logits).all():
        raise not_finite()
