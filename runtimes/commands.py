"""The commands of a device, where nothing but a runtime is installed: `python -m runtimes`.

`edgepress` without the extra `compress` has the same ones. They need numpy, tokenizers and a
runtime; `serve` needs the extra `serve`, too.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from runtimes.errors import EdgepressError
from runtimes.escaping import dump_json, escape_line

__all__ = ["COMMANDS", "main", "run_parsed"]

COMMANDS = ("predict", "check", "tune", "serve", "inspect", "doctor", "unpack")


def main(
    arguments: list[str] | None = None,
    *,
    program: str = "python -m runtimes",
    more: str | None = None,
) -> int:
    """Run a command; returns its exit code.

    Args:
        arguments: What was typed after the program's name; by default, what was.
        program: That name.
        more: What to say below the help.
    """
    from runtimes.serving.command import add_arguments, run_command
    from runtimes.versions import tool_version

    parser = argparse.ArgumentParser(prog=program, epilog=more)
    parser.add_argument("--version", action="version", version=f"edgepress {tool_version()}")
    commands = parser.add_subparsers(required=True, metavar="|".join(COMMANDS))

    def add(
        name: str, run: Callable[[argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(run=run)
        if name != "doctor":
            command.add_argument("artifact", help="its folder")
        return command

    predict = add("predict", _predict, "answer texts, a line each")
    predict.add_argument("texts", nargs="*", help="texts; without any, the lines of stdin")
    predict.add_argument("--runtime", help="by default what the manifest names first")
    predict.add_argument("--threads", type=int, help="CPU threads; by default all cores")
    check = add("check", _check, "run an artifact's self-test on this machine")
    check.add_argument("--device", default="cpu", help="cpu (default), cuda, gpu, npu ...")
    tune = add("tune", _tune, "find the fastest settings here, and keep them in the artifact")
    tune.add_argument("texts", type=Path, help="file with a text a line, such as it will be asked")
    serve = commands.add_parser("serve", help="answer over HTTP")
    add_arguments(serve)
    serve.set_defaults(run=run_command)
    inspect = add("inspect", _inspect, "list an artifact's files: is each as it should be?")
    doctor = add("doctor", _doctor, "show the runtimes and devices of this machine")
    unpack = commands.add_parser("unpack", help="unpack what edgepress deploy packed")
    unpack.set_defaults(run=_unpack)
    unpack.add_argument("file", help="a .tar.gz")
    unpack.add_argument("--to", required=True, help="folder to make")
    for command in (predict, check, tune, inspect, doctor):
        command.add_argument("--json", action="store_true", help="print JSON")
    given, left = parser.parse_known_args(arguments)
    if left and "texts" in given and isinstance(given.texts, list) and left[0][:1] != "-":
        given.texts += left  # behind an option, where argparse expects none
    elif left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return run_parsed(given)


def run_parsed(given: argparse.Namespace) -> int:
    """Run the command `given.run`; returns its exit code, or that of an error, which is said."""
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        return run(given)
    except EdgepressError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def _predict(given: argparse.Namespace) -> int:
    from runtimes.artifact import read_manifest
    from runtimes.loading import load

    pairs = read_manifest(given.artifact).pairs
    with load(given.artifact, runtime=given.runtime, threads=given.threads) as model:
        task = model.task
        for line in given.texts or _lines():
            text = line if pairs else line.replace("\t", " ")
            if not text.strip():
                sys.stdout.write("null\n" if given.json else "\n")
                continue
            parsed = task.parse([task.from_line(text)])
            answers = task.postprocess(
                model.outputs(parsed.inputs, 1),
                model.labels,
                model.problem_type,
                **dict(task.SPEC.shown),
            )
            [result] = parsed.shaped(answers)
            if given.json:
                sys.stdout.write(dump_json(task.record(text, result)) + "\n")
            else:
                for columns in task.lines(text, result):
                    sys.stdout.write("\t".join(map(escape_line, columns)) + "\n")
            sys.stdout.flush()
    return 0


def _lines() -> Iterable[str]:
    """Go through the lines of stdin.

    Raises:
        DataError: They are not UTF-8.
    """
    from runtimes.errors import DataError

    try:
        for line in sys.stdin.buffer:
            yield line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input is not UTF-8: {error.reason}") from error


def _check(given: argparse.Namespace) -> int:
    from runtimes.checks import check_artifact, render

    found = check_artifact(given.artifact, device=given.device)
    if given.json:
        _write_json([one.to_json() for one in found])
    else:
        sys.stdout.write(render(found))
    return 0 if any(one.right for one in found) and not any(one.wrong for one in found) else 1


def _tune(given: argparse.Namespace) -> int:
    from runtimes.artifact import read_manifest
    from runtimes.errors import DataError
    from runtimes.loading import load
    from runtimes.registry import get_task, runtime_title
    from runtimes.tuning import tune

    task = get_task(read_manifest(given.artifact).task)
    try:
        lines = given.texts.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{given.texts} cannot be read: {error}") from error
    texts = [task.from_line(line) for line in lines if line.strip()]
    found = tune(given.artifact, texts, open_with=load)
    if given.json:
        _write_json(found.to_json())
        return 0
    for one in found.tried:
        setting = one.setting
        words = [
            "failed" if one.p50_ms is None else f"{one.p50_ms:.3f} ms",
            f"{runtime_title(setting.runtime)} {setting.precision}, threads {setting.threads}",
            *(f"{name} {value}" for name, value in setting.options.items()),
        ]
        sys.stdout.write(f"{words[0]:>10}  {escape_line(', '.join(words[1:]))}\n")
    sys.stdout.write("the first is kept in tuning.json: load goes by it here\n")
    return 0


def _inspect(given: argparse.Namespace) -> int:
    from runtimes.errors import ArtifactError
    from runtimes.inventory import take_inventory

    found = take_inventory(Path(given.artifact))
    if given.json:
        files = {name: vars(file) for name, file in found.files.items()}
        _write_json({"files": files, "signature": found.signature, "problems": found.problems})
    else:
        if (manifest := found.manifest) is not None:
            labels = ", ".join(manifest.labels)
            sys.stdout.write(escape_line(f"{manifest.task}: {labels}") + "\n")
        sys.stdout.write(escape_line(f"signature: {found.signature}") + "\n")
        for name, file in found.files.items():
            line = f"{file.state:<10}  {name}  {file.size_bytes or 0:,}  {file.what}"
            sys.stdout.write(escape_line(line.rstrip()) + "\n")
    if found.problems:
        sys.stdout.flush()
        raise ArtifactError(
            "\n".join(found.problems), hint="Copy the artifact again, or export it anew."
        )
    return 0


def _doctor(given: argparse.Namespace) -> int:
    import platform

    from runtimes.cores import usable_cores
    from runtimes.registry import devices, get_runtime, runtime_names
    from runtimes.versions import installed_versions

    of_runtimes = [d for name in runtime_names() for d in get_runtime(name).DISTRIBUTIONS]
    machine = {
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": usable_cores(),
    }
    versions = installed_versions("edgepress", "numpy", "tokenizers", *of_runtimes)
    found = devices()
    if given.json:
        _write_json({**machine, "versions": versions, "devices": [vars(one) for one in found]})
        return 0
    for name, value in {**machine, **versions}.items():
        sys.stdout.write(f"{name:<14} {value}\n")
    for one in found:
        if one.available:
            sys.stdout.write(f"{one.runtime:<14} {one.device}: {one.detail}\n")
    for name in runtime_names():
        absent = [one for one in found if one.runtime == name]
        if not any(one.available for one in absent) and absent[0].hint:
            sys.stdout.write(escape_line(f"{name:<14} not here. {absent[0].hint}") + "\n")
    return 0


def _unpack(given: argparse.Namespace) -> int:
    from runtimes.unpacking import unpack

    sys.stdout.write(f"unpacked  {unpack(given.file, given.to)}\n")
    return 0


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
