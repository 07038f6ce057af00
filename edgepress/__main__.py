"""`python -m edgepress`."""

import sys
from importlib import import_module
from pathlib import Path

# Python looks into the working directory first, where modules may have any name.
if not getattr(sys.flags, "safe_path", False) and Path(sys.path[0]) != Path(__file__).parents[1]:
    del sys.path[0]

sys.exit(import_module("edgepress.compress.cli.entry").main())
