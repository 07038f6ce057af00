"""The page of `edgepress serve OUT --demo` in a real browser: it asks, shows, and runs no more.

Screenshots are kept where EDGEPRESS_SCREENSHOTS says, if it says so.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reports import report_of
from served import in_process, in_thread
from tiny_artifact import write_tiny
from toy_tasks import ASKED, open_toy

from benchmarks.render.headline import headline
from benchmarks.render.try_page import Tried, render_try_page
from compress.cli.app import main
from runtimes.pipeline import Predictor
from runtimes.serving.demo import Demo

SERIOUS = ("serious", "critical")
HOSTILE = (
    'cold <img src=x onerror="window.hit=1"><script>window.hit=1</script> \'"> \u202e 👩‍👧 sun'
)
WIDE = """() => [...document.querySelectorAll("body *")]
  .filter(each => each.getClientRects().length)
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(each => each.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Predictor]:
    """`toy(kind)` is a predictor of a kind of `toy_tasks.ASKED`."""
    return lambda kind: open_toy(kind, tmp_path_factory.mktemp(kind))


def demo_of(kind: str, original: Predictor | None, *, report: bool = True) -> Demo:
    """The page for a toy, with the report of another model of its task."""
    named = "text-classification" if kind == "pairs" else kind

    def page(predictor: Predictor) -> str:
        tried = Tried(
            "toy", predictor.task.SPEC, kind == "pairs", "FP32 by PyTorch on cpu",
            None if original is None else "FP32 by PyTorch on cpu",
        )  # fmt: skip
        return render_try_page(tried, report_of(named) if report else None)

    return Demo(page, original)


class Shown:
    """The page, open; what it asked for and what went wrong in it."""

    def __init__(self, browser: Any, url: str, width: int = 1400, scheme: str = "light") -> None:
        self._context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self._context.new_page()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def ask(self, *texts: str) -> None:
        for field, text in zip(self.page.locator("textarea").all(), texts, strict=True):
            field.fill(text)
        self.page.locator("button.ask").click()
        self.page.locator("button.ask:not([disabled])").wait_for()


def parts(kind: str) -> list[str]:
    """What to type for a kind's first input."""
    first = ASKED[kind][0]
    if kind == "sentence-embedding":
        return ASKED[kind][:2]
    if isinstance(first, str):
        return [first]
    return ["\n".join(each) if isinstance(each, list) else each for each in first.values()]


