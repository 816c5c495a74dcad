"""``stgt train``: train and score a model by a dataset's whole protocol, and write the run folder with its report."""

import shlex
import sys
from collections.abc import Sequence

from stgt.command import argument_parser, dataset_in, run
from stgt.config import TrainConfig, from_dict, to_dict
from stgt.data.cards import DatasetCard, load_card
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
    """The configuration: defaults, then the card's, then the recipe's, then the command line's."""
    arguments = [lengthen(argument) for argument in arguments]
    parser = argument_parser("train", "Train and score a model by a dataset's protocol.", EPILOG)
    parser.add_argument("--config", action="config", help="Recipe (YAML); options after it override its keys.")
    parser.add_class_arguments(TrainConfig, as_group=False)
    name = dataset_in(arguments)
    if name is not None:
        parser.set_defaults(dict(load_card(name).defaults))
    values = parser.parse_args(arguments).as_dict()
    values.pop("config")
    return from_dict(TrainConfig, values)


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
    sentence = describe(card, listing.clips, folds, config)
    print(sentence)

    from stgt.data.prepare import prepare_clips
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


def describe(card: DatasetCard, clips: Sequence, folds: list[Fold], config: TrainConfig) -> str:
    """The protocol in one sentence, with how the epoch is chosen: printed with every score."""
    sentence = card.protocol(config.protocol).describe(card.title, clips)
    if config.fold is not None:
        sentence += f"; fold {config.fold} only ({len(folds[0].test)} test clips)"
    if config.validation > 0:
        how = f"the epoch is chosen on {config.validation:.0%} of the training subjects, held out"
    else:
        how = "the last epoch is scored"
    return f"{sentence}; {how}."


if __name__ == "__main__":
    run(main)
