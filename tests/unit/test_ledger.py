"""A state that can't be trusted stops the run and is left as found; it is never taken for a first run."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.anchor import ANCHOR, DATABASE
from syncengine.errors import StateError
from syncengine.ledger import IDENTITY, back_up, migrate, open_ledger, read_ledger, transaction
from syncengine.schema import APPLICATION_ID, FIRST_SCHEMA, MIGRATIONS, SCHEMA_VERSION

Files = dict[str, bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a sound state with something in it; without the anchor, which is another test's (test_anchor)."""
    folder = tmp_path_factory.mktemp("whole") / "state"
    with contextlib.closing(open_ledger(folder)) as ledger, transaction(ledger) as db:
        db.executemany("INSERT INTO names VALUES ('job', ?, 'variable')", [(f"column {n}",) for n in range(300)])
    return {name: data for name, data in files(folder).items() if name != ANCHOR}


def files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def put(folder: Path, content: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def refusal(folder: Path) -> StateError:
    """Why a state is refused, by its writer and by a reader; nothing of it changes."""
    before = files(folder)
    with pytest.raises(StateError) as refused:
        open_ledger(folder)
    assert files(folder) == before

    with pytest.raises(StateError) as unread:
        read_ledger(folder)
    assert {name: data for name, data in files(folder).items() if name in before} == before
    assert (unread.value.exit_code, unread.value.why) == (8, refused.value.why)
    assert refused.value.why.endswith("; it was left as found")
    return refused.value


# A new state ----------------------------------------------------------------------------------------------------------


def test_a_folder_that_never_held_a_state_gets_an_empty_one(folder: Path) -> None:
    assert read_ledger(folder) is None

    with contextlib.closing(open_ledger(folder)) as ledger:
        tables = [row[0] for row in ledger.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        counts = [ledger.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608

    assert dict(zip(tables, counts, strict=True)) == {
        "batches": 0,
        "changes": 0,
        "corrections": 0,
        "departed": 0,
        "doubts": 0,
        "forgotten": 0,
        "inboxes": 0,
        "lists": 0,
        "mailed": 0,
        "mailings": 0,
        "meta": 2,
        "names": 0,
        "refusals": 0,
        "runs": 0,
        "sources": 0,
        "suppressions": 0,
        "variables": 0,
        "verdicts": 0,
    }


def test_it_is_private_and_marked_as_ours(folder: Path) -> None:
    with contextlib.closing(open_ledger(folder)) as ledger:
        ledger.execute("INSERT INTO names VALUES ('j', 'c', 'v')")
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert ledger.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert ledger.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION

    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert {DATABASE, IDENTITY} <= modes.keys()


def test_a_commit_is_on_disk_before_it_counts(folder: Path) -> None:
    with contextlib.closing(open_ledger(folder)) as ledger:
        settings_of = {
            name: ledger.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete", "trusted_schema")
        }

    assert settings_of == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "trusted_schema": 0}


def test_what_was_written_is_there_when_it_is_opened_again(folder: Path) -> None:
    with contextlib.closing(open_ledger(folder)) as ledger, transaction(ledger) as db:
        db.execute("INSERT INTO names VALUES ('j', 'c', 'v')")

    with contextlib.closing(open_ledger(folder)) as ledger:
        assert [tuple(row) for row in ledger.execute("SELECT * FROM names")] == [("j", "c", "v")]


def test_readers_see_every_commit_while_the_writer_works_and_change_nothing(folder: Path) -> None:
    with contextlib.closing(open_ledger(folder)) as writer:
        for number in range(3):
            with transaction(writer) as db:
                db.execute("INSERT INTO names VALUES ('j', ?, 'v')", (str(number),))
            reader = read_ledger(folder)
            assert reader is not None
            with contextlib.closing(reader):
                assert reader.execute("SELECT count(*) FROM names").fetchone()[0] == number + 1
                with pytest.raises(sqlite3.OperationalError, match="readonly"):
                    reader.execute("DELETE FROM names")


def test_a_transaction_that_fails_leaves_nothing_behind(folder: Path) -> None:
    def fail(ledger: sqlite3.Connection) -> None:
        with transaction(ledger) as db:
            db.execute("INSERT INTO names VALUES ('j', 'c', 'v')")
            raise ValueError("bug")

    with contextlib.closing(open_ledger(folder)) as ledger:
        with pytest.raises(ValueError, match="bug"):
            fail(ledger)
        assert ledger.execute("SELECT count(*) FROM names").fetchone()[0] == 0
        with transaction(ledger) as db:
            db.execute("INSERT INTO names VALUES ('j', 'c', 'v')")


def test_what_can_not_be_written_is_a_state_error_that_says_so(folder: Path) -> None:
    with contextlib.closing(open_ledger(folder)) as ledger, contextlib.closing(open_ledger(folder)) as other:
        other.execute("PRAGMA busy_timeout=1")
        ledger.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError) as refused, transaction(other):
            pass
    assert (refused.value.code, refused.value.exit_code) == ("state-write", 8)
    assert "locked" in refused.value.why


# Damage ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100, 511, 512, 1024, 4096, 8192, 10_000, -4096, -512, -1])
def test_a_truncated_database_is_refused_and_left_as_found(folder: Path, whole: Files, size: int) -> None:
    refusal(put(folder, {**whole, DATABASE: whole[DATABASE][:size]}))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_truncation_at_all_goes_unseen(tmp_path: Path, whole: Files, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(whole[DATABASE]) - 1))

    refusal(put(tmp_path, {**whole, DATABASE: whole[DATABASE][:size]}))


