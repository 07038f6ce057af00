"""What is installed is pinned by its content, and nobody is told to install what is not ours."""

import re
import subprocess
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = (ROOT / "requirements.txt", ROOT / "requirements-cuda.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: Path) -> dict[str, tuple[Requirement, list[str]]]:
    """Requirements of a lock file by name, each with the SHA-256 of its files."""
    text = re.sub(r"\\\n", " ", lock.read_text(encoding="utf-8"))
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            named, *hashes = line.split("--hash=sha256:")
            requirement = Requirement(named.strip())
            found[canonicalize_name(requirement.name)] = requirement, [h.strip() for h in hashes]
    return found


def version(requirement: Requirement) -> str:
    [specifier] = requirement.specifier
    assert specifier.operator == "==", requirement
    return specifier.version


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_each_requirement_is_one_version_with_hashes(lock: Path) -> None:
    found = pins(lock)
    assert len(found) > 15
    for requirement, hashes in found.values():
        assert version(requirement)
        assert hashes, requirement
        assert all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes), requirement
    text = lock.read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted", text), "no address"


def test_locks_agree() -> None:
    first, second = map(pins, LOCKS)
    for name in first.keys() & second.keys():
        assert version(first[name][0]) == version(second[name][0])


def test_what_the_project_asks_for_is_pinned() -> None:
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    # A build for GPUs would overwrite the one that is tested.
    asked = [*project["dependencies"], *chain(*(extras[name] for name in extras.keys() - {"gpu"}))]
    found = pins(LOCKS[0])
    for text in (*asked, *PROJECT["build-system"]["requires"]):
        requirement = Requirement(text)
        pinned = found[canonicalize_name(requirement.name)][0]
        assert version(pinned) in requirement.specifier, text


def test_what_devices_install_is_cut_out_of_the_same_set() -> None:
    from scripts.pins import PINS, cut

    written = {path.name: path.read_text(encoding="utf-8") for path in PINS.iterdir()}
    assert written == cut(), "python -m scripts.pins"


def test_the_tested_versions_are_the_pinned_ones() -> None:
    differ = {}
    for name, (requirement, _) in pins(LOCKS[0]).items():
        if requirement.marker is None or requirement.marker.evaluate():
            installed = metadata.version(name).partition("+")[0]  # 2.13.0+cpu is a build of 2.13.0
            if installed != version(requirement):
                differ[name] = installed
    assert not differ, "`make` installs the pinned ones"


def test_make_installs_nothing_without_a_hash() -> None:
    makefile = re.sub(r"\\\n\s*", " ", (ROOT / "Makefile").read_text(encoding="utf-8"))
    installs = re.findall(r"-m pip install.*", makefile)
    assert len(installs) == 3
    for command in installs:
        from_lock = "--require-hashes" in command and "--only-binary :all:" in command
        assert "--no-deps" in command
        assert from_lock or command.endswith("--no-build-isolation -e .")


def texts() -> list[Path]:
    """Files that people read or that print what they read, but for the log of what was tried."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    kept = {".md", ".py", ".txt", ".j2", ".toml", ".yml", ".yaml", ".js", ""}
    return [
        ROOT / name
        for name in listed
        if Path(name).suffix in kept and name not in ("docs/log.md", f"tests/{Path(__file__).name}")
    ]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_nobody_is_told_to_install_a_name_that_is_not_ours() -> None:
    """Whoever registers the name on a public index would run code on our users' devices."""
    told = re.compile(
        r"\b(?:pip3?|pipx|uv|poetry|pdm|conda)\s+(?:pip\s+|tool\s+)?(?:install|add)\b"
        r"[^\n`,]*?[\s\"']edgepress(?![\w-])[^\n]*"
    )
    assert told.search("pip install --no-deps edgepress")
    assert told.search('pip install "edgepress[dev]"')
    assert told.search("uv add edgepress")
    assert told.search("uv tool install edgepress==1.0")
    assert not told.search("pip install --no-deps edgepress-*.whl")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts()
        if path.is_file()
        for match in told.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found


def workflows() -> list[Path]:
    return sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", workflows(), ids=lambda path: path.stem)
def test_workflows_run_pinned_actions_with_few_rights(path: Path) -> None:
    workflow: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
    for target in re.findall(r"make ([a-z ]+)", " \n".join(step.get("run", "") for step in steps)):
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for name in target.split():
            assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


@pytest.mark.skipif(not workflows(), reason="needs the repository")
def test_a_release_states_where_it_comes_from_before_it_is_published() -> None:
    path = ROOT / ".github" / "workflows" / "release.yml"
    jobs: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    build, publish = jobs["build"], jobs["publish"]
    assert build["permissions"] == {
        "contents": "read",
        "id-token": "write",
        "attestations": "write",
    }
    done = [step.get("uses", step.get("run", "")).partition("@")[0] for step in build["steps"]]
    wanted = ["make audit", "make dist sbom", "actions/attest-build-provenance"]
    places = [done.index(each) for each in [*wanted, "actions/upload-artifact"]]
    assert places == sorted(places)
    assert build["steps"][places[2]]["with"]["subject-path"] == "dist/*"
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write"}
