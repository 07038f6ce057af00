"""Write the reference pages from the code: `python docs/generate.py`, or `make docs`.

Each page says only what the code says of itself: help of options, descriptions of settings,
docstrings; `front.svg` shows the table of `example.md`. A test compares the committed pages with
what this script would write.
"""

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

__all__ = ["PAGES", "main", "stale_pages"]

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->"
KEYS = "Its keys, with types, defaults and meanings: [recipe keys](recipe.md)."
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example", "Examples")


def command_page() -> str:
    """Describe every subcommand: arguments, options, their types and defaults."""
    import typer.main

    from compress.cli.app import app

    group: Any = typer.main.get_command(app)
    parts = [
        "# Command",
        "`edgepress` also runs as `python -m edgepress`, and is installed as `compress`, too. "
        "`edgepress MODEL ...` is short for `edgepress run MODEL ...`. Data goes to standard "
        "output, everything else to standard error.",
        "| exit code | meaning |\n| --: | --- |\n"
        "| 0 | done |\n| 1 | a known error: what, where, and the next command |\n"
        "| 2 | the command was used wrongly |\n| 3 | a package or a device is missing |\n"
        "| 4 | no candidate met the budget; the report is written all the same |\n"
        "| 130 | interrupted; the same command goes on from the last finished stage |",
    ]
    for name, command in group.commands.items():
        if command.hidden:
            continue
        arguments = [p for p in command.params if type(p).__name__.endswith("Argument")]
        usage = " ".join(["edgepress", name, *map(_placeholder, arguments), "[OPTIONS]"])
        parts += [f"## edgepress {name}", f"```text\n{usage}\n```", _paragraphs(command.help or "")]
        rows = [_option(parameter) for parameter in command.params if not parameter.hidden]
        parts.append(_table(("argument or option", "value", "default", "meaning"), rows))
        examples = (command.epilog or "").split("\n\n")[1:]
        parts.append("\n".join(["```text", *(example.strip() for example in examples), "```"]))
    return _page(parts)


def recipe_page() -> str:
    """Describe every recipe key, what efforts change, and the settings of `edgepress train`."""
    from compress.config.recipe import Effort, Recipe
    from compress.training.settings import TrainingSettings

    heads = ("key", "type", "default", "meaning")
    efforts = get_args(Effort)
    values = {effort: dict(_flat(Recipe.preset(effort).model_dump())) for effort in efforts}
    differing = [
        (_code(key), *(_code(_yaml(values[effort][key])) for effort in efforts))
        for key in values["balanced"]
        if key != "effort" and len({str(values[effort][key]) for effort in efforts}) > 1
    ]
    parts = [
        "# Recipe keys",
        "A key is set on the command line (`edgepress MODEL --data DATA max_drop=0.5 "
        "distill.epochs=2`), in a YAML file (`--recipe FILE`), or in Python. The order is: effort "
        "preset, file, options, `KEY=VALUE`. Unknown keys are refused, with the nearest one. "
        "`out/recipe.yaml` holds every key as the run resolved it.",
        "## Run",
        _table(heads, list(_keys(Recipe, values["balanced"]))),
    ]
    for name, section in sorted(Recipe.sections().items()):
        parts += [f"## {name}", _paragraphs(inspect.cleandoc(section.__doc__ or ""))]
        parts.append(_table(heads, list(_keys(section, values["balanced"], f"{name}."))))
    parts += [
        "## What each effort changes",
        _table(("key", *map(_code, efforts)), differing),
        "## Training a teacher",
        "`edgepress train BASE --data DATA KEY=VALUE ...`",
        _table(heads, list(_keys(TrainingSettings, TrainingSettings().model_dump()))),
    ]
    return _page(parts)


