"""Shrinks a model to a latency: how deep, and how wide each layer, by what it costs and is worth.

For each depth that can reach the target, layers go first (`compress.pruning.layers`), then dynamic
programming over the latency table chooses heads and neurons for the rest
(`compress.pruning.knapsack`), and least squares repair both. The depth whose draft answers
nearest to the teacher wins. On SST-2 that order, found without training, was still the order after
it: four narrow layers ahead of three wider ones of the same latency. Heads and neurons go in one
turn: what scores say of a model that is damaged already misleads (docs/log.md).
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from compress.corpus.corpus import Material
from compress.data.tokenized import kept_length
from compress.data.unlabelled import without_labels
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import SlicePlan, keep_layers, slice_model
from compress.errors import ModelError, RecipeError
from compress.latency.table import LatencyTable
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.pruning.compensated import compensated_importance
from compress.pruning.importance import (
    Importance,
    label_losses,
    mask_importance,
    teacher_losses,
)
from compress.pruning.knapsack import choose_sizes
from compress.pruning.layers import Shallower, removal_path
from compress.pruning.reconstruction import repair_outputs
from compress.system.progress import Progress, SilentProgress
from runtimes.base import TextInput
from runtimes.registry import task_of_head

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "FORWARDS",
    "LEAST_SHARE",
    "PROBE_TEXTS",
    "OutOfReachError",
    "Scores",
    "Shrunk",
    "lowest",
    "prune_to_latency",
    "share_of",
    "shrink",
]

Scores = Literal["labels", "teacher"]
"""Source of heads' and neurons' scores: the labels' Fisher information, or the divergence
from the teacher, which needs no labels."""

_log = logging.getLogger("edgepress")

# Training texts that models are compared on; that projections are refitted on while comparing
# layers, while comparing drafts, and in earnest; and that a draft's scores are measured on.
PROBE_TEXTS, LAYER_TEXTS, DRAFT_TEXTS, REPAIR_TEXTS = 512, 128, 256, 1024
DRAFT_IMPORTANCE_TEXTS = 256
# Where time is short, no fewer than these.
_FEWEST_TEXTS = 96
# A draft this many times as far from the teacher as the nearest one may still be the better model;
# so many are looked at.
_NEAR, _FINALISTS = 1.25, 3
LEAST_SHARE = 0.25
"""The least share of the texts, and so of the time, that says anything."""
FORWARDS = 42_000
"""About as long as the whole model takes for so many texts a shrinking takes with all of them:
twelve layers of 768 to 1.9 times as fast (docs/log.md)."""


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
        tried: For every depth that was compared, its draft's distance.
        scores: What heads and neurons were chosen by.
        tried_scores: For every kind of scores that was compared at that depth, its draft's
            distance.
    """

    model: LeanEncoderWithHead
    layers: tuple[int, ...]
    plans: tuple[SlicePlan, ...]
    predicted_ms: float
    distance: float
    tried: Mapping[int, float]
    scores: Scores
    tried_scores: Mapping[Scores, float]


