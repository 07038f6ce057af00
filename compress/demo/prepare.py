"""Makes the demo's data and teacher once and keeps them under the user's cache directory."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compress.demo.bag_of_words import bag_of_words_accuracy
from compress.demo.grammar import SIZES, Utterance, generate, write_csv
from compress.demo.settings import TeacherSettings
from compress.demo.teacher import MODEL_FILES, train_teacher
from compress.errors import EdgepressError
from compress.system.cache import user_cache_dir
from compress.system.progress import Progress, SilentProgress

__all__ = ["DemoPaths", "prepare"]

VERSION = "v3"
SUMMARY = "demo.json"
LEFTOVER_AGE_S = 6 * 3600
# Reports are titled by them.
MODEL, DATA = "small-bert", "voice-assistant"


@dataclass(frozen=True)
class DemoPaths:
    """The demo's teacher and data.

    Attributes:
        model: Folder of a Hugging Face checkpoint.
        data: Folder with train.csv, validation.csv and test.csv (`text,label`).
        bag_of_words_accuracy: Test accuracy (0-100) of the baseline.
        teacher_accuracy: Test accuracy (0-100) of the model.
    """

    model: Path
    data: Path
    bag_of_words_accuracy: float
    teacher_accuracy: float


def prepare(
    cache_dir: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    sizes: Mapping[str, int] = SIZES,
    settings: TeacherSettings | None = None,
) -> DemoPaths:
    """Return the demo's data and teacher: from the cache or, the first time, generated and trained.

    A cache entry appears whole or not at all; one with a file missing is made again.

    Args:
        cache_dir: Where entries live; None means $EDGEPRESS_CACHE, or edgepress under
            $XDG_CACHE_HOME, or ~/.cache/edgepress.
        seed: Seed of the data and of the training.
        progress: Told of each training step.
        sizes: Utterances a split.
        settings: Settings of the teacher; None means the demo's own.

    Raises:
        EdgepressError: The cache directory cannot be written.
    """
    settings = settings or TeacherSettings()
    splits = generate(seed, sizes)
    entry = (cache_dir or user_cache_dir()) / f"demo-{VERSION}-{_key(splits, settings, seed)}"
    found = _read(entry)
    if found is not None:
        return found
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        _sweep(entry)
        building = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    except OSError as error:
        raise EdgepressError(
            f"The demo's cache cannot be written: {error}.",
            hint="Point EDGEPRESS_CACHE at a folder that can: EDGEPRESS_CACHE=DIR edgepress demo",
        ) from error
    try:
        data, model = building / DATA, building / MODEL
        data.mkdir()
        model.mkdir()
        write_csv(splits, data)
        texts = [utterance.text for utterance in splits["train"]]
        summary = {
            "bag_of_words_accuracy": bag_of_words_accuracy(splits["train"], splits["test"]),
            "teacher_accuracy": train_teacher(
                *(data, texts, model, settings, progress or SilentProgress(), seed)
            ),
        }
        (building / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        _publish(building, entry)
    finally:
        shutil.rmtree(building, ignore_errors=True)  # Ctrl-C included
    made = _read(entry)
    assert made is not None  # `_publish` leaves none but whole ones
    return made


def _sweep(entry: Path) -> None:
    """Remove what killed processes left of this entry; what is younger may still be in work."""
    for leftover in entry.parent.glob(f".{entry.name}-*"):
        if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _publish(building: Path, entry: Path) -> None:
    if entry.exists() and _read(entry) is None:
        shutil.rmtree(entry)
    try:
        building.rename(entry)
    except OSError:
        if _read(entry) is None:  # otherwise another process was faster: its entry is as good
            raise


def _read(entry: Path) -> DemoPaths | None:
    """Return the entry, or None where it is absent or incomplete."""
    files = [entry / MODEL / name for name in MODEL_FILES]
    files += [entry / DATA / f"{split}.csv" for split in SIZES]
    if not all(file.is_file() for file in files):
        return None
    try:
        summary = json.loads((entry / SUMMARY).read_text(encoding="utf-8"))
        baseline, teacher = (float(summary[f"{of}_accuracy"]) for of in ("bag_of_words", "teacher"))
        return DemoPaths(entry / MODEL, entry / DATA, baseline, teacher)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _key(splits: Mapping[str, tuple[Utterance, ...]], settings: TeacherSettings, seed: int) -> str:
    """Return a digest of data, settings and seed, so that an old entry is never taken."""
    text = repr((settings, seed, [(name, splits[name]) for name in sorted(splits)]))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
