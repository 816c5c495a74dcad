"""``stgt distill``: teach a light model what a heavy one knows, and show what that gains.

By the teacher's protocol, fold by fold: a student alone, and a student that the teacher's model of the same fold
teaches, in one report.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, divide, run, said_once
from stgt.config import TrainConfig, from_dict, to_dict
from stgt.data.union import UnionCard
from stgt.data.union_folds import check_dataset_weights, folds_of, refuse_common_contents
from stgt.errors import StgtError
from stgt.learning.distillation.config import DistillationConfig
from stgt.train import Request, by_dataset, choose_folds, describe, limit_subjects, read_request

if TYPE_CHECKING:
    from stgt.data.catalog.cards import DatasetCard
    from stgt.data.catalog.layouts import Clip
    from stgt.data.preparation.prepare import Prepared
    from stgt.data.protocols import Fold
    from stgt.learning.distillation.results import Comparison
    from stgt.learning.distillation.run import Distilled

EPILOG = (
    "Every further option is one of stgt train and is the student's, such as --streams geometry or --epochs 60; "
    "dataset, protocol, windows and nodes are the teacher's unless it is said otherwise. Weights of what is taught: "
    "--logits, --attention, --layers; 0 leaves it out."
)


@dataclass(frozen=True)
class DistillRequest:
    """What the command line asks for."""

    lessons: DistillationConfig
    student: Request
    """The student's training."""


@dataclass(frozen=True)
class Outcome:
    """A distillation that was run."""

    distilled: "Distilled"
    comparison: "Comparison"
    sentence: str
    """The protocol."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    with said_once():
        outcome = distill(read(arguments), "python -m stgt.distill " + shlex.join(arguments))
        print(f"\n{outcome.sentence}\n\n{outcome.comparison.to_markdown()}")
        print(f"report: {outcome.distilled.folder / 'report.html'}")


def read(arguments: Sequence[str]) -> DistillRequest:
    """The request: the teacher's settings, then the student's recipe, then the command line's.

    Raises:
        StgtError: an option that is not there, or no teacher.
    """
    own, training = divide(arguments, DistillationConfig)
    parser = argument_parser("distill", "Teach a light model what a heavy one knows.", EPILOG)
    parser.add_class_arguments(DistillationConfig, as_group=False)
    lessons = from_dict(DistillationConfig, parser.parse_args(own).as_dict())
    return DistillRequest(lessons, read_student(lessons, training))


def read_student(lessons: DistillationConfig, training: Sequence[str]) -> Request:
    """The student's training, as ``stgt train`` reads it."""
    from stgt.learning.distillation.teachers import Teachers, student_defaults

    words = [f"--{name}={value}" for name, value in student_defaults(Teachers.find(lessons.teacher)).items()]
    if lessons.student is not None:
        recipe = Path(lessons.student)
        if recipe.suffix in (".yaml", ".yml") and not recipe.is_file():
            raise StgtError(f"--student {recipe} is not there; give a recipe (YAML) of stgt train, or a model's name")
        words += ["--config", str(recipe)] if recipe.is_file() else [f"--model.name={lessons.student}"]
    words += training
    if not any(word == "--dataset" or word.startswith("--dataset=") for word in words):
        raise StgtError(f"the teacher {lessons.teacher} does not say which dataset it is to teach on; add --dataset")
    return read_request(words)


def distill(request: DistillRequest, command: str = "") -> Outcome:
    """Train students alone and taught, and write the run folder; what is finished is read from it.

    Args:
        request: what to do.
        command: how it is said on the command line, for the report.

    Raises:
        StgtError: bad input, such as a teacher that has seen a test subject.
    """
    lessons, config = request.lessons, request.student.config
    if config.compare:
        raise StgtError("--compare is not for a distillation: the student alone is compared with the student distilled")
    card, listing = request.student.find()
    check_dataset_weights(card, config.dataset_weights)
    config = replace(config, dataset=card.name)
    for note in listing.notes:
        print(f"note: {note}", file=sys.stderr)
    clips = card.protocol(config.protocol).used(listing.clips)
    folds = choose_folds(folds_of(card, listing.clips, config.protocol), config.fold)
    folds = limit_subjects(folds, config.train_subjects, config.seed)
    present = {clip.label for clip in clips}
    labels = tuple(name for name in listing.classes if name in present)
    refuse(lessons, config, folds, labels, {clip.subject for clip in clips})
    sentence = describe(card, listing.clips, folds, config)
    print(sentence)

    from stgt.data.preparation.prepare import prepare_clips
    from stgt.learning.distillation.run import run_students
    from stgt.learning.progress import ProgressBar

    prepared = prepare_clips(clips, cache=config.cache, workers=config.workers)
    if isinstance(card, UnionCard):
        refuse_common_contents(folds, {clip_id: prepared.content(clip_id) for clip_id in prepared})
    with ProgressBar(2 * lessons.seeds * len(folds) * config.optimisation.epochs) as progress:
        distilled = run_students(lessons, config, folds, labels, prepared, progress)
    return Outcome(distilled, publish(request, command, distilled, card, clips, sentence, prepared), sentence)


def refuse(
    lessons: DistillationConfig, config: TrainConfig, folds: "list[Fold]", labels: tuple[str, ...], subjects: set[str]
) -> None:
    """Say before all clips are prepared what cannot be: a teacher that must not teach, a student that cannot be made.

    Raises:
        StgtError: see above.
    """
    from stgt.learning.distillation.run import check
    from stgt.learning.distillation.teachers import Teachers
    from stgt.learning.transfer import refuse_leaks
    from stgt.models import create_model

    check(Teachers.find(lessons.teacher), config, folds, labels)
    refuse_leaks(config, subjects)
    create_model(config.model, max(2, len(labels)), config.window)


def publish(
    request: DistillRequest,
    command: str,
    distilled: "Distilled",
    card: "DatasetCard",
    clips: "Sequence[Clip]",
    sentence: str,
    prepared: "Prepared",
) -> "Comparison":
    """Write the report, and the table of all seeds."""
    from stgt.files import write_json, write_text
    from stgt.learning.distillation.results import compare, model_results
    from stgt.learning.publish import Outcome as Published
    from stgt.learning.publish import write_results

    config = request.student.config
    results = model_results(distilled, prepared)
    if isinstance(card, UnionCard):
        results = [by_dataset(result, clips) for result in results]
    published = Published(
        title=f"{config.model.name} taught by {distilled.teachers.settings[0].name} on {card.title}",
        card=card,
        sentence=sentence,
        results=results,
        skipped=prepared.failures,
        config={**to_dict(config), "roots": request.student.roots, "distillation": to_dict(request.lessons)},
        command=command,
        seed=config.seed,
    )
    write_results(distilled.folder, published)
    comparison = compare(distilled)
    write_json(distilled.folder / "distillation.json", {"protocol": sentence, **comparison.to_dict()})
    write_text(distilled.folder / "distillation.md", f"{sentence}\n\n{comparison.to_markdown()}")
    return comparison


if __name__ == "__main__":
    run(main)
