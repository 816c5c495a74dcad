"""Choices that a key goes through, one after the other."""

from enum import StrEnum
from typing import TypeVar

Choice = TypeVar("Choice", bound="Circle")


class Circle(StrEnum):
    """A choice that has another one after it."""

    @property
    def next(self: Choice) -> Choice:
        """The one after it; after the last, the first."""
        choices = list(type(self))
        return choices[(choices.index(self) + 1) % len(choices)]
