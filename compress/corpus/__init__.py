"""Texts that stages train and measure on, and what the teacher says about them.

Imported by `compress.pruning`, `compress.distillation` and above; knows no recipe.
Read `corpus.py` first.
"""
