"""Counts how often the true drop of what is recommended is inside the budget.

    python scripts/budget_kept.py make FOLDER --base BASE --data DATA --train 2000 --seed 0
    python scripts/budget_kept.py judge FOLDER... --budgets 0.5 1.0 > table.md

`make` trains a teacher on a part of the data, lets the stages of a run make a family of it, and
keeps all models' answers to the labelled texts that nothing saw. It goes on where it was stopped.
Members answer as they do once they are quantized, emulated in PyTorch; their speed is counted in
operations, so that the same seed gives the same table on every machine.

`judge` recommends many times: some of the texts are drawn to choose on, by the rule of a run, and
the drop on the thousands that are left is taken for the true one. Recommendations of one family
share its members, and those on overlapping draws share texts: they are no independent runs.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

SPEEDUPS = (1.6, 2.2, 3.0, 4.0, 5.2, 6.8, 9.0, 12.0)
_ANSWERS, _HELD_OUT_OF_TRAINING = "answers.npz", 200
_HALVINGS = 10


def make(folder: Path, base: str, data: Path, train: int, seed: int, augment: int) -> None:
    """Write the labels of the texts that nothing saw, and a family's answers to them."""
    if (folder / _ANSWERS).is_file():
        return
    from compress import TrainingSettings
    from compress import train as fine_tune
    from compress.config.recipe import Recipe
    from compress.corpus.corpus import Material
    from compress.data import load_splits
    from compress.data.columns import NamedColumns
    from compress.data.tokenized import tokenize
    from compress.encoder.importers.registry import import_encoder
    from compress.pipeline.prepare import fitted_to_texts
    from compress.predictions.predict import predict_logits
    from compress.search.family import attached, run_stages
    from compress.stages.base import Context, Encoder
    from compress.system.fingerprint import digest
    from compress.system.progress import SilentProgress
    from compress.system.workspace import Workspace

    rows = _rows(data)
    order = np.random.default_rng(seed).permutation(len(rows))
    seen, unseen = ([rows[place] for place in part] for part in (order[:train], order[train:]))
    learnt, checked = seen[_HELD_OUT_OF_TRAINING:], seen[:_HELD_OUT_OF_TRAINING]
    known = {"train": _columns(learnt), "validation": _columns(checked)}
    teacher = folder / "teacher"
    fine_tune(base, known, out=teacher, settings=TrainingSettings(seed=seed))
    imported = import_encoder(teacher)
    names = list(imported.model.config.id2label.values())
    task = "text-classification"
    splits = load_splits(known, label_names=names, columns=NamedColumns(), task=task, seed=seed)
    tests = load_splits(
        {"train": _columns(learnt), "validation": _columns(checked), "test": _columns(unseen)},
        label_names=names,
        columns=NamedColumns(),
        task=task,
        seed=seed,
    ).report
    fitted = fitted_to_texts(imported, teacher, pairs=False, task=task, max_length=64)
    encoder = Encoder(module=fitted.module, tokenizer=imported.tokenizer)
    recipe = Recipe.preset(
        "balanced", speedups=SPEEDUPS, beyond=False, seed=seed, distill={"augment": augment}
    )
    workspace = Workspace(folder / "run")
    workspace.create()
    with workspace:
        material = Material(
            fitted.module,
            imported.tokenizer,
            splits.train,
            splits.selection,
            max_length=fitted.max_length,
            seed=seed,
            scratch=workspace.scratch,
        )
        context = Context(
            recipe=recipe,
            teacher=encoder,
            train=splits.train,
            material=material,
            max_length=fitted.max_length,
            progress=SilentProgress(),
            latency=(table := _counted(fitted.module.config)),
        )
        with material:
            key = digest(splits.fingerprint, seed)
            staged = attached(run_stages(encoder, context, workspace, key), recipe)
            texts = tokenize(tests, imported.tokenizer, fitted.max_length)
            reference = predict_logits(fitted.module, texts)
            answers = [_quantized(member.encoder.module, recipe, texts) for member in staged]
    np.savez(
        folder / _ANSWERS,
        labels=tests.labels,
        reference=reference,
        members=np.stack(answers),
        costs=np.array([table.predict(one.encoder.module.config.layer_sizes) for one in staged]),
        names=np.array([member.name for member in staged]),
    )


def _quantized(module: Any, recipe: Any, texts: Any) -> Any:
    """Return a member's answers, as it will be quantized."""
    from compress.predictions.predict import predict_logits
    from compress.quantization.fake_quantization import fake_quantized
    from compress.stages import planned_quantization

    plan = planned_quantization(recipe)
    assert plan is not None  # the recipe quantizes
    with fake_quantized(module, plan, fixed=True):
        return predict_logits(module, texts)


