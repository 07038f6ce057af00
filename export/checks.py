"""Makes an artifact's self-test: what is asked, and what PyTorch and the exported files answer."""

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

import runtimes
from runtimes.artifact import CHECKS_NAME, Manifest, write_artifact
from runtimes.base import TextInput
from runtimes.checks import (
    Checked,
    Checks,
    Rounded,
    answered,
    answers_of,
    cases_at,
    check_predictor,
    columns,
    lengths_to_check,
    of_equal_lengths,
)
from runtimes.errors import WrongAnswersError
from runtimes.tokenization import Rows, Tokenizer

__all__ = ["cases_for", "with_expected", "write_checked"]

# ruff: noqa: RUF001 - letters of other scripts that look like Latin ones

# One sentence a script; those that a tokenizer has no tokens for say nothing about a model.
_SENTENCES = (
    "The quick answer came back before anyone had finished asking, and it was right.",
    "Two trains leave at 7:45; the slower one, oddly enough, arrives first (see note 3).",
    "I would not call this film a failure, but the ending is weak and far too long.",
    "Please book a table for six near the harbour on Friday, with a view if you can.",
    "Größe, Übermut und Äpfel: drei Wörter, die nicht jeder Zeichensatz übersteht.",
    "L'été dernier, nous avons mangé des crêpes à côté d'une très vieille église.",
    "El niño preguntó cuánto cuesta el billete a Málaga; ¿nadie lo sabía?",
    "Žluťoučký kůň přišel pozdě a nikdo nevěděl proč.",
    "Bugün hava çok güzel, ama ığdır'a giden yol kapalı.",
    "Hôm nay trời mưa, nhưng chúng tôi vẫn đi bộ đến trường.",
    "Сегодня на вокзале было тихо, и поезд пришёл вовремя.",
    "Η απάντηση ήρθε αμέσως και ήταν σωστή.",
    "התשובה הגיעה מיד והיא הייתה נכונה.",
    "وصل الجواب بسرعة وكان صحيحا.",
    "उत्तर तुरंत आया और वह सही था।",
    "কাল সকালে ট্রেনটি সময়মতো এসেছিল।",
    "பதில் உடனே வந்தது, அது சரியாக இருந்தது.",
    "คำตอบมาถึงทันทีและถูกต้อง",
    "答案马上就来了,而且是对的。",
    "答えはすぐに届き、正しかった。",
    "대답은 곧바로 왔고 정확했다.",
    "პასუხი მაშინვე მოვიდა და სწორი იყო.",
    "Պատասխանը եկավ անմիջապես և ճիշտ էր։",
    "Naïve café 😀 — “quoted” … 100 % ½ x² ≠ y",
)
# A text with more unknown tokens than this share says little about a model.
_UNKNOWN = 0.3
_STARTS, _WORDS = 4, 12


def cases_for(tokenizer: Tokenizer, *, pairs: bool) -> Checks:
    """Return what an artifact is asked, with nothing answered yet.

    There are three of every length up to 64 tokens, one of some lengths beyond, the longest among
    them, and one for each script that the tokenizer knows. The texts are this project's own:
    nobody's training text is in an artifact.

    Args:
        tokenizer: The artifact's.
        pairs: Whether it is asked pairs of texts.
    """

    def given(text: str) -> TextInput:
        return ("what", text) if pairs else text  # the shortest question there is

    unknown = tokenizer.unknown_token
    known = [text for text in _SENTENCES if _unknown_share(tokenizer, text, unknown) <= _UNKNOWN]
    known = known or _of_vocabulary(tokenizer)
    # Long texts, of which each length is cut: the last token is the one that ends a text.
    rounds = 2 + tokenizer.max_length // (4 * len(known))
    longs = []
    for start in range(_STARTS):
        order = known[start % len(known) :] + known[: start % len(known)]
        longs.append(given(" ".join(order * rounds)))
    long_rows, short_rows = tokenizer.rows(longs), tokenizer.rows([given(text) for text in known])
    least = max(1, tokenizer.backend.num_special_tokens_to_add(pairs))
    cut: dict[str, list[Sequence[int]]] = {name: [] for name in long_rows.columns}
    for length in lengths_to_check(least, int(long_rows.lengths.min())):
        for number in ((length + turn) % _STARTS for turn in range(cases_at(length))):
            for name, rows in long_rows.columns.items():
                row = list(rows[number])
                cut[name].append([*row[: length - 1], *row[-1:]])
    texts = [given(text) for text in _SENTENCES]
    return Checks(
        rows=Rows(
            {name: [*rows, *short_rows.columns[name]] for name, rows in cut.items()},
            long_rows.padding,
        ),
        expected=np.zeros((0, 0), dtype=np.float32),
        columns=np.zeros(0, dtype=np.int32),
        texts=texts,
        text_ids=[list(map(int, row)) for row in tokenizer.rows(texts).columns["input_ids"]],
    )


