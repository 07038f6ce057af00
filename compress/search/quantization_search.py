"""Quantization that holds: other ways to quantize the chosen member, and a way out for one that
INT8 alone pushes out of the budget.

The choice is made among members in the recipe's own scheme. Then the chosen one is exported in the
other schemes as well and measured against itself; and where the next faster member would be inside
the budget in float but is not in INT8, the layers that INT8 hurts most are returned to float.
"""

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from compress.quantization.mixed_precision import Fallback, return_to_float
from compress.quantization.sensitivity import layer_sensitivities
from compress.search.members import Staged, export_member
from compress.system.workspace import Workspace
from export.targets.registry import alternative_schemes, default_schemes, get_target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from export.quantization import QuantizationPlan

__all__ = ["Mixed", "mixed_precision", "variants"]

_log = logging.getLogger("edgepress")

# Texts that layers are compared on, and deployed artifacts that are tried.
_PROBE_TEXTS, _MOST_TRIES = 192, 4


@dataclass(frozen=True)
class Mixed:
    """Outcome of returning layers to float.

    Attributes:
        staged: The member with its plan; None where none kept float's answers.
        reason: A sentence for the report.
    """

    staged: Staged | None
    reason: str


def variants(staged: Staged) -> list[Staged]:
    """Return the chosen member in the schemes that the recipe did not name, two in all.

    An artifact holds a file for each runtime, so static INT8 for ONNX Runtime shares one with
    OpenVINO without SmoothQuant, and the float files share another. Layers returned to float and
    the precision of the word table stay as they are.
    """
    from compress.stages.quantize import static_ranges

    plan = staged.encoder.plan
    if plan is None or plan.schemes != default_schemes():
        return []  # the recipe insists on a scheme
    ranges = static_ranges(staged.encoder, staged.context)
    found = []
    for schemes in alternative_schemes():
        needed = any(get_target(n).SCHEMES[s].needs_ranges for n, s in schemes.items())
        other = replace(plan, schemes=schemes, static_ranges=ranges if needed else {})
        found.append(_with_plan(staged, f"{staged.name}-{next(iter(schemes.values()))}", other))
    return found


def mixed_precision(staged: Staged, workspace: Workspace) -> Mixed:
    """Return the layers that INT8 hurts most to float, as few as keep float's answers.

    Every plan that is tried is exported for ONNX Runtime, and the deployed file answers the texts
    that guide the training: INT8 may add `distill.rounding_share` to their distance from the
    original's, or bring it to `distill.enough`. The selection split is not asked: of several plans
    one would come inside by luck.
    """
    import runtimes
    from compress.predictions.objective import objective_for
    from compress.predictions.predict import divergence, predict_logits

    plan = staged.encoder.plan
    if plan is None or plan.is_float("onnxruntime"):
        raise ValueError(f"{staged.name} is not quantized: no layer can be returned to float")
    context = staged.context
    name, guide, module = f"{staged.name}-mixed", context.material.guide, staged.encoder.module

    settings = context.recipe.distill

    def distance(logits: "NDArray[np.float32]") -> float:
        return divergence(logits, guide.teacher_logits, objective_for(module.config))

    def verify(tried: "QuantizationPlan") -> float:
        member = export_member(_with_plan(staged, name, tried), workspace, only="onnxruntime")
        with runtimes.load(member.artifact, runtime="onnxruntime") as predictor:
            # one by one, as single requests are answered: dynamic ranges depend on the batch
            return distance(predictor.logits(guide.examples.inputs(), batch_size=1))

    found: Fallback = return_to_float(
        plan,
        layer_sensitivities(
            module,
            plan,
            context.material.sample(_PROBE_TEXTS, "sensitivity"),
            progress=context.progress,
        ),
        verify,
        bound=max(
            (1 + settings.rounding_share) * distance(predict_logits(module, guide.texts)),
            settings.enough,
        ),
        most_tries=_MOST_TRIES,
    )
    _log.info("%s: %s", staged.name, found.reason)
    mixed = None
    if found.inside and found.layers:  # the choice judges it
        mixed = _with_plan(staged, name, found.plan)
    return Mixed(mixed, f"{staged.name}: {found.reason}")


def _with_plan(staged: Staged, name: str, plan: "QuantizationPlan") -> Staged:
    return replace(staged, name=name, encoder=replace(staged.encoder, plan=plan))
