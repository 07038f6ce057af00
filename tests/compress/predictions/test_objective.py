"""Each kind of answer has a distance that is 0 where student and teacher agree, and labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.labels import ClassLabels, Labels, LabelSets, Scores
from compress.predictions.objective import objective_of

KINDS: dict[str, Labels] = {
    "single_label_classification": ClassLabels(np.array([0, 2, -1, 1])),
    "multi_label_classification": LabelSets(
        np.array([[0, 1, 1], [1, 0, 0], [-1, -1, -1], [0, 0, 0]])
    ),
    "regression": Scores(np.array([0.5, -1.0, np.nan, 2.0])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_distances_and_labels(kind: str) -> None:
    outputs = 1 if kind == "regression" else 3
    objective = objective_of(kind, outputs)
    rng = np.random.default_rng(0)
    teacher = torch.from_numpy(rng.normal(size=(4, outputs)).astype(np.float32))
    near, far = teacher + 0.1, teacher * torch.tensor([[3.0], [-1.0], [0.2], [1.0]])
    assert float(objective.soft(teacher, teacher, 1.0)) == pytest.approx(0, abs=1e-6)
    assert 0 <= float(objective.soft(near, teacher, 1.0)) < float(objective.soft(far, teacher, 1.0))
    assert float(objective.soft(far, teacher, 2.0)) > 0

    targets, labels = KINDS[kind], KINDS[kind].values
    assert kind == targets.PROBLEM_TYPE
    assert targets.missing().tolist() == [False, False, True, False]
    known = torch.from_numpy(labels[~targets.missing()])
    with_missing = objective.hard(teacher, torch.from_numpy(labels))
    assert float(with_missing) == pytest.approx(
        float(objective.hard(teacher[[0, 1, 3]], known)), rel=1e-5
    )
    drawn = objective.drawn(np.repeat(teacher.numpy(), 500, axis=0), rng)
    assert len(drawn) == 2000
    assert not replace(targets, values=drawn).missing().any()
    assert objective.of_classes == (kind == "single_label_classification")
    figures = objective.figures(teacher.numpy()[[0, 1, 3]], labels[[0, 1, 3]])
    assert all(np.isfinite(value) for value in figures.values())


def test_what_is_not_stated_is_guessed_as_transformers_does() -> None:
    assert type(objective_of(None, 1)) is type(objective_of("regression", 1))
    assert objective_of(None, 2).of_classes
