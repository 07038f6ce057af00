"""`edgepress serve`: an artifact over HTTP, and a page to try it.

Imported by `app.py` alone. Read `command.py` first.
"""
