"""A training in its folder: resumable, with a checkpoint and a record at the end."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from compress.errors import UsageError
from compress.system.fingerprint import checkpoint_files, digest
from compress.system.room import Room, check_room
from compress.training.settings import TrainingSettings
from runtimes.versions import tool_version

if TYPE_CHECKING:
    from transformers import Trainer

__all__ = ["Session"]

_RECORD, _SCRATCH = "training.json", ".training"

_LIBRARIES = 1.2e9  # bytes of memory that they hold before any model
_ACTIVATIONS = 80  # bytes kept for the gradients, for each token, layer and hidden unit


@dataclass(frozen=True)
class Session:
    """A training of `base` on `data`, from its beginning or from where it was stopped.

    Attributes:
        base: Encoder checkpoint folder or hub id, or a size to start from.
        data: As the user named it.
        out: Folder for the checkpoint.
        settings: How to train, as the user gave them.
        what: The task or objective, for the key.
        content: What identifies the data's content, for the key.
        command: What the user typed, for the record.

    Raises:
        UsageError: `out` is a file, or holds something else or another training. Another one is
            nothing to lose while it has no checkpoint, as where memory was too small.
    """

    base: str
    data: str
    out: Path
    settings: TrainingSettings
    what: str
    content: Any
    command: str | None

    def __post_init__(self) -> None:
        self._check_out()

    @cached_property
    def key(self) -> str:
        """Digest of all that decides the weights."""
        from compress.system import distributed  # loads torch

        return digest(
            tool_version(),
            self.base,
            checkpoint_files(Path(self.base)),  # none of a hub id, or of a size to start from
            self.what,
            self.content,
            self.settings.model_dump(mode="json"),
            distributed.processes(),  # they decide what a step is, and so where a checkpoint stands
        )

    def _check_out(self) -> None:
        out, mark = self.out, self._scratch / "key"
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} is a file", hint="name a folder")
        if out.is_dir() and any(out.iterdir()):
            if not mark.is_file():
                raise UsageError(
                    f"--out {out} is not empty and was not written by a training; "
                    "nothing was touched",
                    hint="name a new folder, or one of an earlier training (which then resumes)",
                )
            begun = (out / _RECORD).is_file() or self._last_checkpoint()
            if begun and mark.read_text(encoding="utf-8") != self.key:
                raise UsageError(
                    f"--out {out} holds a training of another base, data or settings, or by "
                    "another number of processes",
                    hint="name a new folder, or remove this one first",
                )

    def finished(self) -> dict[str, Any] | None:
        """Return the record of this very training if it was finished before."""
        try:
            record: dict[str, Any] = json.loads((self.out / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if record.get("key") == self.key else None

    def prepare(self, model: Any) -> TrainingSettings:
        """Freeze what is to stay, and return the settings with the model's own learning rate.

        Raises:
            UsageError: The model has fewer layers than are to be frozen.
        """
        from compress.training.trainer import freeze

        settings = self.settings.for_width(model.config.hidden_size)
        try:
            freeze(model, embeddings=settings.freeze_embeddings, layers=settings.freeze_layers)
        except ValueError as error:
            raise UsageError(f"freeze_layers={settings.freeze_layers}: {error}") from error
        return settings

    @contextmanager
    def at_work(self) -> Iterator[Path]:
        """Lock `out` for this training; give the folder for its checkpoints and logs.

        Every process has to get here; the first one holds the lock.

        Raises:
            UsageError: `out` cannot be written to, or another process trains into it.
        """
        from compress.system.distributed import on_main

        lock = FileLock(self._scratch / "lock")
        key = self.key  # of all processes: within `on_main` the first one counts as the only one
        on_main(lambda: self._claim(lock, key))
        try:
            yield self._scratch
        finally:
            lock.release()  # of a lock that this process does not hold: nothing happens

    def _claim(self, lock: FileLock, key: str) -> None:
        try:
            self._scratch.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
            (self._scratch / "key").write_text(key, encoding="utf-8")
        except Timeout:
            raise UsageError(
                f"another training works on --out {self.out}; nothing was touched",
                hint="wait for its end, or name another folder with --out",
            ) from None
        except OSError as error:
            raise UsageError(
                f"--out {self.out} cannot be written to: {error.strerror or error}",
                hint="name a folder that can be",
            ) from error

    def check_room(self, model: Any, features: Sequence[Any], say: Callable[[str], None]) -> None:
        """Say it where the disk or memory will not do.

        Args:
            model: To be trained, with what is frozen marked so.
            features: With `input_ids`, of a text or of several that belong together.
            say: Told what is short.

        Raises:
            EdgepressError: The disk cannot hold the result.
        """
        weights = sum(parameter.numel() for parameter in model.parameters())
        learnt = sum(each.numel() for each in model.parameters() if each.requires_grad)
        checkpoint = 4 * weights + 8 * learnt  # with the optimizer's two moments
        longest = max(_tokens(feature["input_ids"]) for feature in features)
        config, tokens = model.config, self.settings.batch_size * longest
        kept_for_gradients = _ACTIVATIONS * tokens * config.hidden_size * config.num_hidden_layers
        room = Room(
            kept_bytes=4 * weights,
            temporary_bytes=3 * checkpoint,  # the best, the last, and the one being written
            memory_bytes=_LIBRARIES + 8 * weights + 12 * learnt + kept_for_gradients,
        )
        check_room(room, self.out, say, work="training")

    def run(self, trainer: "Trainer") -> None:
        """Train to the best weights, from the last checkpoint if there is one."""
        from compress.training.trainer import train_or_take_up

        train_or_take_up(trainer, self._last_checkpoint())

    def save(self, model: Any, tokenizer: Any, length: int) -> None:
        """Write the finished model, whose inputs have at most `length` tokens."""
        model.save_pretrained(self.out)
        tokenizer.model_max_length = length
        tokenizer.save_pretrained(self.out)

    def record(
        self,
        trainer: "Trainer",
        settings: TrainingSettings,
        notes: list[str],
        *,
        about: Mapping[str, Any],
        results: Mapping[str, Any],
    ) -> None:
        """Write how the model came to be, and remove the checkpoints: nothing is left to resume.

        Args:
            trainer: Its history is recorded.
            settings: As `prepare` gave them.
            notes: What the user is told.
            about: What was learnt.
            results: How good the model is.
        """
        record = {
            "base": self.base,
            "data": self.data,
            **about,
            "settings": settings.model_dump(mode="json"),
            **results,
            "history": trainer.state.log_history,
            "notes": notes,
            "command": self.command,
            "key": self.key,
        }
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (self.out / _RECORD).write_text(text, encoding="utf-8")
        for checkpoint in self._scratch.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)

    @property
    def _scratch(self) -> Path:
        return self.out / _SCRATCH

    def _last_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that was written to its end: its state is written last."""
        whole = [state.parent for state in self._scratch.glob("checkpoint-*/trainer_state.json")]
        return max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def _tokens(ids: Sequence[Any]) -> int:
    """Return how many tokens an example has: of one text, or of several that belong together."""
    return len(ids) if isinstance(ids[0], int) else sum(map(len, ids))
