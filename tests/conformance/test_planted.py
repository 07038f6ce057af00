"""What is new is one new file: planted ones are found by their names, and keep the promises.

Each test writes the files that CONTRIBUTING names into a folder which is added to the package's
path, and changes nothing else.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from tiny_artifact import write_tiny

from benchmarks.environment import libraries
from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from benchmarks.subjects import Subject, model_size_bytes, open_subject
from benchmarks.tasks import get_measure
from compress.config.recipe import load_recipe
from compress.corpus.corpus import Material
from compress.data.columns import NamedColumns
from compress.data.loading import load_splits
from compress.encoder.checkpoint import read_config
from compress.encoder.heads.registry import build, model_of_task
from compress.encoder.importers.registry import TOLERANCE, import_encoder, supported_model_types
from compress.encoder.task import task_of_checkpoint
from compress.search.checkpoints import load_encoder
from compress.search.family import attached, check_stages, run_stages
from compress.stages import planned_quantization, stage_names
from compress.stages.base import Context, Encoder
from compress.system.progress import SilentProgress
from compress.system.workspace import Workspace
from export import QuantizationPlan, export_artifact, target_names
from export.deployment.deploy import deploy
from runtimes import devices, load, open_checkpoint, open_model_folder, runtime_names
from runtimes.artifact import read_manifest
from runtimes.registry import artifact_runtimes, runtime_title, task_names
from runtimes.tuning import candidates, install_hint
from runtimes.unpacking import unpack

Plant = Callable[[str, str], None]

RUNTIME = """
    from runtimes.adapters import onnxruntime
    from runtimes.base import DeviceInfo, known_options

    NAME = "abacus"
    TITLE = "Abacus"
    PREFERENCE = 50
    FORMATS = ("beads",)
    MODEL_FILES = ("model.beads",)
    DISTRIBUTIONS = ("abacus-runtime",)
    REQUIREMENT = "abacus-runtime"
    READS_CONTENTS = False
    TUNABLE = ({},)

    def devices():
        return [DeviceInfo(NAME, "cpu", True, "made of wood")]

    def open_model(path, *, device="cpu", threads=None, precision, options=None, contents=None):
        known_options(NAME, options)
        session = onnxruntime.open_model(
            path, threads=threads, precision=precision
        )
        session.runtime = NAME
        return session
"""

TARGET = """
    from export.targets.base import Scheme, input_names
    from runtimes.manifest import ModelEntry

    RUNTIME = "abacus"
    SCHEMES = {"rounded": Scheme("beads are whole numbers"), "float": Scheme("float")}
    DESCRIPTION = "the abacus's file: rounded, or not"
    UNQUANTIZED = "fp32"

    def write(module, plan, calibration, folder):
        import onnx
        from export.onnx import build_portable_onnx

        folder.mkdir(parents=True)
        onnx.save(build_portable_onnx(module), folder / "model.beads")
        precision = "fp32" if plan is None or plan.is_float(RUNTIME) else "int8"
        names = input_names(module.config)
        return [ModelEntry(RUNTIME, "beads", "model.beads", precision, inputs=names)]
"""

TASK = """
    from runtimes.tasks.base import TaskSpec
    from runtimes.tasks.text_classification import (
        decisions, from_line, lines, parse, postprocess, record
    )

    SPEC = TaskSpec(
        name="next-sentence",
        auto_class="AutoModelForNextSentencePrediction",
        head="next",
        labels=("follows", "random"),
        example="It rained.\\tThe street is wet.",
        hub_tag="text-classification",
    )
"""

HEAD = """
    from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification

    class LeanEncoderForNextSentencePrediction(LeanEncoderForSequenceClassification):
        @classmethod
        def parts(cls, original, masked):
            return {
                "dense": original.base_model.pooler.dense,
                "output": original.cls.seq_relationship,
                "classifier_activation": "tanh",
                "head": "next",
            }

    MODEL = LeanEncoderForNextSentencePrediction
"""

MEASURE = """
    from benchmarks.tasks.text_classification import (
        changed, differences, drop, drop_by_class, expected_drop, metric, quality
    )
"""

DATA = """
    from dataclasses import replace

    from compress.data.tasks import text_classification

    def read(tables, named, label_names, problem_type=None, missing="refuse"):
        found, notes = text_classification.read(tables, named, label_names, problem_type, missing)
        return {k: replace(examples, task="next-sentence") for k, examples in found.items()}, notes
"""

STAGE = """
    from dataclasses import replace

    from pydantic import Field

    from compress.config.loading import Settings

    class FoldSettings(Settings):
        \"\"\"Settings of the planted stage.\"\"\"

        token_type: int = Field(0, ge=0, description="the type that all tokens have")

    class Fold:
        name, Settings = "fold", FoldSettings
        changes_weights, runs_on_every_process, meets_latency = True, False, False

        def check(self, encoder, context):
            if encoder.module.config.type_vocab_size == 0:
                raise ValueError("nothing to fold")

        def cache_key(self, context):
            return ()

        def plan(self, recipe):
            return None

        def apply(self, encoder, context):
            from compress.encoder.surgery import fold_token_types

            module = fold_token_types(encoder.module, context.recipe.fold.token_type)
            step = {"stage": self.name}
            return replace(encoder, module=module, lineage=(*encoder.lineage, step))

    STAGE = Fold()
