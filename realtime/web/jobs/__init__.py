"""Uploaded videos and photos become results: in line, one after the other, to be stopped at any moment."""
