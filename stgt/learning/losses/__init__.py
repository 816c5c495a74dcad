"""What training minimises: a file for every loss, joined as ``OptimisationConfig.loss`` says."""

from stgt.learning.losses.base import LossBatch, LossTerm
from stgt.learning.losses.training import TrainingLoss

__all__ = ["LossBatch", "LossTerm", "TrainingLoss"]
