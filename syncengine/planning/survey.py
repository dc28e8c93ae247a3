"""The one pass over the source: every row is held, recognised as unchanged, or set aside to be compared.

Nothing is compared here but two numbers a row (key hash, fingerprint). A contact seen twice is set aside with all
its rows but copies of the first: which of them counts is decided where they meet (see `duplicates`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.frames import (
    ACTIVE,
    CODE,
    EMAIL,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    ORDINAL,
    REASON,
    ROW,
    SOURCE,
    SOURCE_FILE,
    collected,
    source_column,
    told_columns,
    variable_column,
)
from syncengine.normalise.addresses import AddressCode, examine_addresses, split_addresses
from syncengine.normalise.mapping import Mapping
from syncengine.normalise.rows import key_hashes, normalise
from syncengine.normalise.values import DateEvidence, date_evidence, is_iso_date
from syncengine.planning.ahead import had_ahead
from syncengine.planning.objections import Objections
from syncengine.ports import Chunk, Hashes, Recalled, RecallsRows, Source
from syncengine.row_memory import Recollection, RowMemory
from syncengine.snapshot import Snapshot, stretches
from syncengine.sorted_hashes import UNKNOWN
from syncengine.spill import Spill, marks

Flags = npt.NDArray[np.bool_]

HELD_COLUMNS = (ORDINAL, ROW, KEY, EMAIL, CODE, REASON, SOURCE)
_UNSEEN, _SEEN_HELD, _SAME, _ASIDE = 0, 1, 2, 3
_EVIDENCE_ROWS = 100_000  #: rows whose cells are asked whether they are dates; one look costs 0.1 s for ten columns
FEW_PARSED: Final = 20_000  #: rows of a chunk; 2.5 KB each while they are normalised
_VOTE = (KEY_HASH, KEY, CODE, ACTIVE)  #: what a held row says of its contact
_CONSENT_CODES = ("rule", "opted-out", "deleted", "active-empty", "active-unreadable")


class HeldRows(Protocol):
    """Where held rows go."""

    def hold(self, rows: pl.DataFrame) -> None:
        """HELD rows, in the order of the source."""
        ...


@dataclass(slots=True)
class DateShare:
    """How many cells of a column have a value, and how many of those are dates as the API wants them."""

    filled: int = 0
    dates: int = 0

    @property
    def all_dates(self) -> bool:
        return self.filled > 0 and self.filled == self.dates


@dataclass(slots=True)
class Survey:
    """What one pass found.

    `seen` marks the positions of the snapshot that the source still has, in whatever state; at `aside` are those with
    rows to be compared. `contradicted` are keys (KEY_HASH, KEY) of which a row is held whose consent is not known: no
    other row of theirs may speak for them. `denied` are those of which a row that is held for something else says that
    they are not subscribed. `objections` are None where the address identifies a contact.
    """

    seen: npt.NDArray[np.bool_]
    aside: npt.NDArray[np.int64]
    contradicted: pl.DataFrame
    denied: pl.DataFrame
    objections: Objections | None = None
    rows: int = 0
    same: int = 0
    held: Counter[str] = field(default_factory=Counter)
    dates: dict[str, DateShare] = field(default_factory=dict)
    evidence: dict[str, DateEvidence] = field(default_factory=dict)


def survey(
    source: Source,
    mapping: Mapping,
    snapshot: Snapshot,
    aside: Spill,
    out: HeldRows,
    pulse: Callable[[], None],
    *,
    undecided: Collection[str] = (),
    memory: RowMemory | None = None,
    scratch: Path,
) -> Survey:
    """Read `source` once. Rows to compare go to `aside`, held ones to `out`. `pulse` is called with each chunk.

    `undecided` names variables the list does not have yet: for these the survey tells what dates they may hold.
    `scratch` is a folder to work in, whose files are still used while the survey is.
    Raises SourceError, at the latest at the end if the source changed while it was read, and what `pulse` raises.
    """
    work = _Surveyor(mapping, snapshot, aside, out, undecided, scratch)
    work.memory = memory
    for chunk in work.chunks(source):
        pulse()
        work.take(chunk, source.columns, several=_tells_file(source))
    work.forget_denied()
    work.forget_overruled()
    if work.first_rows_to_widen:
        work.widen(source)
    work.conclude()
    return work.result


class _Surveyor:
    """The pass itself: the state of each position of the snapshot, and the counters."""

    def __init__(
        self,
        mapping: Mapping,
        snapshot: Snapshot,
        aside: Spill,
        out: HeldRows,
        undecided: Collection[str],
        scratch: Path,
    ) -> None:
        self.mapping = mapping
        self.undecided = [rule.name for rule in mapping.variables if rule.type is None and rule.name in undecided]
        self.snapshot = snapshot
        self.aside = aside
        self.out = out
        self.state = marks(snapshot.size, np.uint8, scratch / "state.marks")
        self.first_ordinal = marks(snapshot.size, np.uint32, scratch / "first.marks")
        self.first_rows_to_widen: list[npt.NDArray[np.uint32]] = []
        self.memory: RowMemory | None = None
        self.no_rows: pl.DataFrame | None = None  #: what `read` gives for none
        nobody = pl.DataFrame(schema={KEY_HASH: pl.UInt64, KEY: pl.String})
        objections = Objections() if mapping.key is not None else None
        self.result = Survey(np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64), nobody, nobody, objections)

    def chunks(self, source: Source) -> Iterator[Chunk]:
        """The chunks of `source`, without rows that are remembered where it can tell them."""
        if self.memory is None or not isinstance(source, RecallsRows) or not source.reading:
            return source.chunks()
        # Every row is needed whole where all are new, or where what they hold decides the type of a variable.
        if not (self.memory.size and self.snapshot.size) or not self.memory.filled.isdisjoint(self.undecided):
            return source.chunks_but(_strangers)
        return had_ahead(source.chunks_but(self.memory.recall), alone=_takes_room)

    def take_recalled(self, chunk: Chunk, recalled: Recalled, columns: tuple[str, ...], *, several: bool) -> None:
        """A chunk of which the known rows are compared by their numbers, and parsed only where those differ."""
        known = recalled.known
        places, first = np.flatnonzero(~known.known), self.result.rows
        self.result.rows += recalled.hashes.size
        read = self.read(chunk.rows, chunk, columns, first + places.astype(np.uint64), several=several)
        if first < _EVIDENCE_ROWS:
            self.look_for_dates(read)
        self.count_dates(read)
        sound = read[CODE].is_null()
        if not sound.all():
            self.hold_known(read.filter(~sound))
            read, places = read.filter(sound), places[sound.to_numpy()]
        keys, fingerprints = known.keys.copy(), known.fingerprints.copy()
        keys[places], fingerprints[places] = read[KEY_HASH].to_numpy(), read[FINGERPRINT].to_numpy()
        if self.memory is not None:
            columns_of = {rule.name: variable_column(rule.name) for rule in self.mapping.variables}
            filled = [name for name, column in columns_of.items() if read[column].null_count() < read.height]
            self.memory.note(recalled.hashes[places], keys[places], fingerprints[places], filled)
        there = known.known.copy()
        there[places] = True
        rows = np.flatnonzero(there)
        if not self.snapshot.size:
            self.set_aside(read)
            return
        copies, aside = self.judge(keys[rows], fingerprints[rows], first + rows.astype(np.uint64))
        wanted = rows[copies | aside]
        again = wanted[known.known[wanted]]
        whole = read  # as nearly always: what is new to the memory is, or is not, to us
        if again.size:
            parsed = self.read(recalled.parse(again), chunk, columns, first + again.astype(np.uint64), several=several)
            whole = pl.concat([read, parsed]).sort(ORDINAL)
        if wanted.size < whole.height:
            whole = whole.filter(pl.col(ORDINAL).is_in(pl.Series(first + wanted, dtype=pl.UInt64).implode()))
        if copies.any():
            is_copy = pl.Series(np.isin(wanted, rows[copies]))
            self.hold(_as_copies(whole.filter(is_copy)))
            whole = whole.filter(~is_copy)
        self.set_aside(whole)

    def read(
        self,
        rows: pl.DataFrame,
        chunk: Chunk,
        columns: tuple[str, ...],
        ordinals: npt.NDArray[np.uint64],
        *,
        several: bool,
    ) -> pl.DataFrame:
        """`rows` of a chunk, normalised."""
        if rows.is_empty() and self.no_rows is not None:
            return self.no_rows  # the plan of it costs 10 ms, twice a chunk: a fifth of a night without a change
        shown = (*columns, SOURCE_FILE) if several else columns
        raw = _raw(rows, chunk.file, shown, 0, several=several).with_columns(pl.Series(ORDINAL, ordinals))
        read = collected(normalise(raw.lazy(), self.mapping, columns=shown, plain=chunk.plain), rows=raw.height)
        if self.no_rows is None:
            self.no_rows = read.clear()
        return read

    def take(self, chunk: Chunk, columns: tuple[str, ...], *, several: bool) -> None:
        if chunk.recalled is not None:
            self.take_recalled(chunk, chunk.recalled, columns, several=several)
            return
        raw, columns = _numbered(chunk, columns, self.result.rows, several=several)
        rows = collected(normalise(raw.lazy(), self.mapping, columns=columns, plain=chunk.plain), rows=raw.height)
        if not chunk.held.is_empty():
            self.hold(_held_in_reading(chunk, columns, self.result.rows + rows.height, several=several))
        if self.result.rows < _EVIDENCE_ROWS:
            self.look_for_dates(rows)
        self.result.rows += rows.height + chunk.held.height
        self.count_dates(rows)
        sound = rows[CODE].is_null()
        if not sound.all():
            self.hold_known(rows.filter(~sound))
            rows = rows.filter(sound)
        self.recognise(rows)

    def hold_known(self, rows: pl.DataFrame) -> None:
        """Held rows whose contact can be told: it has not left the source, and its doubts count for its other rows."""
        self.hold(rows.select(HELD_COLUMNS))
        if self.result.objections is not None:
            self.result.objections.hear(rows)
        keyed = rows.filter(pl.col(KEY).is_not_null())
        if keyed.is_empty():
            return
        self.see(keyed[KEY_HASH], keyed[FINGERPRINT])
        told = keyed.select(_VOTE)
        if self.mapping.key is None:
            several = _each_within(keyed.filter(pl.col(CODE) == AddressCode.SEVERAL.value))
            self.see(several[KEY_HASH], pl.Series(np.zeros(several.height, dtype=np.uint64)))
            told = pl.concat([told, several])
        is_doubtful = pl.col(CODE).is_in(_CONSENT_CODES) | pl.col(ACTIVE).is_null()
        votes = told.filter(is_doubtful).select(KEY_HASH, KEY)
        self.result.contradicted = pl.concat([self.result.contradicted, votes])
        denials = told.filter(~is_doubtful & ~pl.col(ACTIVE)).select(KEY_HASH, KEY)
        self.result.denied = pl.concat([self.result.denied, denials])

    def see(self, keys: pl.Series, fingerprints: pl.Series) -> None:
        """Contacts of held rows: the source still has them."""
        found = self.snapshot.recognise(keys.to_numpy(), fingerprints.to_numpy()).positions
        known = found[found != UNKNOWN]
        self.state[known] = np.maximum(self.state[known], _SEEN_HELD)

    def hold(self, rows: pl.DataFrame) -> None:
        if not rows.is_empty():
            self.result.held.update(dict(rows[CODE].value_counts().iter_rows()))
            self.out.hold(rows)

    def count_dates(self, rows: pl.DataFrame) -> None:
        """Evidence for variables whose type is still to be decided; all rows count, held ones too."""
        columns = [variable_column(name) for name in self.undecided]
        dates = rows.select(is_iso_date(pl.col(column)).sum() for column in columns).row(0) if columns else ()
        for name, column, more in zip(self.undecided, columns, dates, strict=True):
            share = self.result.dates.setdefault(name, DateShare())
            share.filled += rows[column].count()
            share.dates += more

    def look_for_dates(self, rows: pl.DataFrame) -> None:
        for name in self.undecided:
            found = date_evidence(rows[variable_column(name)])
            self.result.evidence[name] = self.result.evidence.get(name, DateEvidence()) + found

    def set_aside(self, rows: pl.DataFrame) -> None:
        self.aside.append(rows)
        if self.result.objections is not None:
            self.result.objections.hear(rows)

    def forget_denied(self) -> None:
        """Contacts taken for unchanged of which a held row says that they are not subscribed."""
        undisputed = self.result.denied.join(self.result.contradicted, on=[KEY_HASH, KEY], how="anti")  # those are held
        denied = self.positions_of(undisputed)
        if denied.size:
            subscribed = self.snapshot.rows_at(denied[self.state[denied] == _SAME]).filter(ACTIVE)
            self.look_again(self.positions_of(subscribed))

    def positions_of(self, contacts: pl.DataFrame) -> npt.NDArray[np.int64]:
        keys = contacts[KEY_HASH].to_numpy()
        positions = self.snapshot.recognise(keys, np.zeros_like(keys)).positions
        return np.unique(positions[positions != UNKNOWN])

    def forget_overruled(self) -> None:
        """Contacts taken for unchanged of whose address another one's row says that it is not subscribed."""
        if self.result.objections is not None:
            self.look_again(self.result.objections.overruled(self.snapshot))

    def look_again(self, positions: npt.NDArray[np.int64]) -> None:
        """Those at these positions who were taken for unchanged are compared after all."""
        positions = positions[self.state[positions] == _SAME]
        self.forget_same(positions)
        self.state[positions] = _ASIDE

    def recognise(self, rows: pl.DataFrame) -> None:
        if not self.snapshot.size:
            self.set_aside(rows)
            return
        copies, aside = self.judge(rows[KEY_HASH].to_numpy(), rows[FINGERPRINT].to_numpy(), rows[ORDINAL].to_numpy())
        if copies.any():
            self.hold(_as_copies(rows.filter(pl.Series(copies))))
        self.set_aside(rows if aside.all() else rows.filter(pl.Series(aside)))

    def judge(self, keys: Hashes, fingerprints: Hashes, ordinals: npt.NDArray[np.uint64]) -> tuple[Flags, Flags]:
        """Which rows of a chunk say what a row before has said, and which are to be compared; the others are the same.

        The rows have these ordinals, key hashes and fingerprints; none of them is held.
        """
        found = self.snapshot.recognise(keys, fingerprints)
        positions, known = np.maximum(found.positions, 0), found.positions != UNKNOWN
        before = self.state.take(positions)
        fresh = known & (before <= _SEEN_HELD)
        fresh &= ~self.repeated(positions, fresh, ordinals)
        unchanged = fresh & found.same
        self.result.same += int(np.count_nonzero(unchanged))
        if unchanged.all():
            self.state[positions] = _SAME
            return ~unchanged, ~unchanged
        again = known & (before == _SAME)
        copies = again & found.same
        others = positions[again & ~found.same]
        if others.size:  # a copy behind a row that differs is the last word
            copies &= ~np.isin(positions, others)
        self.state[positions[known & ~unchanged & ~copies]] = _ASIDE
        self.state[positions[unchanged]] = _SAME
        self.forget_same(positions[again & ~found.same])
        return copies, ~unchanged & ~copies

    def repeated(self, positions: npt.NDArray[np.int64], fresh: Flags, ordinals: npt.NDArray[np.uint64]) -> Flags:
        """Which of the rows of contacts not met before are not the only one of their contact in this chunk.

        Each is noted as its contact's first row; where another one is found noted instead, there are several.
        """
        every = fresh.all()
        at, told = (positions, ordinals) if every else (positions[fresh], ordinals[fresh])
        noted = told.astype(np.uint32)
        self.first_ordinal[at] = noted
        others = at[self.first_ordinal.take(at) != noted]
        return np.isin(positions, others) if others.size else np.zeros(positions.size, np.bool_)

    def forget_same(self, positions: npt.NDArray[np.int64]) -> None:
        """Contacts taken for unchanged of which another row says something else: their first row is needed whole."""
        if positions.size:
            unique = np.unique(positions)
            self.first_rows_to_widen.append(self.first_ordinal[unique])
            self.result.same -= unique.size

    def conclude(self) -> None:
        """Tell from the marks who was seen, and who was set aside. Afterwards they are those of who was seen."""
        parts = stretches(self.state.size)
        aside = [np.flatnonzero(self.state[part] == _ASIDE) + part.start for part in parts]
        self.result.aside = np.concatenate([self.result.aside, *aside])
        self.result.seen = np.minimum(self.state, 1, out=self.state).view(np.bool_)

    def widen(self, source: Source) -> None:
        """Read the source once more for the rows `forget_same` noted."""
        wanted = pl.Series(np.concatenate(self.first_rows_to_widen)).cast(pl.UInt64)
        count = 0
        for chunk in source.chunks():
            raw, columns = _numbered(chunk, source.columns, count, several=_tells_file(source))
            count += raw.height + chunk.held.height
            rows = raw.filter(pl.col(ORDINAL).is_in(wanted.implode()))
            if not rows.is_empty():
                self.aside.append(normalise(rows.lazy(), self.mapping, columns=columns).collect())