"""

LAYOUT = """
    NAME, DESCRIPTION, RUNTIMES, WHEELS = "box", "a box", (), "never"

    def write(order, folder):
        from export.deployment.deploy import copy_artifact

        copy_artifact(order, folder / order.name, order.runtime_of())
        return "open it"
"""

FAMILY = """
    from compress.encoder.importers import bert

    MODEL_TYPES = ("planted-bert",)

    def convert(model):
        return bert.convert(model)
"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """`plant("runtimes.adapters.abacus", source)`: a module that comes from a file elsewhere."""
    planted: list[tuple[ModuleType, str]] = []

    def put(module: str, source: str) -> None:
        package, _, name = module.rpartition(".")
        folder = tmp_path / "planted" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        parent = importlib.import_module(package)
        monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(folder)])
        planted.append((parent, name))
        forget()

    yield put
    for parent, name in planted:
        sys.modules.pop(f"{parent.__name__}.{name}", None)
        parent.__dict__.pop(name, None)
    monkeypatch.undo()
    forget()


def forget() -> None:
    """What was found stays found for the life of a process."""
    for name in (
        *("runtimes.registry", "export.targets.registry", "export.layouts.registry"),
        "compress.encoder.heads.registry",
    ):
        for value in vars(importlib.import_module(name)).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def fresh(name: str) -> ModuleType:
    """A module as it is where a new process imports it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_runtime_and_its_export_target(plant: Plant, task: Any, tmp_path: Path) -> None:
    plant("runtimes.adapters.abacus", RUNTIME)
    plant("export.targets.abacus", TARGET)
    names = ("onnxruntime", "openvino", "abacus")
    assert runtime_names() == (*names, "pytorch"), "listed by its preference"
    assert artifact_runtimes() == target_names() == names
    assert runtime_title("abacus") == "Abacus"
    assert "abacus-runtime" in libraries(), "its version is in every report"
    assert "abacus" in {device.runtime for device in devices()}
    assert install_hint(["abacus"]) == "Install one: pip install abacus-runtime"

    settings = fresh("compress.stages.quantize").QuantizeSettings(abacus="float")
    assert settings.schemes["abacus"] == "float", "the recipe has a key for it"
    schemes = {"onnxruntime": "float", "openvino": "float"}
    plan = QuantizationPlan(schemes, reduce_range=True)  # exact on any CPU
    assert plan.schemes["abacus"] == "rounded"
    assert QuantizationPlan.from_json(plan.to_json()) == plan

    imported = import_encoder(task.model)
    rows = task.make_rows(12, seed=3)
    texts = [text for text, _ in rows]
    artifact = tmp_path / "artifact"
    exported = export_artifact(
        artifact,
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=plan,
        max_length=24,
        calibration=texts[:4],
        checks=texts,
    )
    assert {parity.runtime for parity in exported.parity} == set(names), "it is compared"
    manifest = read_manifest(artifact)
    (entry,) = [model for model in manifest.models if model.runtime == "abacus"]
    assert (entry.path, entry.precision) == ("model.beads", "int8")
    assert "abacus" in {setting.runtime for setting in candidates(manifest)}, "it is tuned"
    with load(artifact, runtime="abacus") as classify, open_checkpoint(task.model) as original:
        assert classify.session.runtime == "abacus"
        assert np.abs(classify.logits(texts) - original.logits(texts)).max() < 1e-3

    subject = Subject("row", "model", "artifact", artifact, "abacus", precision="int8")
    assert model_size_bytes(subject) == (artifact / "model.beads").stat().st_size
    with open_subject(subject) as measured:
        assert len(measured(texts)) == len(texts)
    with open_model_folder(artifact, runtime="abacus") as bare:
        assert bare.session.runtime == "abacus", "as a bare folder, too"


def test_a_layout(plant: Plant, tmp_path: Path) -> None:
    plant("export.layouts.box", LAYOUT)
    source = write_tiny(tmp_path / "artifact")
    done = deploy(source, tmp_path / "mine.tar.gz", layout="box", name="mine")
    assert done.then == "tar xzf mine.tar.gz && cd mine && open it"
    unpack(done.path, tmp_path / "mine")
    texts = ["a gorgeous film", "dull"]
    with load(tmp_path / "mine" / "mine") as ours, load(source) as theirs:
        assert ours(texts) == theirs(texts)
    shown = fresh("compress.cli.deploying.command").deploy.__annotations__["layout"]
    assert "[box|" in str(shown.__metadata__[0].metavar), "help lists it"


