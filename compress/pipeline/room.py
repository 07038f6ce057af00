"""What a run needs of the disk and of memory, estimated before it begins.

The figures are estimates from the model's size and the recipe, right to about a factor of 1.5.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.config.recipe import Recipe
from compress.corpus.teacher_outputs import MOST_BYTES
from compress.search.frontier import BEYOND
from compress.stages import by_latency, get_stage, planned_quantization
from compress.system.room import Room
from export.stock import STOCK_EXPORTS
from export.targets.registry import target_names

if TYPE_CHECKING:
    from compress.stages.base import Context, Encoder

__all__ = ["Sizes", "estimate_room", "outputs_bytes", "sizes_of"]

# Bytes of a graph for each layer: in the file of one runtime, and in a stock export.
_GRAPH, _STOCK_GRAPH = 40_000, 80_000
_REPORT = 400_000  # of its files, pictures and the log
_LIBRARIES = 1.6e9  # what the libraries of a run's processes hold before any model


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model that decide how much room a run takes.

    Attributes:
        weights: Numbers in the model.
        words: Of these, in the word table, which pruning leaves as it is.
        layers: How many.
        tokenizer_bytes: Of the tokenizer's files.
    """

    weights: int
    words: int
    layers: int
    tokenizer_bytes: int


def sizes_of(checkpoint: Path, encoder: "Encoder | None") -> Sizes:
    """Return a checkpoint's sizes: of the lean encoder, or of its files where there is none."""
    tokenizer = checkpoint / "tokenizer.json"
    tokenizer_bytes = tokenizer.stat().st_size if tokenizer.is_file() else 0
    if encoder is None:
        saved = sum(path.stat().st_size for path in checkpoint.glob("*.safetensors"))
        return Sizes(saved // 4, 0, 12, tokenizer_bytes)
    module: Any = encoder.module
    return Sizes(
        weights=sum(parameter.numel() for parameter in module.parameters()),
        words=module.encoder.embeddings.words.weight.numel(),
        layers=len(module.config.layers),
        tokenizer_bytes=tokenizer_bytes,
    )


def estimate_room(sizes: Sizes, recipe: Recipe, *, outputs: float = 0.0) -> Room:
    """Estimate the room of a run.

    Args:
        sizes: Of the original.
        recipe: Says how many members are made, and what they are compared with.
        outputs: Bytes of the file with what the teacher says of the training texts.
    """
    members, turns = _members(sizes, recipe), _turns(recipe)
    float_bytes, plan = 4, planned_quantization(recipe)
    runtimes = recipe.runtimes or target_names()
    graphs = sizes.layers * _GRAPH
    # In the files of every runtime, and one copy of the tokenizer.
    exported = [
        sizes.tokenizer_bytes
        + sum(
            graphs + weights * (float_bytes if plan is None or plan.is_float(name) else 1)
            for name in runtimes
        )
        for weights in members
    ]
    checkpoints = sum(float_bytes * weights + sizes.tokenizer_bytes for weights in members[1:])
    kept = float_bytes * sizes.weights + sizes.tokenizer_bytes + turns * checkpoints
    kept += 2 * sum(exported) + _REPORT  # as exported, and as published
    # Once more as checkpoints, in which layers are as large as the largest.
    kept += sum(float_bytes * weights + sizes.tokenizer_bytes for weights in members)
    if plan is not None and recipe.quantize.alternatives:
        # Of a member in the middle: one more in INT8, and one that is mostly float.
        kept += (float_bytes + 1) * sorted(members)[len(members) // 2] + 2 * sizes.tokenizer_bytes
    for name, (_, precision, _) in STOCK_EXPORTS.items():
        if recipe.benchmark.baselines is None or name in recipe.benchmark.baselines:
            width = 1 if precision == "int8" else float_bytes
            kept += width * sizes.weights + sizes.layers * _STOCK_GRAPH + sizes.tokenizer_bytes
    # Float and INT8 files of the largest member, and their copy, before one artifact is there.
    exporting = (float_bytes + 2) * sizes.weights * len(runtimes)
    return Room(kept, max(exporting, outputs), _LIBRARIES + 40 * sizes.weights)


def outputs_bytes(context: "Context") -> float:
    """Estimate the file with the teacher's hidden states of the texts that students learn from."""
    recipe, texts = context.recipe, context.material.texts
    settings = recipe.distill
    if "distill" not in recipe.stages or not settings.epochs:
        return 0.0
    share = min(1.0, settings.max_train_texts / max(1, len(texts)))
    students = 1 + len(recipe.speedups) + recipe.beyond if by_latency(recipe) else 1
    texts_each = 1 + students * context.material.copies(settings.augment)
    tokens = share * float(texts.lengths.sum()) * texts_each
    # Of each token what the student's last layer is compared with, in float16; the relations also
    # compare its query, key and value. Part of a pass meets part of the texts.
    width = context.teacher.module.config.hidden_size * (4 if settings.relation_weight else 1)
    return min(MOST_BYTES, 2 * width * tokens * min(1.0, settings.epochs))


def _members(sizes: Sizes, recipe: Recipe) -> list[float]:
    """Return how many numbers each member of the family has, the unpruned one first."""
    layers = sizes.weights - sizes.words
    if by_latency(recipe):
        speedups = list(recipe.speedups)
        if recipe.beyond and speedups:  # one more, perhaps
            speedups.append(BEYOND * speedups[-1])
        return [sizes.weights, *(sizes.words + layers / speedup for speedup in speedups)]
    members, share = [float(sizes.weights)], 1.0
    for name in recipe.stages:
        if not get_stage(name).changes_weights:
            continue
        if name == "prune":  # two thirds of a layer are its feed-forward network
            heads, neurons = recipe.prune.removed if recipe.prune.shares else (0.0, 0.0)
            share *= 1 - (heads + 2 * neurons) / 3
        members.append(sizes.words + share * layers)
    return members


def _turns(recipe: Recipe) -> int:
    """Return how many checkpoints are kept of a member: one after each stage that changes it."""
    if not by_latency(recipe):
        return 1  # each is a member itself
    return sum(get_stage(name).changes_weights for name in recipe.stages)
