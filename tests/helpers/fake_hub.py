"""A hub on this machine, which says what the real one says of its repositories' files."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

__all__ = ["FakeHub", "fake_hub"]


class FakeHub:
    """Serves folders as repositories, each at one commit.

    Attributes:
        repositories: By `owner/name`, the folder.
        revisions: Names of the commit, beside itself.
        private: By repository, the token that it takes to see it.
        asked: Method and path of every request so far.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.repositories: dict[str, Path] = {}
        self.revisions = {"main", "v1"}
        self.private: dict[str, str] = {}
        self.asked: list[str] = []

    def commit(self, name: str) -> str:
        """Return the commit of a repository, which changes with its files."""
        digest = hashlib.sha1(usedforsecurity=False)
        for path in sorted(self.repositories[name].rglob("*")):
            if path.is_file():
                digest.update(str(path).encode() + path.read_bytes())
        return digest.hexdigest()

    def answer(self, path: str, token: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and content."""
        is_api = path.startswith("/api/models/")
        owner, name, kind, revision, *rest = path.removeprefix("/api/models/").strip("/").split("/")
        repository, file = f"{owner}/{name}", "/".join(rest)
        if repository not in self.repositories or token != self.private.get(repository, token):
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        commit = self.commit(repository)
        if revision not in {commit, *self.revisions}:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        folder, headers = self.repositories[repository], {"X-Repo-Commit": commit}
        if is_api:
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            names = [path.relative_to(folder).as_posix() for path in files]
            info = {"id": repository, "sha": commit, "siblings": [{"rfilename": n} for n in names]}
            tree = [
                {"type": "file", "path": n, "size": p.stat().st_size, "oid": _etag(p)}
                for n, p in zip(names, files, strict=True)
            ]
            return 200, headers, json.dumps(tree if kind == "tree" else info).encode()
        if not (folder / file).is_file():
            return 404, {**headers, "X-Error-Code": "EntryNotFound"}, b""
        return 200, {**headers, "ETag": f'"{_etag(folder / file)}"'}, (folder / file).read_bytes()


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextmanager
def fake_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Serve in this block; the hub's client of this process asks it, and has the cache."""
    from huggingface_hub import constants

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.asked.append(f"{self.command} {path}")
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, headers, content = hub.answer(path, token)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = FakeHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = f"{hub.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
