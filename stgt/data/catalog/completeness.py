"""What is missing from a copy of a dataset, or too much in it, by the published counts."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stgt.data.catalog.cards import DatasetCard
from stgt.data.catalog.layouts import Clip
from stgt.data.catalog.notes import shown
from stgt.data.disk import counted, natural_key

#: Names that a sentence shows; the report file has all.
SHOWN = 3
#: Share of the subjects who must have equally many clips for that to be the rule.
USUAL = 0.6
#: Share of the subjects who have a clip of a name that all should have.
COMMON = 0.5


@dataclass(frozen=True)
class Finding:
    """Something about a copy, in one sentence that says what to do."""

    sentence: str
    names: tuple[str, ...] = ()
    """All clips, files or subjects that it is about."""
    fault: bool = True
    """Whether it is wrong, or just worth knowing."""


def counts(card: DatasetCard, clips: Sequence[Clip], named: bool) -> list[Finding]:
    """Where a copy with these ``clips`` differs from the published counts.

    Args:
        card: of the dataset.
        clips: all that were found.
        named: whether what is missing has been told by name already.
    """
    published = card.counts
    if published is None:
        return []
    findings = []
    get = "copy the rest" if len(clips) < published.clips else "take out what does not belong to the dataset"
    if len(clips) != published.clips:
        fewer = len(clips) < published.clips
        how, names = ("", ()) if named else suspects(clips, fewer)
        hint = f" ({how}{shown(names, 2 * SHOWN)})" if names else ""
        text = f"{len(clips):,} of {published.clips:,} clips are there"
        text = text if fewer else f"{len(clips):,} clips are there, where a complete copy has {published.clips:,}"
        findings.append(Finding(f"{text}{hint}: {get}", names))
    subjects = len({clip.subject for clip in clips})
    if published.subjects is not None and subjects != published.subjects:
        gone = missing_numbers(clips)
        hint = f" (not there: {shown(gone, 2 * SHOWN)})" if gone and subjects < published.subjects else ""
        findings.append(Finding(f"{subjects} of {published.subjects} subjects are there{hint}: {get}", gone))
    sides = Counter(clip.split for clip in clips if clip.split)
    for what, expected, counter in (
        ("class", published.classes, Counter(clip.label for clip in clips)),
        ("split", published.splits, sides),
    ):
        differing = [
            f"{name} {counter[name]:,} of {number:,}" for name, number in expected.items() if counter[name] != number
        ]
        if differing:
            findings.append(
                Finding(
                    f"the counts of {counted(len(differing), what)} are not the published ones "
                    f"({shown(differing, 8)}): figures on this copy cannot be compared with published ones",
                    tuple(differing),
                )
            )
    return findings


def suspects(clips: Sequence[Clip], fewer: bool) -> tuple[str, tuple[str, ...]]:
    """What makes the number of clips differ, where nearly all subjects have equally many: a word, and names.

    Where they also have clips of the same names, but for the subject's, the names of those that some lack; else the
    subjects who have another number of them.
    """
    per_subject = Counter(clip.subject for clip in clips)
    usual, how_many = Counter(per_subject.values()).most_common(1)[0]
    if usual < 2 or how_many < USUAL * len(per_subject):
        return "", ()
    odd = {subject: n for subject, n in per_subject.items() if (n < usual if fewer else n > usual)}
    names = lacking(clips, list(odd)) if fewer else []
    if len(names) == sum(usual - number for number in odd.values()):
        return "not there: ", tuple(names)
    return "", tuple(f"subject {subject} has {odd[subject]} of {usual}" for subject in sorted(odd, key=natural_key))


def lacking(clips: Sequence[Clip], subjects: Sequence[str]) -> list[str]:
    """Clip ids that ``subjects`` do not have, though nearly all others have them under their own names."""
    held: dict[str, set[str]] = {}
    for clip in clips:
        before, found, after = clip.clip_id.rpartition(clip.subject)
        if found:
            held.setdefault(f"{before}{{}}{after}", set()).add(clip.subject)
    everybody = len({clip.subject for clip in clips})
    common = {template: who for template, who in held.items() if len(who) >= COMMON * everybody}
    names = [
        template.replace("{}", subject)
        for template, who in common.items()
        for subject in subjects
        if subject not in who
    ]
    return sorted(names, key=natural_key)


def missing_numbers(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Numbers that are left out between the subjects' names, where these are numbers that else run on."""
    names = sorted({clip.subject for clip in clips}, key=natural_key)
    parts = [re.fullmatch(r"(\D*)(\d+)", name) for name in names]
    if not parts or not all(parts) or len({part[1] for part in parts if part}) > 1:
        return ()
    numbers = [int(part[2]) for part in parts if part]
    gone = sorted(set(range(min(1, numbers[0]), numbers[-1])) - set(numbers) - {0})
    width = len(parts[0][2]) if parts[0] else 0
    return tuple(f"{parts[0][1]}{number:0{width}}" for number in gone) if parts[0] and len(gone) < len(names) else ()
