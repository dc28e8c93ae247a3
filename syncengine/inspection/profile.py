"""What can be said of the columns of a file: how full they are and what their cells are. Pure; adds up over chunks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from syncengine.normalise.addresses import AddressCode, examine_addresses
from syncengine.normalise.values import (
    DATE_SENTINELS,
    SENTINELS,
    DateEvidence,
    blank_sentinels,
    boolean,
    date_evidence,
    phone,
    scientific_phone,
    text,
)

FEW_VALUES: Final = 12  #: different values a column may have and still be listed
_MARKED: Final = r"""^(?:'|=")[+(]?[0-9]"""
_LONG_VALUE: Final = 60  #: characters; a longer value is not listed, and the column has no list then


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. `a + b` is the profile of both chunks.

    rows, filled   cells, and those with something in them
    values         different values, in order of text; None: too many, or too long
    dates          evidence of dates, words for "no date" left aside
    no_dates       cells with such a word
    addresses      cells that are one address that may be sent; `several`: that hold two or more
    rounded        cells like 7.9E+10
    marked         cells with a spreadsheet's text mark before a number: '+7916…
    yes_no         cells that are a yes or a no
    sentinels      words that stand for an empty cell → how often
    """

    rows: int = 0
    filled: int = 0
    values: frozenset[str] | None = frozenset()
    dates: DateEvidence = field(default_factory=DateEvidence)
    no_dates: int = 0
    addresses: int = 0
    several: int = 0
    rounded: int = 0
    marked: int = 0
    yes_no: int = 0
    sentinels: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "ColumnProfile") -> "ColumnProfile":
        return ColumnProfile(
            self.rows + other.rows,
            self.filled + other.filled,
            _few(self.values, other.values),
            self.dates + other.dates,
            self.no_dates + other.no_dates,
            self.addresses + other.addresses,
            self.several + other.several,
            self.rounded + other.rounded,
            self.marked + other.marked,
            self.yes_no + other.yes_no,
            dict(sorted((Counter(self.sentinels) + Counter(other.sentinels)).items())),
        )

    def share(self, cells: int) -> float:
        """`cells` of the filled ones, 0 to 1."""
        return cells / self.filled if self.filled else 0.0


def profile_chunk(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, ColumnProfile]:
    """The profile of each column (String) of `rows`."""
    trimmed = rows.select(text(pl.col(column)).alias(column) for column in columns)
    empty = dict(zip(columns, trimmed.null_count().row(0), strict=True)) if columns else {}
    return {
        column: ColumnProfile(rows.height)
        if empty[column] == rows.height
        else _profile(trimmed[column].drop_nulls().alias("cell"), rows.height)
        for column in columns
    }


def _profile(cells: pl.Series, rows: int) -> ColumnProfile:
    """`cells` are trimmed and not null; there is one at least."""
    counted = cells.value_counts(name="count")
    cell, count = pl.col("cell"), pl.col("count")
    dated = counted.select("cell", "count", date=blank_sentinels(cell, DATE_SENTINELS))
    facts = counted.select(
        rounded=count.filter(scientific_phone(phone(cell))).sum(),
        marked=count.filter(cell.str.contains(_MARKED)).sum(),
        yes_no=count.filter(boolean(cell).is_not_null()).sum(),
        at=count.filter(cell.str.contains("@", literal=True)).sum(),
    ).row(0, named=True)
    words = counted.filter(cell.str.to_lowercase().is_in(list(SENTINELS)))
    addresses, several = _addresses(counted) if facts["at"] else (0, 0)
    no_dates = int(dated.filter(pl.col("date").is_null())["count"].sum())
    return ColumnProfile(
        rows,
        len(cells),
        _listed(counted),
        date_evidence(cells.filter(~cells.str.to_lowercase().is_in(list(DATE_SENTINELS)))),
        no_dates,
        addresses,
        several,
        int(facts["rounded"] or 0),
        int(facts["marked"] or 0),
        int(facts["yes_no"] or 0),
        dict(sorted(words.select("cell", "count").iter_rows())),
    )


def _listed(counted: pl.DataFrame) -> frozenset[str] | None:
    if counted.height > FEW_VALUES or int(counted["cell"].str.len_chars().max() or 0) > _LONG_VALUE:  # type: ignore[arg-type]
        return None
    return frozenset(counted["cell"])


def _addresses(counted: pl.DataFrame) -> tuple[int, int]:
    codes = examine_addresses(counted["cell"])["code"]
    fine = counted.filter(codes.is_null())["count"].sum()
    several = counted.filter((codes == AddressCode.SEVERAL.value).fill_null(value=False))["count"].sum()
    return int(fine), int(several)


def _few(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None or len(one | other) > FEW_VALUES:
        return None
    return one | other
