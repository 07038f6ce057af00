"""Prints the instructions of a Dockerfile as JSON, by Docker's own parser."""

import json
import sys

import dockerfile

steps = dockerfile.parse_file(sys.argv[1])
sys.stdout.write(json.dumps([{k: getattr(s, k) for k in ("cmd", "value", "flags")} for s in steps]))
