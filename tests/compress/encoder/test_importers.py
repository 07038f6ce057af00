"""Every family is folded without loss, or refused by name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    DebertaV2Config,
    ElectraConfig,
)

from compress.encoder.folding import UnsupportedArchitectureError, check_options
from compress.encoder.heads.fill_mask import LeanEncoderForMaskedLM
from compress.encoder.heads.multiple_choice import LeanEncoderForMultipleChoice
from compress.encoder.heads.sentence_embedding import LeanEncoderForSentenceEmbedding
from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.heads.token_classification import LeanEncoderForTokenClassification
from compress.encoder.importers.registry import (
    TOLERANCE,
    import_encoder,
    supported_model_types,
)
from compress.encoder.masks import EncoderMasks
from compress.encoder.parity import max_logit_delta
from compress.encoder.surgery import SlicePlan, slice_model
from compress.errors import ModelError
from runtimes.pooling import Pooling, pooled, read_pooling

Save = Callable[..., Path]


def test_every_importer_is_in_the_table_of_this_test(tiny: Any) -> None:
    tested = {config.model_type for config in tiny.configs.values()} | {"lean-encoder"}
    assert set(supported_model_types()) == tested


def test_import_is_lossless(family: Any, tiny: Any, save_checkpoint: Save) -> None:
    original = tiny.original(family)
    imported = import_encoder(save_checkpoint(original))
    # Texts that the importer's own check, which refuses what differs, does not see.
    takes_types = getattr(original.config, "type_vocab_size", 0) > 1
    for columns in ((tiny.texts,), tuple(zip(*tiny.pairs, strict=True))):
        inputs = imported.tokenizer(
            *(list(column) for column in columns), padding=True, return_tensors="pt"
        )
        if not takes_types:
            inputs.pop("token_type_ids", None)
        with torch.no_grad():
            expected, actual = original(**inputs).logits, imported.model(**inputs).logits
        assert (inputs["attention_mask"] == 0).any(), "the batch should be padded"
        assert expected.std() > 0.05, "logits that hardly vary could not tell"
        torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_a_classifier_of_tokens_is_imported_without_loss(
    family: Any, tiny: Any, save_checkpoint: Save
) -> None:
    original = tiny.original(family, head="token")
    imported = import_encoder(save_checkpoint(original))
    assert type(imported.model) is LeanEncoderForTokenClassification
    assert not imported.model.config.first_token_last_layer
    inputs = imported.tokenizer(tiny.texts, padding=True, return_tensors="pt")
    if getattr(original.config, "type_vocab_size", 0) < 2:
        inputs.pop("token_type_ids", None)
    with torch.no_grad():
        expected, actual = original(**inputs).logits, imported.model(**inputs).logits
    real = inputs["attention_mask"].bool()
    assert expected.shape == (*real.shape, 3)
    assert expected[real].std() > 0.05
    torch.testing.assert_close(actual[real], expected[real], atol=TOLERANCE, rtol=0)
    folder = save_checkpoint(imported.model, "again")
    again = AutoModelForTokenClassification.from_pretrained(folder)
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs).logits, actual)


def test_a_model_of_choices_is_imported_without_loss(
    family: Any, tiny: Any, save_checkpoint: Save
) -> None:
    original = tiny.original(family, head="choice")
    imported = import_encoder(save_checkpoint(original))
    assert type(imported.model) is LeanEncoderForMultipleChoice
    prompts, choices = zip(*tiny.pairs, strict=True)
    rows = imported.tokenizer(list(prompts), list(choices), padding=True, return_tensors="pt")
    if getattr(original.config, "type_vocab_size", 0) < 2:
        rows.pop("token_type_ids", None)
    one_by_one = imported.model(**rows).logits
    inputs = {name: row[None] for name, row in rows.items()}  # both are choices of one question
    with torch.no_grad():
        expected, actual = original(**inputs).logits, imported.model(**inputs).logits
    assert expected.shape == (1, 2)
    assert expected.std() > 100 * TOLERANCE
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(one_by_one.T, actual)
    folder = save_checkpoint(imported.model, "again")
    again = AutoModelForMultipleChoice.from_pretrained(folder)
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs).logits, actual)


def test_a_masked_language_model_is_imported_without_loss(
    family: Any, tiny: Any, save_checkpoint: Save
) -> None:
    original = tiny.original(family, head="mask")
    imported = import_encoder(save_checkpoint(original))
    assert type(imported.model) is LeanEncoderForMaskedLM
    inputs = imported.tokenizer(tiny.texts, padding=True, return_tensors="pt")
    if getattr(original.config, "type_vocab_size", 0) < 2:
        inputs.pop("token_type_ids", None)
    with torch.no_grad():
        expected, actual = original(**inputs).logits, imported.model(**inputs).logits
    real = inputs["attention_mask"].bool()
    assert expected[real].std() > 0.05
    torch.testing.assert_close(actual[real], expected[real], atol=TOLERANCE, rtol=0)
    folder = save_checkpoint(imported.model, "again")
    again = AutoModelForMaskedLM.from_pretrained(folder)
    with torch.no_grad():
        torch.testing.assert_close(again(**inputs).logits, actual)


@pytest.mark.parametrize("pooling", [Pooling("mean", True), Pooling("cls", False)])
def test_sentence_vectors_are_imported_without_loss(
    family: Any, pooling: Pooling, tiny: Any, save_checkpoint: Save
) -> None:
    original = tiny.original(family, head="embedding")
    folder = save_checkpoint(original)
    (folder / "1_Pooling").mkdir()
    modes = {"pooling_mode_mean_tokens": pooling.mode == "mean"}
    modes["pooling_mode_cls_token"] = pooling.mode == "cls"
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    kinds = ["Transformer", "Pooling", *(["Normalize"] if pooling.normalized else [])]
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{i}_{kind}" if i else ""}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert read_pooling(folder) == pooling
    imported = import_encoder(folder)
    assert type(imported.model) is LeanEncoderForSentenceEmbedding
    assert imported.model.config.first_token_last_layer == (pooling.mode == "cls")
    inputs = imported.tokenizer(tiny.texts, padding=True, return_tensors="pt")
    if getattr(original.config, "type_vocab_size", 0) < 2:
        inputs.pop("token_type_ids", None)
    with torch.no_grad():
        hidden, actual = original(**inputs).last_hidden_state, imported.model(**inputs).logits
    expected = pooled(hidden.numpy(), inputs["attention_mask"].numpy(), pooling)
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE)
    again = import_encoder(save_checkpoint(imported.model, "again"))
    with torch.no_grad():
        torch.testing.assert_close(again.model(**inputs).logits, actual)


def test_hidden_states_are_the_originals(family: Any, tiny: Any) -> None:
    """Not only the logits: distillation compares hidden states layer by layer."""
    original = tiny.original(family)
    lean = _convert(original)
    ids = torch.tensor([[5, 80, 33, 120, 7, 254]])
    with torch.no_grad():
        expected = original(input_ids=ids, output_hidden_states=True).hidden_states
        actual = lean(input_ids=ids, output_hidden_states=True).hidden_states
    assert len(actual) == len(lean.config.layers) + 1
    for mine, theirs in zip(actual[-2:], expected[-2:], strict=True):
        torch.testing.assert_close(mine, theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", ["bert", "electra, narrow embeddings"])
def test_head_removed_here_equals_head_silenced_in_the_original(name: str, tiny: Any) -> None:
    original = tiny.original(tiny.configs[name])
    lean = _convert(original)
    removed, head_size = 3, 8
    layer = original.base_model.encoder.layer[1].attention.output.dense
    masks = EncoderMasks.ones(lean.config)
    masks.heads[1][removed] = 0.0
    physically = slice_model(lean, SlicePlan(heads={1: [0, 1, 2]}))
    inputs = _padded_batch()
    with torch.no_grad():
        layer.weight[:, removed * head_size : (removed + 1) * head_size] = 0.0
        expected = original(**inputs).logits
        torch.testing.assert_close(lean(**inputs, masks=masks).logits, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(physically(**inputs).logits, expected, atol=1e-4, rtol=0)
        assert (lean(**inputs).logits - expected).abs().max() > 1e-2, "the head did nothing"


def test_labels_and_task_are_carried_over(tiny: Any, save_checkpoint: Save) -> None:
    config = BertConfig(
        **tiny.bert | {"num_labels": 2},
        id2label={0: "no", 1: "yes"},
        label2id={"no": 0, "yes": 1},
        problem_type="multi_label_classification",
        hidden_dropout_prob=0.2,
    )
    model = import_encoder(save_checkpoint(tiny.original(config))).model
    assert model.config.id2label == {0: "no", 1: "yes"}
    assert model.config.label2id == {"no": 0, "yes": 1}
    assert model.config.problem_type == "multi_label_classification"
    assert model.config.source_family == "bert"
    assert model.config.dropout == model.config.classifier_dropout == 0.2
    assert not model.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_half_precision_checkpoint_is_imported_in_float32(tiny: Any, save_checkpoint: Save) -> None:
    original = tiny.original(tiny.configs["bert"]).to(torch.float16)
    model = import_encoder(save_checkpoint(original)).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_roberta_positions_start_at_the_first_token(tiny: Any, save_checkpoint: Save) -> None:
    imported = import_encoder(save_checkpoint(tiny.original(tiny.configs["roberta"])))
    assert imported.model.config.max_position_embeddings == 64
    assert imported.model.config.type_vocab_size == 0
    assert any("66 to its 64" in note for note in imported.notes)


def test_lean_checkpoint_is_imported_as_it_is(
    lean: LeanEncoderForSequenceClassification, save_checkpoint: Save
) -> None:
    imported = import_encoder(save_checkpoint(lean))
    assert imported.model.config.layers == lean.config.layers
    own, other = lean.state_dict(), imported.model.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)


@pytest.mark.parametrize("damage", ["positions", "types", "scale", "norm", "activation", "mask"])
def test_parity_check_notices_a_wrong_import(damage: str, tiny: Any) -> None:
    original = tiny.original(tiny.configs["bert"])
    lean = _convert(original)
    with torch.no_grad():
        if damage == "positions":
            table = lean.encoder.embeddings.positions.weight
            table[-1] = table[0]
        elif damage == "types":
            lean.encoder.embeddings.types.weight.copy_(lean.encoder.embeddings.types.weight.flip(0))
        elif damage == "scale":
            lean.encoder.layers[0].attention.qkv.weight[:32] *= 1.1
        elif damage == "norm":
            lean.encoder.layers[1].feed_forward_norm.eps = 1e-2
        elif damage == "activation":
            lean.encoder.layers[0].feed_forward.activation = torch.nn.GELU(approximate="tanh")
        elif damage == "mask":
            forward = lean.forward
            lean.forward = lambda attention_mask=None, **inputs: forward(**inputs)
    delta, _ = max_logit_delta(original, lean, tiny.tokenizer(0))
    assert delta > TOLERANCE


def test_import_that_differs_is_refused(
    tiny: Any, save_checkpoint: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_checkpoint(tiny.original(tiny.configs["bert"]))
    for delta in (float("nan"), 2e-4):
        monkeypatch.setattr(
            "compress.encoder.importers.registry.max_logit_delta", lambda *_, d=delta: (d, 1.0)
        )
        with pytest.raises(ModelError, match="differ from the original's"):
            import_encoder(folder)


def test_large_outputs_may_differ_by_more(tiny: Any, save_checkpoint: Save) -> None:
    """In single precision, scores of thousands have no four digits after the point."""
    original = tiny.original(tiny.configs["bert"])
    with torch.no_grad():
        original.classifier.weight *= 3e4
        original.classifier.bias += 1e4
    imported = import_encoder(save_checkpoint(original))
    assert imported.max_abs_delta > TOLERANCE


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(
    tiny: Any, save_checkpoint: Save, value: float
) -> None:
    original = tiny.original(tiny.configs["bert"])
    with torch.no_grad():
        original.bert.encoder.layer[1].output.dense.weight[0, 0] = value
    with pytest.raises(ModelError, match=r"layer\.1\.output\.dense\.weight holds NaN or infinity"):
        import_encoder(save_checkpoint(original))


@pytest.mark.parametrize("option", ["is_decoder", "add_cross_attention"])
@pytest.mark.parametrize("config_class", [BertConfig, ElectraConfig])
def test_options_that_cannot_be_folded_are_named(option: str, config_class: Any, tiny: Any) -> None:
    config = config_class(**tiny.bert, **{option: True})
    with pytest.raises(UnsupportedArchitectureError, match=option):
        check_options(config, config.hidden_act)


def test_relative_positions_and_unknown_activations_are_named(tiny: Any) -> None:
    relative = BertConfig(**tiny.bert, position_embedding_type="relative_key")
    with pytest.raises(ModelError, match="position_embedding_type='relative_key'"):
        check_options(relative, relative.hidden_act)
    with pytest.raises(UnsupportedArchitectureError, match="'snake'"):
        check_options(BertConfig(**tiny.bert), "snake")


@pytest.mark.parametrize(
    ("option", "head"),
    [({"conv_kernel_size": 3}, "token"), ({"embedding_size": 16}, "sequence"),
     ({"legacy": False}, "mask")],
)  # fmt: skip
def test_options_of_deberta_that_cannot_be_folded_are_named(
    option: dict[str, Any], head: str, tiny: Any, save_checkpoint: Save
) -> None:
    folder = save_checkpoint(tiny.original(DebertaV2Config(**tiny.bert, **option), head=head))
    (name,) = option
    with pytest.raises(UnsupportedArchitectureError, match=f"deberta-v2 with {name}"):
        import_encoder(folder)


@pytest.mark.shared
def test_real_checkpoint_is_imported_without_loss() -> None:
    folder = Path(os.environ.get("EDGEPRESS_SHARED", "../shared")) / "models" / "minilm-sst2"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing (set EDGEPRESS_SHARED)")
    imported = import_encoder(folder)
    assert len(imported.model.config.layers) == 6
    original = AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = imported.tokenizer(
        ["a gorgeous , witty film", "flat , misguided comedy ."], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected, actual = original(**inputs).logits, imported.model(**inputs).logits
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)
    assert [imported.model.config.id2label[int(i)] for i in actual.argmax(-1)] == [
        "positive",
        "negative",
    ]


def _convert(original: Any) -> LeanEncoderForSequenceClassification:
    from compress.encoder.importers.registry import _importers

    return _importers()[original.config.model_type].convert(original).eval()


def _padded_batch() -> dict[str, torch.Tensor]:
    mask = (torch.arange(8) < torch.tensor([8, 5])[:, None]).long()
    generator = torch.Generator().manual_seed(2)
    return {
        "input_ids": torch.randint(1, 300, (2, 8), generator=generator) * mask,
        "attention_mask": mask,
    }
