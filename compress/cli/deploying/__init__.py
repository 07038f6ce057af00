"""`edgepress deploy`: the command that hands an artifact on; the work is in `export/deployment/`.

Imported by `compress.cli.app` alone. Read `command.py` first.
"""
