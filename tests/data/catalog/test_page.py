"""docs/datasets.md says what the cards say, and explains every key of the card language."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest

from stgt import datasets
from stgt.data.catalog import page
from stgt.data.catalog.cards import DatasetCard, list_cards, load_card
from stgt.data.rules import RULES

WRITTEN = Path(__file__).parents[3] / "docs/datasets.md"


def test_the_page_is_what_the_cards_give(capsys):
    text = page.page_of_datasets()
    assert WRITTEN.read_text(encoding="utf-8") == text, "make it again: stgt datasets page > docs/datasets.md"
    assert datasets.main(["page"]) == 0
    assert capsys.readouterr().out == text


def test_everything_of_every_card_is_on_the_page():
    text = " ".join(page.page_of_datasets().split())
    for name in list_cards():
        card = load_card(name)
        assert f"`{name}`" in text
        if card.subjects == "user":
            continue
        for said in (card.how_to_get, card.licence, card.tree, card.citation, *card.remarks):
            assert " ".join(said.split()).replace("(unverified)", "**(unverified)**") in text, (name, said)
        for protocol in card.protocols.values():
            assert protocol.summary in text
        for result in card.published:
            assert f"| {result.method} | {result.war:.2f} |" in text
            assert result.source in text
        for variant, about in card.variants.items():
            assert f"`{name}@{variant}` | {about.summary}" in text
        if card.counts:
            assert f"{card.counts.clips:,}" in text
        assert f"stgt train --dataset {name}" in text


def test_links_lead_somewhere():
    text = page.page_of_datasets()
    headings = {page.anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings


def dataclasses_below(kind, found=None):
    """All dataclasses that a card is made of."""
    found = {} if found is None else found
    if dataclasses.is_dataclass(kind):
        found[kind] = True
        for hint in typing.get_type_hints(kind).values():
            dataclasses_below(hint, found)
    for part in typing.get_args(kind):
        dataclasses_below(part, found)
    return found


@pytest.mark.parametrize("kind", dataclasses_below(DatasetCard), ids=lambda kind: kind.__name__)
def test_every_key_is_explained(kind):
    """Keys are read from the dataclasses, so a new one appears by itself, or is missed here."""
    assert kind in [table[1] for table in page.TABLES]
    keys = page.keys_of(kind)
    wanted = {field.name for field in dataclasses.fields(kind)}
    assert wanted - set(keys) <= {"name"}
    assert all(len(meaning) > 3 for meaning, _ in keys.values())
    for field in dataclasses.fields(kind):
        if field.name in keys:
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            assert (keys[field.name][1] is None) == required


def test_every_rule_is_explained():
    text = page.page_of_datasets()
    for name in RULES:
        assert f"| `{name}` |" in text


def test_the_examples_of_cards_are_cards(tmp_path):
    """The smallest useful card, and the one with official splits."""
    text = page.page_of_datasets().split("## Writing a card")[1]
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    smallest, official = ("\n".join(line[4:] for line in block.splitlines()) for block in blocks[:2])
    (tmp_path / "study.toml").write_text(smallest, encoding="utf-8")
    assert load_card(str(tmp_path / "study.toml")).classes == ("happiness", "neutral")
    head = 'title = "a"\nlicence = "b"\nhow_to_get = "c"\ntree = "d"\ndefault_protocol = "official"\n'
    (tmp_path / "splits.toml").write_text(head + official, encoding="utf-8")
    card = load_card(str(tmp_path / "splits.toml"))
    assert card.layouts[0].folds == 5
    assert card.protocol().rule == "official_folds"
