"""The learning rate that an encoder bears."""

__all__ = ["rate_for_width"]


def rate_for_width(hidden_size: int) -> float:
    """Return the peak of a schedule of AdamW, in batches of about 32 texts.

    What an encoder bears falls with the square of its width, about as the recipes of BERT-base
    (5e-5) and of compact BERTs (up to 3e-4; Turc et al. 2019, https://arxiv.org/abs/1908.08962)
    have it. For distillation it holds as for training on labels: a member of an encoder of 768
    went away from its teacher with what one of 384 learns best with.

    Args:
        hidden_size: H, at least 1.
    """
    return float(f"{min(3e-4, 5e-5 * (768 / hidden_size) ** 2):.1e}")
