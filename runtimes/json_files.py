"""Small JSON files beside a model; an absent one says nothing."""

import json
from pathlib import Path
from typing import Any

from runtimes.errors import ModelError

__all__ = ["read_json", "read_json_list"]


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file is absent.

    Raises:
        ModelError: The file is not a JSON object.
    """
    found = _read(path, {})
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no JSON object.")
    return found


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """Return the objects in a JSON file that lists some; empty if the file is absent.

    Raises:
        ModelError: The file is not a JSON list of objects.
    """
    found = _read(path, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ModelError(f"{path} holds no list of JSON objects.")
    return found


def _read(path: Path, absent: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return absent
    except ValueError as error:
        raise ModelError(f"{path} is not readable as JSON ({error}).") from error
