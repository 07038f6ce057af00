"""Token classification: a text to its words' tags, such as named entities."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from runtimes.base import Array
from runtimes.errors import UsageError
from runtimes.tasks.base import Outputs, Parsed, TaskSpec
from runtimes.tasks.text_classification import from_line, scores

__all__ = [
    "SPEC",
    "decisions",
    "from_line",
    "lines",
    "parse",
    "postprocess",
    "record",
    "word_tokens",
]

SPEC = TaskSpec(
    name="token-classification",
    auto_class="AutoModelForTokenClassification",
    head="token",
    model="a tagger of words",
    reads_tokens=True,
    default_labels=2,
    shown={"aggregation_strategy": "simple"},
    columns=("entity", "score", "start", "end", "words"),
)

_STRATEGIES = ("none", "simple", "first", "average", "max")
_WORD = re.compile(r"\S+")


def parse(inputs: Any) -> Parsed:
    """Read a text or a list of texts.

    Raises:
        TypeError: `inputs` is something else.
    """
    if isinstance(inputs, str):
        return Parsed([inputs], lambda results: results[0])
    if isinstance(inputs, Sequence) and all(isinstance(text, str) for text in inputs):
        return Parsed(list(inputs), lambda results: results)
    raise TypeError(f"Expected a text or a list of texts, not {inputs!r:.80}.")


def postprocess(
    outputs: Outputs,
    labels: Sequence[str],
    problem_type: str,  # noqa: ARG001 - the same for all tasks
    *,
    aggregation_strategy: str = "none",
    ignore_labels: Sequence[str] = ("O",),
) -> list[Any]:
    """Turn logits into what `transformers.pipeline("token-classification")` returns for a list.

    Args:
        outputs: Of N texts, N logits (T_i, C).
        labels: C tags.
        problem_type: Says nothing here.
        aggregation_strategy: `"none"` answers for tokens, `"simple"` for runs of tokens with tags
            of one kind. `"first"`, `"average"` and `"max"` first give all tokens of a word one tag:
            that of its first token, of the mean of their chances, or of the surest token.
        ignore_labels: Tags, or kinds of them, that are left out.

    Returns:
        N lists of `{"entity", "score", "index", "word", "start", "end"}`, or, with a strategy,
        `{"entity_group", "score", "word", "start", "end"}`; `start` and `end` are characters.

    Raises:
        UsageError: There is no such strategy.
    """
    strategy = aggregation_strategy.lower()
    if strategy not in _STRATEGIES:
        raise UsageError(
            f"There is no aggregation strategy {aggregation_strategy!r}; there are: "
            f"{', '.join(_STRATEGIES)}."
        )
    results = []
    for place in range(len(outputs.inputs)):
        if strategy == "none":
            wanted = _wanted(np.asarray(outputs.logits[place]), labels, ignore_labels)
            found = list(_tokens(outputs, place, wanted))
            results.append([_tagged(token, labels) for token in found])
            continue
        found = list(_tokens(outputs, place, range(len(outputs.logits[place]))))
        if strategy == "simple":
            found = [_tagged(token, labels) for token in found]
        else:
            words = _runs(found, lambda _, token: token["is_subword"])
            found = [_word(run, labels, strategy, outputs.decode) for run in words]
        groups = [_group(run, outputs.decode) for run in _runs(found, _continues)]
        results.append([each for each in groups if each["entity_group"] not in ignore_labels])
    return results


def lines(text: str, result: Any) -> list[list[str]]:
    """Return a line an entity (kind, score, first and last character, words), and an empty one
    after them, as in CoNLL files."""
    found = [
        [
            entity["entity_group"],
            f"{entity['score']:.4f}",
            str(entity["start"]),
            str(entity["end"]),
            text[entity["start"] : entity["end"]],
        ]
        for entity in result
    ]
    return [*found, []]


def record(text: str, result: Any) -> dict[str, Any]:
    """Return the text and its entities."""
    return {"text": text, "entities": result}


def decisions(outputs: Outputs) -> Array:
    """Return (M, C): what the first token of each word says; zeros for words that were cut off.

    Words are what white space separates.
    """
    rows = []
    for text, encoding, logits in zip(
        outputs.inputs, outputs.encodings, outputs.logits, strict=True
    ):
        tokens = word_tokens(str(text), encoding.offsets, encoding.special_tokens_mask)
        answers = np.where((tokens >= 0)[:, None], logits[tokens], np.float32(0))
        rows.append(answers)
    return np.concatenate(rows) if rows else np.zeros((0, 0), dtype=np.float32)


def word_tokens(
    text: str, offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the index of each word's first token, -1 for words that have none.

    Args:
        text: Its words are what white space separates.
        offsets: T pairs (start, end) of characters.
        special: T flags of tokens that the text does not hold.

    Returns:
        (words,) int64.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    tokens = np.full(len(spans), -1, dtype=np.int64)
    word = 0
    for index, ((start, end), added) in enumerate(zip(offsets, special, strict=True)):
        if added or end <= start:
            continue
        # The last character: some tokenizers count the space in front as the token's.
        while word < len(spans) and spans[word][1] < end:
            word += 1
        if word < len(spans) and spans[word][0] < end and tokens[word] < 0:
            tokens[word] = index
    return tokens


def _wanted(logits: Array, labels: Sequence[str], ignored: Sequence[str]) -> list[int]:
    """Return the tokens whose tag is none of those that are left out: usually few."""
    best = logits.argmax(axis=-1).tolist()
    return [index for index, tag in enumerate(best) if labels[tag] not in ignored]


def _tokens(outputs: Outputs, place: int, indices: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Go through the tokens of an input with their chances, without special ones."""
    text, encoding = str(outputs.inputs[place]), outputs.encodings[place]
    if not indices:
        return
    chances = scores(np.asarray(outputs.logits[place])[indices], "softmax")
    # Each look at these makes a list.
    offsets, special, tokens = encoding.offsets, encoding.special_tokens_mask, encoding.tokens
    for row, index in enumerate(indices):
        if special[index]:
            continue
        start, end = offsets[index]
        word, written = tokens[index], text[start:end]
        if word == outputs.unknown_token:
            word, is_subword = written, False
        elif outputs.subword_prefix:
            is_subword = len(word) != len(written)
        else:
            is_subword = start > 0 and " " not in text[start - 1 : start + 1]
        yield {
            "word": word,
            "scores": chances[row],
            "start": start,
            "end": end,
            "index": index,
            "is_subword": is_subword,
        }


