"""`python -m compress`."""

import signal
import sys
from pathlib import Path

# As in `edgepress/__init__.py`.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
# Python looks into the working directory first, where modules may have any name.
if not getattr(sys.flags, "safe_path", False) and Path(sys.path[0]) != Path(__file__).parents[1]:
    del sys.path[0]

from compress.cli.entry import main

sys.exit(main())
