"""Artifacts of the Hugging Face hub: downloaded once, into the cache of the hub's own client.

That client is the package `huggingface_hub`, which comes with `tokenizers`. It takes a token from
the environment (`HF_TOKEN`), does without the network where `HF_HUB_OFFLINE=1`, and keeps files in
`HF_HOME`.
"""

import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from runtimes.artifact import read_manifest
from runtimes.errors import ArtifactError, MissingDependencyError, UsageError
from runtimes.manifest import MANIFEST_NAME, SIGNATURE_NAME

__all__ = ["artifact_folder", "hub_answers", "hub_file", "is_hub_id"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TIMEOUT_S = 3.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def is_hub_id(name: str | os.PathLike[str]) -> bool:
    """Return whether a name can only mean a repository: `owner/name`, where no such folder is.

    Nor is there the folder that it would lie in: then it is a path with a mistake.
    """
    if not isinstance(name, str) or _HUB_ID.fullmatch(name) is None:
        return False
    return not Path(name).exists() and not Path(name).parent.exists()


def artifact_folder(
    name: str | os.PathLike[str], *, revision: str | None = None, runtime: str | None = None
) -> Path:
    """Return the folder of an artifact; one of the hub is downloaded to the client's cache.

    What was downloaded is as little trusted as any other folder: whoever opens it compares it with
    its manifest.

    Args:
        name: A folder, or a repository of the hub, `owner/name`.
        revision: Branch, tag or commit of the repository; None is its main branch.
        runtime: Leave out the files of other runtimes.

    Raises:
        ArtifactError: The hub does not give the repository, or it holds no artifact.
        MissingDependencyError: `huggingface_hub` is not installed.
        UsageError: There is a revision, and `name` is no repository.
    """
    if not is_hub_id(name):
        if revision is not None:
            raise UsageError(f"{name} is a folder, and revision={revision!r} is one of the hub")
        return Path(name)
    name, offline = str(name), _offline(str(name))
    listed = hub_file(name, MANIFEST_NAME, revision, offline=offline)
    if listed is None:
        raise ArtifactError(
            f"Not an artifact: {name} on the hub has no {MANIFEST_NAME}.",
            hint=f"If it is a checkpoint, make an artifact of it: edgepress {name} --data DATA",
        )
    folder = listed.parent
    commit = folder.name  # whatever becomes of the branch meanwhile
    for file in read_manifest(folder).needed_by(runtime):
        if hub_file(name, file, commit, offline=offline) is None:
            raise ArtifactError(
                f"{name} on the hub has no {file}, which its {MANIFEST_NAME} lists.",
                hint="Upload all files of the artifact, at once.",
            )
    with suppress(ArtifactError):  # of a cache that was filled without it
        hub_file(name, SIGNATURE_NAME, commit, offline=offline)
    return folder


def hub_file(
    name: str, file: str, revision: str | None = None, *, offline: bool | None = None
) -> Path | None:
    """Return where the client's cache has a file of a repository, after downloading it if need be.

    Args:
        name: The repository, `owner/name`.
        file: Path of the file in it.
        revision: Branch, tag or commit; None is its main branch.
        offline: Whether only the cache is asked; None finds out whether the hub answers.

    Returns:
        A path that ends as the file's does, in a folder that has the name of the commit; None where
        the repository has no such file.

    Raises:
        ArtifactError: The hub does not give the repository.
        MissingDependencyError: `huggingface_hub` is not installed.
    """
    offline = _offline(name) if offline is None else offline
    from huggingface_hub import constants, errors, hf_hub_download

    try:
        return Path(hf_hub_download(name, file, revision=revision, local_files_only=offline))
    except errors.LocalEntryNotFoundError as error:
        off = "is switched off (HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else "does not answer"
        raise ArtifactError(
            f"{name}: no such folder, {constants.ENDPOINT} {off}, and its cache lacks {file}.",
            hint="Name an artifact's folder, or load it once while there is a network.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ArtifactError(f"{name} on the hub has no revision {revision!r}.") from error
    except errors.EntryNotFoundError:
        return None
    except Exception as error:  # of every kind: no rights, no such repository, a full disk
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            f"{name}: no such folder, and the hub does not give it: {said}",
            hint="Check the spelling; for a private repository set HF_TOKEN.",
        ) from error


def _offline(name: str) -> bool:
    """Return whether the hub is out of reach.

    Raises:
        MissingDependencyError: Its client is not installed.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise MissingDependencyError(
            f"{name}: no such folder, and the hub's client is not installed.",
            hint="Install it: pip install huggingface_hub",
        ) from error
    return bool(constants.HF_HUB_OFFLINE) or not hub_answers(constants.ENDPOINT)


def hub_answers(endpoint: str) -> bool:
    """Return whether a host answers, within seconds: the client itself would try for half a minute.

    Args:
        endpoint: URL of the hub.
    """
    if any(os.environ.get(name) for name in _PROXIES):
        return True  # only the proxy can tell
    url = urlsplit(endpoint)
    port = url.port or (80 if url.scheme == "http" else 443)
    try:
        socket.create_connection((str(url.hostname), port), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True
