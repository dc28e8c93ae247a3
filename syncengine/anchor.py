"""What the bytes of a state's database must be, kept in a file beside it: SQLite checks its structure, not its cells.

Measured: of 400 flipped bits `quick_check` let 283 pass with altered data, and a log with a flipped bit is read up to
there and no further, without a word. So `state.sum` says

    database   xxh3-128 of state.sqlite, which changes at checkpoints only; "" while one is under way
    log        the salts of the write-ahead log that belongs to it; "" if it has none, "new" while one is begun

and has a checksum of its own. It is written before and after everything that changes what it says, so that a crash at
any moment leaves a state that is taken for what it is.

A log that is cut at its end looks like one that was never longer. So `state.mark` says how far the last commit went: it
is overwritten in place after each, without a sync (30 µs). The log is durable by then: after a power cut
the mark may be older than the log, and never newer.
"""

import json
import sqlite3
import struct
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import xxhash

from syncengine.durable import PRIVATE_FILE, file_digest, write_durably

DATABASE: Final = "state.sqlite"
ANCHOR: Final = "state.sum"
MARK: Final = "state.mark"
NEW_LOG: Final = "new"
LARGEST_LOG: Final = 64 << 20  #: bytes of write-ahead log after which it is brought into the database

_LOG_HEADER: Final = struct.Struct(">8I")  # magic, version, page size, checkpoint, salts (2), checksums (2)
_FRAME_HEADER: Final = struct.Struct(">6I")  # page, pages after a commit or 0, salts (2), checksums (2)
_PAGE_SIZE_AT: Final = 16  #: bytes into the database; 1 stands for 65,536
_VALID_FRAMES_AT: Final = 16  #: bytes into the index of the log: how many of its frames hold (mxFrame)


class DamagedError(Exception):
    """The files are not those that were written. The text says in what way."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What `state.sum` says."""

    database: str
    log: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What `state.mark` says: so many frames of this log (its salts) were there after the last commit."""

    log: str
    frames: int


def database_path(folder: Path) -> Path:
    """The SQLite file of a state directory."""
    return folder / DATABASE


class Ledger(sqlite3.Connection):
    """The writer's connection. It alone brings the log into the database, and says so in the anchor.

    `keeper` is a second, reading connection: SQLite makes a checkpoint of its own when the last connection closes, and
    where the anchor can't be written any more (a full disk) there must be none.
    """

    folder: Path
    keeper: sqlite3.Connection
    turn: threading.RLock  #: held by the thread that has a transaction open

    def take_over(self, folder: Path, keeper: sqlite3.Connection) -> None:
        """Be the one writer: what a run that died left in the log is brought in, and a new log is begun."""
        self.folder = folder
        self.keeper = keeper
        self.turn = threading.RLock()
        path = database_path(folder)
        (folder / MARK).touch(mode=PRIVATE_FILE)
        if log_salts(path):
            self._bring_in()
        write_anchor(folder, Anchor(file_digest(path), NEW_LOG))
        self._begin_log()

    def settle(self, *, vacuum: bool = False) -> None:
        """Bring the log into the database; with `vacuum` nothing that was deleted is left in either."""
        self._bring_in()
        if vacuum:
            self.execute("VACUUM")
            self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._begin_log()

    def committed(self) -> None:
        """To be called after each commit: marks how far the log goes, and settles once it has grown."""
        self._note()
        if log_of(database_path(self.folder)).stat().st_size > LARGEST_LOG:
            self.settle()

    def close(self) -> None:
        """Leave database and anchor in accord, and no log. Raises OSError where that can't be written."""
        try:
            if self.in_transaction:
                self.rollback()
            self._bring_in()
        except (sqlite3.Error, OSError):
            super().close()  # while the keeper is open SQLite leaves log and database as they are
            self.keeper.close()
            raise
        self.keeper.close()
        super().close()
        path = database_path(self.folder)
        write_anchor(self.folder, Anchor(file_digest(path), log_salts(path)))

    def _bring_in(self) -> None:
        write_anchor(self.folder, Anchor("", ""))
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _begin_log(self) -> None:
        path = database_path(self.folder)
        self.execute(  # a log has salts once it has a commit
            "INSERT INTO meta VALUES ('opened', '1') ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1"
        )
        write_anchor(self.folder, Anchor(file_digest(path), log_salts(path)))
        self._note()

    def _note(self) -> None:
        path = database_path(self.folder)
        said = f"{log_salts(path):<16} {frames_that_hold(path):>10}"
        with (self.folder / MARK).open("r+b", buffering=0) as mark:
            mark.write(f"{said} {_check(said)}\n".encode())


