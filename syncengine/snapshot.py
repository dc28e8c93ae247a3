"""What the list holds, as far as confirmed: looked up by key hash, row by row only where something differs.

A million rows of which none changed must not cost a million rows read: the scan of a source asks `recognise`
with two numbers a row, and only contacts that differ are fetched whole.

A snapshot is a base and what later runs changed in it (`newer`), since writing all of a list anew costs a hundred times
what one contact in a hundred does. Contacts are told apart by key hash alone here. That is exact: what would make two
contacts of one hash meet in `newer` is written into a new base instead (see `state.snapshots`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.frames import ADDRESS, FINGERPRINT, GONE, KEY, KEY_HASH, LEFT_SOURCE, SNAPSHOT_SCHEMA
from syncengine.normalise.rows import hash_of
from syncengine.sorted_hashes import UNKNOWN, Hashes, Positions, SortedHashes, among

AT_A_TIME: Final = 1_000_000
EXPECTED: Final = 250_000  #: contacts that are fetched together; 400 bytes each


Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Recognition:
    """For each row asked about: where its contact stands in the snapshot (`UNKNOWN`: nowhere), and whether it is
    there with the same fingerprint. Both of the height of the question.
    """

    positions: Positions
    same: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Key hash and fingerprint of each row of a snapshot file, in its order."""

    hashes: Hashes
    fingerprints: Hashes


class Snapshot(Protocol):
    """Confirmed contacts, each at a position from 0 to `size` - 1; at some nobody stands. Never changes."""

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

    def expect(self, positions: Positions) -> None:
        """These are going to be asked for: where they are few they are fetched once, together."""
        ...

    def let_go(self) -> None:
        """What was expected has been asked for. Of contacts that were fetched only the keys are kept."""
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

    def verify(self) -> None:
        """Raises StateError if its files are not those that were written; what reads rows of them does so, too."""
        ...


@dataclass(frozen=True, slots=True)
class _Newer:
    """What is newest of each contact that later files speak of, in the order of key hashes, each of them once.

    origin   the number of the file
    """

    hashes: Hashes
    fingerprints: Hashes
    gone: npt.NDArray[np.bool_]
    origin: npt.NDArray[np.uint32]


NO_ROWS: Final = pl.LazyFrame(schema=SNAPSHOT_SCHEMA)
_NO_NUMBERS: Final = np.empty(0, np.uint64)
_NOTHING_NEWER: Final = _Newer(_NO_NUMBERS, _NO_NUMBERS, np.empty(0, np.bool_), np.empty(0, np.uint32))