@pytest.mark.parametrize("kind", ASKED)
def test_a_text_is_answered_by_both(
    kind: str, browser: Any, toy: Callable[[str], Predictor]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, scheme = (390, "dark") if len(kind) % 2 else (1400, "light")
    predictor = toy(kind)
    with (
        in_thread(predictor, demo_of(kind, predictor)) as asker,
        Shown(browser, asker.url, width, scheme) as shown,
    ):
        shown.ask(*parts(kind))
        page = shown.page
        for card in ("#small", "#original"):
            assert page.locator(f"{card} .ms").inner_text().endswith(" ms")
            rows = page.locator(f"{card} .bars li, {card} p:text-is('nothing found')")
            assert rows.count() >= 1
        assert (
            page.locator("#small .bars").inner_text()
            == page.locator("#original .bars").inner_text()
        )
        assert "times as fast" in page.locator("#wins").inner_text()
        assert page.locator("#error").inner_text() == ""
        assert page.evaluate(WIDE) == []
        assert page.locator("svg.plot:visible").count() == 1
        assert page.locator(".texts tbody tr").count() > 3
        folder = os.environ.get("EDGEPRESS_SCREENSHOTS")
        if folder:
            page.screenshot(path=str(Path(folder) / f"try-{kind}-{width}.png"), full_page=True)
        violations = Axe().run(page).response["violations"]
        assert [
            (v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in SERIOUS
        ] == []
        assert shown.errors == []
        assert set(shown.asked) == {f"{asker.url}/", f"{asker.url}/demo/ask"}


def test_what_is_typed_is_text_and_errors_are_said(
    browser: Any, toy: Callable[[str], Predictor]
) -> None:
    predictor = toy("token-classification")
    with (
        in_thread(predictor, demo_of("token-classification", None), max_texts=1) as asker,
        Shown(browser, asker.url) as shown,
    ):
        shown.ask(HOSTILE)
        page = shown.page
        found = asker.predict(HOSTILE, aggregation_strategy="simple")
        marks = page.locator("#small mark").all_inner_texts()
        assert marks == [HOSTILE[each["start"] : each["end"]] for each in found]
        assert marks
        assert page.locator("#small p").last.text_content() == HOSTILE
        assert page.locator("main img, main script").count() == 0
        assert page.evaluate("window.hit") is None
        assert page.locator("#original").count() == 0
        # Not even what came with the page by mistake would run.
        page.evaluate("document.body.innerHTML += '<img src=x onerror=\"window.hit=1\">'")
        page.wait_for_timeout(200)
        assert page.evaluate("window.hit") is None


def test_texts_that_differ_are_tried_with_a_click(
    browser: Any, toy: Callable[[str], Predictor]
) -> None:
    predictor = toy("text-classification")
    with (
        in_thread(predictor, demo_of("text-classification", None)) as asker,
        Shown(browser, asker.url) as shown,
    ):
        row = shown.page.locator(".texts tbody tr").first
        text = row.locator("th").evaluate("head => head.firstChild.textContent")
        row.get_by_role("button", name="try it").click()
        shown.page.locator("#small .ms").wait_for()
        assert shown.page.locator("textarea").input_value() == text


def test_a_server_that_has_gone_is_said(browser: Any, toy: Callable[[str], Predictor]) -> None:
    predictor = toy("text-classification")
    with in_thread(predictor, demo_of("text-classification", None, report=False)) as asker:
        shown = Shown(browser, asker.url)
    with shown:
        assert shown.page.locator("svg").count() == 0
        shown.ask("cold")
        assert "still running" in shown.page.locator("#error").inner_text()


def test_the_command_shows_the_page_of_a_run(tmp_path: Path, task: Any) -> None:
    """A run's folder is enough: its artifact answers, its report is shown, its original beside."""
    write_tiny(tmp_path / "out" / "artifact")
    report = report_of("text-classification")
    (tmp_path / "out" / "report.json").write_text(json.dumps(report.to_json()))
    options = ("--demo", "--original", str(task.model))
    with in_process(tmp_path / "out", *options, program=("-m", "edgepress")) as asker:
        page = asker.ask("/").body.decode()
        assert headline(report) in page
        assert "INT8" in page or "FP32 by ONNX Runtime on cpu" in page
        found = asker.ask("/demo/ask", {"inputs": "a good film"}).json()
        assert found["original"]["rows"][0]["name"] == "better"
        assert found["small"]["rows"] == [
            {"name": row["label"], "score": row["score"]} for row in asker.predict("a good film")[0]
        ]
        assert f"page  {asker.url}" in asker.logged()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--original", "MODEL"], "add --demo"),
        (["--open"], "add --demo"),
        (["--demo", "--token-file", "TOKEN"], "no token"),
        (["--demo", "--original", "/nowhere"], "/nowhere"),
        (["--demo", "--original", "TAGGER"], "token-classification"),
    ],
)
def test_what_the_page_cannot_have_is_said(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("abc")
    if "TAGGER" in options:
        open_toy("token-classification", tmp_path / "tagger").close()
    named = {"TOKEN": str(tmp_path / "token"), "TAGGER": str(tmp_path / "tagger")}
    artifact = str(write_tiny(tmp_path / "artifact"))
    given = [named.get(each, each) for each in options]
    assert main(["serve", artifact, "--port", "0", *given]) in (1, 2)
    assert said in capsys.readouterr().err
