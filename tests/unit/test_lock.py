"""One writer a state: the second is told who the first is, and a dead one holds nothing."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from syncengine.errors import LockError
from syncengine.lock import LOCK_FILE, OWNER_FILE, at_work, locked

HOLD = """
import sys
from pathlib import Path
from syncengine.lock import locked
with locked(Path(sys.argv[1]), doing="retry"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lock until its stdin ends."""
    process = subprocess.Popen(  # ourselves
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_owner_leaves_a_note_while_it_works_and_takes_it_away(tmp_path: Path) -> None:
    folder = tmp_path / "state"

    with locked(folder, doing="sync"):
        note = json.loads((folder / OWNER_FILE).read_text())
        modes = {name: (folder / name).stat().st_mode & 0o777 for name in (LOCK_FILE, OWNER_FILE)}

    assert (note["pid"], note["host"], note["doing"]) == (os.getpid(), socket.gethostname(), "sync")
    assert modes == {LOCK_FILE: 0o600, OWNER_FILE: 0o600}
    assert not (folder / OWNER_FILE).exists()


def test_a_second_run_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        holder(tmp_path) as other,
        pytest.raises(LockError) as refused,
        locked(tmp_path),
    ):
        pass

    assert refused.value.exit_code == 6
    assert refused.value.why.startswith(f"held by pid {other.pid} on {socket.gethostname()}, since 20")
    assert refused.value.why.endswith("(retry)")
    assert refused.value.sent == "nothing was sent"


def test_the_same_process_can_not_take_it_twice_either(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(LockError), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("note", [None, "", "{", "[]", "{}", "null", '{"pid": 1}'])
def test_an_owner_without_a_readable_note_is_refused_all_the_same(tmp_path: Path, note: str | None) -> None:
    with locked(tmp_path):
        (tmp_path / OWNER_FILE).unlink()
        if note is not None:
            (tmp_path / OWNER_FILE).write_text(note)
        with pytest.raises(LockError) as refused, locked(tmp_path):
            pass
    assert refused.value.why == "held by a process that has left no note yet"


def test_a_killed_process_holds_nothing_though_its_note_is_there(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.kill()
        other.wait()
    assert (tmp_path / OWNER_FILE).exists()

    with locked(tmp_path, doing="sync"):
        assert json.loads((tmp_path / OWNER_FILE).read_text())["pid"] == os.getpid()


def test_who_waits_gets_it_when_the_other_is_done(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        assert other.stdin is not None
        other.stdin.close()
        with locked(tmp_path, wait=30.0):
            pass


def test_the_lock_is_given_back_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bug"), locked(tmp_path):
        raise ValueError("bug")

    with locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_made_private(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_who_is_at_work_is_seen_from_beside_it(tmp_path: Path) -> None:
    assert at_work(tmp_path) is None
    with locked(tmp_path, doing="plan"):
        assert at_work(tmp_path) is None
    with locked(tmp_path, doing="sync"):
        assert at_work(tmp_path) == os.getpid()
    with holder(tmp_path) as other:
        assert at_work(tmp_path) == other.pid


def test_a_note_left_behind_says_nothing_though_its_number_is_another_process_now(tmp_path: Path) -> None:
    with locked(tmp_path, doing="sync"):
        note = (tmp_path / OWNER_FILE).read_text()
    (tmp_path / OWNER_FILE).write_text(note)

    assert json.loads(note)["pid"] == os.getpid(), "a process that lives"
    assert at_work(tmp_path) is None


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"pid": "x"}, {"doing": "check"}, {"host": None, "pid": None}])
def test_a_note_whose_writer_is_gone_says_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    with locked(tmp_path, doing="sync"):
        note = json.loads((tmp_path / OWNER_FILE).read_text())
        (tmp_path / OWNER_FILE).write_text(json.dumps({**note, **change}))

        assert at_work(tmp_path) is None


def test_a_broken_note_says_nothing(tmp_path: Path) -> None:
    (tmp_path / OWNER_FILE).write_text("{")

    assert at_work(tmp_path) is None
