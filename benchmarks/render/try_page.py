"""Renders the page on which a model is tried: a text, both answers, and what the report knows."""

from dataclasses import dataclass

from benchmarks.render import answers
from benchmarks.render.headline import headline, title_of
from benchmarks.render.html import differences_in_page, front_in_page, page_environment
from benchmarks.report import Report
from runtimes.tasks.base import TaskSpec

__all__ = ["Tried", "render_try_page"]


@dataclass(frozen=True)
class Tried:
    """The model that the page asks.

    Attributes:
        name: What it is called.
        spec: Its task.
        pairs: Whether it may be asked pairs of texts.
        how: How it runs, in a few words.
        original: How the original runs; None where it is not there.
    """

    name: str
    spec: TaskSpec
    pairs: bool
    how: str
    original: str | None = None


@dataclass(frozen=True)
class _Field:
    name: str
    label: str
    example: str
    is_list: bool = False


def render_try_page(tried: Tried, report: Report | None = None) -> str:
    """Render a page that asks `POST demo/ask`, and needs nothing else from anywhere.

    Args:
        tried: The model.
        report: Of the run that made it: its front, and the texts on which the two differ.
    """
    spec = tried.spec
    found = None if report is None else differences_in_page(report)
    return str(
        page_environment()
        .get_template("try.html.j2")
        .render(
            title=f"Try {tried.name}",
            what=spec.name.replace("-", " ") if report is None else title_of(report),
            headline="" if report is None else headline(report),
            tried=tried,
            fields=_fields(tried),
            form="list" if spec.pooled else "object",
            names=[] if report is None else list(answers.compared_names(report) or ()),
            differences=found,
            front=None if report is None else front_in_page(report),
        )
    )


def _fields(tried: Tried) -> list[_Field]:
    """Return what the page asks for: a field for each part of an input."""
    spec = tried.spec
    if spec.pooled:  # a vector alone says nothing to a person: two are compared
        return [_Field("text", "One text", ""), _Field("other", "Another text", "")]
    names = spec.asked[: len(spec.asked) - (0 if tried.pairs else spec.optional)]
    examples = (spec.example or "").split("\t")
    fields = []
    for place, name in enumerate(names):
        is_list = spec.nested and name == spec.asked[-1]
        label = name.replace("_", " ").capitalize() + (", one a line" if is_list else "")
        rest = examples[place:] if is_list else examples[place : place + 1]
        fields.append(_Field(name, label, "\n".join(rest), is_list))
    return fields