def _rows(data: Path) -> list[tuple[str, str]]:
    """Return (text, label) of all labelled splits; a text that is there twice counts once."""
    rows: dict[str, str] = {}
    for name in ("train.csv", "validation.csv"):
        with (data / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows.setdefault(" ".join(row["text"].casefold().split()), row["label"])
    return list(rows.items())


def _columns(rows: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {"text": [text for text, _ in rows], "label": [label for _, label in rows]}


def _counted(config: Any) -> Any:
    """Return what sizes cost in millions of multiplications, for a text of a dozen tokens.

    The last layer answers for one token of them. Whatever is there costs a little for being there.
    """
    from compress.latency.table import Curve, LatencyTable, LayerCosts

    sizes, width, tokens = config.layer_sizes[0], config.hidden_size, 12

    def curve(most: int, step: int, each: float) -> Any:
        grid = range(0, most + 1, step)
        return Curve(tuple(grid), tuple(each * (size + 0.1 * most * (size > 0)) for size in grid))

    head, neuron = 4e-6 * width * sizes.head_size, 2e-6 * width
    of_layers = [
        LayerCosts(
            curve(sizes.heads, 1, head * count), curve(sizes.intermediate_size, 32, neuron * count)
        )
        for count in (tokens, 1)
    ]
    base = 0.05 * len(config.layer_sizes) * of_layers[0].ms(sizes.heads, sizes.intermediate_size)
    return LatencyTable(base, inner=of_layers[0], last=of_layers[1])


@dataclass(frozen=True)
class Trial:
    """One recommendation.

    Attributes:
        inside: Whether the true drop is within the budget; None where nothing was recommended.
        covered: Whether the cross-fitted interval has the true drop; None where there is none.
        faster: Speed-up of what was recommended.
    """

    inside: bool | None
    covered: bool | None
    faster: float


def judge(folder: Path, texts: int, confidence: float, budget: float, seed: int) -> Trial:
    """Recommend by some of the texts, and look at the others."""
    from benchmarks.examples import Examples
    from benchmarks.expected import expected_drop
    from benchmarks.labels import ClassLabels
    from compress.search.cross_fitting import cross_fitted
    from compress.search.selection import Figures, fastest_inside

    with np.load(folder / _ANSWERS) as found:
        labels, reference, members = (found[name] for name in ("labels", "reference", "members"))
        costs = found["costs"]
    places = np.random.default_rng(seed).permutation(len(labels))
    chosen_on, judged_on = places[:texts], places[texts:]
    inside = partial(fastest_inside, max_drop=budget, confidence=confidence)
    figures = [
        Figures("", cost, expected_drop(reference[chosen_on], own[chosen_on], labels[chosen_on]))
        for own, cost in zip(members, costs, strict=True)
    ]
    place = inside(figures)
    if place is None:
        return Trial(None, None, 1.0)
    right = [
        each[judged_on].argmax(axis=1) == labels[judged_on] for each in (reference, members[place])
    ]
    truth = 100 * float(right[0].mean() - right[1].mean())
    names = [str(index) for index in range(len(members))]
    known = tuple(f"class {index}" for index in range(reference.shape[1]))
    crossed = cross_fitted(
        reference[chosen_on],
        {name: own[chosen_on] for name, own in zip(names, members, strict=True)},
        {name: ("", cost) for name, cost in zip(names, costs, strict=True)},
        Examples(("",) * texts, ClassLabels(labels[chosen_on]), known),
        inside,
        seed=seed,
        most=_HALVINGS,
    )
    covered = None if crossed is None else crossed.low <= truth <= crossed.high
    return Trial(truth <= budget, covered, float(costs[0] / costs[place]))


def table(
    folders: Sequence[Path], budgets: Sequence[float], sizes: Sequence[int], trials: int
) -> str:
    """Return a table in Markdown, of so many recommendations a row."""
    lines = [
        "| family | texts that chose | confidence | recommendations | true drop inside | none | "
        "interval has the true drop | mean speed-up |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for folder in folders:
        for texts in sizes:
            for confidence in (0.7, 0.9):
                found = [
                    judge(folder, texts, confidence, budgets[seed % len(budgets)], seed)
                    for seed in range(trials)
                ]
                inside = [one.inside for one in found if one.inside is not None]
                covered = [one.covered for one in found if one.covered is not None]
                lines.append(
                    f"| {folder.name} | {texts} | {confidence} | {len(inside)} | "
                    f"{np.mean(inside):.0%} | {len(found) - len(inside)} | "
                    f"{np.mean(covered):.0%} | {np.mean([one.faster for one in found]):.2f} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("folder", type=Path)
    maker.add_argument("--base", required=True)
    maker.add_argument("--data", type=Path, required=True)
    maker.add_argument("--train", type=int, default=2000)
    maker.add_argument("--seed", type=int, default=0)
    maker.add_argument("--augment", type=int, default=2)
    judged = commands.add_parser("judge")
    judged.add_argument("folders", type=Path, nargs="+")
    judged.add_argument("--budgets", type=float, nargs="+", default=[0.5, 1.0, 1.5, 2.0])
    judged.add_argument("--texts", type=int, nargs="+", default=[436, 872])
    judged.add_argument("--trials", type=int, default=24)
    asked = parser.parse_args()
    if asked.command == "make":
        make(asked.folder, asked.base, asked.data, asked.train, asked.seed, asked.augment)
    else:
        told = table(asked.folders, asked.budgets, asked.texts, asked.trials)
        sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
