"""The site is built without a warning, and everything that it shows lies beside it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a browser loads by itself, unlike links that a reader may follow.
LOADED = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//[^\s"'>]+""")
STYLES = re.compile(r"""<link[^>]*rel=["']?(?:stylesheet|preload|preconnect|icon)[^>]*>""")
IMPORTED = re.compile(r"""(?:url\(|@import )["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert LOADED.findall(text) == [], page
        assert [link for link in STYLES.findall(text) if "//" in link] == [], page
    for style in site.rglob("*.css"):
        assert IMPORTED.findall(style.read_text(encoding="utf-8")) == [], style


def test_pictures_are_in_the_page(site: Path) -> None:
    """Written into it, they follow its colours; each says for all readers what it shows."""
    text = "".join(page.read_text(encoding="utf-8") for page in (site / "concepts").glob("*.html"))
    assert text.count('<figure class="picture"') == len(
        list((ROOT / "docs" / "pictures").glob("*.svg"))
    )
    assert text.count('role="img" aria-label="') == text.count('<figure class="picture"')
