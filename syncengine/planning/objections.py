"""Rows that say of an address that its owner is not subscribed, where contacts are identified by an id.

A CRM has a person twice, under two ids, and only one of the two records knows that they opted out. The list holds the
address once: whoever has it there is not subscribed, whichever row is taken.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.duplicates import with_nobody_subscribed
from syncengine.frames import ACTIVE, ADDRESS, KEY_HASH
from syncengine.normalise.rows import hash_of
from syncengine.snapshot import Snapshot
from syncengine.sorted_hashes import UNKNOWN

_ADDRESS_HASH = "address_hash"
_LOW, _HIGH = "low", "high"
_NOBODY = 0  #: key hash of a row without an id: that of no contact, but for one in 2 ** 64


class Objections:
    """Two numbers for each row that says no."""

    def __init__(self) -> None:
        self._told: list[pl.DataFrame] = []
        self._by_address: pl.DataFrame | None = None

    def hear(self, rows: pl.DataFrame) -> None:
        """DESIRED rows, held or not. Whoever has their address on the list and says nothing new need not be heard:
        nobody else gets it.
        """
        told = rows.filter(~pl.col(ACTIVE) & pl.col(ADDRESS).is_not_null()).select(
            hash_of(pl.col(ADDRESS)).alias(_ADDRESS_HASH), pl.col(KEY_HASH).fill_null(_NOBODY)
        )
        if not told.is_empty():
            self._told.append(told)
            self._by_address = None

    def overruled(self, snapshot: Snapshot) -> npt.NDArray[np.int64]:
        """Positions of subscribed contacts of the snapshot with an address that another id's row objects to."""
        if not self._told:
            return np.empty(0, np.int64)
        owning = snapshot.owners_at(self._objections[_ADDRESS_HASH].to_numpy())
        low, high = (self._objections[name].to_numpy() for name in (_LOW, _HIGH))
        own = snapshot.recognise(low, np.zeros(low.size, np.uint64)).positions
        positions = np.unique(owning[(owning != UNKNOWN) & ~((low == high) & (own == owning))])
        if not positions.size:
            return positions
        owners = self._objected(snapshot.rows_at(positions).filter(ACTIVE))
        return snapshot.owners_at(owners.select(hash_of(pl.col(ADDRESS))).to_series().to_numpy())

    def heeded(self, rows: pl.DataFrame) -> pl.DataFrame:
        """DESIRED rows, with nobody subscribed to whose address another id's row objects."""
        if not self._told:
            return rows
        objected = self._objected(rows.filter(ACTIVE)).select(KEY_HASH)
        return with_nobody_subscribed(rows, pl.col(KEY_HASH).is_in(objected[KEY_HASH].implode()))

    @property
    def _objections(self) -> pl.DataFrame:
        """`address_hash`, unique; the lowest and the highest key hash of the rows that object to it."""
        if self._by_address is None:
            by = pl.col(KEY_HASH)
            self._by_address = (
                pl.concat(self._told).group_by(_ADDRESS_HASH).agg(by.min().alias(_LOW), by.max().alias(_HIGH))
            )
        return self._by_address

    def _objected(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Those of `rows` to whose address a row of another id objects."""
        told = rows.with_columns(hash_of(pl.col(ADDRESS)).alias(_ADDRESS_HASH)).join(
            self._objections, on=_ADDRESS_HASH, how="inner", maintain_order="left"
        )
        alone = (pl.col(_LOW) == pl.col(KEY_HASH)) & (pl.col(_HIGH) == pl.col(KEY_HASH))
        return told.filter(~alone)