def prune_to_latency(
    model: "LeanEncoderWithHead",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[TextInput],
    table: LatencyTable,
    target_ms: float,
    *,
    neuron_step: int = 32,
    importance_texts: int = 1024,
    scores: Scores | None = None,
    max_length: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Shrunk:
    """Find the most faithful smaller model of at most a latency; nothing is trained.

    Layers go first, those whose absence changes the answers least; then a knapsack over the table
    chooses heads and neurons; least squares repair both. Depths are compared by the KL divergence
    from the whole model.

    Args:
        model: Lean encoder with the head of its task, from `import_encoder`; left as it was.
        tokenizer: Its tokenizer.
        texts: Some hundred to thousand strings, or (first, second) pairs, of the task's kind; no
            labels.
        table: What sizes cost, from `measure_latency_table`.
        target_ms: Latency by the table in milliseconds: of the model alone, for one text.
        neuron_step: FFN widths are multiples of this.
        importance_texts: Texts that heads and neurons are scored on.
        scores: What heads and neurons are chosen by; None tries every kind at the best depth.
        max_length: Tokens kept of a text; None: what model and tokenizer allow.
        seed: Of samples, and of labels drawn from the model's own predictions.
        progress: Told of each part; None shows nothing.

    Returns:
        The smaller model (`.model`), the layers that it kept, its latency by the table
        (`.predicted_ms`) and its distance from the whole one.

    Raises:
        DataError: There are no texts.
        ModelError: The model answers for tokens: they have no labels here.
        OutOfReachError: Not even one layer of the smallest size is that fast.
    """
    config = model.config
    if config.reads_tokens:
        raise ModelError(f"a model for {config.head} is pruned to a latency in a run alone")
    examples = without_labels(texts)
    task = task_of_head(config.head).SPEC.name
    material = Material(
        model,
        tokenizer,
        examples,
        examples,
        max_length=kept_length(max_length, config, tokenizer, task),
        seed=seed,
        scratch=Path(),  # of outputs to train on: none are asked for
    )
    shrunk = shrink(
        material.teacher,
        material,
        table,
        target_ms,
        neuron_step=neuron_step,
        importance_texts=importance_texts,
        scores=scores,
        seed=seed,
        progress=progress or SilentProgress(),
    )
    return replace(shrunk, model=shrunk.model.to(model.device))


def shrink(
    model: LeanEncoderWithHead,
    material: Material,
    table: LatencyTable,
    target_ms: float,
    *,
    neuron_step: int,
    importance_texts: int,
    scores: Scores | None = None,
    share: float = 1.0,
    seed: int,
    progress: Progress,
) -> Shrunk:
    """Make the most faithful model of at most `target_ms`.

    Args:
        model: On the material's device; left as it was.
        material: Training text and teacher.
        table: What sizes cost.
        target_ms: Latency (model only, p50) by the table.
        neuron_step: FFN widths are multiples of this.
        importance_texts: Training texts that heads and neurons are scored on.
        scores: What heads and neurons are chosen by; None tries every kind at the best depth.
        share: Of the texts that all of this looks at, for want of time; below 1 the best draft
            alone is made in earnest, and by the labels' scores unless told otherwise.
        seed: Of drawn labels where texts have none.
        progress: Told of each part.

    Raises:
        OutOfReachError: Not even one layer of the smallest size is that fast.
    """
    objective = objective_for(model.config)
    probe, probe_logits = material.asked(share_of(PROBE_TEXTS, share), "probe")
    chosen = range(0, len(probe), 2)  # enough to tell layers apart, which is tried often
    few, few_logits = probe.take(chosen), probe_logits[probe.decisions(chosen)]
    shallowest = _shallowest(model, table, target_ms)
    paths = removal_path(
        model,
        material.sample(share_of(LAYER_TEXTS, share), "draft"),
        few,
        few_logits,
        shallowest,
        progress=progress,
    )
    narrowing = _Narrowing(
        model, material, table, target_ms, neuron_step, importance_texts, share, seed, progress
    )

    def attempt(depth: Shallower, kind: Scores, *, draft: bool = True) -> Shrunk | None:
        kept, cuts = depth.kept, [SlicePlan(layers=depth.kept)]
        narrowed = narrowing.narrow(depth, kind, cuts, draft=draft)
        if narrowed is None:
            return None
        distance = divergence(predict_logits(narrowed, probe), probe_logits, objective)
        how = "draft" if draft else "result"
        _log.info("prune: %s, layers %s by %s, KL %.4f", how, list(kept), kind, distance)
        predicted_ms = table.predict(narrowed.config.layer_sizes)
        return Shrunk(narrowed, kept, tuple(cuts), predicted_ms, distance, {}, kind, {})

    nearness, first = attrgetter("distance"), scores or "labels"
    found: list[Shrunk | None] = [None] * len(paths)

    def distance_at(place: int) -> float:
        found[place] = attempt(paths[place], first)
        draft = found[place]
        return math.inf if draft is None else draft.distance

    lowest(distance_at, len(paths))
    drafts = [draft for draft in found if draft is not None]
    if not drafts:
        raise OutOfReachError(
            f"no model of this architecture runs in {target_ms:.2f} ms here",
            hint="ask for smaller speedups, or for a larger --target-latency",
        )
    at = {depth.kept: depth for depth in paths}
    tried = {len(draft.layers): round(draft.distance, 4) for draft in drafts}
    # Drafts that are hardly apart may change places once they are made in earnest: on SST-2 three
    # at KL 0.17 to 0.18 came to 0.14, 0.16 and, the worst of them, 0.09. More texts are nearly
    # always better, and where they are not the draft itself is the result.
    drafts = sorted(drafts, key=nearness)[: _FINALISTS if share == 1 else 1]
    made = [*drafts]
    for draft in drafts:
        if draft.distance <= _NEAR * drafts[0].distance:
            finished = attempt(at[draft.layers], first, draft=False)
            made += [] if finished is None else [finished]
    best = min(made, key=nearness)
    compared: dict[Scores, float] = {first: round(best.distance, 4)}
    # Where nothing was narrowed, nothing was scored.
    if scores is None and share == 1 and len(best.plans) > 1:
        # From the teacher, scores are made for classes alone.
        kinds = get_args(Scores) if objective.of_classes else (first,)
        for kind in kinds:
            other = None if kind == first else attempt(at[best.layers], kind, draft=False)
            if other is not None:
                compared[kind] = round(other.distance, 4)
                made.append(other)
    return replace(min(made, key=nearness), tried=tried, tried_scores=compared)


def share_of(count: int, share: float) -> int:
    """Return a share of a number of texts, but enough of them to say something."""
    return min(count, max(_FEWEST_TEXTS, round(count * share)))


def lowest(value: Callable[[int], float], count: int) -> int:
    """Return where a function of 0 to count - 1 that falls and then rises is lowest.

    Both ends are looked at, then the middle of what lies on either side of the lowest value so far,
    until its neighbours are known. Where it rises and falls again a valley may be missed.
    """
    known = {place: value(place) for place in dict.fromkeys((count - 1, 0))}
    while True:
        best = min(known, key=lambda place: known[place])
        below = max((place for place in known if place < best), default=best)
        above = min((place for place in known if place > best), default=best)
        wider = max((best - below, below, best), (above - best, best, above))
        gap, left, right = wider
        if gap <= 1:
            return best
        middle = (left + right) // 2
        known[middle] = value(middle)


def _shallowest(model: LeanEncoderWithHead, table: LatencyTable, target_ms: float) -> int:
    """Return the depth at which the model is fast enough as wide as it is, by its widest layers."""
    by_cost = sorted(
        model.config.layer_sizes, key=lambda s: table.inner.ms(s.heads, s.intermediate_size)
    )
    for depth in range(len(by_cost), 1, -1):
        if table.predict(by_cost[-depth:]) <= target_ms:
            return depth
    return 1


@dataclass(frozen=True)
class _Narrowing:
    """Removes heads and neurons until a target is met."""

    model: LeanEncoderWithHead
    material: Material
    table: LatencyTable
    target_ms: float
    neuron_step: int
    importance_texts: int
    share: float
    seed: int
    progress: Progress

    def narrow(
        self, depth: Shallower, kind: Scores, cuts: list[SlicePlan], *, draft: bool
    ) -> LeanEncoderWithHead | None:
        """Keep only some layers, their parts chosen by `kind`; None where it is out of reach.

        Every further cut is appended to `cuts`. A draft is made on fewer texts, of layers as they
        were refitted on the way: good enough to compare with other drafts, several times as fast.
        """
        count = share_of(DRAFT_TEXTS if draft else REPAIR_TEXTS, self.share)
        texts = self.material.sample(count, "draft" if draft else "repair")
        kept = depth.kept
        smaller = depth.of(self.model) if draft else keep_layers(self.model, kept)
        if not draft and len(kept) < len(self.model.config.layers):
            repair_outputs(
                smaller, self.model, texts, kept, progress=self.progress, joints_only=True
            )
        if self.table.predict(smaller.config.layer_sizes) <= self.target_ms:
            return smaller
        shape = choose_sizes(
            self._scores(smaller, kind, draft=draft),
            self.table,
            self.target_ms,
            neuron_step=self.neuron_step,
            head_size=smaller.config.layer_sizes[0].head_size,
        )
        if shape is None:
            return None
        cuts.append(shape.plan())
        smaller = slice_model(smaller, cuts[-1])
        repair_outputs(smaller, self.model, texts, kept, progress=self.progress)
        return smaller

    def _scores(self, model: LeanEncoderWithHead, kind: Scores, *, draft: bool) -> Importance:
        """Score parts; of drafts by masks' gradients alone, which is quicker."""
        count = self.importance_texts
        if draft:
            count = min(count, DRAFT_IMPORTANCE_TEXTS)
        count = share_of(count, self.share)
        if kind == "labels":
            texts = self.material.sample(count, "importance")
            losses = label_losses(model, texts, seed=self.seed)
        else:
            texts, logits = self.material.asked(count, "importance")
            losses = teacher_losses(logits, texts, seed=self.seed)
        if draft:
            return mask_importance(model, losses, texts, progress=self.progress)
        return compensated_importance(
            model, losses, texts, neuron_step=self.neuron_step, progress=self.progress
        )
