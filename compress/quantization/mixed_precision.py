"""Which ways to quantize are worth measuring, and which layers INT8 must leave alone.

Decisions only: exporting and measuring is the caller's, on the deployed artifact and on the
selection split.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compress.quantization.sensitivity import Sensitivity
from export.quantization import QuantizationPlan
from runtimes.processor import saturates

__all__ = ["Fallback", "Try", "Variant", "return_to_float", "safe_plan", "variants"]


@dataclass(frozen=True)
class Variant:
    """One way to quantize an encoder for one runtime.

    Attributes:
        name: Such as `onnxruntime-static`.
        runtime: The runtime whose file differs from the plan's.
        plan: What to export; the other runtime's scheme is that of the plan it was made from.
        why: What speaks for measuring it, for the log.
    """

    name: str
    runtime: str
    plan: QuantizationPlan
    why: str


_WHY = {
    ("onnxruntime", "dynamic"): "its ranges fit every text, and no calibration can be wrong",
    ("onnxruntime", "static"): "its ranges ignore rare outliers, need not be looked for at run "
    "time, and give a text the same answer whatever else is in the batch",
    ("onnxruntime", "float"): "INT8 buys nothing where products are small or the CPU has no "
    "instructions for it",
    ("openvino", "smooth"): "SmoothQuant moves outliers of activations into the weights",
    ("openvino", "plain"): "without SmoothQuant nothing is scaled twice, which suits models "
    "without outliers",
    (
        "openvino",
        "float",
    ): "runs in bf16 where the CPU has it, often as fast as INT8 at the lengths of single requests",
}


def variants(
    plan: QuantizationPlan,
    *,
    static_ranges: Mapping[str, tuple[float, float]] | None = None,
    runtimes: Sequence[str] = ("onnxruntime", "openvino"),
    floats: bool = True,
) -> list[Variant]:
    """The ways to quantize that are worth measuring: the plan's own first, then the others.

    Args:
        plan: What the recipe says; what is not a scheme (reduced range, float layers) is kept.
        static_ranges: Measured on this encoder, for static INT8 in ONNX Runtime; without them (and
            with none in the plan) it is not among the variants.
        runtimes: Runtimes to vary.
        floats: Whether float files are among them.

    Raises:
        ValueError: A runtime has no schemes.
    """
    ranges = plan.static_ranges if static_ranges is None else static_ranges
    found = []
    for runtime in runtimes:
        own = {"onnxruntime": plan.onnxruntime, "openvino": plan.openvino}.get(runtime)
        if own is None:
            raise ValueError(f"the runtime {runtime!r} has no quantization schemes")
        schemes = [scheme for at, scheme in _WHY if at == runtime]
        for scheme in sorted(schemes, key=lambda scheme: scheme != own):
            if (scheme == "static" and not ranges) or (
                scheme == "float" and own != "float" and not floats
            ):
                continue
            changes: dict[str, Any] = {runtime: scheme}
            if runtime == "onnxruntime":
                changes["static_ranges"] = ranges if scheme == "static" else {}
            why = f"{runtime}, {scheme}: {_WHY[runtime, scheme]}."
            found.append(Variant(f"{runtime}-{scheme}", runtime, replace(plan, **changes), why))
    return found


def safe_plan(plan: QuantizationPlan, cpu_flags: Collection[str]) -> QuantizationPlan:
    """The plan with 7-bit weights if the target has none of the instruction sets it needs.

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
        drop: What verifying gave, in the bound's unit.
    """

    layers: tuple[str, ...]
    drop: float


@dataclass(frozen=True)
class Fallback:
    """What returning layers to float came to.

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
    most_layers: int | None = None,
) -> Fallback:
    """Return the worst layers to float, as few as bring the deployed artifact inside the bound.

    The plan itself is verified first. Then the 1, 2, 4, ... worst layers are returned to float
    until the bound holds, and the last step is halved back as far as tries are left. Since every
    plan is verified, noise in the measurement can cost layers but never the bound.

    Args:
        plan: What was going to be deployed.
        sensitivities: Worst first, as `layer_sensitivities` gives them.
        verify: Exports a plan and measures the artifact: its drop in points, or the bound of it
            that the budget is compared with.
        bound: The largest drop allowed, in the same unit.
        most_tries: Calls of `verify`.
        most_layers: Layers to return to float at most; by default all.

    Raises:
        ValueError: `most_tries` is below 1.
    """
    if most_tries < 1:
        raise ValueError(f"most_tries must be 1 or more, not {most_tries}")
    order = [entry.layer for entry in sensitivities][:most_layers]
    tries: list[Try] = []

    def works(count: int) -> bool:
        drop = verify(_with_float(plan, order[:count]))
        tries.append(Try(tuple(order[:count]), drop))
        return drop <= bound  # false for NaN

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
    before = tries[0].drop
    if not inside:
        if len(tries) == 1:
            return f"The drop is {before:.2f}, {bound:.2f} is allowed, and no layer was tried."
        best = min(tries[1:], key=lambda entry: entry.drop)
        return (
            f"No layer was returned to float: the drop is {before:.2f}, {bound:.2f} is allowed, "
            f"and with up to {max(len(entry.layers) for entry in tries)} layers in float it was "
            f"{best.drop:.2f} at best."
        )
    if not layers:
        return f"All layers stay INT8: the drop is {before:.2f}, {bound:.2f} is allowed."
    after = next(entry.drop for entry in tries if entry.layers == layers)
    gain = {entry.layer: entry.gain for entry in sensitivities}[layers[0]]
    named = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
    single = len(layers) == 1
    return (
        f"{named} {'was' if single else 'were'} returned to float: INT8 "
        f"{'there' if single else f'in {layers[0]} alone'} moved the answers by KL {gain:.2g}, and "
        f"the drop went from {before:.2f} to {after:.2f}, {bound:.2f} being allowed."
    )
