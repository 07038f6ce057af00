"""What may be wrong with a checkpoint is said in words, before anything is loaded."""

import ast
import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, RemBertConfig

from compress.encoder.checkpoint import read_config
from compress.encoder.folding import UnsupportedArchitectureError
from compress.encoder.importers.registry import import_encoder
from compress.errors import ModelError
from export.stock import export_stock
from runtimes import open_checkpoint

Save = Callable[..., Path]


@pytest.fixture
def folder(tiny: Any, save_checkpoint: Save) -> Path:
    """A sound BERT checkpoint."""
    return save_checkpoint(tiny.original(tiny.configs["bert"]), "good-bert")


def test_sound_checkpoint_is_read(folder: Path) -> None:
    assert read_config(folder).model_type == "bert"
    assert read_config(str(folder)).model_type == "bert"


def test_misspelt_folder_gets_a_suggestion(folder: Path) -> None:
    with pytest.raises(ModelError, match="no such folder") as error:
        import_encoder(folder.with_name("good-bret"))
    assert error.value.hint == f"Did you mean {folder}?"


@pytest.mark.parametrize("source", ["./nothing-here", "/nothing/here", "a/b/c"])
def test_path_that_cannot_be_a_hub_id_is_not_looked_up(source: str) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        import_encoder(source)


def test_hub_id_that_the_hub_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *, trust_remote_code: bool) -> None:
        assert name == "someone/some-model"
        assert not trust_remote_code
        raise OSError("someone/some-model is not a valid model identifier\nmore lines")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    with pytest.raises(ModelError, match="neither a folder here nor a model") as error:
        import_encoder("someone/some-model")
    assert "more lines" not in str(error.value)


def test_file_instead_of_a_folder(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a file"):
        import_encoder(folder / "config.json")


def test_folder_without_config(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ModelError, match=r"no config\.json \(it holds notes\.txt\)"):
        import_encoder(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not readable as JSON"), ("{}", "no model_type"), ("[1]", "no JSON object")],
)
def test_damaged_config(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        import_encoder(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, "not a name for each class from 0 on"),
        ({"id2label": {"1": "a", "2": "b"}}, "not a name for each class from 0 on"),
        ({"id2label": ["a", "b"]}, "not a name for each class from 0 on"),
        ({"id2label": {"0": None, "1": "b"}}, "names class 0 None, not by text"),
        ({"id2label": {"0": "a", "1": 5}}, "names class 1 5, not by text"),
        ({"num_labels": 10**9}, "num_labels is 1000000000, not a whole number from 1 to 100,000"),
        ({"num_hidden_layers": 100_000}, "num_hidden_layers is 100000"),
        ({"num_hidden_layers": "x"}, "num_hidden_layers is 'x'"),
        ({"vocab_size": True}, "vocab_size is True, not a whole number"),
        ({"hidden_act": {}}, "hidden_act is {}, not text"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps is 'x', not a number from 0 on"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan"),
        ({"initializer_range": 10**400}, "initializer_range is 1000000"),
        ({"classifier_dropout": float("nan")}, "classifier_dropout is nan, not a share from 0"),
        ({"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob is 1\.5, not a share"),
        ({"chunk_size_feed_forward": 7}, "chunk_size_feed_forward is 7"),
        ({"attn_implementation": "someone/kernel"}, "'someone/kernel', not one of eager"),
        ({"_attn_implementation": "someone/kernel"}, "'someone/kernel', not one of eager"),
        ({"transformers_weights": "../x.safetensors"}, "transformers_weights is '../x"),
        ({"dtype": "evil"}, r"config\.json"),
        ({"dtype": 5}, "dtype is 5, not text"),
        ({"model_type": ["bert"]}, r"model_type is \['bert'\], not text"),
        ({"architectures": [5]}, r"architectures is \[5\], not a list of names"),
        ({"architectures": "BertModel"}, "architectures is 'BertModel', not a list"),
        ({"problem_type": "any"}, "problem_type is 'any', not one of single_label"),
    ],
)
def test_config_with_impossible_values(folder: Path, changes: dict[str, Any], message: str) -> None:
    _edit_config(folder, **changes)
    with pytest.raises(ModelError, match=message):
        read_config(folder)


def test_nested_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="not readable as JSON"):
        read_config(folder)


