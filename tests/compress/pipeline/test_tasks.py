"""Every task goes the whole way: trained, compressed, deployed, answering as PyTorch does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tasks import answered, get_measure
from compress.cli.app import main
from compress.data.columns import NamedColumns
from compress.encoder.checkpoint import read_config
from compress.pipeline.prepare import read_unlabelled
from runtimes import load
from runtimes.loading import open_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))


QUICK = [
    "distill.epochs=1",
    "distill.augment=1",
    "distill.learning_rate=1e-3",
    "distill.enough=0",
    "prune.steps=1",
    "prune.neuron_step=8",
    "quantize.calibration_texts=8",
    "stages=[prune, distill, quantize]",
    "speedups=[1.1]",
    "beyond=false",
    "quantize.alternatives=false",
    # Few rounds, and no stock exports (tests/export/test_stock.py has them); nothing is faked.
    "benchmark.rounds=2",
    "benchmark.sentences=5",
    "benchmark.cold_starts=0",
    "benchmark.throughput=false",
    # One runtime's files: for both, each task is in tests/conformance/test_task_table.py.
    "runtimes=[onnxruntime]",
    "benchmark.runtimes=[onnxruntime]",
    "benchmark.every_runtime=false",
    "benchmark.baselines=[]",
    "benchmark.latency_table_seconds=1",
    "threads=1",
]
FILLERS = ("a", "the", "film", "plot", "was", "very", "and", "its")
GOOD, BAD = ("good", "great", "fine", "lovely"), ("bad", "awful", "poor", "dull")
CITIES, DAYS = GOOD, BAD


def compressed(
    out: Path, *arguments: str | Path, metric: str, max_drop: int = 20
) -> dict[str, dict[str, Any]]:
    """The report's rows by their ids, after a run of the command; `recommended` and `reference`
    are rows, too."""
    settings = ["--out", str(out), "--max-drop", str(max_drop), *QUICK]
    model, *others = map(str, arguments)
    assert main([model, *settings, *others]) == 0
    report = json.loads((out / "report.json").read_text())
    rows = {row["id"]: row for row in report["rows"]}
    assert all(row["error"] is None for row in rows.values())
    assert {row["metric"]["name"] for row in rows.values()} == {metric}
    for entry in report["family"]:
        found = entry["checkpoint"]
        assert found["reason"] == ""
        with open_checkpoint(out / found["path"]):  # in the family's class, with all its weights
            assert found["max_abs_delta"] < 1e-4
            assert found["opens_as"].startswith("Bert")
    named = {name: rows[report[name]] for name in ("recommended", "reference")}
    return {**rows, **named}


def agreed(out: Path, teacher: Path, texts: Path, metric: str = "agreement") -> None:
    """The same without labels: what is reported is agreement with the teacher."""
    settings = [*QUICK, "stages=[prune, quantize]", "speedups=[]"]
    # Fast: of the unpruned model nothing is exported.
    given = ["--unlabelled", str(texts), "--min-agreement", "30", "--effort", "fast"]
    assert main([str(teacher), *given, "--out", str(out), *settings]) == 0
    report = json.loads((out / "report.json").read_text())
    rows = {row["id"]: row for row in report["rows"]}
    reference = rows.pop(report["reference"])["metric"]
    assert (reference["name"], reference["low"], reference["high"]) == (metric, 100, 100)
    for row in rows.values():
        assert row["error"] is None
        assert row["metric"]["name"] == metric
        assert row["drop"]["value"] == pytest.approx(100 - row["metric"]["value"])
        assert row["drop"]["high"] == pytest.approx(100 - row["metric"]["low"])
    assert report["budget"]["min_agreement"] == 30
    assert "nobody labelled" in (out / "report.md").read_text()
    assert "Nobody labelled these texts" in (out / "artifact" / "README.md").read_text()

    # as if the teacher's answers had been given as labels
    config = read_config(str(teacher))
    bare = read_unlabelled(str(teacher), texts, config, NamedColumns(), seed=0).report
    with open_checkpoint(teacher, threads=1) as original:
        given_labels = answered(bare, original.logits(bare.inputs()))
    labelled = replace(given_labels, labelled=True)
    with load(out / "artifact", runtime="onnxruntime", threads=1) as deployed:
        logits = deployed.logits(labelled.inputs(), batch_size=1)
    expected = get_measure(labelled).metric(logits, labelled).value
    assert rows[report["recommended"]]["metric"]["value"] == pytest.approx(expected, abs=0.1)


def unlabelled(folder: Path, rows: list[dict[str, Any]], *answers: str) -> Path:
    """The rows of data without their answers."""
    bare = [{name: cell for name, cell in row.items() if name not in answers} for row in rows]
    file = folder / "bare.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in bare), encoding="utf-8")
    return file


def unpruned(out: Path) -> Path:
    """The model as imported, in INT8; it may be the recommended one."""
    folder = out / "family" / "full"
    return folder if folder.is_dir() else out / "artifact"


def tagged(count: int, seed: int) -> list[dict[str, Any]]:
    """Two kinds of entities of one word or two, told by their words."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        tokens, tags = [str(word) for word in rng.choice(FILLERS, size=3)], ["O"] * 3
        for kind, words in (("city", CITIES), ("day", DAYS)):
            for place in range(int(rng.integers(0, 3))):
                tokens.append(str(rng.choice(words)))
                tags.append(f"{'B' if place == 0 else 'I'}-{kind}")
            tokens.append(str(rng.choice(FILLERS)))
            tags.append("O")
        tokens.append((".", ",")[number % 2])
        tags.append("O")
        found.append({"tokens": tokens, "tags": tags})
    return found


