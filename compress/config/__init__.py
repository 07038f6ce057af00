"""Recipes and settings: validated, versioned, with errors that name the key.

Imported by `compress.encoder` and above, methods excepted. Read `recipe.py` first.
"""
