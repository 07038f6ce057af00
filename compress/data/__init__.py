"""Labelled text from files, folders and the hub, as three splits without leaks."""

from compress.data.loading import load_splits
from compress.data.splitting import Splits

__all__ = ["Splits", "load_splits"]
