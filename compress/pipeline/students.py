"""Opens checkpoints that members may be cut from instead of the model's own layers."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.encoder.in_memory import saved_checkpoint
from compress.errors import ModelError, RecipeError
from compress.pipeline.inputs import Job
from compress.pipeline.prepare import fitted_to_texts, measured_table, scratch_of
from compress.search.members import Staged
from compress.stages import by_latency
from compress.system.fingerprint import checkpoint_files, digest
from runtimes.registry import get_task

if TYPE_CHECKING:
    from compress.stages.base import Context

__all__ = ["check_students", "open_students"]


def check_students(job: Job) -> None:
    """Refuse students that cannot be opened, or that nothing would be cut from.

    Raises:
        RecipeError: Says what they need.
        ModelError: There is no such checkpoint, or its architecture has no importer.
    """
    from compress.encoder.checkpoint import read_config
    from compress.encoder.importers.registry import find_importer, supported_model_types

    if job.students and not ("distill" in job.recipe.stages and by_latency(job.recipe)):
        raise RecipeError(
            "a student has the task to learn, and members are cut from it by what sizes cost",
            hint="leave out --student, or ask for --effort balanced or best",
        )
    if job.students and job.device is not None:
        raise RecipeError(
            "a device's profile says what the sizes of one model cost, not those of a student",
            hint="leave out --student or --device-profile",
        )
    if job.recipe.student_only and not job.students:
        raise RecipeError("student_only=true, but no student is given", hint="add --student")
    for student in job.students:
        model_type = read_config(student).model_type
        if find_importer(model_type) is None:
            raise ModelError(
                f"{student}: a student's layers are cut, and there is no importer for "
                f"{model_type!r}; there is one for {', '.join(supported_model_types())}"
            )


def open_students(job: Job, context: "Context", key: str) -> list[Staged]:
    """Return the students with heads for the task, each with the context that stages need for it.

    A masked-language model, a classifier of other labels or a sentence encoder will do.

    Args:
        job: The run.
        context: The teacher's.
        key: Key of the teacher as imported.

    Raises:
        EdgepressError: One of them cannot be opened, or cannot learn from this teacher.
    """
    return [
        _opened(job, student, context, key, scratch_of(job) / f"student-{number}")
        for number, student in enumerate(job.students)
    ]


def _opened(job: Job, student: str, context: "Context", key: str, scratch: Path) -> Staged:
    from compress.corpus.corpus import Material
    from compress.corpus.student_tokens import StudentTokens
    from compress.encoder.importers.registry import import_encoder
    from compress.stages.base import Encoder
    from compress.system.distributed import on_main

    train, teacher, name = job.splits.train, context.teacher, Path(student).name
    with job.progress.track(f"importing {name}", 1) as task:
        folder = on_main(lambda: _with_head(job, student, teacher.module.config))
        imported = import_encoder(folder)
        task.advance()
    # What it can read decides for both: the teacher answers for the same text.
    length = min(context.max_length, imported.model.config.max_position_embeddings)
    fitted = fitted_to_texts(
        imported, folder, pairs=train.pairs is not None, task=train.task, max_length=length
    )
    encoder = Encoder(
        module=fitted.module,
        tokenizer=imported.tokenizer,
        lineage=({"stage": "student", "in_words": _in_words(student, fitted.module.config)},),
    )
    scratch.mkdir(parents=True, exist_ok=True)
    material = Material(
        teacher.module,
        teacher.tokenizer,
        train,
        job.splits.selection,
        unlabelled=job.unlabelled,
        max_length=length,
        seed=job.recipe.seed,
        scratch=scratch,
        student=StudentTokens(teacher.tokenizer, encoder.tokenizer, train, length),
    )
    own = replace(context, material=material, student=encoder, max_length=length)
    table = on_main(lambda: measured_table(job, encoder, own))
    own_key = digest(key, "student", checkpoint_files(folder))
    return Staged(name, own_key, encoder, replace(own, latency=table))


def _with_head(job: Job, student: str, teacher: Any) -> Path:
    """Return a checkpoint of the student whose head answers as the teacher's does.

    What it has of a head for this many labels is kept; the rest is drawn by the run's seed.
    """
    import transformers

    from compress.training.base import load_base
    from compress.training.settings import TrainingSettings

    spec = get_task(job.splits.train.task).SPEC
    labels: dict[str, Any] = {}
    if spec.labels is None:
        names = {index: teacher.id2label[index] for index in range(teacher.num_labels)}
        labels = {
            "num_labels": len(names),
            "id2label": names,
            "label2id": {name: index for index, name in names.items()},
            "problem_type": teacher.problem_type,
        }
    model, tokenizer, _ = load_base(
        student,
        getattr(transformers, spec.auto_class),
        TrainingSettings(seed=job.recipe.seed),
        (),
        purpose="as a student",
        **labels,
    )
    return saved_checkpoint(model, tokenizer, job.workspace.models)


def _in_words(student: str, config: Any) -> str:
    return (
        f"It began as {Path(student).name} ({config.source_family}, {len(config.layers)} layers of "
        f"{config.hidden_size}), not as layers of the original."
    )
