"""What a run is known by, and what it samples."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.examples import Examples
from benchmarks.labels import ClassLabels
from compress.config.recipe import Recipe
from compress.pipeline.inputs import Job
from compress.search.members import sample
from compress.system.progress import SilentProgress
from compress.system.workspace import Workspace


def key(folder: Path) -> str:
    data: Any = None
    workspace = Workspace(folder / "out")
    job = Job("m", "d", folder, data, None, Recipe(), workspace, SilentProgress(), None)
    return job.model_key


def test_a_model_is_known_by_all_files_that_say_what_it_answers(tmp_path: Path) -> None:
    pooling = tmp_path / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    for file in (tmp_path / "model.safetensors", tmp_path / "config.json", pooling):
        file.write_text("{}")
    keys = {key(tmp_path)}
    for file in (tmp_path / "model.safetensors", tmp_path / "config.json", pooling):
        file.write_text('{"changed": true}')
        keys.add(key(tmp_path))
    (tmp_path / "notes.md").write_text("nothing to do with it")
    keys.add(key(tmp_path))
    assert len(keys) == 4


def test_a_sample_is_spread_over_a_sorted_file() -> None:
    texts = tuple(f"text {i}" for i in range(150))
    examples = Examples(texts, ClassLabels(np.repeat([0, 1, 2], 50)), ("a", "b", "c"))
    for count in (3, 100, 128, 150, 1000):
        picked = [texts.index(str(text)) for text in sample(examples, count)]
        assert len(picked) == len(set(picked)) == min(count, 150)
        assert {place // 50 for place in picked} == {0, 1, 2}
    assert list(sample(examples, 0)) == []
