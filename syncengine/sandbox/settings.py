"""JSON values into the fields of a frozen dataclass: types checked, unknown names told with their nearest neighbour."""

import difflib
import typing
from collections.abc import Mapping
from enum import StrEnum
from types import UnionType


def checked(kind: type, values: Mapping[str, object]) -> dict[str, typing.Any]:
    """Keyword arguments for `kind`, each of its field's type.

    Raises ValueError for a name that `kind` has no field for, and for a value that does not fit the field.
    """
    fields = typing.get_type_hints(kind)
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            raise ValueError(f"there is no {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return {name: _value(name, fields[name], value) for name, value in values.items()}


def _value(name: str, wanted: object, value: object) -> object:
    accepted = typing.get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
    for kind in accepted:
        if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str) and value in list(kind):
            return kind(value)
        if kind is bytes and isinstance(value, str):
            return value.encode()
        if type(value) is kind or (kind is float and type(value) is int):
            return value
    raise ValueError(f"{name} is {' or '.join(_named(kind) for kind in accepted)}; not {value!r}")


def _named(kind: object) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"one of {', '.join(kind)}"
    names = {
        type(None): "null",
        str: "a text",
        bytes: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
    }
    return names[typing.cast("type", kind)]
