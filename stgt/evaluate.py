"""``stgt evaluate``: score a trained model on a dataset, on subjects that it has never seen.

The dataset's classes need not be the model's: they are matched by name, and what has no match is said with the score.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, run
from stgt.config import from_dict, require_one_of, to_dict
from stgt.data.catalog.cards import DatasetCard
from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted
from stgt.data.protocols import describe_subjects
from stgt.data.union import UnionCard, assignments, find_dataset
from stgt.data.union_folds import describe_members
from stgt.data.vocabulary import ANSWERS, UNMATCHED
from stgt.errors import DatasetError
from stgt.files import write_json

if TYPE_CHECKING:
    from stgt.evaluation.matching import LabelMatching
    from stgt.learning.publish import Outcome
    from stgt.models.checkpoint import LoadedModel


@dataclass(frozen=True)
class EvaluateConfig:
    """An evaluation."""

    dataset: str
    """A card's name (stgt datasets lists them), or several: a,b."""
    checkpoint: str = "pretrained"
    """Trained model: a .safetensors file with its .json beside it; pretrained: the one that comes with stgt."""
    root: str | None = None
    """Where the dataset lies; none: STGT_DATA or ./data, then the card's folder name."""
    roots: str | None = None
    """Where several datasets lie: a=PATH,b=PATH."""
    cache: str | None = None
    """Where prepared tracks and crops go; none: STGT_CACHE or the user cache."""
    output: str | None = None
    """Folder of the results; none: evaluation-DATASET beside the checkpoint, or here for the one of stgt."""
    protocol: str | None = None
    """One of the card's protocols, whose classes are used; none: its default."""
    unmatched: str = "leave_out"
    """Clips whose label the model cannot name: leave_out, as usual across datasets, or mistake."""
    answers: str = "all"
    """What the model may answer: all of its labels, or only those shared with the dataset."""
    label_map: str | None = None
    """Labels that mean the same beside the known synonyms: calm=neutral (the dataset's label, then the model's)."""
    subject_pattern: str | None = None
    """For one's own folder of clips: regular expression over the path, whose first group is the subject."""
    subject_csv: str | None = None
    """For one's own folder of clips: CSV file with the columns clip and subject."""
    workers: int | None = None
    """Processes for preparation; none: all cores."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, mps."""

    def __post_init__(self) -> None:
        require_one_of("--unmatched", self.unmatched, UNMATCHED)
        require_one_of("--answers", self.answers, ANSWERS)


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("evaluate", "Score a trained model on a dataset, on subjects that it has never seen.")
    parser.add_class_arguments(EvaluateConfig, as_group=False)
    config = from_dict(EvaluateConfig, parser.parse_args(arguments).as_dict())

    card, listing = find_dataset(
        config.dataset, config.root, assignments(config.roots, "roots"), config.subject_pattern, config.subject_csv
    )
    for note in listing.notes:
        print(f"note: {note}", file=sys.stderr)
    from stgt.models.checkpoint import load_checkpoint

    loaded = load_checkpoint(config.checkpoint)
    clips, who = unseen(card.protocol(config.protocol).used(listing.clips), card.name, loaded)
    matching = matching_of(config, card, listing.classes, clips, loaded)
    clips = matching.kept(clips)
    sentence = sentence_of(card, clips, who, sorted({clip.label for clip in clips}), matching)
    score_clips(config, card, loaded, clips, matching, sentence, arguments)


def matching_of(
    config: EvaluateConfig, card: DatasetCard, classes: Sequence[str], clips: Sequence[Clip], loaded: "LoadedModel"
) -> "LabelMatching":
    """How the labels of the clips and of the model go together."""
    from stgt.evaluation.matching import match_labels

    return match_labels(
        clips,
        classes,
        loaded.labels,
        dataset=card.name,
        unmatched=config.unmatched,
        answers=config.answers,
        extra=assignments(config.label_map, "label_map"),
    )