def test_a_task(plant: Plant, task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import BertConfig, BertForNextSentencePrediction, BertTokenizer

    plant("runtimes.tasks.next_sentence", TASK)
    plant("compress.encoder.heads.next_sentence", HEAD)
    plant("benchmarks.tasks.next_sentence", MEASURE)
    plant("compress.data.tasks.next_sentence", DATA)
    assert "next-sentence" in task_names()

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(task.vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    folder = tmp_path / "model"
    BertForNextSentencePrediction(config).save_pretrained(folder)
    BertTokenizer(vocab=task.vocabulary, model_max_length=32).save_pretrained(folder)

    assert task_of_checkpoint(read_config(folder)) == "next-sentence"
    imported = import_encoder(folder)
    assert type(imported.model) is model_of_task("next-sentence")
    assert imported.max_abs_delta <= TOLERANCE

    texts = [text for text, _ in task.make_rows(400, seed=1)]
    lines = ["text\tpair\tlabel"]
    for text, pair in zip(texts, texts[::-1], strict=True):
        lines.append(f"{text}\t{pair}\t{('follows', 'random')[len(text) % 2]}")
    (tmp_path / "data.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    examples = load_splits(
        str(tmp_path / "data.tsv"),
        label_names=("follows", "random"),
        task="next-sentence",
        columns=NamedColumns("text", "pair"),
    ).report
    assert examples.task == "next-sentence"

    inputs = examples.inputs()
    artifact = tmp_path / "artifact"
    export_artifact(
        artifact,
        module=imported.model,
        tokenizer=imported.tokenizer,
        plan=None,
        max_length=24,
        calibration=[],
        checks=inputs[:8],
    )
    assert read_manifest(artifact).task == "next-sentence"
    with open_checkpoint(folder) as original:
        expected = original.logits(inputs)
    for runtime in target_names():
        with load(artifact, runtime=runtime) as judge:
            assert judge(inputs[0])["label"] in ("follows", "random")
            assert np.abs(judge.logits(inputs) - expected).max() < 1e-3
    measure = get_measure(examples)
    assert 0 <= measure.metric(expected, examples).value <= 100
    assert measure.drop(expected, expected, examples, seed=0).value == 0

    imported.model.save_pretrained(tmp_path / "lean")
    imported.tokenizer.save_pretrained(tmp_path / "lean")
    again = import_encoder(tmp_path / "lean")
    assert type(again.model) is type(imported.model), "what was saved is known again"
    assert type(build(again.model.config)) is type(imported.model)


def test_a_stage(plant: Plant, task: Any, tmp_path: Path) -> None:
    plant("compress.stages.fold", STAGE)
    assert "fold" in stage_names()
    recipe = load_recipe(
        None, ["stages=[fold, quantize]", "fold.token_type=1", "speedups=[]", "beyond=no"]
    )
    imported = import_encoder(task.model)
    encoder = Encoder(imported.model, imported.tokenizer)
    texts, labels = zip(*task.make_rows(64, seed=1), strict=True)
    numbers = np.array([task.labels.index(label) for label in labels])
    train = Examples(texts, ClassLabels(numbers), task.labels)
    material = Material(
        encoder.module,
        encoder.tokenizer,
        train,
        train,
        max_length=24,
        seed=0,
        scratch=tmp_path,
    )
    context = Context(
        recipe=recipe,
        plan=planned_quantization(recipe),
        teacher=encoder,
        train=train,
        material=material,
        max_length=24,
        progress=SilentProgress(),
    )
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    check_stages(encoder, context)
    with material:
        full, *members = attached(run_stages(encoder, context, workspace, "key"), recipe)
        again = run_stages(encoder, context, workspace, "key")
    (member,) = members
    assert full.encoder.module.config.type_vocab_size == 2
    assert member.encoder.module.config.type_vocab_size == 0, "it was applied"
    assert [step["stage"] for step in member.encoder.lineage] == ["fold", "quantize"]
    assert member.encoder.plan is not None, "and what follows it, too"
    assert [one.key for one in again] == [full.key, member.key]
    kept = load_encoder(workspace, again[1].key, encoder)
    assert kept is not None, "its result is kept, and found again"
    assert kept.module.config.type_vocab_size == 0


def test_a_model_family(plant: Plant, task: Any, tmp_path: Path) -> None:
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        BertConfig,
        BertForSequenceClassification,
        BertTokenizer,
    )

    class PlantedConfig(BertConfig):
        model_type = "planted-bert"

    class PlantedForSequenceClassification(BertForSequenceClassification):
        config_class = PlantedConfig

    AutoConfig.register("planted-bert", PlantedConfig, exist_ok=True)
    AutoModelForSequenceClassification.register(
        PlantedConfig, PlantedForSequenceClassification, exist_ok=True
    )
    torch.manual_seed(0)
    config = PlantedConfig(
        vocab_size=len(task.vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    PlantedForSequenceClassification(config).save_pretrained(tmp_path / "model")
    BertTokenizer(vocab=task.vocabulary, model_max_length=32).save_pretrained(tmp_path / "model")

    assert "planted-bert" not in supported_model_types()
    plant("compress.encoder.importers.planted", FAMILY)
    assert "planted-bert" in supported_model_types()
    imported = import_encoder(tmp_path / "model")
    assert imported.max_abs_delta <= TOLERANCE
    assert imported.model.config.source_family == "planted-bert"