def with_expected(checks: Checks, answer: Callable[[list[int]], NDArray[np.float32]]) -> Checks:
    """Return the checks with what full-precision PyTorch says of each case.

    Args:
        checks: From `cases_for`.
        answer: Returns outputs (B, C) or (B, T, C) of cases of one length, named by their indices.
    """
    groups = of_equal_lengths(checks.rows.lengths)
    checks = replace(checks, columns=columns(answer(groups[0]).shape[-1]))
    return replace(checks, expected=answers_of(checks, answer, groups))


def write_checked(
    target: Path,
    manifest: Manifest,
    populate: Callable[[Path], None],
    checks: Checks,
    draft: Path,
    rounded: Mapping[str, Rounded] = MappingProxyType({}),
) -> tuple[Manifest, tuple[Checked, ...]]:
    """Write an artifact with its self-test, and without runtimes that fail it here.

    Args:
        target: Where it goes, see `write_artifact`; so are `manifest` and `populate`.
        manifest: Of all runtimes.
        populate: Writes their files.
        checks: From `with_expected`.
        draft: Where it can be written first, to be asked.
        rounded: By runtime, what its file should say, where it is known how it rounds.

    Returns:
        The manifest as written, and how each runtime did.

    Raises:
        WrongAnswersError: All runtimes are wrong here.
    """
    whole = write_artifact(draft, manifest, populate)
    answers, in_batches, found = {}, {}, []
    for runtime in dict.fromkeys(entry.runtime for entry in whole.models):
        with warnings.catch_warnings():
            # That 8 bits may saturate here is for whoever opens the artifact; here it is tried.
            warnings.simplefilter("ignore", RuntimeWarning)
            predictor = runtimes.load(draft, runtime=runtime, verify=False)
        with predictor:
            answers[runtime] = answered(predictor, checks)
            in_batches[runtime] = answered(predictor, checks, batches=True)
            found.append(
                check_predictor(
                    predictor,
                    checks,
                    answers[runtime],
                    in_batches=in_batches[runtime],
                    rounded=rounded.get(runtime),
                )
            )
    right = {checked.runtime for checked in found if checked.right}
    if found and not right:
        raise WrongAnswersError(
            "No runtime answers this model right on this machine: "
            + "; ".join(f"{checked.runtime} is {checked.verdict}" for checked in found),
            hint="Other versions of the runtimes may be right.",
        )
    kept = [entry for entry in whole.models if entry.runtime in right]
    needed = {name for entry in kept for name in whole.files_of(entry)}
    left_out = {name for entry in whole.models for name in whole.files_of(entry)} - needed

    def publish(partial: Path) -> None:
        for name in whole.files.keys() - left_out:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(draft / name, partial / name)
        own, padded = (
            {name: values for name, values in each.items() if name in right}
            for each in (answers, in_batches)
        )
        replace(checks, answers=own, in_batches=padded).write(partial / CHECKS_NAME)

    metrics = {**manifest.metrics, "checks": [checked.to_json() for checked in found]}
    manifest = replace(manifest, models=tuple(kept), metrics=metrics)
    return write_artifact(target, manifest, publish), tuple(found)


def _of_vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Return texts of a tokenizer's own tokens: of some special language, it knows no sentence."""
    special = {token.content for token in tokenizer.backend.get_added_tokens_decoder().values()}
    special.add(tokenizer.unknown_token or "")
    tokens = sorted(set(tokenizer.backend.get_vocab()) - special)
    order = np.random.default_rng(0).permutation(len(tokens)).tolist()
    words = [tokens[index] for index in order[: _WORDS * _STARTS]]
    return [" ".join(words[start::_STARTS]) for start in range(_STARTS)]


def _unknown_share(tokenizer: Tokenizer, text: str, unknown: str | None) -> float:
    if unknown is None:
        return 0.0
    ids = tokenizer.rows([text]).columns["input_ids"][0]
    return sum(tokenizer.token(index) == unknown for index in ids) / max(1, len(ids))
