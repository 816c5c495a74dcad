"""``stgt datasets``: which datasets STGT knows, which of them are on this machine, and how to get the others.

``stgt datasets check NAME`` verifies a copy, ``stgt datasets page`` prints docs/datasets.md.
"""

import sys
import textwrap
from typing import TYPE_CHECKING

from stgt.command import argument_parser, run
from stgt.data.catalog.cards import ClipListing, DatasetCard, list_cards, load_card
from stgt.data.disk import counted
from stgt.data.protocols import describe_subjects
from stgt.errors import DatasetError

if TYPE_CHECKING:
    from stgt.data.catalog.check import Checked

WIDTH = 110
INDENT = " " * 13


def main(arguments: list[str]) -> int:
    """Show all cards in short, or one in full; or one of the two further commands."""
    if arguments[:1] == ["check"]:
        return check(arguments[1:])
    if arguments[:1] == ["page"]:
        return page(arguments[1:])
    parser = argument_parser(
        "datasets",
        "List the datasets, or show everything about one.",
        "stgt datasets check NAME verifies a copy in depth; stgt datasets page prints docs/datasets.md.",
    )
    parser.add_argument("name", nargs="?", type=str, help="A card's name, or the path of your own card (.toml).")
    parser.add_argument("--root", type=str, default=None, help="Where the named dataset lies.")
    parser.add_argument("--subject_pattern", type=str, default=None, help="For folder: pattern that finds the subject.")
    parser.add_argument("--subject_csv", type=str, default=None, help="For folder: CSV with the columns clip, subject.")
    options = parser.parse_args(arguments)
    if options.name is None:
        if options.root is not None:
            raise DatasetError("--root says where one dataset lies: name it, as in stgt datasets crema-d --root FOLDER")
        print("\n\n".join(short(load_card(name)) for name in list_cards()))
        print("\nstgt datasets NAME shows the expected tree, protocols, published results and citation of one.")
        print("stgt datasets check NAME verifies a copy: is it whole, does nothing leak, can its clips be read.")
        return 0
    card = load_card(options.name)
    print(full(card, options.root, options.subject_pattern, options.subject_csv))
    return 0


def check(arguments: list[str]) -> int:
    """Verify a copy of a dataset; 1 if something is wrong with it."""
    parser = argument_parser(
        "datasets check",
        "Verify a copy of a dataset: is it whole, does nothing leak, can its clips be read. Exit code 1: something is "
        "wrong with it.",
    )
    parser.add_argument("name", type=str, help="A card's name, or the path of your own card (.toml).")
    parser.add_argument("--root", type=str, default=None, help="Where the dataset lies.")
    parser.add_argument("--subject_pattern", type=str, default=None, help="For folder: pattern that finds the subject.")
    parser.add_argument("--subject_csv", type=str, default=None, help="For folder: CSV with the columns clip, subject.")
    parser.add_argument("--sample", type=int, default=24, help="Clips to decode, spread over all of them.")
    parser.add_argument("--faces", type=int, default=0, help="Of these, clips in which a face is looked for.")
    parser.add_argument("--workers", type=int, default=None, help="Threads that decode; none: one per core.")
    parser.add_argument("--report", type=str, default=None, help="Text file for all findings with all names.")
    options = parser.parse_args(arguments)
    for name in ("sample", "faces", "workers"):
        value = getattr(options, name)
        if value is not None and value < (name == "workers"):
            raise DatasetError(f"--{name} is {value}; it cannot be less than {int(name == 'workers')}")

    from tqdm import tqdm

    from stgt.data.catalog.check import check_copy
    from stgt.files import write_text

    bars = []

    def progress(count: int):  # noqa: ANN202 - the bar's own method
        bars.append(tqdm(total=count, desc="decoding", unit="clip", dynamic_ncols=True))
        return bars[0].update

    card = load_card(options.name)
    if card.locate(options.root):
        print(f"reading {card.locate(options.root)} ...", file=sys.stderr)
    try:
        checked = check_copy(
            card,
            options.root,
            options.subject_pattern,
            options.subject_csv,
            options.sample,
            options.faces,
            options.workers,
            progress,
        )
    finally:
        for bar in bars:
            bar.close()
    print(verdict(checked))
    if options.report:
        write_text(options.report, details(checked))
        print(f"\nall names: {options.report}")
    return 1 if checked.faults else 0


def verdict(checked: "Checked") -> str:
    """What a check found, in short."""
    card = checked.card
    lines = [f"{card.name:<12} {card.title}", *paragraph("root", str(checked.root))]
    if checked.clips:
        classes = tuple(dict.fromkeys([*card.classes, *sorted({clip.label for clip in checked.clips})]))
        listing = ClipListing(checked.root, checked.clips, (), classes)
        lines += paragraph("layout", checked.layout) if checked.layout else []
        lines += paragraph("holds", holds(listing))
    for name, folds in checked.folds.items():
        tested = " ".join(map(str, folds)) if len(folds) <= 12 else f"{min(folds)} to {max(folds)}"
        lines += paragraph("protocol", f"{name}: {counted(len(folds), 'fold')}, testing {tested} clips")
    if checked.looked:
        lines += paragraph("decoded", decoded(checked))
    for finding in checked.remarks:
        lines += paragraph("note", finding.sentence)
    for finding in checked.faults:
        lines += paragraph("WRONG", finding.sentence)
    count = len(checked.faults)
    whole = "" if card.counts else "; how much a complete copy holds is not known"
    lines += paragraph("verdict", f"{counted(count, 'thing')} wrong" if count else f"nothing is wrong{whole}")
    return "\n".join(lines)


