"""The command: one file a subcommand, thin over `compress.api`.

Imported by the entry points alone. Read `app.py` first.
"""
