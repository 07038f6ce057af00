"""What somebody types on the first day: each is answered with what was meant."""

import base64
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reports import report_of
from tiny_artifact import LABELS, write_tiny

from benchmarks.report import save_report
from compress.cli import app as cli
from compress.cli.app import main
from runtimes.versions import tool_version

COMMAND = (sys.executable, "-m", "edgepress")
ENTRY = "import sys; {}; from edgepress.compress.cli.entry import main; sys.exit(main())"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name has a blank, with an artifact and a run's report."""
    folder = tmp_path_factory.mktemp("new") / "my models"
    write_tiny(folder / "artifact")
    (folder / "out").mkdir()
    save_report(report_of("text-classification"), folder / "out" / "report.json")
    (folder / "words.jsonl").write_text(
        "".join(f'{{"tokens": ["to", "Rome{n}"], "tags": ["O", "B-city"]}}\n' for n in range(40))
    )
    (folder / "texts.txt").write_text("dull\n")
    (folder / "films.csv").write_text(
        "text,label\n" + "".join(f"film {n},{label}\n" for n in range(30) for label in LABELS)
    )
    (folder / "artifact" / "config.json").write_text('{"model_type": "bert"}')
    key = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
    (folder / "key.pub").write_text(f"ssh-ed25519 {key} somebody\n")
    return folder


def said_of(arguments: list[str], code: int, capfd: Any) -> str:
    """What a command that fails says on stderr, all of it."""
    assert main(arguments) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return str(captured.err)


# --- data of another task ---


def test_tags_for_a_classifier_are_said_to_be(
    task: Any, place: Path, tmp_path: Path, capfd: Any
) -> None:
    data, out = place / "words.jsonl", str(tmp_path / "out")
    said = said_of([str(task.model), "--data", str(data), "--out", out], 1, capfd)
    assert (
        f"{data}: this looks like token-classification data; the model is a text classifier" in said
    )
    said = said_of(["bench", str(task.model), "--data", str(data)], 1, capfd)
    assert "this looks like token-classification data" in said
    said = said_of(["train", str(task.model), "--data", str(data), "--out", out], 1, capfd)
    assert said.splitlines()[-1].strip() == "add --task token-classification"
    assert not Path(out).exists()


# --- the next command, as a shell takes it ---

