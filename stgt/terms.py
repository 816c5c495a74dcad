"""The little language in which losses and targets are written: ``cross_entropy+affinity:0.5+focal(gamma=3)``.

A term is a name, parameters in parentheses where they differ from the default, and a weight after a colon; a plus joins
terms. The tables say what there is, without anything heavy: options are checked before torch is imported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from stgt.errors import StgtError

#: What ``OptimisationConfig.loss`` is for the loss of a frame encoder's own paper.
PAPER = "paper"

#: The losses that alone train a classifier, and their parameters; None: what the other settings say.
CLASSIFICATION_LOSSES: dict[str, dict[str, float | None]] = {
    "cross_entropy": {"smoothing": None, "class_weights": None},
    "class_balanced": {"smoothing": None, "beta": None},
    "logit_adjusted": {"smoothing": None, "tau": None},
    "focal": {"smoothing": None, "gamma": 2.0},
    "additive_angular_margin": {"margin": 0.3, "scale": 30.0},
    "kullback_leibler": {"smoothing": 0.0},
    "jeffreys": {"smoothing": 0.01},
    "multi_label": {},
    "branches": {"smoothing": None},
}

#: The losses that come on top of them.
FURTHER_LOSSES: dict[str, dict[str, float | None]] = {
    "affinity": {},
    "partition": {},
    "region_biased": {"margin": 0.02},
    "locality_preserving": {"neighbours": 20.0},
    "centre": {"rate": 0.5},
    "attentive_centre": {"rate": 0.5},
    "adaptive_correlation": {},
    "reconstruction": {},
}

LOSSES = CLASSIFICATION_LOSSES | FURTHER_LOSSES

#: What a clip is held against in training, and the parameters of that.
TARGETS: dict[str, dict[str, float | None]] = {
    "single": {},
    "majority": {"threshold": 0.5},
    "multi_label": {"threshold": 0.3},
    "draw": {},
    "distribution": {},
    "class_mean": {"share": 0.1},
    "estimated": {"neighbours": 16.0, "start": 0.4, "end": 0.1},
}

_TERM = re.compile(r"(?P<name>[\w-]+)\s*(\((?P<parameters>[^()]*)\))?\s*(:\s*(?P<weight>[^:]+))?")


@dataclass(frozen=True)
class Term:
    """One summand."""

    name: str
    parameters: dict[str, float | None] = field(default_factory=dict)
    """All parameters of the name: those given, and the defaults of the others."""
    weight: float = 1.0


def parse_loss(text: str) -> tuple[Term, ...]:
    """``"cross_entropy+affinity:0.5"`` -> its terms, of which the first trains the classifier.

    Raises:
        StgtError: not of this form, an unknown name or parameter, or a first term that trains no classifier.
    """
    terms = parse_terms(text, LOSSES, "optimisation.loss")
    if terms[0].name not in CLASSIFICATION_LOSSES:
        raise StgtError(
            f"optimisation.loss begins with {terms[0].name}, which alone trains no classifier; begin with one of "
            f"{', '.join(CLASSIFICATION_LOSSES)}"
        )
    twice = next((term.name for n, term in enumerate(terms) if term.name in {other.name for other in terms[:n]}), None)
    if twice:
        raise StgtError(f"optimisation.loss has {twice} twice; give it once, with the weight of both")
    return terms


def parse_targets(text: str) -> Term:
    """``"estimated(neighbours=12)"`` -> the one term that it is.

    Raises:
        StgtError: not of this form, an unknown name or parameter, or several terms.
    """
    terms = parse_terms(text, TARGETS, "optimisation.targets")
    if len(terms) > 1 or terms[0].weight != 1:
        raise StgtError(f"optimisation.targets is {text!r}; it is one of {', '.join(TARGETS)}, without a weight")
    return terms[0]


def parse_terms(text: str, known: Mapping[str, Mapping[str, float | None]], setting: str) -> tuple[Term, ...]:
    """A text -> its terms.

    Args:
        text: as the module says.
        known: the names, and the parameters of each with their defaults.
        setting: what the text is called in errors.
    """
    terms = []
    for part in re.split(r"\+(?![^(]*\))", text):
        found = _TERM.fullmatch(part.strip())
        if found is None:
            raise StgtError(
                f"{setting} is {text!r}; write name, name:weight or name(parameter=value):weight, joined by +"
            )
        name = found["name"]
        if name not in known:
            raise StgtError(f"{setting} has {name!r}, which is none of {', '.join(known)}")
        parameters = _parameters(found["parameters"] or "", name, known[name], setting)
        weight = _number(found["weight"], f"the weight of {name}", setting) if found["weight"] else 1.0
        if weight < 0:
            raise StgtError(f"{setting}: the weight of {name} is {weight:g}; it must not be negative")
        terms.append(Term(name, parameters, weight))
    return tuple(terms)


def _parameters(text: str, name: str, defaults: Mapping[str, float | None], setting: str) -> dict[str, float | None]:
    values = dict(defaults)
    for assignment in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = (part.strip() for part in assignment.partition("="))
        if key not in defaults:
            what = f"has {', '.join(defaults)}" if defaults else "has no parameters"
            raise StgtError(f"{setting}: {name} has no parameter {key!r}; it {what}")
        values[key] = _number(value, f"{key} of {name}", setting)
    return values


def _number(text: str, what: str, setting: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise StgtError(f"{setting}: {what} is {text.strip()!r}, which is no number") from None
