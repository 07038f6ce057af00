"""Text in, labels out: a tokenizer, an open session and a task put together."""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from runtimes.base import Array, Session
from runtimes.errors import ArtifactError
from runtimes.pool import SessionPool
from runtimes.tasks.base import Task
from runtimes.tokenization import TextInput, TextTokenizer
from runtimes.variants import TwoVariants

__all__ = ["Predictor"]

# Texts that are tokenized at once: enough to sort them by length, little enough for any memory.
_CHUNK = 4096


class Predictor:
    """A model that is called with text, and answers like `transformers.pipeline`.

    It is a context manager; `close()` frees the model's memory. Several threads may call it.

    Args:
        session: The open model.
        tokenizer: Turns text into the session's inputs.
        task: Module of `runtimes.tasks` that reads inputs and shapes results.
        labels: The C class names, in the order of the model's outputs.
        problem_type: As in Hugging Face configs.
        answer_one: Overrides how a single text is answered (the PyTorch reference passes the few
            lines that its users would write); None composes tokenizer, session and task.

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
        answer_one: Callable[[str], dict[str, Any]] | None = None,
    ) -> None:
        self.session = session
        self.tokenizer = tokenizer
        self.task = task
        self.labels = tuple(labels)
        self.problem_type = problem_type
        self._answer_one = answer_one or self._compose_one
        # A single input is not padded, and needs no mask where the session has a file without one.
        lean = session.unpadded_names if isinstance(session, TwoVariants) else None
        self._single_names = session.input_names if lean is None else lean
        # A graph without a mask cannot tell padding from text: only equal lengths share a batch.
        self._padded = "attention_mask" in session.input_names

    def __call__(
        self,
        inputs: Any,
        *,
        batch_size: int = 32,
        top_k: int | None = 1,
        function_to_apply: str | None = None,
    ) -> Any:
        """Predict one input or a list of them.

        Args:
            inputs: A text, a `(text, text_pair)` tuple, a dict of these two, or a list of such.
            batch_size: Most inputs that go through the model at once.
            top_k: 1 for the best class alone; another number or None (all) for a list, best first.
            function_to_apply: Overrules the function from logits to scores.

        Returns:
            For a text `[{"label", "score"}]`; for a pair `{"label", "score"}` (as Transformers
            does); for a list of N inputs a list of N dicts. With `top_k` other than 1, a list of
            dicts for each input. (Transformers wraps each result of a list in a list of one where
            `top_k=1` is spelt out; here it is the default and changes nothing.)

        Raises:
            TypeError: `inputs` has another form.
            UsageError: An option has a value that does not exist.
        """
        if type(inputs) is str and top_k == 1 and function_to_apply is None:
            return [self._answer_one(inputs)]
        items, many = self.task.parse(inputs)
        results = self.task.postprocess(
            self.logits(items, batch_size),
            self.labels,
            self.problem_type,
            top_k=top_k,
            function_to_apply=function_to_apply,
        )
        if many:
            return results
        return results if isinstance(inputs, str) and top_k == 1 else results[0]

    def logits(self, inputs: Sequence[TextInput], batch_size: int = 32) -> NDArray[np.float32]:
        """Raw outputs for N texts or pairs: float32 (N, C), in the order of `inputs`.

        Inputs of similar length share a batch, so that little is computed on padding.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
        result = np.empty((len(inputs), len(self.labels)), dtype=np.float32)
        for start in range(0, len(inputs), _CHUNK):
            batches, answer = self._work(inputs[start : start + _CHUNK], batch_size)
            for batch, logits in zip(batches, self._map(answer, batches), strict=True):
                result[[start + index for index in batch]] = logits
        return result

    def _work(
        self, chunk: Sequence[TextInput], batch_size: int
    ) -> tuple[list[list[int]], Callable[[list[int]], Array]]:
        """Batches of a chunk's indices, and what answers one."""
        if len(chunk) == 1 or batch_size == 1:
            singles = [[index] for index in range(len(chunk))]
            return singles, lambda batch: self._run(self.encode([chunk[batch[0]]]))
        rows = self.tokenizer.rows(chunk)
        names = self.session.input_names
        batches = self._batches(rows.lengths, batch_size)
        return batches, lambda batch: self._run(rows.batch(batch, names))

    def _map(
        self, answer: Callable[[list[int]], Array], batches: list[list[int]]
    ) -> Iterable[Array]:
        """The answers to batches, in their order; at the same time where there are sessions."""
        if not isinstance(self.session, SessionPool):
            return map(answer, batches)
        from concurrent.futures import ThreadPoolExecutor  # 6 ms of every start, else for nothing

        with ThreadPoolExecutor(self.session.size) as threads:
            # The longest first: they stand last, and would be waited for alone.
            return list(threads.map(answer, reversed(batches)))[::-1]

    def encode(self, inputs: Sequence[TextInput]) -> dict[str, NDArray[np.int64]]:
        """The session's inputs for B texts or pairs: what `session.run` takes, int64 (B, T)."""
        names = self._single_names if len(inputs) == 1 else self.session.input_names
        return self.tokenizer.encode(inputs, names)

    def close(self) -> None:
        """Free the model's memory; the predictor cannot be used afterwards."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _compose_one(self, text: str) -> dict[str, Any]:
        arrays = self.tokenizer.encode_one(text, self._single_names)
        return self.task.postprocess_one(self._run(arrays)[0], self.labels, self.problem_type)

    def _run(self, arrays: dict[str, NDArray[np.int64]]) -> Array:
        """The model's logits (B, C) for one batch."""
        outputs = self.session.run(arrays)
        # A stock export may call its only output something else.
        logits = outputs["logits"] if "logits" in outputs else next(iter(outputs.values()))
        if logits.shape[-1] != len(self.labels):
            raise ArtifactError(
                f"The model has {logits.shape[-1]} outputs but {len(self.labels)} labels: "
                f"{', '.join(self.labels)}."
            )
        return logits

    def _batches(self, lengths: NDArray[np.int64], batch_size: int) -> list[list[int]]:
        """Indices of inputs in batches of similar length (of equal length without a mask)."""
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
