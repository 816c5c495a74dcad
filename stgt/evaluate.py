"""``stgt evaluate``: score a trained model on a dataset, on subjects that it has never seen."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stgt.command import argument_parser, run
from stgt.config import from_dict, to_dict
from stgt.data.catalog.cards import DatasetCard, load_card
from stgt.data.catalog.layouts import Clip
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.models.checkpoint import LoadedModel


@dataclass(frozen=True)
class EvaluateConfig:
    """An evaluation."""

    dataset: str
    """A card's name (stgt datasets lists them)."""
    checkpoint: str = "pretrained"
    """Trained model: a .safetensors file with its .json beside it; pretrained: the one that comes with stgt."""
    root: str | None = None
    """Where the dataset lies; none: STGT_DATA or ./data, then the card's folder name."""
    cache: str | None = None
    """Where prepared tracks and crops go; none: STGT_CACHE or the user cache."""
    output: str | None = None
    """Folder of the results; none: evaluation-DATASET beside the checkpoint, or here for the one of stgt."""
    protocol: str | None = None
    """One of the card's protocols, whose classes are used; none: its default."""
    subject_pattern: str | None = None
    """For one's own folder of clips: regular expression over the path, whose first group is the subject."""
    subject_csv: str | None = None
    """For one's own folder of clips: CSV file with the columns clip and subject."""
    workers: int | None = None
    """Processes for preparation; none: all cores."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, mps."""


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argument_parser("evaluate", "Score a trained model on a dataset, on subjects that it has never seen.")
    parser.add_class_arguments(EvaluateConfig, as_group=False)
    config = from_dict(EvaluateConfig, parser.parse_args(arguments).as_dict())

    card = load_card(config.dataset)
    listing = card.find_clips(config.root, config.subject_pattern, config.subject_csv)
    for note in listing.notes:
        print(f"note: {note}", file=sys.stderr)
    from stgt.models.checkpoint import load_checkpoint, require_labels

    loaded = load_checkpoint(config.checkpoint)
    clips, who = unseen(card.protocol(config.protocol).used(listing.clips), config.dataset, loaded)
    labels = [name for name in listing.classes if any(clip.label == name for clip in clips)]
    require_labels(loaded, labels, config.dataset)
    score_clips(config, card, loaded, clips, sentence_of(card, clips, who, labels, loaded), arguments)


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
    card: DatasetCard, clips: Sequence[Clip], who: str, labels: Sequence[str], loaded: "LoadedModel"
) -> str:
    """The protocol in one sentence."""
    subjects = len({clip.subject for clip in clips})
    sentence = f"{card.title}: {who}; {len(clips)} clips, {subjects} subjects, {len(labels)} classes"
    beyond = [label for label in loaded.labels if label not in labels]
    if beyond:
        sentence += f"; the model may also answer {', '.join(beyond)}, which is then a mistake"
    return sentence + "."


def score_clips(
    config: EvaluateConfig,
    card: DatasetCard,
    loaded: "LoadedModel",
    clips: list[Clip],
    sentence: str,
    arguments: Sequence[str],
) -> None:
    """Prepare and read the clips, print the scores, write the results."""
    from stgt.data.preparation.prepare import prepare_clips
    from stgt.evaluation.report import ModelResult
    from stgt.inference import choose_device
    from stgt.learning.fitting import clip_table
    from stgt.learning.publish import Outcome, print_scores, write_results
    from stgt.learning.results import attention_summary, read_clips
    from stgt.models.checkpoint import PRETRAINED

    prepared = prepare_clips(clips, cache=config.cache, workers=config.workers)
    clips = [clip for clip in clips if clip.clip_id in prepared]
    if not clips:
        raise DatasetError(f"not one clip of {card.title} could be read; the reasons stand above")
    readout = read_clips(loaded, clips, prepared, choose_device(config.device))
    table = clip_table(loaded.labels, clips, 0, readout.probabilities)
    name = loaded.model_config.name
    result = ModelResult(
        name=name,
        honest=table,
        description=f"checkpoint {config.checkpoint}",
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        attention=attention_summary(clips, [readout], loaded.window.frame_rate),
        layout=loaded.layout,
        temperatures=[loaded.temperature],
    )
    # Results do not belong among the files of the installation.
    beside = Path() if config.checkpoint == PRETRAINED else Path(config.checkpoint).parent
    folder = Path(config.output or beside / f"evaluation-{config.dataset}")
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
    print_scores(folder, outcome)


if __name__ == "__main__":
    run(main)
