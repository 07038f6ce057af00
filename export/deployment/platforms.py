"""Platforms that wheels are fetched for: what the index calls them, and what markers see there."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DEFAULT_PYTHON", "PLATFORMS", "Platform", "this_platform"]

DEFAULT_PYTHON = "3.12"
"""For which wheels are fetched."""

# glibc from 2.5 to 2.35: Ubuntu 22.04, Debian 12 and whatever is newer. The oldest that a package
# offers is taken, so most run on older ones, too.
_GLIBC = range(5, 36)
# musl from 1.1 to 1.2: Alpine from 3.13 on.
_MUSL = (1, 2)
_MACOS = (*((10, minor) for minor in range(9, 17)), *((major, 0) for major in range(11, 16)))


@dataclass(frozen=True)
class Platform:
    """A kind of machine.

    Attributes:
        title: Its name for people.
        tags: What wheels for it may be called, the newest last.
        markers: What environment markers see there (`sys_platform`, `platform_machine` ...).
    """

    title: str
    tags: tuple[str, ...]
    markers: Mapping[str, str]


def _linux(title: str, machine: str) -> Platform:
    markers = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    tags = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC]
    legacy = [f"manylinux{year}_{machine}" for year in (1, 2010, 2014)]
    return Platform(
        title, (*legacy, *tags, f"linux_{machine}"), {**markers, "platform_machine": machine}
    )


def _musl(title: str, machine: str) -> Platform:
    tags = tuple(f"musllinux_1_{minor}_{machine}" for minor in _MUSL)
    return Platform(title, tags, _linux(title, machine).markers)


def _macos(title: str, machine: str) -> Platform:
    markers = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}
    tags = [f"macosx_{a}_{b}_{kind}" for a, b in _MACOS for kind in ("universal2", machine)]
    return Platform(title, tuple(tags), {**markers, "platform_machine": machine})


def _windows(title: str, tag: str, machine: str) -> Platform:
    markers = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}
    return Platform(title, (tag,), {**markers, "platform_machine": machine})


PLATFORMS: Mapping[str, Platform] = {
    "linux-x86_64": _linux("Linux, x86-64 (glibc)", "x86_64"),
    "linux-aarch64": _linux("Linux, aarch64 (glibc): Raspberry Pi OS 64 bit, Jetson", "aarch64"),
    "linux-armv7l": _linux("Linux, armv7 (glibc): Raspberry Pi OS 32 bit", "armv7l"),
    "musl-x86_64": _musl("Alpine, x86-64 (musl)", "x86_64"),
    "musl-aarch64": _musl("Alpine, aarch64 (musl)", "aarch64"),
    "macos-arm64": _macos("macOS, Apple silicon", "arm64"),
    "macos-x86_64": _macos("macOS, Intel", "x86_64"),
    "windows-amd64": _windows("Windows, x86-64", "win_amd64", "AMD64"),
    "windows-arm64": _windows("Windows, ARM64", "win_arm64", "ARM64"),
}
"""By the name that follows `--platform`."""


def this_platform(*, container: bool = False) -> str:
    """Return the name of the platform that this runs on; `"linux-x86_64"` where it has none.

    Args:
        container: Ask for a container here: it is Linux on the same processor.
    """
    system, machine = platform.system().lower(), platform.machine().lower()
    system = {"darwin": "macos"}.get(system, system)
    if container:
        arm = machine in ("arm64", "aarch64")
        return "linux-aarch64" if arm else "linux-x86_64"
    if system == "linux" and platform.libc_ver()[0] == "":
        system = "musl"
    name = f"{system}-{machine}"
    return name if name in PLATFORMS else "linux-x86_64"
