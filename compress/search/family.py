"""The members of a run's family: encoders after each stage, exported and ready to be measured."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from compress.config.recipe import Recipe
from compress.search.checkpoints import load_encoder, save_encoder
from compress.search.members import Staged
from compress.stages import get_stage
from compress.system.fingerprint import digest
from compress.system.workspace import Workspace

if TYPE_CHECKING:
    from compress.encoder.modules import LeanEncoderWithHead
    from compress.stages.base import Context, Encoder
    from export.quantization import QuantizationPlan

__all__ = ["check_stages", "run_stages"]

_log = logging.getLogger("edgepress")

# Of a request's time, what the model may take where a latency is to be met.
_MODEL_SHARE = 0.85


def check_stages(encoder: "Encoder", context: "Context") -> None:
    """Let every stage of the recipe look at the model and its settings, before any is applied.

    Raises:
        EdgepressError: A stage's settings do not fit the model or the data.
    """
    for name in context.recipe.stages:
        get_stage(name).check(encoder, context)


def run_stages(
    encoder: "Encoder",
    context: "Context",
    workspace: Workspace,
    key: str,
    *,
    deadline: float | None = None,
) -> list[Staged]:
    """Make the family, every stage from its checkpoint if there is one.

    With speed-ups to reach, the stages are applied once for each, every member made from the one
    before: shrinking little by little while learning keeps more than doing it at once (ZipLM,
    Kurtic et al. 2023, https://arxiv.org/abs/2302.04089). Without, they are applied once, and what
    each of them leaves is a member.

    The encoder as imported is a member too, so that a budget which allows no pruning still gets the
    fastest lossless model.

    Args:
        encoder: As imported.
        context: What the stages may use.
        workspace: Holds the checkpoints.
        key: Digest of the imported model and of the data.
        deadline: Moment of `time.monotonic` by which all but the first of the members have to be
            ready, and until which more of them are made where the budget ends
            (`compress.search.frontier`); None makes those of the recipe only.

    Returns:
        The members, the imported one first, all with the plan of the `quantize` stage if the
        recipe has it.
    """
    from compress.system.distributed import is_main

    context = replace(context, acceptable=_acceptable(context))
    recipe = context.recipe
    if is_main() and not workspace.encoder(key).is_dir():
        save_encoder(workspace, key, encoder)
    members = [Staged("full", key, encoder)]
    # `quantize` is a plan, not a change of weights: it is attached to every member below
    stages = [name for name in recipe.stages if name != "quantize"]
    if context.latency is not None and "prune" in stages:
        members = _by_speedups(members[0], stages, context, workspace, deadline)
    else:
        for name in stages:
            members.append(_staged(replace(members[-1], name=name), name, context, workspace))
    if "quantize" not in recipe.stages or not is_main():
        return members
    quantize = get_stage("quantize")
    return [replace(member, encoder=quantize.apply(member.encoder, context)) for member in members]


def _by_speedups(
    full: Staged,
    stages: Sequence[str],
    context: "Context",
    workspace: Workspace,
    deadline: float | None,
) -> list[Staged]:
    """A member for each speed-up, further ones while the budget is not used up, and until the
    deadline more of them where it ends."""
    from compress.pruning.to_latency import OutOfReachError
    from compress.search.drop_estimate import estimate_drop
    from compress.search.frontier import Candidate, close_in, fill_gap, fits, go_beyond
    from compress.search.selection import probable_drop
    from compress.system.distributed import from_main

    latency, recipe = context.latency, context.recipe
    assert latency is not None  # the caller has looked
    full_ms = latency.predict(full.encoder.module.config.layer_sizes)
    longest_s = 0.0

    def make(before: "Candidate[Staged]", speedup: float) -> "Candidate[Staged] | None":
        nonlocal longest_s
        start = time.monotonic()
        if deadline is not None and longest_s and not from_main(fits(longest_s, start, deadline)):
            _log.info("x%.3g left out: the time budget is used up", speedup)
            return None
        turn = replace(context, target_ms=full_ms / speedup)
        if recipe.budget is not None and before.least > recipe.budget:
            turn = replace(turn, recipe=_trained_less(recipe))
        made = Staged(f"x{speedup:.3g}", before.member.key, before.member.encoder)
        try:
            for name in stages:
                made = _staged(made, name, turn, workspace)
        except OutOfReachError as error:
            _log.warning("%s left out: %s", made.name, error.message)
            return None
        longest_s = from_main(max(longest_s, time.monotonic() - start))
        reached = full_ms / latency.predict(made.encoder.module.config.layer_sizes)
        lost = from_main(
            estimate_drop(made.encoder.module, context.material.selection, _plan(recipe))
        )
        return Candidate(
            reached,
            made,
            bound=probable_drop(lost, recipe.confidence),
            least=probable_drop(lost, 1 - recipe.confidence),
        )

    candidates, ended = [Candidate(1.0, full, 0.0)], False
    speedups = _speedups(recipe, full_ms)
    for speedup in speedups:
        if speedup <= candidates[-1].speedup:
            continue  # the one before is as fast already
        made = make(candidates[-1], speedup)
        if made is None:
            ended = True  # the speed-ups grow: the others are out of reach, or of time, as well
            break
        candidates.append(made)
    if recipe.budget is None:  # there is no edge of it to look for
        return [candidate.member for candidate in candidates]
    if recipe.beyond:
        if not ended:
            candidates = go_beyond(candidates, make, max_drop=recipe.budget)
        candidates = fill_gap(candidates, make, max_drop=recipe.budget)
    if deadline is not None:
        candidates = close_in(
            candidates,
            make,
            max_drop=recipe.budget,
            deadline=deadline,
            longest_s=longest_s,
            clock=lambda: from_main(time.monotonic()),
        )
    return [candidate.member for candidate in candidates]


def _plan(recipe: Recipe) -> "QuantizationPlan | None":
    """Return how the recipe has members quantized; None where they stay in float."""
    from compress.stages.quantize import quantization_plan

    return quantization_plan(recipe) if "quantize" in recipe.stages else None


def _acceptable(context: "Context") -> "Callable[[LeanEncoderWithHead], bool]":
    """Return what tells whether a model would count as within the budget when one is chosen."""
    from compress.search.drop_estimate import estimate_drop
    from compress.search.selection import probable_drop

    recipe = context.recipe

    def acceptable(module: "LeanEncoderWithHead") -> bool:
        if recipe.budget is None:
            return False
        lost = estimate_drop(module, context.material.selection, _plan(recipe))
        return probable_drop(lost, recipe.confidence) <= recipe.budget

    return acceptable


def _trained_less(recipe: Recipe) -> Recipe:
    """For members made from one that is outside the budget for all that is known: they show where
    the front goes on, and will hardly be recommended."""
    distill = recipe.distill.model_copy(update={"epochs": recipe.distill.epochs / 2})
    return recipe.model_copy(update={"distill": distill})


def _speedups(recipe: Recipe, full_ms: float) -> list[float]:
    """The recipe's; with a target latency those before it, and the one that meets it."""
    if recipe.target_latency_ms is None:
        return list(recipe.speedups)
    # The table predicts the model alone; tokenizing and the rest of a request come on top.
    wanted = full_ms / (_MODEL_SHARE * recipe.target_latency_ms)
    return [*(s for s in recipe.speedups if s < 0.9 * wanted), *([wanted] if wanted > 1 else [])]


def _staged(before: Staged, stage: str, context: "Context", workspace: Workspace) -> Staged:
    """After one more stage."""
    from compress.stages.quantize import quantization_plan
    from compress.system.distributed import from_main

    recipe = context.recipe
    settings = [getattr(recipe, stage).model_dump()]
    if stage == "distill":
        # It trains with the rounding of the quantization to come, where the budget makes it train.
        settings += [quantization_plan(recipe).to_json(), recipe.budget]
    key = digest(before.key, stage, settings, recipe.seed, recipe.stages, context.target_ms)
    if from_main(workspace.encoder(key).is_dir()):
        _log.info("%s: stage %s: resumed from its checkpoint", before.name, stage)
    else:
        _log.info("%s: stage %s starts", before.name, stage)
        _apply(stage, key, before, context, workspace)
    done = load_encoder(workspace, key, like=before.encoder)
    assert done is not None  # it was there, or has just been saved
    return replace(before, key=key, encoder=done)


def _apply(name: str, key: str, before: Staged, context: "Context", workspace: Workspace) -> None:
    """Save what a stage makes; of several processes all take part in one that trains.

    Raises:
        OutOfReachError: The stage cannot make the encoder as fast as is asked; in all processes.
    """
    from compress.pruning.to_latency import OutOfReachError
    from compress.system.distributed import from_main, is_main

    out_of_reach = None
    if is_main() or name == "distill":
        try:
            done = get_stage(name).apply(before.encoder, context)
        except OutOfReachError as error:
            out_of_reach = error
        else:
            if is_main():
                save_encoder(workspace, key, done)
                _log.info("%s: stage %s: %s", before.name, name, dict(done.lineage[-1]))
    # Waits for the first process, too.
    if (failed := from_main(out_of_reach)) is not None:
        raise failed
