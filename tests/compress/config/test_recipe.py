"""A recipe: presets, file, options and overrides, one over the other; mistakes are named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from compress.config.recipe import Recipe, load_recipe, render_recipe
from compress.errors import RecipeError


def test_the_last_word_wins(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("effort: fast\nseed: 1\nmax_drop: 3\nprune: {heads: 0.5, steps: 7}\n")
    recipe = load_recipe(file, ["prune.steps=9", "seed=3"], {"seed": 2, "max_drop": None})
    assert "distill" not in recipe.stages  # the preset's
    assert recipe.prune.heads == 0.5  # the file's
    assert recipe.max_drop == 3  # an option that was not given changes nothing
    assert (recipe.seed, recipe.prune.steps) == (3, 9)  # the overrides'


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
def test_what_is_written_reads_back(tmp_path: Path, effort: str) -> None:
    overrides = [f"effort={effort}", "distill.layers=[0, 2]", "quantize.float_layers=[layers.0.x]"]
    recipe = load_recipe(None, overrides)
    file = tmp_path / "recipe.yaml"
    file.write_text(render_recipe(recipe, "compress m --data 'a\nb'"))
    assert load_recipe(file, options={"effort": effort, "seed": 1}).seed == 1
    other = "best" if effort == "fast" else "fast"
    with pytest.raises(RecipeError, match=f"'{other}'.*as '{effort}' has it"):
        load_recipe(file, options={"effort": other})
    assert load_recipe(file) == recipe
    assert file.read_text().startswith("# compress m --data 'a b'\n")


def test_efforts_differ() -> None:
    fast, balanced, best = (
        load_recipe(options={"effort": e}) for e in ("fast", "balanced", "best")
    )
    assert "distill" not in fast.stages
    assert balanced == Recipe()
    assert best.distill.epochs > balanced.distill.epochs


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
def test_a_recipe_made_in_python_obeys_its_preset(effort: str) -> None:
    loaded = load_recipe(options={"effort": effort})
    assert Recipe(effort=effort) == Recipe.preset(effort) == loaded
    changed = Recipe.preset(effort, seed=1, prune={"heads": 0.5})
    assert changed == load_recipe(None, ["prune.heads=0.5"], {"effort": effort, "seed": 1})
    assert changed.prune.steps == loaded.prune.steps  # sections are merged


def test_changes_are_merged_and_validated() -> None:
    recipe = Recipe.preset("best").replace(distill={"epochs": 1.0}, max_drop=2)
    assert (recipe.distill.epochs, recipe.distill.augment, recipe.max_drop) == (1.0, 7, 2.0)
    assert recipe.replace(effort="best") == recipe
    with pytest.raises(RecipeError, match="no key") as caught:
        recipe.replace(distill={"epoch": 1})
    assert "distill.epoch" in caught.value.message
    with pytest.raises(RecipeError, match="'best', and stays it"):
        recipe.replace(effort="fast")
    with pytest.raises(RecipeError, match="effort 'quick' does not exist"):
        Recipe.preset("quick")
    with pytest.raises(ValueError, match="frozen"):
        recipe.effort = "fast"  # type: ignore[misc]


def test_every_key_says_what_it_means() -> None:
    bare = {name for name, field in Recipe.model_fields.items() if not field.description}
    assert bare <= set(Recipe.sections())
    for name, section in Recipe.sections().items():
        assert section.__doc__, name
        for key, field in section.model_fields.items():
            assert field.description, f"{name}.{key}"


PLANTED = """
from pydantic import Field
from compress.config.loading import Settings

class Planted(Settings):
    \"\"\"Settings of the planted stage.\"\"\"
    share: float = Field(0.5, description="of something")

class Stage:
    name, Settings = "planted", Planted

