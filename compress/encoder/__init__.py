"""The lean encoder: one architecture that every Transformer-encoder family is folded into.

Imported by `compress.predictions` and above; knows no recipe. Read `modules.py` first.
"""