@pytest.mark.parametrize("cut", [0, 1])
def test_a_truncated_database_is_refused_though_its_identity_is_lost_too(folder: Path, whole: Files, cut: int) -> None:
    refusal(put(folder, {DATABASE: whole[DATABASE][:cut]}))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless_and_never_a_crash(
    tmp_path: Path, whole: Files, data: st.DataObject
) -> None:
    """Without the anchor only what holds the database together is looked at: what stands in a cell has no checksum."""
    content = bytearray(whole[DATABASE])
    place = data.draw(st.one_of(st.integers(0, 120), st.integers(0, len(content) - 1)))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = {**whole, DATABASE: bytes(content)}

    try:
        open_ledger(put(tmp_path, damaged)).close()
    except StateError:
        assert (tmp_path / DATABASE).read_bytes() == damaged[DATABASE]
    for name in files(tmp_path).keys() - damaged.keys():
        (tmp_path / name).unlink()


@pytest.mark.parametrize("place", [0, 5, 15, 16, 21, 60, 68, 100, 105])
def test_a_damaged_header_is_refused(folder: Path, whole: Files, place: int) -> None:
    content = bytearray(whole[DATABASE])
    content[place] ^= 0xFF

    refusal(put(folder, {**whole, DATABASE: bytes(content)}))


@pytest.mark.parametrize("page", [1, 2, 5, -1])
def test_a_page_of_zeros_is_refused(folder: Path, whole: Files, page: int) -> None:
    pages = [whole[DATABASE][start : start + 4096] for start in range(0, len(whole[DATABASE]), 4096)]
    used = [number for number, content in enumerate(pages) if any(content)]
    pages[used[page]] = bytes(4096)

    refusal(put(folder, {**whole, DATABASE: b"".join(pages)}))


# Strangers ------------------------------------------------------------------------------------------------------------


def stranger(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize("content", [b"x" * 1024, bytes(1024), b"PAR1" + bytes(8184) + b"PAR1", b"SQLite format 3\x00"])
def test_a_file_that_is_no_database_is_refused(folder: Path, whole: Files, content: bytes) -> None:
    refusal(put(folder, {**whole, DATABASE: content}))


def test_the_database_of_another_program_is_refused(folder: Path) -> None:
    folder.mkdir()
    stranger(folder / DATABASE, "CREATE TABLE meta (name, value)", "INSERT INTO meta VALUES ('identity', 'x')")

    assert "it is not a state of syncengine" in refusal(folder).why


def test_one_that_only_claims_to_be_ours_is_refused(folder: Path) -> None:
    folder.mkdir()
    stranger(folder / DATABASE, f"PRAGMA application_id={APPLICATION_ID}", f"PRAGMA user_version={SCHEMA_VERSION}")

    assert "no such table: meta" in refusal(folder).why


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 1000])
def test_a_newer_database_is_refused_with_both_versions(folder: Path, whole: Files, version: int) -> None:
    put(folder, whole)
    stranger(folder / DATABASE, f"PRAGMA user_version={version}")

    assert refusal(folder).why.startswith(
        f"it was written by a newer version (schema {version}, this program knows {SCHEMA_VERSION})"
    )


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_nobody_wrote_is_refused(folder: Path, whole: Files, version: int) -> None:
    put(folder, whole)
    stranger(folder / DATABASE, f"PRAGMA user_version={version}")

    assert f"the schema {version}, which no version of this program wrote" in refusal(folder).why


