"""Answers of an encoder, how good they are, and the losses over them.

Imported by `compress.corpus` and above; knows no recipe. Read `predict.py` first.
"""
