"""Losses, optimisation and the training module."""
