"""What is trained on and what is tested of a union of datasets, how that is said, and what is checked."""

from collections import Counter
from collections.abc import Mapping, Sequence

from stgt.data.catalog.cards import DatasetCard
from stgt.data.catalog.layouts import Clip
from stgt.data.disk import counted
from stgt.data.protocols import Fold, Protocol, check_disjoint, describe_subjects, make_folds
from stgt.data.union import MERGED, UnionCard, assignments
from stgt.errors import DatasetError


def folds_of(card: DatasetCard, clips: Sequence[Clip], protocol: str | None = None) -> list[Fold]:
    """The folds of a dataset or of a union by one of its protocols.

    Raises:
        DatasetError: as ``make_folds``, for the dataset that it is about.
    """
    chosen = card.protocol(protocol)
    if not isinstance(card, UnionCard) or chosen.rule != MERGED:
        return make_folds(card, clips, protocol)
    return merged_folds(card, chosen)


def merged_folds(card: UnionCard, protocol: Protocol) -> list[Fold]:
    """Fold k tests what fold k of each dataset tests, and trains on what those folds train on.

    A dataset with fewer folds than another takes part in the training of the further ones with the training side of its
    folds in turn, so that every fold trains on as much of it, and each of its clips is tested once.
    """
    of = {member.name: member.folds() for member in card.members}
    folds = []
    for index in range(max(map(len, of.values()))):
        train = [clip for folds in of.values() for clip in folds[index % len(folds)].train]
        test = [clip for folds in of.values() if index < len(folds) for clip in folds[index].test]
        train, test = protocol.used(train), protocol.used(test)
        if train and test:
            check_disjoint(train, test)
            folds.append(Fold(index, train, test))
    return folds


def describe_members(card: DatasetCard, clips: Sequence[Clip]) -> str:
    """How much of a union is of which dataset, and the classes that only one has; empty for a single dataset."""
    if not isinstance(card, UnionCard):
        return ""
    own = {member.name: [clip for clip in clips if clip.dataset == member.name] for member in card.members}
    parts = [f"{name} {counted(len(found), 'clip')} of {describe_subjects(found)}" for name, found in own.items()]
    labels = {name: {clip.label for clip in found} for name, found in own.items()}
    there = Counter(clip.label for member in card.members for clip in member.clips)
    left_out = []
    for label in card.classes:
        having = [name for name, found in labels.items() if label in found]
        if len(having) == 1:
            parts.append(f"{label} is only in {having[0]}")
        elif not having:
            left_out.append(f"{label} ({counted(there[label], 'clip')})")
    if left_out:
        parts.append(f"left out, as no other dataset has it: {', '.join(left_out)}")
    return ", ".join(parts)


def check_dataset_weights(card: DatasetCard, text: str) -> None:
    """Raise DatasetError if weights of datasets are not for exactly those of a union."""
    if not text:
        return
    if not isinstance(card, UnionCard):
        raise DatasetError("--dataset_weights is for several datasets; give --dataset a,b")
    given, known = assignments(text, "dataset_weights"), [member.name for member in card.members]
    if set(given) != set(known):
        raise DatasetError(f"--dataset_weights is for {', '.join(given)}; give one for each of {', '.join(known)}")


def refuse_common_contents(folds: Sequence[Fold], content: Mapping[str, str]) -> None:
    """Raise DatasetError if a clip and a copy of it in another dataset are on two sides of a fold.

    Copies within a dataset are its own affair: ``stgt datasets check`` names them.

    Args:
        folds: to check.
        content: clip id -> key of what the clip shows.
    """
    for fold in folds:
        tested: dict[str, list[Clip]] = {}
        for clip in fold.test:
            tested.setdefault(content.get(clip.clip_id, ""), []).append(clip)
        for clip in fold.train:
            copies = tested.get(content.get(clip.clip_id, "none"), ())
            copy = next((copy for copy in copies if copy.dataset != clip.dataset), None)
            if copy is not None:
                raise DatasetError(
                    f"{clip.clip_id} and {copy.clip_id} are copies of one clip, one in the training and one in the "
                    f"test of fold {fold.index}: the score would be a leak; remove one of them"
                )
