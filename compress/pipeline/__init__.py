"""A whole run: input, family, conclusion, published folder.

Imported by `compress.api` and above. Read `run.py` first.
"""
