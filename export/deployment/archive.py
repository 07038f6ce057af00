"""Archives whose bytes depend on nothing but what is in them."""

import gzip
import tarfile
from pathlib import Path

__all__ = ["write_archive"]


def write_archive(folder: Path, file: Path, name: str) -> None:
    """Pack a folder as `.tar.gz`, under a name, so that the same content gives the same bytes.

    Neither owners nor times are kept; of permissions only whether a file can be run.
    """
    with (
        file.open("wb") as raw,
        # Without a name or time in gzip's own header.
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            entry = tarfile.TarInfo(f"{name}/{path.relative_to(folder).as_posix()}".rstrip("/."))
            runs = path.is_dir() or path.stat().st_mode & 0o100
            entry.mode = 0o755 if runs else 0o644
            if path.is_dir():
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
                continue
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)
