"""Does on a device, over the system's ssh, what is done there by hand otherwise.

The device has Python, numpy, tokenizers and a runtime. What measures is sent there, and is removed
with all else afterwards.
"""

import io
import os
import re
import shlex
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import benchmarks
import runtimes
from compress.errors import DeviceUnavailableError, ProfileError, UsageError
from compress.system.progress import Progress
from runtimes.json_files import MOST_BYTES

__all__ = ["SSH", "Address", "Remote", "connected"]

SSH = "EDGEPRESS_SSH"
"""Environment variable: the command to reach devices with, `ssh` by default."""

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FOLDER = re.compile(r"/[A-Za-z0-9_./-]+")
_NOT_REACHED = 255  # ssh's own exit code
_PACKAGES = ("benchmarks", "runtimes")
_TRY = (
    "ssh://user@host, ssh://user@host:2222, or with its Python: ssh://user@host/opt/venv/bin/python"
)


@dataclass(frozen=True)
class Address:
    """Where a device is.

    Attributes:
        host: Its name, or what `~/.ssh/config` calls it.
        user: None is what ssh takes.
        port: None likewise.
        python: Command that starts Python there.
    """

    host: str
    user: str | None = None
    port: int | None = None
    python: str = "python3"

    @classmethod
    def read(cls, text: str) -> "Address":
        """Return the address that a URL names.

        Raises:
            UsageError: It is none of ssh, or has what no host or user is called.
        """
        try:
            url = urlsplit(text)
            host, user, port = url.hostname or "", url.username, url.port
        except ValueError as error:
            raise UsageError(f"--device {text}: {error}", hint=f"try: {_TRY}") from error
        plain = _HOST.fullmatch(host) and (user is None or _USER.fullmatch(user))
        if url.scheme != "ssh" or not plain or url.password or url.query or url.fragment:
            raise UsageError(
                f"--device {text!r:.100} is no address of a device", hint=f"try: {_TRY}"
            )
        python = unquote(url.path) if url.path.strip("/") else "python3"
        return cls(host, user, port, python)

    @property
    def name(self) -> str:
        """The address, for people."""
        return self.host if self.user is None else f"{self.user}@{self.host}"

    def command(self, line: str) -> list[str]:
        """Return the command that runs a line of shell there; it asks for nothing."""
        options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]
        options += [] if self.port is None else ["-p", str(self.port)]
        options += [] if self.user is None else ["-l", self.user]
        ssh = shlex.split(os.environ.get(SSH, "").strip() or "ssh")
        return [*ssh, *options, "--", self.host, line]


class Remote:
    """A folder on a device.

    Args:
        address: Of the device.
        folder: There, empty.
    """

    def __init__(self, address: Address, folder: str) -> None:
        self._address, self._folder = address, folder

    def put(self, contents: Mapping[str, Path | bytes]) -> None:
        """Copy files and folders there, by the names that they get.

        Raises:
            DeviceUnavailableError: The device cannot be reached.
            ProfileError: They cannot be written there.
        """
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in contents.items():
                if isinstance(content, bytes):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
                else:
                    archive.add(content, name, filter=_sent)
        line = f"tar -xf - -C {shlex.quote(self._folder)}"
        _run(self._address, line, given=packed.getvalue())

    def measure(self, *arguments: str) -> None:
        """Run `python -m benchmarks` there.

        Raises:
            DeviceUnavailableError: The device cannot be reached.
            ProfileError: It ended with an error, which is said.
        """
        python = [self._address.python, "-m", "benchmarks", *arguments]
        place = shlex.quote(self._folder)
        _run(self._address, f"cd {place} && PYTHONPATH={place} exec {shlex.join(python)}")

    def get(self, name: str) -> bytes:
        """Return the content of a file there.

        Raises:
            DeviceUnavailableError: The device cannot be reached.
            ProfileError: There is no such file, or it is too large.
        """
        path = shlex.quote(f"{self._folder}/{name}")
        content = _run(self._address, f"head -c {MOST_BYTES + 1} {path}")
        if len(content) > MOST_BYTES:
            raise ProfileError(
                f"{name} on {self._address.name} is no file of ours: it is too large"
            )
        return content


@contextmanager
def connected(address: Address, progress: Progress) -> Iterator[Remote]:
    """Give a folder on a device, with what measures in it; it is removed at the end.

    Raises:
        DeviceUnavailableError: The device cannot be reached.
        ProfileError: It has no Python, or nothing can be written there.
    """
    with progress.track(f"reaching {address.name}", 1) as task:
        _run(address, f"{shlex.quote(address.python)} -c 'import numpy, tokenizers'")
        folder = _run(address, "mktemp -d").decode(errors="replace").strip()
        if not _FOLDER.fullmatch(folder):
            raise ProfileError(
                f"{address.name} gives no folder for temporary files: {folder!r:.100}"
            )
        task.advance()
    try:
        remote = Remote(address, folder)
        remote.put({name: _source(name) for name in _PACKAGES})
        yield remote
    finally:
        subprocess.run(
            address.command(f"rm -rf {shlex.quote(folder)}"), capture_output=True, check=False
        )


def _run(address: Address, line: str, given: bytes = b"") -> bytes:
    """Run a line of shell on a device; returns what it writes to stdout."""
    try:
        done = subprocess.run(address.command(line), input=given, capture_output=True, check=False)
    except OSError as error:
        raise DeviceUnavailableError(
            f"ssh cannot be started: {error}", hint="install it, or name another in EDGEPRESS_SSH"
        ) from error
    if done.returncode == 0:
        return done.stdout
    said = [text for text in done.stderr.decode(errors="replace").splitlines() if text.strip()]
    if done.returncode == _NOT_REACHED:
        raise DeviceUnavailableError(
            f"{address.name} cannot be reached: {said[-1] if said else 'ssh does not say why'}",
            hint=f"see that this works without a question: {shlex.join(address.command('true'))}",
        )
    errors = [place for place, text in enumerate(said) if text.startswith("error: ")]
    shown = said[errors[-1] :] if errors else said[-1:]
    raise ProfileError(
        f"on {address.name}: " + "\n".join(shown or [f"exit code {done.returncode}"]),
        hint="a device needs Python with numpy, tokenizers, and onnxruntime or openvino; name its "
        "Python in the address: ssh://user@host/opt/venv/bin/python",
    )


def _source(name: str) -> Path:
    package = {"benchmarks": benchmarks, "runtimes": runtimes}[name]
    return Path(str(package.__file__)).parent


def _sent(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what was compiled for this Python, and whose files they are."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
