"""Removes attention heads: the shortest way from a model to a smaller one, without a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from compress.data.unlabelled import tokenize_unlabelled
from compress.encoder.surgery import SlicePlan, slice_model
from compress.errors import ModelError
from compress.pruning.importance import fisher_importance
from compress.pruning.ranking import keep_best_heads
from compress.pruning.reconstruction import repair_outputs
from compress.system.progress import Progress, SilentProgress
from runtimes.base import TextInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from compress.encoder.modules import LeanEncoderWithHead

__all__ = ["prune_heads"]


def prune_heads(
    model: "LeanEncoderWithHead",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[TextInput],
    *,
    share: float = 0.33,
    repair: bool = True,
    max_length: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> "LeanEncoderWithHead":
    """Return a copy without the attention heads that matter least; nothing is trained.

    The heads of all layers are ranked together by the diagonal Fisher information of their masks
    (Kwon et al. 2022, https://arxiv.org/abs/2204.09656). The projections that are left are refitted
    by least squares to give what the whole model gave.

    Args:
        model: Lean encoder with the head of its task, from `import_encoder`; left as it was.
        tokenizer: Its tokenizer.
        texts: Some hundred strings, or (first, second) pairs, of the task's kind; no labels.
        share: Of all heads, how many to remove: 0 to below 1. A layer may lose all of its heads.
        repair: Whether to refit.
        max_length: Tokens kept of a text; None: what model and tokenizer allow.
        seed: Of the labels that are drawn from the model's own predictions.
        progress: Told of each batch; None shows nothing.

    Raises:
        ValueError: `share` is not of that range.
        DataError: There are no texts.
        ModelError: The model answers for tokens: they have no labels here.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: it is 0 to below 1")
    if model.config.reads_tokens:
        raise ModelError(f"heads of a model for {model.config.head} are pruned in a run alone")
    shown = progress or SilentProgress()
    tokens = tokenize_unlabelled(texts, tokenizer, model.config, max_length)
    scores = fisher_importance(model, tokens, progress=shown, seed=seed).heads
    kept = keep_best_heads(scores, round(share * sum(map(len, scores))))
    smaller = slice_model(model, SlicePlan(heads=kept))
    if repair:
        repair_outputs(smaller, model, tokens, range(len(scores)), progress=shown)
    return smaller
