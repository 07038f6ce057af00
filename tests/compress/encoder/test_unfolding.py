"""Pruned models become models of their family's own class again, and are of it still when trained
on."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compress.encoder.folding import UnsupportedArchitectureError
from compress.encoder.importers.registry import TOLERANCE, import_encoder
from compress.encoder.parity import max_logit_delta
from compress.encoder.surgery import SlicePlan, fold_token_types, keep_positions, slice_model
from compress.encoder.unfolding import unfold

Save = Callable[..., Path]
# Of what is compared: layers have different heads and widths, and one has none at all.
PLAN = SlicePlan(
    heads={0: [1, 3], 1: []}, neurons={0: list(range(5, 25)), 1: list(range(0, 30, 3))}
)


def imported(original: Any, save: Save, pooling: str | None = None) -> Any:
    folder = save(original)
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({pooling: True}))
        modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
        kinds = [{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in modules]
        (folder / "modules.json").write_text(json.dumps(kinds))
    return import_encoder(folder)


@pytest.mark.parametrize("head", ["sequence", "token", "choice", "mask", "embedding"])
def test_what_is_left_answers_alike_in_the_family_s_own_class(
    family: Any, head: str, tiny: Any, save_checkpoint: Save
) -> None:
    original = tiny.original(family, head=head)
    pooling = "pooling_mode_mean_tokens" if head == "embedding" else None
    whole = imported(original, save_checkpoint, pooling)
    lean = keep_positions(slice_model(whole.model, PLAN), 48)
    if lean.config.max_relative_distance:
        with pytest.raises(UnsupportedArchitectureError, match="each layer has its own"):
            unfold(lean)
        return
    model = unfold(lean)
    assert type(model) is type(original)
    assert model.config.model_type == family.model_type
    # As it opens from a folder, with nothing missing or left over.
    folder = save_checkpoint(model, "unfolded")
    again, info = type(original).from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    if pooling is not None:
        again.config.sentence_pooling = {"mode": "mean", "normalized": False}
    delta, largest = max_logit_delta(again, lean, whole.tokenizer)
    assert delta <= TOLERANCE * max(1.0, largest)
    assert largest > 0.05


def test_it_is_imported_again_at_the_sizes_that_it_had(
    family: Any, tiny: Any, save_checkpoint: Save
) -> None:
    whole = imported(tiny.original(family), save_checkpoint)
    assert not any("zeros" in note for note in whole.notes)
    lean = slice_model(whole.model, PLAN)
    if lean.config.max_relative_distance:
        pytest.skip("has no other class")
    again = import_encoder(save_checkpoint(unfold(lean), "unfolded"))
    assert again.model.config.layers == lean.config.layers
    assert "heads and neurons that are all zeros left out" in again.notes
    for name, tensor in again.model.state_dict().items():
        torch.testing.assert_close(tensor, lean.state_dict()[name], msg=name)


def test_token_types_that_are_folded_are_zeros(tiny: Any, save_checkpoint: Save) -> None:
    whole = imported(tiny.original(tiny.configs["bert"]), save_checkpoint)
    lean = fold_token_types(whole.model)
    model = unfold(lean)
    assert model.config.type_vocab_size == 2  # a tokenizer may name them
    assert not model.bert.embeddings.token_type_embeddings.weight.any()
    assert max_logit_delta(model, lean, whole.tokenizer)[0] <= TOLERANCE


def test_a_decoder_that_left_the_word_table_is_saved(tiny: Any, save_checkpoint: Save) -> None:
    whole = imported(tiny.original(tiny.configs["bert"], head="mask"), save_checkpoint)
    assert unfold(whole.model).config.tie_word_embeddings
    with torch.no_grad():
        whole.model.classifier.output.weight += 0.5
    model = unfold(whole.model)
    assert not model.config.tie_word_embeddings
    again = type(model).from_pretrained(save_checkpoint(model, "unfolded")).eval()
    assert max_logit_delta(again, whole.model, whole.tokenizer)[0] <= TOLERANCE


def test_the_encoder_and_the_seed_are_left_alone(tiny: Any, save_checkpoint: Save) -> None:
    lean = imported(tiny.original(tiny.configs["roberta"]), save_checkpoint).model
    before, state = copy.deepcopy(lean.state_dict()), torch.get_rng_state()
    with torch.no_grad():
        unfold(lean).base_model.embeddings.word_embeddings.weight += 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in lean.state_dict().items())


def test_what_was_pruned_stays_so_in_training(tiny: Any, save_checkpoint: Save) -> None:
    lean = slice_model(imported(tiny.original(tiny.configs["bert"]), save_checkpoint).model, PLAN)
    model = unfold(lean).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    ids = torch.randint(1, 300, (8, 12), generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimizer.zero_grad()
        model(input_ids=ids, labels=torch.arange(8) % 3).loss.backward()
        optimizer.step()
    for name, tensor in model.state_dict().items():
        if ".layer." in name:
            assert not tensor[before[name] == 0].any(), name
    changed = model.state_dict()["bert.encoder.layer.0.intermediate.dense.weight"]
    assert not torch.equal(changed, before["bert.encoder.layer.0.intermediate.dense.weight"])


@pytest.mark.parametrize("change", ["no family", "another head size"])
def test_what_has_no_other_class_is_named(change: str, tiny: Any, save_checkpoint: Save) -> None:
    lean = imported(tiny.original(tiny.configs["bert"]), save_checkpoint).model
    if change == "no family":
        lean.config.source_config = None
    else:
        lean.config.layers[0]["head_size"] = 5
    with pytest.raises(UnsupportedArchitectureError, match=r"no other class|no heads of 5, 8 num"):
        unfold(lean)
