"""``stgt matrix``: every model on every dataset, as a table and a figure.

For each dataset a model is trained by the dataset's own protocol, or taken from a checkpoint, and scored on every other
dataset. What is finished is kept: the same command goes on where it stopped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.across.columns import Column, find_columns
from stgt.across.config import MatrixConfig
from stgt.command import argument_parser, divide, run
from stgt.config import from_dict
from stgt.data.union import assignments
from stgt.errors import DatasetError, StgtError

if TYPE_CHECKING:
    from stgt.across.rows import Row
    from stgt.evaluation.cross import Cell, CrossMatrix

EPILOG = (
    "Every further option is one of stgt train and holds for all trainings, such as --epochs 20 or --model.width 32. "
    "A cell that is finished is not computed again."
)

#: Options that trainings are given, too.
SHARED = ("cache", "workers", "subject_pattern", "subject_csv")


def main(arguments: list[str]) -> None:
    """Run the command."""
    own, training = divide(arguments, MatrixConfig, SHARED)
    parser = argument_parser("matrix", "Score a model of every dataset on every other dataset.", EPILOG)
    parser.add_class_arguments(MatrixConfig, as_group=False)
    config = from_dict(MatrixConfig, parser.parse_args(own).as_dict())
    from stgt.across.rows import checkpoint_row, trained_row, training_request

    columns = find_columns(config)
    checkpoints = assignments(config.checkpoints, "checkpoints")
    if len(columns) + len(set(checkpoints) - {column.name for column in columns}) < 2:
        raise DatasetError(
            "a matrix needs two datasets at least: --dataset a,b; or one and a model: --checkpoints m=FILE"
        )
    requests = {
        column.name: training_request(config, column, training) for column in columns if column.name not in checkpoints
    }
    rows = [
        checkpoint_row(column.name, checkpoints[column.name])
        if column.name in checkpoints
        else trained_row(column, requests[column.name], arguments)
        for column in columns
    ]
    known = {column.name for column in columns}
    rows += [checkpoint_row(name, path) for name, path in checkpoints.items() if name not in known]
    matrix = fill(rows, columns, config)
    publish(matrix, config.folder)


def fill(rows: "Sequence[Row]", columns: Sequence[Column], config: MatrixConfig) -> "CrossMatrix":
    """Every cell, one after the other; a pair that cannot be scored says why and stops nothing."""
    from stgt.across.cells import make_cell
    from stgt.evaluation.cross import Cell, CrossMatrix

    cells = []
    for row in rows:
        for column in columns:
            try:
                cell = make_cell(row, column, config)
            except StgtError as error:
                cell = Cell(row.name, column.name, row.name == column.name, f"not scored: {error}")
            cells.append(cell)
            print(line(cell))
    return CrossMatrix(
        tuple(row.name for row in rows),
        tuple(column.name for column in columns),
        tuple(cells),
        {column.name: column.card.title for column in columns},
    )


def publish(matrix: "CrossMatrix", folder: Path) -> None:
    """Write the tables and the figure, print the table of UAR."""
    from stgt.evaluation.cross_plot import matrix_figure
    from stgt.evaluation.plots import to_png

    matrix.write(folder)
    to_png(matrix_figure(matrix), folder / "matrix.png")
    print(f"\nmatrix: {folder / 'matrix.png'}, and matrix.md, matrix.csv, matrix.json beside it")


def line(cell: "Cell") -> str:
    """A cell on the terminal."""
    name = f"{cell.trained} -> {cell.tested}"
    if cell.uar is None:
        return f"{name}: {cell.sentence}"
    kind = "within, by folds" if cell.within else f"{cell.models} model{'s' if cell.models > 1 else ''}"
    return (
        f"{name}: UAR {100 * cell.uar:.1f}, WAR {100 * cell.war:.1f} ({len(cell.classes)} classes, {cell.clips} clips, "
        f"{kind}; chance {100 * cell.chance_uar:.1f})"
    )


if __name__ == "__main__":
    run(main)
