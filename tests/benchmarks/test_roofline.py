"""The floor under a row: counted multiplications, measured peaks."""

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.roofline import Peaks, floor_of, multiplications
from compress.evaluation.machine_peaks import measure_peaks, peaks_by_threads

TOKENS = 7


def counted(model: nn.Module, inputs: dict[str, torch.Tensor]) -> int:
    """Multiplications of all matrix products, by PyTorch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs)
    return int(counter.get_total_flops() // 2)


def inputs() -> dict[str, torch.Tensor]:
    ids = torch.arange(5, 5 + TOKENS)[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def test_a_checkpoint_is_counted_like_pytorch_counts_it() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        attn_implementation="eager",
    )
    model = BertForSequenceClassification(config).eval()
    assert multiplications(config.to_dict(), TOKENS) == counted(model, inputs())


def test_a_pruned_model_of_ours_is_counted_with_its_short_last_layer() -> None:
    layers = [
        {"heads": 2, "head_size": 8, "intermediate_size": 24},
        {"heads": 1, "head_size": 8, "intermediate_size": 0},
    ]
    config = {"hidden_size": 16, "layers": layers, "id2label": {"0": "a", "1": "b", "2": "c"}}
    every = multiplications(config, TOKENS)
    inner = 16 * 16 * 3 * TOKENS + 2 * TOKENS**2 * 16 + TOKENS * 16 * 16 + 2 * TOKENS * 16 * 24
    last = 16 * 8 * 3 * TOKENS + 2 * TOKENS**2 * 8 + TOKENS * 8 * 16
    assert every == inner + last + 16 * 16 + 3 * 16
    short = multiplications({**config, "first_token_last_layer": True}, TOKENS)
    last = 16 * 8 * (1 + 2 * TOKENS) + 2 * TOKENS * 8 + 8 * 16
    assert short == inner + last + 16 * 16 + 3 * 16


def test_the_floor_is_the_work_at_the_peak_of_the_precision(tmp_path: Path) -> None:
    config = {"hidden_size": 16, "layers": [{"heads": 2, "head_size": 8, "intermediate_size": 24}]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    peaks = Peaks(threads=2, gmacs={"fp32": 1.0, "int8": 4.0}, reading=((10**9, 1e6),))
    work = multiplications(config, TOKENS)
    assert work is not None
    slow, fast = (floor_of(tmp_path, p, 2.0, TOKENS, peaks) for p in ("fp32", "int8"))
    assert slow is not None
    assert fast is not None
    assert slow.compute_ms == pytest.approx(work / 1e6)
    assert fast.compute_ms == pytest.approx(slow.compute_ms / 4)
    assert fast.ratio == pytest.approx(2.0 / fast.compute_ms)
    assert floor_of(tmp_path, "bf16", 2.0, TOKENS, peaks) is None  # of which there is no peak
    memory = replace(peaks, reading=((10, 1.0), (10**9, 1e-3)))
    held = floor_of(tmp_path, "fp32", 2.0, TOKENS, memory)
    assert held is not None
    weights = 4 * 16 * 16 + 2 * 16 * 24 + 16 * 16 + 2 * 16 + 2 * 16  # and attention of one token
    assert held.read_ms == pytest.approx(4 * weights / 1e3)
    assert held.ratio == pytest.approx(2.0 / held.read_ms)
    assert floor_of(tmp_path / "nothing", "int8", 2.0, TOKENS, peaks) is None
    (tmp_path / "config.json").write_text("{}")
    assert floor_of(tmp_path, "int8", 2.0, TOKENS, peaks) is None


def test_the_machine_has_peaks() -> None:
    peaks = measure_peaks(threads=1)
    assert peaks.threads == 1
    assert min(peaks.gmacs.values()) > 0
    assert all(rate > 0 for _, rate in peaks.reading)
    assert Peaks.from_json(json.loads(json.dumps(asdict(peaks)))) == peaks


def test_peaks_that_cannot_be_measured_are_missing_and_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("compress.evaluation.machine_peaks.module_command", lambda _: ["false"])
    with caplog.at_level(logging.WARNING, "edgepress"):  # libraries turn it down for everybody
        assert peaks_by_threads([None, 2]) == {}
    assert "peaks of this machine cannot be measured" in caplog.text
