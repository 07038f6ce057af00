"""A voice-assistant data set out of a grammar: sixteen intents that a bag of words confuses.

Which of two actions is meant is often told by word order alone: "don't call anna, play some jazz",
"don't play some jazz, call anna", "remind me to tell anna to turn off the music", "tell anna to
remind me to turn off the music". Validation and test each have phrasings and sentence frames that
no other split has, and all splits have typing and hearing errors.
"""

import csv
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.demo.noise import with_noise
from compress.demo.phrases import (
    CONTRAST_FRAMES,
    GERUNDS,
    INTENTS,
    PLAIN_FRAMES,
    SLOTS,
    Frames,
)

__all__ = ["SIZES", "Utterance", "generate", "write_csv"]

SIZES: Mapping[str, int] = {"train": 20_000, "validation": 1_000, "test": 1_000}

CONTRAST_SHARE = 0.25  # utterances that name a second action, which is not meant
STATEMENT_SHARE = 0.3  # of the others: sentences instead of commands
HELD_OUT_SHARE = 0.25  # of validation and test: phrasings that no other split has

INNERMOST = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Utterance:
    """One line of the data set: what was said, and the intent that it means."""

    text: str
    intent: str


def generate(seed: int = 0, sizes: Mapping[str, int] = SIZES) -> dict[str, tuple[Utterance, ...]]:
    """Generate the splits: name -> utterances, each text once over all of them.

    Args:
        seed: The same seed gives the same texts.
        sizes: Utterances a split; intents are equally frequent within each.

    Returns:
        A tuple of utterances a split, shuffled.
    """
    seen: set[str] = set()
    splits = {}
    for split, size in sizes.items():
        rng = random.Random(f"{seed} {split}")
        intents = list(INTENTS)
        utterances: list[Utterance] = []
        while len(utterances) < size:
            intent = intents[len(utterances) % len(intents)]
            text = with_noise(_say(intent, split, rng), rng)
            if text not in seen:
                seen.add(text)
                utterances.append(Utterance(text, intent))
        rng.shuffle(utterances)
        splits[split] = tuple(utterances)
    return splits


def write_csv(splits: Mapping[str, tuple[Utterance, ...]], folder: Path) -> None:
    """Write one `text,label` file a split, such as `train.csv`, into `folder`."""
    for split, utterances in splits.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["text", "label"])
            writer.writerows((utterance.text, utterance.intent) for utterance in utterances)


def _say(intent: str, split: str, rng: random.Random) -> str:
    if rng.random() < CONTRAST_SHARE:
        frame = _pick(CONTRAST_FRAMES, split, rng)
        other = _command(_another(intent, rng), split, rng)
        sentence = frame.replace("{othering}", _gerund(other)).replace("{other}", other)
    elif rng.random() < STATEMENT_SHARE:
        sentence = rng.choice(INTENTS[intent].statements)
    else:
        sentence = _pick(PLAIN_FRAMES, split, rng)
    return _filled(sentence.replace("{core}", _command(intent, split, rng)), intent, split, rng)


def _pick(options: Frames, split: str, rng: random.Random) -> str:
    """Pick a frame or command for `split`: mostly one that every split has."""
    held_out = {"validation": options.validation, "test": options.test}.get(split)
    if held_out and rng.random() < HELD_OUT_SHARE:
        return rng.choice(held_out)
    return rng.choice(options.train)


def _command(intent: str, split: str, rng: random.Random, depth: int = 0) -> str:
    command = _pick(INTENTS[intent], split, rng)
    return _filled(command, intent, split, rng, depth)


def _filled(text: str, intent: str, split: str, rng: random.Random, depth: int = 0) -> str:
    """Return `text` with choices made and slots filled, down to plain words."""
    while match := INNERMOST.search(text) or SLOT.search(text):
        if match.re is SLOT:
            chosen = _slot(match[1], intent, split, rng, depth)
        elif match[1] is not None:
            chosen = rng.choice(match[1].split("|"))
        else:
            chosen = rng.choice(match[2].split("|")) if rng.random() < 0.5 else ""
        text = text[: match.start()] + chosen + text[match.end() :]
    return " ".join(text.split())


def _slot(name: str, intent: str, split: str, rng: random.Random, depth: int) -> str:
    if name != "command":
        return f"({SLOTS[name]})"
    if depth > 1:  # three actions in a sentence are enough
        return "{chore}"
    return _command(_another(intent, rng), split, rng, depth + 1)


def _another(intent: str, rng: random.Random) -> str:
    return rng.choice([other for other in INTENTS if other != intent])


def _gerund(command: str) -> str:
    verb, _, rest = command.partition(" ")
    return f"{GERUNDS[verb]} {rest}"
