"""Tables of predictions whose skill, subjects and folds are known."""

from collections.abc import Callable

import numpy as np
import pytest

from stgt.evaluation.predictions import PredictionTable

LABELS = ("neutral", "happiness", "surprise", "sadness")


def make_table(
    seed: int = 0, skill: float = 1.5, clips: int = 120, subjects: int = 20, folds: int = 5
) -> PredictionTable:
    """The same clips for every seed; the seed and the skill decide what was predicted."""
    truth = np.random.default_rng(99).integers(0, len(LABELS), clips)
    subject = np.arange(clips) % subjects
    logits = np.random.default_rng(seed).normal(size=(clips, len(LABELS)))
    logits[np.arange(clips), truth] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return PredictionTable(
        labels=LABELS,
        clip_ids=tuple(f"clip_{index:03d}" for index in range(clips)),
        subjects=tuple(f"S{number:02d}" for number in subject),
        folds=subject % folds,
        truth=tuple(LABELS[index] for index in truth),
        probabilities=probabilities.astype(np.float32),
    )


@pytest.fixture
def table_of() -> Callable[..., PredictionTable]:
    return make_table


@pytest.fixture
def table() -> PredictionTable:
    return make_table()


@pytest.fixture
def with_faceless_clip(table: PredictionTable) -> PredictionTable:
    """The first clip could not be read."""
    probabilities = table.probabilities.copy()
    probabilities[0] = np.nan
    return PredictionTable(table.labels, table.clip_ids, table.subjects, table.folds, table.truth, probabilities)
