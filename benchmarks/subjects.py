"""Defines what a row of the table measures, and opens it inside the row's own process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from runtimes.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from runtimes.pipeline import Predictor

__all__ = ["Kind", "Subject", "model_size_bytes", "open_subject"]

Kind = Literal["checkpoint", "artifact", "export"]


@dataclass(frozen=True)
class Subject:
    """One model on one runtime: one row.

    Attributes:
        id: Unique in a report; rows are referred to by it.
        model: Name for people, such as `"minilm-sst2 (teacher)"`.
        kind: `"checkpoint"` (a Hugging Face folder run by stock Transformers, the way a user writes
            it by hand), `"artifact"` (a folder of ours), or `"export"` (a bare folder with
            a model file, `tokenizer.json` and `config.json`).
        path: That folder.
        runtime: Name of a runtime (`"onnxruntime"`).
        device: Device asked for; the report says which one really executed.
        precision: For an artifact, take its model of this precision (None: the first for the
            runtime); for an export, what its file holds (None: a float model whose precision the
            library chooses); for a checkpoint, None is `"fp32"`.
        threads: Intra-op threads; None lets the library use every core.
        note: A remark for the report.
        options: Settings of the runtime's own.
    """

    id: str
    model: str
    kind: Kind
    path: Path
    runtime: str
    device: str = "cpu"
    precision: str | None = None
    threads: int | None = None
    note: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            known = ", ".join(get_args(Kind))
            raise UsageError(f"{self.id}: no kind of subject is called {self.kind!r} ({known})")
        object.__setattr__(self, "path", Path(self.path))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; `Subject(**values)` makes it again."""
        return {**asdict(self), "path": str(self.path)}


def open_subject(subject: Subject, sessions: int = 1) -> "Predictor":
    """Open the model in this process, through `runtimes`; artifacts several times, if asked to.

    Raises:
        EdgepressError: What `runtimes` found wrong with the folder, the library or the device.
    """
    from runtimes import loading

    threads = subject.threads
    if sessions > 1 and threads is not None:
        threads = max(1, threads // sessions)  # the row's threads, shared
    where: dict[str, Any] = {
        "device": subject.device,
        "threads": threads,
        "options": subject.options or None,
        # The worker says how many at once: one by one is what artifacts do of themselves.
        "batch_invariant": False,
    }
    path, precision, runtime = subject.path, subject.precision, subject.runtime
    if subject.kind == "checkpoint":
        return loading.open_checkpoint(path, precision=precision or "fp32", **where)
    if subject.kind == "artifact":
        return loading.load(path, runtime=runtime, precision=precision, sessions=sessions, **where)
    return loading.open_model_folder(path, runtime=runtime, precision=precision or "auto", **where)


def model_size_bytes(subject: Subject) -> int:
    """Return the bytes of the files that the subject's runtime reads its model from.

    Weights and graph, external data included; no tokenizer, no configuration, and nothing that is
    there for other runtimes.

    Raises:
        ArtifactError: There are no such files.
    """
    if subject.kind == "checkpoint":
        files = sorted(subject.path.glob("*.safetensors"))
    else:
        files = sorted(_model_files(subject))
    if not files:
        raise ArtifactError(f"{subject.path} holds no model file for {subject.runtime}")
    return sum(file.stat().st_size for file in files)


def _model_files(subject: Subject) -> set[Path]:
    if subject.kind == "artifact":
        from runtimes.artifact import read_manifest

        manifest = read_manifest(subject.path)
        for model in manifest.models:
            if model.runtime == subject.runtime and subject.precision in (None, model.precision):
                variants = manifest.variants(model.runtime, model.precision)
                variants.pop("portable", None)
                names = {name for each in variants.values() for name in manifest.files_of(each)}
                return {subject.path / name for name in names}
    else:
        from runtimes.registry import get_runtime

        for name in get_runtime(subject.runtime).MODEL_FILES:
            if (subject.path / name).is_file():
                return _with_data(subject.path / name)
    raise ArtifactError(f"{subject.path} holds no model file for {subject.runtime}")


def _with_data(path: Path) -> set[Path]:
    """Return a bare model and its weights: `x.onnx.data`, `x.onnx_data`, or `x.bin` of `x.xml`."""
    beside = [file for file in path.parent.iterdir() if file.is_file()]
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else None
    return {file for file in beside if file.name.startswith(path.name) or file == weights}
