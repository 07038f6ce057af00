"""Other processors, emulated: a Python of theirs with what a device installs, from packages alone.

The emulator is QEMU's (`apt-get install qemu-user`); Debian's Python and libraries of the other
processor come from its packages, which apt fetches and nothing installs; wheels come by pip. They
are kept in `~/.cache/edgepress-emulated`, or where `EDGEPRESS_EMULATED` says: 300 MB. A program
reads of the processor it is to be in /proc/cpuinfo, for itself alone.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.deployment.platforms import PLATFORMS
from export.deployment.requirements import applying, pins_of, render

__all__ = ["PROCESSORS", "Processor", "UnavailableError"]

_SOURCE = Path(__file__).parents[2]
_DEBIAN = "deb http://deb.debian.org/debian bookworm main\n"
_DEBIAN_PYTHON = "3.11"
_PACKAGES = ("python3", "libstdc++6")
# What the kernel of such a machine tells, as far as anybody here reads it.
_OF_ARM = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 3

"""
_OF_X86 = """processor\t: {core}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 60
model name\t: Intel Core Processor (Haswell)
flags\t\t: {features}

"""
# Run with mounts of its own, which end with it.
_WITH_OWN_CPUINFO = 'mount --bind "$0" /proc/cpuinfo && exec "$@"'


class UnavailableError(Exception):
    """It cannot be emulated here; says why."""


@dataclass(frozen=True)
class Processor:
    """One that is emulated.

    Attributes:
        emulator: QEMU's program.
        cpu: Its name there.
        info: /proc/cpuinfo of a core.
        features: Its instruction sets, by Linux's names.
        part: ARM's number for it.
        platform: Whose wheels are installed; None takes the packages that are installed here.
    """

    emulator: str
    cpu: str
    info: str
    features: str
    part: str = ""
    platform: str | None = None

    def run(
        self, *arguments: str | Path, timeout: float = 3000
    ) -> subprocess.CompletedProcess[str]:
        """Run Python there, with edgepress to import.

        Raises:
            UnavailableError: It cannot be emulated here.
        """
        for program in (self.emulator, "unshare"):
            if shutil.which(program) is None:
                raise UnavailableError(f"there is no {program} here")
        place = _cache()
        told = place / f"cpuinfo-{self.cpu}"
        cores = range(os.cpu_count() or 1)
        told.write_text(
            "".join(
                self.info.format(core=core, features=self.features, part=self.part)
                for core in cores
            )
        )
        if self.platform is None:
            python, paths, options = sys.executable, [str(_SOURCE)], []
        else:
            root = _debian(self.platform)
            python = str(root / "usr" / "bin" / f"python{_DEBIAN_PYTHON}")
            paths, options = [str(_SOURCE), str(root / "opt" / "site")], ["-L", str(root)]
        variables = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [
            *("unshare", *_namespaces(), "--mount", "sh", "-c", _WITH_OWN_CPUINFO, str(told)),
            *(self.emulator, *options, "-cpu", self.cpu, python, *map(str, arguments)),
        ]
        return subprocess.run(
            command,
            env=variables,
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )


PROCESSORS = {
    "Cortex-A72": Processor(
        *("qemu-aarch64", "cortex-a72", _OF_ARM),
        "fp asimd evtstrm crc32 cpuid",  # a Raspberry Pi 4: no dot product
        *("0xd08", "linux-aarch64"),
    ),
    "Cortex-A76": Processor(
        *("qemu-aarch64", "cortex-a76", _OF_ARM),
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
        " asimddp",
        *("0xd0b", "linux-aarch64"),
    ),
    "Haswell": Processor(
        *("qemu-x86_64", "Haswell", _OF_X86),
        "fpu sse sse2 ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes avx f16c rdrand bmi1 avx2 bmi2",
    ),
}
"""By the name that people know it by."""


def _cache() -> Path:
    place = Path(os.environ.get("EDGEPRESS_EMULATED") or Path.home() / ".cache/edgepress-emulated")
    place.mkdir(parents=True, exist_ok=True)
    return place


@functools.cache
def _namespaces() -> Sequence[str]:
    """Options of `unshare` with which this user may mount."""
    for options in ([], ["--map-root-user"]):
        done = subprocess.run(
            ["unshare", *options, "--mount", "true"], capture_output=True, check=False
        )
        if done.returncode == 0:
            return options
    raise UnavailableError("this user may not have mounts of its own")


@functools.cache
def _debian(platform: str) -> Path:
    """Return a folder with Debian's Python of a platform, and in opt/site the pinned wheels."""
    pins = applying(pins_of("onnxruntime"), PLATFORMS[platform], _DEBIAN_PYTHON)
    wanted = render(pins.values()) + _DEBIAN
    root = _cache() / platform
    mark = root / ".installed"
    if mark.is_file() and mark.read_text() == wanted:
        return root
    shutil.rmtree(root, ignore_errors=True)
    apt = root / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(_DEBIAN)
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Acquire::Languages": "none",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    _do("apt-get", *options, "--quiet", "update")
    fetch = ("install", "--quiet", "--yes", "--no-install-recommends", "--download-only")
    _do("apt-get", *options, *fetch, *_PACKAGES)
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        _do("dpkg-deb", "--extract", package, root)
    shutil.rmtree(apt)
    listed = root / "requirements.txt"
    listed.write_text(render(pins.values()))
    kinds = [word for tag in PLATFORMS[platform].tags for word in ("--platform", tag)]
    _do(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", _DEBIAN_PYTHON),
        *(*kinds, "--target", root / "opt" / "site", "--requirement", listed),
    )
    mark.write_text(wanted)
    return root


def _do(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(map(str, command[:2]))}: {done.stderr.strip()[-300:]}")
