"""One module a way to hand an artifact on; a new file here is a new layout of `edgepress deploy`.

What each offers is in `export.layouts.base`; start reading in `export.layouts.registry`. Importing
a layout imports nothing else to speak of: the command's help lists them.
"""
