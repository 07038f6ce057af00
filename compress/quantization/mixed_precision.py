"""Decides which layers INT8 must leave alone; exporting and measuring is the caller's."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from compress.quantization.sensitivity import Sensitivity
from export.quantization import QuantizationPlan
from runtimes.processor import saturates

__all__ = ["Fallback", "Try", "return_to_float", "safe_plan"]


def safe_plan(plan: QuantizationPlan, cpu_flags: Collection[str]) -> QuantizationPlan:
    """Return the plan with 7-bit weights if the target lacks the instruction sets it needs.

    Args:
        plan: Any.
        cpu_flags: Of the target, as `runtimes.processor` gives them; empty: not known.
    """
    return replace(plan, reduce_range=True) if saturates(plan.instruction_sets, cpu_flags) else plan


@dataclass(frozen=True)
class Try:
    """One plan that was verified.

    Attributes:
        layers: Layers that were returned to float.
        distance: What verifying gave, in the bound's unit.
    """

    layers: tuple[str, ...]
    distance: float


@dataclass(frozen=True)
class Fallback:
    """Outcome of returning layers to float.

    Attributes:
        plan: The verified plan with the fewest float layers inside the bound; the plan as it was
            given if there is none.
        inside: Whether it is inside the bound.
        layers: Layers that `plan` has in float and the given plan had not, worst first.
        tries: What was verified, in that order.
        reason: A sentence for the report.
    """

    plan: QuantizationPlan
    inside: bool
    layers: tuple[str, ...]
    tries: tuple[Try, ...]
    reason: str


def return_to_float(
    plan: QuantizationPlan,
    sensitivities: Sequence[Sensitivity],
    verify: Callable[[QuantizationPlan], float],
    *,
    bound: float,
    most_tries: int = 8,
) -> Fallback:
    """Return the worst layers to float, as few as bring the deployed artifact inside the bound.

    The plan itself is verified first. Then the 1, 2, 4, ... worst layers are returned to float
    until the bound holds, and the last step is halved back as far as tries are left. Since every
    plan is verified, noise in the measurement can cost layers but never the bound.

    Args:
        plan: What was going to be deployed.
        sensitivities: Worst first, as `layer_sensitivities` gives them.
        verify: Exports a plan and measures how far the artifact's answers are from the original's
            (KL).
        bound: The largest distance allowed, in the same unit.
        most_tries: Calls of `verify`.

    Raises:
        ValueError: `most_tries` is below 1.
    """
    if most_tries < 1:
        raise ValueError(f"most_tries must be 1 or more, not {most_tries}")
    order = [entry.layer for entry in sensitivities]
    tries: list[Try] = []

    def works(count: int) -> bool:
        distance = verify(_with_float(plan, order[:count]))
        tries.append(Try(tuple(order[:count]), distance))
        return distance <= bound  # false for NaN

    low, high = 0, None
    if works(0):
        high = 0
    count = 1
    while high is None and len(tries) < most_tries and low < len(order):
        count = min(count, len(order))
        if works(count):
            high = count
        else:
            low, count = count, 2 * count
    while high is not None and high - low > 1 and len(tries) < most_tries:
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle
    layers = tuple(order[: high or 0])
    return Fallback(
        plan=_with_float(plan, layers),
        inside=high is not None,
        layers=layers,
        tries=tuple(tries),
        reason=_reason(tries, layers, high is not None, bound, sensitivities),
    )


def _with_float(plan: QuantizationPlan, layers: Sequence[str]) -> QuantizationPlan:
    return replace(plan, float_layers=(*plan.float_layers, *layers))


def _reason(
    tries: Sequence[Try],
    layers: tuple[str, ...],
    inside: bool,
    bound: float,
    sensitivities: Sequence[Sensitivity],
) -> str:
    before = tries[0].distance
    if not inside:
        if len(tries) == 1:
            return (
                f"INT8 moves the answers to KL {before:.3f} from the original's, and "
                f"{bound:.3f} is near enough; no layer was tried."
            )
        best = min(tries[1:], key=lambda entry: entry.distance)
        return (
            f"INT8 moves the answers to KL {before:.3f} from the original's, and {bound:.3f} is "
            "near enough. No layer was returned to float: with up to "
            f"{max(len(entry.layers) for entry in tries)} of them it was {best.distance:.3f} at "
            "best."
        )
    if not layers:
        return (
            f"All layers stay INT8: their answers are at KL {before:.3f} from the original's, and "
            f"{bound:.3f} is near enough."
        )
    after = next(entry.distance for entry in tries if entry.layers == layers)
    gain = {entry.layer: entry.gain for entry in sensitivities}[layers[0]]
    named = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
    single = len(layers) == 1
    return (
        f"{named} {'was' if single else 'were'} returned to float: INT8 "
        f"{'there' if single else f'in {layers[0]} alone'} moved the answers by KL {gain:.2g}. Now "
        f"they are at {after:.3f} from the original's instead of {before:.3f}; {bound:.3f} is near "
        "enough."
    )
