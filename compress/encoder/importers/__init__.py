"""One module a family, found by the `model_type`s it declares.

Every module here but `registry` offers, and nothing else is public:

    MODEL_TYPES: tuple[str, ...]    the `model_type`s (config.json) that it imports
    convert(model)                  the transformers model, folded into a `LeanEncoderWithHead`;
                                    raises UnsupportedArchitectureError for what cannot be folded
    folding(model)                  where the model keeps its parts, as a `Folding`: what `convert`
                                    folds, and where `compress.encoder.unfolding` puts weights
                                    back. Without it a pruned model is saved as ours.

Imported by `compress.predictions` and above. Read `registry.py` first: it compares the result's
logits with the original's.
"""
