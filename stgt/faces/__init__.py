"""Pixels to landmark tracks: frame sources, the landmarker, tracks and aligned crops."""
