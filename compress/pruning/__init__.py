"""Removes heads, neurons and layers, and repairs what is left without training.

Imported by `compress.stages` and above; knows no recipe. Read `to_latency.py` first.
"""
