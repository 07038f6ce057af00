"""Keeps the chatter of export libraries off the terminal and out of piped output."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from runtimes.quiet import quiet

__all__ = ["quiet_libraries"]

_CHATTY = (
    "nncf",
    "openvino",
    "transformers",
    "torch.onnx",
    "torch.export",
    "torch.utils.cpp_extension",  # that there is a compiler for CUDA, and no CUDA
    "onnxscript",
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence print-outs, progress bars, warnings and log lines of the export libraries."""
    sink = io.StringIO()
    with quiet(*_CHATTY), warnings.catch_warnings(), redirect_stdout(sink), redirect_stderr(sink):
        warnings.simplefilter("ignore")
        yield
