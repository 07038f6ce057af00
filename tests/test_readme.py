"""The README says the same in both languages, as far as a machine can tell."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))


def commands(path: Path) -> list[str]:
    """Lines of code blocks, without the comments behind them; drawings in text are translated."""
    blocks = re.findall(r"^```(?:bash|python)\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def spans(path: Path) -> list[str]:
    """Inline code of the text."""
    return sorted(re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8")))


def numbers(path: Path) -> list[str]:
    """All figures, sorted: languages order sentences differently."""
    return sorted(re.findall(r"\d+(?:\.\d+)?", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("part", [commands, spans, numbers])
def test_both_readmes_have_the_same(part: object) -> None:
    english, chinese = part(ENGLISH), part(CHINESE)  # type: ignore[operator]
    assert english == chinese
    assert len(english) > 10


def test_each_leads_to_the_other() -> None:
    assert f"({CHINESE.name})" in ENGLISH.read_text(encoding="utf-8")
    assert f"({ENGLISH.name})" in CHINESE.read_text(encoding="utf-8")
