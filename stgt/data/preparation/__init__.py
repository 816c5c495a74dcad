"""Clips -> landmark tracks and face crops, once; and where they are kept."""
