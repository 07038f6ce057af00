"""Makes the members of a run's family: encoders after each stage, or one for each speed-up."""

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from compress.config.recipe import Recipe
from compress.search.checkpoints import load_encoder, save_encoder, stage_key
from compress.search.frontier import Prospect, close_in, fill_gap, fits, go_beyond
from compress.search.members import Staged
from compress.search.selection import probable_drop
from compress.stages import get_stage, planned_quantization
from compress.system.workspace import Workspace

if TYPE_CHECKING:
    from compress.encoder.modules import LeanEncoderWithHead
    from compress.stages.base import Context, Encoder

__all__ = ["check_stages", "run_stages"]

_log = logging.getLogger("edgepress")

# Of a request's time, what the model may take where a latency is to be met.
_MODEL_SHARE = 0.85
# Of the training, what members get that are made from one outside the budget for all that is known:
# they show where the front goes on, and will hardly be recommended.
_LESS_TRAINING = 0.5


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
        key: Key of the imported encoder, see `compress.search.checkpoints`.
        deadline: Moment of `time.monotonic` by which all but the first of the members have to be
            ready, and until which more of them are made where the budget ends
            (`compress.search.frontier`); None makes those of the recipe only.

    Returns:
        The members, the imported one first; in the first process, with what stages attach that
        change no weights.
    """
    from compress.system.distributed import is_main, on_main

    family = _Family(context, workspace, deadline)
    full = Staged("full", key, encoder)
    if not on_main(workspace.encoder(key).is_dir):
        on_main(lambda: save_encoder(workspace, key, encoder))
    by_latency = context.latency is not None and any(
        get_stage(name).meets_latency for name in family.turn
    )
    members = family.by_speedups(full) if by_latency else family.by_stages(full)
    if not is_main():
        return members
    for name in context.recipe.stages:
        stage = get_stage(name)
        if not stage.changes_weights:
            members = [
                replace(member, encoder=stage.apply(member.encoder, family.context))
                for member in members
            ]
    return members


class _Family:
    """Makes members one after the other; of several processes, the first one decides.

    Args:
        context: What the stages may use.
        workspace: Holds the checkpoints.
        deadline: As in `run_stages`.
    """

    def __init__(self, context: "Context", workspace: Workspace, deadline: float | None) -> None:
        self._recipe, self._workspace, self._deadline = context.recipe, workspace, deadline
        self._full_ms, self._longest_s = 0.0, 0.0
        self.turn = [name for name in self._recipe.stages if get_stage(name).changes_weights]
        self.context = replace(
            context, plan=planned_quantization(self._recipe), acceptable=self._acceptable
        )

    def by_stages(self, full: Staged) -> list[Staged]:
        """Return what each stage leaves."""
        members = [full]
        for name in self.turn:
            members.append(self._staged(replace(members[-1], name=name), name, self.context))
        return members

    def by_speedups(self, full: Staged) -> list[Staged]:
        """Return a member for each speed-up, and further ones where the budget ends.

        There are faster ones while the budget is not used up, and until the deadline more of them
        at its edge.
        """
        from compress.system.distributed import on_main

        self._full_ms, budget = self._predicted_ms(full), self._recipe.budget
        candidates, ended = [Prospect(1.0, full, 0.0)], False
        for speedup in _speedups(self._recipe, self._full_ms):
            if speedup <= candidates[-1].speedup:
                continue  # the one before is as fast already
            made = self._make(candidates[-1], speedup)
            if made is None:
                ended = True  # the speed-ups grow: the others are out of reach, or time, as well
                break
            candidates.append(made)
        if budget is None:  # there is no edge of it to look for
            return [candidate.member for candidate in candidates]
        if self._recipe.beyond:
            if not ended:
                candidates = go_beyond(candidates, self._make, max_drop=budget)
            candidates = fill_gap(candidates, self._make, max_drop=budget)
        if self._deadline is not None:
            candidates = close_in(
                candidates,
                self._make,
                max_drop=budget,
                deadline=self._deadline,
                longest_s=self._longest_s,
                clock=lambda: on_main(time.monotonic),
            )
        return [candidate.member for candidate in candidates]

    def _make(self, before: Prospect[Staged], speedup: float) -> Prospect[Staged] | None:
        """Make a member of at least a speed-up; None where it is out of reach, or of time."""
        from compress.pruning.to_latency import OutOfReachError
        from compress.search.drop_estimate import estimate_drop
        from compress.system.distributed import on_main

        start, deadline, longest_s = time.monotonic(), self._deadline, self._longest_s
        if deadline is not None and longest_s:
            moment = deadline
            if not on_main(lambda: fits(longest_s, start, moment)):
                _log.info("x%.3g left out: the time budget is used up", speedup)
                return None
        context = replace(self.context, target_ms=self._full_ms / speedup)
        if self._recipe.budget is not None and before.least > self._recipe.budget:
            context = replace(context, training_share=_LESS_TRAINING)
        made = replace(before.member, name=f"x{speedup:.3g}")
        try:
            for name in self.turn:
                made = self._staged(made, name, context)
        except OutOfReachError as error:
            _log.warning("%s left out: %s", made.name, error.message)
            return None
        self._longest_s = on_main(lambda: max(longest_s, time.monotonic() - start))
        module, selection = made.encoder.module, context.material.selection
        lost = on_main(lambda: estimate_drop(module, selection, context.plan))
        confidence = self._recipe.confidence
        return Prospect(
            self._full_ms / self._predicted_ms(made),
            made,
            bound=probable_drop(lost, confidence),
            least=probable_drop(lost, 1 - confidence),
        )

    def _staged(self, before: Staged, name: str, context: "Context") -> Staged:
        """Return the member after one more stage, from its checkpoint if there is one.

        Raises:
            OutOfReachError: The stage cannot make the encoder as fast as is asked.
        """
        from compress.system.distributed import on_main

        stage, workspace = get_stage(name), self._workspace
        key = on_main(lambda: stage_key(before.key, stage, context))

        def save(done: "Encoder") -> None:
            # Later stages draw by the count: a stage that does not count itself must not repeat it.
            count = before.encoder.state.stages_applied + 1
            done = replace(done, state=replace(done.state, stages_applied=count))
            save_encoder(workspace, key, done)
            _log.info("%s: stage %s: %s", before.name, name, dict(done.lineage[-1]))

        if on_main(workspace.encoder(key).is_dir):
            _log.info("%s: stage %s: resumed from its checkpoint", before.name, name)
        else:
            _log.info("%s: stage %s starts", before.name, name)
            if stage.runs_on_every_process:
                done = stage.apply(before.encoder, context)
                on_main(lambda: save(done))
            else:
                on_main(lambda: save(stage.apply(before.encoder, context)))
        encoder = load_encoder(workspace, key, like=before.encoder)
        assert encoder is not None  # it was there, or has just been saved
        return replace(before, key=key, encoder=encoder)

    def _acceptable(self, module: "LeanEncoderWithHead") -> bool:
        """Return whether a model would count as within the budget, by the texts that guide.

        The selection split is not asked, nor are its labels: what is chosen on it must be made
        without it.
        """
        from compress.search.drop_estimate import estimate_drop

        if self._recipe.budget is None:
            return False
        lost = estimate_drop(module, self.context.material.guide, self.context.plan)
        return probable_drop(lost, self._recipe.confidence) <= self._recipe.budget

    def _predicted_ms(self, member: Staged) -> float:
        latency = self.context.latency
        assert latency is not None  # the caller has looked
        return latency.predict(member.encoder.module.config.layer_sizes)


def _speedups(recipe: Recipe, full_ms: float) -> list[float]:
    """Return the recipe's; with a target latency those before it, and the one that meets it."""
    if recipe.target_latency_ms is None:
        return list(recipe.speedups)
    # The table predicts the model alone; tokenizing and the rest of a request come on top.
    wanted = full_ms / (_MODEL_SHARE * recipe.target_latency_ms)
    return [*(s for s in recipe.speedups if s < 0.9 * wanted), *([wanted] if wanted > 1 else [])]
