"""The models that are tested: the rows of the matrix."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stgt.across.columns import Column
from stgt.across.config import MatrixConfig
from stgt.errors import StgtError
from stgt.train import Request, read_request, train

if TYPE_CHECKING:
    from stgt.evaluation.predictions import PredictionTable


@dataclass(frozen=True)
class WithinFolds:
    """What came of a training by folds on the dataset itself."""

    tables: "tuple[PredictionTable, ...]"
    sentence: str


@dataclass(frozen=True)
class Row:
    """The models of a row: those of the folds of a training, or one from a checkpoint."""

    name: str
    """The dataset that they were trained on, or the model's own name."""
    checkpoints: tuple[str, ...]
    folds: WithinFolds | None = None
    """None for a checkpoint."""
    contents: frozenset[str] = frozenset()
    """Keys of the clips that they were trained on, where that is known."""


def training_request(config: MatrixConfig, column: Column, training: Sequence[str]) -> Request:
    """What is trained for the row of a dataset.

    Raises:
        StgtError: an option that is not there, or that the matrix decides itself.
    """
    decided = next((name for name in ("root", "fold", "name") if any(named(part, name) for part in training)), None)
    if decided:
        raise StgtError(f"--{decided} is not for a matrix: it trains all folds of every dataset in folders of its own")
    root, output = str(column.member.listing.root), str(config.folder / "trained")
    own = ["--dataset", column.asked, "--root", root, "--output", output]
    own += ["--protocol", column.protocol] if column.protocol else []
    if column.card.subjects != "user":
        training = without(training, ("subject_pattern", "subject_csv"))
    return read_request([*training, *own])


def without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """The command line without some options and their values."""
    kept: list[str] = []
    dropping = False
    for argument in arguments:
        if argument.startswith("--"):
            dropping = any(named(argument, name) for name in names)
        if not dropping:
            kept.append(argument)
    return kept


def named(argument: str, option: str) -> bool:
    """Whether a word of the command line is ``--option``, with or without a value."""
    return argument.partition("=")[0] == f"--{option}"


def trained_row(column: Column, request: Request, arguments: Sequence[str]) -> Row:
    """Train by the protocol of a dataset, or read what an earlier run has trained."""
    print(f"\n{column.name}")
    trained = train(request, "python -m stgt.matrix " + shlex.join(arguments))
    model = trained.runs[0]
    return Row(
        column.name,
        tuple(str(fold.checkpoint) for fold in model.folds),
        WithinFolds(tuple(fold.honest for fold in model.folds), trained.outcome.sentence),
        column.contents,
    )


def checkpoint_row(name: str, path: str) -> Row:
    """A model that was trained before."""
    from stgt.models.checkpoint import read_description

    read_description(path)
    return Row(name, (path,))
