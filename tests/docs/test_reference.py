"""The reference pages say what the code says, and name everything that there is."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """`docs/generate.py`, which is a script and belongs to no package."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_current(generate: ModuleType) -> None:
    assert generate.stale_pages() == [], "run `make docs` and commit docs/reference"


@pytest.mark.parametrize("package", ["compress", "runtimes", "benchmarks"])
def test_every_public_name_is_on_the_python_page(package: str) -> None:
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    part = page.split(f"\n## {package}\n")[1].split("\n## ")[0]
    named = [line[4:] for line in part.splitlines() if line.startswith("### ")]
    assert named == sorted(importlib.import_module(package).__all__, key=str.lower)


def test_every_key_has_a_meaning_or_a_plain_name() -> None:
    """A key without a description has to be one that needs none."""
    page = (DOCS / "reference" / "recipe.md").read_text(encoding="utf-8")
    bare = {line.split("`")[1] for line in page.splitlines() if line.endswith("|  |")}
    plain = {"version", "effort", "seed", "distill", "prune", "quantize", "label_smoothing"}
    assert bare <= plain | {"weight_decay", "distill.weight_decay"}
