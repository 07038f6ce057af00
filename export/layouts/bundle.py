"""A folder that a device runs from: artifact, wheel, pinned requirements, scripts, service unit."""

import hashlib
from pathlib import Path

from export.layouts.base import Order, Wheels

__all__ = ["DESCRIPTION", "NAME", "RUNTIMES", "WHEELS", "write"]

NAME = "bundle"
DESCRIPTION = "artifact, wheel, requirements with hashes, scripts and a systemd unit"
RUNTIMES: tuple[str, ...] = ()
WHEELS: Wheels = "asked"

_SUMS = "SHA256SUMS"
_SCRIPTS = ("install", "run", "check")


def write(order: Order, folder: Path) -> str:
    """Write it; see `export.layouts.base`."""
    from export.deployment.contents import write_contents
    from export.deployment.platforms import PLATFORMS
    from export.deployment.templates import write_template

    contents = write_contents(order, folder, offline=order.offline)
    values = {
        "name": order.name,
        "offline": order.offline,
        "python": order.python,
        "runtime": contents.runtime,
        "platform": PLATFORMS[order.platform].title,
        "wheel": contents.wheel,
    }
    for script in _SCRIPTS:
        write_template(script, folder / script, **values)
    write_template("edgepress.service", folder / f"edgepress-{order.name}.service", **values)
    write_template("bundle.md", folder / "README.md", **values)
    listed = sorted(path for path in folder.rglob("*") if path.is_file())
    (folder / _SUMS).write_text(
        "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  "
            f"{path.relative_to(folder).as_posix()}\n"
            for path in listed
        ),
        encoding="utf-8",
    )
    return "./install && ./check && ./run"