def unseen(clips: Sequence[Clip], dataset: str, loaded: "LoadedModel") -> tuple[list[Clip], str]:
    """The clips of subjects that the model was not trained on, and a phrase that says which these are.

    Raises:
        DatasetError: every subject was trained on.
    """
    from stgt.models.checkpoint import seen_subjects

    seen = seen_subjects(loaded.meta, dataset)
    trained_on = loaded.meta.get("dataset")
    if trained_on != dataset and not seen:
        return list(clips), f"all clips; the model was trained on {trained_on or 'other data'}"
    kept = [clip for clip in clips if clip.subject not in seen]
    if not kept:
        raise DatasetError(
            f"the model was trained on every subject of {dataset} that is here; "
            "give the checkpoint of a fold whose test subjects are here, or another dataset"
        )
    return kept, f"only the {len({clip.subject for clip in kept})} subjects that the model was not trained on"


def sentence_of(
    card: DatasetCard, clips: Sequence[Clip], who: str, labels: Sequence[str], model: "LoadedModel | LabelMatching"
) -> str:
    """The protocol in one sentence, with what becomes of labels that the dataset and the model do not share.

    Args:
        card: of the dataset.
        clips: those that are scored.
        who: whose they are, see ``unseen``.
        labels: the classes that are scored.
        model: how its labels and the dataset's go together; or a model that knows all of ``labels``.
    """
    from stgt.evaluation.matching import LabelMatching, match_labels

    matching = (
        model if isinstance(model, LabelMatching) else match_labels(clips, labels, model.labels, dataset=card.name)
    )
    parts = [
        f"{card.title}: {who}",
        f"{counted(len(clips), 'clip')}, {describe_subjects(clips)}, {counted(len(labels), 'class')}",
        *([described] if (described := describe_members(card, clips)) else []),
        *matching.phrases(),
    ]
    return "; ".join(parts) + "."


def score_clips(
    config: EvaluateConfig,
    card: DatasetCard,
    loaded: "LoadedModel",
    clips: list[Clip],
    matching: "LabelMatching",
    sentence: str,
    arguments: Sequence[str],
) -> None:
    """Prepare and read the clips, print the scores, write the results."""
    from stgt.data.preparation.prepare import prepare_clips
    from stgt.evaluation.distributions import shares_by_clip
    from stgt.evaluation.report import ModelResult
    from stgt.inference import choose_device
    from stgt.learning.fitting import clip_table
    from stgt.learning.publish import Outcome, metrics_document, print_scores, write_results
    from stgt.learning.results import attention_summary, read_clips
    from stgt.models.checkpoint import PRETRAINED

    prepared = prepare_clips(clips, cache=config.cache, workers=config.workers)
    clips = [clip for clip in clips if clip.clip_id in prepared]
    if not clips:
        raise DatasetError(f"not one clip of {card.title} could be read; the reasons stand above")
    readout = read_clips(loaded, clips, prepared, choose_device(config.device))
    table = clip_table(matching.columns, clips, 0, matching.narrowed(readout.probabilities))
    if isinstance(card, UnionCard):
        table = replace(table, datasets=tuple(clip.dataset for clip in clips))
    name = loaded.model_config.name
    result = ModelResult(
        name=name,
        honest=table,
        description=f"checkpoint {config.checkpoint}",
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        attention=attention_summary(clips, [readout], loaded.window.frame_rate),
        layout=loaded.layout,
        temperatures=[loaded.temperature],
        labels=matching.rows() if matching.phrases() else (),
        shares=shares_by_clip(clips),
    )
    # Results do not belong among the files of the installation.
    beside = Path() if config.checkpoint == PRETRAINED else Path(config.checkpoint).parent
    folder = Path(config.output or beside / f"evaluation-{card.name}")
    outcome = Outcome(
        title=f"{name} evaluated on {card.title}",
        card=card,
        sentence=sentence,
        results=[result],
        skipped=prepared.failures,
        config=to_dict(config),
        command="python -m stgt.evaluate " + shlex.join(arguments),
        seed=None,
    )
    write_results(folder, outcome)
    write_json(folder / "metrics.json", {**metrics_document(outcome), "labels": matching.to_dict()})
    print_scores(folder, outcome)
    print_datasets(outcome)


def print_datasets(outcome: "Outcome") -> None:
    """Where the clips are of several datasets: what came out for each, on the terminal."""
    from stgt.evaluation.metrics import summarise
    from stgt.learning.publish import score_line

    for result in outcome.results:
        names = sorted(set(result.honest.datasets))
        if names:
            print(f"\n{result.name}, honest, dataset by dataset")
        for name in names:
            print(f"  {score_line(name, summarise(result.honest.dataset(name)))}")


if __name__ == "__main__":
    run(main)
