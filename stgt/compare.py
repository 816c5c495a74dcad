"""``stgt compare``: several methods on the same clips and folds, as one table and one figure.

Each method is trained by the dataset's own protocol with the settings of its recipe. What is finished is kept: the same
command goes on where it stopped.
"""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stgt.command import argument_parser, divide, run
from stgt.comparison.config import CompareConfig
from stgt.config import from_dict
from stgt.errors import StgtError

if TYPE_CHECKING:
    from stgt.comparison.entrants import Entrant
    from stgt.comparison.probes import Cost
    from stgt.comparison.standings import Standings
    from stgt.comparison.table import Comparison

EPILOG = (
    "Every further option is one of stgt train and holds for all methods, such as --optimisation.epochs 20 or "
    "--train_subjects 8. --config FILE (YAML) holds any of the options. A method that fails is named at the end, and "
    "the others go on; what is finished is not computed again."
)

#: Options that trainings are given, too.
SHARED = ("workers", "subject_pattern", "subject_csv")
#: Options that need no value.
FLAGS = ("--quick", "--estimate")


def main(arguments: list[str]) -> int:
    """Run the command; 1 if a method has no score."""
    own, training = divide(expand(arguments), CompareConfig, SHARED)
    parser = argument_parser("compare", "Compare methods on the same clips and folds.", EPILOG)
    parser.add_class_arguments(CompareConfig, as_group=False)
    config = from_dict(CompareConfig, parser.parse_args(own).as_dict())
    from stgt.comparison.datasets import find_grounds
    from stgt.comparison.entrants import check_training, make_entrants
    from stgt.comparison.methods import find_methods
    from stgt.comparison.running import enter_all, estimated_seconds, fit_all

    check_training(training)
    methods = find_methods(config.models)
    grounds = find_grounds(config)
    entrants = [entrant for ground in grounds for entrant in make_entrants(methods, ground, config, training)]
    for ground in grounds:
        print(f"{ground.name}: {next(entrant.sentence for entrant in entrants if entrant.ground is ground)}")
    seconds = enter_all(entrants, config.jobs)
    tell(entrants, seconds, estimated_seconds(entrants, config.jobs, seconds))
    if config.estimate:
        return 0
    # Before the trainings, while nothing else is busy; an interrupted comparison can be told at once then.
    costs = {ground.name: costs_on(ground.name, entrants, config) for ground in grounds}
    try:
        fit_all(entrants, config.jobs, seconds)
    finally:
        publish(collect(entrants, costs, config, "stgt compare " + shlex.join(arguments)), config)
    return 1 if any(entrant.failure for entrant in entrants) else 0


def expand(arguments: Sequence[str]) -> list[str]:
    """The command line with the options of ``--config`` files in their place, so that later ones override them.

    Raises:
        StgtError: the file cannot be read, or holds no options.
    """
    from pathlib import Path

    import yaml

    from stgt.comparison.methods import as_options

    expanded: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option, equals, value = argument.partition("=")
        if option in FLAGS and not equals and (not waiting or waiting[0].startswith("--")):
            expanded.append(f"{option}=true")
        elif option == "--config":
            path = value if equals else (waiting.pop(0) if waiting else "")
            try:
                values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
                raise StgtError(f"--config {path} cannot be read: {' '.join(str(error).split())}") from error
            if not isinstance(values, dict):
                raise StgtError(f"--config {path} holds no options; it begins like models: stgt,stgcn")
            expanded += as_options(values)
        else:
            expanded.append(argument)
    return expanded


def tell(entrants: "Sequence[Entrant]", seconds: dict[str, float], total: float) -> None:
    """Say who cannot take part, and how long each and all will take."""
    from stgt.comparison.running import task_seconds

    for entrant in entrants:
        if entrant.failure:
            print(f"{entrant.name}: cannot take part: {entrant.failure}")
        elif entrant.missing:
            each = task_seconds(entrant.missing[0], seconds)
            folds = f"{len(entrant.missing)} fold{'s' if len(entrant.missing) > 1 else ''}"
            print(
                f"{entrant.name}: {folds} of {entrant.config.optimisation.epochs} epochs, about {duration(each)} each"
            )
        else:
            print(f"{entrant.name}: finished before")
    if total:
        print(f"about {duration(total)} in all")


def duration(seconds: float) -> str:
    """``"12 min"``.

    >>> duration(42), duration(700), duration(8000)
    ('42 s', '12 min', '2.2 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def costs_on(ground: str, entrants: "Sequence[Entrant]", config: CompareConfig) -> "dict[str, Cost]":
    """What a window of a dataset costs each method that takes part."""
    from stgt.comparison.probes import measure_costs

    partaking = [entrant for entrant in entrants if entrant.ground.name == ground and not entrant.failure]
    return measure_costs(partaking, config.folder / "costs" / f"{ground}.json") if partaking else {}


def collect(
    entrants: "Sequence[Entrant]", costs: "dict[str, dict[str, Cost]]", config: CompareConfig, command: str
) -> "Comparison":
    """What is finished, scored."""
    from stgt.comparison.table import Comparison

    standings = [stand([each for each in entrants if each.ground.name == name], costs[name]) for name in costs]
    return Comparison(tuple(standings), config.quick, command)


def stand(entrants: "Sequence[Entrant]", costs: "dict[str, Cost]") -> "Standings":
    """The methods on one dataset."""
    from stgt.comparison.standings import Result, Standings
    from stgt.evaluation.distributions import distribution_scores, shares_by_clip

    ground = entrants[0].ground
    shares = shares_by_clip(ground.clips)
    results = []
    for entrant in entrants:
        if entrant.finished and not entrant.failure:
            table, seconds = entrant.results()
            name, title = entrant.method.name, entrant.method.title
            if entrant.teacher:
                title = f"{title + ', ' if title else ''}taught by {entrant.teacher.method.name}"
            near = distribution_scores(table, shares)
            results.append(Result(name, title, entrant.sentence, table, costs[name], seconds, entrant.quickened, near))
    return Standings(
        ground.name,
        ground.card.title,
        tuple(results),
        {entrant.method.name: entrant.failure for entrant in entrants if entrant.failure},
        tuple(entrant.method.name for entrant in entrants if not entrant.failure and not entrant.finished),
    )


def publish(comparison: "Comparison", config: CompareConfig) -> None:
    """Write the tables and the figure, and print the tables."""
    comparison.write(config.folder)
    print("\n" + comparison.to_markdown())
    written = "compare.md, compare.csv and compare.json"
    if any(standings.results for standings in comparison.standings):
        from stgt.comparison.figure import comparison_figure
        from stgt.evaluation.plots import to_png

        to_png(comparison_figure(comparison), config.folder / "compare.png")
        written = f"compare.png, {written}"
    print(f"in {config.folder}: {written}")
    failed = [(standings, name) for standings in comparison.standings for name in standings.failures]
    for standings, name in failed:
        print(f"without a score: {name} on {standings.dataset}: {standings.failures[name]}")


if __name__ == "__main__":
    run(main)
