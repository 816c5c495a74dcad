"""Faces that need no licence: parametric heads, expression curves, rendering and writing."""
