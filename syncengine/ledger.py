"""The one SQLite file of a state directory: opened, verified and migrated here, used by `state` and `journal`.

- WAL with `synchronous=FULL`: with NORMAL a power cut loses every acknowledged commit since the last checkpoint
  (measured: 0 of 50 survive), and what we lose here we would send twice or forget.
- A file cut to 0 or 1 byte opens as a valid empty database. So an identity file stands beside it, and a state
  directory that has one, or lists or runs, but no matching database is damaged, never new.
- Flipped bits in cells go unseen by SQLite: `anchor` knows what the bytes must be. For this the database changes at
  our own checkpoints only, never at SQLite's.
- One owner writes (see `lock`); `status` and `errors` read meanwhile.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from syncengine.anchor import (
    ANCHOR,
    DATABASE,
    Anchor,
    DamagedError,
    Ledger,
    database_path,
    read_anchor,
    read_mark,
    verify_database,
    verify_log,
    verify_log_is_whole,
)
from syncengine.durable import PRIVATE_FILE, drafted, make_private_folder, write_durably
from syncengine.errors import StateError

Connected = TypeVar("Connected", bound=sqlite3.Connection)

IDENTITY: Final = "state.id"
BACKUP: Final = "state.backup.sqlite"
APPLICATION_ID: Final = 0x53594E43  # "SYNC"
SCHEMA_VERSION: Final = 6

_SCHEMA_1: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    list TEXT PRIMARY KEY,
    account TEXT NOT NULL,              -- URL of the account the state is bound to
    generation INTEGER NOT NULL,        -- number of the state in force; 0: none yet
    scheme INTEGER NOT NULL,            -- fingerprint scheme of that snapshot
    contacts INTEGER NOT NULL,
    digest TEXT NOT NULL,               -- of the snapshot files in force
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (                  -- what a job's last finished run saw; for the guards and the digest gate
    job TEXT PRIMARY KEY,
    list TEXT NOT NULL,
    digest TEXT NOT NULL,
    rules TEXT NOT NULL,                -- digest of mapping, mode, consent
    mapping TEXT NOT NULL,              -- the mapping as JSON, to say what changed
    generation INTEGER NOT NULL,
    clean INTEGER NOT NULL,             -- 1: nothing was left to send
    rows INTEGER NOT NULL, held INTEGER NOT NULL, same INTEGER NOT NULL,
    run TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE variables (
    list TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, created_at TEXT NOT NULL, origin TEXT NOT NULL,
    PRIMARY KEY (list, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE names (                    -- the variable a column was given; never derived again
    job TEXT NOT NULL, column TEXT NOT NULL, variable TEXT NOT NULL,
    PRIMARY KEY (job, column)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    job TEXT NOT NULL,
    list TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('planned', 'sending', 'finished', 'discarded')),
    result TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    facts TEXT NOT NULL                 -- counts and paths, JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_job ON runs (job, started_at);

CREATE TABLE batches (
    run TEXT NOT NULL, batch INTEGER NOT NULL,
    intended_at REAL NOT NULL,          -- Unix seconds; before the first byte
    settled_at REAL,
    confirmed INTEGER NOT NULL DEFAULT 0,
    in_doubt INTEGER NOT NULL DEFAULT 0, -- 1: an attempt got no answer; it may still be applied late
    PRIMARY KEY (run, batch)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdicts (                 -- contacts that are not plainly confirmed
    run TEXT NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL,
    outcome TEXT NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (run, batch, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (                 -- content not to send again until it changes
    list TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL,
    outcome TEXT NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL, run TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (list, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE suppressions (             -- who must not get mail, by the service's own word
    list TEXT NOT NULL, address TEXT NOT NULL, kind TEXT NOT NULL, origin TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (list, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten (                -- keyed hashes of people who asked to be erased
    tombstone TEXT PRIMARY KEY, at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE doubts (                   -- contacts an abandoned request may still change, and until when
    list TEXT NOT NULL, key TEXT NOT NULL, fingerprint INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (list, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (                    -- never used; schema 2 drops it
    id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL, list TEXT NOT NULL, event TEXT NOT NULL, address TEXT NOT NULL,
    happened_at INTEGER NOT NULL, digest TEXT NOT NULL UNIQUE, folded_at TEXT
) STRICT;
"""

_SCHEMA_2: Final = """
DROP TABLE inbox;                       -- events are kept in a file of the receiver's own (webhooks/inbox.sqlite)

ALTER TABLE suppressions ADD COLUMN recorded_at TEXT NOT NULL DEFAULT '';

CREATE TABLE inboxes (                  -- how far an inbox has been taken up for a list: ids of events
    list TEXT NOT NULL, inbox TEXT NOT NULL,
    recorded INTEGER NOT NULL,          -- up to here who left is in `suppressions`
    known INTEGER NOT NULL,             -- up to here the snapshot knows
    PRIMARY KEY (list, inbox)
) STRICT, WITHOUT ROWID;

CREATE TABLE corrections (              -- who left while sent as subscribed, and is to be sent as unsubscribed
    list TEXT NOT NULL, email TEXT NOT NULL, due REAL NOT NULL,
    name TEXT, variables TEXT NOT NULL, -- with `email` the whole of what is sent
    key TEXT NOT NULL, run TEXT NOT NULL,
    paid_at REAL, outcome TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (list, email, due)
) STRICT, WITHOUT ROWID;
"""

