"""`python -m compress`."""

import sys

from compress.cli.entry import main

sys.exit(main())
