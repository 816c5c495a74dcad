"""A model asked about a dataset whose classes are not all its own: what is scored, and what is said about the rest."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stgt.config import require_one_of
from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted
from stgt.data.vocabulary import ANSWERS, UNMATCHED, Matched, match
from stgt.errors import DatasetError


@dataclass(frozen=True)
class LabelMatching:
    """How the labels of a dataset and of a model go together, and what is done where they do not.

    Scores across datasets are usually given over the shared classes: a model cannot be blamed for a class that it was
    never shown. ``leave_out`` does that, and ``mistake`` is for whoever wants to know how the model does on the whole
    dataset. A label of the model that the dataset does not have is still an answer that the model gives in use, so that
    with ``all`` it may be given and is a mistake; ``shared`` asks for the shared classes only and brings their
    probabilities to a sum of one, so that the question is the same for every model.

    Attributes:
        matched: the labels.
        model_labels: (K,) the model's labels in the order of its outputs.
        clips: label of the dataset -> number of clips.
        unmatched: one of ``UNMATCHED``.
        answers: one of ``ANSWERS``.
    """

    matched: Matched
    model_labels: tuple[str, ...]
    clips: Mapping[str, int]
    unmatched: str = "leave_out"
    answers: str = "all"

    def __post_init__(self) -> None:
        require_one_of("--unmatched", self.unmatched, UNMATCHED)
        require_one_of("--answers", self.answers, ANSWERS)

    @property
    def columns(self) -> tuple[str, ...]:
        """The labels of the table of predictions: the model's that may be answered, then what it cannot name."""
        asked = [label for label in self.model_labels if self.answers == "all" or label in self.matched.shared]
        return (*asked, *(self.matched.unmatched_dataset if self.unmatched == "mistake" else ()))

    def kept(self, clips: Sequence[Clip]) -> list[Clip]:
        """The clips that are scored, under the model's labels."""
        unnamed = self.unmatched == "mistake"
        pairs = self.matched.pairs
        return [
            replace(clip, label=pairs.get(clip.label, clip.label)) for clip in clips if unnamed or clip.label in pairs
        ]

    def narrowed(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities (N,K) of the model's labels -> those of ``columns``, with rows that sum to one.

        What the model cannot name has probability zero; a row of NaN, a clip without a face, stays one.
        """
        index = {label: number for number, label in enumerate(self.model_labels)}
        narrowed = np.zeros((len(probabilities), len(self.columns)))
        for column, label in enumerate(self.columns):
            if label in index:
                narrowed[:, column] = probabilities[:, index[label]]
        total = narrowed.sum(axis=1, keepdims=True)
        even = np.array([label in index for label in self.columns]) / len(set(index) & set(self.columns))
        return np.divide(narrowed, total, out=np.tile(even, (len(narrowed), 1)), where=total != 0)

    def phrases(self) -> list[str]:
        """What must be said with the score: renamed labels, clips that the model cannot name, answers not in the data.

        Empty if the labels of both are the same.
        """
        said = []
        renamed = [f"{ours} counts as {theirs}" for ours, theirs in self.matched.renamed.items()]
        if renamed:
            said.append(", ".join(renamed))
        for label in self.matched.unmatched_dataset:
            number = self.clips[label]
            left_out, mistake = (("is left out", "counts as a mistake"), ("are left out", "count as mistakes"))[
                number > 1
            ]
            fate = left_out if self.unmatched == "leave_out" else mistake
            said.append(f"{label}: {counted(number, 'clip')} that the model cannot name {fate}")
        beyond = ", ".join(self.matched.unmatched_model)
        if beyond and self.answers == "all":
            said.append(f"the model may also answer {beyond}, which is then a mistake")
        elif beyond:
            said.append(f"the model is asked for the shared classes only, not for {beyond}")
        return said

    def rows(self) -> list[dict[str, Any]]:
        """One row per label for the report: the dataset's label, its clips, the model's label, what becomes of it."""
        fate = {"leave_out": "left out: the model cannot name it", "mistake": "a mistake: the model cannot name it"}
        beyond = {"all": "may be answered, and is then a mistake", "shared": "not asked for"}
        return [
            *(
                {"dataset": label, "clips": self.clips[label], "model": self.matched.pairs.get(label, ""), "fate": says}
                for label in self.clips
                for says in ["scored" if label in self.matched.pairs else fate[self.unmatched]]
            ),
            *(
                {"dataset": "", "clips": 0, "model": label, "fate": beyond[self.answers]}
                for label in self.matched.unmatched_model
            ),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "matched": dict(self.matched.pairs),
            "clips": dict(self.clips),
            "unmatched_dataset": {label: self.clips[label] for label in self.matched.unmatched_dataset},
            "unmatched_model": list(self.matched.unmatched_model),
            "unmatched": self.unmatched,
            "answers": self.answers,
        }


def match_labels(
    clips: Sequence[Clip],
    order: Sequence[str],
    model_labels: Sequence[str],
    *,
    dataset: str,
    unmatched: str = "leave_out",
    answers: str = "all",
    extra: Mapping[str, str] | None = None,
) -> LabelMatching:
    """Match the labels of ``clips`` with those of a model.

    Args:
        clips: of the dataset.
        order: the dataset's classes, in its order.
        model_labels: the model's, in the order of its outputs.
        dataset: its name, for the error.
        unmatched: one of ``UNMATCHED``.
        answers: one of ``ANSWERS``.
        extra: label of the dataset -> label of the model, before the table of synonyms.

    Raises:
        DatasetError: they have no label in common.
        StgtError: an unknown choice, or ``extra`` names an unknown label.
    """
    count = Counter(clip.label for clip in clips)
    present = tuple(label for label in dict.fromkeys([*order, *count]) if count[label])
    matched = match(present, model_labels, extra)
    found = LabelMatching(matched, tuple(model_labels), {label: count[label] for label in present}, unmatched, answers)
    if not matched.pairs:
        raise DatasetError(
            f"the model and {dataset} have no class in common: the model knows {', '.join(model_labels)}, and "
            f"{dataset} has {', '.join(present)}; where two mean the same, stgt evaluate takes --label_map A=B"
        )
    return found
