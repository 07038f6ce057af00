"""A device behind ssh: addresses, and a real sshd on this machine whose Python has little."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from profiles import ABSENT

from benchmarks.report import load_report
from compress.cli.app import main
from compress.errors import DeviceUnavailableError, ProfileError, UsageError
from compress.pipeline.remote import SSH, Address, connected
from compress.system.progress import SilentProgress

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
BLOCKER = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
PasswordAuthentication no
PidFile none
SetEnv TMPDIR={folder}/tmp EDGEPRESS_PATIENCE=0
"""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://board", Address("board")),
        ("ssh://pi@board.local:2222", Address("board.local", "pi", 2222)),
        (
            "ssh://pi@board/opt/venv/bin/python",
            Address("board", "pi", None, "/opt/venv/bin/python"),
        ),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.read(text) == address
    command = address.command("true")
    assert command[command.index("--") + 1 :] == [address.host, "true"]


@pytest.mark.parametrize(
    "text",
    [
        *("board", "http://board", "ssh://", "ssh://pi:secret@board", "ssh://board?x", "ssh://a b"),
        *("ssh://-oProxyCommand=id", "ssh://-oProxyCommand=id@board", "ssh://board:port"),
        *("ssh://board;id", "ssh://$(id)@board"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Address.read(text)
    assert "ssh://user@host" in str(refused.value.hint)


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for command, error in (
        ("sh -c 'echo no route >&2; exit 255'", DeviceUnavailableError),
        ("sh -c 'echo No module named numpy >&2; exit 1'", ProfileError),
        ("/nowhere/ssh", DeviceUnavailableError),
        ("echo ../..", ProfileError),  # gives no folder
    ):
        monkeypatch.setenv(SSH, command)
        with pytest.raises(error), connected(Address("board"), SilentProgress()):
            pass


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a device: an sshd of our own, and a Python that finds a device's packages."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("there is no sshd here (apt-get install openssh-server)")
    folder = tmp_path / "device"
    (folder / "tmp").mkdir(parents=True)
    (folder / "absent").mkdir()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which it asks for
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    (folder / "absent" / "sitecustomize.py").write_text(BLOCKER.format(absent=ABSENT))
    python = folder / "python"
    found = f'PYTHONPATH="$PYTHONPATH:{folder}/absent"'
    python.write_text(f'#!/bin/sh\n{found} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    known = f"-o UserKnownHostsFile={folder}/known -o StrictHostKeyChecking=no"
    monkeypatch.setenv(SSH, f"ssh -F none -i {folder}/user {known}")
    with subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL
    ) as server:
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}{python}"
        server.terminate()


@pytest.mark.minutes
def test_a_family_is_made_and_measured_over_ssh(
    device: str, task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    arguments = [str(task.model), "--data", str(task.data), "--out", str(out), "--effort", "fast"]
    arguments += ["--runtimes", "onnxruntime", "--max-drop", "50", "benchmark.baselines=[]"]
    arguments += ["benchmark.latency_table_seconds=0.2", "--device", device]
    assert main(arguments) == 0
    report = load_report(out / "report.json")
    timed = {row.id for row in report.rows if row.end_to_end_ms is not None}
    assert timed == {"prune-onnxruntime"}
    assert report.method["device"]["measured"]
    assert "were expected" in " ".join(report.notes)
    assert list((tmp_path / "device" / "tmp").iterdir()) == []  # nothing is left there
    (kept,) = (tmp_path / "cache" / "devices").iterdir()
    before = kept.stat().st_mtime_ns
    assert main([*arguments, "--seed", "0"]) == 0
    assert kept.stat().st_mtime_ns == before  # the device is measured once
