"""Measures latency by the length of the input, on texts made of the data's own words."""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.disturbance import Watch
from benchmarks.examples import Examples
from benchmarks.labels import Spans
from benchmarks.latency import Timeable, turn_order
from benchmarks.report import LengthPoint

__all__ = ["measure_lengths", "median_tokens", "texts_of_lengths"]

_DISCARDED, _COUNTED = 2, 7  # timings of each length, for each row


def texts_of_lengths(
    examples: Examples, folder: Path, lengths: Sequence[int]
) -> list[tuple[int, str | tuple[str, str]]]:
    """Make an input of about each length, as (its tokens, the input).

    Args:
        examples: Whose words are used, as often as needed; of pairs the first sentence grows, of
            questions the context.
        folder: Holds the `tokenizer.json` that lengths are counted with.
        lengths: In tokens; those beyond what the tokenizer keeps are left out.
    """
    if not lengths:
        return []
    from runtimes.tokenization import Tokenizer

    kept = Tokenizer.from_folder(folder).max_length
    longest = max((length for length in lengths if length <= kept), default=0)
    tokenizer = Tokenizer.from_folder(folder, max_length=2 * longest + 2)  # to count, not to cut
    second = None if examples.pairs is None else min(examples.pairs, key=len)
    words = " ".join(examples.texts).split()
    words *= 1 + longest // max(1, len(words))  # a word has one token or more

    words = words[:longest]

    def made(count: int) -> str | tuple[str, str]:
        text = " ".join(words[:count])
        if isinstance(examples.targets, Spans):
            return min(examples.texts, key=len), text
        return text if second is None else (text, second)

    def tokens(count: int) -> int:
        return int(tokenizer.rows([made(count)]).lengths[0])

    found: list[tuple[int, str | tuple[str, str]]] = []
    for length in sorted(length for length in lengths if length <= longest):
        # The most words that fit: more words have more tokens.
        count = bisect_right(range(len(words) + 1), length, key=tokens) - 1
        if count > 0 and (not found or tokens(count) > found[-1][0]):
            found.append((tokens(count), made(count)))
    return found


def median_tokens(examples: Examples, folder: Path) -> int:
    """Return the tokens of the median input, by the tokenizer in `folder`."""
    from runtimes.tokenization import Tokenizer

    return int(np.median(Tokenizer.from_folder(folder).rows(examples.inputs()).lengths))


def measure_lengths(
    models: Sequence[Timeable],
    points: Sequence[tuple[int, int]],
    *,
    pause_s: float,
    watch: Watch,
    on_failure: Callable[[Timeable, Exception], None],
    failures: tuple[type[Exception], ...],
    progress: Callable[[int, int], None],
) -> dict[str, tuple[LengthPoint, ...]]:
    """Time every model on every length, in turns; a length that others disturbed is timed again.

    Args:
        models: Opened.
        points: (tokens, index of the input).
        pause_s: Seconds of rest before each turn, see `LatencySettings`.
        watch: Watches the cores.
        on_failure: Told of each model that failed; the others go on.
        failures: Exceptions that count as the model's failure.
        progress: Told of lengths done and in all.

    Returns:
        The curves of those that did not fail, by id.

    Raises:
        NotQuietError: Others disturbed a length until patience was used up.
    """
    alive = list(models)
    curves: dict[str, list[LengthPoint]] = {model.id: [] for model in models}

    def play(number: int, index: int) -> dict[str, float]:
        taking_turns, p50_ms = list(alive), {}
        for place in turn_order(len(taking_turns), number):
            model = taking_turns[place]
            time.sleep(pause_s)
            try:
                timings, _ = model.time([index] * (_DISCARDED + _COUNTED), discard=_DISCARDED)
            except failures as error:
                alive.remove(model)
                on_failure(model, error)
            else:
                p50_ms[model.id] = float(np.median(timings))
        return p50_ms

    for done, (tokens, index) in enumerate(points, 1):
        for name, p50_ms in watch.require_quiet(partial(play, done, index)).items():
            curves[name].append(LengthPoint(tokens, p50_ms))
        progress(done, len(points))
    return {model.id: tuple(curves[model.id]) for model in alive}
