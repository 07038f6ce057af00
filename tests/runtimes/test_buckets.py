"""Inputs are filled up to one of a few lengths, and the filling is masked."""

import numpy as np
import pytest

from runtimes.buckets import bucket_of, filled


@pytest.mark.parametrize(
    ("length", "bucket"), [(1, 8), (8, 8), (9, 16), (64, 64), (65, 128), (513, 1024)]
)
def test_the_least_bucket_that_holds_the_length(length: int, bucket: int) -> None:
    assert bucket_of(length) == bucket


def test_filling_is_padding_that_nothing_attends_to() -> None:
    ids = np.array([[5, 6], [7, 8]])
    result = filled({"input_ids": ids, "attention_mask": np.ones_like(ids)}, 4, pad_token_id=1)
    np.testing.assert_array_equal(result["input_ids"], [[5, 6, 1, 1], [7, 8, 1, 1]])
    np.testing.assert_array_equal(result["attention_mask"], [[1, 1, 0, 0], [1, 1, 0, 0]])
