"""Texts that no tokenizer was made for: every script, every control character, every length."""

import random
from collections.abc import Sequence

__all__ = ["hostile_texts"]

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<mask>", "<pad>", "[MASK"]
_AWKWARD = [
    *("\x00", "\x07", "\x1b[2J", "\x7f", "\x85", "\ufeff", "\ufffd", "\u00ad", "\u200b", "\u200d"),
    *("\u202e", "\u2028", "\u2029", "\ue000", "\U000e0001", "\U0010ffff", "\u0600", "\u0d4e"),
    *(
        "e\u0301\u0323",
        "\u0323\u0301",
        "\u0301" * 30,
        "가",
        "ᄀ",
        "ᅡ",
        "ﬁ",
        "ŉ",
        "İ",
        "\u0131",
        "ẞ",
        "ς",
        "ﷺ",
    ),
    *(
        "漢字",
        "の",
        "กำ",
        "हिन्दी",
        "مرحبا",
        "שלום",
        "щи",
        "ΟΔΟΣ",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "🙂" * 9,
    ),
    *("don't", "''", "``", '"', "--", "...", "!!!!!!", "http://a.b/c?d=e&f#g", "a@b.c", "1,000.00"),
    *("a" * 99, "a" * 100, "a" * 101, "ы" * 250, "!" * 70, "x1" * 150, "<b>", "{{7*7}}", "=1+1"),
]
_GAPS = ["", " ", " ", " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x1c", "\u00a0", "\u3000", " " * 40]
_RANGES = [(32, 127), (0, 32), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x600), (0x600, 0x1000)]
_RANGES += [(0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0xD800), (0xE000, 0x10000)]
_RANGES += [(0x1F300, 0x1FB00), (0x10000, 0x110000)]


def hostile_texts(count: int, seed: int = 0, words: Sequence[str] = ()) -> list[str]:
    """Return so many texts, the same ones for a seed; one in a hundred has thousands of characters.

    Args:
        count: How many.
        seed: Of the choice.
        words: Ordinary ones, of which about half of every text is made.
    """
    rng = random.Random(seed)
    known = [*words] or ["a", "film", "good", "bad"]

    def piece() -> str:
        kind = rng.random()
        if kind < 0.5:
            return rng.choice(known)
        if kind < 0.6:
            return rng.choice(_SPECIAL)
        if kind < 0.8:
            return rng.choice(_AWKWARD)
        first, last = rng.choice(_RANGES)
        return "".join(chr(rng.randrange(first, last)) for _ in range(rng.randint(1, 6)))

    texts = []
    for place in range(count):
        pieces = rng.choice([1500, 4000]) if place % 100 == 99 else rng.choice([0, 1, 3, 8, 20, 60])
        text = "".join(piece() + rng.choice(_GAPS) for _ in range(pieces))
        if place % 97 == 96:
            text = (
                rng.choice([text[:50], ""]) + rng.choice(["a", " ", "щ", "漢", "ab9", "\n "]) * 9000
            )
        texts.append(text)
    return texts
