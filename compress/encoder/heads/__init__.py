"""Heads of the lean encoder: one module a task, with the task's file name.

Every module here but `registry` offers `MODEL`, a `LeanEncoderWithHead` whose class attributes and
class methods say all about the head. Imported by `compress.encoder` and above.
Read `registry.py` first.
"""
