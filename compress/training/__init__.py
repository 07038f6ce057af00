"""Trains models: fine-tuning and pre-training by `edgepress train`, and the loop of distillation.

Imported by `compress.distillation` and above. Read `run.py` first.
"""
