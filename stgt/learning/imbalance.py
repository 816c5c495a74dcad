"""What is done about classes and datasets of which there are more clips than of others: in drawing, and in the loss.

The frequencies that a loss corrects are those of the clips *as they are drawn*: drawing that is balanced already leaves
the loss nothing to correct, and nothing is corrected twice.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from stgt.config import OptimisationConfig
from stgt.data.union import assignments
from stgt.errors import StgtError
from stgt.learning.distributed import processes, summed

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


class ClassificationLoss(nn.Module):
    """Cross entropy with label smoothing, and with what ``OptimisationConfig.loss`` does for rare classes.

    Args:
        config: which loss, and its parameters.
        frequencies: (K,) clips of each class as they are drawn; none: all classes count alike.
    """

    def __init__(self, config: OptimisationConfig, frequencies: NDArray[np.floating] | None = None) -> None:
        super().__init__()
        self.kind = config.loss if frequencies is not None else "cross_entropy"
        self.label_smoothing = config.label_smoothing
        table = None
        if frequencies is not None:
            if self.kind == "class_balanced":
                table = effective_number_weights(frequencies, config.class_balance)
            elif self.kind == "logit_adjusted":
                table = config.logit_adjustment * log_priors(frequencies)
            elif config.class_weights:
                table = balanced_weights(frequencies)
        self.register_buffer("table", table, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of (B,K) logits and (B,) numbers of classes."""
        if self.kind == "logit_adjusted":
            return F.cross_entropy(logits + self.table, targets, label_smoothing=self.label_smoothing)
        if self.kind == "class_balanced":
            # The mean over clips, not over weights: a batch of common classes only is to count little.
            each = F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing, reduction="none")
            return (self.table[targets] * each).mean()
        mean = F.cross_entropy(logits, targets, weight=self.table, label_smoothing=self.label_smoothing)
        if self.table is None or processes() == 1:
            return mean
        # The mean is over the weights in a process; what counts are those of the whole step.
        weight = self.table[targets].sum()
        return mean * weight * processes() / summed(weight)


def balanced_weights(frequencies: NDArray[np.floating]) -> Tensor:
    """Inverse square-root frequency weights (K,), mean 1 over the training clips; absent classes get 0.

    The square root lies between no weighting and full balance: full balance on a class with a handful of clips makes
    the loss follow those clips.
    """
    weights = np.divide(1.0, np.sqrt(frequencies), out=np.zeros(len(frequencies)), where=frequencies > 0)
    return torch.tensor(weights * frequencies.sum() / (weights * frequencies).sum(), dtype=torch.float32)


def effective_number_weights(frequencies: NDArray[np.floating], beta: float) -> Tensor:
    """Weights (K,) by the effective number of clips ``(1 - beta^n) / (1 - beta)``; absent classes get 0.

    They sum to the number of classes present (Cui et al., "Class-Balanced Loss Based on Effective Number of Samples",
    CVPR 2019, eq. 2 and section 4).
    """
    present = frequencies > 0
    effective = -np.expm1(frequencies * np.log(beta)) / (1 - beta) if beta > 0 else np.ones(len(frequencies))
    weights = np.divide(1.0, effective, out=np.zeros(len(frequencies)), where=present)
    return torch.tensor(weights * present.sum() / weights.sum(), dtype=torch.float32)


def log_priors(frequencies: NDArray[np.floating]) -> Tensor:
    """Log frequencies (K,), added to logits in training so that the model learns balanced ones.

    A class without a clip is taken for one with a single clip. (Menon et al., "Long-tail learning via logit
    adjustment", ICLR 2021, eq. 10.)
    """
    counts = np.where(frequencies > 0, frequencies, 1.0)
    return torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)