def test_a_database_that_lost_its_name_is_refused(folder: Path, whole: Files) -> None:
    put(folder, whole)
    stranger(folder / DATABASE, "DELETE FROM meta")

    assert "it does not say which state it is" in refusal(folder).why


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_plain_file_is_refused(folder: Path, tmp_path: Path, whole: Files, kind: str) -> None:
    put(folder, {IDENTITY: whole[IDENTITY]})
    put(tmp_path / "elsewhere", whole)
    make: dict[str, Callable[[Path], object]] = {
        "folder": lambda path: path.mkdir(),
        "link": lambda path: path.symlink_to(tmp_path / "elsewhere" / DATABASE),
        "pipe": os.mkfifo,
    }
    make[kind](folder / DATABASE)

    for look in (open_ledger, read_ledger):
        with pytest.raises(StateError) as refused:
            look(folder)
        assert "it is not a plain file" in refused.value.why


# The identity beside it -----------------------------------------------------------------------------------------------


def test_a_database_that_is_gone_is_no_first_run(folder: Path, whole: Files) -> None:
    put(folder, {IDENTITY: whole[IDENTITY]})

    assert "says there was a database here, and it is gone" in refusal(folder).why


@pytest.mark.parametrize("identity", [b"", b"\xff\xfe", b"0" * 32, b"x"])
def test_an_identity_of_another_state_is_refused(folder: Path, whole: Files, identity: bytes) -> None:
    assert "belongs to another state" in refusal(put(folder, {**whole, IDENTITY: identity})).why


def test_a_database_whose_identity_was_not_yet_written_gets_it(folder: Path, whole: Files) -> None:
    """A crash between the two files of a new state."""
    open_ledger(put(folder, {DATABASE: whole[DATABASE]})).close()

    assert (folder / IDENTITY).read_bytes() == whole[IDENTITY]


def test_half_a_new_database_of_a_crash_is_no_obstacle(folder: Path) -> None:
    put(folder, {f".{DATABASE}.new": b"SQLite format 3\x00 half"})

    open_ledger(folder).close()

    assert not (folder / f".{DATABASE}.new").exists()


def test_two_states_have_two_identities(tmp_path: Path) -> None:
    for name in ("a", "b"):
        open_ledger(tmp_path / name).close()

    assert (tmp_path / "a" / IDENTITY).read_bytes() != (tmp_path / "b" / IDENTITY).read_bytes()


# Older versions -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_ledger(folder)) as connection:
        yield connection


def test_a_thread_waits_for_the_transaction_of_another(folder: Path) -> None:
    """A variable is remembered while answers are written down."""
    with contextlib.closing(open_ledger(folder)) as ledger, ThreadPoolExecutor(2) as threads:
        begun, asked = Event(), Event()

        def first() -> None:
            with transaction(ledger) as db:
                begun.set()
                asked.wait(10)
                for number in range(1_000):
                    db.execute("INSERT INTO meta VALUES (?, 'first')", (f"note {number}",))

        def second() -> None:
            begun.wait(10)
            asked.set()
            with transaction(ledger) as db:
                db.execute("INSERT INTO meta VALUES ('note', 'second')")

        for ended in [threads.submit(first), threads.submit(second)]:
            ended.result()
        assert ledger.execute("SELECT count(*) FROM meta WHERE name LIKE 'note%'").fetchone()[0] == 1_001


NOW, NEXT = SCHEMA_VERSION, SCHEMA_VERSION + 1
STEPS = {
    NOW: "CREATE TABLE more (x TEXT); INSERT INTO more VALUES ('one')",
    NEXT: "INSERT INTO more VALUES ('two')",
}


