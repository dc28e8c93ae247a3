"""Rows that say of an address that its owner is not subscribed, where contacts are identified by an id.

A CRM has a person twice, under two ids, and only one of the two records knows that they opted out. The list holds the
address once: whoever has it there is not subscribed, whichever row is taken.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.frames import ACTIVE, ADDRESS, CONTENT_UNKNOWN, FINGERPRINT, KEY_HASH
from syncengine.normalise.rows import hash_of
from syncengine.snapshot import UNKNOWN, Snapshot

_ADDRESS_HASH = "address_hash"
_BY = "by"


class Objections:
    """Two numbers for each row that says no."""

    def __init__(self) -> None:
        self._told: list[pl.DataFrame] = []
        self._by_address: pl.DataFrame | None = None

    def hear(self, rows: pl.DataFrame) -> None:
        """DESIRED rows, held ones apart."""
        told = rows.filter(~pl.col(ACTIVE)).select(hash_of(pl.col(ADDRESS)).alias(_ADDRESS_HASH), KEY_HASH)
        if not told.is_empty():
            self._told.append(told)
            self._by_address = None

    def overruled(self, snapshot: Snapshot) -> npt.NDArray[np.int64]:
        """Positions of subscribed contacts of the snapshot with an address that another id's row objects to."""
        positions = snapshot.owners_at(self._objections[_ADDRESS_HASH].to_numpy()) if self._told else np.empty(0, int)
        positions = np.unique(positions[positions != UNKNOWN])
        if not positions.size:
            return positions
        owners = self._objected(snapshot.rows_at(positions).filter(ACTIVE))
        return snapshot.owners_at(owners.select(hash_of(pl.col(ADDRESS))).to_series().to_numpy())

    def heeded(self, rows: pl.DataFrame) -> pl.DataFrame:
        """DESIRED rows, with nobody subscribed to whose address another id's row objects."""
        if not self._told:
            return rows
        objected = self._objected(rows.filter(ACTIVE)).select(KEY_HASH)
        lowered = pl.col(ACTIVE) & pl.col(KEY_HASH).is_in(objected[KEY_HASH].implode())
        return rows.with_columns(
            pl.when(lowered).then(pl.lit(CONTENT_UNKNOWN, pl.UInt64)).otherwise(FINGERPRINT).alias(FINGERPRINT),
            (pl.col(ACTIVE) & ~lowered).alias(ACTIVE),
        )

    @property
    def _objections(self) -> pl.DataFrame:
        """`address_hash`, unique; `by`: the key hashes of the rows that object."""
        if self._by_address is None:
            told = pl.concat(self._told)
            self._by_address = told.group_by(_ADDRESS_HASH).agg(pl.col(KEY_HASH).unique().alias(_BY))
        return self._by_address

    def _objected(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of `rows` to whose address a row of another id objects."""
        told = rows.with_columns(hash_of(pl.col(ADDRESS)).alias(_ADDRESS_HASH)).join(
            self._objections, on=_ADDRESS_HASH, how="inner", maintain_order="left"
        )
        alone = (pl.col(_BY).list.len() == 1) & (pl.col(_BY).list.first() == pl.col(KEY_HASH))
        return told.filter(~alone)
