"""The README says the same in both languages, as far as a machine can tell, and is short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))
# A screen of text; the picture stands in it.
FIRST_SCREEN = 40


def commands(path: Path) -> list[str]:
    """Lines of code blocks, without the comments behind them."""
    blocks = re.findall(r"^```(?:bash|python)\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def numbers(path: Path) -> list[str]:
    """All figures, sorted: languages order sentences differently."""
    return sorted(re.findall(r"\d+(?:\.\d+)?", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("part", [commands, numbers])
def test_both_readmes_have_the_same(part: object) -> None:
    english, chinese = part(ENGLISH), part(CHINESE)  # type: ignore[operator]
    assert english == chinese
    assert len(english) > 5


def test_each_leads_to_the_other() -> None:
    assert f"({CHINESE.name})" in ENGLISH.read_text(encoding="utf-8")
    assert f"({ENGLISH.name})" in CHINESE.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_the_first_screen_has_what_a_newcomer_needs(path: Path) -> None:
    first = "\n".join(path.read_text(encoding="utf-8").splitlines()[:FIRST_SCREEN])
    picture = re.search(r"!\[[^\]]+\]\((\S+\.svg)\)", first)
    assert picture
    assert (ROOT / picture[1]).is_file()
    for words in ("24.3", "95%", "pip install", "from edgepress import", "edgepress ./my-model"):
        assert words in first


def test_the_figures_are_those_of_the_run_that_the_picture_shows() -> None:
    run = (ROOT / "docs" / "example.md").read_text(encoding="utf-8")
    said = ENGLISH.read_text(encoding="utf-8").partition("MiniLM-L6")[2].partition("\n\n")[0]
    [chosen] = [line for line in run.splitlines() if line.startswith("| **")]
    [original] = [line for line in run.splitlines() if "(original)" in line]
    for figure in ("24.3", "22.3", "26.4", "0.83", "15.1", "0.7", "-1.6", "3.0"):
        assert figure in chosen
        assert figure in said.replace("\n", " ")
    for figure in ("19.16", "90.9"):
        assert figure in original
        assert figure in said
    stock = [line for line in run.splitlines() if line.startswith("| stock ")]
    ratios = [float(line.split("|")[4].split()[0]) for line in stock if "(" in line]
    assert f"reaches {max(ratios)} times" in said.replace("\n", " ")
