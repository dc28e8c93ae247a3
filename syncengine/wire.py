"""Contacts as JSON, column-wise: each part of a request body is built by polars, never contact by contact.

The form is SmartSender's: variables are a list of {"name", "value"}.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

_NEEDS_ESCAPE: Final = r'["\\\x00-\x1f]'


def json_string(column: pl.Expr) -> pl.Expr:
    """Each text as a JSON string, quotes included; null stays null."""
    return column.map_batches(_json_strings, return_dtype=pl.String, is_elementwise=True)


def _json_strings(cells: pl.Series) -> pl.Series:
    # Looking first is worth it: most columns hold no quote, backslash or line end, and then quoting is a concat.
    name = cells.name
    frame = cells.to_frame("v")
    if cells.str.contains(_NEEDS_ESCAPE).any():
        encoded = pl.struct("v").struct.json_encode().str.slice(5).str.head(-1)  # {"v":…}
        return frame.select(pl.when(pl.col("v").is_not_null()).then(encoded).alias(name)).to_series()
    return frame.select(('"' + pl.col("v") + '"').alias(name)).to_series()


def variable_json(variables: Sequence[tuple[str, pl.Expr]]) -> pl.Expr:
    """`[{"name":…,"value":…},…]` of the variables that are not null, in the given order. Names are plain letters."""
    if not variables:
        return pl.lit("[]")
    pairs = [pl.lit(f'{{"name":"{name}","value":') + json_string(value) + pl.lit("}") for name, value in variables]
    # A lone null is not ignored: concat_str of one column gives it back.
    return "[" + pl.concat_str(pairs, separator=",", ignore_nulls=True).fill_null("") + "]"