_SCHEMA_3: Final = """
ALTER TABLE refusals ADD COLUMN rules TEXT NOT NULL DEFAULT ''; -- under which it was refused, '' if under any
"""

_SCHEMA_4: Final = """
CREATE TABLE IF NOT EXISTS mailings (   -- one template for one crowd (version 3 made these two when first needed)
    mailing TEXT PRIMARY KEY,
    account TEXT NOT NULL, list TEXT NOT NULL, template TEXT NOT NULL,
    crowd TEXT NOT NULL,                -- digest of the recipients
    again INTEGER NOT NULL,             -- 1: also to whoever got the template before
    tags TEXT NOT NULL,                 -- JSON
    started_at TEXT NOT NULL, ended_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS mailed (     -- who is sent what, from just before the request leaves
    mailing TEXT NOT NULL, key TEXT NOT NULL, email TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('intended', 'sent', 'rejected', 'unknown')),
    message TEXT NOT NULL,              -- id of the message, empty where none was told
    text TEXT NOT NULL,                 -- the service's words, or why there is no answer
    at TEXT NOT NULL,
    PRIMARY KEY (mailing, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mailed_by_key ON mailed (key);
"""

_SCHEMA_5: Final = """
CREATE TABLE departed (                 -- who was not subscribed when we removed them, where the list decides on that
    list TEXT NOT NULL, address TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (list, address)
) STRICT, WITHOUT ROWID;
"""

_SCHEMA_6: Final = """
ALTER TABLE lists ADD COLUMN base INTEGER NOT NULL DEFAULT 0; -- number of the snapshot that `digest` is of
UPDATE lists SET base = generation;

CREATE TABLE changes (                  -- files of what changed since that snapshot, in force with it
    list TEXT NOT NULL, generation INTEGER NOT NULL, rows INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (list, generation)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[dict[int, str]] = {
    1: _SCHEMA_2,
    2: _SCHEMA_3,
    3: _SCHEMA_4,
    4: _SCHEMA_5,
    5: _SCHEMA_6,
}  #: from version n to n + 1

# sqlite3 decodes the words of an error, and of a damaged schema they may be no UTF-8
_TROUBLES: Final = (sqlite3.Error, OSError, UnicodeDecodeError, DamagedError)


def open_ledger(folder: Path) -> Ledger:
    """The database of `folder` for its one writer, created if the folder has never held a state. Close it.

    Raises StateError, with every file left as found, if it is truncated, foreign, damaged, newer or unwritable.
    """
    path = database_path(folder)
    try:
        make_private_folder(folder)
        is_new = not path.exists()
        if is_new:
            _refuse_lost_database(folder)
            _create(folder)
        _verify(folder, mode=_verifying_mode(folder))
        return _take_over(folder)
    except _TROUBLES as error:
        raise unusable(path, str(error)) from error


def _take_over(folder: Path) -> Ledger:
    path = database_path(folder)
    keeper = _connect(path, mode="ro", kind=sqlite3.Connection)
    connection = _connect(path, mode="rw", kind=Ledger)
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        keeper.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # it counts as open once it has read
        connection.take_over(folder, keeper)
        migrate(connection, folder)
    except BaseException:
        sqlite3.Connection.close(connection)  # the keeper is open: nothing is brought into the database
        keeper.close()
        raise
    return connection


def read_ledger(folder: Path) -> sqlite3.Connection | None:
    """The database of `folder` for reading only, also while a run writes; None if there has never been a state."""
    path = database_path(folder)
    if not path.exists():
        _refuse_lost_database(folder)
        return None
    try:
        _verify(folder, mode=_reading_mode(folder))
        return _connect(path, mode=_reading_mode(folder), kind=sqlite3.Connection)
    except _TROUBLES as error:
        raise unusable(path, str(error)) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, durable when the block ends."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        if isinstance(connection, Ledger):
            connection.committed()
    except (sqlite3.Error, OSError) as error:
        raise StateError(
            "the state can't be written",
            why=f"{type(error).__name__}: {error}",
            fix="make room on the disk, or the folder writable, and run the same command again: it goes on",
            code="state-write",
            sent="what was confirmed before this is recorded; what was in flight is sent again",
        ) from error


def unusable(path: Path, why: str) -> StateError:
    """The error for a state that can't be trusted."""
    return StateError(
        f"{path}: the state can't be used",
        why=f"{why}; it was left as found",
        fix=f"put back the copy of the last good run: cd {path.parent} && cp {BACKUP} {DATABASE} && "
        f"rm -f {DATABASE}-wal {DATABASE}-shm {ANCHOR}\n"
        "or a backup of the whole folder; where the list may be sent again from scratch, move the folder away",
        code="state-unusable",
    )


