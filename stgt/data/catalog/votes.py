"""Labels as votes: how many annotators saw which expression, or how much of a blend each is -> shares of classes."""

import math
from collections.abc import Callable, Mapping

from stgt.data.catalog.layouts import Votes
from stgt.errors import DatasetError

#: Why clips are left out, as notes say it; each names all clips that it is about.
NO_NUMBERS = "votes that are not numbers"
ZERO = "votes that sum to zero"
NO_EXPRESSION = "most votes are for no expression ({})"
UNDECIDED = "no expression has more than {:.0%} of the votes"
ONLY_OUTLIERS = "no expression has more than {:g} votes"


def shares_of(
    rule: Votes, groups: Mapping[str, str | None], label: Callable[[str], str | None]
) -> tuple[dict[str, float] | None, str]:
    """The shares of a clip's classes, the largest first, and why the clip is left out; empty: it is not.

    As Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution"
    (ICMI 2016), and their code, treat FER+: single votes are removed, a majority is one of all votes that are left,
    those for no expression among them, and the shares are of the votes for expressions.

    Args:
        rule: of the layout.
        groups: columns of the clip's row.
        label: the class name that a code means, or None.

    Raises:
        DatasetError: a column is missing, or a class is not one of the card's.
    """
    texts = written_shares(groups.get(rule.column) or "") if rule.column else columns(rule, groups)
    if texts == {}:
        return None, ""
    votes = numbers(texts)
    if votes is None:
        return None, NO_NUMBERS
    if sum(votes.values()) == 0:
        return None, ZERO
    kept = {name: count if count > rule.outliers else 0.0 for name, count in votes.items()}
    total = sum(kept.values())
    if total == 0:
        return None, ONLY_OUTLIERS.format(rule.outliers)
    expressions = {name: count for name, count in kept.items() if name not in rule.none}
    first = max(expressions, key=expressions.__getitem__)
    if any(kept[name] > expressions[first] for name in rule.none):
        return None, NO_EXPRESSION.format(", ".join(rule.none))
    if expressions[first] <= rule.majority * total:
        return None, UNDECIDED.format(rule.majority)
    seen = sum(expressions.values())
    shares: dict[str, float] = {}
    for code, count in sorted(expressions.items(), key=lambda pair: -pair[1]):
        name = label(code)
        if name is None:
            raise DatasetError(f"votes are for {code!r}, which is not one of the card's classes")
        if count:
            shares[name] = shares.get(name, 0.0) + count / seen
    return shares, ""


def columns(rule: Votes, groups: Mapping[str, str | None]) -> dict[str, str]:
    """What the columns of votes say, those for no expression last."""
    wanted = {**rule.columns, **{name: name for name in rule.none}}
    missing = next((column for column in wanted.values() if column not in groups), None)
    if missing is not None:
        raise DatasetError(f"the lists have no column {missing!r} of votes; they have {', '.join(groups)}")
    return {name: groups[column] or "" for name, column in wanted.items()}


def written_shares(text: str) -> dict[str, str]:
    """``"anger=0.7 fear=0.3"`` -> its names and numbers, still as text."""
    return {name: number for name, _, number in (part.partition("=") for part in text.split())}


def numbers(texts: Mapping[str, str]) -> dict[str, float] | None:
    """Texts as numbers that are neither negative nor infinite; None if one is not."""
    try:
        found = {name: float(text) for name, text in texts.items()}
    except ValueError:
        return None
    return found if all(math.isfinite(number) and number >= 0 for number in found.values()) else None
