"""Entities of HTML in cells: what some CRMs leave in their exports (`&quot;Acme&quot; &amp; Co`)."""

import html
import re
from collections.abc import Sequence
from typing import Final

import polars as pl

_ENTITY: Final = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_WRITTEN: Final = re.compile(_ENTITY)


def unescaped(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """`rows` with the entities in `columns` (String) as the characters they stand for, once; no others are touched.

    Each different cell is unescaped once. An entity without its semicolon stays: `?a=1&copy=2` is a link.
    """
    met = rows.select(pl.col(name).str.contains(_ENTITY).any() for name in columns).row(0) if rows.height else ()
    concerned = [name for name, has in zip(columns, met, strict=False) if has]
    return rows.with_columns(_unescaped(rows[name]) for name in concerned)


def _unescaped(cells: pl.Series) -> pl.Series:
    dressed = cells.filter(cells.str.contains(_ENTITY).fill_null(value=False)).unique()
    plain = pl.Series([_WRITTEN.sub(lambda found: html.unescape(found[0]), cell) for cell in dressed], dtype=pl.String)
    return cells.replace(dressed, plain.replace("", None))
