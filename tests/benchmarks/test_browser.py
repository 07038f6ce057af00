"""Reports in a real browser: nothing cut off, covered or out of reach, at any width, light or dark.

Screenshots are kept where EDGEPRESS_SCREENSHOTS says, if it says so.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from answered import ANSWERED
from reports import report_of

from benchmarks.render.html import render_html
from benchmarks.render.side_by_side import render_side_by_side

WIDTHS = (390, 768, 1400, 1920)
SCHEMES = ("light", "dark")
SEVERAL = "side by side"
ALL = [
    (name, width, scheme) for name in (*ANSWERED, SEVERAL) for width in WIDTHS for scheme in SCHEMES
]
# What is looked at whenever tests run; the rest takes minutes.
SOME = [("text-classification", 390, "dark"), ("token-classification", 1400, "light")]
SERIOUS = ("serious", "critical")

# Wider than the window, and texts of charts that cover each other or leave their chart.
MEASURE = """() => {
  const seen = element => element.getClientRects().length > 0;
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll("body *")]
    .filter(each => seen(each) && getComputedStyle(each).position !== "fixed")
    .filter(each => each.getBoundingClientRect().right > width + 0.5)
    .map(each => each.outerHTML.slice(0, 120));
  const cut = [...document.querySelectorAll("body *")]
    .filter(each => seen(each) && each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 1)
    .filter(each => getComputedStyle(each).overflowX !== "visible" && each.tagName !== "SELECT")
    .map(each => each.outerHTML.slice(0, 120));
  const covered = [];
  for (const chart of [...document.querySelectorAll("svg.plot, .bars")].filter(seen)) {
    const outer = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text, .name, .value, .axis-line span")].filter(seen)
      .map(each => [each.textContent, each.getBoundingClientRect()]);
    texts.forEach(([text, box], place) => {
      if (box.left < outer.left - 2 || box.right > outer.right + 2) covered.push([text, "chart"]);
      for (const [other, second] of texts.slice(place + 1))
        // Boxes are as high as a line; letters are lower.
        if (box.left < second.right - 1 && second.left < box.right - 1 &&
            box.top < second.bottom - 4 && second.top < box.bottom - 4) covered.push([text, other]);
    });
  }
  for (const button of [...document.querySelectorAll("pre button")].filter(seen)) {
    const box = button.getBoundingClientRect(), range = document.createRange();
    range.selectNodeContents(button.parentElement.firstChild);
    for (const line of range.getClientRects())
      if (box.left < line.right && line.left < box.right &&
          box.top < line.bottom && line.top < box.bottom) covered.push(["copy", range.toString()]);
  }
  // Cards of a row that are mostly empty: as high as a neighbour, and not as full.
  const hollow = [...document.querySelectorAll(".charts > *, .pair > *, .facts > *")].filter(seen)
    .filter(card => {
      const ends = [...card.children].filter(seen).map(part => part.getBoundingClientRect().bottom);
      const box = card.getBoundingClientRect();
      return ends.length && box.bottom - Math.max(...ends) > box.height / 2;
    }).map(card => card.outerHTML.slice(0, 120));
  return {scroll: document.documentElement.scrollWidth - width, wide, cut, covered, hollow,
          charts: [...document.querySelectorAll("svg.plot")].filter(seen).length};
}"""


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a task's report, written when it is first asked for."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def written(name: str) -> Path:
        path = folder / f"{name.replace(' ', '-')}.html"
        report = report_of("text-classification" if name == SEVERAL else name)
        page = render_html(report)
        if name == SEVERAL:
            page = render_side_by_side([(f"films/seed-{seed}", report) for seed in range(4)])
        path.write_text(page, encoding="utf-8")
        return path

    return written


class Shown:
    """A page of the browser that is open, and what went wrong in it."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str, **more: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **more
        )
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def check(browser: Any, path: Path, name: str, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with Shown(browser, path, width, scheme) as shown:
        measured = shown.page.evaluate(MEASURE)
        folder = os.environ.get("EDGEPRESS_SCREENSHOTS")
        if folder:
            target = Path(folder) / f"{name.replace(' ', '-')}-{width}-{scheme}.png"
            shown.page.screenshot(path=str(target), full_page=True)
        assert measured["scroll"] == 0
        for fault in ("wide", "cut", "covered", "hollow"):
            assert measured[fault] == [], fault
        assert measured["charts"] >= 1
        # All that is folded is looked at, too.
        shown.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert shown.page.evaluate(MEASURE)["wide"] == []
        violations = Axe().run(shown.page).response["violations"]
        assert [
            (each["id"], each["nodes"][0]["html"][:200])
            for each in violations
            if each["impact"] in SERIOUS
        ] == []
        assert shown.errors == []
        assert shown.asked == [path.as_uri()]  # nothing from a network


@pytest.mark.parametrize(("name", "width", "scheme"), SOME)
def test_nothing_is_cut_off_covered_or_out_of_reach(
    browser: Any, page_of: Callable[[str], Path], name: str, width: int, scheme: str
) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    check(browser, page_of(name), name, width, scheme)


@pytest.mark.minutes
@pytest.mark.parametrize(("name", "width", "scheme"), [look for look in ALL if look not in SOME])
def test_nor_is_it_anywhere(
    browser: Any, page_of: Callable[[str], Path], name: str, width: int, scheme: str
) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    check(browser, page_of(name), name, width, scheme)


def names(page: Any, table: int = 0) -> list[str]:
    """First cells of the rows that are shown."""
    rows = page.locator("table[data-rows]").nth(table).locator("tbody tr:visible")
    return [text.split("\n")[0].split(":")[0].strip() for text in rows.all_inner_texts()]


def test_rows_are_sorted_and_filtered(browser: Any, page_of: Callable[[str], Path]) -> None:
    with Shown(browser, page_of("text-classification"), 1400, "light") as shown:
        page = shown.page
        before = names(page)
        page.locator("th button", has_text="p50 ms").first.click()
        by_speed = names(page)
        assert by_speed[:2] == ["x4", "x3"]
        assert by_speed[-1] == "x9"  # which was not measured
        assert sorted(by_speed) == sorted(before)
        page.locator("th button", has_text="p50 ms").first.click()
        assert names(page)[0].startswith("films (original)")
        assert names(page)[-1] == "x9"
        page.get_by_label("Sort by").select_option(label="as measured")
        assert names(page) == before
        page.get_by_label("Sort by").select_option(label="size MB")
        assert names(page)[0] == names(page, 1)[0] == "x4"
        page.get_by_label("Show rows with").fill("stock int8")
        assert [name.split(",")[0] for name in names(page)] == ["stock ONNX export"]
        assert len(names(page, 1)) == 1


def test_a_price_gives_what_a_million_costs(browser: Any, page_of: Callable[[str], Path]) -> None:
    with Shown(browser, page_of("text-classification"), 1400, "light") as shown:
        page = shown.page
        cell = page.locator('tr.recommended td[data-label="inputs a core-hour"]')
        count = float(cell.get_attribute("data-v"))
        assert "a million" not in cell.inner_text()
        page.get_by_label("Price of a core-hour").fill("0.05")
        assert float(cell.locator("small").inner_text().split()[0]) == pytest.approx(
            0.05 / count * 1e6, rel=0.05
        )
        page.get_by_label("Price of a core-hour").fill("")
        assert "a million" not in cell.inner_text()


def test_the_table_of_thresholds_is_one_on_a_phone(
    browser: Any, page_of: Callable[[str], Path]
) -> None:
    with Shown(browser, page_of("text-classification"), 390, "light") as shown:
        row = shown.page.locator("table.narrow tbody tr").first
        tops = {round(cell.bounding_box()["y"]) for cell in row.locator("td").all()}
        assert len(tops) == 1


def test_a_point_tells_all_that_is_known_of_it(
    browser: Any, page_of: Callable[[str], Path]
) -> None:
    with Shown(browser, page_of("text-classification"), 1400, "light") as shown:
        page = shown.page
        page.locator("svg.desk .mark.recommended .dot").first.hover()
        told = page.locator("#tip").inner_text()
        assert told.startswith("x3: 4 layers, 22 heads on ONNX Runtime INT8")
        assert "as fast" in told
        assert page.locator("table[data-rows] tr.shown").count() == 2  # its row in both tables
        page.mouse.move(2, 2)
        assert page.locator("#tip").is_hidden()


def test_it_is_whole_without_scripts(browser: Any, page_of: Callable[[str], Path]) -> None:
    path = page_of("text-classification")
    with Shown(browser, path, 1400, "light", java_script_enabled=False) as shown:
        assert len(names(shown.page)) == 10
        assert shown.page.locator("details").first.is_visible()
        titles = shown.page.locator("svg.desk .mark.recommended > title").first
        assert titles.text_content().startswith("x3: 4 layers")
        assert shown.page.locator(".tools").inner_text().strip() == ""


def test_it_is_whole_on_paper(browser: Any, page_of: Callable[[str], Path], tmp_path: Path) -> None:
    """What is folded on a screen is printed, in the colours of paper, on sheets of A4."""
    with Shown(browser, page_of("text-classification"), 1400, "dark") as shown:
        page = shown.page
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate(
            "getComputedStyle(document.documentElement).getPropertyValue('--ink')"
        ) == ("#1b2733")
        assert page.evaluate("""() => [...document.styleSheets[0].cssRules]
          .filter(rule => rule instanceof CSSPageRule).map(rule => rule.style.margin)""") == [
            "12mm"
        ]
        page.set_viewport_size({"width": 703, "height": 1000})  # A4 without margins
        assert {  # what has few columns stays a table
            shown.page.locator(f"table.{look} tr").first.evaluate(
                "r => getComputedStyle(r).display"
            )
            for look in ("few", "texts", "narrow")
        } == {"table-row"}
        measured = page.evaluate(MEASURE)
        assert (measured["scroll"], measured["wide"], measured["covered"]) == (0, [], [])
        hidden = page.locator("details > :not(summary)")
        assert hidden.count() > 2
        assert all(each.is_visible() for each in hidden.all())
        assert not page.locator("#tools").is_visible()
        pdf = tmp_path / "report.pdf"
        page.pdf(path=str(pdf), format="A4")
        assert pdf.stat().st_size > 20_000


def test_what_is_wrong_is_seen(
    browser: Any, page_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """The checks above can fail."""
    html = page_of("text-classification").read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.html"
    style = ".plot { min-width: 40rem; }"
    spoilt.write_text(html.replace("</style>", f"{style}</style>", 1), encoding="utf-8")
    with Shown(browser, spoilt, 390, "light") as shown:
        measured = shown.page.evaluate(MEASURE)
        assert measured["scroll"] > 0
        assert any("<svg" in each for each in measured["wide"])
    with Shown(browser, page_of("text-classification"), 390, "light") as shown:
        shown.page.evaluate("""() => {
          const [first, second] = document.querySelectorAll("svg.phone .label.other");
          for (const name of ["x", "y"]) first.setAttribute(name, second.getAttribute(name));
        }""")
        assert len(shown.page.evaluate(MEASURE)["covered"]) == 1
