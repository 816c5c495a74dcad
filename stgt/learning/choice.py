"""Which epoch's weights a fold is scored with, and the curves of all epochs."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import lightning
import numpy as np

from stgt.evaluation.calibration import negative_log_likelihood
from stgt.evaluation.metrics import score
from stgt.evaluation.predictions import PredictionTable

#: Makes the table of one loader's clips from their probabilities (N,K).
TableMaker = Callable[[np.ndarray], PredictionTable]


class Listener(Protocol):
    """Who keeps what an epoch is worth keeping."""

    def on_honest(self, predictions: PredictionTable, epoch: int) -> None:
        """The honest epoch moved: ``predictions`` of the test clips, with the weights as they are now."""

    def on_best_test(self, predictions: PredictionTable) -> None:
        """The epoch that is best on the test clips moved."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """An epoch is done; its row of the curves."""

    def on_resumed(self, epochs: int) -> None:
        """So many epochs were done before an interruption."""


class EpochChoice(lightning.Callback):
    """Follows validation and test scores over the epochs.

    The *honest* epoch has the highest validation UAR (a tie goes to the lower validation loss, then to the earlier
    epoch); without a validation part it is the last epoch. The test clips take no part in it. *Best on test* is the
    epoch with the highest test WAR: what several published figures report, kept apart and named so.

    Args:
        validation: makes the table of the validation clips, or None.
        test: makes the table of the test clips.
        listener: hears of every change.
    """

    def __init__(self, validation: TableMaker | None, test: TableMaker, listener: Listener) -> None:
        self.validation = validation
        self.test = test
        self.listener = listener
        self.curves: list[dict[str, float]] = []
        self.honest: dict[str, float] = {}
        self.best_test: dict[str, float] = {}
        #: Time that was spent before the last interruption, in seconds.
        self.seconds = 0.0
        self._started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs to choose as an undisturbed one would."""
        spent = self.seconds + time.monotonic() - self._started
        return {"curves": self.curves, "honest": self.honest, "best_test": self.best_test, "seconds": spent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.curves, self.honest, self.best_test = state["curves"], state["honest"], state["best_test"]
        self.seconds = state["seconds"]
        self.listener.on_resumed(len(self.curves))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Score the epoch."""
        if trainer.sanity_checking:
            return
        parts = module.clip_probabilities()
        row: dict[str, float] = {"epoch": trainer.current_epoch, "train_loss": module.train_loss}
        row |= {f"train_{name}": value for name, value in module.train_terms.items()}
        if self.validation is not None:
            table = self.validation(parts.pop(0))
            row |= {"validation_loss": negative_log_likelihood(table), **named(table, "validation")}
        table = self.test(parts.pop(0))
        row |= {"test_loss": negative_log_likelihood(table), **named(table, "test")}
        self.curves.append(row)
        if self.is_honest(row):
            self.honest = row
            self.listener.on_honest(table, trainer.current_epoch)
        if not self.best_test or row["test_war"] > self.best_test["test_war"]:
            self.best_test = row
            self.listener.on_best_test(table)
        self.listener.on_epoch(row)

    def is_honest(self, row: dict[str, float]) -> bool:
        """Whether this epoch takes the place of the honest one."""
        if not self.honest or self.validation is None:
            return True
        rank = (row["validation_uar"], -row["validation_loss"])
        return rank > (self.honest["validation_uar"], -self.honest["validation_loss"])


def named(table: PredictionTable, part: str) -> dict[str, float]:
    """WAR and UAR of a table under the part's name."""
    scores = score(table)
    return {f"{part}_war": scores.war, f"{part}_uar": scores.uar}
