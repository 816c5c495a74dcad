"""``stgt train``: train and score a model by a dataset's whole protocol, and write the run folder with its report."""

import random
import shlex
import sys
from collections.abc import Sequence

from stgt.command import argument_parser, option_in, run
from stgt.config import TrainConfig, from_dict, to_dict
from stgt.data.catalog.cards import DatasetCard, load_card
from stgt.data.protocols import Fold, make_folds
from stgt.errors import StgtError

#: Short names of the options that are used most.
SHORT = {
    "--streams": "--model.streams",
    "--layout": "--model.layout",
    "--epochs": "--optimisation.epochs",
    "--batch_size": "--optimisation.batch_size",
    "--precision": "--optimisation.precision",
}

EPILOG = (
    f"Short forms: {', '.join(f'{short} for {long}' for short, long in SHORT.items())}. "
    "Several devices: torchrun --nproc_per_node=4 -m stgt.train --dataset NAME --devices 4 (after stgt prepare)."
)


def parse(arguments: Sequence[str]) -> TrainConfig:
    """The configuration: defaults, then the card's, then the initial weights', the recipe's, the command line's.

    Raises:
        StgtError: an option that is not there, or that contradicts the initial weights.
    """
    arguments = [lengthen(argument) for argument in arguments]
    parser = argument_parser("train", "Train and score a model by a dataset's protocol.", EPILOG)
    parser.add_argument("--config", action="config", help="Recipe (YAML); options after it override its keys.")
    parser.add_class_arguments(TrainConfig, as_group=False)
    name, init = option_in(arguments, "dataset"), option_in(arguments, "init")
    if name is not None:
        parser.set_defaults(dict(load_card(name).defaults))
    if init is not None:
        from stgt.learning.transfer import initial_settings

        parser.set_defaults(initial_settings(init))
    values = parser.parse_args(arguments).as_dict()
    values.pop("config")
    config = from_dict(TrainConfig, values)
    if config.init is not None:
        from stgt.learning.transfer import require_same_settings

        require_same_settings(config)
    return config


def lengthen(argument: str) -> str:
    """``--streams=x`` -> ``--model.streams=x``."""
    option, equals, value = argument.partition("=")
    return SHORT.get(option, option) + equals + value


def main(arguments: list[str]) -> None:
    """Run the command."""
    config = parse(arguments)
    card = load_card(config.dataset)
    listing = card.find_clips(config.root, config.subject_pattern, config.subject_csv)
    for note in listing.notes:
        print(f"note: {note}", file=sys.stderr)
    protocol = card.protocol(config.protocol)
    folds = choose_folds(make_folds(card, listing.clips, config.protocol), config.fold)
    folds = limit_subjects(folds, config.train_subjects, config.seed)
    if config.init is not None:
        from stgt.learning.transfer import refuse_leak

        refuse_leak(config.init, config.dataset, {clip.subject for clip in protocol.used(listing.clips)})
    sentence = describe(card, listing.clips, folds, config)
    print(sentence)

    from stgt.data.preparation.prepare import prepare_clips
    from stgt.learning.progress import ProgressBar
    from stgt.learning.publish import Outcome, print_scores, write_results
    from stgt.learning.results import model_result
    from stgt.learning.run import model_configs, run_folder, run_models

    clips = protocol.used(listing.clips)
    prepared = prepare_clips(clips, cache=config.cache, workers=config.workers)
    folder = run_folder(config, prepared)
    labels = tuple(name for name in listing.classes if any(clip.label == name for clip in clips))
    with ProgressBar(len(model_configs(config)) * len(folds) * config.optimisation.epochs) as progress:
        runs = run_models(config, folds, labels, prepared, folder, progress)
    outcome = Outcome(
        title=f"{config.model.name} on {card.title}",
        card=card,
        sentence=sentence,
        results=[model_result(model, folds, prepared) for model in runs],
        skipped=prepared.failures,
        config=to_dict(config),
        command="python -m stgt.train " + shlex.join(arguments),
        seed=config.seed,
    )
    write_results(folder, outcome)
    print_scores(folder, outcome)


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
    sentence = card.protocol(config.protocol).describe(card.title, clips)
    if config.fold is not None:
        sentence += f"; fold {config.fold} only ({len(folds[0].test)} test clips)"
    if config.train_subjects is not None:
        who = "subject" if config.train_subjects == 1 else "subjects"
        sentence += f"; trained on {config.train_subjects} {who} per fold, drawn by seed {config.seed}"
    if config.init is not None:
        sentence += f"; initialised from {config.init}"
    if config.validation > 0 and config.train_subjects != 1:  # of a single subject none can be held out
        how = f"the epoch is chosen on {config.validation:.0%} of the training subjects, held out"
    else:
        how = "the last epoch is scored"
    return f"{sentence}; {how}."


if __name__ == "__main__":
    run(main)
