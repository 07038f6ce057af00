"""Makes the members of a run's family: encoders after each stage, or one for each speed-up."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compress.config.recipe import Recipe
from compress.search.checkpoints import load_encoder, save_encoder, stage_key
from compress.search.frontier import (
    Prospect,
    close_in,
    fill_gap,
    go_beyond,
    how_many_fit,
)
from compress.search.members import Staged
from compress.search.selection import probable_drop
from compress.stages import get_stage, planned_quantization
from compress.system.workspace import Workspace

if TYPE_CHECKING:
    from compress.corpus.corpus import Material
    from compress.corpus.selection_split import Selection
    from compress.encoder.modules import LeanEncoderWithHead
    from compress.stages.base import Context, Encoder
    from export.quantization import QuantizationPlan

__all__ = ["MEASURING_S", "attached", "check_stages", "run_stages"]

_log = logging.getLogger("edgepress")

# Of a request's time, what the model may take where a latency is to be met.
_MODEL_SHARE = 0.85
# Of the training, what members get that are made from one outside the budget for all that is known:
# they show where the front goes on, and will hardly be recommended.
_LESS_TRAINING = 0.5
# Of the budget, what is left to INT8 where it is not emulated.
_FOR_INT8 = 0.2
# Of the training, what competing students get.
_CONTEST = 0.25
# Of the time that is left when its training begins, a member gets one part of so many: the only one
# most of it, of two the first a quarter, of several each a sixth, as they are pruned as well; for
# that there is one part of `_PRUNING_PART`. The student that members are cut from has the task to
# learn; those that compete are only compared.
_MEMBER_PARTS, _STUDENT_PART, _CONTEST_PART, _LEAST_S = (1.25, 4, 6), 4, 20, 30.0
_PRUNING_PART = 5
# Seconds of a time budget for what follows: measuring, and of each member the files, their
# self-test and its answers, which take longer the slower it is: so many more for each millisecond
# that the latency table gives it.
MEASURING_S = 240.0
_EXPORT_S, _EXPORT_S_A_MS = 12.0, 9.0


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
    students: Sequence[Staged] = (),
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
        deadline: Moment of `time.monotonic` by which the run is to end. Members that would be late
            for that are left out, all but the first; while there is time more of them are made
            where the budget ends (`compress.search.frontier`). None makes those of the recipe.
        students: Models of other origin, with untrained heads. They compete with the encoder's own
            layers, and members are cut from the best.

    Returns:
        The members, the imported one first, without what stages attach that change no weights:
        `attached` does.
    """
    from compress.system.distributed import on_main

    family = _Family(context.recipe, workspace, deadline)
    full = family.begun(Staged("full", key, encoder, context))
    for begun in (full, *students):
        if not on_main(workspace.encoder(begun.key).is_dir):
            on_main(partial(save_encoder, workspace, begun.key, begun.encoder))
    by_latency = context.latency is not None and any(
        get_stage(name).meets_latency for name in family.turn
    )
    if by_latency:
        return family.by_speedups(full, [family.begun(student) for student in students])
    return family.by_stages(full)


def attached(members: Sequence[Staged], recipe: Recipe) -> list[Staged]:
    """Return members with what the recipe's stages attach that change no weights.

    It is for members that are exported, in one process.
    """
    for name in recipe.stages:
        stage = get_stage(name)
        if not stage.changes_weights:
            members = [
                replace(member, encoder=stage.apply(member.encoder, member.context))
                for member in members
            ]
    return list(members)


