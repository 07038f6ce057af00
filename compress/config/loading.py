"""Settings from a YAML file, options and `key=value` strings, with errors that name the key."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from compress.errors import RecipeError
from runtimes.errors import nearest

__all__ = ["Settings", "merged", "read_settings", "validated"]


_MOST_BYTES = 100_000  # no recipe is longer,
_MOST_LEVELS = 20  # or deeper


class Settings(BaseModel):
    """Base of all settings: no unknown keys, no changes, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def sections(cls) -> "dict[str, type[Settings]]":
        """Return the settings below this one, by key."""
        fields = {name: field.annotation for name, field in cls.model_fields.items()}
        return {
            name: kind
            for name, kind in fields.items()
            if isinstance(kind, type) and issubclass(kind, Settings)
        }


Model = TypeVar("Model", bound=Settings)


def read_settings(
    what: str,
    path: Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Read a YAML file, changed by options and then by overrides.

    Args:
        what: What the settings are called in errors.
        path: YAML file, or None.
        overrides: `key=value` strings; the key is dotted (`distill.epochs=2`), the value YAML.
        options: Top-level keys set by command-line options; None values are ignored.

    Raises:
        RecipeError: Unreadable file, or a string that is no override.
    """
    given: dict[str, Any] = {} if path is None else _read(what, path)
    for key, value in (options or {}).items():
        if value is not None:
            given[key] = value
    for override in overrides:
        _set(given, override)
    return given


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with what `over` says, key by key of nested mappings."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def validated(model: type[Model], content: Mapping[str, Any], what: str) -> Model:
    """Return `content` as settings.

    Raises:
        RecipeError: Unknown key (with the nearest one), or unfit value.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        known = _all_keys(model)
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise RecipeError(
                f"the {what} has no key {key!r}", hint=_nearest_key(key, known)
            ) from error
        # pydantic appends the place in a list and the member of a union: distill.layers.int
        name = max((k for k in known if f"{key}.".startswith(f"{k}.")), key=len, default=key)
        place = f"{what} key {name!r}" if name else what
        got = f" (got {reprlib.repr(first['input'])})" if name else ""
        hint = _nearest_choice(first) or _example(first, _field(model, name))
        raise RecipeError(f"{place}: {_worded(first)}{got}", hint=hint) from error


class _Loader(yaml.SafeLoader):
    """Reads YAML that stays as small as it looks: no aliases, no deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node.

        Raises:
            ComposerError: It is an alias, a few lines of which stand for gigabytes, or too deep.
        """
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
        if self.depth == _MOST_LEVELS:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _parse(text: str) -> Any:
    """Return what YAML says.

    Raises:
        ValueError: It is not valid, or too deep.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, LookupError, AttributeError, TypeError) as error:
        # Values that their tag does not fit raise all of these: "!!int ''", "!!bool x".
        raise ValueError(str(error)) from error


def _read(what: str, path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            raise RecipeError(f"the {what} {path} is no regular file")
        if path.exists() and path.stat().st_size > _MOST_BYTES:
            raise RecipeError(f"the {what} {path} is too long: more than {_MOST_BYTES:,} bytes")
        content = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RecipeError(f"the {what} {path} is no valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RecipeError(f"the {what} {path} must be a mapping of keys, not {content!r:.40}")
    return content


def _set(target: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise RecipeError(f"{override!r} is no override", hint="write it as key=value")
    try:
        value = _parse(text)
    except ValueError as error:
        raise RecipeError(f"the value of {override!r:.80} is no valid YAML") from error
    *parents, leaf = key.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise RecipeError(f"{override!r}: {parent} is a value and has no keys")
    target[leaf] = value


def _worded(error: Any) -> str:
    """Return what pydantic says of a value, without its own terms."""
    if error["type"] == "tuple_type":
        return "it is no list"
    said: str = error["msg"].removeprefix("Value error, ")
    return said[0].lower() + said[1:]


def _example(error: Any, field: FieldInfo | None) -> str | None:
    """Return a hint at what fits, for a value that is no list, or not such a list."""
    if field is None or not field.examples or error["type"] not in ("tuple_type", "value_error"):
        return None
    return f"a list, such as {yaml.safe_dump(field.examples[0], default_flow_style=True).strip()}"


def _field(model: type[Settings], name: str) -> FieldInfo | None:
    """Return the field of a dotted key; None where there is none."""
    section, _, leaf = name.rpartition(".")
    owner = model.sections().get(section) if section else model
    return None if owner is None else owner.model_fields.get(leaf)


def _nearest_choice(error: Any) -> str | None:
    """Return a hint for a word that is not one of the words to choose from."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return None
    choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    near = nearest(error["input"], choices)
    return f"did you mean {near!r}?" if near else None


def _nearest_key(key: str, known: Sequence[str]) -> str:
    """Return a hint for a key that does not exist, in a section that does."""
    section, dot, leaf = key.rpartition(".")
    beside = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == section]
    if near := nearest(leaf, beside, cutoff=0.5):
        return f"did you mean {section + dot + near!r}?"
    return f"keys{f' of {section}' if section else ''}: {', '.join(beside)}"


def _all_keys(model: type[Settings]) -> list[str]:
    sections = model.sections()
    keys: list[str] = []
    for name in dict.fromkeys([*model.model_fields, *sections]):
        keys.append(name)
        if name in sections:
            keys += [f"{name}.{inner}" for inner in sections[name].model_fields]
    return keys
