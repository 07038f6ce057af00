"""The notebook example, as it is written, on a real model and real data."""

import os
from pathlib import Path

import pytest


@pytest.mark.minutes
@pytest.mark.shared
def test_the_notebook_example(tmp_path: Path) -> None:
    shared = Path(os.environ.get("EDGEPRESS_SHARED", "../shared"))
    model, data = shared / "models" / "minilm-sst2", shared / "data" / "sst2"
    if not (model.is_dir() and data.is_dir()):
        pytest.skip(f"EDGEPRESS_SHARED ({shared}) holds no models/minilm-sst2 or no data/sst2")

    import pandas as pd
    from datasets import load_dataset

    from compress import Recipe, compress

    files = {split: str(data / f"{split}.csv") for split in ("train", "validation")}
    reviews = load_dataset("csv", data_files=files, cache_dir=str(tmp_path / "cache"))
    recipe = Recipe.preset("fast", max_drop=1.0, seed=1).replace(distill={"epochs": 1.0})
    result = compress(model, data=reviews, recipe=recipe, out=tmp_path / "out", progress=False)

    assert recipe.distill.epochs == 1.0
    assert list(result.family) == ["full", "prune"]
    assert all(member.artifact.is_dir() for member in result.family.values())
    table = result.table()
    assert isinstance(table, pd.DataFrame)
    assert list(table["id"]) == [row.id for row in result.report.rows]
    assert {"pytorch", "onnxruntime"} <= set(table["runtime"])
    html = result._repr_html_()
    assert html.startswith("<iframe")
    assert 'title="Text classification on the DatasetDict: negative, positive"' in html
    assert result.within_budget
    assert result.recommended in result.family.values()
    with result.load() as classify, result.family["full"].load(threads=1) as other:
        assert classify("a gorgeous , witty film")[0]["label"] == "positive"
        assert other("a dull , lifeless mess")[0]["label"] == "negative"
