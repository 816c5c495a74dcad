"""``stgt train``: train and score a model by a dataset's whole protocol, and write the run folder with its report.

Several datasets (``--dataset a,b``) are one: see ``stgt.data.union``.
"""

import random
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, option_in, run, said_once
from stgt.config import TrainConfig, from_dict, is_frame_model, to_dict
from stgt.data.catalog.cards import ClipListing, DatasetCard, load_card
from stgt.data.catalog.layouts import Clip
from stgt.data.protocols import Fold
from stgt.data.union import UnionCard, assignments, common_settings, find_dataset, names_in
from stgt.data.union_folds import check_dataset_weights, describe_members, folds_of, refuse_common_contents
from stgt.data.validation import describe_validation
from stgt.errors import StgtError
from stgt.evaluate import print_datasets
from stgt.learning.recommended import describe_frame_model, recommended_settings

if TYPE_CHECKING:
    from stgt.data.preparation.prepare import Prepared
    from stgt.evaluation.predictions import PredictionTable
    from stgt.evaluation.report import ModelResult
    from stgt.learning.publish import Outcome
    from stgt.learning.run import ModelRun

#: Short names of the options that are used most.
SHORT = {
    "--model": "--model.name",
    "--pool": "--model.frame_pool",
    "--streams": "--model.streams",
    "--layout": "--model.layout",
    "--epochs": "--optimisation.epochs",
    "--batch_size": "--optimisation.batch_size",
    "--precision": "--optimisation.precision",
}

EPILOG = (
    f"Short forms: {', '.join(f'{short} for {long}' for short, long in SHORT.items())}. "
    "Several datasets as one: --dataset a,b --roots a=PATH,b=PATH --dataset_weights a=1,b=2. "
    "Several devices: torchrun --nproc_per_node=4 -m stgt.train --dataset NAME --devices 4 (after stgt prepare)."
)


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    config: TrainConfig
    roots: dict[str, str] = field(default_factory=dict)
    """Dataset -> where it lies."""
    classes: str | None = None
    """Classes of a union, see ``stgt.data.union``."""

    def find(self) -> tuple[DatasetCard, ClipListing]:
        """The dataset or the union, with its clips."""
        config = self.config
        return find_dataset(
            config.dataset, config.root, self.roots, config.subject_pattern, config.subject_csv, self.classes
        )


@dataclass(frozen=True)
class Trained:
    """A protocol that was run."""

    folder: Path
    card: DatasetCard
    folds: list[Fold]
    prepared: "Prepared"
    outcome: "Outcome"
    runs: "list[ModelRun]"


def parse(arguments: Sequence[str]) -> TrainConfig:
    """The configuration: see ``read_request``."""
    return read_request(arguments).config


def read_request(arguments: Sequence[str]) -> Request:
    """The request: defaults, then the card's, the initial weights', the model's, the recipe's, the command line's.

    Raises:
        StgtError: an option that is not there, or that contradicts the initial weights.
    """
    arguments = [lengthen(argument) for argument in arguments]
    parser = argument_parser("train", "Train and score a model by a dataset's protocol.", EPILOG)
    parser.add_argument("--config", action="config", help="Recipe (YAML); options after it override its keys.")
    parser.add_class_arguments(TrainConfig, as_group=False)
    parser.add_argument("--roots", type=str | None, default=None, help="Where several datasets lie: a=PATH,b=PATH.")
    parser.add_argument(
        "--classes",
        type=str | None,
        default=None,
        help="Of several datasets: all, or shared by two at least; none: all, but shared to leave one dataset out.",
    )
    name, init = option_in(arguments, "dataset"), option_in(arguments, "init")
    if name is not None:
        parser.set_defaults(common_settings([load_card(part) for part in names_in(name) or (name,)]))
    initial = {}
    if init is not None:
        from stgt.learning.transfer import initial_settings

        initial = initial_settings(init)
        parser.set_defaults(initial)
    model = option_in(arguments, "model.name") or initial.get("model.name", "")
    has_weights = init is not None or option_in(arguments, "model.frame_weights") is not None
    parser.set_defaults(recommended_settings(model, has_weights, alone=not option_in(arguments, "compare")))
    values = parser.parse_args(arguments).as_dict()
    values.pop("config")
    roots, classes = assignments(values.pop("roots"), "roots"), values.pop("classes")
    config = from_dict(TrainConfig, values)
    if config.init is not None:
        from stgt.learning.transfer import require_same_settings

        require_same_settings(config)
    return Request(config, roots, classes)


def lengthen(argument: str) -> str:
    """``--streams=x`` -> ``--model.streams=x``."""
    option, equals, value = argument.partition("=")
    return SHORT.get(option, option) + equals + value


def main(arguments: list[str]) -> None:
    """Run the command."""
    from stgt.learning.publish import print_scores

    with said_once():
        trained = train(read_request(arguments), "python -m stgt.train " + shlex.join(arguments))
        print_scores(trained.folder, trained.outcome)
        print_datasets(trained.outcome)


