"""Labelled text from files, folders and the hub, as three splits without leaks."""

from compress.data.loading import load_splits
from compress.data.splitting import Splits
from compress.data.unlabelled import load_unlabelled

__all__ = ["Splits", "load_splits", "load_unlabelled"]
