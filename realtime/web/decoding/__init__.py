"""Files from strangers become pictures in a process of their own, which may do little and is believed nothing."""

from .source import ChildSource

__all__ = ["ChildSource"]
