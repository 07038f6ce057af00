"""Questions about contexts, with answers that are spans of them: SQuAD's files, or its columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import Spans
from compress.data.columns import NamedColumns, all_columns, cells, first_column
from compress.data.missing import Missing
from compress.data.table import Table, is_missing
from compress.errors import DataError, NoLabelsError

__all__ = ["ROW", "read", "recognized", "unlabelled"]

ROW = (
    '{"question": "who came?", "context": "Ada came.", '
    '"answers": {"text": ["Ada"], "answer_start": [0]}}'
)
_QUESTIONS = ("question",)
_CONTEXTS = ("context", "passage", "paragraph")
_ANSWERS = ("answers", "answer")


def recognized(table: Table) -> tuple[str, ...]:
    """See `compress.data.tasks`."""
    articles = first_column(table, ("paragraphs",))
    return (articles,) if articles else all_columns(table, _QUESTIONS, _CONTEXTS, _ANSWERS)


def read(
    tables: Mapping[str, Table],
    named: NamedColumns,
    label_names: Sequence[str] | None,  # noqa: ARG001 - the same for all tasks
    problem_type: str | None = None,  # noqa: ARG001
    missing: Missing = "refuse",
) -> tuple[dict[str, Examples], list[str]]:
    """See `compress.data.tasks`; `text` names the column of questions, `pair` that of contexts,
    `label` that of answers."""
    if missing != "refuse":
        raise DataError(f"missing={missing}: a question without its context cannot be used")
    rows = {name: _questions(table, named) for name, table in tables.items()}
    notes = list[str]()
    for name in [name for name in rows if name != "train"]:
        if not _answered(rows[name]) and _answered(rows.get("train", [])):
            notes.append(f"The {name} split ({len(rows[name])}) has no answers: left out.")
            del rows[name]
    examples = {}
    for name, own in rows.items():
        questions, contexts, spans, answers = zip(*own, strict=True)
        examples[name] = Examples(
            texts=tuple(questions),
            targets=Spans(np.array(spans, dtype=np.int64), answers),
            label_names=("start", "end"),
            pairs=tuple(contexts),
            task="question-answering",
        )
        if _answered(own) < len(own):
            without = len(own) - _answered(own)
            notes.append(f"{without} of the {len(own)} {name} questions have no answer.")
    return examples, notes


def unlabelled(
    table: Table,
    named: NamedColumns,
    label_names: Sequence[str] | None,  # noqa: ARG001 - the same for all tasks
    problem_type: str | None = None,  # noqa: ARG001
) -> Examples:
    """See `compress.data.tasks`."""
    if "paragraphs" in table.columns:
        asked = [(question, context) for question, context, *_ in _articles(table)]
    else:
        columns = (
            cells(table, named.text, _QUESTIONS, "--text-column"),
            cells(table, named.pair, _CONTEXTS, "--pair-column"),
        )
        rows = [row for row in zip(*columns, strict=True) if not any(map(is_missing, row))]
        asked = [(str(question), str(context)) for question, context in rows]
    return Examples(
        texts=tuple(question for question, _ in asked),
        targets=Spans(np.zeros((len(asked), 2), dtype=np.int64), [("",)] * len(asked)),
        label_names=("start", "end"),
        pairs=tuple(context for _, context in asked),
        task="question-answering",
    )


Row = tuple[str, str, tuple[int, int], tuple[str, ...]]


def _questions(table: Table, named: NamedColumns) -> list[Row]:
    """All of a table's, at least one."""
    rows = list(_articles(table) if "paragraphs" in table.columns else _rows(table, named))
    if not rows:
        raise DataError(f"{table.where}: there is no question in it")
    return rows


def _answered(rows: Sequence[Row]) -> int:
    """How many questions have an answer."""
    return sum("" not in answers for *_, answers in rows)


def _articles(table: Table) -> list[Row]:
    """The questions of SQuAD's own files."""
    found = []
    for number, paragraphs in enumerate(table.columns["paragraphs"], start=1):
        place = f"{table.where}: article {number}"
        for paragraph in _list(paragraphs, place, "paragraphs"):
            context = _text(paragraph, "context", place)
            for question in _list(paragraph.get("qas"), place, "qas"):
                where = f"{place}, question {question.get('id', '?')}"
                answers = question.get("answers") or []
                found.append(_row(_text(question, "question", where), context, answers, where))
    return found


def _rows(table: Table, named: NamedColumns) -> list[Row]:
    """The questions of a table as the hub has them."""
    columns = (
        cells(table, named.text, _QUESTIONS, "--text-column"),
        cells(table, named.pair, _CONTEXTS, "--pair-column"),
        cells(table, named.label, _ANSWERS, "--label-column", kind=NoLabelsError),
    )
    rows = []
    for row, (question, context, answers) in enumerate(zip(*columns, strict=True), start=1):
        where = f"{table.where}: data row {row}"
        given = {"question": question, "context": context}
        rows.append(
            _row(
                _text(given, "question", where),
                _text(given, "context", where),
                _list(_one_by_one(answers), where, "answers"),
                where,
            )
        )
    return rows


def _one_by_one(answers: Any) -> Any:
    """Answers as a list of `{"text", "answer_start"}`, also where a dict holds lists of each."""
    if not isinstance(answers, dict):
        return answers
    if not isinstance(answers.get("text"), list):
        return [answers]
    pairs = zip(answers["text"], answers.get("answer_start") or [], strict=False)
    return [{"text": text, "answer_start": start} for text, start in pairs]


def _row(question: str, context: str, answers: list[Any], where: str) -> Row:
    spans = []
    for answer in answers:
        try:
            text, start = str(answer["text"]), int(answer["answer_start"])
        except (TypeError, KeyError, ValueError):
            raise DataError(
                f"{where}: an answer is {answer!r:.60}.",
                hint='An answer looks like {"text": "Rome", "answer_start": 12}.',
            ) from None
        if context[start : start + len(text)] != text:
            raise DataError(
                f"{where}: the answer {text!r} does not stand at character {start} of its context.",
                hint="answer_start counts characters from 0.",
            )
        spans.append((start, start + len(text), text))
    if not spans:
        return question, context, (0, 0), ("",)
    start, end, _ = spans[0]
    return question, context, (start, end), tuple(dict.fromkeys(text for _, _, text in spans))


def _list(value: Any, where: str, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(
            f"{where}: '{name}' is no list.",
            hint="Is it a file in SQuAD's format, version 1.1 or 2?",
        )
    return value


def _text(cells: Mapping[str, Any], name: str, where: str) -> str:
    value = cells.get(name)
    if is_missing(value) or not isinstance(value, str):
        raise DataError(f"{where}: '{name}' is empty or no text.")
    return value
