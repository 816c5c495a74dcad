"""Which epoch's weights a fold is scored with, and the curves of all epochs."""

from collections.abc import Callable
from typing import Any

import lightning
import numpy as np

from stgt.evaluation.metrics import score
from stgt.evaluation.predictions import PredictionTable

#: Makes the table of one loader's clips from their probabilities (N,K).
TableMaker = Callable[[np.ndarray], PredictionTable]


class EpochChoice(lightning.Callback):
    """Follows validation and test scores over the epochs.

    The *honest* epoch has the highest validation UAR (a tie goes to the lower validation loss, then to the earlier
    epoch); without a validation part it is the last epoch. The test clips take no part in it. *Best on test* is the
    epoch with the highest test WAR: what several published figures report, kept apart and named so.

    Args:
        validation: table of the validation clips, or None.
        test: table of the test clips.
        on_honest: called with the test table whenever the honest epoch moves; the weights are those of that epoch.
        on_best_test: called with the test table whenever the best epoch on test moves.
        on_epoch: called with each epoch's row of the curves.
    """

    def __init__(
        self,
        validation: TableMaker | None,
        test: TableMaker,
        on_honest: Callable[[PredictionTable, int], None],
        on_best_test: Callable[[PredictionTable, int], None],
        on_epoch: Callable[[dict[str, float]], None],
    ) -> None:
        self.validation = validation
        self.test = test
        self.on_honest = on_honest
        self.on_best_test = on_best_test
        self.on_epoch = on_epoch
        self.curves: list[dict[str, float]] = []
        self.honest: dict[str, float] = {}
        self.best_test: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs to choose as an undisturbed one would."""
        return {"curves": self.curves, "honest": self.honest, "best_test": self.best_test}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.curves, self.honest, self.best_test = state["curves"], state["honest"], state["best_test"]

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Score the epoch."""
        if trainer.sanity_checking:
            return
        tables = list(module.clip_probabilities)
        row: dict[str, float] = {"epoch": trainer.current_epoch, "train_loss": module.train_loss}
        if self.validation is not None:
            table = self.validation(tables.pop(0))
            row |= {"validation_loss": table_loss(table), **named(table, "validation")}
        table = self.test(tables.pop(0))
        row |= {"test_loss": table_loss(table), **named(table, "test")}
        self.curves.append(row)
        if self.is_honest(row):
            self.honest = row
            self.on_honest(table, trainer.current_epoch)
        if not self.best_test or row["test_war"] > self.best_test["test_war"]:
            self.best_test = row
            self.on_best_test(table, trainer.current_epoch)
        self.on_epoch(row)

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


def table_loss(table: PredictionTable) -> float:
    """Mean negative log-likelihood of the readable clips; infinite where none could be read."""
    readable = table.read
    if not readable.any():
        return float("inf")
    likelihood = table.probabilities[readable, table.truth_indices[readable]]
    return float(-np.log(np.clip(likelihood, 1e-12, None)).mean())
