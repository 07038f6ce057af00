"""Makes the family of members and chooses the one to recommend.

Imported by `compress.pipeline` and above. Read `family.py` first.
"""
