"""Results of methods whose skill is known."""

from collections.abc import Callable

import numpy as np
import pytest

from stgt.comparison.probes import Cost
from stgt.comparison.standings import Result
from stgt.evaluation.predictions import PredictionTable

LABELS = ("neutral", "happiness", "surprise", "sadness")


def make_result(method: str, skill: float, seconds: float = 0.01, **more) -> Result:
    """A method on 160 clips of 20 people; the name and the skill decide what it said of them."""
    clips, subjects = 160, 20
    truth = np.arange(clips) % len(LABELS)
    subject = np.arange(clips) // (clips // subjects)
    logits = np.random.default_rng(sum(map(ord, method))).normal(size=(clips, len(LABELS)))
    logits[np.arange(clips), truth] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = PredictionTable(
        labels=LABELS,
        clip_ids=tuple(f"clip_{index:03d}" for index in range(clips)),
        subjects=tuple(f"S{number:02d}" for number in subject),
        folds=subject % 4,
        truth=tuple(LABELS[index] for index in truth),
        probabilities=probabilities,
    )
    return Result(method, "", "Faces, four folds.", table, Cost(120_000, 30_000_000, seconds), 90.0, **more)


@pytest.fixture
def result_of() -> Callable[..., Result]:
    return make_result