def python_page() -> str:
    """Describe the public names of the packages that people import."""
    parts = [
        "# Python",
        "Everything that is meant for users is importable from the top of a package. Names that "
        "are not on this page may change without notice.",
    ]
    import edgepress

    parts += ["## edgepress", _docstring(inspect.getdoc(edgepress) or "")]
    for package in ("compress", "runtimes", "benchmarks"):
        module = importlib.import_module(package)
        parts += [f"## {package}", _docstring(inspect.getdoc(module) or "")]
        for name in sorted(module.__all__, key=str.lower):
            parts += _public(name, getattr(module, name))
    return _page(parts)


def report_page() -> str:
    """Describe `report.json`."""
    from benchmarks import report

    parts = [
        "# report.json",
        f"Format {report.REPORT_FORMAT}. Lists and objects nest as the classes below; a figure "
        "that was not measured is `null`. Read it with `benchmarks.load_report(path)`; later minor "
        "versions may add keys.",
        *_dataclass(report.Report, "The file", extra=(("format", "int", "Format version."),)),
        *_dataclass(report.Row, "A row"),
    ]
    from benchmarks import differences, quality

    kinds = {
        **report.PARTS,
        **report.LISTS,
        "next_steps": report.Step,
        "quality": quality.Quality,
        "classes": quality.ClassQuality,
        "bins": quality.Bin,
        "thresholds": quality.Threshold,
        "differences": differences.Differences,
        "texts": differences.Difference,
    }
    for kind in dict.fromkeys(kinds.values()):
        users = ", ".join(f"`{name}`" for name, of in kinds.items() if of is kind)
        parts += _dataclass(kind, kind.__name__, before=f"Used by {users}.")
    return _page(parts)


def manifest_page() -> str:
    """Describe `manifest.json`."""
    from runtimes import manifest

    checksum = "SHA-256 of this file's own bytes with the value itself blanked."
    parts = [
        "# manifest.json",
        f"Format {manifest.FORMAT_VERSION}. It lies at the top of every artifact, is written last, "
        "and vouches with checksums for every other file.",
        *_dataclass(manifest.Manifest, "The file", extra=(("manifest_sha256", "str", checksum),)),
        *_dataclass(manifest.ModelEntry, "An entry of models"),
    ]
    return _page(parts)


def front_picture() -> str:
    """Draw the table of `example.md` as a run's report draws it."""
    from benchmarks.metrics import Drop, Metric
    from benchmarks.render.front import front_plot
    from benchmarks.render.plots import DESK, draw_file
    from benchmarks.report import Report, Row
    from benchmarks.stats import Interval

    written = (REFERENCE.parent / "example.md").read_text(encoding="utf-8")
    texts = int(re.findall(r"\((\d+) texts, each", written)[0])  # of which accuracies are shares
    table = written[written.index("| runtime | p50") :].partition("\n\n")[0].splitlines()[2:]
    rows, chosen = [], None
    for number, line in enumerate(table):
        model, ran, _, faster, accuracy, drop, _ = (
            [float(each) for each in re.findall(r"[+-]?\d+\.?\d*", cell)] if place > 1 else cell
            for place, cell in enumerate(
                cell.strip().strip("*") for cell in line.strip("|").split("|")
            )
        )
        runtime, _, precision = str(ran).rpartition(" ")
        points = 100 * round(accuracy[0] * texts / 100) / texts
        full = rows[0].metric.value if rows else points
        row = Row(
            id=f"{'stock-' if str(model).startswith('stock') else ''}{number}",
            model=str(model),
            runtime={"PyTorch": "pytorch", "OpenVINO": "openvino"}.get(runtime, "onnxruntime"),
            device="cpu",
            precision=precision,
            speedup=Interval(*(faster if len(faster) == 3 else faster * 3)),
            metric=Metric("accuracy", points, points, points, texts),
            drop=Drop(full - points, *(drop[1:] or [0.0, 0.0]), p_value=1.0),
        )
        rows.append(row)
        chosen = row.id if "**" in line else chosen
    report = Report(
        environment={},
        reference=rows[0].id,
        rows=tuple(rows),
        recommended=chosen,
        budget={"max_drop": 1.0},
    )
    plot = front_plot(report, DESK)
    assert plot is not None  # it has rows
    return draw_file(plot)


