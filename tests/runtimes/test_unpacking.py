"""An archive of a stranger writes nothing outside of its folder, and not without end."""

import gzip
import hashlib
import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from runtimes import unpacking
from runtimes.commands import main
from runtimes.errors import ArtifactError, UsageError
from runtimes.unpacking import unpack


def entry(name: str, content: bytes = b"x", **settings: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in settings.items():
        setattr(info, key, value)
    return info, content


def packed(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, content in entries:
            if info.size > len(content):  # it says more than there is
                archive.fileobj.write(info.tobuf())  # type: ignore[union-attr]
                continue
            archive.addfile(info, io.BytesIO(content))
    return path


def link(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, b"", type=kind, linkname="../../outside")


REFUSED: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "is no relative path": [entry("/etc/passwd")],
    "is no relative path ": [entry("a\\b")],
    "is no relative path  ": [entry("c:/x/y")],
    "leads upwards": [entry("a/../../outside")],
    "leads upwards ": [entry("../outside")],
    "is neither a file nor a folder": [link("a/x", tarfile.SYMTYPE)],
    "is neither a file nor a folder ": [link("a/x", tarfile.LNKTYPE)],
    "is neither a file nor a folder  ": [link("a/x", tarfile.FIFOTYPE)],
    "is neither a file nor a folder   ": [link("a/x", tarfile.CHRTYPE)],
    "comes twice": [entry("a/x"), entry("a/./x")],
    "is not in a": [entry("a/x"), entry("b/x")],
    "is not in a folder": [entry("x")],
    "is too long": [entry("a/" + "x" * 2000)],
    "cannot be unpacked": [entry("a/x"), entry("a/x/y")],
    "has 5,000,000,000 bytes": [entry("a/x", b"", size=5_000_000_000)],
}


@pytest.mark.parametrize("said", REFUSED)
def test_it_is_refused_and_leaves_nothing(said: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    archive = packed(tmp_path / "a.tar.gz", *REFUSED[said])
    with pytest.raises(ArtifactError, match=said.strip()):
        unpack(archive, folder / "new")
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "here"]


def test_bombs_stop_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_SMALL", 1 << 20)
    many = packed(tmp_path / "a.tar.gz", *[entry(f"a/{n}", bytes(400_000)) for n in range(40)])
    with pytest.raises(ArtifactError, match="holds more than it may"):
        unpack(many, tmp_path / "new")
    with (tmp_path / "b.tar.gz").open("wb") as file, gzip.open(file, "wb") as zeros:
        zeros.write(bytes(20 << 20))  # no member at all
        zeros.write(b"x")
    monkeypatch.setattr(unpacking, "MOST_FILES", 10)
    with pytest.raises(ArtifactError, match="holds no file"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "new")
    few = packed(tmp_path / "c.tar.gz", *[entry(f"a/{n}") for n in range(11)])
    with pytest.raises(ArtifactError, match="is beyond the 10th"):
        unpack(few, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_damage_is_named(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.tar.gz", entry("a/x", random.Random(0).randbytes(200_000)))
    content = whole.read_bytes()
    rng = random.Random(1)
    for number in range(40):
        damaged = bytearray(content[: rng.randrange(len(content))] if number % 2 else content)
        for _ in range(number % 4):
            damaged[rng.randrange(len(damaged))] ^= 0xFF
        if bytes(damaged) == content:
            continue
        whole.write_bytes(damaged)
        try:
            unpack(whole, tmp_path / f"new{number}")
        except ArtifactError:
            assert not (tmp_path / f"new{number}").exists()
        else:  # a byte that says nothing, such as gzip's system or time
            assert (tmp_path / f"new{number}" / "x").stat().st_size == 200_000


def test_files_are_compared_with_their_sums(tmp_path: Path) -> None:
    def sums(**listed: bytes) -> tuple[tarfile.TarInfo, bytes]:
        lines = [f"{hashlib.sha256(c).hexdigest()}  {name}\n" for name, c in listed.items()]
        return entry("a/SHA256SUMS", "".join(lines).encode())

    good = packed(tmp_path / "good.tar.gz", entry("a/x", b"1"), sums(x=b"1"))
    unpack(good, tmp_path / "good")
    assert (tmp_path / "good" / "x").read_bytes() == b"1"
    for name, entries in {
        "changed": [entry("a/x", b"2"), sums(x=b"1")],
        "missing": [entry("a/x", b"1"), sums(x=b"1", y=b"1")],
        "more": [entry("a/x", b"1"), entry("a/y", b"1"), sums(x=b"1")],
    }.items():
        archive = packed(tmp_path / f"{name}.tar.gz", *entries)
        with pytest.raises(ArtifactError, match="is not what SHA256SUMS lists"):
            unpack(archive, tmp_path / name)
        assert not (tmp_path / name).exists()


def test_only_scripts_can_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = packed(
        tmp_path / "a.tar.gz",
        entry("a", b"", type=tarfile.DIRTYPE, mode=0o700),
        entry("a/run", b"#!/bin/sh\n", mode=0o6777),
        entry("a/b/x", b"x", mode=0o6777),
    )
    assert main(["unpack", str(archive), "--to", str(tmp_path / "new")]) == 0
    assert os.access(tmp_path / "new" / "run", os.X_OK)
    assert (tmp_path / "new" / "run").stat().st_mode & 0o7000 == 0
    assert (tmp_path / "new" / "b" / "x").stat().st_mode & 0o111 == 0
    with pytest.raises(UsageError, match="exists; nothing was touched"):
        unpack(archive, tmp_path / "new")
    assert main(["unpack", str(tmp_path / "none"), "--to", str(tmp_path / "other")]) == 1
    assert "No such file" in capsys.readouterr().err
