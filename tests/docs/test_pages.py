"""The examples of the documentation run, in their order, as they stand on the page.

A comment before an example says where it does not: `<!-- test: minutes -->` runs with
`pytest -m minutes`, `<!-- test: skip, REASON -->` never.
"""

import re
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLE = re.compile(
    r"(?:^<!-- test: (?P<mode>\w+)[^>]*-->\n\n)?^```(?P<language>bash|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# What makes the artifact that the other examples of a page open.
MADE = re.compile(r"""--out (\./)?out\b|\bout=["']out["']""")


@dataclass(frozen=True)
class Example:
    """A block of code on a page.

    Attributes:
        language: `"bash"` or `"python"`.
        mode: `"run"`, `"minutes"` or `"skip"`.
        code: What stands in it.
        line: Where it begins.
    """

    language: str
    mode: str
    code: str
    line: int


def examples(path: Path) -> list[Example]:
    """The examples of a page, in their order."""
    text = path.read_text(encoding="utf-8")
    return [
        Example(
            found["language"],
            found["mode"] or "run",
            found["code"],
            text.count("\n", 0, found.start("code")),
        )
        for found in EXAMPLE.finditer(text)
    ]


def pages(*modes: str) -> list[str]:
    """Pages that have examples of one of `modes`, as paths in `docs/` or in the root."""
    written = sorted((*DOCS.rglob("*.md"), *ROOT.glob("README*.md")))
    found = [path for path in written if any(e.mode in modes for e in examples(path))]
    return [str(path.relative_to(DOCS if DOCS in path.parents else ROOT)) for path in found]


def long_pages() -> list[str]:
    """Pages that have examples that take minutes, but for those that an earlier page has all of."""
    found, seen = [], set[str]()
    for page in pages("minutes"):
        own = {example.code for example in page_examples(page) if example.mode == "minutes"}
        if not own <= seen:
            found.append(page)
        seen |= own
    return found


def page_examples(page: str) -> list[Example]:
    """The examples of a page that `pages` names."""
    return examples(DOCS / page if (DOCS / page).is_file() else ROOT / page)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def run(page: str, *modes: str) -> None:
    """Run a page's examples where we are; Python examples share their names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    port = "8000", str(free_port())
    for example in page_examples(page):
        if example.mode not in modes:
            continue
        where = f"{page}:{example.line}"
        if example.language == "python":
            exec(compile(example.code, where, "exec"), names)
            continue
        # Other tests may have the usual port.
        script = f"set -euo pipefail\n{example.code}".replace(*port)
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, check=False, cwd=Path.cwd()
        )
        if done.returncode and (left := Path("serve.pid")).exists():
            subprocess.run(["kill", left.read_text().strip()], check=False)  # what it started
        assert done.returncode == 0, f"{where}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", pages("run"))
def test_examples(page: str, world: Callable[[str, bool], Path]) -> None:
    world(page, True)
    run(page, "run")


@pytest.mark.minutes
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", long_pages())
def test_all_examples(page: str, world: Callable[[str, bool], Path]) -> None:
    makes_it = any(MADE.search(example.code) for example in page_examples(page))
    world(page, not makes_it)
    run(page, "run", "minutes")


def test_what_is_said_of_an_example_is_understood() -> None:
    """A misspelt comment would leave an example out, or run it where it must not."""
    for path in (*DOCS.rglob("*.md"), *ROOT.glob("README*.md")):
        text = path.read_text(encoding="utf-8")
        said = re.findall(r"<!-- test: (\w+)", text)
        assert said == [e.mode for e in examples(path) if e.mode != "run"], path
        assert set(said) <= {"minutes", "skip"}, path
