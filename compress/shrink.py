"""Shrinks a model to a latency: how deep, and how wide each layer, by what it costs and is worth.

For each depth that can reach the target, layers go first (`compress.depth`), then dynamic
programming over the latency table chooses heads and neurons for the rest
(`compress.shape_search`), in turns, each repaired by least squares. The depth whose answers are
nearest to the teacher's wins. On SST-2 that order, found without training, was still the order
after it: four narrow layers ahead of three wider ones of the same latency.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compress.depth import removal_path
from compress.encoder.surgery import SlicePlan, keep_layers, slice_model
from compress.errors import RecipeError
from compress.importance import fisher_importance
from compress.inference import divergence, predict_logits
from compress.latency_table import LatencyTable
from compress.material import Material
from compress.progress import Progress
from compress.recipe import PruneSettings
from compress.repair import repair_outputs
from compress.shape_search import choose_sizes

if TYPE_CHECKING:
    from compress.encoder.modules import LeanEncoderForSequenceClassification

__all__ = ["OutOfReachError", "Shrunk", "shrink"]

_log = logging.getLogger("edgepress")

# Training texts that layers and depths are compared on, and that projections are refitted on while
# comparing and in earnest.
PROBE_TEXTS, DRAFT_TEXTS, REPAIR_TEXTS = 256, 128, 512


class OutOfReachError(RecipeError):
    """No model of this architecture is as fast as was asked."""


@dataclass(frozen=True)
class Shrunk:
    """A smaller model.

    Attributes:
        model: Repaired, not trained.
        layers: By its layers, the layer of the model before that each was.
        plans: What was cut away, one cut after the other.
        predicted_ms: Its latency by the table.
        distance: KL from the teacher on the probe.
        tried: For every depth that was compared, its distance.
    """

    model: "LeanEncoderForSequenceClassification"
    layers: tuple[int, ...]
    plans: tuple[SlicePlan, ...]
    predicted_ms: float
    distance: float
    tried: Mapping[int, float]


def shrink(
    model: "LeanEncoderForSequenceClassification",
    material: Material,
    table: LatencyTable,
    target_ms: float,
    settings: PruneSettings,
    *,
    seed: int,
    progress: Progress,
) -> Shrunk:
    """The most faithful model of at most `target_ms`.

    Args:
        model: On the material's device; left as it was.
        material: Training text and teacher.
        table: What sizes cost.
        target_ms: Latency (model only, p50) by the table.
        settings: Turns, step of FFN widths, texts that importance is measured on.
        seed: Of drawn labels where texts have none.
        progress: Told of each part.

    Raises:
        OutOfReachError: Not even one layer of the smallest size is that fast.
    """
    probe = material.sample(PROBE_TEXTS, 1)
    probe_logits = predict_logits(material.teacher, probe)
    shallowest = _shallowest(model, table, target_ms)
    paths = removal_path(
        model, material.sample(DRAFT_TEXTS, 2), probe, probe_logits, shallowest, progress=progress
    )
    best: Shrunk | None = None
    tried: dict[int, float] = {}
    # From the shallowest, which needs no narrowing: once a deeper, narrower one is worse, still
    # deeper ones are as well.
    for kept in reversed(paths):
        cuts = [SlicePlan(layers=kept)]
        narrowed = _narrow(model, kept, cuts, material, table, target_ms, settings, seed, progress)
        if narrowed is None:
            continue
        distance = divergence(predict_logits(narrowed, probe), probe_logits)
        tried[len(kept)] = round(distance, 4)
        _log.info("prune: %d layers %s, KL %.4f", len(kept), list(kept), distance)
        if best is not None and distance > best.distance:
            break
        predicted_ms = table.predict(narrowed.config.layer_sizes)
        best = Shrunk(narrowed, kept, tuple(cuts), predicted_ms, distance, tried)
    if best is None:
        raise OutOfReachError(
            f"no model of this architecture runs in {target_ms:.2f} ms here",
            hint="ask for smaller speedups, or for a larger --target-latency",
        )
    return best


def _shallowest(
    model: "LeanEncoderForSequenceClassification", table: LatencyTable, target_ms: float
) -> int:
    """The depth at which the model is fast enough as wide as it is, by its widest layers."""
    by_cost = sorted(
        model.config.layer_sizes, key=lambda s: table.inner.ms(s.heads, s.intermediate_size)
    )
    for depth in range(len(by_cost), 1, -1):
        if table.predict(by_cost[-depth:]) <= target_ms:
            return depth
    return 1


def _narrow(
    model: "LeanEncoderForSequenceClassification",
    kept: Sequence[int],
    cuts: list[SlicePlan],
    material: Material,
    table: LatencyTable,
    target_ms: float,
    settings: PruneSettings,
    seed: int,
    progress: Progress,
) -> "LeanEncoderForSequenceClassification | None":
    """Only the layers `kept`, their heads and neurons chosen for the target; None: out of reach.

    Every further cut is appended to `cuts`.
    """
    texts = material.sample(REPAIR_TEXTS, 3)
    smaller = keep_layers(model, kept)
    if len(kept) < len(model.config.layers):
        repair_outputs(smaller, model, texts, kept, progress=progress)
    start_ms = table.predict(smaller.config.layer_sizes)
    for turn in range(1, settings.steps + 1):
        if start_ms <= target_ms:
            break
        goal_ms = start_ms * (target_ms / start_ms) ** (turn / settings.steps)
        scores = fisher_importance(
            smaller,
            material.sample(settings.importance_texts, 4),
            progress=progress,
            seed=seed + turn,
        )
        shape = choose_sizes(
            scores,
            table,
            goal_ms,
            neuron_step=settings.neuron_step,
            head_size=smaller.config.layer_sizes[0].head_size,
        )
        if shape is None:
            return None
        cuts.append(shape.plan())
        smaller = slice_model(smaller, cuts[-1])
        repair_outputs(smaller, model, texts, kept, progress=progress)
    return smaller
