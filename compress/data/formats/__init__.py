"""Text files: in which encoding they are, and the tables that CSV and TSV hold.

Imported by `compress.data` and `compress.training`. Read `delimited.py` first.
"""
