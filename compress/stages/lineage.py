"""Holds the typed state of an encoder: what later stages decide by, where its parts come from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from compress.encoder.config import LayerSizes
    from compress.encoder.surgery import SlicePlan
    from compress.pruning.importance import Importance

__all__ = ["EncoderState", "Provenance", "left_in_words", "original_entry"]


@dataclass(frozen=True)
class Provenance:
    """Parts that are left, in the numbering of the model that they were cut from.

    Attributes:
        layers: By layer, that model's layer that it was.
        heads: By layer, its heads' numbers in that layer.
        neurons: By layer, how many FFN neurons it has.
    """

    layers: tuple[int, ...]
    heads: tuple[tuple[int, ...], ...]
    neurons: tuple[int, ...]

    @classmethod
    def whole(cls, sizes: Sequence["LayerSizes"]) -> "Provenance":
        """Return that of a model that has all of its parts."""
        return cls(
            tuple(range(len(sizes))),
            tuple(tuple(range(layer.heads)) for layer in sizes),
            tuple(layer.intermediate_size for layer in sizes),
        )

    def after(self, plan: "SlicePlan") -> "Provenance":
        """Return what is left once the plan was carried out."""
        stay = range(len(self.layers)) if plan.layers is None else plan.layers
        return Provenance(
            tuple(self.layers[i] for i in stay),
            tuple(
                tuple(self.heads[i][h] for h in plan.heads.get(i, range(len(self.heads[i]))))
                for i in stay
            ),
            tuple(len(plan.neurons[i]) if i in plan.neurons else self.neurons[i] for i in stay),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; reports read them, too."""
        return _plain(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Provenance":
        """Return what `to_json` was given."""
        layers, heads, neurons = (value[name] for name in ("layers", "heads", "neurons"))
        return cls(tuple(layers), tuple(map(tuple, heads)), tuple(neurons))


@dataclass(frozen=True)
class EncoderState:
    """Facts that stages decide by; beside them, the lineage tells people what was done.

    Attributes:
        stages_applied: Stages that changed the weights so far.
        times_trained: Those of them that took a training step.
        layer_map: By layer, the teacher layer that it imitates; None: evenly spaced ones.
        provenance: What is left of the model that was begun with; None: all of it.
        scored_by: What pruning scores heads and neurons by, once it has compared.
    """

    stages_applied: int = 0
    times_trained: int = 0
    layer_map: tuple[int, ...] | None = None
    provenance: Provenance | None = None
    scored_by: Literal["labels", "teacher"] | None = None

    def parts_left(self, sizes: Sequence["LayerSizes"]) -> Provenance:
        """Return where the parts come from, given the layers of the model that was begun with."""
        return self.provenance or Provenance.whole(sizes)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return _plain(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EncoderState":
        """Return what `to_json` was given.

        Raises:
            KeyError: It is no such state.
        """
        known = {field.name: value[field.name] for field in fields(cls)}
        if known["layer_map"] is not None:
            known["layer_map"] = tuple(known["layer_map"])
        if known["provenance"] is not None:
            known["provenance"] = Provenance.from_json(known["provenance"])
        return cls(**known)


def _plain(value: Provenance | EncoderState) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(value)))  # tuples become lists
    return plain


def left_in_words(original: Sequence["LayerSizes"], left: Sequence["LayerSizes"]) -> str:
    """Say what is left of an original: `4 of 6 layers, 22 of 72 attention heads, and ...`."""
    heads, of_heads = (sum(layer.heads for layer in layers) for layers in (left, original))
    widths = sorted({layer.intermediate_size for layer in left})
    neurons = f"{widths[0]:,}" if len(widths) == 1 else f"{widths[0]:,} to {widths[-1]:,}"
    before = max(layer.intermediate_size for layer in original)
    return (
        f"{len(left)} of {len(original)} layers, {heads} of {of_heads} attention heads, and "
        f"{neurons} of {before:,} neurons in a feed-forward layer"
    )


def original_entry(sizes: Sequence["LayerSizes"], scores: "Importance") -> dict[str, Any]:
    """Return what there was before anything was removed, and what each part was worth.

    For the lineage entry of the stage that removed the first of it: heads' and layers' neurons'
    shares of all importance of their kind.
    """
    all_heads = sum(float(layer.sum()) for layer in scores.heads) or 1.0
    all_neurons = sum(float(layer.sum()) for layer in scores.neurons) or 1.0
    return {
        "original": {
            "heads": [layer.heads for layer in sizes],
            "neurons": [layer.intermediate_size for layer in sizes],
            "head_importance": [
                [round(float(score) / all_heads, 5) for score in layer] for layer in scores.heads
            ],
            "neuron_importance": [
                round(float(layer.sum()) / all_neurons, 5) for layer in scores.neurons
            ],
        }
    }
