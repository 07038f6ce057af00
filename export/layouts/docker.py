"""The context of a container image that is built without a network, and runs without rights."""

from pathlib import Path

from export.layouts.base import Order, Wheels
from runtimes.errors import UsageError

__all__ = ["DESCRIPTION", "NAME", "RUNTIMES", "WHEELS", "write"]

NAME = "docker"
DESCRIPTION = "a Dockerfile that builds offline from the wheels beside it, and a compose file"
RUNTIMES: tuple[str, ...] = ()
WHEELS: Wheels = "always"

_IGNORED = "README.md\ncompose.yaml\n"


def write(order: Order, folder: Path) -> str:
    """Write it; see `export.layouts.base`."""
    from export.deployment.contents import write_contents
    from export.deployment.platforms import PLATFORMS
    from export.deployment.templates import write_template

    if not order.platform.startswith("linux-"):
        known = ", ".join(name for name in PLATFORMS if name.startswith("linux-"))
        raise UsageError(f"--platform {order.platform}: the image's base is one of {known}")
    contents = write_contents(order, folder, offline=True)
    image = f"edgepress-{order.name.lower()}"
    values = {"name": order.name, "image": image, "python": order.python, "wheel": contents.wheel}
    for name in ("Dockerfile", "compose.yaml"):
        write_template(name, folder / name, **values)
    write_template("docker.md", folder / "README.md", **values)
    (folder / ".dockerignore").write_text(_IGNORED, encoding="utf-8")
    return f"docker build --network none --tag {image} ."