def _each_within(rows: pl.DataFrame) -> pl.DataFrame:
    """_VOTE of each address in cells that hold several: whose they are can't be told, but none of them has left."""
    pieces = rows.select(split_addresses(rows[EMAIL]).alias(KEY), CODE, ACTIVE).explode(KEY).drop_nulls(KEY)
    if pieces.is_empty():
        return rows.select(_VOTE).clear()
    keyed = pieces.with_columns(examine_addresses(pieces[KEY])["key"].alias(KEY)).drop_nulls(KEY)
    return keyed.with_columns(key_hashes(keyed[KEY])).select(_VOTE)


def _takes_room(chunk: Chunk) -> bool:
    """Whether much of it is new, as at the end of a file that grew: it takes ten times the room of a known one."""
    return chunk.rows.height > FEW_PARSED


def _strangers(rows: Hashes) -> Recollection:
    """That none of these rows is known."""
    nothing = np.zeros(rows.size, np.uint64)
    return Recollection(np.zeros(rows.size, np.bool_), nothing, nothing)


def _tells_file(source: Source) -> bool:
    return len(told_columns(source.columns, source.describe().files)) > len(source.columns)


def _numbered(
    chunk: Chunk, columns: tuple[str, ...], start: int, *, several: bool
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows of a chunk as RAW, and the columns they have."""
    if several:
        columns = (*columns, SOURCE_FILE)
    return _raw(chunk.rows, chunk.file, columns, start, several=several), columns


def _held_in_reading(chunk: Chunk, columns: tuple[str, ...], start: int, *, several: bool) -> pl.DataFrame:
    raw = _raw(chunk.held, chunk.file, columns, start, several=several)
    return raw.select(
        ORDINAL,
        ROW,
        pl.lit(None, pl.String).alias(KEY),
        pl.lit(None, pl.String).alias(EMAIL),
        chunk.held[CODE],
        chunk.held[REASON],
        pl.struct(pl.col(source_column(column)).alias(column) for column in columns).alias(SOURCE),
    )


def _raw(rows: pl.DataFrame, file: str, columns: tuple[str, ...], start: int, *, several: bool) -> pl.DataFrame:
    own = columns[:-1] if several else columns
    numbered = rows.select(
        pl.int_range(start, start + pl.len(), dtype=pl.UInt64).alias(ORDINAL),
        ROW,
        *(pl.col(column).alias(source_column(column)) for column in own),
    )
    return numbered.with_columns(pl.lit(file).alias(source_column(SOURCE_FILE))) if several else numbered


def _as_copies(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        pl.lit("duplicate").alias(CODE), pl.lit("an earlier row says the same of this contact").alias(REASON)
    ).select(HELD_COLUMNS)
