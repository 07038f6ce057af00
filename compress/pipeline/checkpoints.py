"""Publishes members as PyTorch checkpoints: what was pruned, in full precision, to train on.

They are of the family's own class wherever that can say what the members are, so that
`from_pretrained` opens them without this package (`compress.encoder.unfolding`).
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.pipeline.inputs import Job
from compress.search.members import Member
from runtimes.artifact import DETAILS_NAME, read_manifest
from runtimes.escaping import escape_markdown
from runtimes.quiet import quiet
from runtimes.registry import get_task
from runtimes.versions import tool_version

if TYPE_CHECKING:
    from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["IMPORT", "Published", "publish_checkpoints"]

IMPORT = "import edgepress.compress"
"""Statement after which transformers' Auto classes open what is of our class."""

_log = logging.getLogger("edgepress")


@dataclass(frozen=True)
class Published:
    """A member's checkpoint.

    Attributes:
        path: Its folder, in the output folder.
        opens_as: The class of transformers that opens it, or ours.
        max_abs_delta: Largest absolute difference between its answers and the member's, over texts,
            pairs, random tokens and the longest input.
        reason: Why it is of our class; empty where it is not.
    """

    path: str
    opens_as: str
    max_abs_delta: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can be written."""
        return asdict(self)


def publish_checkpoints(
    job: Job, members: Sequence[Member], recommended: Member | None
) -> dict[str, Published]:
    """Write `checkpoint`, the recommended member's, and those of the others in `checkpoints`.

    What an earlier run left of members that are no more is removed.

    Returns:
        By the names of members those that there are checkpoints of.
    """
    workspace = job.workspace
    places = {
        member: workspace.checkpoint
        if member is recommended
        else workspace.checkpoints / member.name
        for member in members
        if member.checkpoint is not None
    }
    if workspace.checkpoint not in places.values():
        shutil.rmtree(workspace.checkpoint, ignore_errors=True)
    if workspace.checkpoints.is_dir():
        for folder in workspace.checkpoints.iterdir():
            if folder.is_dir() and folder not in places.values():
                shutil.rmtree(folder)
    published = {}
    with job.progress.track("writing checkpoints", len(places)) as task:
        for member, folder in places.items():
            published[member.name] = _publish(job, member, folder)
            task.advance()
    return published


def _publish(job: Job, member: Member, folder: Path) -> Published:
    made: list[Published] = []

    def write(partial: Path) -> None:
        found = Published(
            folder.relative_to(job.workspace.out).as_posix(), *_write_model(member, partial)
        )
        details = {
            **{key: value for key, value in found.to_json().items() if key != "path"},
            "description": member.description,
            "lineage": [dict(step) for step in member.lineage],
            "created_by": f"edgepress {tool_version()}",
        }
        text = json.dumps({"checkpoint": details}, indent=2, ensure_ascii=False) + "\n"
        (partial / DETAILS_NAME).write_text(text, encoding="utf-8")
        (partial / "README.md").write_text(_card(job, member, found), encoding="utf-8")
        made.append(found)

    with quiet("transformers"):
        job.workspace.fill(folder, write)
    _log.info("checkpoint %s: %s", member.name, made[0])
    return made[0]


def _write_model(member: Member, folder: Path) -> tuple[str, float, str]:
    """Write weights, configuration and tokenizer.

    Returns:
        The class that opens them, the largest difference of an answer, and why the class is ours.
    """
    from transformers import AutoTokenizer

    from compress.encoder.checkpoint import open_pretrained
    from compress.encoder.folding import UnsupportedArchitectureError
    from compress.encoder.heads.registry import read
    from compress.encoder.importers.registry import TOLERANCE
    from compress.encoder.unfolding import unfold
    from export.ecosystem import for_every_transformers, save_modules
    from export.vocabulary import without_dead_tokens

    assert member.checkpoint is not None  # those that have none are left out
    manifest = read_manifest(member.artifact)
    open_pretrained(AutoTokenizer, member.checkpoint).save_pretrained(folder)
    for_every_transformers(folder, manifest.max_length)
    lean = without_dead_tokens(read(member.checkpoint), folder)
    if get_task(manifest.task).SPEC.pooled:
        save_modules(lean.config, folder, manifest.max_length)
    try:
        model = unfold(lean)
    except UnsupportedArchitectureError as error:
        return type(lean).__name__, _saved(lean, folder, lean)[0], error.message
    name = type(model).__name__
    delta, largest = _saved(model, folder, lean)
    if delta <= TOLERANCE * max(1.0, largest):
        return name, delta, ""
    reason = f"as a {name} it would answer otherwise, by {delta:.0e}"
    return type(lean).__name__, _saved(lean, folder, lean)[0], reason


def _saved(model: Any, folder: Path, lean: "LeanEncoderWithHead") -> tuple[float, float]:
    """Save a model; compare what opens from the folder with the lean encoder.

    Returns:
        As `max_logit_delta`.
    """
    from compress.encoder.checkpoint import load_checkpoint, read_config
    from compress.encoder.parity import max_logit_delta

    model.save_pretrained(folder)
    written = load_checkpoint(folder, read_config(folder))
    return max_logit_delta(written.model, lean, written.tokenizer)


_ZEROS = """
The class has one number of heads and one width for all layers. So heads and neurons that were
pruned are zeros, up to the widest layer. They stay zeros in training, and are left out when
edgepress reads the checkpoint.
"""


def _card(job: Job, member: Member, found: Published) -> str:
    spec = get_task(read_manifest(member.artifact).task).SPEC
    opener, first = spec.auto_class, f"{IMPORT}  # brings the class\n" if found.reason else ""
    return f"""---
library_name: transformers
pipeline_tag: {spec.hub_tag or spec.name}
tags:
- edgepress
---

# {escape_markdown(job.name)}, pruned

{escape_markdown(member.description)}: the model that the artifact was made from, in PyTorch and
float32, as a `{found.opens_as}`. Its answers are the same to {found.max_abs_delta:.0e}.

```python
{first}from transformers import AutoTokenizer, {opener}

tokenizer = AutoTokenizer.from_pretrained("checkpoint")
model = {opener}.from_pretrained("checkpoint")
```
{"" if found.reason else _ZEROS}
After more training, this makes an artifact of it again and prunes it no further:

    edgepress checkpoint --data DATA "stages=[quantize]"
"""
