"""Run compressed Transformer encoders with numpy, tokenizers and one runtime library.

    from runtimes import load

    classify = load("out/artifact")
    classify("a gorgeous , witty film")  # [{'label': 'positive', 'score': 0.99}]

Importing this package imports no runtime library; each one is imported when it is first used, and
none of them reports home (`runtimes.telemetry`).
"""

from importlib import import_module
from typing import TYPE_CHECKING

from runtimes.telemetry import switch_off_telemetry

if TYPE_CHECKING:
    from runtimes.loading import load, open_checkpoint, open_model_folder
    from runtimes.pipeline import Predictor
    from runtimes.registry import devices, get_runtime, runtime_names

__all__ = [
    "Predictor",
    "devices",
    "get_runtime",
    "load",
    "open_checkpoint",
    "open_model_folder",
    "runtime_names",
]

switch_off_telemetry()  # before anything imports such a library

_HOMES = {
    "Predictor": "runtimes.pipeline",
    "devices": "runtimes.registry",
    "get_runtime": "runtimes.registry",
    "load": "runtimes.loading",
    "open_checkpoint": "runtimes.loading",
    "open_model_folder": "runtimes.loading",
    "runtime_names": "runtimes.registry",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
