"""Where files of `compress` lie, and that each folder says what it is for."""

import ast
import re
from pathlib import Path

import pytest

import compress

ROOT = Path(compress.__file__).parent
FOLDERS = sorted({path.parent for path in ROOT.rglob("*.py")} - {ROOT})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc"}


def test_nothing_lies_loose_at_the_top() -> None:
    allowed = {"__init__.py", "__main__.py", "api.py", "errors.py", "py.typed"}
    assert names(ROOT) <= allowed


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_is_small_and_says_what_it_is_for(folder: Path) -> None:
    assert len(names(folder)) <= 15
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    assert docstring, "what is here?"
    assert "Imported by " in docstring, "who may import it?"
    first = re.search(r"Read `(\w+\.py)` first", docstring)
    assert first, "where to start reading?"
    assert (folder / first[1]).is_file()
