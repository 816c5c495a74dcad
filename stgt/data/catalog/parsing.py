"""Dataclasses from TOML tables, with a sentence for everything that does not fit."""

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from stgt.errors import DatasetError

Table = TypeVar("Table")


def from_table(kind: type[Table], values: Mapping[str, Any], where: str) -> Table:
    """A dataclass from a TOML table; lists of tables and mappings of tables become dataclasses as its hints say."""
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            raise DatasetError(f"{where}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    for entry in dataclasses.fields(kind):  # type: ignore[arg-type]
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and entry.name not in values:
            raise DatasetError(f"{where}: the key {entry.name!r} is missing")
    return kind(**{key: converted(hints[key], value, f"{where}, {key}") for key, value in values.items()})


def converted(hint: Any, value: Any, where: str) -> Any:
    """``value`` of a TOML file as the type ``hint``, or a DatasetError that says where it does not fit."""
    parts = typing.get_args(hint)
    inner = next((part for part in parts if dataclasses.is_dataclass(part)), None)
    if dataclasses.is_dataclass(hint):
        inner = hint
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise DatasetError(f"{where}: a list is expected")
        return tuple(from_table(inner, item, where) if inner else item for item in value)
    if isinstance(value, Mapping):
        if inner is None:
            return dict(value)
        if parts and parts[0] is str:
            return {key: from_table(inner, item, f"{where}.{key}") for key, item in value.items()}
        return from_table(inner, value, where)
    if hint is float and isinstance(value, int):
        return float(value)
    if hint in (str, int, float, bool) and not isinstance(value, hint):
        raise DatasetError(f"{where}: {hint.__name__} is expected, not {value!r}")
    return value