def test_unknown_model_type(folder: Path) -> None:
    _edit_config(folder, model_type="does-not-exist")
    with pytest.raises(ModelError, match=r"config\.json"):
        import_encoder(folder)


def _bring_code(folder: Path, run: Path) -> None:
    """Put code into a checkpoint that touches the file `run` when it is imported."""
    (folder / "own.py").write_text(
        "from pathlib import Path\n"
        "from transformers import PreTrainedConfig, PreTrainedTokenizerFast\n"
        f"Path({str(run)!r}).touch()\n"
        "class Own(PreTrainedConfig):\n"
        "    model_type = 'own'\n"
        "class OwnTokenizer(PreTrainedTokenizerFast):\n"
        "    pass\n"
    )


@pytest.mark.parametrize("model_type", ["own", "bert"])
def test_code_of_a_checkpoint_is_never_run(folder: Path, model_type: str) -> None:
    run = folder.with_name("was-run")
    _bring_code(folder, run)
    _edit_config(folder, model_type=model_type, auto_map={"AutoConfig": "own.Own"})
    for opened in DOORS:
        with pytest.raises(ModelError, match="code of the checkpoint's own, which is not run"):
            opened(folder)
    assert not run.exists()


def test_code_of_a_model_on_the_hub_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *, trust_remote_code: bool) -> None:
        assert not trust_remote_code
        raise ValueError(f"{name}: please pass `trust_remote_code=True` to allow custom code")

    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    with pytest.raises(ModelError, match="code of the checkpoint's own, which is not run"):
        import_encoder("someone/some-model")


def _train(base: Path) -> None:
    from compress import train

    rows = {"text": [f"text {i}" for i in range(40)], "label": ["a", "b"] * 20}
    train(base, rows, out=base.with_name("trained"), progress=False)


def _export(folder: Path) -> None:
    export_stock(folder, folder.with_name("exported"), "onnx-fp32")


# Whatever opens a checkpoint.
DOORS: tuple[Callable[[Path], Any], ...] = (import_encoder, _train, open_checkpoint, _export)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vocab_size": 9_999_999, "hidden_size": 19_968}, "vocab_size is 9,999,999"),
        ({"vocab_size": 9_999_999}, "vocab_size is 9,999,999"),
        ({"intermediate_size": 200_000}, "intermediate_size is 200,000"),
        ({"max_position_embeddings": 1_000_000}, "max_position_embeddings is 1,000,000"),
        ({"type_vocab_size": 1_000}, "type_vocab_size is 1,000"),
        ({"num_hidden_layers": 40}, "num_hidden_layers is 40"),
    ],
)
def test_sizes_are_held_against_the_weights_before_there_is_memory_for_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], named: str
) -> None:
    """The first asks for 800 GB, which no machine here gives."""
    weight = torch.empty_like

    def allocated(tensor: torch.Tensor, **options: Any) -> torch.Tensor:
        made = weight(tensor, **options)
        assert made.is_meta
        return made

    monkeypatch.setattr("torch.empty_like", allocated)
    _edit_config(folder, **changes)
    for opened in DOORS:
        with pytest.raises(ModelError, match=named):
            opened(folder)


def test_a_head_is_held_against_the_weights(folder: Path) -> None:
    names = {str(index): f"c{index}" for index in range(9)}
    _edit_config(folder, id2label=names, label2id={name: int(i) for i, name in names.items()})
    for opened in (import_encoder, open_checkpoint, _export):
        with pytest.raises(ModelError, match=r"size of classifier.*num_labels is 9\)"):
            opened(folder)


@pytest.mark.parametrize("name", ["classifier.weight", "bert.embeddings.word_embeddings.weight"])
def test_no_weight_is_drawn_in_place_of_one_that_is_missing(folder: Path, name: str) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for opened in (import_encoder, open_checkpoint, _export):
        with pytest.raises(ModelError, match=f"lacks {name}"):
            opened(folder)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["chat_template.jinja", "special_tokens_map.json", "vocab.txt"])
