"""What expressions are called: one table of synonyms, by which labels of one dataset are matched with those of another.

Datasets and models name the same expression differently (happy, happiness, joy, HAP). Two labels match if they are
equal but for case and punctuation, or if the table gives both the same canonical name. Nothing else matches: a class
that is only similar (calm and neutral, anxiety and fear) is another class, unless the user says otherwise.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stgt.errors import StgtError

#: What may become of clips whose label a model cannot name.
UNMATCHED = ("leave_out", "mistake")
#: Which of its labels a model may answer with.
ANSWERS = ("all", "shared")

#: Canonical name -> what else it is called, as ``plain`` writes it: English words, and the codes of file names
#: (CREMA-D's three letters; the two letters of JAFFE and eNTERFACE). Single letters and numbers mean something else in
#: every dataset; a card says what.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "anger": ("angry", "mad", "rage", "ang", "an"),
    "anxiety": ("anxious",),
    "boredom": ("bored",),
    "calm": ("calmness",),
    "confusion": ("confused",),
    "contempt": ("contemptuous", "disdain", "scorn", "cont", "con"),
    "disappointment": ("disappointed",),
    "disgust": ("disgusted", "disg", "dis", "di"),
    "excitement": ("excited",),
    "fear": ("fearful", "afraid", "scared", "frightened", "fea", "fe"),
    "happiness": ("happy", "joy", "joyful", "enjoyment", "smile", "hap", "ha"),
    "helplessness": ("helpless",),
    "neutral": ("neutrality", "no expression", "expressionless", "neut", "neu", "ne"),
    "sadness": ("sad", "sorrow", "sorrowful", "sa"),
    "surprise": ("surprised", "astonishment", "astonished", "surp", "sur", "su"),
}


def plain(name: str) -> str:
    """``name`` in small letters with single spaces for everything that is neither letter nor digit.

    >>> plain(" No_Expression ")
    'no expression'
    """
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


_CANONICAL = {plain(word): name for name, words in SYNONYMS.items() for word in (name, *words)}


def canonical(name: str) -> str | None:
    """The canonical name of an expression; None if the table does not know it.

    >>> canonical("Joy"), canonical("HAP"), canonical("surprises"), canonical("wink")
    ('happiness', 'happiness', 'surprise', None)
    """
    word = plain(name)
    return _CANONICAL.get(word) or _CANONICAL.get(word.removesuffix("s"))


def meaning(name: str) -> str:
    """What ``name`` is compared by: its canonical name, or itself, plainly written, if the table does not know it."""
    return canonical(name) or plain(name)


@dataclass(frozen=True)
class Matched:
    """Labels of a dataset matched with those of a model."""

    pairs: Mapping[str, str] = field(default_factory=dict)
    """Label of the dataset -> label of the model, in the dataset's order; several may share one."""
    unmatched_dataset: tuple[str, ...] = ()
    """Labels of the dataset that the model cannot name."""
    unmatched_model: tuple[str, ...] = ()
    """Labels of the model that the dataset does not have."""

    @property
    def shared(self) -> tuple[str, ...]:
        """The model's labels that the dataset has, each once, in the dataset's order."""
        return tuple(dict.fromkeys(self.pairs.values()))

    @property
    def renamed(self) -> dict[str, str]:
        """The pairs whose two names differ."""
        return {ours: theirs for ours, theirs in self.pairs.items() if ours != theirs}


def match(
    dataset_labels: Iterable[str], model_labels: Iterable[str], extra: Mapping[str, str] | None = None
) -> Matched:
    """Match the labels of a dataset with those of a model, by name.

    An equal name goes first, then an equal meaning. If a model has two labels of one meaning, the first is taken.

    Args:
        dataset_labels: names, each once.
        model_labels: names, each once.
        extra: label of the dataset -> label of the model, which goes before the table; an empty one is matched with
            nothing.

    Raises:
        StgtError: ``extra`` names a label that is not there.

    >>> match(["joy", "wink"], ["happiness", "fear"])
    Matched(pairs={'joy': 'happiness'}, unmatched_dataset=('wink',), unmatched_model=('fear',))
    """
    dataset_labels, model_labels = tuple(dataset_labels), tuple(model_labels)
    by_meaning = {meaning(label): label for label in reversed(model_labels)}
    given = dict(extra or {})
    require_known(given, dataset_labels, "the dataset")
    require_known([label for label in given.values() if label], model_labels, "the model")
    pairs = {}
    for label in dataset_labels:
        same = label if label in model_labels else by_meaning.get(meaning(label))
        found = given.get(label, same)
        if found:
            pairs[label] = found
    return Matched(
        pairs,
        tuple(label for label in dataset_labels if label not in pairs),
        tuple(label for label in model_labels if label not in pairs.values()),
    )


def require_known(labels: Iterable[str], known: tuple[str, ...], whose: str) -> None:
    """Raise StgtError if one of ``labels`` is not ``known``."""
    for label in labels:
        if label not in known:
            raise StgtError(f"there is no label {label!r}: the labels of {whose} are {', '.join(known)}")
