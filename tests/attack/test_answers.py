"""Ten thousand hostile texts: one answer each, and the tokens of Transformers.

The model is one of a few kilobytes, or the artifact and the checkpoint that EDGEPRESS_ARTIFACT and
EDGEPRESS_CHECKPOINT name.
"""

import os
import resource
from pathlib import Path
from typing import Any

import psutil
import pytest
from hostile_texts import hostile_texts
from one_answer import export_for_all, open_on, same_everywhere

from runtimes import load, open_checkpoint, runtime_names
from runtimes.cutting import Cutter
from runtimes.tokenization import Tokenizer

pytestmark = pytest.mark.attack

COUNT = 10_000
LONG = {
    "words": "a gorgeous , witty film " * 420_000,
    "one word": "a" * 10_000_000,
    "one word of signs": "🙂" * 2_500_000,
    "spaces": " " * 10_000_000,
    "lines": "good\n" * 2_000_000,
    "chinese": "漢字" * 1_700_000,
    "punctuation": "!" * 10_000_000,
    "nothing": "\x00" * 10_000_000,
}


@pytest.fixture(scope="module")
def exported(task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_for_all(task, tmp_path_factory.mktemp("answers"))


@pytest.fixture(scope="module")
def artifact(exported: Path) -> Path:
    return Path(os.environ.get("EDGEPRESS_ARTIFACT") or exported / "artifact")


@pytest.fixture(scope="module")
def texts(task: Any) -> list[str]:
    return hostile_texts(COUNT, seed=1, words=[*task.vocabulary])


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("runtime", runtime_names())
def test_a_text_has_one_answer(
    runtime: str, task: Any, exported: Path, artifact: Path, texts: list[str]
) -> None:
    named = os.environ.get("EDGEPRESS_CHECKPOINT")
    if runtime == "pytorch" and named:
        predict = open_checkpoint(named, threads=1)
    elif runtime == "pytorch":
        predict = open_on(runtime, task, exported)
    else:
        predict = load(artifact, runtime=runtime, threads=1)
    with predict:
        assert same_everywhere(predict, texts) == 0


def test_the_tokens_are_those_of_transformers(artifact: Path, texts: list[str]) -> None:
    from transformers import AutoTokenizer

    stock = AutoTokenizer.from_pretrained(artifact)
    ours = Tokenizer.from_folder(artifact)
    expected = stock(texts, truncation=True, max_length=ours.max_length)["input_ids"]
    for _ in ("as words are met first", "as they are known"):
        assert [ours.encode_one(text)["input_ids"][0].tolist() for text in texts] == expected
    assert [list(row) for row in ours.rows(texts).columns["input_ids"]] == expected
    pairs = list(zip(texts, reversed(texts), strict=True))
    stock_pairs = stock(*zip(*pairs, strict=True), truncation=True, max_length=ours.max_length)
    assert [ours.encode_one(pair)["input_ids"][0].tolist() for pair in pairs] == stock_pairs[
        "input_ids"
    ]


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_ten_megabytes_take_no_time_and_no_memory(artifact: Path, text: str) -> None:
    with load(artifact, threads=1) as classify:
        cutter = Cutter.of(classify.tokenizer.backend)
        assert cutter is not None
        # What is read of it decides how long it takes.
        assert len(next(cutter.beginnings(text, 2048)).text) < 10_000
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        classify([text] * 4)
    # Kilobytes. A gap in the middle costs copies of the text, of one to four bytes a character.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_long_texts_leave_no_memory_behind(artifact: Path) -> None:
    text = LONG["words"]
    with load(artifact, threads=1) as classify:
        classify(["a film"] * 32)
        before = psutil.Process().memory_info().rss
        classify(text[:1_000_000])
        classify([text[start : start + 100_000] for start in range(32)])
        assert psutil.Process().memory_info().rss - before < 20_000_000