def test_an_older_database_is_brought_up_step_by_step_after_a_copy_was_put_aside(
    folder: Path, ledger: sqlite3.Connection
) -> None:
    migrate(ledger, folder, STEPS, target=NEXT + 1)

    assert [row[0] for row in ledger.execute("SELECT x FROM more ORDER BY x")] == ["one", "two"]
    assert ledger.execute("PRAGMA user_version").fetchone()[0] == NEXT + 1
    with contextlib.closing(sqlite3.connect(folder / f"state.v{NOW}.sqlite")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone()[0] == NOW
    assert (folder / f"state.v{NOW}.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_step_that_fails_leaves_the_database_as_it_was(folder: Path, ledger: sqlite3.Connection) -> None:
    with pytest.raises(StateError):
        migrate(ledger, folder, {**STEPS, NEXT: "INSERT INTO nowhere VALUES (1)"}, target=NEXT + 1)

    assert ledger.execute("PRAGMA user_version").fetchone()[0] == NOW
    assert ledger.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone()[0] == 0


@contextlib.contextmanager
def of_version(folder: Path, version: int) -> Iterator[sqlite3.Connection]:
    """A state as that version of the program left it."""
    open_ledger(folder).close()
    (folder / DATABASE).unlink()
    (folder / ANCHOR).unlink()
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as old:
        old.executescript(FIRST_SCHEMA + "".join(MIGRATIONS[step] for step in range(1, version)))
        old.execute("INSERT INTO meta VALUES ('identity', ?)", ((folder / IDENTITY).read_text(),))
        old.execute(f"PRAGMA application_id={APPLICATION_ID}")
        old.execute(f"PRAGMA user_version={version}")
        yield old
        old.commit()


def test_a_database_of_the_first_version_is_brought_up_and_keeps_what_it_knows(folder: Path) -> None:
    with of_version(folder, 1) as first:
        first.execute("INSERT INTO suppressions VALUES ('l', 'a@example.com', 'unsubscribed', 'adopt', '2026-01-01')")
        first.execute("INSERT INTO lists VALUES ('l', 'https://partner.sndmart.com', 7, 1, 3, 'digest', '2026-01-01')")

    with contextlib.closing(open_ledger(folder)) as ledger:
        assert tuple(ledger.execute("SELECT * FROM suppressions").fetchone()) == (
            "l", "a@example.com", "unsubscribed", "adopt", "2026-01-01", "",
        )  # fmt: skip
        assert ledger.execute("SELECT count(*) FROM corrections").fetchone()[0] == 0
        assert tuple(ledger.execute("SELECT generation, base, contacts, digest FROM lists").fetchone()) == (
            7, 7, 3, "digest",
        )  # fmt: skip
        assert ledger.execute("SELECT count(*) FROM changes").fetchone()[0] == 0
    assert (folder / "state.v1.sqlite").exists()


def test_the_record_of_mails_of_the_third_version_which_made_it_by_itself_is_kept(folder: Path) -> None:
    with of_version(folder, 3) as third:
        third.executescript(MIGRATIONS[3].replace(" IF NOT EXISTS", ""))
        third.execute("INSERT INTO mailed VALUES ('m', 'k', 'a@example.com', 'sent', '58a8', '', '2026-01-01')")

    with contextlib.closing(open_ledger(folder)) as ledger:
        assert [row["key"] for row in ledger.execute("SELECT key FROM mailed")] == ["k"]


def test_a_database_of_this_version_is_left_alone(folder: Path, ledger: sqlite3.Connection) -> None:
    migrate(ledger, folder)

    assert [*folder.glob("state.v*")] == []


def test_a_copy_is_a_whole_state_that_can_be_put_back(folder: Path, ledger: sqlite3.Connection) -> None:
    with transaction(ledger) as db:
        db.execute("INSERT INTO names VALUES ('j', 'c', 'v')")
    back_up(ledger, folder / "copy")
    identity = (folder / IDENTITY).read_bytes()

    restored = put(folder.parent / "restored", {DATABASE: (folder / "copy").read_bytes(), IDENTITY: identity})

    with contextlib.closing(open_ledger(restored)) as other:
        assert other.execute("SELECT count(*) FROM names").fetchone()[0] == 1
