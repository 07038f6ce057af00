"""Estimates what a choice loses, on the very texts that choose: cross-fitting.

A member that was chosen on some texts seems better there than it is: it won there. So the choice is
made again, on a random half of the texts, and what it takes is measured on the other half, many
times over. The mean is that of a choice on half of the texts, which is no better than one on all.

Halves share texts, so that the losses of different halvings say much the same. Their variance is
corrected for that as Nadeau & Bengio 2003 (https://doi.org/10.1023/A:1024068626366) do:

    standard error^2 = (1 / choices + texts that measure / texts that choose) * variance of losses

docs/adr/0021-a-budget-that-is-kept.md has how often that covers the true drop.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.metrics import CrossFitted
from benchmarks.tasks import get_measure
from compress.data.splitting import cut
from compress.search.selection import Figures

__all__ = ["cross_fitted"]

_Logits = NDArray[np.float32]
Choose = Callable[[list[Figures]], int | None]
"""Chooses a place of the candidates', or none."""

# Halvings, each of which chooses twice; fewer where candidates have many answers to be compared.
_LEAST, _ANSWERS = 10, 40_000_000
_Z = 1.96


def cross_fitted(
    reference: _Logits,
    candidates: Mapping[str, _Logits],
    paces: Mapping[str, tuple[str, float]],
    examples: Examples,
    choose: Choose,
    *,
    seed: int,
    most: int = 50,
) -> CrossFitted | None:
    """Return what `choose` loses against the reference on texts that did not choose.

    Args:
        reference: (M, C) its answers to the examples' decisions.
        candidates: By name, (M, C) likewise.
        paces: By name, what it runs on and how slow it is there.
        examples: N texts with labels.
        choose: The choice.
        seed: Of the halvings.
        most: Halvings, each of which chooses twice.

    Returns:
        The estimate; None where no half chooses any.
    """
    measure, names = get_measure(examples), list(candidates)
    rng = np.random.default_rng(seed)
    size = reference.size * max(1, len(names))
    losses, choices, none = list[float](), 0, 0
    for _ in range(int(np.clip(_ANSWERS // size, min(_LEAST, most), most))):
        halves = cut(examples, (0.5, 0.5), rng)
        for deciding, other in (halves, halves[::-1]):
            part, rows = examples.take(deciding), examples.targets.decisions(deciding)
            figures = [
                Figures(
                    *paces[name],
                    measure.expected_drop(reference[rows], candidates[name][rows], part),
                )
                for name in names
            ]
            choices += 1
            place = choose(figures)
            if place is None:
                none += 1
                continue
            part, rows = examples.take(other), examples.targets.decisions(other)
            lost = measure.drop(reference[rows], candidates[names[place]][rows], part, seed=0)
            losses.append(lost.value)
    if len(losses) < 2:
        return None
    value = float(np.mean(losses))
    half = _Z * float(np.sqrt((1 / len(losses) + 1) * np.var(losses, ddof=1)))
    return CrossFitted(value, value - half, value + half, len(examples), choices, none)
