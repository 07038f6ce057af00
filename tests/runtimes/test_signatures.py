"""Signatures: ours are ssh-keygen's and the other way round, and nothing else is taken for one."""

import base64
import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runtimes import load
from runtimes.artifact import (
    SIGNATURE_NAME,
    Manifest,
    read_manifest,
    write_artifact,
)
from runtimes.errors import ArtifactError, MissingDependencyError, UsageError
from runtimes.inventory import take_inventory
from runtimes.manifest import render
from runtimes.signatures import NAMESPACE, check_signed, fingerprint, read_public_keys, sign

pytest.importorskip("cryptography")
KEYGEN = shutil.which("ssh-keygen")
TEXT = "a gorgeous , witty film"


def make_key(path: Path) -> Path:
    """A key as `ssh-keygen -t ed25519` writes it, with its public half beside it."""
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    kind = ser.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(ser.Encoding.PEM, kind, ser.NoEncryption()))
    path.chmod(0o600)
    public = key.public_key().public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b" somebody@somewhere\n")
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture
def signed(artifact: Path, key: Path) -> Path:
    content = (artifact / "manifest.json").read_bytes()
    (artifact / SIGNATURE_NAME).write_bytes(sign(content, key))
    return artifact


def public(key: Path) -> Path:
    return key.with_suffix(".pub")


def test_what_is_signed_is_opened_wherever_it_lies(signed: Path, key: Path, tmp_path: Path) -> None:
    shutil.copytree(signed, tmp_path / "copy")
    signed.rename(tmp_path / "moved")
    for folder in (tmp_path / "copy", tmp_path / "moved"):
        for trusted in (public(key), str(public(key)), public(key).read_text()):
            with load(folder, trusted=trusted, threads=1) as predict:
                assert predict(TEXT)[0]["label"]
    with load(tmp_path / "copy", threads=1):  # who does not ask need not have cryptography
        pass


def test_one_of_several_keys_is_enough(signed: Path, key: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    rsa = "ssh-rsa " + base64.b64encode(b"\0\0\0\7ssh-rsa\0\0\0\1\3").decode()
    keys = tmp_path / "keys"
    keys.write_text(f"# ours\n\n{rsa}\n{public(other).read_text()}{public(key).read_text()}")
    load(signed, trusted=keys, threads=1).close()
    with pytest.raises(ArtifactError, match=r"was signed by SHA256:.*; trusted is SHA256:"):
        load(signed, trusted=public(other))


def test_a_forged_manifest_is_found_though_its_checksum_is_right(signed: Path, key: Path) -> None:
    made = dataclasses.replace(read_manifest(signed), labels=("glad", "fine", "sad"))
    (signed / "manifest.json").write_bytes(render(made))
    load(signed, threads=1).close()  # a checksum has no secret
    with pytest.raises(ArtifactError, match="proves nothing: The signature is not of this"):
        load(signed, trusted=public(key))


def test_files_are_compared_too(signed: Path, key: Path) -> None:
    path = signed / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"model\.onnx was changed"):
        load(signed, trusted=public(key))
    with pytest.raises(UsageError, match="verify=False"):
        load(signed, trusted=public(key), verify=False)


def test_without_a_signature_it_is_not_opened(artifact: Path, key: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is not signed: it has no manifest\.json\.sig"):
        load(artifact, trusted=public(key))
    assert take_inventory(artifact).signature == "none"


def test_a_new_artifact_is_not_signed_any_more(
    signed: Path, manifest: Manifest, key: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(signed, old)

    def populate(folder: Path) -> None:
        for name in read_manifest(old).files:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(old / name, folder / name)

    write_artifact(signed, dataclasses.replace(manifest, max_length=12), populate)
    assert not (signed / SIGNATURE_NAME).exists()
    assert SIGNATURE_NAME not in read_manifest(signed).files


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: b"", "does not begin"),
        (lambda text: text[:90], "does not begin"),
        (lambda text: text.replace(b"U1NIU0lH", b"!!!!!!!!"), "base64"),
        (lambda text: text.replace(b"U1NIU0lHAAAAAQ", b"U1NIU0lHAAAAAg"), "another format"),
        (lambda text: text.replace(b"U1NIU0lHAAAAAQAAADM", b"U1NIU0lHAAAAAQ////8"), "cut off"),
        (lambda text: b"\xff" * 100, "does not begin"),
    ],
    ids=range(6),
)
def test_a_damaged_signature_is_said_to_be(
    signed: Path, key: Path, change: Any, words: str
) -> None:
    path = signed / SIGNATURE_NAME
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ArtifactError, match=words):
        load(signed, trusted=public(key))
    assert words in str(take_inventory(signed).problems)


