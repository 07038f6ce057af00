"""`edgepress inspect`, `sign` and `verify`: every file of an artifact, and who vouches for it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_artifact import write_tiny

from compress.cli.app import main


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "artifact")


def look(folder: Path, capfd: Any) -> tuple[int, dict[str, str], str]:
    """Exit code, the state of each file, and what was said on stderr; JSON says the same."""
    code = main(["inspect", str(folder)])
    said = capfd.readouterr()
    assert main(["inspect", str(folder), "--json"]) == code
    facts = json.loads(capfd.readouterr().out)
    states = {name: file["state"] for name, file in facts["files"].items()}
    for name, state in states.items():
        (line,) = [line for line in said.out.splitlines() if f" {name} " in f"{line} "[13:]]
        assert line.startswith(f"  {state} ")
    assert bool(facts["problems"]) == (code == 1)
    return code, states, said.err


def test_a_whole_artifact(artifact: Path, capfd: Any) -> None:
    assert main(["inspect", str(artifact)]) == 0
    said = capfd.readouterr().out
    for words in (
        "labels      sad, fine, glad",
        "all match their SHA-256 (4 as listed)",
        "signature   none",
        "ONNX Runtime, fp32, padded",
        "tokenizer",
        "model card",
    ):
        assert words in said
    code, states, _ = look(artifact, capfd)
    assert (code, set(states.values())) == (0, {"as listed"})
    assert list(states) == ["README.md", "manifest.json", "onnx/model.onnx", "tokenizer.json"]


def cut(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").write_bytes(b"x")


def flip(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def remove(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def make_folder(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").mkdir()


def edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"sad"', '"bad"'))


def break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 100_000)


def break_signature(folder: Path) -> None:
    (folder / "manifest.json.sig").write_text("x")


@pytest.mark.parametrize(
    ("harm", "file", "state", "words"),
    [
        (cut, "onnx/model.onnx", "changed", "has 1 bytes instead of"),
        (flip, "tokenizer.json", "changed", "was changed: its SHA-256 does not match"),
        (remove, "tokenizer.json", "missing", "tokenizer.json is missing"),
        (make_folder, "tokenizer.json", "changed", "is a folder"),
        (edit_manifest, "manifest.json", "changed", "its checksum does not match"),
        (break_manifest, "manifest.json", "changed", "nested too deeply"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_all_files_are_listed_of_a_damaged_one_too(
    artifact: Path,
    capfd: Any,
    harm: Callable[[Path], None],
    file: str,
    state: str,
    words: str,
) -> None:
    harm(artifact)
    code, states, said = look(artifact, capfd)
    assert code == 1
    assert len(states) == 4
    assert states[file] == state
    assert words in said
    assert "Copy the artifact again" in said
    assert "Traceback" not in said
    if harm is edit_manifest:  # what it says of the others is still compared
        assert [*states.values()].count("as listed") == 3
    (artifact / "README.md").write_text("another card")  # that much is allowed
    _, states, again = look(artifact, capfd)
    assert again == said


def test_what_is_allowed_is_shown_and_no_damage(artifact: Path, capfd: Any) -> None:
    (artifact / "README.md").write_text("my card")
    (artifact / "notes.txt").write_text("mine")
    (artifact / "tuning.json").write_text("{}")
    (artifact / "dangling").symlink_to("nowhere")
    code, states, _ = look(artifact, capfd)
    assert code == 0
    assert states["README.md"] == "changed"
    assert {states[name] for name in ("notes.txt", "tuning.json", "dangling")} == {"not listed"}
    assert main(["inspect", str(artifact)]) == 0
    said = capfd.readouterr().out
    assert "1 changed" in said
    assert "3 not listed" in said
    assert "never read" in said
    assert "settings measured on a device" in said


def test_half_an_artifact(tmp_path: Path, capfd: Any) -> None:
    import dataclasses

    from runtimes.artifact import ModelEntry, read_manifest
    from runtimes.manifest import render

    artifact = write_tiny(tmp_path / "artifact")
    manifest = read_manifest(artifact)
    second = ModelEntry(
        "openvino", "openvino", "openvino/model.xml", "fp32", weights=("openvino/model.bin",)
    )
    model = manifest.files["onnx/model.onnx"]
    files = {**manifest.files, "openvino/model.xml": model, "openvino/model.bin": model}
    made = dataclasses.replace(manifest, models=(*manifest.models, second), files=files)
    (artifact / "manifest.json").write_bytes(render(made))
    code, states, _ = look(artifact, capfd)
    assert code == 0
    assert states["openvino/model.xml"] == states["openvino/model.bin"] == "missing"
    assert main(["inspect", str(artifact)]) == 0
    assert "removed     openvino: none of its files is left" in capfd.readouterr().out
    shutil.rmtree(artifact / "onnx")  # and now nothing can be opened
    code, states, said = look(artifact, capfd)
    assert code == 1
    assert "model.onnx is missing" in said
    assert "model.bin is missing" in said


def test_figures_that_are_none_are_shown_as_they_are(artifact: Path, capfd: Any) -> None:
    import dataclasses

    from runtimes.artifact import read_manifest
    from runtimes.manifest import render

    rows = [{"runtime": "x"}, 5, {"runtime": "a", "precision": "b", "metric": {"name": "c"}}]
    made = dataclasses.replace(read_manifest(artifact), metrics={"rows": rows})
    (artifact / "manifest.json").write_bytes(render(made))
    assert main(["inspect", str(artifact)]) == 0
    assert "measured    5" in capfd.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_names_and_labels_write_no_escapes_to_the_terminal(tmp_path: Path, capfd: Any) -> None:
    artifact = write_tiny(tmp_path / "\x1b[2Ja\nb", labels=("\x1b[31m", "a\nb", "\x9b0m\u202e"))
    (artifact / "\x1b]0;x\x07\n  as listed   fake").write_text("")
    assert main(["inspect", str(artifact)]) == 0
    said = capfd.readouterr()
    assert r"labels      \x1b[31m, a\nb, \x9b0m\u202e" in said.out
    assert r"\x1b]0;x\x07\n  as listed   fake" in said.out
    flip(artifact)
    assert main(["inspect", str(artifact)]) == 1
    said = capfd.readouterr()
    assert "\\x1b[2Ja\n       b/tokenizer.json was changed" in said.err
    assert main(["inspect", str(artifact), "--json"]) == 1
    json.loads(said := capfd.readouterr().out)
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in said)


def test_many_labels_are_wrapped_between_them(tmp_path: Path, capfd: Any) -> None:
    labels = tuple(f"B-kind_{place}" for place in range(40))
    artifact = write_tiny(tmp_path / "artifact", labels=labels)
    assert main(["inspect", str(artifact)]) == 0
    lines = capfd.readouterr().out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("labels "))
    count = next(n for n, line in enumerate(lines[start + 1 :]) if not line.startswith(" " * 12))
    shown = [line[12:] for line in lines[start : start + count + 1]]
    assert len(shown) > 2
    assert max(map(len, shown)) <= 108
    assert " ".join(shown).split(", ") == list(labels)


# --- signatures ---


@pytest.fixture
def key(tmp_path: Path) -> Path:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, kind = Ed25519PrivateKey.generate(), ser.PrivateFormat.OpenSSH
    (tmp_path / "key").write_bytes(key.private_bytes(ser.Encoding.PEM, kind, ser.NoEncryption()))
    public = key.public_key().public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)
    (tmp_path / "key.pub").write_bytes(public)
    return tmp_path / "key"


def test_sign_verify_and_predict(artifact: Path, key: Path, capfd: Any) -> None:
    assert main(["verify", str(artifact)]) == 0
    assert "signature  none" in capfd.readouterr().out
    assert main(["verify", str(artifact), "--trusted", f"{key}.pub"]) == 1
    assert "is not signed" in capfd.readouterr().err
    assert main(["sign", str(artifact), "--key", str(key)]) == 0
    assert "by      SHA256:" in capfd.readouterr().err
    assert main(["verify", str(artifact)]) == 0
    assert "not compared with a key that you trust" in capfd.readouterr().out
    assert main(["verify", str(artifact), "--trusted", f"{key}.pub"]) == 0
    said = capfd.readouterr().out
    assert "all match their SHA-256" in said
    assert said.rstrip().endswith(", trusted")
    assert main(["predict", str(artifact), "a film", "--trusted", f"{key}.pub"]) == 0
    assert main(["inspect", str(artifact)]) == 0
    assert "signature of the list" in capfd.readouterr().out
    assert main(["verify", str(artifact), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["problems"] == []


def test_damage_is_neither_signed_nor_verified(artifact: Path, key: Path, capfd: Any) -> None:
    assert main(["sign", str(artifact), "--key", str(key)]) == 0
    flip(artifact)
    assert main(["verify", str(artifact), "--trusted", f"{key}.pub"]) == 1
    said = capfd.readouterr()
    assert "tokenizer.json was changed" in said.err
    assert said.out == ""
    assert main(["sign", str(artifact), "--key", str(key)]) == 1
    break_signature(artifact)
    code, states, said = look(artifact, capfd)
    assert code == 1
    assert "manifest.json.sig proves nothing" in said
    assert states["manifest.json.sig"] == "not listed"
