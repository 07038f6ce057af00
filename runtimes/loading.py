"""Opening artifacts, checkpoints and bare model folders as a `Predictor`."""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from runtimes.artifact import (
    DETAILS_NAME,
    MANIFEST_NAME,
    OPTIONAL,
    TUNING_NAME,
    ArtifactFile,
    Manifest,
    ModelEntry,
    parse_manifest,
    read_content,
    removed_files,
)
from runtimes.artifact import verify as verify_files
from runtimes.base import Session, TextInput, plain_device
from runtimes.cores import usable_cores
from runtimes.errors import (
    ArtifactError,
    DeviceUnavailableError,
    EdgepressError,
    MissingDependencyError,
    OutdatedRuntimeError,
    UsageError,
)
from runtimes.forks import guard
from runtimes.hf_config import read_hf_config
from runtimes.hub import artifact_folder
from runtimes.json_files import read_json
from runtimes.pipeline import Predictor
from runtimes.pool import SessionPool
from runtimes.pooling import read_pooling
from runtimes.processor import processor_flags, saturates
from runtimes.registry import artifact_runtimes, get_runtime, get_task
from runtimes.replaced import open_settled
from runtimes.signatures import check_signed, read_public_keys
from runtimes.tokenization import INPUT_NAMES, Tokenizer
from runtimes.tuning import Setting, install_hint, keep_tuning, read_tuning
from runtimes.tuning import tune as measure_settings
from runtimes.variants import TwoVariants
from runtimes.versions import at_least, installed_versions
from runtimes.watched import WatchedSession

__all__ = ["load", "open_checkpoint", "open_model_folder"]

# What an artifact answers before its first caller does: libraries allocate in the first run.
_WARMING = "The first answer takes longer than those that follow it."


@dataclass(frozen=True)
class _Asked:
    """What `load` was asked for; see there."""

    runtime: str | None
    device: str
    threads: int | None
    precision: str | None
    options: Mapping[str, Any] | None
    sessions: int
    batch_invariant: bool
    verify: bool


def load(
    folder: str | os.PathLike[str],
    *,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str | None = None,
    options: Mapping[str, Any] | None = None,
    sessions: int = 1,
    batch_invariant: bool = True,
    verify: bool = True,
    check: bool = False,
    trusted: str | os.PathLike[str] | None = None,
    tune: Sequence[TextInput] | None = None,
    revision: str | None = None,
) -> Predictor:
    """Open an artifact, from a folder or from the Hugging Face hub.

    Where nothing else is asked for, it is opened as `runtimes.tuning` found to be fastest on this
    device, if that was measured. If another process is replacing the artifact, that is waited for.

    A predictor can be pickled and copied: that opens the same artifact again where it lies, and is
    an error if another one is there by then. A process that is forked after `load` cannot use the
    predictor, which says so: load in each process.

    Args:
        folder: Folder with a `manifest.json`; or a repository of the hub, `"owner/name"`, which is
            downloaded once, into the cache of the hub's client (`runtimes.hub`). Where there is no
            network, what the cache has is taken.
        runtime: Name of a runtime (`"onnxruntime"`); None takes the first of the manifest's models
            whose runtime is installed and has the device.
        device: Device to run on, e.g. `"cpu"`, `"cuda"`, `"gpu"`, `"npu"` (`runtimes.devices()`);
            PyTorch's `"cuda:0"` is `"cuda"`.
        threads: Threads within an operation; None for as many as there are cores, or as this
            process may use of them (affinity, quota of a container).
        precision: Take only models of this precision, where an artifact holds several.
        options: Settings of the runtime's own (`runtimes.adapters`).
        sessions: More than one opens the model so many times: lists of inputs are then answered by
            all of them at once, which is the way to most inputs a second. Unless `threads` says
            otherwise, they share the cores.
        batch_invariant: Whether each text is answered alone, so that its answer is the same to the
            last bit in any list. `False` answers lists in batches: faster on GPUs, and on CPUs for
            large models in float. What shares a batch then changes the last bits of an answer, and
            with dynamic INT8 also labels; the report says how many.
        verify: Compare every file with its SHA-256 first. A runtime whose files were all removed
            is passed over, and `README.md` is for people.
        check: Run the artifact's self-test first, some seconds long: inputs of all lengths whose
            answers are known (`runtimes.checks`).
        trusted: Open only what the owner of a key signed (`edgepress sign`): a `.pub` file of
            `ssh-keygen`, with one key or several, or the line in it. It needs `cryptography`.
        tune: Texts of the kind that will be asked: if this device was not measured yet, that is
            done now, once, in about a minute, and kept beside the artifact if that can be written.
        revision: Branch, tag or commit of the repository on the hub; None is its main branch.

    Returns:
        A callable that takes a text or a list and answers like `transformers.pipeline`.

    Raises:
        ArtifactError: The folder is no artifact, is damaged, holds no such model, or was signed by
            nobody who is trusted; or the hub does not give it.
        MissingDependencyError: No runtime of the artifact is installed, or the hub's client is not.
        DeviceUnavailableError: No installed runtime has the device.
        WrongAnswersError: The self-test was asked for, and found the runtime wrong here.
        UsageError: There is no such runtime, option or key.
    """
    if trusted is not None and not verify:
        raise UsageError("trusted names who vouches for the files: verify=False leaves them unread")
    keys = None if trusted is None else read_public_keys(trusted)
    given = None if options is None else dict(options)
    asked = _Asked(
        runtime,
        plain_device(device),
        threads,
        precision,
        given,
        sessions,
        batch_invariant,
        verify,
    )
    folder = artifact_folder(folder, revision=revision, runtime=runtime)
    predictor = open_settled(
        folder, lambda: _load(folder, asked, keys=keys, tune=tune), verified=verify
    )
    if check:
        from runtimes.checks import refuse_wrong

        try:
            refuse_wrong(predictor, folder)
        except BaseException:
            predictor.close()
            raise
    return predictor


