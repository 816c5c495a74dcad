"""What a light model gains from a teacher: the student alone against the student distilled, over several seeds.

    python experiments/distillation.py --root data/synthetic

Three pairs. fused: STGT on geometry, actions and face crops, trained on the same clips, teaches the light STGT of
experiments/light.yaml, which reads geometry alone. pretrained: the weights that come with the package teach it.
frames: a ResNet-18 on face crops teaches the smallest MobileNetV3. The students of a seed begin with the same numbers
alone and taught, and see the same clips. All are tested on people that none of them has seen. Nothing is held out: the
last epoch is scored.

The same command goes on where it was interrupted. Options that are not listed by --help are handed on to all trainings.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies import Panel, dot_figure, find_material, fit, rendered, study_parser

from stgt.command import run
from stgt.config import names
from stgt.distill import distill, read
from stgt.errors import StgtError
from stgt.evaluation.calibration import calibration
from stgt.evaluation.metrics import score
from stgt.evaluation.plots import to_png
from stgt.evaluation.predictions import PredictionTable
from stgt.files import write_json, write_text
from stgt.models.checkpoint import PRETRAINED
from stgt.train import read_request

if TYPE_CHECKING:
    from stgt.distill import Outcome

#: Of `stgt synthesize`, where the clips are not there yet.
CLIPS = ("--takes", "1")
PEOPLE, QUICK_PEOPLE = ("--subjects", "48"), ("--subjects", "8")
#: What all trainings share.
COMMON = {"fold": 0, "validation": 0, "optimisation.batch_size": 16}
QUICK_EPOCHS = 3
#: The student of geometry.
LIGHT = str(Path(__file__).parent / "light.yaml")


@dataclass(frozen=True)
class Pair:
    """A teacher and its student.

    Attributes:
        name: of the pair, in folders.
        title: who teaches whom.
        teacher: settings of the teacher's training; None: the weights that come with the package.
        student: the student's recipe or model.
        training: settings of the student's training, in place of its recipe's.
    """

    name: str
    title: str
    teacher: Mapping[str, Any] | None
    student: str
    training: Mapping[str, Any] = field(default_factory=dict)


PAIRS = (
    Pair(
        "fused",
        "geometry, actions and frames teach geometry",
        {
            "model.streams": "geometry,actions,frames",
            "model.backbone": "mobilenetv3_small_050",
            "model.stream_frames": 2,
            "optimisation.epochs": 20,
        },
        LIGHT,
        {"optimisation.epochs": 20},
    ),
    Pair("pretrained", "the package's weights teach geometry", None, LIGHT, {"optimisation.epochs": 40}),
    Pair(
        "frames",
        "ResNet-18 teaches MobileNetV3",
        {
            "model.name": "frames:resnet18",
            "model.frame_size": 64,
            "model.stream_frames": 2,
            "window.training": "uniform",
            "window.testing": "uniform",
            "optimisation.epochs": 15,
        },
        "frames:mobilenetv3_small_050",
        {"model.frame_size": 64, "optimisation.epochs": 20},
    ),
)


def main(arguments: list[str]) -> None:
    """Train what is missing, print the table, draw the figure."""
    parser = study_parser(__doc__, "data/synthetic", "runs/distillation")
    parser.add_argument(
        "--pairs", default=",".join(pair.name for pair in PAIRS), help="which, with commas between them"
    )
    options, handed_on = parser.parse_known_args(arguments)
    pairs = [find_pair(name) for name in names(options.pairs)]
    root = rendered(options.root, (*CLIPS, *(QUICK_PEOPLE if options.quick else PEOPLE)))
    last = {"optimisation.epochs": QUICK_EPOCHS} if options.quick else {}
    own = ["--output", str(options.output)]
    outcomes = {}
    for pair in pairs:
        shared = as_words({"dataset": "synthetic", "root": root, **COMMON})
        teacher = PRETRAINED
        if pair.teacher is not None:
            request = read_request([*shared, *as_words({**pair.teacher, **last}), *handed_on, *own])
            config = replace(request.config, name=f"{pair.name}-teacher")
            fit(find_material(replace(request, config=config)), config)
            teacher = str(options.output / config.name)
        lessons = ["--teacher", teacher, "--student", pair.student, "--seeds", str(options.seeds)]
        lessons += [*shared, *as_words({**pair.training, **last}), *handed_on, *own, "--name", f"{pair.name}-students"]
        outcomes[pair.name] = distill(read(lessons))
        # After every pair, so that an interrupted study has its beginning.
        publish(options.output, outcomes)
    print("\n" + (options.output / "distillation.md").read_text(encoding="utf-8"))
    print(f"in {options.output}: distillation.md, distillation.json and distillation.png")


def find_pair(name: str) -> Pair:
    """The pair of this name."""
    found = next((pair for pair in PAIRS if pair.name == name), None)
    if found is None:
        raise StgtError(f"--pairs names {name!r}; the pairs are {', '.join(pair.name for pair in PAIRS)}")
    return found


def as_words(settings: Mapping[str, Any]) -> list[str]:
    """Settings as options of the command line."""
    return [f"--{name}={value}" for name, value in settings.items()]


def publish(output: Path, outcomes: "Mapping[str, Outcome]") -> None:
    """Write the tables and what they are made of, and draw the figure; ``outcomes`` by the names of their pairs."""
    sections = [
        f"**{name}: {find_pair(name).title}.** {outcome.sentence}\n\n{outcome.comparison.to_markdown()}"
        for name, outcome in outcomes.items()
    ]
    write_text(output / "distillation.md", "\n".join(sections))
    write_json(output / "distillation.json", {name: outcome.comparison.to_dict() for name, outcome in outcomes.items()})
    rows: list[str] = []
    groups: list[int] = []
    tables: list[Sequence[PredictionTable]] = []
    for number, (name, outcome) in enumerate(outcomes.items()):
        for row, found in zip(outcome.comparison.rows, predictions(outcome), strict=True):
            rows.append(f"{name}: {row.name}, {row.parameters / 1e6:.2f} M")
            groups.append(number)
            tables.append(found)
    panels = [
        Panel("UAR, %", [[100 * score(table).uar for table in found] for found in tables], note="more is better"),
        Panel("WAR, %", [[100 * score(table).war for table in found] for found in tables], note="more is better"),
        Panel("ECE, %", [[100 * calibration(table).ece for table in found] for found in tables], note="less is better"),
    ]
    to_png(dot_figure(rows, groups, panels), output / "distillation.png")


def predictions(outcome: "Outcome") -> tuple[list[PredictionTable], list[PredictionTable], list[PredictionTable]]:
    """What the teacher, and the students alone and taught of every seed, say of the test clips."""
    students = outcome.distilled.students
    alone, taught = [each.alone.honest for each in students], [each.taught.honest for each in students]
    return [outcome.distilled.teacher], alone, taught


if __name__ == "__main__":
    run(main, sys.argv[1:])
