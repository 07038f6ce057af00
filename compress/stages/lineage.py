"""Where the parts of a pruned model come from: the teacher's layers and heads that are left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compress.encoder.config import LayerSizes
from compress.encoder.surgery import SlicePlan
from compress.pruning.importance import Importance

__all__ = ["Provenance", "original_entry"]

_KEY = "provenance"


@dataclass(frozen=True)
class Provenance:
    """What is left, in the teacher's own numbering.

    Attributes:
        layers: By layer, the teacher's layer that it was.
        heads: By layer, its heads' numbers in that layer.
        neurons: By layer, how many FFN neurons it has.
    """

    layers: tuple[int, ...]
    heads: tuple[tuple[int, ...], ...]
    neurons: tuple[int, ...]

    @classmethod
    def whole(cls, sizes: Sequence[LayerSizes]) -> "Provenance":
        """Of a model that has all of its parts."""
        return cls(
            tuple(range(len(sizes))),
            tuple(tuple(range(layer.heads)) for layer in sizes),
            tuple(layer.intermediate_size for layer in sizes),
        )

    @classmethod
    def of(
        cls, lineage: Sequence[Mapping[str, Any]], teacher_sizes: Sequence[LayerSizes]
    ) -> "Provenance":
        """What the last stage that removed something recorded; the whole teacher if none did."""
        for entry in reversed(lineage):
            if _KEY in entry:
                found = entry[_KEY]
                return cls(
                    tuple(found["layers"]),
                    tuple(tuple(heads) for heads in found["heads"]),
                    tuple(found["neurons"]),
                )
        return cls.whole(teacher_sizes)

    def after(self, plan: SlicePlan) -> "Provenance":
        """What is left once the plan was carried out."""
        stay = range(len(self.layers)) if plan.layers is None else plan.layers
        return Provenance(
            tuple(self.layers[i] for i in stay),
            tuple(
                tuple(self.heads[i][h] for h in plan.heads.get(i, range(len(self.heads[i]))))
                for i in stay
            ),
            tuple(len(plan.neurons[i]) if i in plan.neurons else self.neurons[i] for i in stay),
        )

    def entry(self) -> dict[str, Any]:
        """For a stage's lineage entry; `of` reads it back."""
        return {
            _KEY: {
                "layers": list(self.layers),
                "heads": [list(heads) for heads in self.heads],
                "neurons": list(self.neurons),
            }
        }


def original_entry(sizes: Sequence[LayerSizes], scores: Importance) -> dict[str, Any]:
    """What there was before anything was removed, and what each part was worth.

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
