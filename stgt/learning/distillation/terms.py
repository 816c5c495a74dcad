"""What a student is held to: the teacher's probabilities, and where the teacher looks."""

import torch
from torch import Tensor
from torch.nn import functional as F

from stgt.models.registry import Attention


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 KL(softmax(teacher / T) || softmax(student / T))``, the mean over windows.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2: the square
    makes up for the gradients' shrinking with the temperature.

    Args:
        student: logits (B, K).
        teacher: logits (B, K).
        temperature: T.
    """
    ours = F.log_softmax(student / temperature, dim=-1)
    theirs = F.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * F.kl_div(ours, theirs, log_target=True, reduction="batchmean")


def attention_transfer(student: Attention, teacher: Attention, mask: Tensor, kinds: frozenset[str]) -> Tensor:
    """``|| s / ||s|| - t / ||t|| ||^2`` of the maps of both, the mean over windows and maps: from 0 to 2.

    Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, eq. 2, squared as in their code. The maps
    are the weights of all nodes in all frames, and those of the frames.

    Args:
        student: of B windows.
        teacher: of the same windows.
        mask: (B, T) the frames that the student sees; what the teacher sees in others is left out.
        kinds: which of ``nodes`` and ``frames`` both models have.
    """
    terms = []
    for kind in sorted(kinds):
        ours, theirs = getattr(student, kind), getattr(teacher, kind)
        seen = mask[..., None] if ours.ndim == 3 else mask
        pair = [F.normalize((weights * seen).flatten(1), dim=1) for weights in (ours, theirs)]
        # Where one has no map (no frame that it looks at is seen), there is nothing to follow.
        both = (pair[0].detach().abs().sum(dim=1) > 0) & (pair[1].abs().sum(dim=1) > 0)
        terms.append(((pair[0] - pair[1]).square().sum(dim=1) * both).sum() / both.sum().clamp(min=1))
    return torch.stack(terms).mean()
