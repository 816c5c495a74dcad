"""STGT reads facial expressions from moving faces."""

__version__ = "0.1.0"
