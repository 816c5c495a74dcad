"""A copy of a dataset in depth: is it whole, does nothing leak, can its clips be read; and if not, what to do."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stgt.data.catalog.cards import DatasetCard
from stgt.data.catalog.completeness import SHOWN, Finding, counts
from stgt.data.catalog.layouts import Clip, Layout
from stgt.data.catalog.notes import Notes, shown
from stgt.data.catalog.reading import LayoutReader
from stgt.data.catalog.samples import Looked, faulty_files, look_at, same_content, spread, with_face
from stgt.data.catalog.subjects import SubjectRule
from stgt.data.catalog.tree import Tree
from stgt.data.disk import counted, filled, natural_key
from stgt.data.protocols import make_folds
from stgt.errors import DatasetError

#: A size of pictures that fewer of the decoded clips have than this is told.
RARE_SIZE = 0.05
#: Beginnings of the catalog's notes that say nothing is wrong.
HARMLESS = (
    *("another file of the same take", "not named as in this dataset", "named twice in"),
    *("no expression has more than", "most votes are for no expression"),
)
#: Beginnings of its other notes -> what to do.
ADVICE = {
    "label that the card does not know": "correct the names, or add the labels to a card of your own",
    "label file": "copy the label files again",
    "no image of the number": "copy the images of these clips again",
    "without a label": "correct the list, or get the original one",
    "without a subject": "correct the list, or get the original one",
    "no subject by the rule": "widen --subject_pattern, or add them to --subject_csv",
    "listed with two labels": "get the original lists",
    "not in the lists of every": "get the original lists",
    "not a row of": "get the original lists",
    "votes that": "get the original lists",
    "its pixels are not": "get the original table of pixels",
    "cannot be opened": "give yourself permission to read them",
    "its name is not text": "unpack the archive again with UTF-8 names",
}


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    card: DatasetCard
    root: Path
    layout: str = ""
    clips: tuple[Clip, ...] = ()
    folds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Protocol -> test clips of each fold."""
    looked: tuple[Looked, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(finding for finding in self.findings if finding.fault)

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """What is worth knowing."""
        return tuple(finding for finding in self.findings if not finding.fault)


@dataclass(frozen=True)
class Scan:
    """The clips of a copy, and all that was left out by name."""

    layout: Layout
    clips: tuple[Clip, ...]
    notes: Notes
    unlisted: tuple[str, ...]
    """Media where clips lie that no list names."""


def check_copy(
    card: DatasetCard,
    root: Path | str | None = None,
    subject_pattern: str | None = None,
    subject_csv: Path | str | None = None,
    sample: int = 24,
    faces: int = 0,
    workers: int | None = None,
    progress: Callable[[int], Callable[[], object]] | None = None,
) -> Checked:
    """Check the copy of ``card``'s dataset at ``root`` (none: wherever it is found).

    Args:
        card: of the dataset.
        root: folder of the copy.
        subject_pattern: see ``DatasetCard.find_clips``.
        subject_csv: see there.
        sample: clips to decode, spread over all.
        faces: of these, clips in which a face is looked for.
        workers: threads that decode; none: one per core.
        progress: called with the number of clips to decode; what it returns is called after each.

    Raises:
        DatasetError: the dataset is not there, or the options do not suit it. Whatever is wrong with a copy that is
            there is told in the findings.
    """
    folder = card.locate(root)
    if folder is None:
        raise DatasetError(card.absence(root))
    folder = folder.absolute()
    rule = card.subject_rule(subject_pattern, subject_csv)
    try:
        found = scan(card, folder, rule)
        if found is None:
            card.find_clips(folder, subject_pattern, subject_csv)  # says why there is no clip
            raise DatasetError(f"{folder} changes while it is read; check it again when that is over")
    except DatasetError as error:
        return Checked(card, folder, findings=(Finding(str(error)),))
    clips = found.clips
    findings = [
        *left_out(found, card.values),
        *counts(card, clips, named=bool(found.notes.missing)),
        *leaks(clips, in_release(card, clips)),
    ]
    folds, unsplit = protocols(card, clips)
    findings += [*unsplit, *no_clips(clips)]
    bad = {name for finding in findings for name in finding.names}
    sound = [clip for clip in clips if clip.clip_id not in bad and clip.clip_id not in card.known_broken]
    chosen = spread(sound, sample)
    looked = look_at(chosen, workers, progress(len(chosen)) if progress and chosen else None)
    looked = find_faces(looked, faces)
    findings += [*decoded(looked), *broken_from_the_start(card, clips)]
    return Checked(card, folder, found.layout.name, clips, folds, tuple(looked), tuple(findings))


def scan(card: DatasetCard, folder: Path, rule: SubjectRule) -> Scan | None:
    """The first layout of ``card`` that gives clips, read once; None if none does.

    Raises:
        DatasetError: the lists contradict themselves.
    """
    tree, reading = Tree(), card.reading(rule)
    for layout in card.chosen_layouts():
        reader = LayoutReader(layout, folder, reading, tree)
        if reader.absent:
            continue
        clips: dict[str, tuple[str, Clip]] = {}
        for order, clip in reader.clips():
            if clip.clip_id in clips:
                reader.notes.add("another file of the same take", reader.below(clip.source.as_posix()))
            if clip.clip_id not in clips or order < clips[clip.clip_id][0]:
                clips[clip.clip_id] = (order, clip)
        if clips:
            reader.finish()
            ordered = sorted((clip for _, clip in clips.values()), key=lambda clip: natural_key(clip.clip_id))
            return Scan(layout, tuple(ordered), reader.notes, unlisted(reader, ordered))
    return None


def unlisted(reader: LayoutReader, clips: Sequence[Clip]) -> tuple[str, ...]:
    """Media beside the clips of a layout with lists that no list names."""
    if not reader.lists:
        return ()
    pattern = re.sub(r"\{[^}]*\}", "*", filled(reader.layout.clips, reader.values, partly=True))
    known = {clip.source.as_posix() for clip in clips}
    media = reader.tree.media(reader.root, pattern, reader.layout.kind)
    return tuple(reader.below(medium.path) for medium in media if medium.path not in known)


def left_out(found: Scan, values: Mapping[str, str]) -> list[Finding]:
    """What the catalog has left out, and why; ``values`` are the card's."""
    notes, findings = found.notes, []
    if notes.missing:
        findings.append(
            Finding(
                f"{counted(len(notes.missing), 'clip')} that the dataset's own lists name missing "
                f"({shown(notes.missing, SHOWN)}): copy them again",
                tuple(notes.missing),
            )
        )
    expected = {text for rule in found.layout.ignore for text in (rule.because, filled(rule.because, values, True))}
    missing = set(notes.missing)
    for (reason, kind, fate), names in notes.reasons.items():
        if missing.issuperset(names):
            continue
        text = f"{reason}: {counted(len(names), kind)} {fate} ({shown(names, SHOWN)})"
        if reason in expected or reason.startswith(HARMLESS):
            findings.append(Finding(text, tuple(names), fault=False))
        else:
            advice = next((what for start, what in ADVICE.items() if reason.startswith(start)), "see to these files")
            findings.append(Finding(f"{text}: {advice}", tuple(names)))
    if notes.unlabelled:
        text = f"without a label, as the dataset has it: {counted(notes.unlabelled, 'clip')}"
        findings.append(Finding(text, fault=False))
    if found.unlisted:
        text = f"in no list, and so not used: {counted(len(found.unlisted), 'clip')} ({shown(found.unlisted, SHOWN)})"
        findings.append(Finding(text, found.unlisted, fault=False))
    return findings


def in_release(card: DatasetCard, clips: Sequence[Clip]) -> bool:
    """Whether copies among ``clips`` are those of the release itself: pictures of the web, as many as published."""
    of_pictures = card.subjects == "none" and all(clip.kind == "image" for clip in clips)
    return of_pictures and card.counts is not None and len(clips) == card.counts.clips


def leaks(clips: Sequence[Clip], released: bool) -> list[Finding]:
    """Clips of one content under several names; no fault where they were ``released`` so."""
    findings = []
    groups = same_content(clips)
    across = [group for group in groups if len({(clip.subject, clip.label) for clip in group}) > 1]
    for those, what in (
        (across, "of different subjects or classes are the same file, so a score on them would be a leak"),
        ([group for group in groups if group not in across], "are the same file under two names"),
    ):
        if those:
            names = tuple(" = ".join(clip.clip_id for clip in group) for group in those)
            text = f"{counted(sum(map(len, those)), 'clip')} {what} ({shown(names, SHOWN)})"
            advice = "in the release itself" if released else "keep one of each, the original"
            findings.append(Finding(f"{text}: {advice}", names, fault=not released))
    return findings


def protocols(card: DatasetCard, clips: Sequence[Clip]) -> tuple[dict[str, tuple[int, ...]], list[Finding]]:
    """Test clips of the folds of every protocol, and what is wrong with them."""
    folds, findings = {}, []
    complete = card.counts is not None and len(clips) == card.counts.clips
    for name, protocol in card.protocols.items():
        if protocol.rule == "leave_one_dataset_out":
            continue
        try:
            made = make_folds(card, clips, name)
        except DatasetError as error:
            if str(error) not in [finding.sentence for finding in findings]:
                findings.append(Finding(str(error)))
            continue
        folds[name] = tuple(len(fold.test) for fold in made)
        published = tuple(card.counts.folds.get(name, ())) if card.counts else ()
        if complete and published and published != folds[name]:
            findings.append(
                Finding(
                    f"protocol {name}: the folds test {sizes(folds[name])} clips, where {sizes(published)} are "
                    "published: the names or lists of this copy differ from the original's, so get these again"
                )
            )
    return folds, findings


def sizes(numbers: Sequence[int]) -> str:
    """Fold sizes as text; many are shortened."""
    return " ".join(map(str, numbers)) if len(numbers) <= 12 else f"{min(numbers)} to {max(numbers)}"


def no_clips(clips: Sequence[Clip]) -> list[Finding]:
    """Files that cannot hold a clip, by their size and beginning."""
    findings = []
    for reason, names in faulty_files(clips).items():
        text = f"{counted(len(names), 'clip')} {'is' if len(names) == 1 else 'are'} {reason}"
        findings.append(Finding(f"{text} ({shown(names, SHOWN)}): {remedy(reason)}", tuple(names)))
    return findings


def broken_from_the_start(card: DatasetCard, clips: Sequence[Clip]) -> list[Finding]:
    """Clips that are broken in the release itself."""
    there = {clip.clip_id for clip in clips}
    names = tuple(name for name in card.known_broken if name in there)
    if not names:
        return []
    text = f"{counted(len(names), 'clip')} broken in the release itself ({shown(names, SHOWN)})"
    return [Finding(f"{text}: preparation skips and counts them", names, fault=False)]


def remedy(reason: str) -> str:
    """What to do about a faulty file."""
    if "git-lfs" in reason:
        return "run git lfs pull in the dataset's folder"
    return "give yourself permission to read them" if "permission" in reason else "copy again"


def find_faces(looked: Sequence[Looked], count: int) -> list[Looked]:
    """``looked`` with a face looked for in ``count`` of the clips that have pictures."""
    able = [each for each in looked if not each.fault and each.clip.kind != "tracks"]
    wanted = {each.clip_id for each in spread([each.clip for each in able], count)} if count and able else set()
    if not wanted:
        return list(looked)
    from stgt.faces.landmarker import FaceLandmarker

    result = []
    with FaceLandmarker() as landmarker:
        for each in looked:
            if each.clip.clip_id in wanted:
                landmarker.reset()
                each = with_face(each, landmarker)
            result.append(each)
    return result


def alike(looked: Sequence[Looked], said: Callable[[Looked], str]) -> list[list[Looked]]:
    """Clips of which the same is said, but for their paths and numbers."""
    groups: dict[str, list[Looked]] = {}
    for each in looked:
        groups.setdefault(re.sub(r"\d+", "#", said(each).replace(str(each.clip.source), "")), []).append(each)
    return list(groups.values())


def decoded(looked: Sequence[Looked]) -> list[Finding]:
    """What the decoded clips say."""
    findings = []
    for those in alike([each for each in looked if each.fault], lambda each: each.fault):
        text = f"{those[0].fault}: copy it again"
        if len(those) > 1:
            text = (
                f"{len(those)} of {len(looked)} decoded clips cannot be used, such as {those[0].fault}: copy them again"
            )
        findings.append(Finding(text, tuple(each.clip.clip_id for each in those)))
    odd = [each for each in looked if each.oddity and not each.fault]
    for those in alike(odd, lambda each: each.oddity):
        text = f"{those[0].clip.clip_id}: {those[0].oddity}"
        text = f"{len(those)} of {len(looked)} decoded clips, such as {text}" if len(those) > 1 else text
        findings.append(Finding(text, tuple(each.clip.clip_id for each in those), fault=False))
    common = Counter(each.size for each in looked if each.size)
    rare = {size for size, number in common.items() if number < RARE_SIZE * sum(common.values())}
    names = tuple(
        f"{each.clip.clip_id} {each.size[0]}x{each.size[1]}" for each in looked if each.size in rare and each.size
    )
    if names:
        usual = "x".join(map(str, common.most_common(1)[0][0]))
        text = f"pictures of another size than {usual}: {counted(len(names), 'clip')} ({shown(names, SHOWN)})"
        findings.append(Finding(text, names, fault=False))
    searched = [each for each in looked if each.face is not None]
    without = tuple(each.clip.clip_id for each in searched if not each.face)
    if without:
        text = f"no face is found in {counted(len(without), 'clip')} of {len(searched)} ({shown(without, SHOWN)})"
        every = len(without) == len(searched)
        advice = "see whether these are the right pictures" if every else "some such clips are in any dataset"
        findings.append(Finding(f"{text}: {advice}", without, fault=every))
    return findings