def read_mark(folder: Path) -> Mark | None:
    """How far the last commit went; None where nobody can tell, which is no ground for mistrust."""
    try:
        said, check = (folder / MARK).read_text("ascii").rstrip("\n").rsplit(" ", 1)
        return Mark(said[:16].strip(), int(said[16:])) if _check(said) == check else None
    except (OSError, ValueError):
        return None


def read_anchor(folder: Path) -> Anchor | None:
    """What was written last; None for a state that has none yet. Raises DamagedError if it can't be read."""
    try:
        content = json.loads((folder / ANCHOR).read_bytes())
        anchor = Anchor(content["database"], content["log"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{ANCHOR} beside it can't be read") from error
    if content.get("check") != _check(f"{anchor.database}/{anchor.log}"):
        raise DamagedError(f"{ANCHOR} beside it is damaged")
    return anchor


def write_anchor(folder: Path, anchor: Anchor) -> None:
    """Durable on return."""
    write_durably(
        folder / ANCHOR, json.dumps({**asdict(anchor), "check": _check(f"{anchor.database}/{anchor.log}")}).encode()
    )


def verify_database(database: Path, anchor: Anchor) -> None:
    """Raises DamagedError unless the database is, byte for byte, what was written."""
    if anchor.database and file_digest(database) != anchor.database:
        raise DamagedError("its content is not what was written (a disk fault, or another copy of it)")


def verify_log(database: Path, anchor: Anchor) -> None:
    """Raises DamagedError unless the log is the one that belongs to the database, whether or not it is whole."""
    if not anchor.database or anchor.log == NEW_LOG:
        return
    found = log_salts(database)
    if found == anchor.log:
        return
    if not found:
        raise DamagedError(f"its log {log_of(database).name}, which holds the last changes, is gone or cut")
    raise DamagedError(f"the log {log_of(database).name} beside it belongs to another state")


def verify_log_is_whole(database: Path, mark: Mark | None) -> None:
    """Raises DamagedError if the log stops to hold before its last commit, or commits follow after that place.

    To be asked while a connection is open that has read something: SQLite has indexed the log then. `mark` was read
    before. What comes after it may be half written, which is what a power cut leaves, but for one commit at most.
    """
    log = log_of(database)
    if not log.exists() or log.stat().st_size < _LOG_HEADER.size or not _index_of(database).exists():
        return
    valid = frames_that_hold(database)
    if mark is not None and mark.log == log_salts(database) and valid < mark.frames:
        raise DamagedError(f"its log {log.name} holds {valid} pages of the {mark.frames} that were written")
    with database.open("rb") as file:
        file.seek(_PAGE_SIZE_AT)
        page_size = int.from_bytes(file.read(2), "big")
    if _commits_behind(log, valid, 65_536 if page_size == 1 else page_size) > 1:
        raise DamagedError(f"its log {log.name} breaks off in the middle")


def frames_that_hold(database: Path) -> int:
    """Frames of the log up to its last commit, as SQLite has indexed it; a connection has to be open."""
    with _index_of(database).open("rb") as file:
        file.seek(_VALID_FRAMES_AT)
        return int.from_bytes(file.read(4), "little" if struct.pack("=H", 1) == b"\x01\x00" else "big")


def _index_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-shm")


def log_of(database: Path) -> Path:
    """The write-ahead log of a database."""
    return database.with_name(f"{database.name}-wal")


def log_salts(database: Path) -> str:
    """What tells one log from another; "" where there is none, or an empty one."""
    try:
        with log_of(database).open("rb") as file:
            header = file.read(_LOG_HEADER.size)
    except FileNotFoundError:
        return ""
    return header[16:24].hex() if len(header) == _LOG_HEADER.size else ""


def _commits_behind(log: Path, frames: int, page_size: int) -> int:
    """Commits in the log, of its present salts, behind so many frames."""
    with log.open("rb") as file:
        salts = _LOG_HEADER.unpack(file.read(_LOG_HEADER.size))[4:6]
        step = _FRAME_HEADER.size + page_size
        place = _LOG_HEADER.size + frames * step
        commits = 0
        while True:
            file.seek(place)
            frame = file.read(_FRAME_HEADER.size)
            if len(frame) < _FRAME_HEADER.size:
                return commits
            _, pages_after, *rest = _FRAME_HEADER.unpack(frame)
            commits += pages_after != 0 and tuple(rest[:2]) == salts
            place += step


def _check(said: str) -> str:
    return xxhash.xxh3_64_hexdigest(said.encode())
