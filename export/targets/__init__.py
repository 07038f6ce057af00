"""One module a runtime that artifacts hold files for; a new file here is a new export target.

What each offers is in `export.targets.base`; start reading in `export.targets.registry`. Importing
a target imports no library of the full tool: recipes and plans ask for its schemes.
"""
