"""INT8: calibration, emulation in PyTorch, sensitivity of layers.

Imported by `compress.distillation`, `compress.pruning` and above; knows no recipe.
Read `fake_quantization.py` first.
"""
