"""Run compressed Transformer encoders with numpy, tokenizers and one runtime library.

    from runtimes import load

    classify = load("out/artifact")
    classify("a gorgeous , witty film")  # [{'label': 'positive', 'score': 0.99}]

Importing this package imports no runtime library; each one is imported when it is first used, and
none of them reports home (`runtimes.telemetry`).
"""

from typing import TYPE_CHECKING

from runtimes.lazy import lazy
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

__getattr__ = lazy(
    __name__,
    {
        "Predictor": "runtimes.pipeline",
        "devices": "runtimes.registry",
        "get_runtime": "runtimes.registry",
        "load": "runtimes.loading",
        "open_checkpoint": "runtimes.loading",
        "open_model_folder": "runtimes.loading",
        "runtime_names": "runtimes.registry",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
