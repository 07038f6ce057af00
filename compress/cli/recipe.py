"""`edgepress recipe`: every setting of a run, with its meaning."""

import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compress.cli.output import EFFORTS, efforts
from runtimes.escaping import escape_line

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["recipe"]

_WIDTH = 96


def recipe(
    context: typer.Context,
    preset: Annotated[
        str | None,
        typer.Argument(
            metavar="PRESET", help="fast, balanced (default) or best.", autocompletion=efforts
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Recipe keys, such as distill.epochs=2."),
    ] = None,
    names: Annotated[bool, typer.Option("--list", metavar="", help="List the presets.")] = False,
) -> None:
    """Print a preset's recipe with every key's meaning, as YAML that `--recipe` reads back."""
    if names:
        sys.stdout.writelines(f"{name:<10}{line}\n" for name, line in EFFORTS.items())
        return
    from compress.config.recipe import load_recipe

    changes, effort = list(overrides or ()), preset
    if preset is not None and "=" in preset:  # no preset was named
        changes, effort = [preset, *changes], None
    resolved = load_recipe(overrides=changes, options={"effort": effort})
    sys.stdout.write(f"# {escape_line(context.obj)}\n")
    sys.stdout.writelines(f"{line}\n" for line in _lines(resolved, ""))


def _lines(settings: "BaseModel", indent: str) -> Iterator[str]:
    """Yield YAML with each key's meaning above it, sections last."""
    import yaml
    from pydantic import BaseModel

    fields = type(settings).model_fields
    for name, plain in settings.model_dump(mode="json").items():
        value = getattr(settings, name)
        section = value if isinstance(value, BaseModel) else None
        meaning = _meaning(fields.get(name), section)
        for line in textwrap.wrap(meaning, _WIDTH - len(indent)):
            yield f"{indent}# {line}"
        if section is not None:
            yield f"{indent}{name}:"
            yield from _lines(section, f"{indent}  ")
            continue
        text = yaml.safe_dump(plain, default_flow_style=True, width=10**6)
        yield f"{indent}{name}: {text.splitlines()[0]}"  # a bare value gets a line "..."


def _meaning(field: "FieldInfo | None", section: Any) -> str:
    """Return a key's description; of a section, the first line that its class says of itself."""
    if section is not None:
        return (type(section).__doc__ or "").strip().partition("\n")[0]
    return (field.description if field is not None else None) or ""
