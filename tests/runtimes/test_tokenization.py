"""Tokenization gives the arrays that Transformers gives, with neither torch nor Transformers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from runtimes.adapters.pytorch import StockTokenizer
from runtimes.errors import ArtifactError, ModelError
from runtimes.hf_config import read_hf_config
from runtimes.tokenization import Tokenizer

CORPUS = [
    "a gorgeous , witty film that never bores",
    "dull and not very witty , not very witty at all",
    "déjà vu ! 12 ünïcödé wörds , 漢字 and emoji 🙂",
]
LONG = " ".join(CORPUS * 4)
SINGLES = ["", " ", "a", "A Gorgeous film", CORPUS[2], LONG, "[SEP] <s> tab\tnew\nline \u200b\x00"]
PAIRS = [("a film", "witty"), ("", ""), ("a", LONG), (LONG, "a"), (LONG, LONG), (CORPUS[2], "")]


def _wordpiece() -> Any:
    from transformers import BertTokenizer

    trainer = trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    )
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator([line.lower() for line in CORPUS], trainer)
    return BertTokenizer(vocab=backend.get_vocab(), model_max_length=24)


def _cased_wordpiece() -> Any:
    from transformers import BertTokenizer

    vocab = _wordpiece().get_vocab()
    return BertTokenizer(vocab=vocab, do_lower_case=False, model_max_length=24)


def _byte_level() -> Any:
    from transformers import RobertaTokenizer

    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(CORPUS, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=24)


def _unigram() -> Any:
    from transformers import XLMRobertaTokenizer

    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    backend = Backend(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(vocab_size=110, special_tokens=specials, unk_token="<unk>"),
    )
    pieces = [tuple(piece) for piece in json.loads(backend.to_str())["model"]["vocab"]]
    return XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=24)


FAMILIES: dict[str, Callable[[], Any]] = {
    "wordpiece": _wordpiece,
    "cased wordpiece": _cased_wordpiece,
    "byte-level bpe": _byte_level,
    "unigram": _unigram,
}


@pytest.fixture(scope="module", params=list(FAMILIES))
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(the stock AutoTokenizer, ours), each read from the same saved folder."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    FAMILIES[request.param]().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder), Tokenizer.from_folder(folder)


def _stock(tokenizer: Any, inputs: Sequence[Any]) -> dict[str, np.ndarray]:
    texts = [item if isinstance(item, str) else item[0] for item in inputs]
    pairs = None if isinstance(inputs[0], str) else [item[1] for item in inputs]
    encoded = tokenizer(
        texts,
        pairs,
        padding=True,
        truncation=True,
        return_tensors="np",
        return_token_type_ids=True,
        padding_side="right",
    )
    return {name: encoded[name] for name in encoded}


@pytest.mark.parametrize("inputs", [SINGLES, PAIRS], ids=["texts", "pairs"])
def test_a_batch_is_encoded_as_by_transformers(both: Any, inputs: list[Any]) -> None:
    stock, ours = both
    expected = _stock(stock, inputs)
    actual = ours.encode(inputs)
    assert set(actual) == set(expected)
    assert actual["input_ids"].shape[1] == ours.max_length == 24  # the long ones were cut
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, err_msg=name)
        assert actual[name].dtype == np.int64


@pytest.mark.parametrize("item", [*SINGLES, *PAIRS], ids=range(len(SINGLES) + len(PAIRS)))
def test_one_input_is_encoded_as_by_transformers(both: Any, item: Any) -> None:
    stock, ours = both
    expected = _stock(stock, [item])
    for actual in (ours.encode_one(item), ours.encode([item])):
        for name, array in expected.items():
            np.testing.assert_array_equal(actual[name], array, err_msg=name)
            assert actual[name].dtype == np.int64
            assert actual[name].flags.c_contiguous


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=60), pair=st.text(max_size=60))
def test_any_text_is_encoded_as_by_transformers(both: Any, text: str, pair: str) -> None:
    stock, ours = both
    for item in (text, (text, pair)):
        expected = _stock(stock, [item])
        actual = ours.encode_one(item)
        for name, array in expected.items():
            np.testing.assert_array_equal(actual[name], array, err_msg=name)


def test_a_row_does_not_depend_on_the_rows_beside_it(both: Any) -> None:
    _, ours = both
    batch = ours.encode(SINGLES)
    lengths = ours.rows(SINGLES).lengths
    for row, text in enumerate(SINGLES):
        alone = ours.encode_one(text)
        length = lengths[row]
        for name, array in alone.items():
            np.testing.assert_array_equal(batch[name][row, :length], array[0])
        assert (batch["input_ids"][row, length:] == ours.pad_token_id).all()
        assert not batch["attention_mask"][row, length:].any()


def test_only_the_arrays_that_are_asked_for_are_built(both: Any) -> None:
    _, ours = both
    assert list(ours.encode_one("a film", ["input_ids"])) == ["input_ids"]
    assert list(ours.encode(["a", "film"], ["attention_mask"])) == ["attention_mask"]


def test_settings_come_from_the_configuration_unless_they_are_given(tmp_path: Path) -> None:
    _wordpiece().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 20, "pad_token_id": 7}')
    found = Tokenizer.from_folder(tmp_path)
    assert (found.max_length, found.pad_token_id) == (20, 0)  # the tokenizer's own pad token wins
    given = Tokenizer.from_folder(tmp_path, max_length=9, pad_token_id=5)
    assert given.encode([LONG])["input_ids"].shape == (1, 9)
    assert given.encode(["a", LONG])["input_ids"][0, -1] == 5


def test_the_truncation_side_is_the_configured_one(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertTokenizer

    vocab = _wordpiece().get_vocab()
    BertTokenizer(vocab=vocab, truncation_side="left", model_max_length=24).save_pretrained(
        tmp_path
    )
    stock = AutoTokenizer.from_pretrained(tmp_path)
    assert stock.truncation_side == "left"
    ids = Tokenizer.from_folder(tmp_path).encode_one(LONG)["input_ids"]
    np.testing.assert_array_equal(ids, _stock(stock, [LONG])["input_ids"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("truncation_side", "up"), ("model_max_length", "x"), ("pad_token_type_id", -1)],
)
def test_a_setting_that_no_tokenizer_has_is_named(tmp_path: Path, name: str, value: object) -> None:
    _wordpiece().save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({name: value}))
    with pytest.raises(ModelError, match=rf"tokenizer_config\.json: {name} is {value!r}, not "):
        Tokenizer.from_folder(tmp_path)


def test_roberta_has_fewer_positions_than_its_table(tmp_path: Path) -> None:
    config = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert read_hf_config(tmp_path).max_length == 512


def test_labels_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = {str(i): f"c{i}" for i in range(12)}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": names}, sort_keys=True))
    assert read_hf_config(tmp_path).labels == tuple(f"c{i}" for i in range(12))
    # Transformers does not write its default, two classes without names.
    (tmp_path / "config.json").write_text('{"architectures": ["BertForTokenClassification"]}')
    assert read_hf_config(tmp_path).labels == ("LABEL_0", "LABEL_1")
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert read_hf_config(tmp_path).labels == ()


@pytest.mark.parametrize("wrong", [" ", "1", [], {}, -1, 2**40, 1.5, True])
def test_a_padding_that_is_no_number_is_named(tmp_path: Path, wrong: Any) -> None:
    _wordpiece().save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token_type_id": wrong}))
    with pytest.raises(ModelError, match="pad_token_type_id is"):
        Tokenizer.from_folder(tmp_path)


def test_an_absent_or_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has no tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json is not a readable tokenizer"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"config\.json holds no JSON object"):
        read_hf_config(tmp_path)


HALVES = ["\ud83d", "a \ude00film", "witty\ud83d\ude00", f"{LONG} \ud83d", "\udfff film " * 900]


@pytest.mark.parametrize("text", HALVES, ids=range(len(HALVES)))
def test_half_of_a_surrogate_pair_is_what_is_no_character(both: Any, text: str) -> None:
    stock, ours = both
    whole = "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)
    for tokenizer in (ours, StockTokenizer(stock, 24)):
        for half, full in (
            (text, whole),
            ((text, "a film"), (whole, "a film")),
            (("a film", text), ("a film", whole)),
        ):
            expected = tokenizer.encode_one(full)
            beside = ("a", "film") if isinstance(half, tuple) else "film"
            for name, array in tokenizer.encode_one(half).items():
                np.testing.assert_array_equal(array, expected[name])
            for offsets in (False, True):
                found, wanted = (
                    tokenizer.rows([each, beside], offsets=offsets) for each in (half, full)
                )
                assert found.columns == wanted.columns
                if offsets:
                    assert found.encodings[0].offsets == wanted.encodings[0].offsets
            assert tokenizer.truncated([half, beside]) == tokenizer.truncated([full, beside])


def test_windows_are_made_of_halves_of_surrogate_pairs(wordpiece: Backend) -> None:
    ours = Tokenizer(wordpiece, max_length=16, pad_token_id=0, windows=True)
    half, full = (
        ours.rows([(f"a{each}?", f"dull {each} film " * 20)], offsets=True)
        for each in ("\ud83d", "\ufffd")
    )
    assert len(half.items) > 2
    assert half.columns == full.columns


def test_what_is_no_text_is_still_refused(wordpiece: Backend) -> None:
    ours = Tokenizer(wordpiece, max_length=16, pad_token_id=0)
    wrong: Any = 1
    with pytest.raises(TypeError):
        ours.rows([wrong, "a"])
