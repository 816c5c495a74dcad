"""Landmark tracks from and for other programs."""
