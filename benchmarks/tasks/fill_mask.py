"""Fill-mask: how often the masked token is the likeliest."""

from benchmarks.tasks.regression import drop_by_class  # a vocabulary is too many classes to tell of
from benchmarks.tasks.text_classification import changed, drop, expected_drop, metric

__all__ = ["changed", "drop", "drop_by_class", "expected_drop", "metric"]
