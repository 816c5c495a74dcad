"""One model of the matrix on one dataset: a cell, kept on disk."""

import hashlib
import json
from typing import TYPE_CHECKING

from stgt.across.columns import Column
from stgt.across.config import MatrixConfig
from stgt.across.rows import Row
from stgt.errors import DatasetError
from stgt.evaluate import sentence_of, unseen
from stgt.evaluation.cross import Cell, score_cell
from stgt.files import read_json, write_json

if TYPE_CHECKING:
    from stgt.evaluation.predictions import PredictionTable
    from stgt.models.checkpoint import LoadedModel

#: Grows when the same inputs would give another cell.
CELL_VERSION = 1


def make_cell(row: Row, column: Column, config: MatrixConfig) -> Cell:
    """The cell of a row and a column: read from disk if it is there, else computed and written."""
    if row.folds and row.name == column.name:
        return score_cell(row.name, column.name, True, row.folds.sentence, row.folds.tables)
    path = config.folder / "cells" / f"{file_name(row.name)}--{file_name(column.name)}.json"
    key = cell_key(row, column, config)
    if path.exists():
        kept = read_json(path)
        if kept.get("key") == key:
            return Cell.from_dict(kept["cell"])
    tables, sentence = read_models(row, column, config)
    cell = score_cell(row.name, column.name, row.name == column.name, sentence, tables)
    for number, table in enumerate(tables):
        table.to_csv(path.with_name(f"{path.stem}-{number}.csv" if len(tables) > 1 else f"{path.stem}.csv"))
    write_json(path, {"key": key, "cell": cell.to_dict()})
    return cell


def cell_key(row: Row, column: Column, config: MatrixConfig) -> str:
    """A hash of all that a cell comes from: weights, clips and their labels, and what is done with other labels."""
    from stgt.models.checkpoint import read_description

    weights = [
        (read_description(path)["weights_sha256"], read_description(path)["temperature"]) for path in row.checkpoints
    ]
    prepared = column.prepared
    clips = sorted(
        (clip.clip_id, clip.subject, clip.label, prepared.content(clip.clip_id))
        for clip in column.clips
        if clip.clip_id in prepared
    )
    inputs = [CELL_VERSION, weights, clips, config.unmatched, config.answers, sorted(row.contents & column.contents)]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def read_models(row: Row, column: Column, config: MatrixConfig) -> "tuple[list[PredictionTable], str]":
    """What each model of a row says about a dataset, and the protocol in one sentence.

    Raises:
        DatasetError: they have no class in common, the models have seen every subject, or some of the very clips.
    """
    from stgt.models.checkpoint import load_checkpoint

    copies = row.contents & column.contents
    if copies:
        raise DatasetError(
            f"{len(copies)} clips of {column.name} are copies of clips of {row.name}: the score would be a leak"
        )
    tables, sentence = [], ""
    for path in row.checkpoints:
        table, sentence = read_model(load_checkpoint(path), column, config)
        tables.append(table)
    if len(tables) > 1:
        sentence = f"mean of the {len(tables)} models of the folds of {row.name}, each on the same clips; {sentence}"
    return tables, sentence


def read_model(loaded: "LoadedModel", column: Column, config: MatrixConfig) -> "tuple[PredictionTable, str]":
    """What one model says about a dataset, and the protocol in one sentence."""
    from stgt.evaluation.matching import match_labels
    from stgt.inference import choose_device
    from stgt.learning.fitting import clip_table
    from stgt.learning.results import read_clips

    clips, who = unseen(column.clips, column.name, loaded)
    matching = match_labels(
        clips,
        column.member.listing.classes,
        loaded.labels,
        dataset=column.name,
        unmatched=config.unmatched,
        answers=config.answers,
    )
    clips = [clip for clip in matching.kept(clips) if clip.clip_id in column.prepared]
    readout = read_clips(loaded, clips, column.prepared, choose_device(config.device))
    table = clip_table(matching.columns, clips, 0, matching.narrowed(readout.probabilities))
    return table, sentence_of(column.card, clips, who, sorted({clip.label for clip in clips}), matching)


def file_name(name: str) -> str:
    """``name`` as part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in "+-_@." else "_" for letter in name)
