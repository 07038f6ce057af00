"""The job that needs no download: a generated data set and a small BERT trained on it, cached."""

from compress.demo.prepare import DemoPaths, prepare

__all__ = ["DemoPaths", "prepare"]
