"""Where files of `compress` lie, and that each folder says what it is for."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import compress

ROOT = Path(compress.__file__).parent
FOLDERS = sorted({path.parent for path in ROOT.rglob("*.py")} - {ROOT})


MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


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


def imported(module: str, path: Path) -> set[str]:
    """Modules that a module imports at its top, also those for the type checker alone."""
    found: set[str] = set()
    for statement in ast.parse(path.read_text("utf-8")).body:
        for_types = isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        for node in statement.body if for_types else [statement]:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
                found.add(str(node.module))
    return found & MODULES.keys() - {module}


def test_modules_import_each_other_in_no_circle() -> None:
    """Not even for types: what cannot be read without the other is one module."""
    graph = {module: imported(module, path) for module, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' > '.join(error.args[1])}")
