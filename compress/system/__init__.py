"""Touches the machine, the disk or other processes; knows no model.

Imported by everything in `compress`. Read `workspace.py` first.
"""
