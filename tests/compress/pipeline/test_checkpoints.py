"""Members are published as PyTorch checkpoints that open by themselves, or after one import."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from toy_models import scramble, word_tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from compress.encoder.importers.registry import import_encoder
from compress.encoder.surgery import SlicePlan, slice_model
from compress.encoder.unfolding import unfold
from compress.pipeline.checkpoints import publish_checkpoints
from compress.search.checkpoints import save_encoder
from compress.search.members import Member, describe_encoder
from compress.stages.base import Encoder
from compress.system.progress import SilentProgress
from compress.system.workspace import Workspace
from export.package import export_artifact

TEXTS = ["a good film", "the plot was a very bad one", "fine"]
WORDS = [
    "a",
    "good",
    "film",
    "the",
    "plot",
    "was",
    "very",
    "bad",
    "one",
    "fine",
    "[unused1]",
    "##s",
]

DISTANCES = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}


@pytest.fixture
def job(tmp_path: Path) -> Any:
    """What of a run publishing needs."""
    workspace = Workspace(tmp_path / "out")
    workspace.create()
    return SimpleNamespace(workspace=workspace, name="opinions", progress=SilentProgress())


@pytest.fixture
def member(job: Any, tmp_path: Path) -> Callable[..., Member]:
    """`member(name, family)`: a pruned model of a family, exported."""

    def make(name: str, family: str = "Bert") -> Member:
        tokenizer = word_tokenizer(WORDS)
        config = getattr(transformers, f"{family}Config")(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=40,
            id2label={0: "worse", 1: "same", 2: "better"},
            **({} if family == "Bert" else DISTANCES),
        )
        original = scramble(getattr(transformers, f"{family}ForSequenceClassification")(config))
        original.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        whole = import_encoder(tmp_path / name)
        module = slice_model(whole.model, SlicePlan(heads={0: [2], 1: []}, neurons={1: [0, 7]}))
        lineage = ({"stage": "prune", "heads": [1, 0]},)
        save_encoder(job.workspace, name, Encoder(module, whole.tokenizer, lineage=lineage))
        artifact = job.workspace.member(name)
        export_artifact(
            artifact, module=module, tokenizer=whole.tokenizer, max_length=16, checks=TEXTS,
            runtimes=(),
        )  # fmt: skip
        described = describe_encoder(module.config)
        return Member(name, described, name, lineage, artifact, job.workspace.encoder(name))

    return make


def logits(folder: Path) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        batch = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
        return model(**batch).logits


def test_each_member_opens_as_its_family_s_own(job: Any, member: Callable[..., Member]) -> None:
    members = [member("full"), member("x2")]
    found = publish_checkpoints(job, members, members[1])
    out = job.workspace.out
    assert {name: each.path for name, each in found.items()} == {
        "full": "checkpoints/full",
        "x2": "checkpoint",
    }
    for one in members:
        published = found[one.name]
        assert (published.opens_as, published.reason) == ("BertForSequenceClassification", "")
        assert published.max_abs_delta < 1e-5
        folder = out / published.path
        config = AutoConfig.from_pretrained(folder)
        assert config.architectures == ["BertForSequenceClassification"]
        assert config.vocab_size == 16  # of what no text can ask for, a placeholder is left out
        assert AutoTokenizer.from_pretrained(folder).model_max_length == 16
        torch.testing.assert_close(logits(folder), logits(one.checkpoint))
        said = json.loads((folder / "edgepress.json").read_text())["checkpoint"]
        assert said["lineage"] == [{"stage": "prune", "heads": [1, 0]}]
        assert said["description"] == "2 layers, 1 head, FFN 2-48"
        card = (folder / "README.md").read_text()
        assert "pipeline_tag: text-classification" in card
        assert "They stay zeros in training" in card
        assert "import edgepress" not in card


def test_what_the_family_cannot_say_opens_after_one_import(
    job: Any, member: Callable[..., Member]
) -> None:
    (published,) = publish_checkpoints(job, [member("x2", "DebertaV2")], None).values()
    assert published.opens_as == "LeanEncoderForSequenceClassification"
    assert "each layer has its own" in published.reason
    assert published.max_abs_delta == 0
    folder = job.workspace.out / published.path
    card = (folder / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c",
         code.replace('"checkpoint"', '"x2"') + "print(type(model).__name__)"],
        cwd=folder.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "LeanEncoderForSequenceClassification\n", done.stderr


def test_an_answer_that_differs_is_not_published(
    job: Any, member: Callable[..., Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(lean: Any) -> Any:
        model = unfold(lean)
        with torch.no_grad():
            model.bert.encoder.layer[0].attention.self.query.weight *= 1.5
        return model

    monkeypatch.setattr("compress.encoder.unfolding.unfold", damaged)
    (published,) = publish_checkpoints(job, [member("x2")], None).values()
    assert published.opens_as == "LeanEncoderForSequenceClassification"
    assert published.reason.startswith("as a BertForSequenceClassification it would answer other")
    assert published.max_abs_delta == 0


def test_a_later_run_leaves_nothing_of_an_earlier_one(
    job: Any, member: Callable[..., Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, full, small = job.workspace, member("full"), member("x2")
    publish_checkpoints(job, [full, small], full)
    assert [path.name for path in workspace.checkpoints.iterdir()] == ["x2"]
    before = (workspace.checkpoint / "model.safetensors").read_bytes()

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("compress.pipeline.checkpoints._card", stopped)
        with pytest.raises(KeyboardInterrupt):
            publish_checkpoints(job, [small, full], full)
    assert (workspace.checkpoint / "model.safetensors").read_bytes() == before
    assert not list(workspace.out.rglob("*.partial"))
    stock = replace(full, name="stock", checkpoint=None)  # of a family without an importer
    assert publish_checkpoints(job, [small, stock], stock).keys() == {"x2"}
    assert not workspace.checkpoint.exists()
    publish_checkpoints(job, [small], small)
    assert list(workspace.checkpoints.iterdir()) == []
