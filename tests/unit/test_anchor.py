"""The bytes of a state's database are known: a flipped bit, a lost or foreign log, another copy stop the next run."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.anchor import ANCHOR, DATABASE, LARGEST_LOG, MARK, Ledger, log_of, read_anchor
from syncengine.errors import StateError
from syncengine.ledger import IDENTITY, back_up, open_ledger, read_ledger, transaction

LOG = f"{DATABASE}-wal"
Files = dict[str, bytes]

WRITE = """
import os, sys
from pathlib import Path
from syncengine.ledger import open_ledger, transaction
ledger = open_ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    with transaction(ledger) as db:
        db.execute("INSERT INTO names VALUES ('job', ?, 'variable')", (f"column {number:09}" * 20,))
os._exit(9)
"""


def files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != f"{DATABASE}-shm"}


def put(folder: Path, content: Files) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A state whose writer ended in order."""
    folder = tmp_path_factory.mktemp("closed") / "state"
    with contextlib.closing(open_ledger(folder)) as ledger, transaction(ledger) as db:
        db.executemany("INSERT INTO names VALUES ('job', ?, 'variable')", [(f"column {n}",) for n in range(300)])
    return files(folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A state whose writer died after 20 commits."""
    folder = tmp_path_factory.mktemp("killed") / "state"
    assert write_and_die(folder, 20) == 9
    return files(folder)


def write_and_die(folder: Path, commits: int) -> int:
    return subprocess.run([sys.executable, "-c", WRITE, str(folder), str(commits)], check=False).returncode


def refusal(folder: Path) -> str:
    """Why a state is refused, by its writer and by a reader; nothing of it changes."""
    before = files(folder)
    whys = []
    for look in (open_ledger, read_ledger):
        with pytest.raises(StateError) as refused:
            look(folder)
        whys.append(refused.value.why)
        assert refused.value.exit_code == 8
    assert {name: data for name, data in files(folder).items() if name in before} == before
    assert whys[0] == whys[1]
    return whys[0]


def names(folder: Path) -> int:
    with contextlib.closing(open_ledger(folder)) as ledger:
        return int(ledger.execute("SELECT count(*) FROM names").fetchone()[0])


def test_a_state_ends_without_a_log_and_with_its_bytes_known(tmp_path: Path, closed: Files) -> None:
    folder = put(tmp_path / "state", closed)

    assert names(folder) == 300
    anchor = read_anchor(folder)
    assert anchor is not None
    assert (LOG in files(folder), anchor.log, len(anchor.database)) == (False, "", 32)


def test_what_a_dead_writer_committed_is_there(tmp_path: Path, killed: Files) -> None:
    folder = put(tmp_path / "state", killed)

    assert names(folder) == 20
    assert names(folder) == 20


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_p14_no_flipped_bit_of_the_database_goes_unseen(tmp_path: Path, closed: Files, data: st.DataObject) -> None:
    content = bytearray(closed[DATABASE])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    refusal(put(tmp_path / "state", {**closed, DATABASE: bytes(content)}))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_p14_no_flipped_bit_of_the_log_goes_unseen(tmp_path: Path, killed: Files, data: st.DataObject) -> None:
    content = bytearray(killed[LOG])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    refusal(put(tmp_path / "state", {**killed, LOG: bytes(content)}))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_p14_a_log_that_is_cut_anywhere_is_missed(tmp_path: Path, killed: Files, data: st.DataObject) -> None:
    cut = data.draw(st.integers(32, len(killed[LOG]) - 1))

    assert "pages of the" in refusal(put(tmp_path / "state", {**killed, LOG: killed[LOG][:cut]}))


@pytest.mark.parametrize("mark", [b"", b"\xff" * 44, b"0000000000000000          7 0123456789abcdef\n"])
def test_a_mark_that_says_nothing_is_no_ground_for_mistrust(tmp_path: Path, killed: Files, mark: bytes) -> None:
    """A power cut may leave the one before, or none."""
    assert names(put(tmp_path / "state", {**killed, MARK: mark})) == 20


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_p14_a_flipped_bit_of_the_log_costs_no_more_than_the_last_commit(
    tmp_path: Path, killed: Files, data: st.DataObject
) -> None:
    """Without a mark: a last commit that does not hold is what a power cut leaves."""
    content = bytearray(killed[LOG])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    folder = put(tmp_path / "state", {**killed, LOG: bytes(content), MARK: b""})

    try:
        found = names(folder)
    except StateError:
        assert files(folder)[LOG] == content
    else:
        assert found >= 19


@pytest.mark.parametrize("cut", [0, 1, 31])
def test_p14_a_log_that_is_gone_or_has_no_beginning_is_missed(tmp_path: Path, killed: Files, cut: int) -> None:
    without = {name: data for name, data in killed.items() if name != LOG}

    assert "is gone or cut" in refusal(put(tmp_path / "state", without))
    assert "is gone or cut" in refusal(put(tmp_path / "state", {**without, LOG: killed[LOG][:cut]}))


def test_p14_the_log_of_another_state_is_not_taken(tmp_path: Path, killed: Files, closed: Files) -> None:
    other = tmp_path / "other"
    assert write_and_die(other, 5) == 9

    for state in (killed, closed):
        strange = put(tmp_path / "state", {**state, LOG: files(other)[LOG]})
        assert "belongs to another state" in refusal(strange)


def test_p14_an_older_copy_is_no_state_until_its_anchor_is_taken_away(tmp_path: Path, closed: Files) -> None:
    folder = put(tmp_path / "state", closed)
    with contextlib.closing(open_ledger(folder)) as ledger:
        back_up(ledger, folder / "copy")
        with transaction(ledger) as db:
            db.execute("INSERT INTO names VALUES ('job', 'a new column', 'variable')")
    (folder / "copy").replace(folder / DATABASE)

    assert "another copy of it" in refusal(folder)
    (folder / ANCHOR).unlink()
    assert names(folder) == 300


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"database": "", "log": "", "check": ""}'])
def test_an_anchor_that_can_not_be_read_is_no_ground_to_trust(tmp_path: Path, closed: Files, content: bytes) -> None:
    assert ANCHOR in refusal(put(tmp_path / "state", {**closed, ANCHOR: content}))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_flipped_bit_of_the_anchor_is_seen(tmp_path: Path, closed: Files, data: st.DataObject) -> None:
    content = bytearray(closed[ANCHOR])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    refusal(put(tmp_path / "state", {**closed, ANCHOR: bytes(content)}))


@pytest.mark.parametrize("left", ["lists/5537/snapshot-1.parquet", "runs/0198/run.json"])
@pytest.mark.parametrize("database", [None, b""])
def test_p14_no_database_beside_lists_or_runs_is_no_first_run(
    tmp_path: Path, left: str, database: bytes | None
) -> None:
    folder = tmp_path / "state"
    (folder / left).parent.mkdir(parents=True)
    (folder / left).write_bytes(b"x")
    if database is not None:
        (folder / DATABASE).write_bytes(database)

    for look in (open_ledger, read_ledger):
        with pytest.raises(StateError) as refused:
            look(folder)
        assert ("was a database here" if database is None else "cut off") in refused.value.why
    assert not (folder / IDENTITY).exists()


def test_a_log_that_has_grown_is_brought_in_while_the_writer_works(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    text = "x" * 1_000_000
    with contextlib.closing(open_ledger(folder)) as ledger:
        for number in range(2 * LARGEST_LOG // 1_000_000):
            with transaction(ledger) as db:
                db.execute("INSERT OR REPLACE INTO names VALUES ('job', 'column', ?)", (f"{number}{text}",))
        assert log_of(folder / DATABASE).stat().st_size < LARGEST_LOG + 2_100_000
        for number in range(3):
            with transaction(ledger) as db:
                db.execute("INSERT INTO names VALUES ('job', ?, 'later')", (f"{number}",))
        crashed = files(folder)

    assert names(put(tmp_path / "copy", crashed)) == 4


def test_a_reader_is_no_obstacle_to_the_end_of_a_writer_nor_the_other_way_round(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with contextlib.closing(open_ledger(folder)) as ledger:
        with transaction(ledger) as db:
            db.execute("INSERT INTO names VALUES ('job', 'first', 'v')")
        reader = read_ledger(folder)
        assert reader is not None
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM names").fetchone()[0] == 1
        with transaction(ledger) as db:
            db.execute("INSERT INTO names VALUES ('job', 'second', 'v')")
        ledger.execute("PRAGMA busy_timeout=10")
    assert reader.execute("SELECT count(*) FROM names").fetchone()[0] == 1
    reader.close()

    assert names(folder) == 2


def full_disk(ledger: Ledger) -> None:
    """What a disk that takes nothing more looks like from here: the folder of the anchor is gone."""
    ledger.folder = ledger.folder / "gone"


@pytest.mark.parametrize("spoil", [full_disk])
def test_p09_a_writer_that_can_not_end_in_order_leaves_what_a_crash_leaves(
    tmp_path: Path, spoil: Callable[[Ledger], None]
) -> None:
    folder = tmp_path / "state"
    ledger = open_ledger(folder)
    with transaction(ledger) as db:
        db.execute("INSERT INTO names VALUES ('job', 'c', 'v')")
    spoil(ledger)
    with pytest.raises(OSError, match="gone"):
        ledger.close()

    assert LOG in files(folder)
    assert names(folder) == 1


def test_who_forgets_to_close_leaves_what_a_crash_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    program = WRITE.replace("os._exit(9)", "")
    subprocess.run([sys.executable, "-c", program, str(folder), "3"], check=True)

    assert names(folder) == 3


def test_nothing_that_was_deleted_is_left_after_settling(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with contextlib.closing(open_ledger(folder)) as ledger:
        with transaction(ledger) as db:
            db.execute("INSERT INTO forgotten VALUES ('person@example.com', 'now')")
        with transaction(ledger) as db:
            db.execute("DELETE FROM forgotten")
        ledger.settle(vacuum=True)
        assert not [name for name, data in files(folder).items() if b"person@example.com" in data]
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            ledger.execute("SELECT * FROM nowhere")