class _Family:
    """Makes members one after the other; of several processes, the first one decides.

    Args:
        recipe: All settings.
        workspace: Holds the checkpoints.
        deadline: As in `run_stages`.
    """

    def __init__(self, recipe: Recipe, workspace: Workspace, deadline: float | None) -> None:
        self._recipe, self._workspace, self._deadline = recipe, workspace, deadline
        self._full_ms, self._longest_s = 0.0, 0.0
        self._pruning_s = 0.0  # of the whole model, on all texts; 0 where there is no deadline
        self._made_ms: list[float] = []  # of all members, by the latency table
        self.turn = [name for name in recipe.stages if get_stage(name).changes_weights]

    def begun(self, start: Staged) -> Staged:
        """Return a model that members are cut from, its context complete."""
        context, plan = start.context, planned_quantization(self._recipe)
        acceptable = partial(self._acceptable, guide=lambda: context.material.guide, plan=plan)
        context = replace(context, plan=plan, acceptable=acceptable)
        if self._recipe.budget is not None:
            drop_of = partial(self._drop_of, context.material, for_int8=plan is not None)
            context = replace(context, drop_of=drop_of)
        return replace(start, context=context)

    def by_stages(self, full: Staged) -> list[Staged]:
        """Return what each stage leaves that changes anything."""
        members = [full]
        for name in self.turn:
            made = self._staged(replace(members[-1], name=name), name, full.context)
            if len(made.encoder.lineage) > len(members[-1].encoder.lineage):
                members.append(made)
        return members

    def by_speedups(self, full: Staged, students: Sequence[Staged] = ()) -> list[Staged]:
        """Return a member for each speed-up, and further ones where the budget ends.

        There are faster ones while the budget is not used up, and until the deadline more of them
        at its edge.

        Args:
            full: The teacher.
            students: See `run_stages`.
        """
        from compress.system.distributed import on_main

        self._full_ms, budget = _predicted_ms(full), self._recipe.budget
        self._made_ms = [self._full_ms]
        candidates, ended = [Prospect(1.0, full, 0.0)], False
        if students and (best := self._best_of(full, students)) is not None:
            taught = self._staged(best, "distill", self._timed(best.context, _STUDENT_PART))
            candidates.append(self._prospect(taught))
        if self._deadline is not None:
            self._pruning_s = on_main(partial(_pruning_s, full.context))
        left = _speedups(self._recipe, self._full_ms)
        while left:
            speedup, left = self._next(left)
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
                deadline=self._ready_by(self._deadline),
                longest_s=self._longest_s,
                clock=lambda: on_main(time.monotonic),
            )
        return [candidate.member for candidate in candidates]

    def _best_of(self, full: Staged, students: Sequence[Staged]) -> Staged | None:
        """Return the student that members are to be cut from; None where it is the teacher.

        All are made as fast as the fastest of the students and taught for a while. The one nearest
        to the teacher on the texts that guide the training wins.
        """
        from compress.pruning.to_latency import OutOfReachError
        from compress.system.distributed import on_main

        if self._recipe.student_only and len(students) == 1:
            return students[0]
        target_ms = min(map(_predicted_ms, students))
        distances: list[tuple[float, int]] = []
        starts = [*students, *(() if self._recipe.student_only else (full,))]
        for place, start in enumerate(starts):
            context = replace(
                self._timed(start.context, _CONTEST_PART),
                training_share=_CONTEST,
                target_ms=target_ms,
            )
            made = replace(start, name=f"contest {start.name}")
            try:
                if start is not full:  # it has to know the task before parts of it are judged
                    made = self._staged(made, "distill", context)
                if _predicted_ms(made) > target_ms:
                    for name in self.turn:
                        made = self._staged(made, name, context)
            except OutOfReachError as error:
                _log.warning("%s is out of the contest: %s", start.name, error.message)
                continue
            module, guide = made.encoder.module, context.material.guide
            kl = on_main(partial(guide.evaluate, module)).figures["kl"]
            distances.append((kl, place))
            who = "the model's own layers" if start is full else start.name
            full.context.progress.say(
                f"contest at {self._full_ms / target_ms:.1f} times: {who}, KL {kl:.3f}"
            )
        best = starts[min(distances)[1]]
        return None if best is full else best

    def _make(self, before: Prospect[Staged], speedup: float) -> Prospect[Staged] | None:
        """Make a member of at least a speed-up; None where it is out of reach, or of time."""
        from compress.pruning.to_latency import OutOfReachError
        from compress.system.distributed import on_main

        start, longest_s, part = time.monotonic(), self._longest_s, _MEMBER_PARTS[0]
        context = replace(before.member.context, target_ms=self._full_ms / speedup)
        if self._deadline is not None:
            fitting = self._fitting()
            if longest_s and not fitting:
                _log.info("x%.3g left out: the time budget is used up", speedup)
                return None
            pruning_s = self._pruning_s * _predicted_ms(before.member) / self._full_ms
            share = self._pruning_share(pruning_s)
            if share < 1:
                _log.info(
                    "x%.3g: pruning is expected to take %.0f s, and looks at %.0f%% of the texts",
                    speedup,
                    pruning_s,
                    100 * share,
                )
            context = replace(context, pruning_share=share)
            part = _MEMBER_PARTS[min(max(1, fitting), len(_MEMBER_PARTS)) - 1]
        if self._recipe.budget is not None and before.least > self._recipe.budget:
            context = replace(context, training_share=_LESS_TRAINING)
        made = replace(before.member, name=f"x{speedup:.3g}")
        try:
            for name in self.turn:
                context = self._timed(context, part)
                made = self._staged(made, name, context)
        except OutOfReachError as error:
            _log.warning("%s left out: %s", made.name, error.message)
            return None
        self._longest_s = on_main(lambda: max(longest_s, time.monotonic() - start))
        self._made_ms.append(_predicted_ms(made))
        return self._prospect(made)

    def _timed(self, context: "Context", part: float) -> "Context":
        """Return a context that allows training a part of the time that is left for members."""
        if self._deadline is None:
            return context
        return replace(context, training_s=max(_LEAST_S, self._left_s() / part))

    def _pruning_share(self, pruning_s: float) -> float:
        """Return the share of the texts that pruning may look at, if all take so many seconds."""
        from compress.pruning.to_latency import LEAST_SHARE

        allowed_s = self._left_s() / _PRUNING_PART
        return min(1.0, max(LEAST_SHARE, allowed_s / max(pruning_s, 1e-9)))

    def _left_s(self) -> float:
        """Return the seconds until members are to be ready; of a run with a deadline."""
        from compress.system.distributed import on_main

        assert self._deadline is not None
        until = self._ready_by(self._deadline)
        return on_main(lambda: until - time.monotonic())

    def _ready_by(self, deadline: float) -> float:
        """Return until when members are to be ready, for the run to end in time."""
        exports = (_EXPORT_S + _EXPORT_S_A_MS * ms for ms in self._made_ms)
        return deadline - MEASURING_S - sum(exports)

    def _next(self, left: list[float]) -> tuple[float, list[float]]:
        """Return the speed-up to reach next, and those after it.

        Where there is no time for all that are left, those that are reached are spread over them:
        two members far apart say more of where the budget ends than two at its safe end.
        """
        place = 0
        if self._deadline is not None:
            count = self._fitting()
            if 0 < count < len(left):
                place = len(left) // (count + 1)
        for speedup in left[:place]:
            _log.info("x%.3g left out: faster ones are made in the time there is", speedup)
        return left[place], left[place + 1 :]

    def _fitting(self) -> int:
        """Return how many members will probably be ready in time."""
        left_s = self._left_s()
        # Before there is a member: as long as its parts are expected to take.
        pruning_s = self._pruning_share(self._pruning_s) * self._pruning_s
        longest_s = self._longest_s or pruning_s + max(_LEAST_S, left_s / _MEMBER_PARTS[-1])
        return how_many_fit(longest_s, 0.0, left_s)

    def _prospect(self, made: Staged) -> Prospect[Staged]:
        """Estimate a member's drop, where the budget ends."""
        from compress.search.drop_estimate import estimate_drop
        from compress.system.distributed import on_main

        module, context = made.encoder.module, made.context
        lost = on_main(lambda: estimate_drop(module, context.material.selection, context.plan))
        confidence = self._recipe.confidence
        return Prospect(
            self._full_ms / _predicted_ms(made),
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
            done_before = len(before.encoder.lineage)
            for entry in done.lineage[done_before:]:
                _log.info("%s: stage %s: %s", before.name, name, dict(entry))

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

    def _drop_of(
        self, material: "Material", module: "LeanEncoderWithHead", *, for_int8: bool
    ) -> float:
        """Return the points that a model's drop probably stays below, by the selection split.

        What INT8 will cost cannot be told before outliers are small and weights are rounded for it;
        emulated without, it costs several times as much. So a part of the budget is left for it.
        """
        from compress.search.drop_estimate import estimate_drop

        lost = estimate_drop(module, material.selection, None)
        bound = probable_drop(lost, self._recipe.confidence)
        return bound + _FOR_INT8 * self._recipe.most_lost if for_int8 else bound

    def _acceptable(
        self,
        module: "LeanEncoderWithHead",
        *,
        guide: "Callable[[], Selection]",
        plan: "QuantizationPlan | None",
    ) -> bool:
        """Return whether a model would count as within the budget, by the texts that guide.

        The selection split is not asked, nor are its labels: what is chosen on it must be made
        without it.
        """
        from compress.search.drop_estimate import estimate_drop

        if self._recipe.budget is None:
            return False
        lost = estimate_drop(module, guide(), plan)
        return probable_drop(lost, self._recipe.confidence) <= self._recipe.budget


def _pruning_s(context: "Context") -> float:
    """Return how long pruning the whole model will take, by what it takes for some texts."""
    from compress.pruning.to_latency import FORWARDS, LEAST_SHARE, PROBE_TEXTS, share_of

    start = time.monotonic()
    texts, _ = context.material.asked(share_of(PROBE_TEXTS, LEAST_SHARE), "probe")
    return FORWARDS * (time.monotonic() - start) / max(1, len(texts))


def _predicted_ms(member: Staged) -> float:
    latency = member.context.latency
    assert latency is not None  # the caller has looked
    return latency.predict(member.encoder.module.config.layer_sizes)


def _speedups(recipe: Recipe, full_ms: float) -> list[float]:
    """Return the recipe's; with a target latency those before it, and the one that meets it."""
    if recipe.target_latency_ms is None:
        return list(recipe.speedups)
    # The table predicts the model alone; tokenizing and the rest of a request come on top.
    wanted = full_ms / (_MODEL_SHARE * recipe.target_latency_ms)
    return [*(s for s in recipe.speedups if s < 0.9 * wanted), *([wanted] if wanted > 1 else [])]
