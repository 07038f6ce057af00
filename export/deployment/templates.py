"""The files of layouts that are text: `export/templates/deploy/`."""

from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["write_template"]

_SCRIPT = "#!"


def write_template(template: str, path: Path, /, **values: Any) -> None:
    """Write `TEMPLATE.j2` with values for its variables; what begins with `#!` can be run."""
    text = _environment().get_template(f"{template}.j2").render(**values)
    path.write_text(text, encoding="utf-8", newline="\n")
    path.chmod(0o755 if text.startswith(_SCRIPT) else 0o644)


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    package = __name__.removesuffix(".deployment.templates")  # its name may be edgepress.export
    return Environment(
        loader=PackageLoader(package, "templates/deploy"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
