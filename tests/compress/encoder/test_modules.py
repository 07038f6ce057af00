"""The lean encoder computes, saves and loads as any Hugging Face model does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from compress.encoder.config import LeanEncoderConfig
from compress.encoder.heads.text_classification import LeanEncoderForSequenceClassification
from compress.encoder.layers import _attend
from compress.encoder.modules import LeanEncoderModel
from compress.encoder.surgery import SlicePlan, fold_token_types, slice_model

Batch = dict[str, torch.Tensor]
Lean = LeanEncoderForSequenceClassification


def test_outputs_have_the_documented_shapes(lean: Lean, batch: Batch) -> None:
    output = lean(**batch, output_hidden_states=True, output_qkv=True)
    assert output.logits.shape == (3, 3)
    assert [tuple(h.shape) for h in output.hidden_states] == [(3, 9, 24)] * 4
    expected = [(3, 4, 9, 8), (3, 3, 9, 6), (3, 1, 9, 8)]
    assert [tuple(tensor.shape) for qkv in output.qkv for tensor in qkv] == [
        shape for shape in expected for _ in range(3)
    ]
    assert lean(**batch).hidden_states is None
    assert lean(**batch).qkv is None
    assert isinstance(lean(**batch, return_dict=False), tuple)


def test_returned_queries_are_scaled(lean: Lean, batch: Batch) -> None:
    """softmax(q k^T) v, with no other factor, gives the layer's attention output."""
    output = lean(**batch, output_hidden_states=True, output_qkv=True)
    q, k, v = output.qkv[0]
    scores = q @ k.transpose(-1, -2)
    scores = scores.masked_fill(batch["attention_mask"][:, None, None, :] == 0, float("-inf"))
    context = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    layer = lean.encoder.layers[0]
    x = layer.attention_norm(output.hidden_states[0] + layer.attention.output(context))
    x = layer.feed_forward_norm(x + layer.feed_forward(x))
    torch.testing.assert_close(x, output.hidden_states[1], atol=1e-5, rtol=0)


def test_padding_and_batch_mates_change_nothing(lean: Lean, batch: Batch) -> None:
    together = lean(**batch).logits
    for row, length in enumerate(batch["attention_mask"].sum(-1).tolist()):
        alone = lean(
            input_ids=batch["input_ids"][row : row + 1, :length],
            token_type_ids=batch["token_type_ids"][row : row + 1, :length],
        ).logits
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)


def test_first_token_shortcut_is_lossless(lean: Lean, batch: Batch) -> None:
    short = lean(**batch).logits
    lean.config.first_token_last_layer = False
    torch.testing.assert_close(lean(**batch).logits, short, atol=1e-5, rtol=0)
    encoded = lean.encoder(**batch, first_only=True).last_hidden_state
    assert encoded.shape == (3, 1, 24)


def test_missing_token_types_mean_type_zero(lean: Lean, batch: Batch) -> None:
    zeros = {**batch, "token_type_ids": torch.zeros_like(batch["token_type_ids"])}
    without = {k: v for k, v in batch.items() if k != "token_type_ids"}
    torch.testing.assert_close(lean(**zeros).logits, lean(**without).logits, atol=1e-6, rtol=0)
    assert (lean(**batch).logits - lean(**zeros).logits).abs().max() > 1e-3


@pytest.mark.parametrize("token_type", [0, 1])
def test_folding_token_types_is_lossless(lean: Lean, batch: Batch, token_type: int) -> None:
    single = {**batch, "token_type_ids": torch.full_like(batch["token_type_ids"], token_type)}
    folded = fold_token_types(lean, token_type)
    assert folded.config.type_vocab_size == 0
    assert lean.config.type_vocab_size == 2
    assert "encoder.embeddings.types.weight" not in folded.state_dict()
    torch.testing.assert_close(folded(**single).logits, lean(**single).logits, atol=1e-5, rtol=0)
    again = fold_token_types(folded)
    torch.testing.assert_close(again(**single).logits, folded(**single).logits, atol=0, rtol=0)
    with pytest.raises(ValueError, match="token type 2"):
        fold_token_types(lean, 2)


@pytest.mark.parametrize(
    ("problem", "labels"),
    [
        ("single_label_classification", torch.tensor([0, 2, 1])),
        ("multi_label_classification", torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 0]])),
        ("regression", torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 0]])),
    ],
)
def test_loss_is_the_one_of_the_task(
    lean: Lean, batch: Batch, problem: str, labels: torch.Tensor
) -> None:
    logits = lean(**batch).logits
    expected = {
        "single_label_classification": torch.nn.CrossEntropyLoss(),
        "multi_label_classification": torch.nn.BCEWithLogitsLoss(),
        "regression": torch.nn.MSELoss(),
    }[problem](logits, labels)
    lean.config.problem_type = problem
    torch.testing.assert_close(lean(**batch, labels=labels).loss, expected)
    if problem != "regression":  # which cannot be told from multi-label by its labels
        lean.config.problem_type = None
        torch.testing.assert_close(lean(**batch, labels=labels).loss, expected)


