"""Typed values as the text people would have typed.

dates, times        ISO 8601: 2024-05-01, 2024-05-01T10:22:33, with offset where there is a zone; fractions of a second
                    only where they are not zero; durations as PT1H30M
decimals            plain, with their scale: 12.50
floats              the shortest text that reads back the same, integral values without `.0`; below 10^18 in digits,
                    not powers: a phone number kept as a number stays one
booleans            true, false
categories, enums   their text
lists of these      joined with `;`, nulls left out
structs             a column for each field, `parent.child`, and so on for structs within
empty text          null, as in every source
"""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

_ZERO_FRACTION: Final = r"\.0+($|[+-]\d\d:\d\d$)"
_TRAILING_ZEROS: Final = r"(\.\d*[1-9])0+($|[+-]\d\d:\d\d$)"
_IN_DIGITS: Final = 1e18  #: below this every integral float is an Int64


def text_columns(schema: Mapping[str, pl.DataType]) -> tuple[dict[str, pl.Expr], dict[str, str]]:
    """Columns as text expressions by name, in order; and those that have no text form, with their type.

    A struct gives several columns. Names may repeat those of other columns: the caller looks.
    """
    columns: dict[str, pl.Expr] = {}
    left_out: dict[str, str] = {}
    for name, expression, dtype in _flattened(schema):
        text = as_text(expression, dtype)
        if text is None:
            left_out[name] = str(dtype)
        else:
            columns[name] = text.replace("", None)
    return columns, left_out


def flat_names(schema: Mapping[str, pl.DataType]) -> list[str]:
    """Names after structs were taken apart, repeated ones too."""
    return [name for name, _, _ in _flattened(schema)]


def as_text(cell: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """`cell` as String, or None for a type that has no text form (binary, maps, objects, deeper nesting)."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return _list(cell, dtype)
    if dtype.is_float():
        return _float(cell)
    if isinstance(dtype, pl.Datetime):
        return _without_zeros(cell.dt.to_string("iso:strict"))
    if isinstance(dtype, (pl.Time, pl.Duration)):
        return _without_zeros(cell.dt.to_string("iso"))
    if isinstance(dtype, (pl.Struct, pl.Binary, pl.Object, pl.Unknown)) or dtype.is_nested():
        return None
    return cell.cast(pl.String)


def _flattened(schema: Mapping[str, pl.DataType]) -> Iterator[tuple[str, pl.Expr, pl.DataType]]:
    for position, (name, dtype) in enumerate(schema.items()):
        yield from _fields(name, pl.nth(position), dtype)  # by name, `*` and `^…$` would be patterns


def _fields(name: str, cell: pl.Expr, dtype: pl.DataType) -> Iterator[tuple[str, pl.Expr, pl.DataType]]:
    """The cell itself, or that of each field, and of each field of those, as deep as structs go."""
    if not isinstance(dtype, pl.Struct):
        yield name, cell, dtype
        return
    for child in dtype.fields:
        field_type = child.dtype() if isinstance(child.dtype, type) else child.dtype
        yield from _fields(f"{name}.{child.name}", cell.struct.field(child.name), field_type)


def _list(cell: pl.Expr, dtype: pl.List | pl.Array) -> pl.Expr | None:
    inner_type = dtype.inner() if isinstance(dtype.inner, type) else dtype.inner
    if inner_type.is_nested():
        return None
    inner = as_text(pl.element(), inner_type)
    if inner is None:
        return None
    values = cell.cast(pl.List(inner_type)) if isinstance(dtype, pl.Array) else cell
    return values.list.eval(inner).list.drop_nulls().list.join(";")


def _float(cell: pl.Expr) -> pl.Expr:
    """Shortest form; NaN and infinities by name, so that nothing is lost silently."""
    integral = cell.is_finite() & (cell == cell.floor()) & (cell.abs() < _IN_DIGITS)
    whole = pl.when(integral).then(cell).cast(pl.Int64).cast(pl.String)
    return pl.when(integral).then(whole).otherwise(cell.cast(pl.String))


def _without_zeros(moment: pl.Expr) -> pl.Expr:
    return moment.str.replace(_ZERO_FRACTION, "$1").str.replace(_TRAILING_ZEROS, "$1$2")