@pytest.mark.parametrize("place", range(0, 300, 7))
def test_no_changed_byte_is_taken(signed: Path, key: Path, place: int) -> None:
    path = signed / SIGNATURE_NAME
    text = bytearray(path.read_bytes())
    place %= len(text)
    if chr(text[place]).isspace():
        return
    text[place] = ord("B") if text[place] != ord("B") else ord("C")
    path.write_bytes(text)
    content = (signed / "manifest.json").read_bytes()
    with pytest.raises(ArtifactError):
        check_signed(signed, content, read_public_keys(public(key)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no ed25519 key"),
        ("# nothing\n", "holds no ed25519 key"),
        ("ssh-ed25519", "no public key in line 1"),
        ("\nssh-ed25519 AAAA", "no public key in line 2"),
        ("somebody ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ", "no public key in line 1"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "no public key in line 1"),
    ],
    ids=range(6),
)
def test_what_is_no_public_key_is_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(UsageError, match=words):
        read_public_keys(tmp_path / "keys")


def test_what_is_no_private_key_is_named(tmp_path: Path, key: Path) -> None:
    for path, words in [
        (public(key), "is no private key"),
        (tmp_path / "nowhere", "cannot be read: No such file"),
        (tmp_path, "is a folder"),
    ]:
        with pytest.raises(UsageError, match=words):
            sign(b"", path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_public_keys(tmp_path / "nowhere")


def test_the_missing_library_is_named(
    signed: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [*sys.modules]:
        if name.partition(".")[0] == "cryptography":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingDependencyError, match="cryptography") as found:
        load(signed, trusted=public(key))
    assert "pip install cryptography" in str(found.value)
    assert "cryptography" in take_inventory(signed).signature
    assert take_inventory(signed).problems == []


needs_keygen = pytest.mark.skipif(KEYGEN is None, reason="OpenSSH is not installed")


def keygen(*arguments: Any, stdin: bytes = b"") -> str:
    done = subprocess.run(
        [str(KEYGEN), *map(str, arguments)], input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode()


@needs_keygen
def test_ssh_keygen_checks_what_we_sign(signed: Path, key: Path, tmp_path: Path) -> None:
    content = (signed / "manifest.json").read_bytes()
    signature = signed / SIGNATURE_NAME
    assert fingerprint(read_public_keys(public(key))[0]) in keygen("-l", "-f", public(key))
    said = keygen("-Y", "check-novalidate", "-n", NAMESPACE, "-s", signature, stdin=content)
    assert "Good" in said
    (tmp_path / "signers").write_text(f"us {public(key).read_text()}")
    us = ("-Y", "verify", "-f", tmp_path / "signers", "-I", "us", "-n", NAMESPACE)
    assert "Good" in keygen(*us, "-s", signature, stdin=content)
    with pytest.raises(subprocess.CalledProcessError):
        keygen(*us, "-s", signature, stdin=content + b" ")


@needs_keygen
def test_we_check_what_ssh_keygen_signs(artifact: Path, tmp_path: Path) -> None:
    def make(kind: str) -> Path:
        path = tmp_path / kind
        keygen("-q", "-t", kind, "-N", "", "-f", path)
        return path

    mine = make("ed25519")
    for options in ([], ["-O", "hashalg=sha256"]):
        (artifact / SIGNATURE_NAME).unlink(missing_ok=True)
        use = ["-Y", "sign", "-q", "-f", mine, "-n", NAMESPACE, *options]
        keygen(*use, artifact / "manifest.json")
        load(artifact, trusted=public(mine), threads=1).close()
    for arguments, words in [
        (("-f", mine, "-n", "file"), "was made for 'file'"),
        (("-f", make("ecdsa"), "-n", NAMESPACE), "of the kind 'ecdsa-"),
    ]:
        (artifact / SIGNATURE_NAME).unlink()
        keygen("-Y", "sign", "-q", *arguments, artifact / "manifest.json")
        with pytest.raises(ArtifactError, match=words):
            load(artifact, trusted=public(mine))
    with pytest.raises(UsageError, match="is no ed25519 key"):
        sign(b"", tmp_path / "ecdsa")


@needs_keygen
def test_a_passphrase_is_left_to_ssh_keygen(tmp_path: Path) -> None:
    keygen("-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "locked")
    with pytest.raises(UsageError, match="passphrase") as found:
        sign(b"", tmp_path / "locked")
    assert "ssh-keygen -Y sign -n edgepress" in str(found.value)
