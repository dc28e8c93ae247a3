"""What the list holds, as far as confirmed: looked up by key hash, row by row only where something differs.

A million rows of which none changed must not cost a million rows read: the scan of a source asks `recognise`
with two numbers a row, and only contacts that differ are fetched whole.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.frames import ADDRESS, FINGERPRINT, KEY_HASH, LEFT_SOURCE, SNAPSHOT_SCHEMA
from syncengine.normalise.rows import hash_of

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Recognition:
    """For each row asked about: where its contact stands in the snapshot (`UNKNOWN`: nowhere), and whether it is
    there with the same fingerprint. Both of the height of the question.
    """

    positions: Positions
    same: npt.NDArray[np.bool_]


class Snapshot(Protocol):
    """Confirmed contacts, each at a position from 0 to `size` - 1. Never changes."""

    @property
    def size(self) -> int: ...

    @property
    def present(self) -> int:
        """Contacts that have not left the source before."""
        ...

    def recognise(self, key_hashes: Hashes, fingerprints: Hashes) -> Recognition: ...

    def missing(self, seen: npt.NDArray[np.bool_]) -> Positions:
        """Positions not seen of contacts that have not left before.

        A contact that shares its key hash with another is never missing: seeing one of the two does not tell which
        (1 pair is expected among 6 billion contacts).
        """
        ...

    def rows_at(self, positions: Positions) -> pl.DataFrame:
        """SNAPSHOT rows at these positions, in no particular order."""
        ...

    def rows_of(self, key_hashes: Hashes) -> pl.DataFrame:
        """SNAPSHOT rows whose key has one of these hashes; perhaps a stranger among them."""
        ...

    def rows_having(self, addresses: pl.Series) -> pl.DataFrame:
        """SNAPSHOT rows of contacts that have one of these addresses (normal form): one look at all of them."""
        ...

    def owners_at(self, address_hashes: Hashes) -> Positions:
        """For each address (its hash, see `hash_of`): where the contact that has it stands, or `UNKNOWN`."""
        ...


class FrameSnapshot:
    """A snapshot over one frame or Parquet file sorted by key hash, its two numbers a row held in memory."""

    def __init__(self, rows: pl.LazyFrame) -> None:
        numbers = rows.select(KEY_HASH, FINGERPRINT).collect()
        self._rows = rows
        self._hashes: Hashes = numbers[KEY_HASH].to_numpy()
        self._fingerprints: Hashes = numbers[FINGERPRINT].to_numpy()
        self._by_address: tuple[Hashes, Positions] | None = None  # only jobs with an id column ask for it

    @property
    def size(self) -> int:
        return len(self._hashes)

    @property
    def present(self) -> int:
        return int(np.count_nonzero(self._fingerprints != LEFT_SOURCE))

    def recognise(self, key_hashes: Hashes, fingerprints: Hashes) -> Recognition:
        if not self.size:
            return Recognition(np.full(len(key_hashes), UNKNOWN), np.zeros(len(key_hashes), dtype=np.bool_))
        order = np.argsort(key_hashes)  # sorted questions walk the array instead of jumping through it
        found = np.empty(len(key_hashes), dtype=np.int64)
        found[order] = np.searchsorted(self._hashes, key_hashes[order])
        np.minimum(found, self.size - 1, out=found)
        known = self._hashes[found] == key_hashes
        same = known & (self._fingerprints[found] == fingerprints)
        return Recognition(np.where(known, found, UNKNOWN), same)

    def missing(self, seen: npt.NDArray[np.bool_]) -> Positions:
        unseen = ~seen & (self._fingerprints != LEFT_SOURCE)
        shared = self._hashes[1:] == self._hashes[:-1]
        unseen[1:] &= ~shared
        unseen[:-1] &= ~shared
        return np.flatnonzero(unseen)

    def rows_at(self, positions: Positions) -> pl.DataFrame:
        wanted = pl.LazyFrame({"position": np.asarray(positions, dtype=np.uint64)})
        rows = self._rows.with_row_index("position").with_columns(pl.col("position").cast(pl.UInt64))
        return rows.join(wanted, on="position", how="semi").drop("position").collect()

    def rows_of(self, key_hashes: Hashes) -> pl.DataFrame:
        wanted = pl.LazyFrame({KEY_HASH: key_hashes}, schema={KEY_HASH: pl.UInt64})
        return self._rows.join(wanted, on=KEY_HASH, how="semi").collect()

    def rows_having(self, addresses: pl.Series) -> pl.DataFrame:
        return self._rows.filter(pl.col(ADDRESS).is_in(addresses.implode())).collect()

    def owners_at(self, address_hashes: Hashes) -> Positions:
        if self._by_address is None:
            hashes = self._rows.select(hash_of(pl.col(ADDRESS))).collect().to_series().to_numpy()
            order = np.argsort(hashes)
            self._by_address = (hashes[order], order)
        hashes, order = self._by_address
        if not self.size:
            return np.full(len(address_hashes), UNKNOWN)
        found = np.minimum(np.searchsorted(hashes, address_hashes), self.size - 1)
        return np.where(hashes[found] == address_hashes, order[found], UNKNOWN)


def empty_snapshot() -> FrameSnapshot:
    """The snapshot of a list nothing was ever confirmed for."""
    return FrameSnapshot(pl.LazyFrame(schema=SNAPSHOT_SCHEMA))


def open_snapshot(path: Path) -> FrameSnapshot:
    """The snapshot in a Parquet file written by `state`."""
    return FrameSnapshot(pl.scan_parquet(path))
