"""What bundles and containers share: the artifact, the wheels, and requirements with hashes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from export.deployment.deploy import copy_artifact
from export.deployment.platforms import PLATFORMS
from export.deployment.requirements import (
    applying,
    fetch_wheels,
    pinned_runtimes,
    pins_of,
    render,
)
from export.deployment.wheel import write_wheel
from export.layouts.base import Order
from runtimes.errors import ModelError
from runtimes.manifest import ModelEntry

__all__ = ["Contents", "embedded", "write_contents"]

_NOTE = """\
# What {name} needs to answer over HTTP, {where}.
# pip install --no-deps --require-hashes --only-binary :all: -r requirements.txt
"""


@dataclass(frozen=True)
class Contents:
    """What was written.

    Attributes:
        runtime: The runtime that answers.
        wheel: File name of edgepress's own wheel.
    """

    runtime: str
    wheel: str


def write_contents(order: Order, folder: Path, *, offline: bool) -> Contents:
    """Write `artifact/`, `wheels/` and `requirements.txt`.

    Args:
        order: For what.
        folder: Where.
        offline: Whether `wheels/` has all that is installed, and not only edgepress.

    Raises:
        EdgepressError: See `deploy`.
    """
    runtime = order.runtime_of(*pinned_runtimes())
    copy_artifact(order, folder / "artifact", runtime)
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel = write_wheel(wheels)
    pins = pins_of(runtime, "serve")
    where = "on any platform, with Python 3.11 or newer"
    if offline:
        platform = PLATFORMS[order.platform]
        pins = applying(pins, platform, order.python)
        where = f"on {platform.title}, with Python {order.python}"
    file = folder / "requirements.txt"
    file.write_text(render(pins.values(), _NOTE.format(name=order.name, where=where)), "utf-8")
    if offline:
        fetch_wheels(file, wheels, PLATFORMS[order.platform], order.python)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with file.open("a", encoding="utf-8") as more:
        more.write(f"./wheels/{wheel.name} \\\n    --hash=sha256:{digest}\n")
    return Contents(runtime, wheel.name)


def embedded(order: Order) -> ModelEntry:
    """Return the graph that others open: right for any padding, with its weights in it.

    Raises:
        ModelError: There is none.
    """
    order.runtime_of("onnxruntime")
    there = [m for m in order.manifest.models if m.runtime == "onnxruntime" and not m.weights]
    for variant in ("portable", "padded"):
        for entry in there:
            if entry.variant == variant:
                return entry
    raise ModelError(
        f"{order.artifact} has no ONNX file with its weights in it",
        hint="those of models beyond 2 GB lie beside it: copy the folder as it is",
    )
