"""Does the steps of a parsed Dockerfile in roots of their own, and runs the result, without Docker.

    unshare --mount --net --pid --fork python container.py CONTEXT WORK BASE < steps.json

The base image is this machine's system and a Python, read-only; there is no network but the
loopback of a namespace. What runs then has the rights that the Dockerfile and compose file give it:
another user, no capabilities, a root that cannot be written to, an empty /tmp.
"""

import fcntl
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")


class Stage:
    """A root, and what the instructions said of it so far."""

    def __init__(self, root: Path, base: Path) -> None:
        self.root, self.base, self.folder = root, base, "/"
        self.variables = {"PATH": f"{base}/bin:/usr/bin:/bin"}
        self.said: dict[str, list[str]] = {}
        root.mkdir()
        for name in (*SYSTEM, str(base)):
            source, place = Path(name), root / name.lstrip("/")
            if source.is_symlink() and name in ("/bin", "/lib", "/lib64"):
                place.symlink_to(source.readlink())
                continue
            if not source.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir() if source.is_dir() else place.touch()
            mount("--bind", name, str(place))
            mount("-o", "remount,bind,ro", str(place))
        for name in ("proc", "tmp"):
            (root / name).mkdir()
        mount("-t", "proc", "proc", str(root / "proc"))

    def chrooted(self, command: list[str], *options: str) -> list[str]:
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        inside = ["chroot", *options, str(self.root), "env", "-i", "-C", self.folder, *variables]
        return [*inside, *command]


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def build(steps: list[dict[str, Any]], context: Path, work: Path, base: Path) -> Stage:
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for step in steps:
        kind, values = step["cmd"].upper(), step["value"]
        if kind == "FROM":
            stage = Stage(work / str(len(stages)), base)
            stages[values[2] if len(values) == 3 else ""] = stage
        elif kind not in ("ARG", "EXPOSE", "STOPSIGNAL"):
            assert stage is not None
            sources = [flag.partition("=")[2] for flag in step["flags"] if "--from=" in flag]
            do(kind, values, stage, stages[sources[0]].root if sources else context)
    assert stage is not None
    return stage


def do(kind: str, values: list[str], stage: Stage, origin: Path) -> None:
    folder = stage.root / stage.folder.lstrip("/")
    if kind == "WORKDIR":
        stage.folder = values[0]
        (stage.root / stage.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif kind == "COPY":
        source = origin / values[0].lstrip("/")
        target = (stage.root / values[1].lstrip("/")) if values[1][0] == "/" else folder / values[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target, **({"symlinks": True} if source.is_dir() else {}))
    elif kind == "RUN":
        done = subprocess.run(
            stage.chrooted(["sh", "-c", values[0]]), stdout=sys.stderr, check=False
        )
        assert done.returncode == 0, values
    elif kind == "ENV":
        # The parser gives triples of name, value and "=".
        stage.variables |= dict(zip(values[::3], values[1::3], strict=True))
    else:
        assert kind in ("USER", "ENTRYPOINT", "CMD", "HEALTHCHECK"), kind
        stage.said[kind] = values


def lock_down(stage: Stage) -> None:
    """Make the root read-only, but for an empty /tmp."""
    mount("--rbind", str(stage.root), str(stage.root))
    mount("-o", "remount,bind,ro", str(stage.root))
    mount("-t", "tmpfs", "tmpfs", str(stage.root / "tmp"))


def bring_up_loopback() -> None:
    with socket.socket() as any_socket:
        flags = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # up, running
        fcntl.ioctl(any_socket, 0x8914, flags)  # SIOCSIFFLAGS


def main() -> None:
    context, work, base = map(Path, sys.argv[1:4])
    mount("--make-rprivate", "/")
    stage = build(json.load(sys.stdin), context, work, base)
    bring_up_loopback()
    lock_down(stage)
    # Without capabilities, also none that a program with set-user-id could get back.
    rights = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    user = f"--userspec={stage.said['USER'][0]}"
    entry, health = stage.said["ENTRYPOINT"], stage.said["HEALTHCHECK"]
    assert health[0] == "CMD"

    def inside(command: list[str]) -> list[str]:
        return stage.chrooted([*rights, *command], user)

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(inside(command), capture_output=True, text=True, check=False)

    check = run([*entry, "check", "/artifact"])
    writing = run(["sh", "-c", "id -u; touch /artifact/x || touch /opt/x || touch /x"])
    asks = (
        "import json, sys, urllib.request as r; q = r.Request('http://127.0.0.1:8000/predict', "
        "json.dumps({'inputs': sys.argv[1]}).encode()); print(r.urlopen(q).read().decode())"
    )
    python = entry[0]
    server = subprocess.Popen(
        inside([*entry, *stage.said["CMD"]]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    for _ in range(100):
        if (healthy := run(health[1:])).returncode == 0:
            break
        time.sleep(0.2)
    answered = run([python, "-I", "-c", asks, "the sun rises"])
    server.send_signal(signal.SIGTERM)
    said = server.communicate(timeout=60)[0].decode()
    json.dump(
        {
            "check": [check.returncode, check.stdout + check.stderr],
            "writing": [writing.returncode, writing.stdout + writing.stderr],
            "healthy": [healthy.returncode, healthy.stderr],
            "answered": [answered.returncode, answered.stdout or answered.stderr],
            "ended": [server.returncode, said],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
