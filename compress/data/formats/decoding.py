"""The text of a file: its encoding, and what it is if it is no text."""

import codecs
import re
import shlex
from pathlib import Path

from compress.errors import DataError

__all__ = ["read_lines", "read_text"]

# Longer marks first: UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_OTHERS = {
    b"\x1f\x8b": ("gzip-compressed", "Unpack it: gunzip"),
    b"PK\x03\x04": ("a ZIP archive or an Excel workbook", "Save it as UTF-8 text"),
    b"PAR1": ("a Parquet file", "Let its name end in .parquet"),
    b"BZh": ("bzip2-compressed", "Unpack it: bunzip2"),
    b"\xfd7zXZ": ("xz-compressed", "Unpack it: unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", "Unpack it: unzstd"),
}


def read_text(path: Path) -> str:
    """Return a file's text: UTF-8, or what its byte order mark says, as Excel's "Unicode text".

    Raises:
        DataError: It cannot be read, is empty, is no text, or is in another encoding.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    for magic, (what, hint) in _OTHERS.items():
        if raw.startswith(magic):
            raise DataError(f"{path}: not text but {what}.", hint=f"{hint}.")
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(path, raw, encoding, error.start) from None
    if "\0" in text and raw[:1000].count(0) > len(raw[:1000]) // 5:
        raise DataError(
            f"{path}: not UTF-8: it looks like UTF-16 without a byte order mark.",
            hint=f"Convert it: iconv -f UTF-16LE {_to_utf8(path)}",
        )
    if "\x1b$" in text and "\x1b(B" in text:  # seven bits, which are valid UTF-8
        raise DataError(
            f"{path}: not UTF-8: it looks like ISO-2022-JP (Japanese).",
            hint=f"Convert it: iconv -f ISO-2022-JP {_to_utf8(path)}",
        )
    if not text.strip():
        raise DataError(f"{path}: the file is empty.", hint="Check how the file was written.")
    return text


def read_lines(path: Path) -> list[str]:
    """Return a file's lines without their ends.

    Unlike `str.splitlines` does, U+2028 and other characters inside a text end none.

    Raises:
        DataError: As `read_text`.
    """
    return re.split(r"\r\n|\r|\n", read_text(path))


def _undecodable(path: Path, raw: bytes, encoding: str, start: int) -> DataError:
    if encoding not in ("utf-8", "utf-8-sig"):
        return DataError(
            f"{path}: its byte order mark says {encoding.upper()}, but byte {start} is not.",
            hint="Is the file complete? Save it as UTF-8.",
        )
    # "utf-8-sig" counts from after the byte order mark.
    offset = start + (3 if encoding == "utf-8-sig" else 0)
    line = raw.count(b"\n", 0, offset) + 1
    return DataError(
        f"{path}: not UTF-8: byte 0x{raw[offset]:02x} at offset {offset} (line {line}).",
        hint="Convert it from its encoding: iconv -f WINDOWS-1252 (Western Europe), SHIFT_JIS "
        f"(Japanese) or GB18030 (Chinese) {_to_utf8(path)}",
    )


def _to_utf8(path: Path) -> str:
    """Return the end of a command of `iconv` that writes a file anew."""
    return f"-t UTF-8 {shlex.quote(str(path))} > {shlex.quote(f'utf8{path.suffix}')}"