def opinions(count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Texts with the labels "city" and "day", either, both or none, told by their words."""
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        words, labels = [str(word) for word in rng.choice(FILLERS, size=rng.integers(3, 8))], []
        for name, own in (("city", CITIES), ("day", DAYS)):
            if rng.random() < 0.5:
                words.insert(int(rng.integers(len(words))), str(rng.choice(own)))
                labels.append(name)
        found[" ".join(words)] = labels
    return list(found.items())


def write_splits(folder: Path, rows: list[dict[str, Any]]) -> Path:
    lines = [json.dumps(row) for row in rows]
    for name, part in (
        ("train", lines[:360]),
        ("validation", lines[360:460]),
        ("test", lines[460:]),
    ):
        (folder / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", ["several labels", "scores"])
def test_several_labels_and_scores(kind: str, task: Any, tmp_path: Path) -> None:
    rows: list[dict[str, Any]]
    if kind == "several labels":
        rows = [{"text": text, "labels": labels} for text, labels in opinions(620, seed=0)]
        metric, problem = "F1", "multi_label_classification"
    else:
        # a score of what is good less what is bad, with a little noise
        rng = np.random.default_rng(0)
        rows = [
            {"text": text, "score": ("city" in own) - ("day" in own) + rng.normal() / 10}
            for text, own in opinions(620, seed=0)
        ]
        metric, problem = "Pearson", "regression"
    data = write_splits(tmp_path, rows)
    label_column = "labels" if kind == "several labels" else "score"
    teacher, out = tmp_path / "teacher", tmp_path / "out"
    base = task.save_bert(tmp_path / "base")
    shared = ["--data", str(data), "--label-column", label_column]
    command = ["train", str(base), *shared, "--out", str(teacher)]
    assert main([*command, "learning_rate=3e-3", "epochs=10", "patience=20"]) == 0
    record = json.loads((teacher / "training.json").read_text())
    assert record["problem_type"] == problem
    assert record["metric"]["name"] == metric
    assert record["metric"]["value"] > 80

    both = "runtimes=[onnxruntime, openvino]"
    reported = compressed(out, teacher, *shared, both, metric=metric)
    assert reported["recommended"]["metric"]["value"] > 70
    bare = unlabelled(tmp_path / "out", rows, label_column)
    agreed(tmp_path / "agreed", teacher, bare, f"agreement ({metric})")
    texts = [text for text, _ in opinions(60, seed=9)]
    with open_checkpoint(teacher) as original:
        expected, logits = original(texts, top_k=None), original.logits(texts)
    for runtime in ("onnxruntime", "openvino"):
        with load(unpruned(out), runtime=runtime) as deployed:
            own = deployed.logits(texts, batch_size=1)
            assert np.abs(own - logits).max() < 0.1 * np.abs(logits).max()
            for one, other in zip(deployed(texts[:5], top_k=None), expected[:5], strict=True):
                assert [e["label"] for e in one] == [e["label"] for e in other]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    rows = {json.dumps(row) for row in tagged(900, seed=0)}
    kept = sorted(rows)
    np.random.default_rng(0).shuffle(kept)
    for name, part in (("train", kept[:360]), ("validation", kept[360:460]), ("test", kept[460:])):
        (folder / f"{name}.jsonl").write_text("\n".join(part[:360]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def teacher(words: Path, task: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command, from a checkpoint of another task."""
    base = task.save_bert(tmp_path_factory.mktemp("base"))
    out = tmp_path_factory.mktemp("teacher") / "teacher"
    command = ["train", str(base), "--task", "token-classification", "--data", str(words)]
    assert main([*command, "--out", str(out), "learning_rate=3e-3", "epochs=14"]) == 0
    record = json.loads((out / "training.json").read_text())
    assert record["task"] == "token-classification"
    assert record["metric"]["name"] == "F1"
    assert record["metrics"]["report"]["f1"] == pytest.approx(record["metric"]["value"])
    assert record["metric"]["value"] > 80
    return out


def test_a_classifier_of_tokens(
    teacher: Path, words: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows = compressed(out, teacher, "--data", words, metric="F1")
    assert "F1" in capfd.readouterr().out
    assert {kind["label"] for kind in rows["recommended"]["by_class"]} == {"city", "day"}
    assert "F1 % (95%)" in (out / "report.md").read_text()
    card = (out / "artifact" / "README.md").read_text()
    assert "pipeline_tag: token-classification" in card
    bare = unlabelled(out, tagged(300, seed=3), "tags")
    agreed(tmp_path / "agreed", teacher, bare, "agreement (F1)")

    texts = [" ".join(row["tokens"]) for row in tagged(60, seed=9)]
    with open_checkpoint(teacher) as original:
        expected = original(texts, aggregation_strategy="simple")
        decided = original.logits(texts).argmax(axis=1)
    with load(unpruned(out), runtime="onnxruntime") as deployed:
        own = deployed.logits(texts, batch_size=1).argmax(axis=1)
        assert (own == decided).mean() >= 0.99
        found = deployed(texts[0], aggregation_strategy="simple")
        assert [entity["entity_group"] for entity in found] == [
            entity["entity_group"] for entity in expected[0]
        ]

    capfd.readouterr()
    full, place = str(unpruned(out)), max(range(60), key=lambda i: len(expected[i]))
    assert main(["predict", full, texts[place], "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)["entities"]
    assert [e["word"] for e in shown] == [e["word"] for e in expected[place]] != []
    assert main(["predict", full, texts[place]]) == 0
    *lines, empty, end = capfd.readouterr().out.split("\n")
    assert (empty, end) == ("", "")
    kind, _, start, stop, written = lines[0].split("\t")
    assert kind == shown[0]["entity_group"]
    assert texts[place][int(start) : int(stop)] == written


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Paragraphs in SQuAD's form: what is good in it, what is bad in it."""
    found = []
    for number, row in enumerate(tagged(count, seed)):
        context, asked = " ".join(row["tokens"]), []
        for kind, question in (("city", "good film"), ("day", "bad film")):
            places = [i for i, tag in enumerate(row["tags"]) if tag.endswith(kind)]
            if places:
                before = " ".join(row["tokens"][: places[0]])
                answer = " ".join(row["tokens"][places[0] : places[-1] + 1])
                start = len(before) + 1
                assert context[start:].startswith(answer)
                asked.append(
                    {
                        "id": f"{number}-{kind}",
                        "question": question,
                        "answers": [{"text": answer, "answer_start": start}],
                    }
                )
        found.append({"context": context, "qas": asked})
    return found


def test_question_answering(task: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for seed, (name, count) in enumerate({"train": 400, "validation": 60, "test": 120}.items()):
        paragraphs = questions(count, seed)
        squad = {"version": "1.1", "data": [{"title": name, "paragraphs": paragraphs}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(squad))
    base, teacher, out = task.save_bert(tmp_path / "base"), tmp_path / "teacher", tmp_path / "out"
    command = ["train", str(base), "--task", "question-answering", "--data", str(tmp_path)]
    assert main([*command, "--out", str(teacher), "learning_rate=3e-3", "epochs=8"]) == 0
    record = json.loads((teacher / "training.json").read_text())
    assert record["metric"]["name"] == "F1"
    assert record["metric"]["value"] > 70
    assert record["metrics"]["report"]["f1"] == pytest.approx(record["metric"]["value"], abs=10)

    compressed(out, teacher, "--data", tmp_path, metric="F1", max_drop=30)
    asked_of = [
        {"question": each["question"], "context": paragraph["context"]}
        for paragraph in questions(200, seed=3)
        for each in paragraph["qas"]
    ]
    bare = unlabelled(tmp_path / "out", asked_of)
    agreed(tmp_path / "agreed", teacher, bare, "agreement (F1)")
    asked = [
        (each["question"], paragraph["context"])
        for paragraph in questions(60, seed=9)
        for each in paragraph["qas"]
    ]
    with open_checkpoint(teacher) as original:
        expected = original(asked)
    with load(unpruned(out), runtime="onnxruntime") as deployed:
        found = deployed(asked, batch_size=1)
    same = [a["answer"] == b["answer"] for a, b in zip(found, expected, strict=True)]
    assert np.mean(same) >= 0.95
    capfd.readouterr()
    artifact = str(out / "artifact")
    assert main(["predict", artifact, "good film\tthe plot was great fine ."]) == 0
    assert capfd.readouterr().out.split("\t")[0] == "great fine"
    assert main(["predict", artifact, "no context"]) == 2


def choices(count: int, seed: int) -> list[dict[str, Any]]:
    """Which of three endings is a good one."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        prompt = f"the {rng.choice(FILLERS)} film {rng.choice(FILLERS)} {rng.choice(FILLERS)}"
        endings = [f"{rng.choice(FILLERS)} {word}" for word in rng.choice(BAD, size=3)]
        place = int(rng.integers(3))
        endings[place] = f"{rng.choice(FILLERS)} {rng.choice(GOOD)}"
        found.append({"prompt": prompt, "choices": endings, "label": place})
    return found


def test_multiple_choice(task: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_splits(tmp_path, choices(620, seed=0))
    base, teacher, out = task.save_bert(tmp_path / "base"), tmp_path / "teacher", tmp_path / "out"
    command = ["train", str(base), "--task", "multiple-choice", "--data", str(data)]
    assert main([*command, "--out", str(teacher), "learning_rate=3e-3", "epochs=6"]) == 0
    record = json.loads((teacher / "training.json").read_text())
    assert record["metric"]["name"] == "accuracy"
    assert record["metric"]["value"] > 80
    assert record["metrics"]["report"]["accuracy"] == pytest.approx(record["metric"]["value"])

    reported = compressed(out, teacher, "--data", data, metric="accuracy")
    assert reported["recommended"]["metric"]["value"] > 70
    agreed(tmp_path / "agreed", teacher, unlabelled(tmp_path / "out", choices(300, 3), "label"))
    asked = [(row["prompt"], row["choices"]) for row in choices(60, seed=9)]
    with open_checkpoint(teacher) as original:
        expected = original(asked)
    with load(unpruned(out), runtime="onnxruntime") as deployed:
        found = deployed(asked, batch_size=1)
    same = [a["index"] == b["index"] for a, b in zip(found, expected, strict=True)]
    assert np.mean(same) >= 0.95
    capfd.readouterr()
    line = "the plot was very\ta bad\tits lovely\tvery dull"
    assert main(["predict", str(out / "artifact"), line]) == 0
    assert capfd.readouterr().out.split("\t")[0] == "its lovely"


def alike(count: int, seed: int) -> list[dict[str, Any]]:
    """Pairs of opinions, and how far they say the same: both good, both bad, or not."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        kinds = rng.integers(2, size=2)
        one, other = (
            " ".join(
                [rng.choice((GOOD, BAD)[k]), *rng.choice(FILLERS, size=int(rng.integers(2, 6)))]
            )
            for k in kinds
        )
        score = float(kinds[0] == kinds[1]) + float(rng.normal()) / 10
        found.append({"text": one, "text_pair": other, "score": score})
    return found


def save_embedder(folder: Path, base: Path, rows: list[dict[str, Any]]) -> Path:
    """A folder as sentence-transformers writes it, its cosines trained to the scores."""
    import torch
    from torch.nn import functional as F
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(base), AutoTokenizer.from_pretrained(base)

    def vectors(texts: list[str]) -> torch.Tensor:
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        weights = batch["attention_mask"][..., None]
        hidden = model(**batch).last_hidden_state
        return F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(60):
        own = [rows[i % len(rows)] for i in range(32 * step, 32 * step + 32)]
        cosines = (vectors([r["text"] for r in own]) * vectors([r["text_pair"] for r in own])).sum(
            1
        )
        F.mse_loss(cosines, torch.tensor([r["score"] for r in own])).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    (folder / "modules.json").write_text(
        json.dumps([{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in modules])
    )
    # fewer tokens than its tokenizer and some of the texts have
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    return folder


def test_sentence_embedding(task: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = alike(620, seed=0)
    data, out = write_splits(tmp_path, rows), tmp_path / "out"
    teacher = save_embedder(tmp_path / "teacher", task.save_bert(tmp_path / "base"), rows[:360])
    stock = "benchmark.baselines=[onnx-fp32]"
    reported = compressed(out, teacher, "--data", data, stock, metric="Spearman")
    assert reported["reference"]["metric"]["value"] > 70
    assert reported["recommended"]["metric"]["value"] > 55
    bare = unlabelled(tmp_path / "out", rows, "score")
    agreed(tmp_path / "agreed", teacher, bare, "agreement (Spearman)")
    assert json.loads((out / "artifact" / "manifest.json").read_text())["max_length"] == 6
    [stock] = [row for row in reported.values() if row["model"] == "stock ONNX export"]
    assert stock["metric"]["value"] == pytest.approx(reported["reference"]["metric"]["value"])
    card = (out / "artifact" / "README.md").read_text()
    assert "pipeline_tag: sentence-similarity" in card
    texts = [row["text"] for row in alike(60, seed=9)]
    with open_checkpoint(teacher) as original:
        expected = original(texts)
    with load(unpruned(out), runtime="onnxruntime") as deployed:
        found = deployed(texts, batch_size=1)
    assert (found * expected).sum(axis=1).min() > 0.98
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    capfd.readouterr()
    assert main(["predict", str(out / "artifact"), "the film was good", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["embedding"]) == expected.shape[1]


def agreeing(count: int, seed: int) -> list[dict[str, Any]]:
    """Texts whose last word is of the kind of their first: what is masked can be told."""
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        kind = int(rng.integers(2))
        words = [str(rng.choice((GOOD, BAD)[kind])), *map(str, rng.choice(FILLERS, size=4))]
        found[" ".join([*words, "[MASK]"])] = (GOOD, BAD)[kind][0]
    return [{"text": text, "label": label} for text, label in found.items()]


def save_guesser(folder: Path, base: Path, rows: list[dict[str, Any]]) -> Path:
    """A masked-language model that has learnt the rows."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForMaskedLM.from_pretrained(base)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(80):
        own = [rows[i % len(rows)] for i in range(32 * step, 32 * step + 32)]
        batch = tokenizer([row["text"] for row in own], padding=True, return_tensors="pt")
        labels = torch.full_like(batch["input_ids"], -100)
        wanted = torch.tensor([tokenizer.convert_tokens_to_ids(row["label"]) for row in own])
        labels[batch["input_ids"] == tokenizer.mask_token_id] = wanted
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_fill_mask(task: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = agreeing(620, seed=0)
    data, out = write_splits(tmp_path, rows), tmp_path / "out"
    teacher = save_guesser(tmp_path / "teacher", task.save_bert(tmp_path / "base"), rows[:360])
    reported = compressed(out, teacher, "--data", data, metric="accuracy")
    assert reported["reference"]["metric"]["value"] > 80
    assert reported["recommended"]["metric"]["value"] > 60
    agreed(tmp_path / "agreed", teacher, unlabelled(tmp_path / "out", rows, "label"))
    texts = [row["text"] for row in agreeing(60, seed=9)]
    with open_checkpoint(teacher) as original:
        expected = [found[0]["token"] for found in original(texts)]
    with load(unpruned(out), runtime="onnxruntime") as deployed:
        found = [found[0]["token"] for found in deployed(texts, batch_size=1)]
    assert np.mean(np.array(found) == np.array(expected)) >= 0.98
    capfd.readouterr()
    assert main(["predict", str(out / "artifact"), "great a film the plot [MASK]"]) == 0
    assert capfd.readouterr().out.split()[0] == "good"
    done = main(["train", str(teacher), "--task", "fill-mask", "--data", str(data)])
    assert done == 2
    assert "--objective mlm" in capfd.readouterr().err
