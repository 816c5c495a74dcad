"""Distillation: a small model learns from a large one's probabilities, attention and layers."""

from stgt.learning.distillation.config import DistillationConfig

__all__ = ["DistillationConfig"]
