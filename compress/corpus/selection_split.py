"""Holds texts that decisions look at, with the teacher's answers to them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.examples import Examples
from benchmarks.tasks import answered
from compress.data.tokenized import SpanTokens, TokenizedTexts
from compress.encoder.modules import LeanEncoderWithHead
from compress.predictions.objective import objective_for
from compress.predictions.predict import divergence, predict_logits
from compress.training.loop import Evaluation

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Texts that decide: on weights (`Material.guide`), or on the recommended member.

    Attributes:
        examples: With labels; those that people did not label have the teacher's answers.
        texts: The same, as the student reads them.
        teacher_logits: (M, C) what the teacher says about them, a row a decision.
    """

    examples: Examples
    texts: TokenizedTexts
    teacher_logits: NDArray[np.float32]

    @classmethod
    def of(
        cls, examples: Examples, texts: TokenizedTexts, teacher_logits: NDArray[np.float32]
    ) -> "Selection":
        """Return texts that decide; where people did not label them, the teacher's answers do."""
        if examples.labelled or texts.targets is None:
            return cls(examples, texts, teacher_logits)
        if isinstance(texts.targets, SpanTokens):  # of tokens; the answers' text is found elsewhere
            values = teacher_logits.argmax(axis=1)
        else:
            examples = answered(examples, teacher_logits)
            values = examples.targets.of_texts().values
        texts = replace(texts, targets=replace(texts.targets, values=values))
        return cls(examples, texts, teacher_logits)

    def evaluate(self, student: LeanEncoderWithHead) -> Evaluation:
        """Score the student: the nearer to its teacher the better.

        The accuracy is shown, but decides nothing. On some hundred labels the best of several
        accuracies is mostly chance, and no longer answers what the budget asks. The divergence
        from the teacher varies far less.

        Raises:
            ValueError: The texts have no labels.
        """
        if self.texts.labels is None:
            raise ValueError("texts without labels cannot select anything")
        logits = predict_logits(student, self.texts)
        distance = divergence(logits, self.teacher_logits, objective_for(student.config))
        figures: dict[str, float] = {}
        if self.examples.labelled:
            figures = objective_for(student.config).figures(logits, self.texts.labels)
        return Evaluation((-distance,), {**figures, "kl": distance})
