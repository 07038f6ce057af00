"""Benchmarks of exported models: the family, the stock exports, any mix.

Imported by `compress.corpus` and above. Read `benchmark.py` first.
"""
