"""What is done about classes and datasets of which there are more clips than of others, in drawing.

Some losses (``stgt.learning.losses``) correct frequencies as well: those of the clips *as they are drawn*. Drawing that
is balanced already leaves the loss nothing to correct, and nothing is corrected twice.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stgt.data.union import assignments
from stgt.errors import StgtError

#: A clip's chance to be drawn is its class's number of clips to this power.
DRAWING = {"natural": 0.0, "square_root": -0.5, "balanced": -1.0}


def drawing_weights(
    targets: NDArray[np.integer], datasets: Sequence[str], sampling: str, dataset_weights: str = ""
) -> NDArray[np.float64] | None:
    """How often each clip is drawn, relative to the others; None: each once.

    Args:
        targets: (N,) number of each clip's class.
        datasets: N names, the dataset that each clip is from.
        sampling: ``natural``, ``balanced`` or ``square_root``.
        dataset_weights: ``"a=1,b=2"``: two of three clips drawn are from b. Classes are balanced within each dataset
            then, as their labels follow its own habits. Empty: the clips of all datasets are as good as of one.

    Raises:
        StgtError: no weight for one of the datasets, or one that is not a positive number.
    """
    shares = parse_dataset_weights(dataset_weights, set(datasets))
    if sampling == "natural" and not shares:
        return None
    weights = np.ones(len(targets))
    home = np.array(datasets) if shares else np.full(len(targets), "")
    for name in np.unique(home):
        own = home == name
        count = np.bincount(targets[own])
        weights[own] = count[targets[own]] ** DRAWING[sampling]
        if shares:
            weights[own] *= shares[str(name)] / weights[own].sum()
    return weights


def parse_dataset_weights(text: str, datasets: set[str]) -> dict[str, float]:
    """``"a=1,b=2"`` -> ``{"a": 1.0, "b": 2.0}``; at least one for each of ``datasets``, or none at all.

    A fold may train on some of a union's datasets alone: the weights of the others mean nothing then.

    Raises:
        StgtError: see ``drawing_weights``.
    """
    shares: dict[str, float] = {}
    for name, value in assignments(text, "dataset_weights").items():
        try:
            shares[name] = float(value)
        except ValueError:
            shares[name] = math.nan
        if not 0 < shares[name] < math.inf:
            raise StgtError(f"--dataset_weights has {name}={value}; a weight is a positive number, as in afew=1,dfew=2")
    if shares and not datasets <= set(shares):
        raise StgtError(
            f"--dataset_weights is for {', '.join(shares)}, but the clips are of {', '.join(sorted(datasets))}; "
            "give each of these its weight"
        )
    return shares


def class_frequencies(
    targets: NDArray[np.integer], classes: int, weights: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """(K,) how many clips of each class an epoch draws, with weights as of ``drawing_weights``: N in all."""
    if weights is None:
        return np.bincount(targets, minlength=classes).astype(np.float64)
    return np.bincount(targets, weights * len(targets) / weights.sum(), minlength=classes)