def _reopen(folder: Path, asked: _Asked, digest: str) -> Predictor:
    """Open an artifact again, as a predictor did that was pickled; see `load` and `_manifest`."""
    return open_settled(folder, lambda: _load(folder, asked, digest=digest), verified=asked.verify)


def _manifest(
    folder: Path, keys: Sequence[bytes] | None, digest: str | None
) -> tuple[Manifest, str]:
    """Return the manifest and its SHA-256.

    Args:
        folder: The artifact.
        keys: Public keys, one of whose owners must have signed it; None: nobody need have.
        digest: The SHA-256 that it must have; None: any.

    Raises:
        ArtifactError: It is another one, nobody who is trusted signed it, or it is damaged.
    """
    content = read_content(folder)
    found = hashlib.sha256(content).hexdigest()
    if digest not in (None, found):
        raise ArtifactError(
            f"{folder} is not the artifact any more that was pickled or copied.",
            hint="Load the new one: load(FOLDER)",
        )
    if keys is not None:
        check_signed(folder, content, keys)
    return parse_manifest(folder, content), found


def _load(
    folder: Path,
    asked: _Asked,
    *,
    keys: Sequence[bytes] | None = None,
    digest: str | None = None,
    tune: Sequence[TextInput] | None = None,
) -> Predictor:
    """Open an artifact once; see `load` and `_manifest`."""
    device, threads, options, sessions = asked.device, asked.threads, asked.options, asked.sessions
    manifest, digest = _manifest(folder, keys, digest)
    task = get_task(manifest.task)
    selected = _select(folder, manifest, asked.runtime, asked.precision)
    entries = _present(folder, manifest, selected)
    tuned = None
    if sessions < 1:
        raise UsageError(f"sessions is {sessions}; there must be at least 1")
    if sessions > 1 and threads is None:
        threads = max(1, usable_cores() // sessions)
    chosen = (asked.runtime, asked.precision, threads, options)
    if device == "cpu" and sessions == 1 and all(value is None for value in chosen):
        tuned = read_tuning(folder)
        if tuned is None and tune:
            if asked.verify:
                needed = {name for entry in entries for name in manifest.files_of(entry)}
                verify_files(folder, manifest, only=sorted(needed))
            tuned = _measured(folder, tune)
    elif tune:
        raise UsageError("tune finds the settings: it cannot be asked for together with some")
    if asked.verify:
        verify_files(folder, manifest, only=_beside(folder, manifest, entries[0]))
    configuration = _configuration(folder, manifest, checked=asked.verify)
    tokenizer = Tokenizer.from_folder(
        folder,
        max_length=manifest.max_length,
        pad_token_id=manifest.pad_token_id,
        windows=task.SPEC.windows,
        contents=configuration,
    )
    _check_sizes(folder, manifest, tokenizer, configuration)
    failures: list[EdgepressError] = []
    for entry, entry_threads, entry_options in [
        *((e, tuned.threads, tuned.options) for e in entries if tuned and _is_for(tuned, e)),
        *((entry, threads, options) for entry in entries),
    ]:
        try:
            opened = _open(
                folder,
                manifest,
                entry,
                device=device,
                threads=entry_threads,
                options=entry_options,
                sessions=sessions,
                checked=asked.verify,
            )
        except (MissingDependencyError, DeviceUnavailableError) as error:
            failures.append(error)
            continue
        predictor = Predictor(
            opened[0] if sessions == 1 else SessionPool(opened),
            tokenizer,
            task,
            labels=manifest.labels,
            problem_type=manifest.problem_type,
            pooling=read_pooling(folder, configuration) if task.SPEC.pooled else None,
            batch_invariant=asked.batch_invariant,
            pairs=manifest.pairs,
            threads=entry_threads,
        )
        if device == "cpu" and saturates(entry.instruction_sets, processor_flags()):
            warnings.warn(
                f"{folder}: its INT8 sums may saturate on this processor, which has none of "
                f"{', '.join(entry.instruction_sets)}: answers can differ from those in its "
                "report. For such processors: edgepress ... quantize.reduce_range=true",
                RuntimeWarning,
                stacklevel=5,
            )
        try:
            for _ in opened:  # a pool lends them in turn
                predictor.warm(_WARMING)
        except BaseException:
            predictor.close()
            raise
        predictor.source = _reopen, (folder.absolute(), asked, digest)
        guard(predictor)
        return predictor
    raise _none_usable(folder, device, entries, failures)


def _fitting(folder: Path, manifest: Manifest, entry: ModelEntry) -> list[ModelEntry]:
    """Return the file of an entry's model to open, and where there is one, that for padded rows.

    Raises:
        OutdatedRuntimeError: The runtime that is installed is too old for all of them. Nothing
            was opened: some versions open what they then answer wrongly.
    """
    distributions = get_runtime(entry.runtime).DISTRIBUTIONS
    installed = next(iter(installed_versions(*distributions).items()), None)
    variants = manifest.variants(entry.runtime, entry.precision)
    for names in (("unpadded", "padded"), (entry.variant,), ("portable",)):
        found = [variants[name] for name in names if name in variants]
        if len(found) == len(names) and (
            installed is None or all(at_least(installed[1], one.needs) for one in found)
        ):
            return found
    assert installed is not None  # or the second would do
    least = variants.get("portable", entry).needs
    raise OutdatedRuntimeError(
        f"{folder} needs {installed[0]} {least} or newer; {installed[1]} is installed, whose "
        "answers would be wrong.",
        hint=f'Update it: pip install --upgrade "{installed[0]}>={entry.needs}"',
    )


def _measured(folder: Path, texts: Sequence[TextInput]) -> Setting:
    """Return the fastest setting; where it cannot be kept, that is warned of."""
    found = measure_settings(folder, texts, save=False, open_with=load)
    try:
        keep_tuning(folder, found)
    except OSError as error:
        warnings.warn(
            f"{folder / TUNING_NAME} cannot be written ({error.strerror}): what was measured is "
            "lost with this process.",
            RuntimeWarning,
            stacklevel=6,
        )
    return found.best


def _is_for(setting: Setting, entry: ModelEntry) -> bool:
    return (setting.runtime, setting.precision) == (entry.runtime, entry.precision)


def _configuration(folder: Path, manifest: Manifest, *, checked: bool) -> dict[Path, bytes]:
    """Return tokenizer and configuration as the manifest lists them: no other file is read."""
    contents = {}
    for name in manifest.files:
        if name.endswith(".json"):
            file = ArtifactFile(folder, manifest, name, checked=checked)
            contents[file.path] = file.read()
            file.close()
    return contents


def _check_sizes(
    folder: Path, manifest: Manifest, tokenizer: Tokenizer, configuration: Mapping[Path, bytes]
) -> None:
    """Refuse a manifest that does not fit the tokenizer and the model's configuration.

    Raises:
        ArtifactError: The labels are not those of the task, texts would have no token, or more
            than the model has positions for, or the padding is no token.
    """
    fixed = get_task(manifest.task).SPEC.labels
    if fixed is not None and manifest.labels != fixed:
        raise ArtifactError(
            f"{folder / MANIFEST_NAME} cannot be right: a model of {manifest.task} has no labels "
            f"but {', '.join(fixed) or 'none'}."
        )
    # The family's own file may count positions that no token can have.
    config = read_json(folder / DETAILS_NAME, configuration).get("encoder")
    if not isinstance(config, dict):  # a stock export, or an artifact of format 1
        config = read_json(folder / "config.json", configuration)
    least = tokenizer.backend.num_special_tokens_to_add(manifest.pairs) + 1
    positions = config.get("max_position_embeddings")
    most = positions if type(positions) is int and positions > 0 else manifest.max_length
    if not least <= manifest.max_length <= most:
        raise ArtifactError(
            f"{folder / MANIFEST_NAME} cannot be right: max_length is {manifest.max_length}; with "
            f"this tokenizer and model it must be from {least} to {most}."
        )
    rows = config.get("vocab_size")
    added = tokenizer.backend.get_added_tokens_decoder()
    tokens = max(tokenizer.backend.get_vocab_size() - 1, *added, 0) + 1
    if type(rows) is not int or rows <= 0:
        rows = tokens
    if tokens > rows:
        raise ArtifactError(
            f"{folder / 'tokenizer.json'} cannot be right: it has {tokens} tokens, and the model "
            f"knows {rows}."
        )
    if manifest.pad_token_id >= rows:
        raise ArtifactError(
            f"{folder / MANIFEST_NAME} cannot be right: pad_token_id is {manifest.pad_token_id}, "
            f"and the model knows {rows} tokens."
        )


def _open(
    folder: Path,
    manifest: Manifest,
    entry: ModelEntry,
    *,
    device: str,
    threads: int | None,
    options: Mapping[str, Any] | None,
    sessions: int,
    checked: bool,
) -> list[Session]:
    """Return the model of an entry, so many times, each with its other variant if there is one.

    What is opened is what was checked: the bytes that were hashed, or, where the library maps
    files, files that are held open and still are where they were. The other variant, which may be
    opened much later, is checked again.
    """
    folder = folder.absolute()  # whatever becomes of the current one

    def files_of(one: ModelEntry) -> list[ArtifactFile]:
        names = manifest.files_of(one)
        return [ArtifactFile(folder, manifest, name, checked=checked) for name in names]

    def opened(one: ModelEntry, files: Sequence[ArtifactFile], count: int) -> list[Session]:
        runtime = get_runtime(one.runtime)
        open_model = partial(
            runtime.open_model,
            folder / one.path,
            device=device,
            threads=threads,
            precision=one.precision,
            options=options,
        )
        if runtime.READS_CONTENTS:
            contents = {file.path: file.read() for file in files}
            return [open_model(contents=contents) for _ in range(count)]
        for file in files:
            file.check()
            file.check_place()
        models = [open_model() for _ in range(count)]
        for file in files:  # nothing took its name meanwhile
            file.check_place()
        mapped = [file for file in files if file.path != folder / one.path]
        return [WatchedSession(model, mapped) for model in models]

    first, *padded_too = _fitting(folder, manifest, entry)
    files = files_of(first)
    models = opened(first, files, sessions)
    if not padded_too:
        return models
    padded = padded_too[0]
    known, files = {file.path for file in files}, files_of(padded)
    for file in files:
        if file.path not in known:  # the weights are shared, and were checked above
            file.check()
    return [
        TwoVariants(model, lambda: opened(padded, files, 1)[0], padded.inputs) for model in models
    ]


def open_model_folder(
    folder: str | os.PathLike[str],
    *,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    options: Mapping[str, Any] | None = None,
    task: str | None = None,
    batch_invariant: bool = True,
) -> Predictor:
    """Open a bare export: a model file with `tokenizer.json` and `config.json` beside it.

    Args:
        folder: Holds one of the `MODEL_FILES` of a runtime, such as `model.onnx`.
        runtime: None takes the first for which there is a model file.
        device: See `load`.
        threads: See `load`.
        precision: What the file holds; `"auto"` leaves a float model's precision to the library.
        options: See `load`.
        task: Task name; None for the one that `config.json` tells.
        batch_invariant: See `load`.

    Raises:
        ArtifactError: There is no model file, or the folder does not state its labels.
        MissingDependencyError: The runtime is not installed.
        DeviceUnavailableError: The runtime does not have the device.
    """
    folder, device = Path(folder), plain_device(device)
    names = [runtime] if runtime is not None else artifact_runtimes()
    wanted_files = {name: get_runtime(name).MODEL_FILES for name in names}
    found = [
        (name, path)
        for name, files in wanted_files.items()
        for file in files
        if (path := folder / file).is_file()
    ]
    if not found:
        wanted = ", ".join(file for files in wanted_files.values() for file in files)
        raise ArtifactError(f"{folder} holds no model file; looked for: {wanted or 'none'}.")
    config = read_hf_config(folder)
    if not config.labels and get_task(config.task).SPEC.labels is None:
        raise ArtifactError(f"{folder / 'config.json'} does not state the labels (id2label).")
    name, path = found[0]
    found_task = get_task(task or config.task)
    tokenizer = Tokenizer.from_folder(folder, windows=found_task.SPEC.windows)
    session = get_runtime(name).open_model(
        path, device=device, threads=threads, precision=precision, options=options
    )
    if unknown := sorted(set(session.input_names) - set(INPUT_NAMES)):
        raise ArtifactError(
            f"{path} wants {', '.join(unknown)}, which no tokenizer gives.",
            hint=f"Export it with no inputs but {', '.join(INPUT_NAMES)}.",
        )
    predictor = Predictor(
        session,
        tokenizer,
        found_task,
        labels=config.labels,
        problem_type=config.problem_type,
        pooling=config.pooling,
        batch_invariant=batch_invariant,
    )
    guard(predictor)
    return predictor


def open_checkpoint(
    folder: str | os.PathLike[str],
    *,
    device: str = "cpu",
    threads: int | None = None,
    precision: str = "fp32",
    options: Mapping[str, Any] | None = None,
    batch_invariant: bool = True,
) -> Predictor:
    """Open a Hugging Face checkpoint in PyTorch, eager, with the stock tokenizer: the reference.

    A single text goes the way that a user would write by hand (`AutoTokenizer`, the model under
    `torch.inference_mode()`, softmax), so that comparisons with it are fair.

    Args:
        folder: Checkpoint folder with safetensors weights.
        device: `"cpu"` or `"cuda"`.
        threads: PyTorch's threads (a setting of the whole process); None leaves it.
        precision: `"fp32"`, `"bf16"`, `"fp16"` or, on a CPU, `"int8"`.
        options: Settings of `runtimes.adapters.pytorch`.
        batch_invariant: See `load`.

    Raises:
        ModelError: The folder is no checkpoint that can be read safely; one that brings code of
            its own is none, and the code is not run.
        MissingDependencyError: torch or transformers is not installed.
        DeviceUnavailableError: The device is not there.
    """
    from runtimes.adapters.pytorch import open_reference

    reference = open_reference(
        Path(folder),
        device=plain_device(device),
        threads=threads,
        precision=precision,
        options=options,
    )
    return Predictor(
        reference.session,
        reference.tokenizer,
        get_task(reference.task),
        labels=reference.labels,
        problem_type=reference.problem_type,
        pooling=reference.pooling,
        answer_one=reference.answer_one,
        batch_invariant=batch_invariant,
    )


def _select(
    folder: Path, manifest: Manifest, runtime: str | None, precision: str | None
) -> list[ModelEntry]:
    if runtime is not None:
        get_runtime(runtime)  # a misspelt name gets its own error
    entries = [
        entry
        for entry in manifest.models
        if runtime in (None, entry.runtime)
        and precision in (None, entry.precision)
        and entry.variant != "portable"
    ]
    if not entries:
        wanted = " ".join(word for word in (precision, runtime) if word)
        offered = ", ".join(f"{e.precision} {e.runtime}" for e in manifest.models) or "none"
        raise ArtifactError(f"{folder} holds no {wanted} model; it holds: {offered}.")
    return entries


def _present(folder: Path, manifest: Manifest, entries: list[ModelEntry]) -> list[ModelEntry]:
    """Leave out the models of a runtime whose files were all removed, if there is another one."""
    removed = _removed(folder, manifest)
    return [entry for entry in entries if entry.path not in removed] or entries


def _removed(folder: Path, manifest: Manifest) -> set[str]:
    return set[str]().union(*removed_files(folder, manifest).values())


def _beside(folder: Path, manifest: Manifest, entry: ModelEntry) -> list[str]:
    """Return the files that are not read for `entry`, as those that are get checked then."""
    variants = manifest.variants(entry.runtime, entry.precision).values()
    read = {name for one in (entry, *variants) for name in manifest.files_of(one)}
    left_out = {*read, *_removed(folder, manifest), *OPTIONAL}
    return [n for n in manifest.files if n not in left_out and not n.endswith(".json")]


def _none_usable(
    folder: Path, device: str, entries: list[ModelEntry], failures: list[EdgepressError]
) -> EdgepressError:
    absent = [f for f in failures if isinstance(f, DeviceUnavailableError)]
    if absent:
        reasons = " ".join(dict.fromkeys(f.message for f in absent))
        hint = next((f.hint for f in absent if f.hint), None)
        return DeviceUnavailableError(
            f"No runtime of {folder} can use the device {device!r}. {reasons}", hint=hint
        )
    reasons = " ".join(dict.fromkeys(f.message for f in failures))
    if old := next((f for f in failures if isinstance(f, OutdatedRuntimeError)), None):
        return OutdatedRuntimeError(f"No runtime here fits {folder}. {reasons}", hint=old.hint)
    names = list(dict.fromkeys(entry.runtime for entry in entries))
    return MissingDependencyError(
        f"No runtime for {folder} is installed. {reasons}",
        hint=install_hint(names),
    )