class FrameSnapshot:
    """A snapshot over one frame or Parquet file sorted by key hash, and frames of what was changed later, with `gone`,
    the newest last. Two numbers a row are held in memory, if `numbers` does not have them elsewhere. Before `rows` are
    read `check` is called, which raises if they are not what was written.

    Positions: those of `rows`, then those of the newest of each contact that was changed.
    """

    def __init__(
        self,
        rows: pl.LazyFrame,
        newer: Sequence[pl.LazyFrame] = (),
        numbers: Numbers | None = None,
        check: Check = lambda: None,
    ) -> None:
        self._check = check
        self._unchecked = rows
        numbers = numbers or _numbers_of(self._base)
        self._hashes = numbers.hashes
        self._fingerprints = np.asarray(numbers.fingerprints)
        self._places = SortedHashes(self._hashes)
        self._files = tuple(newer)
        self._newer = _newest(self._files)
        self._newer_places = SortedHashes(self._newer.hashes)
        self._replaced = _all_places(self._hashes, self._newer.hashes)
        self._by_address: tuple[SortedHashes, Positions] | None = None  # only jobs with an id column ask for it
        self._expected: tuple[Hashes, pl.DataFrame] | None = None
        self._met: tuple[Hashes, pl.DataFrame] | None = None  #: keys of those: the commit asks for them once more

    @property
    def _base(self) -> pl.LazyFrame:
        self._check()
        return self._unchecked

    def verify(self) -> None:
        self._check()

    @property
    def size(self) -> int:
        return len(self._hashes) + len(self._newer.hashes)

    @property
    def contacts(self) -> int:
        """Contacts on the list."""
        return len(self._hashes) - len(self._replaced) + int(np.count_nonzero(~self._newer.gone))

    @property
    def present(self) -> int:
        left = sum(np.count_nonzero(self._fingerprints[part] == LEFT_SOURCE) for part in stretches(len(self._hashes)))
        left -= np.count_nonzero(self._fingerprints[self._replaced] == LEFT_SOURCE)
        left += np.count_nonzero((self._newer.fingerprints == LEFT_SOURCE) & ~self._newer.gone)
        return self.contacts - int(left)

    def rows(self) -> pl.LazyFrame:
        """All SNAPSHOT rows, in no particular order."""
        if not self._files:
            return self._base
        newer = pl.Series(self._newer.hashes).implode()
        kept = self._base.filter(~pl.col(KEY_HASH).is_in(newer))
        return pl.concat([kept, *(_fetch(file, self._own(number)) for number, file in enumerate(self._files))])

    def recognise(self, key_hashes: Hashes, fingerprints: Hashes) -> Recognition:
        if not self.size:
            nobody = np.full(len(key_hashes), UNKNOWN, np.int64)
            return Recognition(nobody, nobody != UNKNOWN)
        positions = self._places.places(key_hashes)
        same = positions != UNKNOWN
        if len(self._hashes):
            same &= self._fingerprints.take(positions, mode="clip") == fingerprints
        if self._files:
            newer = self._newer
            found = self._newer_places.places(key_hashes)
            at = np.flatnonzero(found != UNKNOWN)
            found = found[at]
            positions[at] = np.where(newer.gone[found], UNKNOWN, found + len(self._hashes))
            same[at] = ~newer.gone[found] & (newer.fingerprints[found] == fingerprints[at])
        return Recognition(positions, same)

    def missing(self, seen: npt.NDArray[np.bool_], *, at_a_time: int = AT_A_TIME) -> Positions:
        size = len(self._hashes)
        parts = []
        for part in stretches(size, at_a_time):
            replaced = np.zeros(part.stop - part.start, dtype=np.bool_)
            first, behind = np.searchsorted(self._replaced, (part.start, part.stop))
            replaced[self._replaced[first:behind] - part.start] = True
            hashes = self._hashes[max(part.start - 1, 0) : part.stop + 1]
            same = hashes[1:] == hashes[:-1]
            shared = np.append(False, same) | np.append(same, False)
            shared = shared[part.start - max(part.start - 1, 0) :][: part.stop - part.start]
            unseen = ~(seen[part] | shared | replaced) & (self._fingerprints[part] != LEFT_SOURCE)
            parts.append(np.flatnonzero(unseen) + part.start)
        newer = ~seen[size:] & ~self._newer.gone & (self._newer.fingerprints != LEFT_SOURCE)
        return np.concatenate([*parts, np.flatnonzero(newer) + size])

    def rows_at(self, positions: Positions) -> pl.DataFrame:
        positions = np.asarray(positions, dtype=np.int64)
        in_base = positions[positions < len(self._hashes)]
        in_base = in_base[~np.isin(in_base, self._replaced)]
        in_newer = positions[positions >= len(self._hashes)] - len(self._hashes)
        hashes = self._hashes[in_base]
        several = np.searchsorted(self._hashes, hashes, side="right") - np.searchsorted(self._hashes, hashes) > 1
        if several.any():
            wanted = pl.LazyFrame({"position": in_base.astype(np.uint64)})
            rows = self._base.with_row_index("position").with_columns(pl.col("position").cast(pl.UInt64))
            old = rows.join(wanted, on="position", how="semi").drop("position").collect()
            return pl.concat([old, self.rows_of(self._newer.hashes[in_newer])])
        return self.rows_of(np.concatenate([hashes, self._newer.hashes[in_newer]]))

    def expect(self, positions: Positions) -> None:
        if 0 < len(positions) <= EXPECTED:
            hashes = np.unique(self._hashes_at(positions))
            rows = self._rows_of(hashes).collect()
            self._expected, self._met = (hashes, rows), (hashes, rows.select(KEY, KEY_HASH))

    def let_go(self) -> None:
        self._expected = self._by_address = None

    def rows_of(self, key_hashes: Hashes) -> pl.DataFrame:
        if not self.size:
            return pl.DataFrame(schema=SNAPSHOT_SCHEMA)
        return self._of(key_hashes, SNAPSHOT_SCHEMA.names(), self._expected)

    def keys_of(self, key_hashes: Hashes) -> pl.DataFrame:
        """KEY, KEY_HASH of contacts whose key has one of these hashes."""
        return self._of(key_hashes, [KEY, KEY_HASH], self._met)

    def _of(
        self, key_hashes: Hashes, columns: Sequence[str], fetched: tuple[Hashes, pl.DataFrame] | None
    ) -> pl.DataFrame:
        """Contacts by the hash of their key; from those that were fetched if none of the others is asked for."""
        if fetched is not None:
            key_hashes = key_hashes[self.recognise(key_hashes, np.zeros_like(key_hashes)).positions != UNKNOWN]
            if among(key_hashes, fetched[0]).all():
                return fetched[1].filter(pl.col(KEY_HASH).is_in(pl.Series(key_hashes, dtype=pl.UInt64).implode()))
        return self._rows_of(key_hashes).select(columns).collect()

    def rows_having(self, addresses: pl.Series) -> pl.DataFrame:
        return self.rows().filter(pl.col(ADDRESS).is_in(addresses.implode())).collect()

    def owners_at(self, address_hashes: Hashes) -> Positions:
        if self._by_address is None:
            self._by_address = self._addresses()
        hashes, positions = self._by_address
        found = hashes.places(address_hashes)
        return np.where(found == UNKNOWN, UNKNOWN, positions[found]) if len(positions) else found

    def _addresses(self) -> tuple[SortedHashes, Positions]:
        """Hashes of all addresses, in order, and where their owners stand."""
        address = hash_of(pl.col(ADDRESS)).alias("address")
        parts = [self._base.select(address).collect()["address"].to_numpy()]
        places = [np.arange(len(self._hashes))]
        if self._files:
            kept = np.ones(len(self._hashes), dtype=np.bool_)
            kept[self._replaced] = False
            parts, places = [parts[0][kept]], [np.flatnonzero(kept)]
        for number, file in enumerate(self._files):
            told = _fetch(file, self._own(number)).select(KEY_HASH, address).collect()
            parts.append(told["address"].to_numpy())
            places.append(self._newer_places.places(told[KEY_HASH].to_numpy()) + len(self._hashes))
        hashes, positions = np.concatenate(parts), np.concatenate(places)
        order = np.argsort(hashes)
        return SortedHashes(hashes[order]), positions[order]

    def _rows_of(self, key_hashes: Hashes) -> pl.LazyFrame:
        wanted = np.unique(key_hashes)
        in_base = wanted[(self._newer_places.places(wanted) == UNKNOWN) & (self._places.places(wanted) != UNKNOWN)]
        if not self._files:
            return _fetch(self._base, in_base)
        parts = [_fetch(self._base, in_base)]
        for number, file in enumerate(self._files):
            own = self._own(number)
            parts.append(_fetch(file, own[among(own, wanted)]))
        return pl.concat(parts)

    def _hashes_at(self, positions: Positions) -> Hashes:
        size = len(self._hashes)
        newer = self._newer.hashes[positions[positions >= size] - size]
        hashes: Hashes = np.concatenate([self._hashes[positions[positions < size]], newer])
        return hashes

    def _own(self, number: int) -> Hashes:
        """Key hashes of the contacts of which a file of what was changed later says the newest."""
        own: Hashes = self._newer.hashes[(self._newer.origin == number) & ~self._newer.gone]
        return own


