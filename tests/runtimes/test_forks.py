"""A forked child cannot use its parent's model, says so, and ends; a pickled one is loaded anew."""

import copy
import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from runtimes import load, open_model_folder
from runtimes.artifact import Manifest, read_manifest, write_artifact
from runtimes.errors import ArtifactError

TEXTS = ["a gorgeous , witty film", "dull"]
PARENT = """
import os, sys
from runtimes import load
from runtimes.errors import UsageError

texts, options = ["a gorgeous , witty film", "dull"], eval(sys.argv[2])
predict = load(sys.argv[1], **options)
before = predict(texts)
child = os.fork()
if child == 0:
    for ask in (
        lambda: predict("dull"), lambda: predict(texts), lambda: predict.logits(texts),
        lambda: predict.session.run({}),
    ):
        try:
            ask()
        except UsageError as error:
            print(error, flush=True)
    if "sessions" in options:  # and one that does what it may
        with load(sys.argv[1], **options) as own:
            assert own(texts) == before
        predict.close()
        del predict
    sys.exit(7)
print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert predict(texts) == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("options", [{}, {"sessions": 2, "threads": 1}], ids=["asks", "loads"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_child_says_load_after_the_fork_and_ends(
    both_runtimes: Path, runtime: str, options: dict[str, Any]
) -> None:
    asked = repr({"runtime": runtime, **options})
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(both_runtimes), asked],
        capture_output=True,
        text=True,
        timeout=60,  # waiting for threads that a fork left behind never ends
        check=True,
    )
    assert done.stderr == ""
    *said, last = done.stdout.splitlines()
    words = (
        "This model was loaded before this process was forked, and cannot be used in it.",
        "Load it after the fork, in each process: load(FOLDER)",
    )
    assert said == [*words] * 4
    assert last == "ended 7"


def ask(predict: Any, texts: list[str]) -> Any:
    return predict(texts)


@pytest.mark.parametrize("options", [{}, {"sessions": 2, "threads": 1}, {"verify": False}])
def test_a_copy_answers_as_the_original(
    artifact: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(artifact.parent)
    with load(artifact.name, **options) as predict:
        monkeypatch.chdir("/")
        with copy.deepcopy(predict) as one, pickle.loads(pickle.dumps(predict)) as other:
            assert one(TEXTS) == other(TEXTS) == predict(TEXTS)
            assert type(one.session) is type(predict.session)


def test_a_process_that_is_spawned_loads_its_own(artifact: Path) -> None:
    with load(artifact, threads=1) as predict, get_context("spawn").Pool(1) as pool:
        assert pool.apply(ask, (predict, TEXTS)) == predict(TEXTS)


def test_another_artifact_is_not_taken_for_the_pickled_one(
    artifact: Path, manifest: Manifest, tmp_path: Path
) -> None:
    with load(artifact) as predict:
        pickled = pickle.dumps(predict)
    shutil.copytree(artifact, tmp_path / "old")

    def populate(folder: Path) -> None:
        for name in read_manifest(tmp_path / "old").files:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(tmp_path / "old" / name, folder / name)

    write_artifact(artifact, dataclasses.replace(manifest, labels=("a", "b", "c")), populate)
    with pytest.raises(ArtifactError, match="not the artifact any more that was pickled"):
        pickle.loads(pickled)
    shutil.rmtree(artifact)
    with pytest.raises(ArtifactError, match="does not exist"):
        pickle.loads(pickled)


def test_what_load_did_not_open_cannot_be_copied(artifact: Path, tmp_path: Path) -> None:
    predict = load(artifact)
    predict.close()
    with pytest.raises(TypeError, match=r"Only an open predictor of runtimes\.load"):
        pickle.dumps(predict)
    shutil.copytree(artifact, tmp_path / "bare")
    (tmp_path / "bare" / "config.json").write_text('{"id2label": {"0": "a", "1": "b", "2": "c"}}')
    with (
        open_model_folder(tmp_path / "bare") as bare,
        pytest.raises(TypeError, match=r"Only an open predictor of runtimes\.load"),
    ):
        copy.copy(bare)
