"""Cells in files that people open in a spreadsheet: what it would take for a formula gets an apostrophe in front.

After OWASP's CSV injection; `unguarded` takes away exactly what `guarded` put there.
"""

from typing import Final

import polars as pl

_FORMULA: Final = r"^[\s\"'\x00]*[=+\-@\t\r＝＋－＠]"
_GUARDED: Final = r"^'[\s\"'\x00]*[=+\-@\t\r＝＋－＠]"


def guarded(cell: pl.Expr) -> pl.Expr:
    """The cell, with an apostrophe in front where it looks like a formula."""
    return pl.when(cell.str.contains(_FORMULA)).then("'" + cell).otherwise(cell)


def unguarded(cell: pl.Expr) -> pl.Expr:
    """The cell as it was before `guarded`."""
    return pl.when(cell.str.contains(_GUARDED)).then(cell.str.slice(1)).otherwise(cell)