def _numbers_of(rows: pl.LazyFrame) -> Numbers:
    numbers = rows.select(KEY_HASH, FINGERPRINT).collect()
    return Numbers(numbers[KEY_HASH].to_numpy(), numbers[FINGERPRINT].to_numpy())


def stretches(size: int, length: int = AT_A_TIME) -> Iterator[slice]:
    """`size` places, so many at a time: what is worked out for each takes memory for those alone."""
    for start in range(0, size, length):
        yield slice(start, min(size, start + length))


def _newest(files: Sequence[pl.LazyFrame]) -> _Newer:
    parts = [
        file.select(KEY_HASH, FINGERPRINT, GONE, pl.lit(number, pl.UInt32).alias("origin")).collect()
        for number, file in enumerate(files)
    ]
    if not parts:
        return _NOTHING_NEWER
    schema = {KEY_HASH: pl.UInt64, FINGERPRINT: pl.UInt64, GONE: pl.Boolean, "origin": pl.UInt32}
    told = pl.concat([pl.DataFrame(schema=schema), *parts])
    newest = told.unique(KEY_HASH, keep="last", maintain_order=True).sort(KEY_HASH)
    return _Newer(*(newest[name].to_numpy() for name in schema))


def _fetch(rows: pl.LazyFrame, hashes: Hashes) -> pl.LazyFrame:
    """SNAPSHOT rows with these key hashes, which are in order; groups of rows that have none of them are not read."""
    if not len(hashes):
        return NO_ROWS
    low, high = (pl.lit(int(hashes[place]), pl.UInt64) for place in (0, -1))
    inside = pl.col(KEY_HASH).is_between(low, high) & pl.col(KEY_HASH).is_in(pl.Series(hashes).implode())
    return rows.filter(inside).select(SNAPSHOT_SCHEMA.names())


def _all_places(within: Hashes, asked: Hashes) -> Positions:
    """Every place in `within`, which is in order, where one of these hashes stands."""
    if not len(asked):
        return np.empty(0, np.int64)
    first, behind = np.searchsorted(within, asked), np.searchsorted(within, asked, side="right")
    if not (behind - first > 1).any():
        return first[behind > first]
    return np.flatnonzero(among(within, asked))


def empty_snapshot() -> FrameSnapshot:
    """The snapshot of a list nothing was ever confirmed for."""
    return FrameSnapshot(NO_ROWS, numbers=Numbers(_NO_NUMBERS, _NO_NUMBERS))


def open_snapshot(
    path: Path, newer: Sequence[Path] = (), numbers: Numbers | None = None, check: Check = lambda: None
) -> FrameSnapshot:
    """The snapshot in Parquet files written by `state`; `numbers` of the one at `path`, where they are at hand, which
    `check` is to call good before it is read.
    """
    files = [pl.scan_parquet(file, glob=False) for file in newer]
    return FrameSnapshot(pl.scan_parquet(path, glob=False), files, numbers, check)
