"""What it gains to train with label distributions instead of single labels, where the true shares are known.

    python experiments/label_distributions.py --root data/blends

Most of the rendered faces show two expressions at once, with known shares. The same model is trained on them, on the
same people, with what different sources would know of each training clip: its strongest expression; the true shares; or
the votes of annotators who disagree: each names an expression drawn by the shares, or, now and then, any of them. All
are tested on other people, on the truth: does the model find the strongest expression, how far are its probabilities
from the true shares, and are they honest?

Nothing is held out to choose an epoch or a temperature: the last epoch is scored, its probabilities as they are. The
same command goes on where it was interrupted. Options that are not listed by --help are handed on to all trainings.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from studies import Material, Panel, dot_figure, find_material, fit, mean_and_spread, rendered, study_parser

from stgt.command import run
from stgt.data.catalog.layouts import Clip
from stgt.errors import DatasetError, StgtError
from stgt.evaluation.calibration import BINS, calibration
from stgt.evaluation.distributions import distribution_scores, shares_by_clip, true_shares
from stgt.evaluation.metrics import score
from stgt.evaluation.plots import to_png
from stgt.evaluation.predictions import PredictionTable
from stgt.files import write_json, write_text
from stgt.train import read_request

#: What is known of training clips.
LABEL, SHARES, VOTES = SOURCES = ("label", "shares", "votes")

#: Of `stgt synthesize`, where the clips are not there yet.
CLIPS = ("--blends", "0.7", "--takes", "1", "--frames", "20", "--frame_rate", "12.5", "--size", "224")
PEOPLE, QUICK_PEOPLE = ("--subjects", "48"), ("--subjects", "8")
#: One window over the whole clip: its shares are those of the clip, not of any moment. Nothing else tells the classes
#: apart than the targets: no smoothing and no weights, unless an arm has them.
TRAINING = {
    "fold": 0,
    "validation": 0,
    "model.streams": "geometry,actions",
    "model.width": 32,
    "model.blocks": 3,
    "window.training": "uniform",
    "window.testing": "uniform",
    "optimisation.batch_size": 16,
    "optimisation.epochs": 25,
    "optimisation.label_smoothing": 0,
    "optimisation.class_weights": "false",
}
QUICK = {"optimisation.epochs": 4}


@dataclass(frozen=True)
class Arm:
    """One way to train: what is known of the clips, and what is made of it.

    Attributes:
        name: of its runs.
        title: in the table; ``{annotators}`` is their number.
        source: one of `SOURCES`.
        optimisation: settings in place of the common ones.
    """

    name: str
    title: str
    source: str
    optimisation: Mapping[str, Any] = field(default_factory=dict)


ARMS = (
    Arm("label", "strongest expression", LABEL),
    Arm("smoothed", "the same, smoothed by 0.1", LABEL, {"label_smoothing": 0.1}),
    Arm("estimated", "the same, shares estimated from neighbours", LABEL, {"targets": "estimated"}),
    Arm("shares", "true shares", SHARES, {"targets": "distribution"}),
    Arm("majority", "majority of {annotators} annotators", VOTES),
    Arm("draw", "one of {annotators} annotators, drawn anew in each epoch", VOTES, {"targets": "draw"}),
    Arm("votes", "shares of the votes of {annotators} annotators", VOTES, {"targets": "distribution"}),
)


#: What is compared seed by seed.
PAIRS = (("shares", "label"), ("estimated", "label"), ("votes", "majority"), ("draw", "majority"))


@dataclass(frozen=True)
class Measure:
    """A column of the table and a panel of the figure."""

    key: str
    short: str
    table: str
    title: str
    scale: float
    digits: int
    note: str


MEASURES = (
    Measure("accuracy", "accuracy", "accuracy, %", "accuracy, %", 100, 1, "more is better"),
    Measure("divergence", "KL", "KL from the true shares, nats", "KL from the true shares", 1, 3, "less is better"),
    Measure("ece", "ECE", "ECE, %", "ECE, %", 100, 1, "against the strongest expression"),
    Measure(
        "agreement_error", "ECE by shares", "ECE by shares, %", "ECE by shares, %", 100, 1, "against the true shares"
    ),
)


@dataclass(frozen=True)
class Annotators:
    """People who each name one expression of a clip.

    Attributes:
        count: of them.
        confusion: share of the votes that are for any expression, whatever is shown.
        seed: of their votes.
    """

    count: int
    confusion: float
    seed: int

    def votes(self, clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
        """(N, K) how many named each expression; of a clip always the same."""
        drawn = []
        for number, clip in enumerate(clips):
            shares = np.array([clip.shares.get(label, 0.0) for label in labels])
            chances = (1 - self.confusion) * shares / shares.sum() + self.confusion / len(labels)
            drawn.append(np.random.default_rng([self.seed, number]).multinomial(self.count, chances))
        return np.array(drawn)


def main(arguments: list[str]) -> None:
    """Train what is missing, print the table, draw the figure."""
    parser = study_parser(__doc__, "data/blends", "runs/label_distributions")
    parser.add_argument("--annotators", type=int, default=5, help="simulated annotators of each clip")
    parser.add_argument("--confusion", type=float, default=0.1, help="share of their votes that are for any expression")
    options, handed_on = parser.parse_known_args(arguments)
    if options.annotators < 1 or not 0 <= options.confusion <= 1 or options.seeds < 1:
        raise StgtError("--annotators and --seeds are at least 1, and --confusion is a share, from 0 to 1")
    root = rendered(options.root, (*CLIPS, *(QUICK_PEOPLE if options.quick else PEOPLE)))
    settings = {"dataset": "synthetic", "root": root, **TRAINING, **(QUICK if options.quick else {})}
    words = [f"--{name}={value}" for name, value in settings.items()]
    material = find_material(read_request([*words, *handed_on, "--output", str(options.output)]))
    if any(clip.shares is None for fold in material.folds for clip in (*fold.train, *fold.test)):
        raise DatasetError(f"{root} has clips without shares; render it with stgt synthesize --blends 0.7")
    scores: dict[str, list[dict[str, float]]] = {arm.name: [] for arm in ARMS}
    for seed in range(options.seeds):
        annotators = Annotators(options.annotators, options.confusion, seed)
        for arm in ARMS:
            table = fit(known(material, arm.source, annotators), settings_of(material, arm, annotators))
            scores[arm.name].append(measure(table, material))
    publish(options.output, scores, material, options.annotators, options.confusion)


def known(material: Material, source: str, annotators: Annotators) -> Material:
    """The material as a source knows its training clips; what is tested stays the truth."""
    folds = tuple(
        replace(fold, train=tuple(relabelled(fold.train, source, annotators, material.labels)))
        for fold in material.folds
    )
    return replace(material, folds=folds)


def relabelled(clips: Sequence[Clip], source: str, annotators: Annotators, labels: Sequence[str]) -> Iterator[Clip]:
    """Training clips as a source knows them."""
    if source == SHARES:
        yield from clips
    elif source == LABEL:
        yield from (replace(clip, shares=None) for clip in clips)
    else:
        for clip, votes in zip(clips, annotators.votes(clips, labels), strict=True):
            shares = {
                label: float(count) / annotators.count for label, count in zip(labels, votes, strict=True) if count
            }
            yield replace(clip, label=labels[int(votes.argmax())], shares=shares)


def settings_of(material: Material, arm: Arm, annotators: Annotators):  # noqa: ANN201 - a TrainConfig
    """The settings of one training; whatever else decides its result is in its name."""
    of = f"-{annotators.count}-{annotators.confusion:g}" if arm.source == VOTES else ""
    optimisation = replace(material.config.optimisation, **arm.optimisation)
    name = f"{arm.name}{of}-seed-{annotators.seed}"
    return replace(material.config, name=name, seed=annotators.seed, optimisation=optimisation)


def measure(table: PredictionTable, material: Material) -> dict[str, float]:
    """What a model's probabilities on the test clips are worth.

    Accuracy and ECE are of the strongest expression. ``agreement_error`` is the calibration error against people who
    name what they see by the shares: the distance of the confidence from the true share of what was predicted, over
    the same bins. ``divergence`` is the Kullback-Leibler divergence of the prediction from the true shares, in nats.
    Clips without a face are mistakes, and have no probabilities to measure.
    """
    shares = shares_by_clip(material.tested.values())
    read = table.select(table.read)
    share = true_shares(read, shares)[np.arange(len(read)), read.predicted_indices]
    bins = np.clip(np.ceil(read.confidence * BINS).astype(int) - 1, 0, BINS - 1)
    errors = [abs((read.confidence - share)[bins == number].sum()) for number in range(BINS)]
    distances = distribution_scores(table, shares)
    return {
        "accuracy": score(table).war,
        "divergence": distances.kullback_leibler,
        "ece": calibration(table).ece,
        "agreement_error": float(sum(errors) / len(read)),
        "chance": distances.chance,
    }


def publish(
    output: Path,
    scores: Mapping[str, Sequence[Mapping[str, float]]],
    material: Material,
    annotators: int,
    confusion: float,
) -> None:
    """Write and print the table, and draw the figure."""
    titles = {arm.name: arm.title.format(annotators=annotators) for arm in ARMS}
    seeds = len(scores[ARMS[0].name])
    lines = [
        f"{material.sentence} {seeds} seeds; of the votes {confusion:.0%} are for any expression.",
        "",
        "| trained on | " + " | ".join(measure.table for measure in MEASURES) + " |",
        "|---|" + "---|" * len(MEASURES),
        *(f"| {titles[name]} | {' | '.join(cells(found))} |" for name, found in scores.items()),
        "",
        f"The mean shares, said of every clip, have a KL of {scores[ARMS[0].name][0]['chance']:.3f}.",
        *(difference(scores, titles, *pair) for pair in PAIRS),
    ]
    write_json(output / "label_distributions.json", {"protocol": material.sentence, "scores": dict(scores)})
    write_text(output / "label_distributions.md", "\n".join(lines) + "\n")
    panels = [
        Panel(
            each.title,
            [[each.scale * one[each.key] for one in found] for found in scores.values()],
            each.digits,
            each.note,
        )
        for each in MEASURES
    ]
    groups = [SOURCES.index(arm.source) for arm in ARMS]
    to_png(dot_figure(list(titles.values()), groups, panels), output / "label_distributions.png")
    print("\n" + "\n".join(lines))
    print(f"\nin {output}: label_distributions.md, label_distributions.json and label_distributions.png")


def cells(found: Sequence[Mapping[str, float]]) -> list[str]:
    """Mean and spread of every measure."""
    return [mean_and_spread([one[each.key] for one in found], each.scale, each.digits) for each in MEASURES]


def difference(
    scores: Mapping[str, Sequence[Mapping[str, float]]], titles: Mapping[str, str], one: str, other: str
) -> str:
    """How much better or worse one arm is than another, seed by seed."""
    pairs = list(zip(scores[one], scores[other], strict=True))
    told = []
    for each in MEASURES:
        text = mean_and_spread([ours[each.key] - theirs[each.key] for ours, theirs in pairs], each.scale, each.digits)
        told.append(f"{each.short} {text if text.startswith('-') else '+' + text}")
    return f"{titles[one]} instead of {titles[other]}: {', '.join(told)}."


if __name__ == "__main__":
    run(main, sys.argv[1:])