STAGE = Stage()
"""


def test_a_planted_stage_has_a_section_and_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import compress.stages

    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.setattr(compress.stages, "__path__", [*compress.stages.__path__, str(tmp_path)])
    recipe = load_recipe(None, ["stages=[planted]", "planted.share=0.25"])
    assert (recipe.stages, recipe.planted.share) == (("planted",), 0.25)
    with pytest.raises(RecipeError, match=r"no key .planted.shar"):
        load_recipe(None, ["planted.shar=1"])


def test_values_are_yaml() -> None:
    recipe = load_recipe(
        None, ["distill.learning_rate=1e-3", "distill.layers=2", "quantize.reduce_range=yes"]
    )
    assert recipe.distill.learning_rate == 1e-3
    assert recipe.distill.layers == 2
    assert recipe.quantize.reduce_range is True


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("destill.epochs=1", "no key 'destill'.*did you mean 'distill'"),
        ("distill.epoch=1", "no key 'distill.epoch'.*did you mean 'distill.epochs'"),
        ("prune.zzzzzz=1", "no key 'prune.zzzzzz'.*keys of prune: heads"),
        ("qqqq=1", "no key 'qqqq'.*keys: version, effort"),
        ("stages=[prun]", "'stages'.*'prun'.*did you mean 'prune'"),
        ("stages=prune", r"'stages'.*it is no list.*\na list, such as \[prune, quantize\]"),
        ("speedups=2", r"'speedups': it is no list \(got 2\)\na list, such as \[2, 4\]$"),
        (
            "speedups=[2,1]",
            r"'speedups': they start above 1 and grow \(got \[2, 1\]\)\na list, such as \[2, 4\]$",
        ),
        ("benchmark.runtimes=openvino", r"'benchmark.runtimes'.*a list, such as \[openvino\]$"),
        ("quantize.float_layers=x", r"'quantize.float_layers'.*a list, such as \[layers\."),
        ("effort=quick", "effort 'quick' does not exist.*fast, balanced, best"),
        ("effort=[fast]", r"effort \['fast'\] does not exist"),
        ("benchmark_rounds=2", "no key 'benchmark_rounds'.*did you mean 'benchmark'"),
        ("benchmark.round=2", "no key 'benchmark.round'.*did you mean 'benchmark.rounds'"),
        ("benchmark.baselines=[onnx-int]", "'benchmark.baselines'.*did you mean 'onnx-int8'"),
        ("every_runtime=false", "no key 'every_runtime'"),
        ("without_rivals=[]", "no key 'without_rivals'"),
        ("throughput=false", "no key 'throughput'"),
        ("max_drop=-1", "'max_drop'.*greater than or equal to 0.*got -1"),
        ("max_drop=.inf", "'max_drop'.*finite"),
        ("distill.epochs=.nan", "'distill.epochs'.*"),
        ("distill.layers=many", "'distill.layers'.*integer.*got 'many'"),
        ("prune.heads=1", "'prune.heads'.*less than 1"),
        ("distill=3", "'distill'.*got 3"),
        ("distill.epochs.fast=3", "'distill.epochs'"),
        ("seed", "'seed' is no override.*key=value"),
        ("=3", "is no override"),
        ("seed={", "no valid YAML"),
        ("version=2", "'version'.*got 2"),
    ],
)
def test_mistakes_are_named(override: str, words: str) -> None:
    with pytest.raises(RecipeError, match=f"(?s){words}") as caught:
        load_recipe(None, [override])
    assert caught.value.exit_code == 2


def test_an_override_inside_a_value_is_refused() -> None:
    with pytest.raises(RecipeError, match="seed is a value"):
        load_recipe(None, ["seed.x=1"], {"seed": 1})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"- a\n- b\n", "must be a mapping"),
        (b"a: [", "no valid YAML"),
        (b"seed: \xff\n", "no valid YAML"),
        (b"distill:\n", "'distill'"),
        (b"3: 4\n", "'3'"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=words):
        load_recipe(file)
    with pytest.raises(RecipeError, match=r"other\.yaml cannot be read: No such file"):
        load_recipe(tmp_path / "other.yaml")


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("# nothing\n")
    assert load_recipe(tmp_path / "r.yaml") == Recipe()


def test_every_setting_can_be_written_as_yaml() -> None:
    values: dict[str, Any] = yaml.safe_load(render_recipe(Recipe(), "compress"))
    assert values == Recipe().model_dump(mode="json")
