"""Continued pre-training on plain text: masked words, and whether a sentence follows another.

Text of the domain makes a better teacher, and a student that has read it is a better start. BERT's
rule (Devlin et al. 2019, https://arxiv.org/abs/1810.04805): 15% of the tokens are asked for, and of
these 80% are masked, 10% are another token and 10% are left as they are.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal

import torch

from compress.data.formats.decoding import read_lines
from compress.data.reading import read_tables
from compress.data.table import is_missing
from compress.data.tokenized import kept_length
from compress.errors import DataError, ModelError, UsageError
from compress.system.progress import Progress, SilentProgress
from compress.training.base import load_base
from compress.training.session import Session
from compress.training.settings import TrainingSettings

__all__ = ["Objective", "Pretrained", "pretrain", "read_documents"]

Objective = Literal["mlm", "mlm+nsp"]

_HELD_OUT = 0.05
_FEW = 20  # documents
_MASKED = 0.15
_IGNORED = -100
# Settings that say something about labels, or that only labelled text is prepared by.
_UNUSED = (
    "label_smoothing",
    "class_weights",
    "metric",
    "unicode",
    "whitespace",
    "missing",
    "duplicates",
    "augment",
)


@dataclass(frozen=True)
class Pretrained:
    """Result of pre-training.

    Attributes:
        folder: The checkpoint.
        perplexity: Of the masked tokens of held-out text, before and after.
        texts: Texts that were learnt from.
        main_process: Whether this is the process that tells of it, of several.
        notes: What of the base starts anew.
    """

    folder: Path
    perplexity: tuple[float, float]
    texts: int
    main_process: bool = True
    notes: tuple[str, ...] = ()


def pretrain(
    base: str,
    data: str,
    out: Path,
    settings: TrainingSettings,
    *,
    objective: Objective,
    text_column: str | None = None,
    progress: Progress,
    command: str | None = None,
) -> Pretrained:
    """Train `base` on plain text; a training that was stopped goes on when it is started again.

    It then draws other masks than it would have drawn undisturbed, and comes to other weights.

    Args:
        base: Encoder checkpoint folder or hub id, or a size of `compress.training.scratch`.
        data: A .txt file with a sentence a line and an empty line between documents, or a table
            with a column of texts.
        out: Folder for the checkpoint; it is new, empty, or of an earlier training.
        settings: How to train.
        objective: `"mlm"`, or `"mlm+nsp"` with BERT's next-sentence prediction.
        text_column: Column of the texts, where convention does not find it.
        progress: Where to report progress.
        command: What the user typed, for the record.

    Raises:
        DataError: The data cannot be read, or is too little.
        ModelError: The base model cannot be loaded, lacks weights of its encoder, or is of a kind
            that does not know the objective. A head that it lacks starts anew, and a note says so.
        UsageError: `out` holds something else, or a setting is not one of pre-training.
    """
    from compress.system.distributed import is_main

    main_process = is_main()
    if not main_process:
        progress = SilentProgress()
    _refuse_unused(settings)
    documents = read_documents(data, text_column)
    session = Session(base, data, out, settings, objective, documents, command)
    if record := session.finished():
        before, after = (record["perplexity"][name] for name in ("before", "after"))
        notes = record["notes"]
        return Pretrained(out, (before, after), record["texts"], main_process, tuple(notes))
    texts = [sentence for document in documents for sentence in document]
    model, tokenizer, notes = _load(base, objective, settings, texts)
    settings = session.prepare(model)
    length = kept_length(settings.max_length, model.config, tokenizer)
    from compress.training.trainer import Pretrainer, evaluate_untrained

    train, held_out = _features(documents, tokenizer, length, objective, settings.seed)
    with session.at_work() as scratch:
        session.check_room(model, train, progress.say)
        torch.manual_seed(settings.seed)
        masking = _Masking(tokenizer, settings.seed)
        fixed = [masking.masked(feature) for feature in held_out]
        trainer = Pretrainer(
            *(model, tokenizer, train, fixed, scratch, settings, progress), data_collator=masking
        )
        before = math.exp(evaluate_untrained(trainer)["eval_masked_loss"])
        session.run(trainer)
        after = math.exp(trainer.evaluate()["eval_masked_loss"])
        if main_process:
            session.save(trainer.model, tokenizer, length)
            session.record(
                trainer,
                settings,
                notes,
                about={"objective": objective, "texts": len(train)},
                results={"perplexity": {"before": before, "after": after}},
            )
    return Pretrained(out, (before, after), len(train), main_process, tuple(notes))


def _refuse_unused(settings: TrainingSettings) -> None:
    """Refuse settings that would change nothing.

    Raises:
        UsageError: One of them is not as it is by default.
    """
    for name in _UNUSED:
        value = getattr(settings, name)
        if value != TrainingSettings.model_fields[name].default:
            raise UsageError(
                f"{name}={value} is not a setting of pre-training",
                hint="it is for labelled text: leave it out",
            )


def read_documents(data: str, text_column: str | None = None) -> list[list[str]]:
    """Read documents as lists of sentences; a row of a table is a document of one.

    Raises:
        DataError: There is too little text, or no column of it.
    """
    path = Path(data).expanduser()
    if path.suffix.lower() == ".txt" and path.is_file():
        stripped = [line.strip() for line in read_lines(path)]
        found = [list(document) for full, document in groupby(stripped, bool) if full]
    else:
        from compress.data.columns import TEXTS, column_in, first_column

        tables = read_tables(data)
        table = tables.get("train") or next(iter(tables.values()))
        column = (
            first_column(table, TEXTS)
            if text_column is None
            else column_in(table, text_column, "--text-column")
        )
        if column is None:
            raise DataError(f"{table.where}: no column of texts; name it with --text-column")
        found = [[str(text)] for text in table.columns[column] if not is_missing(text)]
    if sum(map(len, found)) < 20:
        raise DataError(f"{data}: {sum(map(len, found))} texts are too few to learn from")
    return found


def _load(
    base: str, objective: Objective, settings: TrainingSettings, texts: Sequence[str]
) -> tuple[Any, Any, list[str]]:
    """Return the model with the objective's head, its tokenizer, and notes for the user."""
    import transformers

    alone = objective == "mlm"
    opener = transformers.AutoModelForMaskedLM if alone else transformers.AutoModelForPreTraining
    model, tokenizer, new = load_base(base, opener, settings, texts, purpose=f"for {objective}")
    if not alone and model.config.model_type != "bert":
        raise ModelError(
            f"{base}: a {model.config.model_type} has no next-sentence prediction",
            hint="use --objective mlm",
        )
    if not new:
        return model, tokenizer, []
    names = ", ".join(new[:3]) + (" ..." if len(new) > 3 else "")
    return model, tokenizer, [f"What the base lacks of the head for {objective} is new: {names}."]


