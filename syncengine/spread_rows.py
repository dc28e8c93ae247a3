"""A source in which each row has one address: rows with several become one for each of them."""

from collections.abc import Iterator, Sequence

import polars as pl

from syncengine.normalise.addresses import split_addresses
from syncengine.normalise.values import text
from syncengine.ports import Chunk, Description, Source

_PIECES = "\0pieces"


class SpreadRows:
    """`source` with a row for each address in the first filled one of `columns` (a `Source`).

    The rows of one cell keep its line, and all but the address. Each counts as a row.
    """

    def __init__(self, source: Source, columns: Sequence[str]) -> None:
        self._source = source
        self._email_columns = tuple(columns)

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self._source.columns

    def chunks(self) -> Iterator[Chunk]:
        for chunk in self._source.chunks():
            yield Chunk(chunk.file, self._spread(chunk.rows), chunk.held, chunk.plain)

    def digest(self) -> str:
        return self._source.digest()

    def describe(self) -> Description:
        return self._source.describe()

    def verify_unchanged(self) -> None:
        self._source.verify_unchanged()

    def _spread(self, rows: pl.DataFrame) -> pl.DataFrame:
        cells = rows.select(pl.coalesce(text(pl.col(column)) for column in self._email_columns)).to_series()
        pieces = split_addresses(cells).alias(_PIECES)
        if not (pieces.list.len() > 1).any():
            return rows
        several = pl.col(_PIECES).list.len() > 1
        first, *others = self._email_columns
        spread = (
            rows.with_columns(pieces)
            .with_columns(
                pl.when(several).then(_PIECES).otherwise(pl.concat_list(first)).alias(_PIECES),
                *(pl.when(~several).then(column).alias(column) for column in others),
            )
            .explode(_PIECES)
        )
        return spread.with_columns(pl.col(_PIECES).alias(first)).select(rows.columns)
