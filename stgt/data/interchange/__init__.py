"""Tracks from and for other programs: CSV with OpenFace's columns, and npz in the manner of pyskl, never pickled."""

from stgt.data.interchange.files import TRACK_SUFFIXES, read_tracks, write_tracks

__all__ = ["TRACK_SUFFIXES", "read_tracks", "write_tracks"]
