"""The model card: what the hub reads of it, what a person does, and code that runs as it stands."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_artifact import describe_tiny, write_tiny_files

from export.card import Measured, in_words, render_card
from export.examples import example
from export.origin import Origin, read_origin
from export.package import export_artifact
from runtimes import load
from runtimes.artifact import write_artifact
from runtimes.registry import get_task, task_names

CONFIGS: dict[str, dict[str, Any]] = {
    "text-classification": {},
    "token-classification": {"first_token_last_layer": False},
    "question-answering": {
        "first_token_last_layer": False,
        "num_labels": 2,
        "id2label": {0: "LABEL_0", 1: "LABEL_1"},
    },
    "fill-mask": {"first_token_last_layer": False},
    "multiple-choice": {"num_labels": 1, "id2label": {0: "LABEL_0"}},
    "sentence-embedding": {"first_token_last_layer": False, "normalized": True},
}
METRIC = {"name": "accuracy", "value": 88.091, "low": 84.67, "high": 91.0, "n": 436}
MEASURED = Measured(
    title="Text classification on films: sad, fine, glad",
    summary="It is 7 times as fast.",
    table="| a |\n| - |\n",
    data="films",
    metric=METRIC,
    differing=(23, 436),
)
Make = Callable[..., Path]


@pytest.fixture
def make(
    lean: Callable[..., Any], tokenizer: Any, texts: list[str], tmp_path: Path, monkeypatch: Any
) -> Make:
    """`make(task)` exports a model of a task as `artifact` in the working directory."""
    monkeypatch.chdir(tmp_path)

    def made(task: str, *, pairs: bool = False, **options: Any) -> Path:
        config = {"head": get_task(task).SPEC.head, **CONFIGS[task]}
        known = ("problem_type", "num_labels", "id2label")
        changes = {name: options.pop(name) for name in known if name in options}
        two = pairs or task in ("question-answering", "multiple-choice")
        export_artifact(
            tmp_path / "artifact",
            module=lean(**{**config, **changes}),
            tokenizer=tokenizer,
            plan=None,
            max_length=16,
            checks=[("a b", text) for text in texts] if two else texts,
            **options,
        )
        return Path("artifact")

    return made


@pytest.fixture
def tiny(tmp_path: Path) -> Make:
    """`tiny(**changes)` writes an artifact that nothing is asked of."""

    def made(**changes: Any) -> Path:
        folder = tmp_path / "artifact"
        write_artifact(folder, replace(describe_tiny(), **changes), write_tiny_files)
        return folder

    return made


def snippets(card: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", card, re.M | re.S)


def front_matter(card: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(card.split("---\n", 2)[1])
    return values


def ran(code: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, Any]]:
    """What a snippet prints, and its names."""
    capsys.readouterr()
    names: dict[str, Any] = {}
    exec(compile(code, "the card", "exec"), names)
    return capsys.readouterr().out, names


# --- code that runs ---


@pytest.mark.parametrize("task", task_names())
def test_python_runs_as_it_stands_and_both_answer_alike(
    task: str, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(task)
    card = render_card(folder, Origin("m"), MEASURED)
    ours, plain, *usual = snippets(card, "python")
    check_others(task, card, usual)
    with load(folder) as ask:
        expected = ask(example(folder))
        vectors = ask.outputs(ask.task.parse([example(folder)]).inputs).logits
    shown, names = ran(ours, capsys)
    assert shown.strip() == f"{expected}"
    shown, names = ran(plain, capsys)
    if task == "text-classification":
        label, score = shown.split()
        assert label == expected[0]["label"]
        assert float(score) == pytest.approx(expected[0]["score"], abs=1e-4)
    elif task == "token-classification":
        labels = [line.split(" ") for line in shown.splitlines()]
        assert [label for _, label in labels[1:-1]] == [
            each["entity"] for each in ask_tokens(folder)
        ]
    elif task in ("question-answering", "multiple-choice"):
        assert shown.strip() == expected["answer"]
    elif task == "fill-mask":
        assert eval(shown)[0] == expected[0]["token_str"]
    else:
        np.testing.assert_allclose(names["vector"], vectors[0], atol=1e-4)


def check_others(task: str, card: str, usual: list[str]) -> None:
    """Other libraries are asked by their usual calls; that they answer is told by tests below."""
    if task == "multiple-choice":  # which they have no pipelines for
        assert usual == snippets(card, "js") == []
        return
    compile(usual[0], "the card", "exec")
    name = get_task(task).SPEC.model_suffix or "ForFeatureExtraction"
    assert f"from optimum.onnxruntime import ORTModel{name}\n" in usual[0]
    (script,) = snippets(card, "js")
    kind = "feature-extraction" if task == "sentence-embedding" else task
    assert f'await pipeline("{kind}", "artifact")' in script


def ask_tokens(folder: Path) -> list[dict[str, Any]]:
    with load(folder) as ask:
        found: list[dict[str, Any]] = ask(example(folder), aggregation_strategy="none")
    return found


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_other_kinds_of_labels_are_read_as_they_are_meant(
    problem: str, make: Make, lean: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"num_labels": 1, "id2label": {0: "score"}} if problem == "regression" else {}
    folder = make("text-classification", problem_type=problem, **one)
    _, plain, *_ = snippets(render_card(folder, Origin("m"), MEASURED), "python")
    shown, _ = ran(plain, capsys)
    with load(folder) as ask:
        answers = ask(example(folder), top_k=None)
    if problem == "regression":
        assert float(shown) == pytest.approx(next(iter(answers))["score"], abs=1e-4)
    else:
        likely = {each["label"]: each["score"] for each in answers if each["score"] > 0.5}
        assert eval(shown) == pytest.approx(likely, abs=1e-4)


def test_pairs_are_asked_as_pairs(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make("text-classification", pairs=True)
    card = render_card(folder, Origin("m"), MEASURED)
    ours, plain, usual = snippets(card, "python")
    assert "ask(('some text', 'another text'))" in ours
    assert "ask({'text': 'some text', 'text_pair': 'another text'})" in usual
    with load(folder) as ask:
        assert ran(plain, capsys)[0].split()[0] == ask(("some text", "another text"))["label"]
    assert snippets(card, "js") == []
    assert "the longer text is cut" in card


def test_what_a_runtime_alone_can_do_is_all_that_is_shown(make: Make) -> None:
    card = render_card(make("text-classification", runtimes=("openvino",)), Origin("m"), MEASURED)
    assert "onnxruntime" not in card
    _, usual = snippets(card, "python")
    assert "from optimum.intel import OVModelForSequenceClassification\n" in usual
    assert snippets(card, "js") == []
    assert " or " not in snippets(card, "bash")[0]


# Where tests/interop keeps environments of other libraries.
INTEROP = Path(os.environ.get("EDGEPRESS_INTEROP") or Path.home() / ".cache" / "edgepress-interop")
ELSEWHERE = [name for name in task_names() if name != "multiple-choice"]


@pytest.mark.minutes
@pytest.mark.parametrize("task", ELSEWHERE)
def test_optimum_runs_it_as_it_stands(task: str, make: Make) -> None:
    python = INTEROP / "optimum-onnx" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: tests/interop makes it")
    *_, usual = snippets(render_card(make(task), Origin("m"), MEASURED), "python")
    done = subprocess.run([python, "-c", usual], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()[-1]
    with load("artifact") as ask:
        expected = ask(example(Path("artifact")))
    if task == "text-classification":
        assert eval(shown)[0]["label"] == expected[0]["label"]
    elif task == "question-answering":
        assert eval(shown)["answer"] == expected["answer"]
    elif task == "token-classification":
        assert eval(shown, {"np": np})[0]["entity"] == ask_tokens(Path("artifact"))[0]["entity"]
    elif task == "fill-mask":
        assert eval(shown)[0]["token_str"] == expected[0]["token_str"]
    else:
        assert shown == "torch.Size([32])"


@pytest.mark.minutes
@pytest.mark.parametrize("task", ELSEWHERE)
def test_javascript_runs_it_as_it_stands(task: str, make: Make, tmp_path: Path) -> None:
    modules = INTEROP / "js" / "node_modules"
    if not modules.exists():
        pytest.skip(f"{modules} is not there: tests/interop makes it")
    (script,) = snippets(render_card(make(task), Origin("m"), MEASURED), "js")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "card.mjs").write_text(script)
    done = subprocess.run(["node", "card.mjs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with load("artifact") as ask:
        expected = ask(example(Path("artifact")))
    if task == "text-classification":
        assert f"label: '{expected[0]['label']}'" in done.stdout
    elif task == "question-answering":
        assert "answer: " in done.stdout  # none, of a model that is not trained
    else:
        assert done.stdout.strip()


# --- what the hub reads ---


def test_the_front_matter_says_what_the_hub_asks_for(tiny: Make) -> None:
    folder = tiny(models=(replace(describe_tiny().models[0], precision="int8"),))
    origin = Origin(
        "bert", hub_id="ada/bert", license="apache-2.0", languages=("en",), datasets=("sst2",)
    )
    card = render_card(folder, origin, replace(MEASURED, data="imdb", data_id="stanford/imdb"))
    front = front_matter(card)
    assert front == {
        "license": "apache-2.0",
        "language": ["en"],
        "base_model": "ada/bert",
        "base_model_relation": "quantized",
        "datasets": ["sst2", "stanford/imdb"],
        "metrics": ["accuracy"],
        "library_name": "edgepress",
        "pipeline_tag": "text-classification",
        "tags": ["edgepress", "onnx", "int8"],
        "model-index": front["model-index"],
    }
    (index,) = front["model-index"]
    (result,) = index["results"]
    assert result["dataset"] == {"type": "stanford/imdb", "name": "imdb"}
    assert result["metrics"] == [
        {
            "type": "accuracy",
            "value": 88.09,
            "name": "accuracy, 95% interval 84.67 to 91 on 436 examples",
            "args": {"interval": 0.95, "low": 84.67, "high": 91.0, "n": 436},
        }
    ]
    assert "## Not known" not in card


def test_what_the_original_does_not_say_is_left_out_and_said(tiny: Make) -> None:
    folder = tiny()
    card = render_card(folder, Origin("bert"), replace(MEASURED, metric=None))
    assert front_matter(card).keys() == {"library_name", "pipeline_tag", "tags"}
    _, _, unknown = card.partition("## Not known")
    assert "License: bert states none" in unknown
    assert "Base model: bert is no model of the hub" in unknown
    assert "Language: bert states none" in unknown
    origin = Origin("bert", license="mit", base_models=("x/y",), languages=("en",))
    card = render_card(folder, origin, MEASURED)
    assert front_matter(card)["base_model_relation"] == "finetune"
    assert "## Not known" not in card


@pytest.mark.parametrize("name", ["plain", 'quoted "name": #1', "naïve\nlines", "- [x]: {y}"])
def test_names_are_valid_yaml(name: str, tiny: Make) -> None:
    card = render_card(tiny(), Origin(name), replace(MEASURED, data=name))
    (index,) = front_matter(card)["model-index"]
    assert index["name"] == f"{name}-edgepress"
    assert index["results"][0]["dataset"]["name"] == name


# --- what a person reads ---


def test_limits_and_how_it_was_made_are_sentences(tiny: Make) -> None:
    steps = ({"stage": "prune", "in_words": "Parts were removed.", "heads": [1, 2]},)
    card = render_card(tiny(lineage=steps), Origin("bert"), MEASURED)
    assert "\n# Text classification on films: sad, fine, glad\n" in card
    assert "This is a text classifier in FP32, made from bert, with files for ONNX Runtime" in card
    assert "The longest input has 16 tokens, special ones included. Of longer ones the rest" in card
    assert "On 23 of 436 examples it answers otherwise than the original" in card
    assert "1. Parts were removed." in card
    assert "[1, 2]" not in card
    assert "\n\n\n" not in re.sub(r"^```.*?^```$", "code", card, flags=re.M | re.S)
    assert "Labels: sad, fine, glad." in card
    many = tuple(f"B-kind_{place}" for place in range(40))
    card = render_card(tiny(labels=many), Origin("bert"), MEASURED)
    assert "It has 40 labels, such as B-kind" in card
    assert card.count("kind") < 10
    windows = render_card(tiny(task="question-answering"), Origin("bert"), MEASURED)
    assert "A window has 16 tokens, question included" in windows


def test_a_step_without_words_is_told_by_its_plain_values() -> None:
    assert (
        in_words({"stage": "fold", "parts": 3, "lists": [1], "more": {"a": 1}}) == "fold: parts 3."
    )
    assert in_words({"stage": "fold"}) == "fold."
    assert in_words({}) == "?."


# --- what is known of the original ---

CARD = """---
license: other
license_name: mine
license_link: https://example.org
language: en
base_model:
- google/bert
datasets: [sst2, 7, "a\\u202eb"]
---
# words
license: mit
"""


def test_the_original_s_card_is_read(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    assert read_origin(str(tmp_path), tmp_path) == Origin(
        tmp_path.name,
        license="other",
        license_name="mine",
        license_link="https://example.org",
        base_models=("google/bert",),
        languages=("en",),
        datasets=("sst2",),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# no front matter",
        b"---\n- a list\n---\n",
        b"---\na: &a [x]\nlicense: *a\n---\n",
        b"---\nlicense: [mit]\n---\n",
        b"---\nlicense: {\n---\n",
        b"---\nlicense: !!python/object:os.system x\n---\n",
        b"---\nlicense: \xff\n---\n",
        b"---\nlicense: " + b"[" * 5000 + b"\n---\n",
        b"---\nlicense: mit\n---\n" + b"x" * 300_000,
    ],
)
def test_a_card_that_is_none_says_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(content)
    assert read_origin(str(tmp_path), tmp_path) == Origin(tmp_path.name)


def test_a_configuration_may_state_the_licence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"license": "apache-2.0"}))
    assert read_origin(str(tmp_path), tmp_path).license == "apache-2.0"