def test_bfloat16_autocast_runs_with_padding(lean: Lean, batch: Batch) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = lean(**batch).logits
    torch.testing.assert_close(logits.float(), lean(**batch).logits, atol=0.2, rtol=0)


def test_exported_program_is_plain_and_equal(lean: Lean, batch: Batch) -> None:
    """Exporters see MatMul and Softmax instead of an attention that they would decompose."""
    arguments = (batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    dims = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    program = torch.export.export(lean, arguments, dynamic_shapes=(dims,) * 3)
    assert "scaled_dot_product_attention" not in str(program.graph)
    shorter = tuple(tensor[:2, :5] for tensor in arguments)
    for inputs in (arguments, shorter):
        actual = program.module()(*inputs).logits
        torch.testing.assert_close(actual, lean(*inputs).logits, atol=1e-5, rtol=0)


def test_row_of_nothing_but_padding_is_no_nan(lean: Lean, batch: Batch) -> None:
    batch["attention_mask"][1] = 0
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert lean.to(dtype)(**batch).logits.isfinite().all()


def test_training_reaches_every_parameter(lean: Lean, batch: Batch) -> None:
    lean.train()(**batch, labels=torch.tensor([0, 1, 2])).loss.backward()
    assert [n for n, p in lean.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    "plan",
    [
        SlicePlan(),
        SlicePlan(layers=[0, 2], heads={0: [1, 3], 2: []}, neurons={0: [], 2: [0, 4]}),
    ],
    ids=["whole", "pruned"],
)
def test_saved_model_is_loaded_by_the_auto_classes(
    lean: Lean, batch: Batch, plan: SlicePlan, tmp_path: Path
) -> None:
    model = slice_model(lean, plan)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()

    loaded, info = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert isinstance(loaded, LeanEncoderForSequenceClassification)
    assert loaded.config.layers == model.config.layers
    torch.testing.assert_close(loaded(**batch).logits, model(**batch).logits, atol=0, rtol=0)

    base = AutoModel.from_pretrained(tmp_path)
    assert isinstance(base, LeanEncoderModel)
    torch.testing.assert_close(
        base(**batch).last_hidden_state,
        model.encoder(**batch).last_hidden_state,
        atol=0,
        rtol=0,
    )


def test_config_survives_a_round_trip(lean: Lean, tmp_path: Path) -> None:
    lean.config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, LeanEncoderConfig)
    assert loaded.layer_sizes == lean.config.layer_sizes
    for name in ("hidden_size", "embedding_size", "classifier_activation", "source_family"):
        assert getattr(loaded, name) == getattr(lean.config, name)
    assert loaded.num_labels == 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"heads": 2, "head_size": 4}, "intermediate_size"),
        ({"heads": 2, "head_size": 4, "intermediate_size": 4, "width": 3}, "width"),
        ({"heads": -1, "head_size": 4, "intermediate_size": 4}, "impossible"),
    ],
)
def test_layer_of_impossible_sizes_is_refused(entry: dict[str, int], message: str) -> None:
    config = LeanEncoderConfig(layers=[entry])
    with pytest.raises(ValueError, match=message):
        LeanEncoderModel(config)


def test_replaced_leaves_the_config_alone(lean: Lean) -> None:
    changed = lean.config.replaced(dropout=0.5)
    changed.layers[0]["heads"] = 99
    assert (lean.config.dropout, lean.config.layers[0]["heads"]) == (0.1, 4)
    with pytest.raises(AttributeError, match="depth"):
        lean.config.replaced(depth=3)


def test_fresh_model_is_initialised_and_has_no_buffers(lean: Lean) -> None:
    fresh: Any = LeanEncoderForSequenceClassification(lean.config)
    assert list(fresh.buffers()) == []
    weight = fresh.encoder.layers[0].attention.qkv.weight
    assert 0.01 < weight.std().item() < 0.03
    assert not fresh.classifier.output.bias.any()


def test_attention_with_gradients_is_the_same_in_both_precisions() -> None:
    q, k, v = (torch.randn(2, 3, 5, 8, requires_grad=True) for _ in range(3))
    padding = torch.zeros(2, 1, 1, 5)
    padding[0, ..., 3:] = -1e4
    exact = _attend(q, k, v, padding, 0.0)
    rounded = _attend(*(each.bfloat16() for each in (q, k, v)), padding, 0.0)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().max() < 0.05
    wanted = torch.autograd.grad(exact.square().sum(), v)[0]
    found = torch.autograd.grad(rounded.float().square().sum(), v)[0]
    assert (found - wanted).norm() < 0.05 * wanted.norm()
