"""What is known of a list: changed as a whole or not at all, bound to one account, and never trusted when damaged."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.durable import write_durably
from syncengine.errors import StateError
from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    ADDRESS_IN_DOUBT,
    CONFIRMED_AT,
    EMAIL,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    NAME,
    ORIGIN,
    SNAPSHOT_SCHEMA,
    VARIABLES,
)
from syncengine.journal import Journal
from syncengine.keyed import tombstone
from syncengine.leaving import REMOVED
from syncengine.ledger import open_ledger, read_ledger, transaction
from syncengine.model import Variable, VariableType
from syncengine.normalise.rows import key_hashes
from syncengine.ports import Changes, ListState, SourceSeen
from syncengine.state import StateStore
from syncengine.state.snapshots import merge
from syncengine.suppression import Learned

NOW = datetime(2026, 5, 1, 3, 0, tzinfo=UTC)
NOBODY = pl.LazyFrame(schema=SNAPSHOT_SCHEMA)
ACCOUNT = "https://partner.sndmart.com"
LIST = "5537ab2a08d241dc69326b19"
BIG = (1 << 64) - 1  #: the largest fingerprint; SQLite's integers are signed

RULES = ("rules", "upsert/source")
REFUSED_SCHEMA = {
    KEY: pl.String,
    FINGERPRINT: pl.UInt64,
    "outcome": pl.String,
    "code": pl.String,
    "text": pl.String,
    "rules": pl.String,
}
DOUBTFUL_SCHEMA = {KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64}
SEEN = SourceSeen("xxh3:ab", "rules", "{}", 0, clean=True, rows=3, held=1, same=0, run="run-1")


def contacts(fingerprints: dict[str, int]) -> pl.DataFrame:
    """SNAPSHOT rows of keys with these fingerprints."""
    keys = pl.Series(KEY, list(fingerprints), dtype=pl.String)
    return pl.DataFrame(
        {
            KEY: keys,
            KEY_HASH: key_hashes(keys),
            EMAIL: [f"{key}@example.com" for key in keys],
            ADDRESS: [f"{key}@example.com" for key in keys],
            NAME: ["O'Neil" if number % 2 else None for number in range(len(keys))],
            ACTIVE: [number % 3 > 0 for number in range(len(keys))],
            VARIABLES: ["[]"] * len(keys),
            FINGERPRINT: pl.Series(list(fingerprints.values()), dtype=pl.UInt64),
            ORIGIN: ["sync"] * len(keys),
            CONFIRMED_AT: [NOW] * len(keys),
        },
        schema=SNAPSHOT_SCHEMA,
    )


def changes(
    *,
    upserts: Sequence[dict[str, int]] = (),
    renewed: Sequence[dict[str, int]] = (),
    removed: Sequence[Sequence[str]] = (),
    refused: Sequence[tuple[str, int, str, str, str]] = (),
    doubtful: Sequence[tuple[str, int, float]] = (),
) -> Changes:
    return Changes(
        [contacts(some).lazy() for some in upserts],
        [contacts(some).lazy().select(KEY, KEY_HASH, FINGERPRINT) for some in renewed],
        [contacts(dict.fromkeys(keys, 0)).lazy().select(KEY, KEY_HASH) for keys in removed],
        pl.DataFrame([(*one, RULES[0]) for one in refused], schema=REFUSED_SCHEMA, orient="row"),
        pl.DataFrame(list(doubtful), schema=DOUBTFUL_SCHEMA, orient="row"),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_ledger(folder)) as connection:
        yield connection


@pytest.fixture
def store(ledger: sqlite3.Connection, folder: Path) -> StateStore:
    return StateStore(ledger, folder, LIST, ACCOUNT)


def commit(
    store: StateStore, change: Changes, *, run: str = "run-1", saw: SourceSeen | None = None, now: datetime = NOW
) -> ListState:
    return store.commit(change, run=run, job="job", saw=saw, status="finished", result="ok", facts={}, now=now)


def held(store: StateStore) -> dict[str, int]:
    """Key → fingerprint of what the list holds."""
    snapshot = store.snapshot()
    rows = snapshot.rows_at(pl.int_range(snapshot.size, eager=True).to_numpy())
    return dict(rows.select(KEY, FINGERPRINT).iter_rows())


# Folding --------------------------------------------------------------------------------------------------------------


def test_a_list_nothing_was_confirmed_for_is_empty(store: StateStore) -> None:
    assert store.current() == ListState(LIST, 0, 0, None, "")
    assert held(store) == {}
    assert store.refusals(RULES).is_empty()
    assert store.doubtful().is_empty()
    assert store.off().is_empty()
    assert store.seen("job") is None
    assert store.variables() == {}
    assert store.names("job") == {}


def test_confirmed_contacts_join_replace_and_leave(store: StateStore, folder: Path) -> None:
    commit(store, changes(upserts=[{"a": 10, "b": 20}, {"c": BIG, "d": 40}]))
    state = commit(
        store, changes(upserts=[{"b": 21, "e": 50}], removed=[["a"], ["nobody"]], renewed=[{"d": 41, "stranger": 1}])
    )

    assert held(store) == {"b": 21, "c": BIG, "d": 41, "e": 50}
    assert state == ListState(LIST, 2, 4, folder / "lists" / LIST / "snapshot-2.parquet", "2026-05-01T03:00:00+00:00")
    assert store.current() == state


def test_every_column_comes_back_as_it_went_in(store: StateStore) -> None:
    rows = contacts({"a": 1, "b": BIG, "c": 3}).sort(KEY)
    commit(store, changes(upserts=[{"a": 1, "b": BIG, "c": 3}]))

    snapshot = store.snapshot()
    assert snapshot.rows_of(rows[KEY_HASH].to_numpy()).sort(KEY).equals(rows)


def test_a_contact_that_gives_its_key_to_another_is_not_lost(store: StateStore) -> None:
    commit(store, changes(upserts=[{"a": 1, "b": 2}]))
    commit(store, changes(upserts=[{"b": 3, "c": 4}], removed=[["a", "b"]]))

    assert held(store) == {"b": 3, "c": 4}


def test_committing_twice_gives_the_same(store: StateStore) -> None:
    """A crash after the commit and before it was noticed."""
    commit(store, changes(upserts=[{"a": 1, "b": 2}]))
    change = changes(
        upserts=[{"a": 5}],
        removed=[["b"]],
        renewed=[{"c": 9}],
        refused=[("x", 7, "rejected", "arguments", "no")],
        doubtful=[("y", 8, NOW.timestamp() + 60)],
    )
    commit(store, change, run="run-2", saw=SEEN)
    first = (held(store), store.refusals(RULES).rows(), store.doubtful().rows(), store.current().contacts)

    commit(store, change, run="run-2", saw=SEEN)

    assert (held(store), store.refusals(RULES).rows(), store.doubtful().rows(), store.current().contacts) == first
    seen = store.seen("job")
    assert seen is not None
    assert seen.generation == store.current().generation


def test_a_run_without_changes_writes_no_snapshot(store: StateStore, folder: Path) -> None:
    assert commit(store, changes()).generation == 0
    commit(store, changes(upserts=[{"a": 1}]))
    state = commit(store, changes(), now=NOW + timedelta(days=1))

    assert (state.generation, state.contacts, state.updated_at) == (1, 1, "2026-05-02T03:00:00+00:00")
    assert held(store) == {"a": 1}


def test_the_run_is_finished_in_the_same_step(store: StateStore, ledger: sqlite3.Connection) -> None:
    journal = Journal(ledger)
    journal.begin("run-1", "job", LIST, {}, NOW)
    store.commit(
        changes(upserts=[{"a": 1}]),
        run="run-1",
        job="job",
        saw=SEEN,
        status="finished",
        result="rejected",
        facts={"rows": 3},
        now=NOW,
    )

    (run,) = journal.runs()
    assert (run.status, run.result, run.ended_at, run.facts) == ("finished", "rejected", NOW.isoformat(), {"rows": 3})
    assert journal.unfinished("job") is None
    assert store.seen("job") == replace(SEEN, generation=1)


def test_a_run_that_did_not_come_to_its_end_says_nothing_about_the_source(store: StateStore) -> None:
    commit(store, changes(), saw=SEEN)
    commit(store, changes(upserts=[{"a": 1}]), saw=None)

    assert store.seen("job") == SEEN


# Snapshot files -------------------------------------------------------------------------------------------------------


def snapshots(folder: Path) -> set[str]:
    return {path.name for path in (folder / "lists" / LIST).iterdir()}


def test_the_snapshot_before_is_kept_and_older_ones_go(store: StateStore, folder: Path) -> None:
    for number in range(4):
        commit(store, changes(upserts=[{"a": number}]))

    assert {path.stem for path in (folder / "lists" / LIST).iterdir()} == {"snapshot-3", "snapshot-4"}
    assert {path.stat().st_mode & 0o777 for path in (folder / "lists" / LIST).iterdir()} == {0o600}


def test_a_copy_somebody_put_beside_it_is_left_alone(store: StateStore, folder: Path) -> None:
    commit(store, changes(upserts=[{"a": 1}]))
    copy = folder / "lists" / LIST / "snapshot-1 (copy).parquet"
    copy.write_bytes(b"mine")

    for number in range(3):
        commit(store, changes(upserts=[{"a": number}]))

    assert copy.read_bytes() == b"mine"


def test_what_a_process_that_died_here_left_is_no_obstacle(store: StateStore, folder: Path) -> None:
    commit(store, changes(upserts=[{"a": 1}]))
    home = folder / "lists" / LIST
    (home / "snapshot-2.parquet").write_bytes(b"written, and never pointed to")
    (home / ".snapshot-2.parquet.0123abcd.draft").write_bytes(b"half")
    (home / ".merge").mkdir()
    assert held(store) == {"a": 1}

    commit(store, changes(upserts=[{"b": 2}]))

    assert held(store) == {"a": 1, "b": 2}
    assert {"snapshot-1.parquet", "snapshot-2.parquet"} <= snapshots(folder)
    assert not any(name.endswith(".draft") for name in snapshots(folder))


@pytest.mark.parametrize("damage", ["empty", "one byte", "cut", "flipped", "gone", "other"])
def test_a_damaged_snapshot_is_refused_and_left_as_found(store: StateStore, folder: Path, damage: str) -> None:
    commit(store, changes(upserts=[{"a": 1, "b": 2}]))
    path = store.current().path
    assert path is not None
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    new = {"empty": b"", "one byte": b"P", "cut": content[:-1], "flipped": bytes(flipped), "other": content + b"x"}
    path.unlink()
    if damage in new:
        path.write_bytes(new[damage])

    with pytest.raises(StateError) as refused:
        store.snapshot()

    assert (refused.value.exit_code, refused.value.code) == (8, "snapshot-damaged")
    assert (path.read_bytes() if path.exists() else None) == new.get(damage)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_single_flipped_bit_of_a_snapshot_goes_unseen(store: StateStore, data: st.DataObject) -> None:
    if store.current().path is None:
        commit(store, changes(upserts=[{"a": 1, "b": 2}]))
    path = store.current().path
    assert path is not None
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    write_durably(path, bytes(flipped))
    with pytest.raises(StateError):
        store.snapshot()
    write_durably(path, content)
    store.snapshot()


# Merging --------------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from([f"key-{number}" for number in range(40)])
SOME = st.dictionaries(KEYS, st.integers(0, BIG), max_size=12)


@settings(deadline=None, max_examples=60)
@given(SOME, SOME, SOME, st.sets(KEYS, max_size=12), st.sampled_from([1, 500_001, 5_000_000]))
def test_merging_gives_the_old_without_the_removed_and_replaced_plus_the_new(
    tmp_path_factory: pytest.TempPathFactory,
    old: dict[str, int],
    new: dict[str, int],
    renewed: dict[str, int],
    removed: set[str],
    rows: int,
) -> None:
    """In one range of key hashes or in several: `rows` is what decides."""
    folder = tmp_path_factory.mktemp("merge")
    merge(folder / "old", NOBODY, changes(upserts=[old]), rows=1)
    change = changes(upserts=[new], renewed=[renewed], removed=[sorted(removed)])

    count = merge(folder / "new", pl.scan_parquet(folder / "old"), change, rows=rows)

    result = pl.read_parquet(folder / "new")
    kept = {key: renewed.get(key, fingerprint) for key, fingerprint in old.items() if key not in removed}
    assert dict(result.select(KEY, FINGERPRINT).iter_rows()) == kept | new
    assert count == result.height
    assert result[KEY_HASH].is_sorted()
    assert result.schema == SNAPSHOT_SCHEMA
    assert {path.name for path in folder.iterdir()} == {"old", "new"}


def test_a_merge_that_fails_leaves_neither_draft_nor_scratch(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"no parquet")

    with pytest.raises(pl.exceptions.ComputeError):
        merge(tmp_path / "new", pl.scan_parquet(tmp_path / "old"), changes(upserts=[{"a": 1}]), rows=10**6)

    assert {path.name for path in tmp_path.iterdir()} == {"old"}


# Accounts -------------------------------------------------------------------------------------------------------------


def test_the_state_of_another_account_is_refused_before_and_after(
    store: StateStore, ledger: sqlite3.Connection, folder: Path
) -> None:
    commit(store, changes(upserts=[{"a": 1}]))
    other = StateStore(ledger, folder, LIST, "https://other.example.com")

    for use in (other.current, other.snapshot, lambda: commit(other, changes(removed=[["a"]]))):
        with pytest.raises(StateError) as refused:
            use()
        assert refused.value.code == "state-other-account"
        assert "belongs to https://partner.sndmart.com" in refused.value.what
    assert held(store) == {"a": 1}


def test_fingerprints_of_another_scheme_are_refused(store: StateStore, ledger: sqlite3.Connection) -> None:
    commit(store, changes(upserts=[{"a": 1}]))
    ledger.execute("UPDATE lists SET scheme = 99")

    with pytest.raises(StateError) as refused:
        store.snapshot()
    assert refused.value.code == "state-scheme"


def test_two_lists_share_a_state_and_nothing_in_it(store: StateStore, ledger: sqlite3.Connection, folder: Path) -> None:
    other = StateStore(ledger, folder, "other", ACCOUNT)
    commit(store, changes(upserts=[{"a": 1}], refused=[("x", 1, "rejected", "arguments", "")]), saw=SEEN)
    store.remember_variables([Variable("city", VariableType.STRING)], NOW, "sync")

    assert (held(other), other.refusals(RULES).height, other.variables(), other.seen("job")) == ({}, 0, {}, None)
    commit(other, changes(upserts=[{"a": 2}]))
    assert (held(store), held(other)) == ({"a": 1}, {"a": 2})


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "x" * 65, "ä"])
def test_a_list_whose_id_can_not_name_a_folder_is_refused(ledger: sqlite3.Connection, folder: Path, name: str) -> None:
    with pytest.raises(StateError):
        StateStore(ledger, folder, name, ACCOUNT)


def test_whoever_is_off_no_more_may_come_back_under_their_id(store: StateStore, ledger: sqlite3.Connection) -> None:
    """They had left the list for good; whose word is older than the export that has them is lifted, and no other."""
    gone = contacts({"1": 5, "2": 6}).with_columns(pl.Series(ADDRESS, ["a@example.com", "b@example.com"]))
    nobody = gone.clear()
    store.learn(Learned(nobody, gone.select(KEY, KEY_HASH, ADDRESS)), NOW)
    for address, month in (("a@example.com", 1), ("b@example.com", 3)):
        told = (LIST, address, REMOVED, "webhook", datetime(2026, month, 1, tzinfo=UTC).isoformat())
        ledger.execute("INSERT INTO suppressions (list, address, kind, origin, at) VALUES (?,?,?,?,?)", told)
    assert sorted(store.refusals(RULES)[KEY]) == ["1", "2"]

    store.lift_suppressions(["a@example.com", "b@example.com"], before=datetime(2026, 2, 1, tzinfo=UTC))

    assert list(store.refusals(RULES)[KEY]) == ["2"]


# Refusals -------------------------------------------------------------------------------------------------------------


def test_refused_content_is_remembered_with_how_its_row_is_held(store: StateStore) -> None:
    commit(
        store,
        changes(
            refused=[
                ("a", BIG, "rejected", "arguments", "Not valid"),
                ("b", 2, "rejected", "unknown-text", ""),
                ("c", 3, "unresolved", "consent-unknown", "already exists"),
            ]
        ),
    )

    assert sorted(store.refusals(RULES).rows()) == [
        ("a", BIG, "rejected-before", "arguments: Not valid", False),
        ("b", 2, "rejected-before", "unknown-text", False),
        ("c", 3, "consent-unknown", "consent-unknown: already exists", True),
    ]


def test_what_was_refused_under_other_rules_may_be_sent_again(store: StateStore) -> None:
    commit(store, changes(refused=[("a", 1, "rejected", "already-exists", "")]))

    assert store.refusals(("other rules", "add/source")).is_empty()
    assert store.refusals(("rules", "add/source")).height == 1


def test_a_refusal_is_dropped_when_the_contact_is_confirmed_and_renewed_when_it_is_refused_again(
    store: StateStore,
) -> None:
    refused = [(key, 1, "rejected", "arguments", "") for key in "abc"]
    commit(store, changes(refused=refused))

    commit(store, changes(upserts=[{"a": 5, "z": 6}], refused=[("b", 2, "rejected", "unknown-text", "no")]))

    assert sorted(store.refusals(RULES).rows()) == [
        ("b", 2, "rejected-before", "unknown-text: no", False),
        ("c", 1, "rejected-before", "arguments", False),
    ]


def test_what_is_noted_about_an_address_is_dropped_once_the_contact_there_is_known(store: StateStore) -> None:
    places = [f"{ADDRESS_IN_DOUBT}{name}@example.com" for name in "ab"]
    commit(store, changes(refused=[(place, 1, "unresolved", "consent-unknown", "") for place in places]))

    commit(store, changes(upserts=[{"a": 5}]))

    assert list(store.refusals(RULES)[KEY]) == places[1:]


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ({}, []),
        ({"run": "run-1"}, ["c"]),
        ({"code": "arguments"}, ["b"]),
        ({"run": "run-2", "code": "x"}, ["a", "b", "c"]),
    ],
)
def test_refusals_can_be_forgotten_so_that_the_content_is_sent_once_more(
    store: StateStore, which: dict[str, str], left: list[str]
) -> None:
    commit(
        store,
        changes(refused=[("a", 1, "rejected", "arguments", ""), ("b", 2, "unresolved", "consent-unknown", "")]),
        run="run-1",
        saw=SEEN,
    )
    commit(store, changes(refused=[("c", 3, "rejected", "arguments", "")]), run="run-2", saw=SEEN)

    assert store.drop_refusals(**which) == 3 - len(left)

    assert sorted(store.refusals(RULES)[KEY]) == left
    seen = store.seen("job")
    assert seen is not None
    assert not seen.clean


# Single contacts ------------------------------------------------------------------------------------------------------


def test_doubts_last_until_their_time_is_over(store: StateStore) -> None:
    then = NOW.timestamp()
    commit(store, changes(doubtful=[("a", BIG, then + 60), ("b", 2, then + 3600)]))
    assert sorted(store.doubtful().rows()) == [("a", BIG, then + 60), ("b", 2, then + 3600)]

    commit(store, changes(doubtful=[("c", 3, then + 7200)]), now=NOW + timedelta(seconds=61))

    assert sorted(store.doubtful()[KEY]) == ["b", "c"]


def test_who_must_not_get_mail_is_known_until_a_person_says_otherwise(
    store: StateStore, ledger: sqlite3.Connection
) -> None:
    with transaction(ledger) as db:
        db.executemany(
            "INSERT INTO suppressions VALUES (?,?,?,'webhook',?,'')",
            [
                (LIST, "a@example.com", "unsubscribed", "2026-01-01T00:00:00+00:00"),
                (LIST, "b@example.com", "unsubscribed", "2026-01-01T00:00:00+00:00"),
                (LIST, "later@example.com", "removed", "2026-03-01T00:00:00+00:00"),
                (LIST, "angry@example.com", "complaint", "2026-01-01T00:00:00+00:00"),
                ("other", "c@example.com", "removed", "2026-01-01T00:00:00+00:00"),
            ],
        )
    everybody = ["a@example.com", "nobody@example.com", "c@example.com", "later@example.com", "angry@example.com"]

    store.lift_suppressions(everybody, before=datetime(2026, 2, 1, tzinfo=UTC))

    assert sorted(store.off()) == ["angry@example.com", "b@example.com", "later@example.com"]


def test_who_was_erased_is_known_by_a_keyed_hash_only(
    store: StateStore, ledger: sqlite3.Connection, folder: Path
) -> None:
    assert (len(store.forgotten().tombstones), store.forgotten().secret) == (0, "")
    secret = b"k" * 32
    (folder / "log.key").write_bytes(secret)
    with transaction(ledger) as db:
        db.execute("INSERT INTO forgotten VALUES (?, '2026')", (tombstone("a@example.com", secret),))

    forgotten = store.forgotten()

    assert (forgotten.tombstones.to_list(), forgotten.secret) == ([tombstone("a@example.com", secret)], secret.hex())
    assert "a@example.com" not in forgotten.tombstones[0]


# Variables and names --------------------------------------------------------------------------------------------------


def test_variables_are_remembered_with_the_type_first_seen(store: StateStore) -> None:
    store.remember_variables([Variable("city", VariableType.STRING), Variable("born", VariableType.DATE)], NOW, "sync")
    store.remember_variables([Variable("born", VariableType.STRING)], NOW, "sync")

    assert store.variables() == {
        "city": Variable("city", VariableType.STRING),
        "born": Variable("born", VariableType.DATE),
    }


def test_the_name_a_column_was_given_stays(store: StateStore) -> None:
    store.remember_names("job", {"City": "city", "Дата": "data"})
    store.remember_names("job", {"City": "town", "New": "fresh"})

    assert store.names("job") == {"City": "city", "Дата": "data", "New": "fresh"}
    assert store.names("other") == {}


# Outside a run --------------------------------------------------------------------------------------------------------


def test_what_a_person_brought_in_changes_the_list_without_a_run(store: StateStore) -> None:
    commit(store, changes(upserts=[{"a": 1}], refused=[("b", 2, "unresolved", "consent-unknown", "")]), saw=SEEN)

    state = store.amend(changes(upserts=[{"b": 3}], removed=[["a"]]), NOW)

    assert (state.generation, held(store), store.refusals(RULES).height) == (2, {"b": 3}, 0)
    seen = store.seen("job")
    assert seen is not None
    assert seen.generation != state.generation  # so that the next run looks at every row


# Crashes --------------------------------------------------------------------------------------------------------------


def test_a_crash_before_the_commit_leaves_the_state_as_it_was(store: StateStore, ledger: sqlite3.Connection) -> None:
    commit(store, changes(upserts=[{"a": 1}]), saw=SEEN)
    before: list[Any] = [held(store), store.current(), store.seen("job")]
    ledger.execute(
        "CREATE TEMP TRIGGER crash BEFORE UPDATE ON main.runs BEGIN SELECT raise(ABORT, 'the disk is full'); END"
    )
    Journal(ledger).begin("run-2", "job", LIST, {}, NOW)

    with pytest.raises(StateError):
        commit(store, changes(upserts=[{"b": 2}], removed=[["a"]]), run="run-2", saw=SEEN)
    assert [held(store), store.current(), store.seen("job")] == before

    ledger.execute("DROP TRIGGER crash")
    commit(store, changes(upserts=[{"b": 2}], removed=[["a"]]), run="run-2", saw=SEEN)
    assert held(store) == {"b": 2}


def test_a_reader_sees_the_state_while_the_writer_has_it(store: StateStore, folder: Path) -> None:
    commit(store, changes(upserts=[{"a": 1}]))

    connection = read_ledger(folder)
    assert connection is not None
    with contextlib.closing(connection):
        assert held(StateStore(connection, folder, LIST, ACCOUNT)) == {"a": 1}