def train(request: Request, command: str) -> Trained:
    """Train and score by a protocol, and write the run folder.

    Args:
        request: what to do.
        command: how it is said on the command line, for the report.
    """
    card, listing = request.find()
    check_dataset_weights(card, request.config.dataset_weights)
    # A card of the user's own is given as a path: what is kept of it is its name.
    config = replace(request.config, dataset=card.name)
    for note in listing.notes:
        print(f"note: {note}", file=sys.stderr)
    protocol = card.protocol(config.protocol)
    folds = choose_folds(folds_of(card, listing.clips, config.protocol), config.fold)
    folds = limit_subjects(folds, config.train_subjects, config.seed)
    from stgt.learning.transfer import refuse_leaks

    refuse_leaks(config, {clip.subject for clip in protocol.used(listing.clips)})
    sentence = describe(card, listing.clips, folds, config)
    print(sentence)
    if is_frame_model(config.model.name):
        print(f"note: {describe_frame_model(config.model)}", file=sys.stderr)

    from stgt.data.preparation.prepare import prepare_clips
    from stgt.learning.progress import ProgressBar
    from stgt.learning.publish import Outcome, write_results
    from stgt.learning.results import model_result
    from stgt.learning.run import model_configs, run_folder, run_models
    from stgt.models import create_model

    for model in model_configs(config):  # what cannot be made is said before all clips are prepared
        create_model(model, max(2, len(listing.classes)), config.window)
    clips = protocol.used(listing.clips)
    prepared = prepare_clips(clips, cache=config.cache, workers=config.workers)
    if isinstance(card, UnionCard):
        refuse_common_contents(folds, {clip_id: prepared.content(clip_id) for clip_id in prepared})
    folder = run_folder(config, prepared)
    present = {clip.label for clip in clips}
    labels = tuple(name for name in listing.classes if name in present)
    with ProgressBar(len(model_configs(config)) * len(folds) * config.optimisation.epochs) as progress:
        runs = run_models(config, folds, labels, prepared, folder, progress)
    results = [model_result(model, folds, prepared) for model in runs]
    outcome = Outcome(
        title=f"{config.model.name} on {card.title}",
        card=card,
        sentence=sentence,
        results=[by_dataset(result, clips) for result in results] if isinstance(card, UnionCard) else results,
        skipped=prepared.failures,
        config={**to_dict(config), "roots": request.roots, "classes": request.classes},
        command=command,
        seed=config.seed,
    )
    write_results(folder, outcome)
    return Trained(folder, card, folds, prepared, outcome, runs)


def by_dataset(result: "ModelResult", clips: Sequence[Clip]) -> "ModelResult":
    """A result whose predictions say which dataset each clip is from."""
    of = {clip.clip_id: clip.dataset for clip in clips}

    def told(table: "PredictionTable | None") -> "PredictionTable | None":
        return table and replace(table, datasets=tuple(of[clip_id] for clip_id in table.clip_ids))

    return replace(result, honest=told(result.honest), best_on_test=told(result.best_on_test))


def choose_folds(folds: list[Fold], wanted: int | None) -> list[Fold]:
    """All folds, or the wanted one."""
    if wanted is None:
        return folds
    chosen = [fold for fold in folds if fold.index == wanted]
    if not chosen:
        raise StgtError(f"there is no fold {wanted}; the folds are {', '.join(str(fold.index) for fold in folds)}")
    return chosen


def limit_subjects(folds: list[Fold], count: int | None, seed: int) -> list[Fold]:
    """The folds with so many training subjects each, drawn by the seed; the test clips stay as they are.

    A larger count keeps the subjects of a smaller one and adds others.

    Raises:
        StgtError: fewer than one, or more than a fold has.
    """
    if count is None:
        return folds
    limited = []
    for fold in folds:
        subjects = sorted({clip.subject for clip in fold.train})
        if not 1 <= count <= len(subjects):
            raise StgtError(
                f"train_subjects is {count}, but fold {fold.index} has {len(subjects)} training subjects; "
                f"give a number from 1 to {len(subjects)}"
            )
        kept = random.Random(f"{seed} {fold.index}").sample(subjects, len(subjects))[:count]
        limited.append(Fold(fold.index, tuple(clip for clip in fold.train if clip.subject in kept), fold.test))
    return limited


def describe(card: DatasetCard, clips: Sequence, folds: list[Fold], config: TrainConfig) -> str:
    """The protocol in one sentence, with how the epoch is chosen: printed with every score."""
    protocol = card.protocol(config.protocol)
    sentence = protocol.describe(card.title, clips)
    members = describe_members(card, protocol.used(clips))
    if members:
        sentence += f"; {members}"
    if config.dataset_weights:
        sentence += f"; datasets drawn as {config.dataset_weights}"
    if config.fold is not None:
        sentence += f"; fold {config.fold} only ({len(folds[0].test)} test clips)"
    if config.train_subjects is not None:
        who = "subject" if config.train_subjects == 1 else "subjects"
        sentence += f"; trained on {config.train_subjects} {who} per fold, drawn by seed {config.seed}"
    if config.init is not None:
        sentence += f"; initialised from {config.init}"
    return f"{sentence}; {describe_validation(folds[0].train, config.validation)}."


if __name__ == "__main__":
    run(main)
