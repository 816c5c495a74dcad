"""What clips are held against in training: labels, votes, shares of classes, given or estimated."""

from stgt.learning.targets.dataset import TargetedWindows
from stgt.learning.targets.kinds import SHARED, ClipTargets, make_targets, with_majority

__all__ = ["SHARED", "ClipTargets", "TargetedWindows", "make_targets", "with_majority"]
