"""What starting from trained weights gains when few subjects are at hand: a table, from one command.

    python experiments/few_subjects.py --dataset synthetic --root data/synthetic

For every number of training subjects each fold is trained from random numbers and from ``--init``: the same model, on
the same subjects, scored on the same test subjects. Nothing is held out to choose an epoch, because of one subject
nothing can be: the last epoch is scored. From random numbers it is trained for longer. Every cell is a run of
``stgt train``; the same command goes on where it was interrupted. Options that are not listed by --help are handed on
to all runs.
"""

import argparse
import sys
from pathlib import Path

from stgt.command import run
from stgt.config import names, to_dict
from stgt.errors import StgtError
from stgt.evaluation.metrics import Summary, paired_difference, summarise
from stgt.evaluation.predictions import PredictionTable
from stgt.files import write_text
from stgt.train import main as train

#: A few subjects are a few dozen clips: small batches, so that an epoch has more steps than one.
BATCH_SIZE = 8
#: From random numbers; starting from trained weights has its own number of epochs.
SCRATCH_EPOCHS = 60


def main(arguments: list[str]) -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="synthetic", help="a card's name")
    parser.add_argument("--init", default="pretrained", help="the weights to start from: pretrained, or a checkpoint")
    parser.add_argument("--subjects", default="1,2,5,10", help="comma-separated numbers of training subjects")
    parser.add_argument("--output", default="runs/few_subjects", help="folder of the runs and of few_subjects.md")
    parser.add_argument("--init_learning_rate", help="of the runs from --init; none: as stgt train chooses it")
    options, handed_on = parser.parse_known_args(arguments)
    counts, output = subject_counts(options.subjects), Path(options.output)
    common = ["--dataset", options.dataset, "--output", str(output), "--validation", "0"]
    common += ["--optimisation.batch_size", str(BATCH_SIZE), *handed_on]
    scratch = ["--optimisation.epochs", str(SCRATCH_EPOCHS), *model_options(options.init)]
    tuned = ["--init", options.init]
    if options.init_learning_rate is not None:
        tuned += ["--optimisation.learning_rate", options.init_learning_rate]
    lines = [
        "| training subjects | from scratch: UAR | from trained weights: UAR | gain, points of UAR |",
        "|---|---|---|---|",
    ]
    for count in counts:
        tables = []
        for name, start in (("scratch", scratch), ("init", tuned)):
            folder = f"{count}-{name}"
            train([*common, "--name", folder, "--train_subjects", str(count), *start])
            tables.append(PredictionTable.from_csv(output / folder / "predictions.csv"))
        lines.append(row(count, *tables))
        # After every row, so that an interrupted study has its beginning.
        write_text(output / "few_subjects.md", "\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


def model_options(init: str) -> list[str]:
    """The options that make a model and windows like those of a checkpoint."""
    from stgt.models.checkpoint import read_settings

    return [
        f"--{group}.{key}={value}"
        for group, settings in zip(("model", "window"), read_settings(init), strict=True)
        for key, value in to_dict(settings).items()
        if value is not None
    ]


def subject_counts(text: str) -> list[int]:
    """``"1,2"`` -> ``[1, 2]``."""
    try:
        return [int(name) for name in names(text)]
    except ValueError as error:
        raise StgtError(f"--subjects {text}: give whole numbers, such as 1,2,5,10") from error


def row(count: int, scratch: PredictionTable, tuned: PredictionTable) -> str:
    """A line of the table: UAR in per cent, with 95 % intervals over test subjects."""
    gain = paired_difference(tuned, scratch)
    interval = gain.intervals.uar
    span = f" [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]" if interval else ""
    return f"| {count} | {uar(summarise(scratch))} | {uar(summarise(tuned))} | {100 * gain.uar:+.1f}{span} |"


def uar(summary: Summary) -> str:
    """``91.1 [86.9, 94.6]``."""
    interval = summary.intervals.uar
    span = f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else ""
    return f"{100 * summary.pooled.uar:.1f}{span}"


if __name__ == "__main__":
    run(main, sys.argv[1:])
