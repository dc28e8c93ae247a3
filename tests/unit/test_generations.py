"""A few changes are kept beside the snapshot, and what is known of the list is what it would be without that."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.errors import StateError
from syncengine.frames import ADDRESS, FINGERPRINT, GONE, KEY, KEY_HASH, LEFT_SOURCE, SNAPSHOT_SCHEMA
from syncengine.ledger import Ledger, open_ledger
from syncengine.normalise.rows import hash_of, key_hashes
from syncengine.ports import Changes, ListState
from syncengine.snapshot import FrameSnapshot
from syncengine.sorted_hashes import UNKNOWN
from syncengine.standing import row_in_force
from syncengine.state import StateStore
from syncengine.state.generations import generation_of
from syncengine.state.numbers import numbers_beside
from syncengine.state.store import NO_DOUBTS, NOTHING_REFUSED

NOW = datetime(2026, 5, 1, 3, 0, tzinfo=UTC)
LIST = "5537ab2a08d241dc69326b19"
EVERYBODY = {f"key-{number}": number + 10 for number in range(64)}


def contacts(fingerprints: dict[str, int], hashes: pl.Series | None = None, address: str = "") -> pl.DataFrame:
    keys = pl.Series(KEY, list(fingerprints), dtype=pl.String)
    return pl.DataFrame(
        {
            KEY: keys,
            KEY_HASH: key_hashes(keys) if hashes is None else hashes,
            "email": [f"{key}@Example.com" for key in keys],
            ADDRESS: [f"{address}{key}@example.com" for key in keys],
            "name": [None] * len(keys),
            "active": [True] * len(keys),
            "variables": ["[]"] * len(keys),
            FINGERPRINT: pl.Series(list(fingerprints.values()), dtype=pl.UInt64),
            "origin": ["sync"] * len(keys),
            "confirmed_at": [NOW] * len(keys),
        },
        schema=SNAPSHOT_SCHEMA,
    )


@dataclass
class Night:
    """What one run changes."""

    upserts: dict[str, int] = field(default_factory=dict)
    renewed: dict[str, int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def changes(self) -> Changes:
        return Changes(
            [contacts(self.upserts).lazy()],
            [contacts(self.renewed).lazy().select(KEY, KEY_HASH, FINGERPRINT)] if self.renewed else [],
            [contacts(dict.fromkeys(self.removed, 0)).lazy().select(KEY, KEY_HASH)],
            NOTHING_REFUSED.with_columns(pl.lit("").alias("rules")),
            NO_DOUBTS,
        )

    def after(self, before: dict[str, int]) -> dict[str, int]:
        kept = {key: self.renewed.get(key, value) for key, value in before.items() if key not in self.removed}
        return kept | self.upserts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_ledger(folder)) as connection:
        yield connection


@pytest.fixture
def store(ledger: sqlite3.Connection, folder: Path) -> StateStore:
    store = StateStore(ledger, folder, LIST, "https://partner.sndmart.com")
    commit(store, Night(EVERYBODY).changes())
    return store


def commit(store: StateStore, change: Changes) -> ListState:
    return store.commit(change, run="run", job="job", saw=None, status="finished", result="ok", facts={}, now=NOW)


def held(store: StateStore) -> dict[str, int]:
    return dict(store.snapshot().rows().select(KEY, FINGERPRINT).collect().iter_rows())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "lists" / LIST).glob("*.parquet"))


def test_a_few_changes_are_a_small_file_beside_the_snapshot(store: StateStore, folder: Path) -> None:
    night = Night({"key-1": 7, "new": 8}, {"key-2": 9}, {"key-3", "stranger"})

    state = commit(store, night.changes())

    assert files(folder) == ["changes-2.parquet", "snapshot-1.parquet"]
    assert (state.generation, state.contacts) == (2, 64)
    assert (state.path, state.newer) == (
        folder / "lists" / LIST / "snapshot-1.parquet",
        (folder / "lists" / LIST / "changes-2.parquet",),
    )
    assert held(store) == night.after(EVERYBODY)


def test_once_they_are_many_all_is_one_snapshot_again(store: StateStore, folder: Path) -> None:
    for number in range(1, 9):
        commit(store, Night({f"key-{number}": number}).changes())
    assert files(folder) == [*(f"changes-{number}.parquet" for number in range(2, 10)), "snapshot-1.parquet"]

    commit(store, Night({"key-9": 9}).changes())

    assert "snapshot-10.parquet" in files(folder)
    assert store.current().newer == ()
    assert "snapshot-1.parquet" in files(folder)  # the copy of the ledger may still point to it
    commit(store, Night({"key-10": 1}).changes())
    assert files(folder) == ["changes-11.parquet", "snapshot-10.parquet"]


def test_the_copy_of_the_ledger_points_to_files_that_are_kept(store: StateStore, ledger: Ledger, folder: Path) -> None:
    """It is made after each good run, and has to do until the next has made its own."""
    commit(store, Night({"key-1": 7}).changes())
    before = held(store)
    with contextlib.closing(sqlite3.connect(":memory:")) as copy:
        ledger.backup(copy)
        copy.row_factory = sqlite3.Row
        commit(store, Night(dict.fromkeys(EVERYBODY, 5)).changes())
        assert store.current().newer == ()

        assert held(StateStore(copy, folder, LIST, "https://partner.sndmart.com")) == before


def test_contacts_of_one_hash_never_meet_in_a_file_of_changes(store: StateStore, folder: Path) -> None:
    """By the hash alone it could not be told which of the two is replaced."""
    twin = contacts({"twin": 1}, hashes=key_hashes(pl.Series(["key-5"])))

    commit(store, Changes([twin.lazy()], [], [], Night().changes().refused, NO_DOUBTS))

    assert files(folder) == ["snapshot-1.parquet", "snapshot-2.parquet"]
    assert held(store) == EVERYBODY | {"twin": 1}
    commit(store, Night({"key-5": 9}).changes())
    assert held(store) == EVERYBODY | {"twin": 1, "key-5": 9}
    assert store.current().newer == ()


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_file_of_changes_is_refused_and_left_as_found(store: StateStore, damage: str) -> None:
    (path,) = commit(store, Night({"key-1": 7}).changes()).newer
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        middle = len(content) // 2
        flipped = bytes([*content[:middle], content[middle] ^ 1, *content[middle + 1 :]])
        path.write_bytes(content[:-1] if damage == "cut" else flipped)

    with pytest.raises(StateError) as refused:
        store.snapshot()

    assert (refused.value.exit_code, refused.value.code) == (8, "snapshot-damaged")
    assert path.exists() == (damage != "gone")


@pytest.mark.parametrize("without_numbers", [False, True])
def test_a_large_snapshot_is_verified_beside_the_work_and_before_rows_of_it_are_read(
    store: StateStore, ledger: sqlite3.Connection, folder: Path, *, without_numbers: bool
) -> None:
    path = store.current().path
    assert path is not None
    generation = generation_of(row_in_force(ledger, LIST), folder / "lists" / LIST)
    whole = generation.verified(large=0)
    whole.verify()
    keys = key_hashes(pl.Series([*EVERYBODY])).to_numpy()
    assert whole.rows_of(keys).height == len(EVERYBODY)
    path.write_bytes(path.read_bytes()[:-1])
    if without_numbers:
        numbers_beside(path).unlink()
        with pytest.raises(StateError):
            generation.verified(large=0)
        return

    damaged = generation.verified(large=0)

    assert (damaged.recognise(keys, keys).positions != UNKNOWN).all()
    for read in (damaged.verify, damaged.rows, lambda: damaged.rows_of(keys), lambda: damaged.owners_at(keys)):
        with pytest.raises(StateError, match="damaged"):
            read()


@pytest.mark.parametrize("few", [False, True])
def test_a_damaged_snapshot_is_merged_into_no_other_by_whoever_opens_the_state_next(
    store: StateStore, ledger: sqlite3.Connection, folder: Path, *, few: bool
) -> None:
    """As a run that is resumed does, or `state forget`: they plan nothing, and have read no snapshot before."""
    path = store.current().path
    assert path is not None
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    before = files(folder)
    again = StateStore(ledger, folder, LIST, "https://partner.sndmart.com")
    changes = Night({"key-1": 7} if few else dict.fromkeys(EVERYBODY, 7)).changes()

    for change in (lambda: commit(again, changes), lambda: again.erase(changes, NOW)):
        with pytest.raises(StateError, match="damaged"):
            change()

    assert (files(folder), path.read_bytes(), again.current().generation) == (before, content, 1)


def test_who_is_erased_is_in_no_file_in_force(store: StateStore) -> None:
    """Nor is who left before: of them the snapshot still has all it knew."""
    commit(store, Night({"key-1": 7}, removed={"key-2"}).changes())

    state = store.erase(Night(removed={"key-1"}).changes(), NOW)

    assert state.newer == ()
    assert state.path is not None
    kept = pl.read_parquet(state.path)
    assert kept.height == len(EVERYBODY) - 2
    assert not {"key-1", "key-2"} & {*kept[KEY]}


def test_who_left_before_is_erased_from_the_snapshot_below(store: StateStore) -> None:
    """Nothing is changed by it then, and all is written nevertheless."""
    commit(store, Night({"key-1": 7}, removed={"key-2"}).changes())
    known = held(store)

    state = store.erase(Night().changes(), NOW)

    assert (state.newer, held(store)) == ((), known)
    assert state.path is not None
    assert "key-2" not in {*pl.read_parquet(state.path)[KEY]}


KEYS = st.sampled_from([*[*EVERYBODY][:12], "new-1", "new-2", "new-3"])
VALUES = st.integers(LEFT_SOURCE, 6)
NIGHTS = st.builds(
    Night,
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.dictionaries(KEYS, VALUES, max_size=2),
    st.sets(KEYS, max_size=2),
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(nights=st.lists(NIGHTS, min_size=1, max_size=6))
def test_any_series_of_nights_leaves_what_writing_all_would_have(
    tmp_path_factory: pytest.TempPathFactory, nights: list[Night]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    with contextlib.closing(open_ledger(folder)) as ledger:
        store = StateStore(ledger, folder, LIST, "https://partner.sndmart.com")
        commit(store, Night(EVERYBODY).changes())
        expected = EVERYBODY
        for night in nights:
            state = commit(store, night.changes())
            expected = night.after(expected)
            assert state.contacts == len(expected)
        assert_same(store.snapshot(), FrameSnapshot(contacts(expected).sort(KEY_HASH, KEY).lazy()))


def assert_same(one: FrameSnapshot, other: FrameSnapshot) -> None:
    """Whatever can be asked of the two has the same answer, positions aside."""
    rows = other.rows().collect()
    hashes = key_hashes(pl.Series([*EVERYBODY, "new-1", "new-2", "new-3", "nobody"])).to_numpy()
    assert one.rows().collect().sort(KEY).equals(rows.sort(KEY))
    assert (one.contacts, one.present) == (other.contacts, other.present)
    assert one.rows_of(hashes[:9]).sort(KEY).equals(other.rows_of(hashes[:9]).sort(KEY))
    for value in range(8):
        mine, theirs = (
            snapshot.recognise(hashes, np.full(len(hashes), value, dtype=np.uint64)) for snapshot in (one, other)
        )
        assert (mine.positions == UNKNOWN).tolist() == (theirs.positions == UNKNOWN).tolist()
        assert mine.same.tolist() == theirs.same.tolist()
    assert one.rows_at(mine.positions[mine.positions != UNKNOWN]).sort(KEY).equals(rows.sort(KEY))
    seen = [snapshot.recognise(hashes[:40], hashes[:40]).positions for snapshot in (one, other)]
    missing = []
    for snapshot, positions in zip((one, other), seen, strict=True):
        flags = np.zeros(snapshot.size, dtype=np.bool_)
        flags[positions[positions != UNKNOWN]] = True
        missing.append(set(snapshot.rows_at(snapshot.missing(flags))[KEY]))
    assert missing[0] == missing[1]
    addresses = rows.select(hash_of(pl.col(ADDRESS))).to_series().to_numpy()
    owners = one.owners_at(addresses)
    assert (owners != UNKNOWN).all()
    assert [one.rows_at(owners[[place]])[KEY][0] for place in range(len(rows))] == rows[KEY].to_list()
    assert one.owners_at(key_hashes(pl.Series(["nobody@example.com"])).to_numpy()).tolist() == [UNKNOWN]


def test_the_numbers_of_a_snapshot_are_mapped_and_whatever_befalls_them_costs_nothing(store: StateStore) -> None:
    path = store.current().path
    assert path is not None
    numbers = numbers_beside(path)
    content = numbers.read_bytes()
    hashes = key_hashes(pl.Series([*EVERYBODY])).to_numpy()
    fingerprints = np.array([*EVERYBODY.values()], dtype=np.uint64)
    assert isinstance(store.snapshot()._hashes, np.memmap)

    for damaged in (
        b"",
        content[:-1],
        content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        b"x" + content[1:],
    ):
        numbers.write_bytes(damaged)
        assert not isinstance(store.snapshot()._hashes, np.memmap)
        assert store.snapshot().recognise(hashes, fingerprints).same.all()
    numbers.unlink()
    assert store.snapshot().recognise(hashes, fingerprints).same.all()


@pytest.mark.parametrize("length", [1, 2, 3, 7, 100])
def test_who_is_missing_is_the_same_however_much_is_looked_at_at_a_time(length: int) -> None:
    """Some of them share a hash with the one before, or the one behind; some were changed later, some taken off."""
    hashes = pl.Series([number if number % 3 else number + 1 for number in range(40)], dtype=pl.UInt64)
    everybody = contacts({f"k{number:02}": number % 5 for number in range(40)}, hashes)
    later = contacts({"k00": 7, "k23": 7, "k35": 7, "new": 7}, pl.Series([1_000, 23, 35, 50], dtype=pl.UInt64))
    newer = later.with_columns((pl.col(KEY) == "k23").alias(GONE)).sort(KEY_HASH)
    snapshot = FrameSnapshot(everybody.sort(KEY_HASH, KEY).lazy(), [newer.lazy()])
    seen = np.arange(snapshot.size) % 4 == 0

    assert snapshot.missing(seen, at_a_time=length).tolist() == snapshot.missing(seen).tolist()
    assert 5 < len(snapshot.missing(seen)) < np.count_nonzero(~seen) - 2
