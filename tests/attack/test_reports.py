"""Reports, recipes and settings that others wrote: read as they are meant, or refused by name."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from odd_values import ODD, in_turn, places, with_value

from benchmarks.compare import Change, compare_reports
from benchmarks.differences import Difference, Differences
from benchmarks.metrics import Drop, Metric
from benchmarks.quality import Bin, ClassQuality, Quality, Threshold
from benchmarks.render.html import render_html
from benchmarks.report import (
    Percentiles,
    Report,
    Row,
    Step,
    damage_named,
    load_report,
    save_report,
)
from benchmarks.stats import Interval
from compress.cli.inspect import inspect_path
from compress.config.recipe import Recipe, load_recipe, render_recipe
from compress.training.settings import TrainingSettings, load_training_settings

TEXTS = (
    *("", "{", "[]", "null", "1", '"x"', "[" * 100_000, '{"a":' * 100_000, "\x00", "NaN"),
    *('{"format": ' + "9" * 5000 + "}", '{"format": 1e999}', '{"format": 1}', '{"format": 2}'),
    *('{"format": 1, "rows": [{}]}', '{"format": 1, "format": 1}'),
)


def a_report() -> Report:
    timing = Percentiles(1.0, 2.0, 3.0, 100, 0.9, 1.1)
    rows = tuple(
        Row(
            id=name,
            model=name,
            runtime="onnxruntime",
            device="cpu",
            precision="int8",
            end_to_end_ms=timing,
            model_ms=timing,
            metric=Metric("accuracy", 88.5, 85.2, 91.1, 436),
            drop=Drop(0.1, -0.5, 0.7, 0.5),
            speedup=Interval(2.0, 1.9, 2.1),
            size_bytes=1000,
            load_ms=3.5,
            rss_bytes=10**8,
            threads=2,
            throughput_per_s=1735.2,
        )
        for name in ("teacher", "small")
    )
    return Report(
        environment={"cpu": {"model": "A processor", "cores_usable": 2, "flags": ["avx2"]}},
        reference="teacher",
        recommended="small",
        compared="small",
        quality={
            "small": Quality(
                classes=(ClassQuality("good", 20, 90.0, 85.0, 87.4),),
                confusions=((0, 0, 20), (0, 1, 3)),
                names=("good", "bad"),
                bins=(Bin(20, 0.9, 0.85),),
                thresholds=(Threshold(0.9, 0.5, None),),
            )
        },
        differences=Differences(
            436, 3, 2, 1, (Difference("a text", None, "good", "good", 0.9, "bad", None),)
        ),
        next_steps=(Step("Ask it.", "edgepress predict"),),
        rows=rows,
        data={"n": 436, "source": "films.csv", "notes": ["a note"], "fingerprint": "x"},
        method={"rounds_measured": 20, "sentences": 25, "seed": 5},
        budget={"max_drop": 1.0},
        decisions=("Chosen: small",),
        family=({"name": "full", "lineage": []},),
        notes=("A remark.",),
        command="compress films",
        created="2030-01-01T00:00:00+00:00",
        samples={
            row.id: {"rounds": [0, 1], "end_to_end_ms": [[0.9], [1.0]], "model_ms": [[1.0], [2.0]]}
            for row in rows
        },
    )


def is_plain(text: str) -> bool:
    """Return whether a terminal shows all of it and obeys nothing in it."""
    return not any(unicodedata.category(c) in ("Cc", "Cs") and c != "\n" for c in text)


def test_reports(tally: Any, chosen: Any, tmp_path: Path) -> None:
    path, sound = tmp_path / "report.json", tmp_path / "sound.json"
    save_report(a_report(), path)
    save_report(a_report(), sound)
    raw = json.loads(path.read_text())
    cases = [(text[:30], text) for text in TEXTS]
    for number, place in enumerate(places(raw)):
        for value in in_turn(number, 6):
            name = f"{'.'.join(map(str, place))} is {value!r:.30}"
            cases.append((name, json.dumps(with_value(raw, place, value))))
    before = load_report(sound)

    def compared() -> list[Change]:
        after = load_report(path)
        with damage_named(path):
            return compare_reports(before, after)

    def page() -> str:
        report = load_report(path)
        with damage_named(path):
            return render_html(report)

    doors: dict[str, tuple[Callable[[], Any], Callable[[Any], bool]]] = {
        "inspected": (lambda: inspect_path(path), is_plain),
        "as JSON": (lambda: inspect_path(path, as_json=True), is_plain),
        "compared": (compared, bool),
        "as a page": (page, lambda html: html.rstrip().endswith("</html>")),
    }
    for number, (case, content) in enumerate(chosen(cases, 40, at_least=40)):
        path.write_text(content)
        for door in tally.doors(list(doors), number):
            tally.judge(f"{case}, {door}", *doors[door])


RECIPES = (
    *(
        "",
        "[]",
        "null",
        "x",
        "seed",
        "seed: [",
        "{" * 50,
        "[" * 90_000,
        "\x00",
        "\x1b[2J: 1",
        "---",
    ),
    *("a: &a [*a]", "seed: *x", "seed: !!python/object/apply:os.system [id]", "<<: {seed: 1}"),
    *("seed: 1\nseed: 2", "? {a: 1}\n: 2", "seed: 0x1", "seed: 1_0", "seed: 1:30", "seed: ~"),
    *(
        "max_drop: .inf",
        "max_drop: .nan",
        "max_drop: -1",
        "max_drop: 1e999",
        "max_drop: 2001-01-01",
    ),
    *("stages: distill", "stages: [x]", "stages: []", "speedups: [1]", "speedups: [3, 2]"),
    *("effort: FAST", "effort: [fast]", "format: 2", "distill: 1", "distill: {epochs: x}", "x: 1"),
    *("%YAML 9.9\n---\nseed: 1", "seed: 1\n---\nseed: 2", "!!set {a}", "!!binary x", "@", "`"),
)


def test_recipes(tally: Any, chosen: Any, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"

    def read_again() -> bool:
        """A recipe that is read says so when it is written."""
        recipe = load_recipe(path)
        again = tmp_path / "again.yaml"
        again.write_text(render_recipe(recipe, "compress x"))
        return load_recipe(again) == recipe

    for text in chosen(RECIPES, 15, at_least=40):
        path.write_text(text)
        tally.judge(f"recipe {text[:40]!r}", read_again, True)
    keys = list(places(Recipe().model_dump(mode="json")))
    cases: list[tuple[Any, Any]] = []
    for number, place in enumerate(keys):
        cases += [(place, value) for value in (*in_turn(number, 3), [2, 4], 0.5)]
    for place, value in chosen(cases, 30):
        content: Any = value
        for key in reversed([key for key in place if isinstance(key, str)]):
            content = {key: content}
        path.write_text(yaml.safe_dump(content))
        tally.judge(f"recipe {content!r:.80}", read_again, True)
    fields = [(name, value) for name in TrainingSettings.model_fields for value in ODD]
    for name, value in chosen(fields, 20):
        override = f"{name}={json.dumps(value)}"
        tally.judge(
            f"settings {override[:80]!r}",
            lambda text=override: load_training_settings([text], {}),
            lambda settings: isinstance(settings, TrainingSettings),
        )
