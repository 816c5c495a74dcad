"""docs/datasets.md: what the cards say, what the card language means, and the hand-written rest of it (page.md).

``stgt datasets page > docs/datasets.md``, or ``python -m stgt.data.catalog.page``.
"""

import ast
import inspect
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from stgt.data.catalog import cards, layouts
from stgt.data.catalog.cards import DatasetCard, PublishedResult, list_cards, load_card
from stgt.data.catalog.layouts import Layout
from stgt.data.disk import counted, filled
from stgt.data.protocols import Protocol
from stgt.data.rules import RULES

#: Kinds of layouts in words.
KINDS = {
    "video": "videos",
    "images": "folders of images",
    "any": "videos or folders of images",
    "image": "pictures",
    "tracks": "tracks",
}
#: What makes the datasets that one renders oneself.
RENDERED = {
    "synthetic": "stgt synthesize --out data/synthetic",
    "synthetic-stills": "stgt synthesize --stills --out data/synthetic-stills",
}

#: The tables of a card: heading, class and what comes before it.
TABLES = (
    ("Keys of the card", cards.DatasetCard, ""),
    ("`[counts]`", cards.Counts, "What a complete copy holds; a copy is compared with it."),
    ("`[[layouts]]`", layouts.Layout, "One or more, tried in order until one gives clips. What all have in common may "
     "stand in a table `[common]`."),
    ("`[[layouts.lists]]`", layouts.SplitList, ""),
    ("`[[layouts.files]]`", layouts.TextFile, ""),
    ("`[[layouts.ignore]]`", layouts.Ignored, ""),
    ("`[layouts.votes]`", layouts.Votes, "Of layouts with lists: labels of which several share in a clip."),
    ("`[layouts.pixels]`", layouts.PixelTable, "Of layouts with one list: pictures as numbers. They are written out "
     "once into the cache (`$STGT_CACHE`, else the user's), named by the row: `clips = \"{pictures}/{row:5}\"`."),
    ("`[variants.NAME]`", cards.Variant, "Asked for as `DATASET@NAME`."),
    ("`[[refuse]]`", cards.Refusal, ""),
    ("`[protocols.NAME]`", Protocol, "One or more."),
    ("`[[published]]`", cards.PublishedResult, "Shown beside your results."),
)  # fmt: skip

#: What says itself in the code, or is said there for readers of code.
WORDS = {
    "DatasetCard.title": "what the dataset is called",
    "DatasetCard.licence": "under what terms it may be used",
    "DatasetCard.how_to_get": "shown when it is not there",
    "DatasetCard.homepage": "address",
    "DatasetCard.layouts": "how clips lie on disk, see below",
    "DatasetCard.protocols": "how it is split, see below",
    "DatasetCard.default_protocol": "one of the protocols",
    "DatasetCard.counts": "of a complete copy, see below",
    "DatasetCard.refuse": "known bad copies, see below",
    "DatasetCard.published": "figures from the literature, see below",
    "Counts.clips": "all of them",
    "Counts.subjects": "left out where nobody knows who is seen",
    "Layout.frame_rate": "Hz, of folders of images; of tracks, instead of the times in their files",
    "Protocol.rule": "one of the rules below",
    "Layout.ignore": "what is found but left out, see below",
    "PublishedResult.method": "what it is called",
    "PublishedResult.war": "accuracy in percent",
    "PublishedResult.uar": "mean recall of the classes in percent",
    "PublishedResult.source": "where it was published",
    "PublishedResult.protocol": "one of the protocols, or words",
    "PublishedResult.note": "what a reader must know to compare with it",
    "Refusal.find": "a pattern that only the bad copy matches",
    "Refusal.because": "why it is not used",
}

#: Fields that the program sets, not the card.
SET_BY_PROGRAM = {"DatasetCard.name", "Protocol.name"}


def page_of_datasets() -> str:
    """The text of docs/datasets.md."""
    template = (resources.files("stgt.data.catalog") / "page.md").read_text(encoding="utf-8")
    every = [load_card(name) for name in sorted(list_cards(), key=lambda name: (name == "folder", name))]
    parts = {
        "overview": overview(every),
        "datasets": "\n\n".join(section(card) for card in every if card.subjects != "user"),
        "keys": "\n\n".join(table_of_keys(*table) for table in TABLES),
        "rules": "\n".join(f"| `{name}` | {rule_in_words(name)} |" for name in RULES),
    }
    for name, text in parts.items():
        template = template.replace(f"{{{name}}}\n", f"{text}\n")
    return template