def decoded(checked: "Checked") -> str:
    """What was decoded, in a line."""
    looked = checked.looked
    sizes: dict[str, int] = {}
    for each in looked:
        if each.size:
            name = f"{each.size[0]}x{each.size[1]}"
            sizes[name] = sizes.get(name, 0) + 1
    common = ", ".join(f"{name} ({number})" for name, number in sorted(sizes.items(), key=lambda item: -item[1])[:5])
    readable = sum(not each.fault for each in looked)
    text = f"{readable} of {counted(len(looked), 'clip')} readable, {sum(each.frames for each in looked):,} frames"
    searched = [each for each in looked if each.face is not None]
    faces = f"; a face in {sum(bool(each.face) for each in searched)} of {len(searched)}" if searched else ""
    return text + (f", {common}" if common else "") + faces


def details(checked: "Checked") -> str:
    """Every finding with every name that it is about, as text."""
    parts = []
    for finding in (*checked.faults, *checked.remarks):
        parts.append(
            "\n".join([("WRONG " if finding.fault else "") + finding.sentence, *(f"  {n}" for n in finding.names)])
        )
    return "\n\n".join(parts or ["nothing is wrong"]) + "\n"


def page(arguments: list[str]) -> int:
    """Print docs/datasets.md."""
    argument_parser("datasets page", "Print docs/datasets.md, which is made from the cards.").parse_args(arguments)
    from stgt.data.catalog.page import page_of_datasets

    print(page_of_datasets(), end="")
    return 0


def short(card: DatasetCard) -> str:
    """A card in a few lines: found or not, size, licence, how to get it."""
    lines = [f"{card.name:<12} {card.title}", *state(card)]
    lines += paragraph("licence", card.licence)
    if card.locate() is None:
        lines += paragraph("get it", card.how_to_get)
    return "\n".join(lines)


def state(
    card: DatasetCard, root: str | None = None, subject_pattern: str | None = None, subject_csv: str | None = None
) -> list[str]:
    """Lines on what is on this machine: found or not, where, how much, and what is odd about it."""
    place = card.locate(root)
    if place is None:
        places = ", ".join(map(str, card.places(root)))
        looked = f"looked in {places}" if places else "is wherever --root says"
        return [*paragraph("not found", looked), *paragraph("complete", complete(card))]
    try:
        listing = card.find_clips(root, subject_pattern, subject_csv)
    except DatasetError as error:
        return paragraph("unusable", str(error))
    lines = [*paragraph("found", str(place)), *paragraph("holds", holds(listing))]
    for note in listing.notes:
        lines += paragraph("note", note)
    return lines


def complete(card: DatasetCard) -> str:
    """How much a complete copy holds, as far as the card says."""
    classes = f"{counted(len(card.classes), 'class')} ({', '.join(card.classes)})" if card.classes else "any classes"
    if card.counts is None:
        return classes
    subjects = card.counts.subjects
    who = "subjects unknown" if subjects is None else counted(subjects, "subject")
    return f"{counted(card.counts.clips, 'clip')}, {who}, {classes}"


def holds(listing: ClipListing) -> str:
    """How much a copy holds."""
    classes = ", ".join(f"{name} {count}" for name, count in listing.clips_per_class.items())
    size = f"{counted(len(listing), 'clip')}, {describe_subjects(listing.clips)}"
    return f"{size}, {counted(len(listing.classes), 'class')} ({classes})"


def full(card: DatasetCard, root: str | None, subject_pattern: str | None, subject_csv: str | None) -> str:
    """Everything on a card."""
    lines = [f"{card.name:<12} {card.title}", *state(card, root, subject_pattern, subject_csv)]
    lines += paragraph("licence", card.licence)
    lines += paragraph("get it", card.how_to_get)
    if card.homepage:
        lines += paragraph("homepage", card.homepage)
    lines += block("tree", card.tree)
    for name, variant in card.variants.items():
        lines += paragraph("variant", f"{card.dataset}@{name}: {variant.summary}")
    for remark in card.remarks:
        lines += paragraph("note", remark)
    for protocol in card.protocols.values():
        default = " (default)" if protocol.name == card.default_protocol else ""
        lines += paragraph("protocol", f"{protocol.name}{default}: {protocol.summary}")
    for key, value in card.defaults.items():
        lines += paragraph("default", f"{key} = {value}")
    if card.known_broken:
        lines += paragraph("broken", f"in the release itself: {', '.join(card.known_broken)}")
    for result in card.published:
        uar = f", UAR {result.uar:.2f}" if result.uar is not None else ""
        note = f"; {result.note}" if result.note else ""
        text = f"{result.method}: WAR {result.war:.2f}{uar} (protocol: {result.protocol}{note}; {result.source})"
        lines += paragraph("published", text)
    if card.citation:
        lines += block("cite", card.citation)
    return "\n".join(lines)


def paragraph(head: str, text: str) -> list[str]:
    """``head`` and wrapped ``text`` beside it; further lines of ``text`` keep their form."""
    first, *rest = text.splitlines() or [""]
    wrapped = textwrap.wrap(first, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False) or [""]
    lines = [f"  {head:<11}{wrapped[0]}", *(INDENT + line for line in wrapped[1:])]
    return [*lines, *(INDENT + line for line in rest)]


def block(head: str, text: str) -> list[str]:
    """``head`` and text that keeps its lines."""
    return paragraph(head, "\n".join(text.strip("\n").splitlines()) if text.strip() else "")


if __name__ == "__main__":
    run(main)
