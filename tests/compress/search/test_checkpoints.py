"""Checkpoints: a key changes with all that a result depends on, and with nothing else."""

import importlib.metadata
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from compress.config.loading import Settings
from compress.config.recipe import Recipe
from compress.latency.table import Curve, LatencyTable, LayerCosts
from compress.search.checkpoints import import_key, load_encoder, machine, save_encoder, stage_key
from compress.stages import get_stage, stage_names
from compress.stages.base import Context, Encoder
from compress.stages.lineage import EncoderState, Provenance
from compress.system.progress import SilentProgress
from compress.system.workspace import Workspace
from export.ecosystem import save_configs
from export.quantization import QuantizationPlan

COSTS = LayerCosts(Curve((0, 4), (0.1, 0.3)), Curve((0, 64), (0.0, 0.4)))
TABLE = LatencyTable(0.1, COSTS, COSTS)


def context(**recipe: Any) -> Context:
    """The parts of a context that keys are made from."""
    nothing: Any = None
    return Context(
        recipe=Recipe.model_validate(recipe),
        teacher=nothing,
        train=nothing,
        material=nothing,
        max_length=24,
        progress=SilentProgress(),
        latency=TABLE,
        target_ms=0.5,
        plan=QuantizationPlan(),
    )


def key(name: str, given: Context, before: str = "before") -> str:
    return stage_key(before, get_stage(name), given)


def another(settings: Settings, field: str) -> Any:
    """A value that the field may have, and has not."""
    known, value = settings.model_dump(), getattr(settings, field)
    words = ["static", "plain", "float", "fp32", "labels"]
    numbers = [] if value is None or isinstance(value, str | tuple) else [value / 2, value + 1]
    for candidate in [True, False, *numbers, 0, 1, 2, 0.25, *words, ("layers.0.x",)]:
        try:
            changed = type(settings).model_validate({**known, field: candidate})
        except ValidationError:
            continue
        if getattr(changed, field) != value:
            return candidate
    raise AssertionError(f"no other value of {field} was found")


@pytest.mark.parametrize("name", stage_names())
def test_the_same_inputs_give_the_same_key(name: str) -> None:
    assert key(name, context()) == key(name, context())


@pytest.mark.parametrize("name", stage_names())
def test_each_setting_of_a_stage_is_in_its_key(name: str) -> None:
    settings = getattr(Recipe(), name)
    keys = {key(name, context())}
    fields = list(type(settings).model_fields)
    for field in fields:
        keys.add(key(name, context(**{name: {field: another(settings, field)}})))
    assert len(keys) == 1 + len(fields)


@pytest.mark.parametrize("name", stage_names())
def test_seed_order_and_the_encoder_before_are_in_every_key(name: str) -> None:
    given = context()
    turned = tuple(reversed(given.recipe.stages))
    keys = [
        key(name, given),
        key(name, given, before="other"),
        key(name, context(seed=1)),
        key(name, context(stages=turned)),
        key(name, context(stages=turned[1:])),
    ]
    assert len(set(keys)) == len(keys)


CHANGES: dict[str, list[Any]] = {
    "distill": [
        lambda given: replace(given, plan=None),
        lambda given: replace(given, plan=QuantizationPlan(reduce_range=True)),
        lambda given: replace(given, training_share=0.5),
        lambda _: context(max_drop=2.0),
        lambda _: context(confidence=0.8),
        lambda _: context(target_latency_ms=1.0),
    ],
    "prune": [
        lambda given: replace(given, target_ms=0.4),
        lambda given: replace(given, target_ms=None),
        lambda given: replace(given, latency=replace(TABLE, base_ms=0.2)),
    ],
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_stage_says_that_it_depends_on_is_in_its_key(name: str) -> None:
    keys = [key(name, context()), *(key(name, change(context())) for change in CHANGES[name])]
    assert len(set(keys)) == len(keys)


def test_the_processor_is_in_the_key_of_quantization(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key("quantize", context())
    monkeypatch.setattr("compress.stages.quantize.processor_flags", lambda: frozenset({"avx2"}))
    assert key("quantize", context()) != before


def test_what_is_only_measured_makes_no_new_checkpoint() -> None:
    for name in stage_names():
        assert key(name, context(threads=3)) == key(name, context())


def test_model_data_length_and_machine_are_in_the_first_key() -> None:
    inputs: dict[str, Any] = {
        "model": "m",
        "data": "d",
        "unlabelled": None,
        "max_length": 64,
        "machine": {"device": "cpu"},
    }
    changes: dict[str, Any] = {
        "model": "n",
        "data": "e",
        "unlabelled": "more",
        "max_length": 65,
        "machine": {"device": "cuda"},
    }
    keys = {import_key(**inputs), import_key(**inputs)}
    keys |= {import_key(**{**inputs, name: value}) for name, value in changes.items()}
    assert len(keys) == 1 + len(inputs)


@pytest.mark.parametrize("library", ["torch", "transformers", "tokenizers", "numpy", "scipy"])
def test_versions_that_matter_are_the_machine_s(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = machine(), importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0" if name == library else version(name)
    )
    assert machine() != before


@pytest.mark.parametrize("place", ["device.has_bfloat16", "distributed.processes"])
def test_devices_and_processes_are_the_machine_s(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = machine()
    monkeypatch.setattr(f"compress.system.{place}", lambda *_: 7)
    assert machine() != before


def test_a_checkpoint_holds_log_and_state(toy: Any, tmp_path: Any) -> None:
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    states = [
        EncoderState(),
        EncoderState(2, 1, (0, 2), Provenance((0, 2), ((0, 1), (3,)), (64, 32)), "teacher"),
    ]
    for number, state in enumerate(states):
        record = {"stage": "prune", "heads": [2, 1]}
        encoder = Encoder(toy.teacher, toy.tokenizer, lineage=(record,), state=state)
        save_encoder(workspace, str(number), encoder)
        found = load_encoder(workspace, str(number), like=Encoder(toy.teacher, toy.tokenizer))
        assert found is not None
        assert (found.lineage, found.state) == (encoder.lineage, encoder.state)
    assert load_encoder(workspace, "other", like=encoder) is None


def test_what_is_exported_of_a_resumed_encoder_is_the_same(toy: Any, tmp_path: Any) -> None:
    """Reading a checkpoint adds to a configuration what Transformers writes there."""
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    encoder = Encoder(toy.teacher, toy.tokenizer)
    save_encoder(workspace, "key", encoder)
    found = load_encoder(workspace, "key", like=encoder)
    assert found is not None
    written = []
    for name, each in (("made", encoder), ("resumed", found)):
        folder = tmp_path / name
        folder.mkdir()
        save_configs(each.module, folder)
        written.append({path.name: path.read_text() for path in folder.iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) == 2
