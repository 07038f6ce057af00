"""Labelled text from files, folders, the hub and objects in memory, as three splits without leaks.

Imported by `compress.predictions` and above; imports `compress.system`. Read `loading.py` first.
"""

from compress.data.loading import load_splits
from compress.data.memory import Data, describe
from compress.data.splitting import Splits
from compress.data.unlabelled import load_unlabelled, split_unlabelled

__all__ = ["Data", "Splits", "describe", "load_splits", "load_unlabelled", "split_unlabelled"]
