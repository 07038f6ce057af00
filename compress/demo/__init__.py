"""The job that needs no download: a generated data set and a small BERT trained on it, cached.

Imported by `compress.api` and above. Read `prepare.py` first.
"""

from compress.demo.prepare import DemoPaths, prepare

__all__ = ["DemoPaths", "prepare"]
