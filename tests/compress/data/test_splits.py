"""The report split takes no part in any decision, whatever the data came as."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.data import Splits, load_splits
from compress.data.splitting import carve, fingerprint, keys, stratified, without_leaks
from compress.errors import DataError

SHARED = Path(os.environ.get("EDGEPRESS_SHARED", "../shared"))


def examples(count: int, classes: int = 2, start: int = 0) -> Examples:
    texts = tuple(f"text {i}" for i in range(start, start + count))
    labels = np.arange(count, dtype=np.int64) % classes
    return Examples(texts, ClassLabels(labels), tuple(f"class {i}" for i in range(classes)))


def write(folder: Path, **splits: range) -> str:
    for name, rows in splits.items():
        lines = [f"text {i},{'ab'[i % 2]}" for i in rows]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return str(folder)


def sizes(splits: Splits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.selection), len(splits.report)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=10, max_size=300),
    parts=st.sampled_from([(0.5, 0.5), (0.9, 0.1), (0.8, 0.1, 0.1)]),
    seed=st.integers(0, 99),
)
def test_stratified_parts_are_exact_disjoint_and_balanced(
    labels: list[int], parts: tuple[float, ...], seed: int
) -> None:
    whole = Examples(
        tuple(str(i) for i in range(len(labels))),
        ClassLabels(np.array(labels, dtype=np.int64)),
        tuple("abcde"),
    )
    cut = stratified(whole, parts, seed)
    assert sorted(text for part in cut for text in part.texts) == sorted(whole.texts)
    for part, fraction in zip(cut, parts, strict=True):
        assert abs(len(part) - fraction * len(labels)) <= 1
        for label in set(labels):
            share = fraction * labels.count(label)
            assert abs(int((part.labels == label).sum()) - share) <= 2.5
    again = stratified(whole, parts, seed)
    assert [part.texts for part in again] == [part.texts for part in cut]


def test_test_and_validation_are_kept_as_given(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), dev=range(100, 120), test=range(120, 150))
    splits = load_splits(source, label_names=["a", "b"])
    assert sizes(splits) == (100, 20, 30)
    assert splits.report.texts == tuple(f"text {i}" for i in range(120, 150))


def test_validation_alone_is_halved(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140))
    splits = load_splits(source, label_names=["a", "b"])
    assert sizes(splits) == (100, 20, 20)
    assert not set(splits.selection.texts) & set(splits.report.texts)
    assert np.bincount(splits.report.labels).tolist() == [10, 10]
    assert any("halved" in note for note in splits.notes)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": range(100), "validation": range(100, 140)}, (100, 40)),
        ({"all": range(100)}, (80, 20)),
    ],
)
def test_without_a_test_split_all_held_out_text_may_choose_and_report(
    tmp_path: Path, splits: dict[str, range], expected: tuple[int, int]
) -> None:
    shared = load_splits(write(tmp_path, **splits), label_names=None, share=True)
    assert shared.shared
    assert (len(shared.train), len(shared.report)) == expected
    assert shared.sizes() == {"train": expected[0], "held_out": expected[1]}
    assert not set(keys(shared.train)) & set(keys(shared.report))


def test_a_test_split_that_is_given_stays_apart(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140), test=range(140, 180))
    apart = load_splits(source, label_names=None, share=True)
    assert not apart.shared
    assert apart.sizes() == {"train": 100, "selection": 40, "report": 40}


def test_what_is_in_shared_texts_is_no_training_text(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(90, 130))
    shared = load_splits(source, label_names=None, share=True)
    assert shared.shared
    assert (len(shared.train), len(shared.report)) == (90, 40)


def test_selection_is_carved_from_train(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), test=range(100, 140))
    splits = load_splits(source, label_names=["a", "b"])
    assert sizes(splits) == (90, 10, 40)
    assert any("may have been fine-tuned on it" in note for note in splits.notes)


@pytest.mark.parametrize("name", ["train", "everything"])
def test_a_single_split_is_cut(tmp_path: Path, name: str) -> None:
    source = write(tmp_path, **{name: range(200)})
    splits = load_splits(source, label_names=["a", "b"])
    assert sizes(splits) == (160, 20, 20)
    same = load_splits(f"{source}/{name}.csv", label_names=["a", "b"])
    assert same.fingerprint == splits.fingerprint
    assert any("80/10/10" in note for note in splits.notes)


def test_the_seed_decides_the_cut(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(200))
    first, again, other = (load_splits(source, label_names=None, seed=s) for s in (3, 3, 4))
    assert first.report.texts == again.report.texts
    assert first.fingerprint == again.fingerprint
    assert first.report.texts != other.report.texts


def test_common_texts_leave_train_then_selection(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(95, 120), test=range(118, 150))
    (tmp_path / "test.csv").write_text(
        (tmp_path / "test.csv").read_text(encoding="utf-8").replace("text 119", "TEXT  119"),
        encoding="utf-8",
    )
    splits = load_splits(source, label_names=None)
    assert sizes(splits) == (95 + 2 - 2, 25 - 2, 32)
    assert any(note.startswith("2 of 25 selection") for note in splits.notes)
    assert any(note.startswith("5 of 100 train") for note in splits.notes)


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 120), test=range(100, 120))
    with pytest.raises(DataError, match="20 of the 20 selection examples are in the report"):
        load_splits(source, label_names=None)


def test_pairs_are_the_same_only_together() -> None:
    labels = np.array([0, 1], dtype=np.int64)
    train = Examples(("a", "b"), ClassLabels(labels), ("x", "y"), ("1", "2"))
    other = Examples(("a", "c"), ClassLabels(labels), ("x", "y"), ("2", "2"))
    report = Examples(("d", "e"), ClassLabels(labels), ("x", "y"), ("1", "2"))
    kept, _, _ = without_leaks(train, other, report, "pairs")
    assert len(kept) == 2


def test_unlabelled_test_is_left_out(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140))
    (tmp_path / "test.csv").write_text("text\nsomething\n", encoding="utf-8")
    splits = load_splits(source, label_names=None)
    assert sizes(splits) == (100, 20, 20)
    assert any("has no labels" in note for note in splits.notes)


@pytest.mark.parametrize("index", ["index", "id", ""])
def test_an_index_is_no_label(tmp_path: Path, index: str) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140))
    (tmp_path / "test.csv").write_text(f"{index},text\n0,something\n", encoding="utf-8")
    assert sizes(load_splits(source, label_names=None)) == (100, 20, 20)


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize(
    ("header", "hint"),
    [
        ("text,gold", "If the labels are in 'gold', call it 'label'"),
        ("text,source,gold", "If the labels are in 'source', call it 'label'"),
        ("", "Its first line has to be the header: text, label."),
    ],
)
def test_a_split_whose_labels_are_not_found_is_refused(
    tmp_path: Path, name: str, header: str, hint: str
) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140), test=range(140, 180))
    cells = header.count(",") + 1 if header else 2
    lines = [header] * bool(header) + [
        ",".join([f"text {i}", *"ab"][:cells]) for i in range(200, 240)
    ]
    (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        DataError, match=rf"{name}\.csv: there is no label column 'label'"
    ) as caught:
        load_splits(source, label_names=None)
    assert hint in str(caught.value.hint)


def test_pairs_and_spelling_of_columns_may_differ_between_files(tmp_path: Path) -> None:
    rows = "\n".join(f"p{i},h{i},{i % 2}" for i in range(30))
    for name, header in (
        ("train", "premise,hypothesis,label"),
        ("test", "Premise,Hypothesis,Label"),
    ):
        start = 0 if name == "train" else 30
        rows = "\n".join(f"p{i},h{i},{i % 2}" for i in range(start, start + 30))
        (tmp_path / f"{name}.csv").write_text(f"{header}\n{rows}\n", encoding="utf-8")
    splits = load_splits(str(tmp_path), label_names=["LABEL_0", "LABEL_1"])
    assert splits.report.inputs()[0] == ("p30", "h30")


def test_a_column_missing_from_one_file_is_named(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140))
    (tmp_path / "test.csv").write_text("words,label\nhello,a\nbye,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.csv: there is no column 'text'.*words, label"):
        load_splits(source, label_names=None)


def test_labels_that_only_one_split_has_are_found(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), test=range(100, 140))
    (tmp_path / "test.csv").write_text("text,label\nhello,a\nbye,c\n", encoding="utf-8")
    with pytest.raises(DataError, match="not a class of the model: c"):
        load_splits(source, label_names=["a", "b"])


def test_a_train_split_of_one_class_is_refused(tmp_path: Path) -> None:
    source = write(
        tmp_path, train=range(0, 100, 2), validation=range(100, 140), test=range(140, 180)
    )
    with pytest.raises(DataError, match="the train split has fewer than two classes"):
        load_splits(source, label_names=None)


def test_texts_that_are_no_text_are_said_to_be_none(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": [{"a": f"t{i}"} for i in range(40)], "label": ["a", "b"] * 20})
    pq.write_table(table, tmp_path / "all.parquet")
    with pytest.raises(DataError, match=r"data row 1, column 'text': expected text, found dict"):
        load_splits(str(tmp_path / "all.parquet"), label_names=None)


def test_missing_texts_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text('text,label\na,x\n,y\nb,x\n"  ",y\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"column 'text' is empty in 2 of 4 rows: data row 2, 4"):
        load_splits(str(path), label_names=None)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"all": 19}, "19 examples are too few"),
        ({"train": 100, "validation": 3}, "3 examples are too few"),
        ({"validation": 30, "test": 30}, "no train split"),
    ],
)
def test_too_little_to_split(splits: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        carve({name: examples(count) for name, count in splits.items()}, 0, "some.csv")


def test_a_small_report_is_said(tmp_path: Path) -> None:
    splits = load_splits(write(tmp_path, train=range(100)), label_names=None)
    assert any("10.0 points" in note for note in splits.notes)


def test_the_fingerprint_sees_every_part() -> None:
    base = examples(10)
    changed = [
        base.take(range(9)),
        base.take([1, 0, *range(2, 10)]),
        Examples(base.texts, ClassLabels(1 - base.labels), base.label_names),
        Examples(base.texts, base.targets, ("class 0", "other")),
        Examples(base.texts, base.targets, base.label_names, base.texts),
        Examples(("text 0t", "ext 1", *base.texts[2:]), base.targets, base.label_names),
    ]
    assert len({fingerprint([part]) for part in [base, *changed]}) == 7


def test_classes_that_a_split_lacks_are_named(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140), test=range(140, 180))
    rare = "\nonce,c\ntwice,c\n"
    with (tmp_path / "train.csv").open("a", encoding="utf-8") as file:
        file.write(rare)
    notes = load_splits(source, label_names=None).notes
    for name in ("selection", "report"):
        assert any(
            note.startswith(
                f"The {name} split holds no example of 1 of the 3 classes in the data: c;"
            )
            for note in notes
        )
    assert not any("train split holds no" in note for note in notes)
    (tmp_path / "train.csv").write_text(
        "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(100)), encoding="utf-8"
    )
    with (tmp_path / "test.csv").open("a", encoding="utf-8") as file:
        file.write(rare)
    notes = load_splits(source, label_names=None).notes
    assert any("The train split holds no example of 1 of the 3" in note for note in notes)


def test_texts_with_different_labels_are_counted(tmp_path: Path) -> None:
    source = write(tmp_path, train=range(100), validation=range(100, 140), test=range(140, 180))
    assert not any(
        "different labels" in note for note in load_splits(source, label_names=None).notes
    )
    with (tmp_path / "train.csv").open("a", encoding="utf-8") as file:
        file.write("\nTEXT  0,b\ntext 1,a\ntext 2,a\n")
    notes = load_splits(source, label_names=None).notes
    assert any(note.startswith("2 texts of the train split occur with different") for note in notes)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} (EDGEPRESS_SHARED) is not there")
@pytest.mark.parametrize(("name", "rows", "classes"), [("sst2", 872, 2), ("snips-intent", 700, 7)])
def test_real_data(name: str, rows: int, classes: int) -> None:
    splits = load_splits(str(SHARED / "data" / name), label_names=None)
    assert len(splits.report) == rows // 2
    assert len(splits.report.label_names) == classes
    texts = [set(part.texts) for part in (splits.train, splits.selection, splits.report)]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
