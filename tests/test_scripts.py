"""What the scripts compute."""

from typing import Any

from transformers import AutoTokenizer

from scripts.join_texts import joined


def test_joined_texts_have_one_class_and_so_many_tokens(task: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(task.model)
    rows = task.make_rows(50, seed=3)
    made = joined(rows, 20, 24, tokenizer, 0)
    assert made == joined(rows, 20, 24, tokenizer, 0)
    assert made != joined(rows, 20, 24, tokenizer, 1)
    assert [label for _, label in made] == sorted(task.labels) * 10
    words = {
        label: {w for text, own in rows if own == label for w in text.split()}
        for label in task.labels
    }
    for text, label in made:
        assert len(tokenizer(text)["input_ids"]) == 24
        assert set(text.split()) <= words[label]
