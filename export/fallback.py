"""An artifact for a family without an importer: stock exports in INT8, nothing removed."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.checks import cases_for, with_expected, write_checked
from export.ecosystem import for_every_transformers, for_javascript
from export.embedded import save_embedded
from export.stock import StockName, copy_modules, export_stock
from runtimes.artifact import Manifest, ModelEntry
from runtimes.errors import ModelError
from runtimes.hf_config import read_hf_config
from runtimes.loading import open_checkpoint
from runtimes.registry import get_runtime
from runtimes.tokenization import Tokenizer

__all__ = ["export_fallback_artifact"]

# Stock export -> (runtime, format, model file there, and in the artifact, how it quantizes)
_MODELS: dict[StockName, tuple[str, str, str, str, str]] = {
    "onnx-int8": ("onnxruntime", "onnx", "model.onnx", "onnx/model.onnx", "stock dynamic INT8"),
    "openvino-int8": (
        *("openvino", "openvino", "openvino_model.xml", "openvino_model.xml"),
        "stock NNCF PTQ",
    ),
}


def export_fallback_artifact(
    checkpoint: Path,
    target: Path,
    *,
    scratch: Path,
    max_length: int,
    pairs: bool,
    calibration: Sequence[Mapping[str, NDArray[np.int64]]],
    runtimes: Sequence[str] | None = None,
    lineage: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    """Export with `transformers.exporters`, in INT8, and write the artifact.

    Args:
        checkpoint: Hugging Face folder.
        target: Artifact folder.
        scratch: Folder for intermediate files.
        max_length: Tokens that the runtimes keep of a text.
        pairs: Whether the model is for pairs of texts.
        calibration: Model inputs for static quantization.
        runtimes: Those to write files for; None: all that there is a stock export for.
        lineage: For the manifest.

    Raises:
        ModelError: `transformers.exporters` cannot export the model.
    """
    wanted = {
        name: entry for name, entry in _MODELS.items() if runtimes is None or entry[0] in runtimes
    }
    if not wanted:
        raise ModelError(
            f"there is no stock export for {', '.join(runtimes or ())}",
            hint=f"runtimes can be: {', '.join(entry[0] for entry in _MODELS.values())}",
        )
    models, files = [], dict[str, Path]()
    for name, (runtime, kind, file, path, _) in wanted.items():
        export_stock(checkpoint, scratch / name, name, calibration)
        if kind == "onnx":  # with weights where other libraries look for them
            holder = save_embedded(onnx.load(scratch / name / file), scratch / name / file)
        else:
            holder = f"{Path(file).stem}.bin"
        names = dict.fromkeys([path, (PurePosixPath(path).parent / holder).as_posix()])
        files |= {each: scratch / name / PurePosixPath(each).name for each in names}
        session = get_runtime(runtime).open_model(scratch / name / file, precision="int8")
        models.append(
            ModelEntry(
                runtime=runtime,
                format=kind,
                path=path,
                precision="int8",
                inputs=session.input_names,
                weights=tuple(names)[1:],
            )
        )
        session.close()
    stock = scratch / next(iter(wanted))
    config = read_hf_config(stock)
    for_every_transformers(stock, max_length)
    for_javascript(stock, models)

    def populate(partial: Path) -> None:
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(stock / name, partial / name)
        copy_modules(stock, partial)
        for path, source in files.items():
            (partial / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, partial / path)

    manifest = Manifest(
        task=config.task,
        labels=config.labels,
        problem_type=config.problem_type,
        max_length=max_length,
        pad_token_id=Tokenizer.from_folder(stock).pad_token_id,
        type_ids=any("token_type_ids" in model.inputs for model in models),
        pairs=pairs,
        models=tuple(models),
        lineage=tuple(dict(step) for step in lineage),
        quantization={entry[0]: entry[-1] for entry in wanted.values()},
    )
    checks = cases_for(Tokenizer.from_folder(stock, max_length=max_length), pairs=pairs)
    with open_checkpoint(checkpoint) as original:
        checks = with_expected(checks, original.answering(checks.rows))
    draft = scratch / "draft" / "artifact"
    written, _ = write_checked(target, manifest, populate, checks, draft)
    shutil.rmtree(draft.parent)
    return written
