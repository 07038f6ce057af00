"""Teaches a student to answer as its teacher does.

Imported by `compress.stages` and above; knows no recipe. Read `matching.py` first.
"""