def _features(
    documents: Sequence[Sequence[str]],
    tokenizer: Any,
    length: int,
    objective: Objective,
    seed: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return inputs to learn from and inputs held out.

    Documents stay whole, so that neither part knows the other's.

    Raises:
        DataError: Nothing can be masked, or no document has two sentences.
    """
    rng = random.Random(seed)
    order = _pieces(documents)
    rng.shuffle(order)
    count = max(1, round(_HELD_OUT * len(order)))
    parts = (order[count:] or order, order[:count])
    found = []
    for part in parts:
        if objective == "mlm":
            texts = [sentence for document in part for sentence in document]
            encoded = tokenizer(texts, truncation=True, max_length=length)
            features = [{"input_ids": ids} for ids in encoded["input_ids"]]
        else:
            features = _pairs(part, tokenizer, length, rng)
        # There is nothing to mask in a line of signs that the tokenizer does not know.
        special = set(tokenizer.all_special_ids)
        found.append([f for f in features if not special.issuperset(f["input_ids"])])
        if not found[-1]:
            raise DataError("the tokenizer knows no word of the text")
    return found[0], found[1]


def _pieces(documents: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return the documents; a few long ones are cut, so that some text can be held out."""
    if len(documents) >= _FEW:
        return list(documents)
    size = max(2, sum(map(len, documents)) // (2 * _FEW))
    return [own[i : i + size] for own in documents for i in range(0, len(own), size)]


def _pairs(
    documents: Sequence[Sequence[str]], tokenizer: Any, length: int, rng: random.Random
) -> list[dict[str, Any]]:
    """Pair sentences with the one that follows (0) or, half of the time, with any other (1).

    Where there is no other, all of them are with the one that follows.

    Raises:
        DataError: No document has two sentences.
    """
    everything = [sentence for document in documents for sentence in document]
    different = set(everything)
    pairs: list[tuple[str, str, int]] = []
    for document in documents:
        for one, other in pairwise(document):
            follows = rng.random() < 0.5 or different <= {one, other}
            drawn = other
            while not follows and drawn in (one, other):
                drawn = rng.choice(everything)
            pairs.append((one, drawn, 0 if follows else 1))
    if not pairs:
        raise DataError(
            "next-sentence prediction needs documents of two sentences or more",
            hint="a .txt file has a sentence a line, and an empty line between documents",
        )
    first, second, labels = map(list, zip(*pairs, strict=True))
    encoded = tokenizer(first, second, truncation=True, max_length=length)
    names = ("input_ids", "token_type_ids")
    return [
        {**{name: encoded[name][i] for name in names}, "next_sentence_label": label}
        for i, label in enumerate(labels)
    ]


class _Masking:
    """A collator that masks inputs anew each time, unless they are masked already."""

    def __init__(self, tokenizer: Any, seed: int) -> None:
        from transformers import (
            DataCollatorForLanguageModeling,
            DataCollatorForTokenClassification,
        )

        self._tokenizer = tokenizer
        self._pad = DataCollatorForTokenClassification(tokenizer)
        self._mask = DataCollatorForLanguageModeling(tokenizer, mlm_probability=_MASKED)
        self._once = DataCollatorForLanguageModeling(tokenizer, mlm_probability=_MASKED, seed=seed)

    def masked(self, feature: dict[str, Any]) -> dict[str, Any]:
        """Return one input, masked once and for all; at least one token is asked for."""
        while True:
            batch = self._once([{"input_ids": feature["input_ids"]}])
            if (batch["labels"] != _IGNORED).any():
                break
        return {
            **feature,
            "input_ids": batch["input_ids"][0].tolist(),
            "labels": batch["labels"][0].tolist(),
        }

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        return dict((self._pad if "labels" in features[0] else self._mask)(features))
