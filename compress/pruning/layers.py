"""Chooses the layers that stay in a shallower model, judged after the rest was repaired.

Skipping a layer and looking at the answers misjudges it: least squares makes the layer before it
stand in, for some layers well and for others badly. On SST-2 the four layers that skipping
favours give 85.9 after the repair, the best four 87.3.
"""

import numpy as np
from numpy.typing import NDArray

from compress.data.tokenized import TokenizedTexts
from compress.encoder.masks import EncoderMasks
from compress.encoder.modules import LeanEncoderWithHead
from compress.encoder.surgery import keep_layers
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.pruning.reconstruction import repair_outputs
from compress.system.progress import Progress, SilentProgress

__all__ = ["layers_left", "removal_path"]


def removal_path(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    probe: TokenizedTexts,
    probe_logits: NDArray[np.float32],
    fewest: int,
    *,
    progress: Progress,
) -> list[tuple[int, ...]]:
    """Remove layers one after the other, each time the one that is missed least.

    Args:
        model: Of L layers; left as it was.
        texts: Some hundred training texts, which projections are refitted on.
        probe: Texts that the answers are compared on.
        probe_logits: (N, C) the teacher's answers to them.
        fewest: Layers to stop at, 1 to L.
        progress: Told of each layer tried.

    Returns:
        Ascending indices of the layers that stay, for L, L - 1, ... `fewest` layers.
    """
    depth = len(model.config.layers)
    path = [tuple(range(depth))]
    tries = sum(range(fewest + 1, depth + 1))
    silent = SilentProgress()
    with progress.track("measuring layers", tries) as task:
        while len(path[-1]) > fewest:
            distances: dict[tuple[int, ...], float] = {}
            for layer in path[-1]:
                kept = tuple(other for other in path[-1] if other != layer)
                smaller = keep_layers(model, kept)
                repair_outputs(smaller, model, texts, kept, progress=silent)
                distances[kept] = divergence(
                    predict_logits(smaller, probe), probe_logits, objective_for(model.config)
                )
                task.advance()
            path.append(min(distances, key=lambda kept: distances[kept]))
    return path


def layers_left(
    model: LeanEncoderWithHead,
    texts: TokenizedTexts,
    reference_logits: NDArray[np.float32],
    remove: int,
    *,
    progress: Progress,
) -> tuple[int, ...]:
    """Return the layers that stay when those go that change the answers least, one by one.

    Each turn skips the layer whose absence, on top of those already skipped, gives the smallest
    KL to the reference. Nothing is repaired: this is the quick judgement.

    Args:
        model: Left as it was.
        texts: A few hundred of the training texts.
        reference_logits: (N, C) the teacher's answers to them.
        remove: Layers that go; fewer than the model has.
        progress: Told of each layer tried.

    Returns:
        Ascending layer indices.
    """
    layers = len(model.config.layers)
    device = next(model.parameters()).device
    left = list(range(layers))
    with progress.track("measuring layers", sum(layers - turn for turn in range(remove))) as task:
        for _ in range(remove):
            distances: dict[int, float] = {}
            for layer in left:
                masks = EncoderMasks.ones(model.config, device=device)
                masks.layers[[i for i in range(layers) if i == layer or i not in left]] = 0.0
                logits = predict_logits(model, texts, masks=masks)
                distances[layer] = divergence(logits, reference_logits, objective_for(model.config))
                task.advance()
            left.remove(min(left, key=lambda layer: distances[layer]))
    return tuple(left)
