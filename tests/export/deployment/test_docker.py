"""The image: parsed as Docker does, built without a network, run without rights. No Docker here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from environments import UnavailableError, run_python

from export.deployment.deploy import deploy
from export.deployment.templates import write_template
from runtimes import load

HERE = Path(__file__).parent


def test_it_runs_as_nobody_and_fetches_nothing(tmp_path: Path) -> None:
    values = {"name": "Mine", "image": "edgepress-mine", "python": "3.12", "wheel": "x.whl"}
    for name in ("Dockerfile", "compose.yaml"):
        write_template(name, tmp_path / name, **values)
    lines = (tmp_path / "Dockerfile").read_text().splitlines()
    last = [line for line in lines if line.startswith("USER")]
    assert last == ["USER 65532:65532"]
    assert [line for line in lines if "pip" in line and "--no-index" not in line] == [
        line for line in lines if "--without-pip" in line
    ]
    assert not any(word in line for line in lines for word in ("apt", "curl", "ADD ", "http://d"))
    [service] = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["build"]["network"] == "none"
    assert service["image"] == "edgepress-mine"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.minutes
@pytest.mark.timeout(900)
def test_its_steps_make_what_answers(artifact: Path, tmp_path: Path) -> None:
    """In this machine's system in the place of the base image's."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    context = deploy(artifact, tmp_path / "image", layout="docker", name="mine", python=python).path
    try:
        steps = run_python(
            "dockerfile", HERE / "read_dockerfile.py", str(context / "Dockerfile"), given=None
        )
    except UnavailableError as error:
        pytest.skip(str(error))
    known = {"arg", "from", "workdir", "copy", "run", "env", "user", "expose", "stopsignal"}
    known |= {"healthcheck", "entrypoint", "cmd"}
    assert {step["cmd"].lower() for step in steps} == known
    found = run_steps(context, steps, tmp_path / "work")
    code, said = found["check"]
    assert code == 0, said
    assert "right" in said
    code, said = found["writing"]
    assert code != 0
    assert said.splitlines()[0] == "65532"
    assert said.count("Read-only file system") == 3, said
    assert found["healthy"][0] == 0, found["healthy"]
    code, answer = found["answered"]
    assert code == 0, answer
    with load(artifact, runtime="onnxruntime") as classify:
        assert json.loads(answer)[0][0]["label"] == classify("the sun rises")[0]["label"]
    code, said = found["ended"]
    assert code == 0, said


def run_steps(context: Path, steps: list[dict[str, Any]], work: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        pytest.skip("needs namespaces and chroot, as root has them")
    work.mkdir()
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("there are no namespaces here")
    script = [sys.executable, str(HERE / "container.py")]
    done = subprocess.run(
        [*unshare, *script, str(context), str(work), sys.base_prefix],
        input=json.dumps(steps), capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return dict(json.loads(done.stdout))