PAGES: dict[str, Callable[[], str]] = {
    "command.md": command_page,
    "recipe.md": recipe_page,
    "python.md": python_page,
    "report.md": report_page,
    "manifest.md": manifest_page,
    "../front.svg": front_picture,
}


def stale_pages() -> list[str]:
    """Return the names of committed pages that differ from what the code says now."""
    return [
        name
        for name, write in PAGES.items()
        if not (REFERENCE / name).is_file()
        or (REFERENCE / name).read_text(encoding="utf-8") != write()
    ]


def main() -> int:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (REFERENCE / name).write_text(write(), encoding="utf-8")
    return 0


def _page(parts: list[str]) -> str:
    title, *rest = [part.strip() for part in parts if part.strip()]
    return "\n\n".join([title, NOTE, *rest]) + "\n"


def _placeholder(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return (name if argument.required else f"[{name}]") + ("..." if argument.nargs == -1 else "")


def _option(parameter: Any) -> tuple[str, ...]:
    is_argument = type(parameter).__name__.endswith("Argument")
    shown = _placeholder(parameter) if is_argument else ", ".join(parameter.opts)
    if getattr(parameter, "is_flag", False):
        value, default = "", "off"
    else:
        choices = parameter.metavar or ""
        value = (
            choices.strip("[]").replace("|", ", ")
            if not is_argument and choices.startswith("[")
            else _type(parameter.type_descriptor.annotation)
        )
        default = "" if parameter.default is None else str(parameter.default)
    if parameter.required:
        default = "required"
    meaning = parameter.help or ""
    if parameter.multiple and "given again" not in meaning:
        meaning += " May be given again."
    return (
        _code(shown),
        value,
        _code(default) if default not in ("off", "required") else default,
        meaning,
    )


def _keys(model: Any, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Yield a table row for each key of a class of settings."""
    for name, field in model.model_fields.items():
        if name in model.sections():
            continue  # it has a table of its own
        limits = ", ".join(
            f"{sign} {getattr(limit, attribute)}"
            for limit in field.metadata
            for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
            if getattr(limit, attribute, None) is not None
        )
        kind = _type(field.annotation) + (f", {limits}" if limits else "")
        key = f"{prefix}{name}"
        yield _code(key), kind, _code(_yaml(values[key])), field.description or ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _yaml(value: Any) -> str:
    """Write a default as `KEY=VALUE` takes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _type(annotation: Any) -> str:
    """Name a type for people."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(kind) for kind in arguments if kind is not type(None))
    if origin in (list, tuple, set):
        return f"list of {_type(arguments[0])}"
    if origin is not None:
        return _type(origin)
    names = {str: "text", int: "integer", float: "number", bool: "yes or no", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _public(name: str, value: Any) -> Iterator[str]:
    """Yield the section of one public name: signature, docstring, methods."""
    yield f"### {name}"
    if inspect.ismodule(value) or not callable(value):
        yield _docstring(inspect.getdoc(value) or "")
        return
    if hasattr(value, "model_fields"):
        yield f"```text\n{name}(**keys)\n```\n\n{KEYS}"
    elif not (inspect.isclass(value) and dataclasses.is_dataclass(value)):
        yield f"```text\n{_signature(name, value)}\n```"
    yield _docstring(inspect.getdoc(value) or "")
    if not inspect.isclass(value):
        return
    for method, member in vars(value).items():
        # of static methods, class methods and properties, the function behind them
        behind = (getattr(member, kind, None) for kind in ("fget", "func", "__func__"))
        function = next((each for each in behind if each is not None), member)
        shown = not method.startswith("_") or method == "__call__"
        if shown and inspect.isfunction(function) and function.__doc__:
            is_property = isinstance(member, property | cached_property)
            yield f"#### {name}.{method}"
            yield f"```text\n{method if is_property else _signature(method, function)}\n```"
            yield _docstring(inspect.getdoc(function) or "")


def _signature(name: str, function: Any) -> str:
    """Write a signature, on lines of their own where it is long; modules' names are left out."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return name
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    signature = signature.replace(parameters=parameters)
    text = _short(f"{name}{signature}")
    if len(text) <= 88:
        return text
    shown = [_short(str(parameter)) for parameter in parameters]
    keyword = next((i for i, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY), None)
    if keyword is not None and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        shown.insert(keyword, "*")
    arrow = f" -> {text.rpartition(' -> ')[2]}" if " -> " in text else ""
    return f"{name}(\n" + "".join(f"    {line},\n" for line in shown) + f"){arrow}"


def _short(text: str) -> str:
    """Leave out modules, and the quotes of forward references."""
    text = re.sub(r"<(?:class |factory )?'?([\w.]+)'?[^>]*>", r"\1", text)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text)
    return re.sub(r"((?:: |-> ))'([^']*)'", r"\1\2", text).replace("'", '"')


def _dataclass(
    kind: Any, title: str, *, before: str = "", extra: tuple[tuple[str, str, str], ...] = ()
) -> Iterator[str]:
    """Yield a heading, the summary and a table of a dataclass's fields."""
    intro, sections = _parsed(inspect.getdoc(kind) or "")
    meanings = dict(sections.get("Attributes", []))
    yield f"## {title}"
    yield _paragraphs(f"{before} {intro}".strip())
    rows = [(_code(name), _code(of), meaning) for name, of, meaning in extra]
    for field in dataclasses.fields(kind):
        of = field.type if isinstance(field.type, str) else _annotation(field.type)
        rows.append((_code(field.name), _code(of), meanings.get(field.name, "")))
    yield _table(("key", "type", "meaning"), rows)


def _annotation(kind: Any) -> str:
    return _short(kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind))


