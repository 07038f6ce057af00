"""Which extra of the distribution brings a package, and how to install it."""

import sys

from runtimes.versions import installed_version

__all__ = ["extra_of", "install_extra"]

_EXTRAS = {
    "anyio": "serve",
    "cryptography": "sign",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "prometheus_client": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
}


def extra_of(package: str) -> str:
    """Return the extra that brings a package, by the name it is imported by."""
    return _EXTRAS.get(package, "compress")


def install_extra(extra: str) -> str:
    """Return how to install an extra: from the wheel that is installed here, or in a clone."""
    # Not by its bare name, which nobody owns on the index (SECURITY.md).
    wheel = f"edgepress-{installed_version('edgepress') or 'VERSION'}-py3-none-any.whl"
    told = f'pip install "{wheel}[{extra}]", or in a clone: pip install ".[{extra}]"'
    if extra == "compress" and sys.version_info < (3, 11):
        told += " (on Python 3.11 or newer)"
    return told
