"""What hands an artifact on: wheels, requirements with hashes, archives, and the order of steps.

The layouts themselves are in `export/layouts/`. Nothing here imports torch or onnx. Imported by
the command; read `deploy.py` first.
"""