def migrate(
    connection: sqlite3.Connection,
    folder: Path,
    migrations: Mapping[int, str] = MIGRATIONS,
    target: int = SCHEMA_VERSION,
) -> None:
    """Bring an older database to `target`, all steps in one transaction, after a copy of it was put aside."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == target:
        return
    back_up(connection, folder / f"state.v{version}.sqlite")
    with transaction(connection) as db:
        for step in range(version, target):
            for statement in filter(str.strip, migrations[step].split(";")):
                db.execute(statement)
        db.execute(f"PRAGMA user_version={target}")


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """A copy of the database as it is now, whole or absent. Raises StateError where it can't be written."""
    try:
        with drafted(target) as draft, contextlib.closing(sqlite3.connect(draft)) as copy:
            connection.backup(copy)
    except (sqlite3.Error, OSError) as error:
        raise StateError(
            f"{target}: the copy of the state can't be written",
            why=f"{type(error).__name__}: {error}",
            fix="make room on the disk, or the folder writable, and run the same command again",
            code="state-write",
            sent="the state itself is whole: what was confirmed is recorded",
        ) from error


def _reading_mode(folder: Path) -> str:
    """A reader of a WAL database writes a little file beside it; where it may not, nobody else may write either."""
    return "ro" if os.access(folder, os.W_OK) else "ro&immutable=1"


def _verifying_mode(folder: Path) -> str:
    """The one writer looks without leaving a file beside a database that no log belongs to."""
    log = folder / f"{DATABASE}-wal"
    return _reading_mode(folder) if log.exists() else "ro&immutable=1"


def _connect(path: Path, *, mode: str, kind: type[Connected]) -> Connected:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=5.0,
        factory=kind,
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.row_factory = sqlite3.Row
    return connection


def _create(folder: Path) -> None:
    """A new database: built under another name, so that a crash leaves either none or a whole one."""
    identity = secrets.token_hex(16)
    path = database_path(folder)
    draft = path.with_name(f".{DATABASE}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=PRIVATE_FILE)
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(f"BEGIN; {_SCHEMA_1} {''.join(MIGRATIONS.values())} COMMIT;")
        connection.execute("INSERT INTO meta VALUES ('identity', ?)", (identity,))
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    draft.replace(path)
    write_durably(folder / IDENTITY, identity.encode())


def _refuse_lost_database(folder: Path) -> None:
    if (folder / IDENTITY).exists():
        raise unusable(database_path(folder), f"{IDENTITY} says there was a database here, and it is gone")
    left = next((name for name in ("lists", "runs") if any((folder / name).glob("*"))), None)
    if left is not None:
        raise unusable(database_path(folder), f"the folder {left} beside it says there was a database here")


def _verify(folder: Path, *, mode: str) -> None:
    path = database_path(folder)
    if not path.is_file() or path.is_symlink():
        raise unusable(path, "it is not a plain file")
    size = path.stat().st_size
    if size == 0 or size % 512:  # SQLite's pages are multiples of 512 bytes, and a short last one is no fault to it
        raise unusable(path, f"it is cut off: {size} bytes")
    anchor = read_anchor(folder)
    mark = read_mark(folder)  # before the log is looked at: a writer goes on meanwhile
    if anchor is not None:
        _verify_bytes(folder, anchor)
    with contextlib.closing(_connect(path, mode=mode, kind=sqlite3.Connection)) as connection:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID:
            raise unusable(path, "it is not a state of syncengine")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise unusable(
                path, f"it was written by a newer version (schema {version}, this program knows {SCHEMA_VERSION})"
            )
        if version != SCHEMA_VERSION and version not in MIGRATIONS:
            raise unusable(path, f"it has the schema {version}, which no version of this program wrote")
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise unusable(path, f"it is damaged: {damage}")
        identity = connection.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()
        if "immutable" not in mode:
            verify_log_is_whole(path, mark)
    if identity is None:
        raise unusable(path, "it is damaged: it does not say which state it is")
    _verify_identity(folder, identity[0])


def _verify_bytes(folder: Path, anchor: Anchor) -> None:
    """Raises DamagedError; not for what a writer changes while a reader looks: it changes the anchor first."""
    try:
        verify_database(database_path(folder), anchor)
        verify_log(database_path(folder), anchor)
    except DamagedError:
        if read_anchor(folder) == anchor:
            raise


def _verify_identity(folder: Path, identity: str) -> None:
    sidecar = folder / IDENTITY
    if not sidecar.exists():
        write_durably(sidecar, identity.encode())  # a crash between the two files of `_create`
    elif sidecar.read_bytes() != identity.encode():
        raise unusable(database_path(folder), f"{IDENTITY} beside it belongs to another state")
