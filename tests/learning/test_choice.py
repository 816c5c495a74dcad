"""Which epoch a fold is scored with."""

from types import SimpleNamespace

import numpy as np
import pytest

from stgt.evaluation.predictions import PredictionTable
from stgt.learning.choice import EpochChoice

TRUTH = ("joy", "joy", "anger", "anger")


def table(probabilities):
    return PredictionTable(("joy", "anger"), tuple("abcd"), tuple("1122"), np.zeros(4), TRUTH, probabilities)


def probabilities(right):
    """Clip probabilities with so many of the four clips right."""
    rows = [[0.9, 0.1] if (label == "joy") == (index < right) else [0.1, 0.9] for index, label in enumerate(TRUTH)]
    return np.array(rows)


class Recorder:
    def __init__(self):
        self.honest, self.best, self.rows, self.resumed = [], [], [], 0

    def on_honest(self, predictions, epoch):
        self.honest.append(epoch)

    def on_best_test(self, predictions):
        self.best.append(len(self.rows))

    def on_epoch(self, row):
        self.rows.append(row)

    def on_resumed(self, epochs):
        self.resumed = epochs


def follow(choice, epochs):
    """Let ``choice`` see the epochs: pairs of validation and test clips that are right."""
    for epoch, (validation, test) in enumerate(epochs, start=len(choice.curves)):
        parts = [probabilities(test)] if validation is None else [probabilities(validation), probabilities(test)]
        trainer = SimpleNamespace(sanity_checking=False, current_epoch=epoch)
        choice.on_validation_epoch_end(
            trainer,
            SimpleNamespace(clip_probabilities=lambda parts=parts: parts, train_loss=1.0, train_terms={"centre": 2.0}),
        )


def test_the_honest_epoch_follows_validation_and_not_test():
    listener = Recorder()
    choice = EpochChoice(table, table, listener)
    follow(choice, [(2, 1), (3, 0), (1, 4)])
    assert choice.honest["epoch"] == 1
    assert choice.best_test["epoch"] == 2
    assert listener.honest == [0, 1]
    assert choice.honest["test_war"] == 0.0


def test_without_validation_the_last_epoch_is_scored():
    choice = EpochChoice(None, table, Recorder())
    follow(choice, [(None, 4), (None, 2)])
    assert choice.honest["epoch"] == 1
    assert choice.best_test["epoch"] == 0


@pytest.mark.parametrize("cut", [1, 2])
def test_a_resumed_choice_is_that_of_an_undisturbed_one(cut):
    epochs = [(2, 1), (3, 0), (3, 4), (1, 2)]
    whole = EpochChoice(table, table, Recorder())
    follow(whole, epochs)
    first, listener = EpochChoice(table, table, Recorder()), Recorder()
    follow(first, epochs[:cut])
    second = EpochChoice(table, table, listener)
    second.load_state_dict(first.state_dict())
    follow(second, epochs[cut:])
    assert listener.resumed == cut
    assert second.curves == whole.curves
    assert second.honest == whole.honest
    assert second.best_test == whole.best_test
