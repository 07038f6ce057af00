"""Artifacts of the hub: downloaded once, and trusted no more than other folders."""

import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, fake_hub

from runtimes import load
from runtimes.artifact import MANIFEST_NAME
from runtimes.errors import ArtifactError, MissingDependencyError, UsageError
from runtimes.hub import artifact_folder, is_hub_id

TEXT = "a gorgeous , witty film"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.chdir(tmp_path)
    with fake_hub(tmp_path / "cache", monkeypatch) as served:
        yield served


@pytest.fixture
def repository(hub: FakeHub, both_runtimes: Path) -> Path:
    hub.repositories["ada/tiny"] = both_runtimes
    return both_runtimes


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ada/tiny", True), ("out/artifact", False), ("./ada", False), ("a/b/c", False),
     ("tiny", False), (Path("ada/tiny"), False), ("/ada/tiny", False)],
)  # fmt: skip
def test_only_what_can_be_no_path_is_looked_up(
    name: str | Path, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert is_hub_id(name) is expected
    with pytest.raises(UsageError, match="is a folder"):
        artifact_folder(tmp_path, revision="v1")


def test_it_is_downloaded_once_and_answers_as_the_folder(hub: FakeHub, repository: Path) -> None:
    with load(repository, threads=1) as here, load("ada/tiny", threads=1) as there:
        assert there(TEXT) == here(TEXT)
        folder = there.source[1][0]
        again = pickle.loads(pickle.dumps(there))
        assert again(TEXT) == here(TEXT)
    assert folder.name == hub.commit("ada/tiny")
    hub.asked.clear()
    load("ada/tiny", threads=1).close()
    assert [one for one in hub.asked if MANIFEST_NAME not in one and "sig" not in one] == []


def test_what_was_downloaded_is_verified(hub: FakeHub, repository: Path) -> None:
    model = repository / "onnx" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"onnx/model\.onnx was changed"):
        load("ada/tiny", runtime="onnxruntime")
    model.unlink()
    with pytest.raises(ArtifactError, match=r"has no onnx/model\.onnx, which its manifest"):
        load("ada/tiny", runtime="onnxruntime")


def test_files_of_other_runtimes_are_left_where_they_are(hub: FakeHub, repository: Path) -> None:
    load("ada/tiny", runtime="openvino", threads=1).close()
    assert not [one for one in hub.asked if "onnx/" in one]
    load("ada/tiny", runtime="onnxruntime", threads=1).close()
    assert [one for one in hub.asked if "onnx/" in one]


def test_a_revision_is_what_was_uploaded_then(hub: FakeHub, repository: Path) -> None:
    first = hub.commit("ada/tiny")
    load("ada/tiny", revision="v1", threads=1).close()
    (repository / "README.md").write_text("another card")
    assert hub.commit("ada/tiny") != first
    assert artifact_folder("ada/tiny", revision=first).name == first  # which the cache has
    assert artifact_folder("ada/tiny").name == hub.commit("ada/tiny")
    with pytest.raises(ArtifactError, match="has no revision 'v7'"):
        load("ada/tiny", revision="v7")


def test_without_a_network_the_cache_is_enough(
    hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("ada/tiny", threads=1).close()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody there
    with load("ada/tiny", threads=1) as classify:
        assert classify(TEXT)
    with pytest.raises(ArtifactError, match="does not answer, and its cache lacks"):
        load("ada/other")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with load("ada/tiny", threads=1) as classify:
        assert classify(TEXT)
    with pytest.raises(ArtifactError, match="switched off"):
        load("ada/other")


def test_a_private_repository_takes_the_token_of_the_environment(
    hub: FakeHub, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private["ada/tiny"] = "secret"
    with pytest.raises(ArtifactError, match="the hub does not give it") as refused:
        load("ada/tiny")
    assert "HF_TOKEN" in str(refused.value)
    monkeypatch.setenv("HF_TOKEN", "secret")
    load("ada/tiny", threads=1).close()


def test_what_is_no_artifact_there_is_said(hub: FakeHub, tmp_path: Path) -> None:
    hub.repositories["ada/bert"] = tmp_path / "bert"
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "bert").mkdir(exist_ok=True)
        (tmp_path / "bert" / name).write_text("{}")
    with pytest.raises(ArtifactError, match=r"on the hub has no manifest\.json") as refused:
        load("ada/bert")
    assert "edgepress ada/bert --data DATA" in str(refused.value)
    assert not [one for one in hub.asked if "safetensors" in one]


def test_the_hubs_client_is_needed_for_nothing_else(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match="pip install huggingface_hub"):
        load("ada/tiny")
    shutil.copytree(repository, tmp_path / "ada" / "tiny")
    load("ada/tiny", threads=1).close()


def test_signatures_come_with_it(hub: FakeHub, repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from runtimes.manifest import SIGNATURE_NAME
    from runtimes.signatures import sign

    private = Ed25519PrivateKey.generate()
    key = tmp_path / "key"
    key.write_bytes(
        private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.OpenSSH, forms.NoEncryption())
    )
    public = private.public_key().public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH)
    with pytest.raises(ArtifactError):
        load("ada/tiny", trusted=public.decode())
    signature = sign((repository / MANIFEST_NAME).read_bytes(), key)
    (repository / SIGNATURE_NAME).write_bytes(signature)
    load("ada/tiny", trusted=public.decode(), threads=1).close()
