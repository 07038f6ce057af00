"""Costs of a model of given sizes on a device, measured or predicted.

Imported by `compress.corpus` and above; knows no recipe. Read `table.py` first.
"""
