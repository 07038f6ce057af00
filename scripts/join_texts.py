"""Makes long texts of short ones: `python -m scripts.join_texts DATA OUT --tokens 128 --model M`.

Each is made of texts of one class, drawn anew, and cut to the number of tokens; no text of one
split is in another. DATA holds train.csv and validation.csv with the columns text and label.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

__all__ = ["joined", "main"]


def joined(
    rows: list[tuple[str, str]], count: int, tokens: int, tokenizer: Any, seed: int
) -> list[tuple[str, str]]:
    """Return (text, label) of so many tokens each, classes by turns.

    Args:
        rows: (text, label) of short texts.
        count: Texts to make.
        tokens: Tokens of each, with those that begin and end a text.
        tokenizer: Of the model, a fast one.
        seed: Of the draw.
    """
    given = defaultdict(list)
    for text, label in rows:
        given[label].append(text)
    rng, labels = np.random.default_rng(seed), sorted(given)
    made = []
    for number in range(count):
        label, parts, length = labels[number % len(labels)], list[str](), 0
        while length < tokens:
            parts.append(str(rng.choice(given[label])))
            length += len(tokenizer(parts[-1], add_special_tokens=False)["input_ids"])
        whole = " ".join(parts)
        encoded = tokenizer(whole, truncation=True, max_length=tokens)
        end = max(encoded.token_to_chars(i).end for i in range(1, tokens - 1))
        made.append((whole[:end], label))
    return made


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", required=True, help="folder with the tokenizer")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--validation", type=int, default=872)
    asked = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(asked.model)
    asked.out.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("train", "validation")):
        with (asked.data / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
        made = joined(rows, getattr(asked, name), asked.tokens, tokenizer, seed)
        with (asked.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *made])


if __name__ == "__main__":
    main()
