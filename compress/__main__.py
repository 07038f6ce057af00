"""`python -m compress`."""

import sys
from pathlib import Path

# Python looks into the working directory first, where modules may have any name.
if not sys.flags.safe_path and Path(sys.path[0]) != Path(__file__).parents[1]:
    del sys.path[0]

from compress.cli.entry import main

sys.exit(main())
