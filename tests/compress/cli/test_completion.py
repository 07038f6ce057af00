"""Shells complete commands, options and presets, also of the short form `edgepress MODEL`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [
    "run",
    "train",
    "demo",
    "bench",
    "predict",
    "serve",
    "deploy",
    "unpack",
    "report",
    "inspect",
    "profile",
    "check",
    "clean",
    "sign",
    "verify",
    "recipe",
    "doctor",
]


def ask(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edgepress", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", **environment},
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def bash(line: str) -> list[str]:
    words = line.split(" ")
    return ask(
        COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), _EDGEPRESS_COMPLETE="complete_bash"
    ).split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("edgepress ", COMMANDS),
        ("edgepress re", ["report", "recipe"]),
        (
            "edgepress prdict --r",
            ["--runtimes", "--recipe", "--remeasure"],
        ),  # perhaps a model: nothing is refused
        ("edgepress run --max", ["--max-drop"]),
        ("edgepress ./model --max", ["--max-drop"]),
        ("edgepress --data x ./model --lab", ["--label-column"]),
        ("edgepress ./model --effort ", ["fast", "balanced", "best"]),
        ("edgepress recipe b", ["balanced", "best"]),
        ("edgepress bench a b --prec", ["--precision"]),
        ("edgepress ./mod", []),  # left to the shell, which knows files
    ],
)
def test_bash_is_told_what_may_follow(line: str, words: list[str]) -> None:
    assert bash(line) == words


def test_zsh_and_fish_are_told_what_it_means() -> None:
    asked = "edgepress ./model --max"
    shown = ask(_TYPER_COMPLETE_ARGS=asked, _EDGEPRESS_COMPLETE="complete_zsh")
    assert '"--max-drop":"Accuracy budget in points' in shown
    shown = ask(
        _TYPER_COMPLETE_ARGS=asked,
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _EDGEPRESS_COMPLETE="complete_fish",
    )
    assert shown.startswith("--max-drop\tAccuracy budget")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/edgepress.sh"),
        ("zsh", ".zfunc/_edgepress"),
        ("fish", ".config/fish/completions/edgepress.fish"),
    ],
)
def test_a_script_is_shown_and_installed(shell: str, file: str, tmp_path: Path) -> None:
    script = ask("--show-completion", shell)
    assert "_EDGEPRESS_COMPLETE=complete_" + shell in script
    ask("--install-completion", shell, HOME=str(tmp_path))
    assert (tmp_path / file).read_text().strip() == script.strip()


def test_the_other_name_has_a_script_of_its_own(tmp_path: Path) -> None:
    code = "import sys; sys.argv[0] = 'bin/compress'; from compress.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--show-completion", "bash"],
        capture_output=True,
        text=True,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        check=False,
    )
    assert "_COMPRESS_COMPLETE=complete_bash" in done.stdout
