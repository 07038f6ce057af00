"""Typing and hearing errors, as a keyboard and a speech recogniser make them."""

import random

__all__ = ["with_noise"]

FILLER_SHARE = 0.15  # utterances with an "um"
TYPO_SHARE = 0.03  # words with a typing error
MISHEARD_SHARE = 0.06  # words that sound like another and are written as it
LOST_SHARE = 0.01  # words that are not heard at all

FILLERS = ("um", "uh", "like", "you know", "well", "er")
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
SOUNDS_LIKE = {
    "to": "two",
    "for": "four",
    "by": "buy",
    "write": "right",
    "the": "a",
    "an": "and",
    "know": "no",
    "no": "know",
    "light": "like",
    "read": "red",
    "at": "add",
    "add": "at",
    "and": "an",
    "call": "cold",
    "note": "not",
    "off": "of",
    "play": "pay",
    "son": "song",
    "ate": "eight",
    "will": "we'll",
    "my": "me",
    "time": "dime",
    "messages": "message",
    "lights": "light",
}


def with_noise(text: str, rng: random.Random) -> str:
    """Return `text` (lower case, no punctuation) as a device would receive it."""
    words = []
    for word in text.split():
        if rng.random() < LOST_SHARE:
            continue
        if word in SOUNDS_LIKE and rng.random() < MISHEARD_SHARE:
            words.append(SOUNDS_LIKE[word])
        elif len(word) > 3 and rng.random() < TYPO_SHARE:
            words.append(_typo(word, rng))
        else:
            words.append(word)
    if rng.random() < FILLER_SHARE:
        words.insert(rng.randrange(len(words) + 1), rng.choice(FILLERS))
    return " ".join(words)


def _typo(word: str, rng: random.Random) -> str:
    """Swap one letter with the next, lose it, double it, or hit the key beside."""
    i = rng.randrange(len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind == 1:
        return word[:i] + word[i + 1 :]
    if kind == 2:
        return word[:i] + word[i] + word[i:]
    return word[:i] + _beside(word[i], rng) + word[i + 1 :]


def _beside(letter: str, rng: random.Random) -> str:
    for row in KEYBOARD:
        at = row.find(letter)
        if at >= 0:
            return rng.choice(row[max(0, at - 1) : at] + row[at + 1 : at + 2])
    return letter