def _tagged(token: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    best = int(token["scores"].argmax())
    return {
        "entity": labels[best],
        "score": float(token["scores"][best]),
        **{name: token[name] for name in ("index", "word", "start", "end")},
    }


def _word(
    tokens: list[dict[str, Any]],
    labels: Sequence[str],
    strategy: str,
    decode: Callable[[list[str]], str],
) -> dict[str, Any]:
    """Return one tag for the tokens of a word."""
    if strategy == "first":
        chances = tokens[0]["scores"]
    elif strategy == "max":
        chances = max(tokens, key=lambda token: float(token["scores"].max()))["scores"]
    else:
        chances = np.mean([token["scores"] for token in tokens], axis=0)
    best = int(chances.argmax())
    return {
        "entity": labels[best],
        "score": float(chances[best]),
        "word": decode([token["word"] for token in tokens]),
        "start": tokens[0]["start"],
        "end": tokens[-1]["end"],
    }


def _group(entities: list[dict[str, Any]], decode: Callable[[list[str]], str]) -> dict[str, Any]:
    return {
        "entity_group": entities[0]["entity"].split("-", 1)[-1],
        "score": float(np.mean([entity["score"] for entity in entities])),
        "word": decode([entity["word"] for entity in entities]),
        "start": entities[0]["start"],
        "end": entities[-1]["end"],
    }


def _continues(before: dict[str, Any], entity: dict[str, Any]) -> bool:
    """Return whether two neighbours belong to one entity."""
    begins, kind = _kind(entity["entity"])
    return kind == _kind(before["entity"])[1] and not begins


def _kind(tag: str) -> tuple[bool, str]:
    """Return whether a tag begins an entity, and of what kind; tags without a prefix are kinds."""
    return (tag.startswith("B-"), tag[2:]) if tag[:2] in ("B-", "I-") else (False, tag)


def _runs(
    items: Sequence[dict[str, Any]], continues: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> list[list[dict[str, Any]]]:
    """Put neighbours together as long as each continues the one before."""
    runs: list[list[dict[str, Any]]] = []
    for item in items:
        if runs and continues(runs[-1][-1], item):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs
