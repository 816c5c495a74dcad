"""Weights for real faces from faces that nobody has: generated while training, see ``stgt pretrain``."""
