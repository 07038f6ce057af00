"""Reading JSON that others wrote; every JSON file of ours and of a checkpoint is read here."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtimes.errors import ModelError
from runtimes.files import read_file

__all__ = ["MOST_BYTES", "Contents", "parse_json", "read_json", "read_json_list"]

MOST_BYTES = 1 << 26
"""Size of the largest JSON file that is read, 64 MiB."""

Contents = Mapping[Path, bytes]
"""Files that were read already; what is not among them counts as absent."""


def parse_json(content: bytes | str) -> Any:
    """Return the value that JSON text stands for.

    Raises:
        ValueError: It is no JSON, names a key twice, is nested too deeply, has a number that is
            too large, or half of a character; the message says which, and where as far as that is
            known.
    """
    try:
        value = json.loads(content, object_pairs_hook=_unique, parse_float=_finite)
        if (b"\\u" if isinstance(content, bytes) else "\\u") in content:  # type: ignore[operator]
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("text holds half of a character (a lone surrogate)") from None
    return value


def read_json(path: Path, contents: Contents | None = None) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file is absent.

    Args:
        path: The file.
        contents: Where it is looked up; None: on the disk.

    Raises:
        ModelError: The file is not a JSON object, or not a regular file of ordinary size.
    """
    found = _read(path, contents, {})
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no JSON object.")
    return found


def read_json_list(path: Path, contents: Contents | None = None) -> list[dict[str, Any]]:
    """Return the objects in a JSON file that lists some; empty if the file is absent.

    Args:
        path: The file.
        contents: Where it is looked up; None: on the disk.

    Raises:
        ModelError: The file is not a JSON list of objects, or not a regular file of ordinary size.
    """
    found = _read(path, contents, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ModelError(f"{path} holds no list of JSON objects.")
    return found


def _read(path: Path, contents: Contents | None, absent: Any) -> Any:
    try:
        if contents is None:
            return parse_json(read_file(path, MOST_BYTES))
        return parse_json(contents[path]) if path in contents else absent
    except (FileNotFoundError, NotADirectoryError):
        return absent
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ModelError(f"{path} is not readable as JSON ({error}).") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the key {name!r:.60} stands there twice")
            seen.add(name)
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits:.20} is too large")
    return number
