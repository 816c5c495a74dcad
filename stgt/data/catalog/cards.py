"""Dataset cards by name: reads them from ``datasets/*.toml``, or from a user's own file."""

import difflib
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from stgt.data.catalog.card import ClipListing, Counts, DatasetCard, PublishedResult, Refusal, Variant
from stgt.data.catalog.layouts import Clip
from stgt.data.catalog.parsing import from_table
from stgt.data.catalog.tree import KINDS
from stgt.errors import DatasetError

__all__ = [
    "Clip",
    "ClipListing",
    "Counts",
    "DatasetCard",
    "PublishedResult",
    "Refusal",
    "Variant",
    "list_cards",
    "load_card",
]


def list_cards() -> list[str]:
    """Names of the cards that come with STGT."""
    files = (file.name for file in resources.files("stgt.cards").iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load_card(name: str) -> DatasetCard:
    """The card called ``name``, or the user's own one at the path ``name`` (ending in .toml); ``NAME@VARIANT`` chooses.

    Raises:
        DatasetError: no such card or variant, or the file does not follow the schema (the sentence names file and key).
    """
    asked, _, variant = name.partition("@")
    if asked.endswith(".toml"):
        path = Path(asked).expanduser()
        if not path.is_file():
            raise DatasetError(f"there is no card {path}")
        return parse_card(path.stem, path.read_text(encoding="utf-8"), str(path), variant)
    cards = list_cards()
    if asked.lower() not in cards:
        near = difflib.get_close_matches(asked.lower(), cards, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise DatasetError(
            f"there is no dataset {asked!r}; {hint}the cards are {', '.join(cards)}, or the path of your own .toml card"
        )
    file = f"{asked.lower()}.toml"
    return parse_card(asked.lower(), (resources.files("stgt.cards") / file).read_text(encoding="utf-8"), file, variant)


def parse_card(name: str, text: str, where: str, variant: str = "") -> DatasetCard:
    """A card from the text of its TOML file, changed by its ``variant``; ``where`` is how errors name the file."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{where} is not TOML: {error}") from None
    variants = values.get("variants", {})
    if variant:
        if variant not in variants:
            has = f"it has {', '.join(variants)}" if variants else "it has none"
            raise DatasetError(f"{name} has no variant {variant!r}; {has}")
        values = merged(values, variants[variant].get("changes", {}))
        if "classes" in values:
            values["labels"] = {code: to for code, to in values.get("labels", {}).items() if to in values["classes"]}
        name = f"{name}@{variant}"
    common = values.pop("common", {})
    values["layouts"] = [merged(common, layout) for layout in values.get("layouts", [])]
    protocols = {key: {"name": key, **value} for key, value in values.pop("protocols", {}).items()}
    card = from_table(DatasetCard, {"name": name, **values, "protocols": protocols}, where)
    check(card, where)
    return card


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with ``changes``: the entries of a table are added to it, anything else is replaced."""
    result = dict(values)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = {**result[key], **value} if both else value
    return result


def check(card: DatasetCard, where: str) -> None:
    """Raise DatasetError where the parts of a card do not fit each other."""
    if card.default_protocol not in card.protocols:
        raise DatasetError(f"{where}: default_protocol {card.default_protocol!r} is not one of its protocols")
    one_of(card.apex, ("last", "unknown"), "apex", where)
    one_of(card.subjects, ("known", "user", "none"), "subjects", where)
    for layout in card.layouts:
        lists = bool(layout.table) + bool(layout.lists)
        if lists > 1 or not (lists or layout.match):
            raise DatasetError(
                f"{where}: a layout has either match (a pattern over paths) or table or lists (of clips)"
            )
        one_of(layout.kind, tuple(KINDS), "kind", where)
        for file in layout.files:
            one_of(file.over, ("text", "path", "array"), "over", where)
    for name in card.use:
        one_of(name, tuple(layout.name for layout in card.layouts), "use", where)
    known = set(card.classes)
    stray = sorted(label for label in card.labels.values() if known and label not in known)
    if stray:
        raise DatasetError(f"{where}: labels name {stray[0]!r}, which is not one of its classes")


def one_of(value: str, allowed: tuple[str, ...], key: str, where: str) -> None:
    """Raise DatasetError if ``value`` of ``key`` is not one of ``allowed``."""
    if value not in allowed:
        raise DatasetError(f"{where}: {key} is {value!r}; it is one of {', '.join(allowed)}")