def overview(every: Sequence[DatasetCard]) -> str:
    """All datasets in a table."""
    rows = [
        "| card | dataset | clips / subjects / classes | protocol | licence | folder |",
        "|---|---|---|---|---|---|",
    ]
    for card in every:
        own = card.subjects == "user"
        link = "your-own-clips" if own else anchor(heading(card))
        folder = f"`data/{card.folders[0]}`" if card.folders else "given by `--root`"
        licence = re.split("[:;]", card.licence)[0]
        cells = (f"[`{card.name}`](#{link})", card.title, size(card), f"`{card.default_protocol}`", licence, folder)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def size(card: DatasetCard) -> str:
    """Clips, subjects and classes of a complete copy."""
    classes = str(len(card.classes)) if card.classes else "any"
    if card.counts is None:
        return f"varies / varies / {classes}"
    subjects = "unknown" if card.counts.subjects is None else card.counts.subjects
    return f"{card.counts.clips:,} / {subjects} / {classes}"


def heading(card: DatasetCard) -> str:
    """The heading of a card's section."""
    return f"{card.title} (`{card.name}`)"


def anchor(text: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def section(card: DatasetCard) -> str:
    """All that a card says of its dataset."""
    parts = [
        f"## {heading(card)}",
        f"{sentence(card.how_to_get)} Licence: {sentence(card.licence)}"
        + (f" <{card.homepage}>" if card.homepage else ""),
        indented(card.tree),
        held(card),
        read_as(card),
        bullets([*card.remarks, *other_places(card), *broken(card), *refused(card)]),
        variants(card),
        protocols(card),
        indented("\n".join(commands(card))),
        published(card.published),
        "```bibtex\n" + card.citation.strip("\n") + "\n```" if card.citation.strip() else "",
    ]
    return "\n\n".join(part for part in parts if part)


def sentence(text: str) -> str:
    """``text`` with a full stop."""
    text = " ".join(text.split())
    return text if text.endswith((".", ")", "!", "?")) else f"{text}."


def indented(text: str) -> str:
    """A block of code."""
    return "\n".join(f"    {line}".rstrip() for line in text.strip("\n").splitlines())


def bullets(lines: Sequence[str]) -> str:
    """A list; marks of what nobody could check stand out."""
    return "\n".join(f"- {line.replace('(unverified)', '**(unverified)**')}" for line in lines)


def held(card: DatasetCard) -> str:
    """Classes and counts."""
    counts = card.counts
    names = ", ".join(
        f"{name} {counts.classes[name]:,}" if counts and name in counts.classes else name for name in card.classes
    )
    classes = f"{counted(len(card.classes), 'class')}: {names}." if names else ""
    if counts is None:
        return f"How much a complete copy holds is not fixed. {classes}".strip()
    who = "subjects unknown" if counts.subjects is None else counted(counts.subjects, "subject")
    splits = ", ".join(f"{name} {number:,}" for name, number in counts.splits.items())
    return f"{counted(counts.clips, 'clip')}, {who}; {classes}" + (f" Official split: {splits}." if splits else "")


def read_as(card: DatasetCard) -> str:
    """How its clips are read, and what is recommended for it."""
    kinds = [named(layout) for layout in card.layouts]
    text = f"Read as {'; else '.join(dict.fromkeys(kinds))}."
    if card.apex == "last":
        text += " Clips end at the strongest expression, and so do windows."
    if card.defaults:
        text += f" Unless said otherwise, {', '.join(f'`{key}` is {value}' for key, value in card.defaults.items())}."
    return text


def named(layout: Layout) -> str:
    """A layout in words."""
    rate = f" at {layout.frame_rate:g} Hz" if layout.frame_rate and layout.kind in ("images", "any") else ""
    if rate and layout.kind == "any":
        rate = f" (images{rate})"
    lists = " that its lists name" if layout.table or layout.lists else ""
    kind = f"aligned {KINDS[layout.kind]}" if layout.aligned else KINDS[layout.kind]
    return f"{kind}{rate}{lists}" + (f" (`{layout.name}`)" if layout.name else "")


def broken(card: DatasetCard) -> list[str]:
    """What is broken in the release."""
    if not card.known_broken:
        return []
    return [
        f"Broken in the release itself: {', '.join(f'`{name}`' for name in card.known_broken)}; skipped and counted."
    ]


def other_places(card: DatasetCard) -> list[str]:
    """Under which other names folders of its tree are found."""
    lines = []
    for layout in card.layouts:
        for folders in layout.places.values():
            named = [filled(folder, card.values, partly=True) for folder in folders]
            first, *others = (f"`{folder}`" if folder != "." else "the folder itself" for folder in named)
            if others:
                lines.append(f"{first} may also be {', '.join(others)}.")
    return list(dict.fromkeys(lines))


def refused(card: DatasetCard) -> list[str]:
    """Which copies are not used."""
    return [f"A copy with `{refusal.find}` in it is refused: {refusal.because}." for refusal in card.refuse]


def variants(card: DatasetCard) -> str:
    """Other choices of its recordings."""
    if not card.variants:
        return ""
    rows = [f"| `{card.name}@{name}` | {variant.summary} |" for name, variant in card.variants.items()]
    return "\n".join(["| variant | what it reads |", "|---|---|", *rows])


def protocols(card: DatasetCard) -> str:
    """The protocols with the sizes of their folds, where they are known."""
    rows = ["| protocol | folds | rule | test clips of each fold |", "|---|---|---|---|"]
    for name, protocol in card.protocols.items():
        tested = card.counts.folds.get(name, ()) if card.counts else ()
        folds = (
            protocol.folds
            or len(protocol.test_subjects)
            or len(tested)
            or {"official": 1, "train_validation": 1}.get(protocol.rule, "")
        )
        if not folds and protocol.rule == "leave_one_subject_out" and card.counts and card.counts.subjects:
            folds = card.counts.subjects
        default = " (default)" if name == card.default_protocol else ""
        numbers = ", ".join(f"{number:,}" for number in tested)
        rows.append(f"| `{name}`{default} | {folds} | {protocol.summary} | {numbers} |")
    return "\n".join(rows)


def commands(card: DatasetCard) -> list[str]:
    """What a user types."""
    model = " --model dan" if all(layout.kind == "image" for layout in card.layouts) else ""
    if card.name in RENDERED:
        return [RENDERED[card.name], f"stgt train --dataset {card.name}{model}"]
    return [
        f"stgt datasets check {card.name} --root FOLDER",
        f"stgt train --dataset {card.name}{model} --root FOLDER",
    ]


def published(results: Sequence[PublishedResult]) -> str:
    """Figures from the literature."""
    if not results:
        return ""
    rows = ["| published | WAR | UAR | protocol | source |", "|---|---|---|---|---|"]
    for result in results:
        uar = f"{result.uar:.2f}" if result.uar is not None else ""
        note = f" ({result.note})" if result.note else ""
        source = result.source.replace("(unverified)", "**(unverified)**")
        rows.append(f"| {result.method} | {result.war:.2f} | {uar} | {result.protocol}{note} | {source} |")
    return "\n".join(rows).replace("(unverified)", "**(unverified)**").replace("****", "**")


def table_of_keys(title: str, kind: type, before: str) -> str:
    """The keys of a table of the card language: what each means, and what it is when left out."""
    rows = ["| key | meaning |", "|---|---|"]
    for name, (meaning, default) in keys_of(kind).items():
        required = " (required)" if default is None else ""
        rows.append(f"| `{name}`{required} | {meaning} |")
    return "\n\n".join(part for part in (f"### {title}", before, "\n".join(rows)) if part)


@cache
def keys_of(kind: type) -> dict[str, tuple[str, str | None]]:
    """Key -> its meaning, and its default as written (None: it has none), from the fields' own docstrings.

    Raises:
        KeyError: a key is explained nowhere.
    """
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    keys: dict[str, tuple[str, str | None]] = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        name, said = node.target.id, None
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            said = str(following.value.value)
        full = f"{kind.__name__}.{name}"
        if full not in SET_BY_PROGRAM:
            default = ast.unparse(node.value) if node.value else None
            keys[name] = (in_markdown(WORDS[full] if said is None else WORDS.get(full, said)), default)
    return keys


def in_markdown(text: str) -> str:
    """A docstring as a table's cell: one line, code between single backticks, no bars."""
    text = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    text = text[:1].lower() + text[1:] if re.match(r"([A-Z][a-z]{2,}|A)\b", text) else text
    return text.removesuffix(".")


def rule_in_words(name: str) -> str:
    """What a rule of protocols does, from its docstring."""
    return in_markdown(inspect.getdoc(RULES[name]) or "")


if __name__ == "__main__":
    print(page_of_datasets(), end="")
