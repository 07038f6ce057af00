"""What a module in `export/layouts/` provides."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from runtimes.errors import ModelError

if TYPE_CHECKING:
    from runtimes.manifest import Manifest

__all__ = ["Layout", "Order", "Wheels"]

Wheels = Literal["always", "never", "asked"]


@dataclass(frozen=True)
class Order:
    """What is to be handed on, and for where.

    Attributes:
        artifact: Its folder; all of its files are as the manifest lists them.
        manifest: Its manifest.
        name: What the model is called there: letters, digits, dots, dashes and underscores.
        runtime: The runtime that was asked for; None leaves it to the layout.
        platform: Of `export.deployment.platforms`, which wheels have to fit.
        python: Python there, such as `"3.12"`.
        offline: Whether it is installed without a network.
    """

    artifact: Path
    manifest: "Manifest"
    name: str
    runtime: str | None
    platform: str
    python: str
    offline: bool

    def runtime_of(self, *known: str) -> str:
        """Return the runtime to use: the one that was asked for, or else the artifact's first.

        Args:
            known: Those that the layout can use; none: all.

        Raises:
            ModelError: The artifact has no files for it.
        """
        from runtimes.artifact import removed_files
        from runtimes.registry import runtime_title

        gone = removed_files(self.artifact, self.manifest)
        there = dict.fromkeys(m.runtime for m in self.manifest.models if m.runtime not in gone)
        wanted = [self.runtime] if self.runtime else list(known or there)
        for name in there:
            if name in wanted:
                return name
        raise ModelError(
            f"{self.artifact} has no files for {' or '.join(map(runtime_title, wanted))}",
            hint=f"it has those of {', '.join(there)}; `edgepress MODEL --data DATA --runtimes "
            "NAME` makes others",
        )


class Layout(Protocol):
    """A way to hand an artifact on.

    A module satisfies it: the file `open_inference.py` is the layout `"open-inference"`.

    Attributes:
        NAME: What follows `--as`.
        DESCRIPTION: What it is, in a line.
        RUNTIMES: Runtimes that it can be for; none: all.
        WHEELS: Whether wheels of all that is installed go along: always, never, or if asked for
            (`offline`).
    """

    NAME: str
    DESCRIPTION: str
    RUNTIMES: tuple[str, ...]
    WHEELS: Wheels

    def write(self, order: Order, folder: Path) -> str:
        """Fill an empty folder.

        Returns:
            The next command.

        Raises:
            ModelError: The artifact cannot be handed on in this way.
        """
        ...
