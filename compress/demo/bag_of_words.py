"""The baseline that the demo's teacher has to beat: which words occur, whatever their order."""

from collections.abc import Sequence

from compress.demo.grammar import Utterance

__all__ = ["bag_of_words_accuracy"]


def bag_of_words_accuracy(train: Sequence[Utterance], test: Sequence[Utterance]) -> float:
    """Return the accuracy (0-100) on `test` of logistic regression over words of `train`."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # scikit-learn's own token pattern drops one-letter words; "i" and "a" count here.
    words = CountVectorizer(token_pattern=r"\S+")
    model = make_pipeline(words, LogisticRegression(max_iter=300))
    model.fit([u.text for u in train], [u.intent for u in train])
    return 100 * float(model.score([u.text for u in test], [u.intent for u in test]))
