"""The losses by the names of the language (``stgt.terms``)."""

from stgt.learning.losses.adaptive_correlation import AdaptiveCorrelation
from stgt.learning.losses.affinity import Affinity
from stgt.learning.losses.angular_margin import AdditiveAngularMargin
from stgt.learning.losses.base import LossTerm
from stgt.learning.losses.branches import Branches
from stgt.learning.losses.centre import AttentiveCentre, Centre
from stgt.learning.losses.class_balanced import ClassBalanced
from stgt.learning.losses.cross_entropy import CrossEntropy
from stgt.learning.losses.divergences import Jeffreys, KullbackLeibler
from stgt.learning.losses.focal import Focal
from stgt.learning.losses.locality_preserving import LocalityPreserving
from stgt.learning.losses.logit_adjusted import LogitAdjusted
from stgt.learning.losses.multi_label import MultiLabel
from stgt.learning.losses.partition import Partition
from stgt.learning.losses.reconstruction import Reconstruction
from stgt.learning.losses.region_biased import RegionBiased

TERMS: dict[str, type[LossTerm]] = {
    "cross_entropy": CrossEntropy,
    "class_balanced": ClassBalanced,
    "logit_adjusted": LogitAdjusted,
    "focal": Focal,
    "additive_angular_margin": AdditiveAngularMargin,
    "kullback_leibler": KullbackLeibler,
    "jeffreys": Jeffreys,
    "multi_label": MultiLabel,
    "affinity": Affinity,
    "partition": Partition,
    "region_biased": RegionBiased,
    "locality_preserving": LocalityPreserving,
    "centre": Centre,
    "attentive_centre": AttentiveCentre,
    "adaptive_correlation": AdaptiveCorrelation,
    "branches": Branches,
    "reconstruction": Reconstruction,
}


def name_of(kind: type[LossTerm]) -> str:
    """The name of a loss's class."""
    return next(name for name, known in TERMS.items() if known is kind)
