"""The fold rules that a dataset card can name: for every fold of a protocol, on which side of it a clip is."""

import random
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stgt.data.catalog.layouts import Clip
from stgt.data.disk import natural_key
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.data.protocols import Protocol

#: The sides of a fold; what is called otherwise is on neither.
TRAIN, TEST = "train", "test"
#: The part of an official split on which its authors mean the epoch to be chosen; it belongs to the training side.
VALIDATION = "validation"

#: Says on which side of one fold a clip is: ``train``, ``test``, or any other word for neither.
Side = Callable[[Clip], str | None]
#: Makes the folds of a protocol over all clips that were found.
Rule = Callable[["Protocol", Sequence[Clip]], list[Side]]


def rank_mod(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:
    """Fold k tests the subjects whose rank in natural order is k modulo the number of folds."""
    subjects = ranked(clips)
    return by_number([rank % at_least_two(protocol) for rank in range(len(subjects))], subjects)


def seeded(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:
    """As ``rank_mod``, after the subjects are shuffled by the protocol's seed."""
    subjects = ranked(clips)
    shuffled = random.Random(protocol.seed).sample(subjects, len(subjects))
    return by_number([rank % at_least_two(protocol) for rank in range(len(shuffled))], shuffled)


def blocks(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:
    """Fold k tests the k-th of consecutive blocks of subjects in natural order.

    The blocks are of one size; where the subjects do not divide evenly, the first blocks have one more.
    """
    subjects = ranked(clips)
    folds = min(at_least_two(protocol), len(subjects))
    size, larger = divmod(len(subjects), folds)
    return by_number([fold for fold in range(folds) for _ in range(size + (fold < larger))], subjects)


def leave_one_subject_out(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:  # noqa: ARG001 - all rules are called alike
    """Fold k tests the k-th subject in natural order."""
    subjects = ranked(clips)
    return by_number(range(len(subjects)), subjects)


def leave_one_dataset_out(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:
    """Fold k tests all of the k-th dataset, in the order in which their clips come."""
    datasets = list(dict.fromkeys(clip.dataset for clip in clips))
    if len(datasets) < 2:
        raise DatasetError(
            f"the protocol {protocol.name} tests each dataset by a model trained on the others, and there is only "
            f"{datasets[0] or 'one'} here; give several, as in --dataset a,b"
        )
    return [lambda clip, left_out=name: TEST if clip.dataset == left_out else TRAIN for name in datasets]


def subject_sets(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:
    """Fold k tests the subjects named in its list."""
    subjects = ranked(clips)
    folds: list[set[str]] = []
    for entries in protocol.test_subjects:
        folds.append({subject for subject in subjects if any(names_subject(entry, subject) for entry in entries)})
    homeless = [subject for subject in subjects if not any(subject in fold for fold in folds)]
    if homeless:
        raise DatasetError(f"subject {homeless[0]} is in no fold of the protocol {protocol.name}")
    return [lambda clip, fold=fold: TEST if clip.subject in fold else TRAIN for fold in folds]


def official(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:  # noqa: ARG001 - all rules are called alike
    """One fold: the dataset's own training and test splits.

    Where it has a validation part, too, the epoch is chosen on that, and nothing else is held out of the training.
    """
    return [lambda clip: TRAIN if clip.split == VALIDATION else clip.split]


def train_validation(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:  # noqa: ARG001 - all rules are called alike
    """One fold for datasets whose test labels are not public: their validation split is what is tested on."""
    side = {"train": TRAIN, "validation": TEST}
    return [lambda clip: side.get(clip.split or "")]


def official_folds(protocol: "Protocol", clips: Sequence[Clip]) -> list[Side]:
    """The dataset's own folds."""
    count = max((len(clip.splits) for clip in clips), default=0)
    if not count:
        raise DatasetError(f"no clip says on which side of the folds of the protocol {protocol.name} it is")
    return [lambda clip, fold=fold: clip.splits[fold] if fold < len(clip.splits) else None for fold in range(count)]


#: Name of a rule in a card -> the rule.
RULES: dict[str, Rule] = {
    "rank_mod": rank_mod,
    "seeded": seeded,
    "blocks": blocks,
    "subject_sets": subject_sets,
    "official": official,
    "official_folds": official_folds,
    "train_validation": train_validation,
    "leave_one_subject_out": leave_one_subject_out,
    "leave_one_dataset_out": leave_one_dataset_out,
}


def ranked(clips: Sequence[Clip]) -> list[str]:
    """Every subject once, in natural order: ``S9`` before ``S10``."""
    return sorted({clip.subject for clip in clips}, key=natural_key)


def by_number(numbers: Sequence[int], subjects: Sequence[str]) -> list[Side]:
    """Folds from the number of the fold in which each subject is tested; fewer subjects than folds leave no gap."""
    fold_of = dict(zip(subjects, numbers, strict=True))
    return [
        lambda clip, fold=fold: TEST if fold_of[clip.subject] == fold else TRAIN for fold in range(max(numbers) + 1)
    ]


def at_least_two(protocol: "Protocol") -> int:
    """The protocol's number of folds, or DatasetError."""
    if protocol.folds < 2:
        raise DatasetError(f"a protocol needs at least 2 folds, not {protocol.folds}")
    return protocol.folds


def names_subject(entry: str, subject: str) -> bool:
    """Whether ``entry``, a name or a range of numbers like ``1001-1018``, means ``subject``."""
    bounds = re.fullmatch(r"(\d+)-(\d+)", entry)
    if bounds and subject.isdigit():
        return int(bounds[1]) <= int(subject) <= int(bounds[2])
    return entry == subject
