"""`edgepress recipe`: every key with its meaning, readable back."""

from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from compress.cli.app import main
from compress.cli.output import EFFORTS
from compress.config.recipe import Effort, load_recipe
from compress.system.program import program


@pytest.mark.parametrize(
    ("arguments", "effort", "overrides"),
    [
        ([], None, []),
        (["fast"], "fast", []),
        (["best", "prune.steps=3", "speedups=[2]"], "best", ["prune.steps=3", "speedups=[2]"]),
        (["stages=[quantize]"], None, ["stages=[quantize]"]),
    ],
)  # fmt: skip
def test_what_is_printed_is_read_back(
    arguments: list[str], effort: str | None, overrides: list[str], tmp_path: Path, capfd: Any
) -> None:
    assert main(["recipe", *arguments]) == 0
    printed = capfd.readouterr().out
    assert printed.startswith(f"# {' '.join(program())} recipe")
    (tmp_path / "mine.yaml").write_text(printed)
    expected = load_recipe(overrides=overrides, options={"effort": effort})
    assert load_recipe(tmp_path / "mine.yaml") == expected


def test_every_key_has_its_meaning_above_it(capfd: Any) -> None:
    assert main(["recipe"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    plain = [
        line
        for before, line in pairwise(lines)
        if not line.lstrip().startswith("#") and not before.lstrip().startswith("#")
    ]
    assert plain == []
    assert set(yaml.safe_load("\n".join(lines))) >= {"max_drop", "distill", "quantize"}


def test_presets_are_listed(capfd: Any) -> None:
    assert main(["recipe", "--list"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(EFFORTS) == list(get_args(Effort))


def test_a_preset_that_does_not_exist_is_refused(capfd: Any) -> None:
    assert main(["recipe", "quick"]) == 2
    assert "fast, balanced, best" in capfd.readouterr().err