# What is typed, its exit code, and the words of the command that is to be tried.
NEXT: dict[str, tuple[list[str], int, list[str]]] = {
    "no data for a run": (["{p}/bert"], 2, ["edgepress", "{p}/bert", "--data", "my-data.csv"]),
    "data without its option": (
        ["{p}/bert", "{p}/x.csv"], 2, ["edgepress", "{p}/bert", "--data", "{p}/x.csv"],
    ),
    "no data for a training": (
        ["train", "{p}/bert"], 2, ["edgepress", "train", "{p}/bert", "--data", "my-data.csv"],
    ),
    "no data for a benchmark": (
        ["bench", "{p}/a", "{p}/b"], 2,
        ["edgepress", "bench", "{p}/a", "{p}/b", "--data", "my-data.csv"],
    ),
    "no data for tuning": (
        ["bench", "{p}/a", "--tune"], 2,
        ["edgepress", "bench", "{p}/a", "--tune", "--data", "my-data.csv"],
    ),
    "tuning several": (
        ["bench", "{p}/a", "{p}/b", "--tune"], 2,
        ["edgepress", "bench", "{p}/a", "--tune", "--data", "my-data.csv"],
    ),
    "a file for a text": (
        ["predict", "{p}/artifact", "{p}/texts.txt"], 2,
        ["edgepress", "predict", "{p}/artifact", "--file", "{p}/texts.txt"],
    ),
    "no text": (
        ["predict", "{p}/artifact"], 2, ["edgepress", "predict", "{p}/artifact", "some text"],
    ),
    "a checkpoint for an artifact": (
        ["predict", "{p}/bert", "x"], 1, ["edgepress", "{p}/bert", "--data", "DATA"],
    ),
    "an artifact for a checkpoint": (
        ["{p}/artifact", "--data", "{p}/words.jsonl", "--out", "{p}/new"], 1,
        ["edgepress", "predict", "{p}/artifact"],
    ),
    "an artifact without a signature": (
        ["predict", "{p}/artifact", "x", "--trusted", "{p}/key.pub"], 1,
        ["edgepress", "sign", "{p}/artifact", "--key", "KEY"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), NEXT.values(), ids=NEXT)
def test_what_to_try_is_quoted(
    arguments: list[str],
    code: int,
    words: list[str],
    place: Path,
    task: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    if not (place / "bert").exists():
        (place / "bert").symlink_to(task.model)
    said = said_of([each.format(p=place) for each in arguments], code, capfd)
    line = next(line for line in said.splitlines() if "edgepress " in line)
    typed = shlex.split(line[line.index("edgepress ") :])
    assert typed == [each.format(p=place) for each in words]


def test_clean_names_its_own_command(task: Any, tmp_path: Path, capfd: Any) -> None:
    out = tmp_path / "my out"
    (out / ".edgepress" / "tables").mkdir(parents=True)
    (out / ".edgepress" / "tables" / "x").write_text("x" * 100)
    assert main(["clean", str(out)]) == 0
    line = capfd.readouterr().err.splitlines()[-1]
    assert shlex.split(line[line.index("edgepress ") :]) == [
        "edgepress",
        "clean",
        str(out),
        "--yes",
    ]


# --- what is read by others ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "out/report.json"],
        ["bench", "--compare", "out", "out"],
        ["report", "out"],
        ["predict", "artifact", "a gorgeous film \u732b"],
        ["doctor"],
        ["recipe", "fast"],
        ["--help"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_goes_to_a_file_is_utf8(arguments: list[str], place: Path) -> None:
    """Where Windows redirects, Python would write cp1252."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=place,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)
    shown = done.stdout.decode("utf-8")
    if arguments[0] == "inspect":
        assert "17.8\u00d7" in shown
    if arguments[0] == "predict":
        assert shown.endswith("\u732b\n")


def test_inspect_is_as_wide_as_the_terminal(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """And 120 columns where there is none."""

    def widths() -> list[int]:
        assert main(["inspect", str(place / "out")]) == 0
        plain = re.sub(r"\x1b\[[\d;]*m", "", capfd.readouterr().out)
        assert "17.8" in plain
        return [len(line) for line in plain.splitlines()]

    assert 80 < max(widths()) <= 120
    monkeypatch.setenv("FORCE_COLOR", "1")
    for columns in (72, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert columns - 20 < max(widths()) <= columns


# --- where less is installed ---


@pytest.mark.parametrize(
    ("absent", "arguments"),
    [
        ("typer", ["bench", "artifact", "--tune", "--data", "words.jsonl"]),
        ("pandas", ["bench", "artifact", "--tune", "--data", "data.parquet"]),
        ("yaml", ["recipe"]),
    ],
)
def test_a_command_names_the_install_that_has_what_it_lacks(
    absent: str, arguments: list[str], place: Path
) -> None:
    (place / "data.parquet").write_bytes(b"PAR1")
    code = ENTRY.format(f"sys.modules[{absent!r}] = None")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert f"error: this needs the extra [compress]: {absent} is not installed" in done.stderr
    wheel = f"edgepress-{tool_version()}-py3-none-any.whl"
    assert f'pip install "{wheel}[compress]", or in a clone: pip install ".[compress]"' in (
        done.stderr
    )
    here = "commands that work without it: predict, check, tune, serve, inspect, doctor, unpack\n"
    assert done.stderr.endswith(here) == (absent == "typer")


def test_a_device_has_the_commands_that_need_no_more(place: Path) -> None:
    def edgepress(*arguments: str) -> "subprocess.CompletedProcess[str]":
        code = ENTRY.format("sys.modules['typer'] = None")
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=place, capture_output=True, text=True, check=False,
        )  # fmt: skip

    answered = edgepress("predict", "artifact", "dull")
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout.endswith("\tdull\n")
    for asked in (["help"], ["--help"], []):
        shown = edgepress(*asked)
        assert shown.returncode == 0
        assert "usage: edgepress" in shown.stdout
        assert "[compress]" in shown.stdout
    assert edgepress("version").stdout == f"edgepress {tool_version()}\n"


def test_a_module_of_ours_that_is_not_there_is_no_missing_package() -> None:
    from compress.cli.entry import missing

    assert missing(ModuleNotFoundError("x", name="runtimes.nothing")) is None
    assert missing(ModuleNotFoundError("x", name="pandas.core")) is not None


# --- help ---

CHOICES = {
    "run": ["[fast|balanced|best]", "Labelled text (or --unlabelled)"],
    "train": ["[task|mlm|mlm+nsp]", "Labelled text (required)", "token-classification"],
    "bench": ["[cpu|cuda|gpu|npu]", "[fp32|bf16|fp16|int8]", "Labelled text (required)"],
    "predict": ["[tsv|jsonl|csv]", "[onnxruntime|openvino]", "[cpu|cuda|gpu|npu]"],
}


@pytest.mark.parametrize(
    "name", [command.callback.__name__ for command in cli.app.registered_commands]
)  # type: ignore[union-attr]
def test_help_shows_choices_and_two_examples(name: str, capfd: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([name, "--help"]) == 0
    shown = capfd.readouterr().out
    assert [words for words in CHOICES.get(name, []) if words not in shown] == []
    options, _, examples = shown.partition("Examples:")
    assert re.findall(r"--\S+.*<(?:bool|str|float|int|path)", options) == []
    assert (
        len(
            re.findall(
                rf"^\s*(?:edgepress )(?:{name}\b|\S+ --data)|^\s*edgepress {name}", examples, re.M
            )
        )
        >= 2
    )
    assert main(["--help"]) == 0
    assert "docs/index.md" in capfd.readouterr().out


# --- spellings, and what is not there ---

LOOKS: dict[str, tuple[list[str], int, list[str]]] = {
    "PyTorch's name of a device": (
        ["predict", "{p}/artifact", "x", "--device", "CUDA"], 3, ["cuda", "pip install"],
    ),
    "PyTorch's name of the first device": (
        ["predict", "{p}/artifact", "x", "--device", "cuda:0"], 3, ["cuda", "pip install"],
    ),
    "a benchmark on a device that the installed runtime does not have": (
        ["bench", "{p}/artifact", "--data", "{p}/films.csv", "--device", "cuda"],
        3, ["artifact cannot be measured on cuda", "pip install"],
    ),
    "training on nothing": (
        ["train", "{p}/nothing", "--data", "{p}/words.jsonl", "--task", "token-classification",
         "--out", "{p}/new"],
        1, ["nothing: no such folder", "hub"],
    ),
    "one speed-up": (
        ["{p}/bert", "--data", "x", "speedups=2"], 2, ["'speedups'", "a list, such as [2, 4]"],
    ),
    "speed-ups the wrong way round": (
        ["{p}/bert", "--data", "x", "speedups=[2,1]"], 2,
        ["'speedups': they start above 1 and grow (got [2, 1])", "a list, such as [2, 4]"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), LOOKS.values(), ids=LOOKS)
def test_what_is_meant_is_understood_or_named(
    arguments: list[str], code: int, words: list[str], place: Path, capfd: Any
) -> None:
    said = said_of([each.format(p=place) for each in arguments], code, capfd)
    assert [word for word in words if word not in said] == []


def test_threads_are_passed_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import runtimes

    seen: list[Any] = []
    real: Callable[..., Any] = runtimes.load
    monkeypatch.setattr(
        runtimes, "load", lambda *a, **options: seen.append(options) or real(*a, **options)
    )
    assert main(["predict", str(place / "artifact"), "dull", "--threads", "1"]) == 0
    assert seen[0]["threads"] == 1
