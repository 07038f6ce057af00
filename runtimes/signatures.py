"""Signatures of a manifest in OpenSSH's format (SSHSIG), as `ssh-keygen -Y` makes and checks them.

A manifest holds the SHA-256 of every other file, so who signs it signs the artifact. Keys are those
of `ssh-keygen -t ed25519`. The package `cryptography` does the arithmetic; what is here is the
envelope of https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig.
"""

import base64
import binascii
import hashlib
import os
import shlex
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtimes.errors import ArtifactError, MissingDependencyError, UsageError
from runtimes.files import read_file
from runtimes.manifest import SIGNATURE_NAME

__all__ = ["NAMESPACE", "check_signed", "fingerprint", "read_public_keys", "sign", "signer"]

NAMESPACE = "edgepress"
"""What `ssh-keygen -Y` calls `-n`: a signature of the same key for another purpose is none here."""

_KIND = b"ssh-ed25519"
_MAGIC, _VERSION = b"SSHSIG", 1
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_WIDTH = 70  # of the lines that ssh-keygen writes
_MOST_BYTES = 1 << 20  # of a file with keys or a signature


def read_public_keys(trusted: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """Return the keys in a file, or a key that is given itself, as SSH writes them in binary.

    Args:
        trusted: A `.pub` file of `ssh-keygen`, a file with one such line a key (comments begin with
            `#`, and keys other than ed25519 are passed over), or the line itself.

    Raises:
        UsageError: There is no such file, or no such key in it.
    """
    if isinstance(trusted, str) and trusted.startswith("ssh-"):
        name, text = "the key", trusted
    else:
        name, text = str(trusted), _read_key(Path(trusted)).decode("utf-8", "replace")
    keys = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            kind, blob = words[0].encode(), base64.b64decode(words[1], validate=True)
            if _strings(blob, 1, rest=True)[0] != kind:
                raise ValueError
            if kind == _KIND:
                _raw(blob)
                keys.append(blob)
        except (IndexError, ValueError):
            raise UsageError(
                f"{name} holds no public key in line {number}",
                hint="name the .pub file that ssh-keygen -t ed25519 wrote",
            ) from None
    if not keys:
        raise UsageError(
            f"{name} holds no ed25519 key", hint="make one: ssh-keygen -t ed25519 -f KEY"
        )
    return tuple(keys)


def fingerprint(key: bytes) -> str:
    """Return what `ssh-keygen -l` calls a public key: `SHA256:...`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def sign(content: bytes, key: str | os.PathLike[str]) -> bytes:
    """Return the signature of `content`, as the file that `ssh-keygen -Y sign` writes.

    Args:
        content: The bytes of a manifest.
        key: File of an ed25519 key, as `ssh-keygen -t ed25519` writes it, without a passphrase.

    Raises:
        UsageError: The file holds no such key.
        MissingDependencyError: `cryptography` is not installed.
    """
    cryptography = _import()
    private = _read_key(Path(key))
    try:
        loaded = cryptography.load_ssh_private_key(private, None)
    except TypeError:  # it wants a passphrase
        raise UsageError(
            f"{key} has a passphrase, which is not asked for here",
            hint=f"sign with what asks for it: ssh-keygen -Y sign -n {NAMESPACE} "
            f"-f {shlex.quote(str(key))} ARTIFACT/manifest.json",
        ) from None
    except (ValueError, cryptography.UnsupportedAlgorithm):
        raise UsageError(
            f"{key} is no private key in OpenSSH's format",
            hint="name the file that ssh-keygen -t ed25519 wrote, not the one that ends in .pub",
        ) from None
    if not isinstance(loaded, cryptography.Ed25519PrivateKey):
        raise UsageError(f"{key} is no ed25519 key", hint="make one: ssh-keygen -t ed25519 -f KEY")
    public = _joined(_KIND, loaded.public_key().public_bytes_raw())
    algorithm = b"sha512"
    made = loaded.sign(_signed(content, algorithm))
    envelope = _MAGIC + struct.pack(">I", _VERSION)
    envelope += _joined(public, NAMESPACE.encode(), b"", algorithm, _joined(_KIND, made))
    text = base64.b64encode(envelope).decode()
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def signer(content: bytes, signature: bytes) -> bytes:
    """Return the public key whose owner signed `content`; whether to trust it is another question.

    Raises:
        ArtifactError: The signature is damaged, or of something else.
        MissingDependencyError: `cryptography` is not installed.
    """
    cryptography = _import()
    try:
        key, namespace, algorithm, made = _opened(signature)
        raw, numbers = _raw(key), _raw(made)
    except ValueError as error:
        raise ArtifactError(f"The signature cannot be read: {error}.") from None
    if namespace != NAMESPACE.encode():
        raise ArtifactError(
            f"The signature was made for {namespace.decode('utf-8', 'replace')!r:.40}, and not for "
            f"{NAMESPACE!r}."
        )
    try:
        public = cryptography.Ed25519PublicKey.from_public_bytes(raw)
        public.verify(numbers, _signed(content, algorithm))
    except (ValueError, cryptography.InvalidSignature):
        raise ArtifactError(
            f"The signature is not of this manifest, or not by {fingerprint(key)}."
        ) from None
    return key


def check_signed(folder: Path, content: bytes, trusted: Sequence[bytes] | None) -> bytes | None:
    """Return the public key whose owner signed an artifact; None where nobody did.

    Args:
        folder: The artifact.
        content: The bytes of its manifest.
        trusted: Keys, one of whose owners must have; None: anybody may, or nobody.

    Raises:
        ArtifactError: Nobody has, or somebody else, or the signature is damaged.
        MissingDependencyError: `cryptography` is not installed.
    """
    path = folder / SIGNATURE_NAME
    try:
        signature = read_file(path, _MOST_BYTES)
    except FileNotFoundError:
        if trusted is None:
            return None
        raise ArtifactError(
            f"{folder} is not signed: it has no {SIGNATURE_NAME}.",
            hint=f"Who made it signs it: edgepress sign {shlex.quote(str(folder))} --key KEY",
        ) from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ArtifactError(f"{path} {error}.") from error
    try:
        key = signer(content, signature)
    except ArtifactError as error:
        raise ArtifactError(f"{path} proves nothing: {error.message}") from error
    if trusted is not None and key not in trusted:
        known = ", ".join(map(fingerprint, trusted))
        raise ArtifactError(f"{folder} was signed by {fingerprint(key)}; trusted is {known}.")
    return key


def _import() -> Any:
    """Return what is needed of `cryptography`, in one namespace."""
    try:
        from types import SimpleNamespace

        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key
    except ImportError as error:
        raise MissingDependencyError(
            f"Signatures need the package cryptography, which cannot be imported: {error}.",
            hint="Install the extra [sign]: pip install cryptography",
        ) from error
    return SimpleNamespace(
        Ed25519PrivateKey=ed25519.Ed25519PrivateKey,
        Ed25519PublicKey=ed25519.Ed25519PublicKey,
        InvalidSignature=InvalidSignature,
        UnsupportedAlgorithm=UnsupportedAlgorithm,
        load_ssh_private_key=load_ssh_private_key,
    )


def _read_key(path: Path) -> bytes:
    try:
        return read_file(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError(f"the key {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"the key {path} {error}") from error


def _signed(content: bytes, algorithm: bytes) -> bytes:
    """Return what the key signs: the purpose, and a digest of the content."""
    digest = _HASHES[algorithm](content).digest()
    return _MAGIC + _joined(NAMESPACE.encode(), b"", algorithm, digest)


def _opened(signature: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return key, namespace, hash and signature of the file that `ssh-keygen -Y sign` writes.

    Raises:
        ValueError: It is no such file.
    """
    text = signature.decode("ascii", "replace").strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError("it does not begin and end as those of ssh-keygen -Y sign do")
    inside = "".join(text[len(_BEGIN) : -len(_END)].split())
    try:
        envelope = base64.b64decode(inside, validate=True)
    except binascii.Error:
        raise ValueError("it is not base64") from None
    magic, version = envelope[: len(_MAGIC)], envelope[len(_MAGIC) : len(_MAGIC) + 4]
    if magic != _MAGIC or version != struct.pack(">I", _VERSION):
        raise ValueError("it is of another format")
    key, namespace, _, algorithm, made = _strings(envelope[len(_MAGIC) + 4 :], 5)
    if algorithm not in _HASHES:
        raise ValueError("its hash is neither SHA-256 nor SHA-512")
    return key, namespace, algorithm, made


def _raw(blob: bytes) -> bytes:
    """Return the numbers of an ed25519 key or signature.

    Raises:
        ValueError: It is of another kind.
    """
    kind, numbers = _strings(blob, 2, rest=True)[:2]
    if kind != _KIND:
        raise ValueError(f"it is of the kind {kind.decode('ascii', 'replace')!r:.40}, not ed25519")
    if _joined(kind, numbers) != blob:
        raise ValueError("it is cut off, or too long")
    return numbers


def _joined(*strings: bytes) -> bytes:
    """Write strings as SSH does: each behind its length."""
    return b"".join(struct.pack(">I", len(each)) + each for each in strings)


def _strings(data: bytes, count: int, *, rest: bool = False) -> list[bytes]:
    """Read so many strings.

    Args:
        data: As SSH writes them.
        count: How many to read.
        rest: Whether more may follow.

    Raises:
        ValueError: There are not so many, or more.
    """
    found, start = [], 0
    for _ in range(count):
        (length,) = struct.unpack(">I", data[start : start + 4].rjust(4, b"\xff"))
        start += 4
        if start + length > len(data):
            raise ValueError("it is cut off")
        found.append(data[start : start + length])
        start += length
    if start < len(data) and not rest:
        raise ValueError("more follows than there should be")
    return found
