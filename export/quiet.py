"""Keeps the chatter of export libraries off the terminal and out of piped output."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

__all__ = ["quiet_libraries"]

_CHATTY = ("nncf", "openvino", "transformers", "torch.onnx", "torch.export", "onnxscript")


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence print-outs, progress bars, warnings and log lines of the export libraries."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    sink = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sink):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(sink):
                yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
