"""The command where something is missing, closed, full or odd: its answer, or a sentence."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compress.cli.app import main

CODES = (0, 1, 2, 3)  # what errors of ours end with


@dataclass(frozen=True)
class Case:
    """An environment.

    Attributes:
        variables: Changes; None removes one.
        alone: Whether there are no other variables at all.
        prepare: Runs in the new process before the command does.
        before: Words before the command, such as `unshare -n`.
        folder: Which the command is run in.
        streams: Where input, output and errors go, as for `Popen`.
    """

    variables: Mapping[str, str | None] = field(default_factory=dict)
    alone: bool = False
    prepare: Callable[[], object] | None = None
    before: tuple[str, ...] = ()
    folder: str | None = None
    streams: Mapping[str, Any] = field(default_factory=dict)


def limited(kind: int, value: int) -> Case:
    return Case(prepare=lambda: resource.setrlimit(kind, (value, value)))


def closed(*descriptors: int) -> Case:
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return Case(prepare=close)


def unshared(*words: str, then: str = "") -> Case:
    """In namespaces of its own, after a line of shell."""
    shell = ("sh", "-c", f'{then}; exec "$@"', "sh") if then else ()
    return Case(before=("unshare", "-r", *words, *shell))


def hidden(path: str) -> Case:
    return unshared("-m", then=f"mount -t tmpfs none {path}")


CASES: dict[str, Case] = {
    "as it is": Case(),
    "no variables": Case(alone=True),
    "no HOME": Case({"HOME": None}),
    "HOME is not there": Case({"HOME": "/nowhere/at/all"}),
    "HOME is a file": Case({"HOME": "/etc/passwd"}),
    "HOME is /dev/null": Case({"HOME": "/dev/null"}),
    "HOME is /proc": Case({"HOME": "/proc"}),
    "HOME is empty": Case({"HOME": ""}),
    "POSIX": Case({"LC_ALL": "POSIX"}),
    "POSIX without UTF-8": Case({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "a locale that is not there": Case({"LC_ALL": "xx_XX.UTF-8"}),
    "streams in cp1252": Case({"PYTHONIOENCODING": "cp1252"}),
    "streams in ASCII": Case({"PYTHONIOENCODING": "ascii"}),
    "TMPDIR is not there": Case({"TMPDIR": "/nowhere/at/all"}),
    "TMPDIR is a file": Case({"TMPDIR": "/etc/passwd"}),
    "a terminal that is none": Case({"TERM": "dumb", "COLUMNS": "1", "LINES": "x"}),
    "columns": Case({"COLUMNS": "x", "NO_COLOR": "1"}),
    "no threads": Case({"OMP_NUM_THREADS": "0"}),
    "threads that are no number": Case({"OMP_NUM_THREADS": "x", "MKL_NUM_THREADS": "-1"}),
    "a time zone that is none": Case({"TZ": "Nowhere/At all"}),
    "optimized": Case({"PYTHONOPTIMIZE": "2"}),
    "warnings are errors": Case({"PYTHONWARNINGS": "error::RuntimeWarning"}),
    "another hash": Case({"PYTHONHASHSEED": "1"}),
    "a cache that is a file": Case({"EDGEPRESS_CACHE": "/etc/passwd", "HF_HOME": "/dev/null"}),
    "8 files": limited(resource.RLIMIT_NOFILE, 8),
    "16 files": limited(resource.RLIMIT_NOFILE, 16),
    "24 files": limited(resource.RLIMIT_NOFILE, 24),
    "no file may grow": limited(resource.RLIMIT_FSIZE, 0),
    "400 MB of addresses": limited(resource.RLIMIT_AS, 400_000_000),
    "1 GB of addresses": limited(resource.RLIMIT_AS, 1_000_000_000),
    "no core files": limited(resource.RLIMIT_CORE, 0),
    "no input": closed(0),
    "no output": closed(1),
    "no errors": closed(2),
    "no streams": closed(0, 1, 2),
    "a full disk": Case(streams={"stdout": "/dev/full"}),
    "errors to a full disk": Case(streams={"stderr": "/dev/full"}),
    "a reader who left": Case(streams={"stdout": "closed pipe"}),
    "input is a folder": Case(streams={"stdin": "/"}),
    "no rights for others": Case(prepare=lambda: os.umask(0o777)),
    "one core": Case(prepare=lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])),
    "the last place": Case(prepare=lambda: os.nice(19)),
    "pipes end it": Case(prepare=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)),
    "its children are reaped": Case(prepare=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)),
    "folder is gone": Case(prepare=lambda: (os.mkdir("gone"), os.chdir("gone"), os.rmdir("../gone"))),  # noqa: PTH102, PTH106, E501
    "the root folder": Case(folder="/"),
    "a folder of modules": Case(folder="modules"),
    "no network": unshared("-n"),
    "no /proc": hidden("/proc"),
    "no /sys": hidden("/sys"),
    "no /dev/shm": hidden("/dev/shm"),
    "no /tmp": unshared("-m", then="mount -t tmpfs -o ro none /var/tmp"),
    "nothing can be written": unshared("-m", then="mount -o remount,bind,ro /"),
}  # fmt: skip


@pytest.fixture(scope="module")
def can_unshare() -> bool:
    """Whether this process may have namespaces of its own, and mount in them."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-r", "-m", "-n", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(case: Case, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {} if case.alone else {"PATH": os.environ["PATH"], "HOME": str(folder)}
    changed = {**kept, **case.variables}
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    streams |= {"stderr": subprocess.PIPE}
    opened = []
    for name, place in case.streams.items():
        if place == "closed pipe":
            reader, streams[name] = os.pipe()
            os.close(reader)
        else:
            streams[name] = os.open(place, os.O_RDONLY if name == "stdin" else os.O_WRONLY)
        opened.append(streams[name])
    command = [str(Path(sys.executable).with_name("edgepress")), *arguments]
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    for name in ("export", "benchmarks", "compress", "runtimes"):
        (modules / f"{name}.py").write_text("raise SystemExit('another module')\n")
    try:
        return subprocess.run(
            [*case.before, *command],
            env={name: value for name, value in changed.items() if value is not None},
            cwd=folder / (case.folder or "."),
            preexec_fn=case.prepare,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
            **streams,
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)


def fault_of(
    done: subprocess.CompletedProcess[str], expected: str, *, heard: bool, said: bool
) -> str:
    """Return what is wrong with how a command ended.

    Args:
        done: The command.
        expected: What it should have written.
        heard: Whether its output can be seen.
        said: Whether its errors can.
    """
    errors = done.stderr or ""
    if "Traceback" in errors or done.returncode not in CODES:
        return f"{done.returncode} {errors[-300:]}"
    if done.returncode == 0:
        return f"wrote {done.stdout!r}" if heard and done.stdout != expected else ""
    return "" if "error:" in errors or not said else f"{done.returncode} without a word: {errors}"


def kind_of(case: Case) -> str:
    """Return what of the environment is odd."""
    for kind in ("before", "streams", "folder", "prepare"):
        if getattr(case, kind):
            return kind
    return "variables"


FEW = {"variables": 2, "prepare": 4, "streams": 1, "folder": 1, "before": 1}


def test_environments(
    published: Path, tally: Any, chosen: Any, tmp_path: Path, can_unshare: bool, capsys: Any
) -> None:
    commands = [["predict", str(published), "a lovely film"], ["inspect", str(published)]]
    expected = {}
    for arguments in commands:
        assert main(arguments) == 0
        expected[arguments[0]] = capsys.readouterr().out
    assert expected["predict"].startswith("better\t")
    assert len(CASES) >= 34
    cases = [
        each
        for kind, few in FEW.items()
        for each in chosen([name for name, case in CASES.items() if kind_of(case) == kind], few)
    ]
    for number, name in enumerate(cases):
        case = CASES[name]
        if case.before and not can_unshare:
            continue
        for arguments in tally.doors(commands, number):
            done = run(case, arguments, tmp_path)
            fault = fault_of(
                done,
                expected[arguments[0]],
                heard="stdout" not in case.streams and name not in ("no output", "no streams"),
                said="stderr" not in case.streams and name not in ("no errors", "no streams"),
            )
            refused = done.returncode != 0
            tally.count(f"{arguments[0]}: {name}", fault=fault, refused=refused)
