"""``stgt datasets``: which datasets STGT knows, which of them are on this machine, and how to get the others."""

import textwrap

from stgt.command import argument_parser, run
from stgt.data.catalog.cards import ClipListing, DatasetCard, list_cards, load_card
from stgt.data.disk import counted
from stgt.errors import DatasetError

WIDTH = 110
INDENT = " " * 13


def main(arguments: list[str]) -> int:
    """Show all cards in short, or one in full."""
    parser = argument_parser("datasets", "List the datasets, or show everything about one.")
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
        return 0
    card = load_card(options.name)
    print(full(card, options.root, options.subject_pattern, options.subject_csv))
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
    return f"{counted(card.counts.clips, 'clip')}, {counted(card.counts.subjects, 'subject')}, {classes}"


def holds(listing: ClipListing) -> str:
    """How much a copy holds."""
    classes = ", ".join(f"{name} {count}" for name, count in listing.clips_per_class.items())
    size = f"{counted(len(listing), 'clip')}, {counted(len(listing.subjects), 'subject')}"
    return f"{size}, {counted(len(listing.classes), 'class')} ({classes})"


def full(card: DatasetCard, root: str | None, subject_pattern: str | None, subject_csv: str | None) -> str:
    """Everything on a card."""
    lines = [f"{card.name:<12} {card.title}", *state(card, root, subject_pattern, subject_csv)]
    lines += paragraph("licence", card.licence)
    lines += paragraph("get it", card.how_to_get)
    if card.homepage:
        lines += paragraph("homepage", card.homepage)
    lines += block("tree", card.tree)
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