def _docstring(text: str) -> str:
    """Turn a Google-style docstring into Markdown."""
    intro, sections = _parsed(text)
    parts = [_paragraphs(intro)]
    for name, items in sections.items():
        if name.startswith("Example"):
            parts.append("```pycon\n" + items[0][1] + "\n```")
            continue
        lines = [f"- `{key}`: {meaning}" if key else f"- {meaning}" for key, meaning in items]
        parts.append(f"**{'Arguments' if name == 'Args' else name}**\n\n" + "\n".join(lines))
    return "\n\n".join(part for part in parts if part)


def _parsed(text: str) -> tuple[str, dict[str, list[tuple[str, str]]]]:
    """Split a docstring into what stands before its sections, and their (name, meaning) items."""
    intro: list[str] = []
    bodies: dict[str, list[str]] = {}
    body = intro
    for line in text.splitlines():
        heading = line[:-1] if line.endswith(":") else ""
        if heading in SECTIONS:
            body = bodies.setdefault(heading, [])
        else:
            body.append(line)
    sections = {}
    for name, body in bodies.items():
        lines = inspect.cleandoc("\n" + "\n".join(body)).splitlines()
        if name.startswith("Example"):
            sections[name] = [("", "\n".join(lines))]
            continue
        items: list[tuple[str, str]] = []
        for line in lines:
            named = re.match(r"(\*{0,2}[\w., ]+?)(?: \([^)]*\))?: (.+)", line)
            if named and name not in ("Returns", "Yields"):
                items.append((named[1], named[2]))
            elif items and line.strip():
                items[-1] = (items[-1][0], f"{items[-1][1]} {line.strip()}")
            elif line.strip():
                items.append(("", line.strip()))
        sections[name] = items
    return "\n".join(intro).strip(), sections


def _paragraphs(text: str) -> str:
    """Join the lines of paragraphs; indented ones stay as code."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(
        block if block.startswith(("    ", "- ")) else " ".join(block.split()) for block in blocks
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main())
