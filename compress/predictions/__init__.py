"""What an encoder answers, how good that is, and the losses over it.

Imported by `compress.corpus` and above; knows no recipe. Read `predict.py` first.
"""
