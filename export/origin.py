"""What is known of the model that an artifact was made from, by its own model card."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.errors import ArtifactError, ModelError
from runtimes.hub import hub_file, is_hub_id
from runtimes.json_files import read_json

__all__ = ["Origin", "read_origin"]

_CARD = "README.md"
_MOST_BYTES = 200_000  # of a card that is read
_MOST_NAMES, _LONGEST, _DEEPEST = 50, 200, 10
_FRONT = re.compile(r"\A\ufeff?---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """A model that an artifact was made from.

    Attributes:
        name: What people call it.
        hub_id: `owner/name` on the Hugging Face hub; None of a folder.
        license: Identifier of its licence, as its card or configuration has it; None: not stated.
        license_name: Name of a licence that has no identifier (`license: other`).
        license_link: Where that one is.
        base_models: What it was fine-tuned from.
        languages: Codes of its languages.
        datasets: Data sets of the hub that it was trained on.
    """

    name: str
    hub_id: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    base_models: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()


def read_origin(model: str, folder: Path) -> Origin:
    """Return what the card of a checkpoint says; of its text nothing is read but the front matter.

    Args:
        model: As the person named it: a path, or an id of the hub, whose card is downloaded.
        folder: Where the checkpoint lies.
    """
    hub_id = model if is_hub_id(model) else None
    facts = _front_matter(_card_of(hub_id, folder))
    languages = _names(facts.get("language"))
    return Origin(
        name=Path(model).name,
        hub_id=hub_id,
        license=_name(facts.get("license")) or _name(_config(folder).get("license")),
        license_name=_name(facts.get("license_name")),
        license_link=_name(facts.get("license_link")),
        base_models=_names(facts.get("base_model")),
        languages=languages,
        datasets=_names(facts.get("datasets")),
    )


def _card_of(hub_id: str | None, folder: Path) -> Path | None:
    if (folder / _CARD).is_file() or hub_id is None:
        return folder / _CARD
    try:
        return hub_file(hub_id, _CARD)
    except ArtifactError:  # there is no network any more: a card is no reason to fail
        return None


def _front_matter(path: Path | None) -> Mapping[str, Any]:
    """Return what stands between the first two lines `---`; nothing where it cannot be read."""
    import yaml

    try:
        if path is None or path.stat().st_size > _MOST_BYTES:
            return {}
        found = _FRONT.match(path.read_text(encoding="utf-8"))
        if found is None or not _is_flat(yaml.parse(found[1], yaml.SafeLoader)):
            return {}
        facts = yaml.safe_load(found[1])
    # What no YAML is: values that their tag does not fit raise all of these.
    except (OSError, yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError):
        return {}
    return facts if isinstance(facts, Mapping) else {}


def _is_flat(events: Iterable[Any]) -> bool:
    """Return whether YAML is as small as it looks: no aliases, a few lines of which stand for
    gigabytes, and not nested deeply, which takes minutes."""
    import yaml

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
            return False
    return True


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        return read_json(folder / "config.json")
    except ModelError:
        return {}


def _name(value: Any) -> str | None:
    """Return a value that is a name: of one line, and not longer than any."""
    if not isinstance(value, str):
        return None
    text = " ".join(value.split())
    return text if 0 < len(text) <= _LONGEST and text.isprintable() else None


def _names(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(name for each in values[:_MOST_NAMES] if (name := _name(each)))
