"""Keeps the libraries that run models from reporting home."""

import os
import sys
from types import ModuleType
from typing import cast

__all__ = ["switch_off_telemetry"]


def switch_off_telemetry() -> None:
    """Make ONNX Runtime and OpenVINO send nothing, and prepare nothing to send.

    It has to be called before they are imported: importing `runtimes` does so, for this process and
    those that it starts.

    - ONNX Runtime writes an identifier of this machine and a database of events into the home
      folder when it is imported, unless a variable of the environment says otherwise. One that is
      set already is left as it is.
    - OpenVINO's model converter and NNCF report every import to a server, unless the package that
      does the sending is missing, for which they have a stub: so it is made to look missing.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
