"""The demo's data: large, reproducible, without leaks, and too hard for a bag of words."""

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from compress.data import load_splits
from compress.demo.bag_of_words import bag_of_words_accuracy
from compress.demo.grammar import SIZES, Utterance, generate, write_csv
from compress.demo.noise import with_noise
from compress.demo.phrases import CONTRAST_FRAMES, GERUNDS, INTENTS, PLAIN_FRAMES

Splits = dict[str, tuple[Utterance, ...]]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return generate(seed=0)


def test_sizes_intents_and_balance(splits: Splits) -> None:
    assert {name: len(part) for name, part in splits.items()} == dict(SIZES)
    assert sum(SIZES.values()) >= 10_000
    assert len(INTENTS) >= 12
    for part in splits.values():
        counts = Counter(utterance.intent for utterance in part)
        assert set(counts) == set(INTENTS)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_no_text_occurs_twice(splits: Splits) -> None:
    texts = [utterance.text for part in splits.values() for utterance in part]
    assert len(set(texts)) == len(texts)


def test_the_same_seed_gives_the_same_texts() -> None:
    small = {"train": 200, "test": 50}
    assert generate(1, small) == generate(1, small)
    assert generate(1, small) != generate(2, small)


def test_every_template_is_filled_to_plain_words(splits: Splits) -> None:
    letters = {c for part in splits.values() for utterance in part for c in utterance.text}
    assert letters <= set("abcdefghijklmnopqrstuvwxyz' ")


def test_held_out_phrasings_stay_out_of_training(splits: Splits) -> None:
    said = {name: " | ".join(u.text for u in part) for name, part in splits.items()}
    for phrase, only_in in (
        ("let me hear", "validation"),
        ("give me a reminder", "validation"),
        ("start a phone call with", "test"),
        ("can you play jazz instead of", "test"),
    ):
        found = {name for name, text in said.items() if phrase in text}
        assert found <= {only_in}, phrase
    assert "let me hear" in said["validation"]
    assert "start a phone call with" in said["test"]


def test_every_intent_and_frame_has_phrasings_of_its_own_in_each_split() -> None:
    for options in (*INTENTS.values(), PLAIN_FRAMES, CONTRAST_FRAMES):
        sets = [set(options.train), set(options.validation), set(options.test)]
        assert all(sets)
        assert len(set.union(*sets)) == sum(len(one) for one in sets)


def test_every_command_starts_with_a_verb_that_has_an_ing_form() -> None:
    for phrasings in INTENTS.values():
        for command in (*phrasings.train, *phrasings.validation, *phrasings.test):
            assert command.split()[0] in GERUNDS, command


def test_noise_touches_some_words_only() -> None:
    rng = random.Random(0)
    text = "turn off the lights in the kitchen at seven please"
    heard = [with_noise(text, rng) for _ in range(300)]
    unchanged = sum(one == text for one in heard) / len(heard)
    assert 0.2 < unchanged < 0.8
    assert with_noise(text, random.Random(5)) == with_noise(text, random.Random(5))


def test_csv_files_are_what_data_loading_reads(splits: Splits, tmp_path: Path) -> None:
    write_csv(splits, tmp_path)
    with (tmp_path / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["text"], row["label"]) for row in rows] == [
        (u.text, u.intent) for u in splits["test"]
    ]
    loaded = load_splits(str(tmp_path), label_names=sorted(INTENTS))
    parts = (loaded.train, loaded.selection, loaded.report)
    assert [len(part) for part in parts] == list(SIZES.values())
    assert not any("dropped" in note for note in loaded.notes)


def test_a_bag_of_words_stays_clearly_below_a_teacher() -> None:
    small = generate(0, {"train": 4000, "test": 1000})
    assert 50 < bag_of_words_accuracy(small["train"], small["test"]) < 88