def test_pipes_and_devices_are_not_read(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    for opened in DOORS:
        with pytest.raises(ModelError, match=f"{name} is not a regular file"):
            opened(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=f"{name} is not a regular file"):
        open_checkpoint(folder)


def test_a_model_on_the_hub_is_looked_at_in_the_same_way(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "models--someone--some-model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("1" * 40)
    shutil.copytree(folder, cache / "snapshots" / ("1" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert read_config("someone/some-model").model_type == "bert"
    for changes, message in (
        ({"auto_map": {"AutoConfig": "own.Own"}}, "code of the checkpoint's own"),
        ({"auto_map": None, "num_hidden_layers": 100_000}, "num_hidden_layers is 100000"),
    ):
        _edit_config(cache / "snapshots" / ("1" * 40), **changes)
        for opened in (import_encoder, lambda name: _train(Path(name))):
            with pytest.raises(ModelError, match=message):
                opened("someone/some-model")


def test_pickled_weights_are_refused_unread(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(ModelError, match=r"pickled weights \(pytorch_model\.bin\)") as error:
        import_encoder(folder)
    assert error.value.hint is not None
    assert f'from_pretrained("{folder}").save_pretrained("{folder}")' in error.value.hint


@pytest.mark.parametrize("name", ["a b", "$HOME", "it's", 'say "x"', "`id`", "модель"])
def test_a_command_that_is_proposed_can_be_pasted(folder: Path, name: str) -> None:
    place = folder.with_name(name)
    folder.rename(place)
    (place / "tokenizer.json").unlink()
    with pytest.raises(ModelError) as error:
        import_encoder(place)
    assert error.value.hint is not None
    words = shlex.split(error.value.hint.removeprefix("Write it: "))
    assert words[:2] == ["python", "-c"]
    call = ast.parse(words[2]).body[-1].value  # type: ignore[attr-defined]
    assert call.args[0].value == str(place)


def test_adapters_are_refused_with_the_way_to_merge_them(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    for opened in DOORS:
        with pytest.raises(ModelError, match=r"holds an adapter of PEFT") as error:
            opened(folder)
        assert "merge_and_unload" in str(error.value.hint)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds an adapter of PEFT"):
        import_encoder(folder)


@pytest.mark.parametrize("place", ["../good-bert.safetensors", "/etc/passwd", "x/y.safetensors", 5])
def test_weights_elsewhere_are_refused(folder: Path, place: Any) -> None:
    (folder / "model.safetensors").rename(folder.with_name("good-bert.safetensors"))
    index = {"metadata": {}, "weight_map": {"classifier.weight": place}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for opened in DOORS:
        with pytest.raises(ModelError, match="is no file of weights beside it"):
            opened(folder)


def test_tokens_without_a_row_are_named(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"new{i}" for i in range(500)])
    tokenizer.save_pretrained(folder)
    for opened in (import_encoder, _train):
        with pytest.raises(ModelError, match=r"tokens more than the .* rows .*: new") as error:
            opened(folder)
        assert "resize_token_embeddings" in str(error.value.hint)


def test_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights \(model\.safetensors\)"):
        import_encoder(folder)


def test_damaged_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match="cannot be loaded"):
        import_encoder(folder)


def test_folder_without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        import_encoder(folder)


def test_checkpoint_that_was_never_fine_tuned(tiny: Any, save_checkpoint: Save) -> None:
    folder = save_checkpoint(AutoModel.from_config(tiny.configs["bert"]))
    with pytest.raises(ModelError, match=r"it is a BertModel and lacks .*classifier") as error:
        import_encoder(folder)
    assert "Fine-tune it" in str(error.value)


def test_weights_of_other_sizes_than_the_config(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    weights[name] = torch.zeros(24, 32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"disagree about the size of .*query\.weight"):
        import_encoder(folder)


def test_architecture_without_importer_is_told_what_it_misses(
    tiny: Any, save_checkpoint: Save
) -> None:
    config = RemBertConfig(**tiny.bert)
    folder = save_checkpoint(tiny.original(config))
    with pytest.raises(UnsupportedArchitectureError, match="'rembert'") as error:
        import_encoder(folder)
    assert "albert, bert, camembert" in error.value.message
    assert "exported" in str(error.value.hint)


def _edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
