"""The cross-dataset matrix: what a cell's figure is, its tables, and its figure."""

import csv
import json

import cv2
import numpy as np
import pytest

from stgt.evaluation.cross import Cell, CrossMatrix, score_cell
from stgt.evaluation.cross_plot import matrix_figure
from stgt.evaluation.metrics import bootstrap_over_subjects, score
from stgt.evaluation.plots import to_png


def test_models_that_read_the_same_clips_are_averaged(table_of):
    tables = [table_of(seed, skill) for seed, skill in ((0, 0.5), (1, 1.5), (2, 3.0))]
    cell = score_cell("a", "b", False, "x", tables)
    assert cell.uar == pytest.approx(np.mean([score(table).uar for table in tables]))
    assert cell.war == pytest.approx(np.mean([score(table).war for table in tables]))
    assert (cell.clips, cell.subjects, cell.models, len(cell.classes)) == (120, 20, 3, 4)
    assert cell.uar in cell.uar_interval
    assert cell.chance_uar == 0.25


def test_one_model_three_times_is_that_model(table_of):
    once, thrice = (score_cell("a", "b", False, "x", [table_of()] * count) for count in (1, 3))
    assert thrice.uar == pytest.approx(once.uar)
    assert thrice.war_interval.low == pytest.approx(once.war_interval.low), "more models are not more people"


def test_folds_are_pooled(table):
    cell = score_cell("a", "a", True, "x", [table.fold(number) for number in range(5)])
    assert cell.uar == pytest.approx(score(table).uar)
    assert cell.uar_interval == bootstrap_over_subjects(table).uar
    assert (cell.clips, cell.subjects) == (120, 20)


@pytest.fixture
def matrix(table_of) -> CrossMatrix:
    cells = [
        score_cell(row, column, row == column, f"{row} on {column}", [table_of(seed, 1.0 + seed)])
        for seed, (row, column) in enumerate([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")])
    ]
    cells += [Cell("m", "a", False, "not scored: nothing in common"), score_cell("m", "b", False, "m", [table_of(9)])]
    return CrossMatrix(("a", "b", "m"), ("a", "b"), tuple(cells), {"a": "Set A", "b": "Set B"})


def test_the_mean_elsewhere_is_without_the_own_dataset(matrix):
    values = matrix.values("uar")
    assert np.isnan(values[2, 0])
    np.testing.assert_allclose(matrix.elsewhere("uar"), [values[0, 1], values[1, 0], values[2, 1]])


def test_tables_hold_every_cell_and_its_protocol(matrix, tmp_path):
    matrix.write(tmp_path)
    document = json.loads((tmp_path / "matrix.json").read_text())
    assert document["uar"][2][0] is None
    assert tuple(Cell.from_dict(cell) for cell in document["cells"]) == matrix.cells
    with (tmp_path / "matrix.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["trained_on"], row["tested_on"]) for row in rows] == [
        (cell.trained, cell.tested) for cell in matrix.cells
    ]
    assert float(rows[1]["uar"]) == pytest.approx(matrix.cell("a", "b").uar, abs=1e-6)
    assert rows[4]["uar"] == rows[4]["war_low"] == ""
    text = (tmp_path / "matrix.md").read_text()
    assert f"| a | **{100 * matrix.cell('a', 'a').uar:.1f}** [" in text
    for cell in matrix.cells:
        assert f"**{cell.trained} → {cell.tested}**: {cell.sentence}" in text


def test_the_figure_shows_every_cell(matrix, tmp_path):
    to_png(matrix_figure(matrix), tmp_path / "small.png")
    names = tuple("abcdefg")
    cells = tuple(
        Cell(row, column, row == column, "", 0.9, 0.5, chance_uar=0.1, chance_war=0.2)
        for row in names
        for column in names
    )
    to_png(matrix_figure(CrossMatrix(names, names, cells, {})), tmp_path / "large.png")
    small, large = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("small", "large"))
    assert small.shape[1] > small.shape[0], "side by side"
    assert large.shape[0] > large.shape[1], "one below the other"
    texts = [text.get_text() for axes in matrix_figure(matrix).axes for text in axes.texts]
    for measure in ("uar", "war"):
        for cell in matrix.cells:
            if cell.uar is not None:
                assert f"{100 * getattr(cell, measure):.1f}" in texts
