"""The command's process: its standard streams, and the signals that end it.

Imported by the modules of `compress.cli`. Read `streams.py` first.
"""
