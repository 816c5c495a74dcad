"""Which of a teacher's layers a student takes over, and into which of its own: learned with everything else.

Vectors of layers are compared, because two models need not share anything else: nodes and frames here, pixels there.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

#: Size of the common space of all layers.
SPACE = 64
#: A layer's learned log weight stays within this: none takes over altogether.
LIMIT = 3.0


class LayerTransfer(nn.Module):
    """``sum over t of exp(-w_t) d_t + w_t``, where ``d_t = sum over s of a_ts || z(h_t) - P_ts(h_s) ||^2 / C_t``.

    Where to: ``a_ts``, for each layer t of the teacher a softmax over the layers s of the student of
    ``(q(h_t) . k(h_s) + b_t . b_s) / sqrt(d)``, after Ji, Heo and Park, "Show, Attend and Distill: Knowledge
    Distillation via Attention-based Feature Matching", AAAI 2021, eq. 2 and 4. What: ``w_t``, a learned log variance
    (Kendall, Gal and Cipolla, CVPR 2018), so that what the student cannot have (a colour, say, where it reads geometry
    alone) counts less, and nothing counts for nothing. ``z`` brings each channel of the teacher to mean 0 and variance
    1 over the training windows: ``d_t`` is the share of its variance that the student leaves unexplained.

    Args:
        student: channels of the student's layers by name.
        teacher: of the teacher's.
    """

    def __init__(self, student: Mapping[str, int], teacher: Mapping[str, int]) -> None:
        super().__init__()
        self.student_layers, self.teacher_layers = tuple(student), tuple(teacher)
        ours, theirs = student.values(), teacher.values()
        # Without affine parameters the running statistics are all that is kept.
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels, affine=False) for channels in theirs)
        self.queries = nn.ModuleList(nn.Linear(channels, SPACE) for channels in theirs)
        self.keys = nn.ModuleList(nn.Linear(channels, SPACE) for channels in ours)
        self.projections = nn.ModuleList(nn.Linear(channels, SPACE) for channels in ours)
        self.regressions = nn.ModuleList(nn.Linear(SPACE, channels) for channels in theirs)
        self.teacher_places = nn.Parameter(torch.randn(len(teacher), SPACE))
        self.student_places = nn.Parameter(torch.randn(len(student), SPACE))
        self.log_weights = nn.Parameter(torch.zeros(len(teacher)))
        #: Mean of ``a_ts`` over the training windows, (teacher's layers, student's layers), lately.
        self.register_buffer("shares", torch.full((len(teacher), len(student)), 1 / len(student)))

    def forward(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
        """The loss of layers (B, C) by name; no gradient goes to the teacher's."""
        ours = [student[name].float() for name in self.student_layers]
        theirs = [self._standardised(number, teacher[name]) for number, name in enumerate(self.teacher_layers)]
        keys = torch.stack([key(vector) for key, vector in zip(self.keys, ours, strict=True)], dim=1)
        queries = torch.stack([query(vector) for query, vector in zip(self.queries, theirs, strict=True)], dim=1)
        places = self.teacher_places @ self.student_places.T
        shares = ((queries @ keys.transpose(1, 2) + places) / math.sqrt(SPACE)).softmax(dim=-1)  # (B, t, s)
        common = [project(vector) for project, vector in zip(self.projections, ours, strict=True)]
        distances = torch.stack(
            [
                torch.stack([(regress(vector) - target).square().mean(dim=1) for vector in common], dim=1)
                for regress, target in zip(self.regressions, theirs, strict=True)
            ],
            dim=1,
        )  # (B, t, s)
        if self.training:
            self.shares.lerp_(shares.detach().mean(dim=0), 0.05)
        weights = self.log_weights.clamp(-LIMIT, LIMIT)
        unexplained = (shares * distances).sum(dim=2).mean(dim=0)
        return (torch.exp(-weights) * unexplained + weights).mean()

    def _standardised(self, number: int, vectors: Tensor) -> Tensor:
        norm, vectors = self.norms[number], vectors.detach().float()
        if self.training and len(vectors) < 2:  # nothing to take a variance of
            return nn.functional.batch_norm(vectors, norm.running_mean, norm.running_var, eps=norm.eps)
        return norm(vectors)

    @torch.no_grad()
    def describe(self) -> dict[str, object]:
        """What was learned, in plain values: ``weights`` of the teacher's layers, which sum to 1, and ``shares``."""
        weights = torch.exp(-self.log_weights.clamp(-LIMIT, LIMIT))
        rows = zip(self.teacher_layers, (weights / weights.sum()).tolist(), self.shares.tolist(), strict=True)
        return {
            name: {"weight": weight, "into": dict(zip(self.student_layers, row, strict=True))}
            for name, weight, row in rows
        }
