"""Draws what pruning kept: layers, heads and neurons of the original, by their importance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from runtimes.escaping import escape_line

if TYPE_CHECKING:
    from typing import Self  # from Python 3.11 on

__all__ = ["Kept", "describe_kept", "kept_of", "render_kept"]

_CELL, _GAP, _ROW, _LEFT, _TOP, _BAR = 18, 4, 28, 74, 58, 180
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1b2733; }
.quiet { fill: #66727f; }
.title { font-weight: 600; font-size: 14px; }
.kept { fill: #1f6fb2; }
.gone { fill: none; stroke: #b9c2cc; stroke-dasharray: 2 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6ebf0; }
  .quiet { fill: #9aa7b4; }
  .kept { fill: #5fb0f0; }
  .gone { stroke: #55616d; }
}
"""


@dataclass(frozen=True)
class Kept:
    """Parts that are left of an original of L layers.

    Attributes:
        name: The member's.
        description: Its sizes.
        heads: For each layer of the original, its heads that are left, or None: the layer is gone.
        neurons: Likewise, how many FFN neurons are left.
        all_heads: (L,) heads of the original.
        all_neurons: (L,) FFN neurons of the original.
        head_importance: By layer and head, a share of the heads' importance; None: not measured.
        neuron_importance: By layer, a share of the neurons' importance; None likewise.
    """

    name: str
    description: str
    heads: tuple[tuple[int, ...] | None, ...]
    neurons: tuple[int, ...]
    all_heads: tuple[int, ...]
    all_neurons: tuple[int, ...]
    head_importance: tuple[tuple[float, ...], ...] | None = None
    neuron_importance: tuple[float, ...] | None = None

    @classmethod
    def of(cls, member: Mapping[str, Any]) -> "Self | None":
        """Read a member in `Report.family`; None where nothing was pruned."""
        lineage: Sequence[Mapping[str, Any]] = member["lineage"]
        left = next((e["provenance"] for e in reversed(lineage) if "provenance" in e), None)
        original = next((e["original"] for e in lineage if "original" in e), None)
        if left is None or original is None:
            return None
        depth = len(original["heads"])
        heads = dict(zip(left["layers"], left["heads"], strict=True))
        neurons = dict(zip(left["layers"], left["neurons"], strict=True))
        by_head, by_layer = original.get("head_importance"), original.get("neuron_importance")
        return cls(
            name=member["name"],
            description=member["description"],
            heads=tuple(tuple(heads[i]) if i in heads else None for i in range(depth)),
            neurons=tuple(neurons.get(i, 0) for i in range(depth)),
            all_heads=tuple(original["heads"]),
            all_neurons=tuple(original["neurons"]),
            head_importance=None if by_head is None else tuple(map(tuple, by_head)),
            neuron_importance=None if by_layer is None else tuple(by_layer),
        )

    def head_strength(self, layer: int, head: int) -> float:
        """Return how strongly a head is drawn, 0 to 1: by its rank among all heads."""
        if self.head_importance is None:
            return 1.0
        every = [share for row in self.head_importance for share in row]
        return _strength(self.head_importance[layer][head], every)

    def neuron_strength(self, layer: int) -> float:
        """Return how strongly a layer's neurons are drawn, likewise."""
        if self.neuron_importance is None:
            return 1.0
        return _strength(self.neuron_importance[layer], self.neuron_importance)


def kept_of(family: Sequence[Mapping[str, Any]]) -> list[Kept]:
    """Return the members in `Report.family` that were pruned."""
    return [kept for kept in map(Kept.of, family) if kept is not None]


def describe_kept(kept: Kept) -> str:
    """Return one sentence that says what the picture shows."""
    layers = [index for index, heads in enumerate(kept.heads) if heads is not None]
    heads, all_heads = sum(len(h or ()) for h in kept.heads), sum(kept.all_heads)
    share = ""
    if kept.head_importance is not None:
        importance = sum(
            kept.head_importance[layer][head]
            for layer in layers
            for head in kept.heads[layer] or ()
        )
        share = f" with {100 * importance:.0f}% of the heads' importance"
    return (
        f"{kept.name}: layers {', '.join(map(str, layers))} of {len(kept.heads)}; "
        f"{heads} of {all_heads} heads{share}; "
        f"{sum(kept.neurons):,} of {sum(kept.all_neurons):,} neurons."
    )


def render_kept(kept: Kept) -> str:
    """Draw a picture as a file of its own (SVG), a row for each layer of the original.

    A square is a head and the bar is the feed-forward network: filled is what was kept, the
    stronger the more important it was in the original; dashed is what was removed.
    """
    squares = max(kept.all_heads) * (_CELL + _GAP)
    width, height = _LEFT + squares + 24 + _BAR + 96, _TOP + _ROW * len(kept.heads) + 30
    widest = max(kept.all_neurons)
    parts = [
        _text(8, 20, f"{kept.name}: {kept.description}", "title"),
        _text(_LEFT, 46, "attention heads", "quiet"),
        _text(_LEFT + squares + 24, 46, "feed-forward neurons", "quiet"),
    ]
    for layer, heads in enumerate(kept.heads):
        y = _TOP + layer * _ROW
        parts.append(_text(8, y + 13, f"layer {layer}", "" if heads is not None else "quiet"))
        for head in range(kept.all_heads[layer]):
            x = _LEFT + head * (_CELL + _GAP)
            left = heads is not None and head in heads
            parts.append(_box(x, y, _CELL, left, kept.head_strength(layer, head)))
        x, full = _LEFT + squares + 24, _BAR * kept.all_neurons[layer] / widest
        parts.append(_box(x, y, full, False, 1.0))
        if kept.neurons[layer]:
            filled = _BAR * kept.neurons[layer] / widest
            parts.append(_box(x, y, filled, True, kept.neuron_strength(layer)))
        count = (
            "removed" if heads is None else f"{kept.neurons[layer]} of {kept.all_neurons[layer]}"
        )
        parts.append(_text(x + _BAR + 8, y + 13, count, "quiet"))
    legend = "filled: kept, stronger where more important; dashed: removed"
    parts.append(_text(8, height - 10, legend, "quiet"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(escape_line(describe_kept(kept)))}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _strength(value: float, everything: Sequence[float]) -> float:
    """Return the opacity by rank: shares differ by orders of magnitude."""
    below = sum(other < value for other in everything)
    return 0.25 + 0.75 * below / max(1, len(everything) - 1)


def _box(x: float, y: float, width: float, kept: bool, strength: float) -> str:
    look = f'class="kept" opacity="{strength:.2f}"' if kept else 'class="gone"'
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_CELL}" rx="3" {look}/>'


def _text(x: float, y: float, text: str, look: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{look}">{escape(escape_line(text))}</text>'
