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
from functools import cache
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
from syncengine.schema import APPLICATION_ID, FIRST_SCHEMA, MIGRATIONS, SCHEMA_VERSION

Connected = TypeVar("Connected", bound=sqlite3.Connection)

IDENTITY: Final = "state.id"
BACKUP: Final = "state.backup.sqlite"

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
        _verified(folder, mode=_verifying_mode(folder)).close()
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
        return _verified(folder, mode=_reading_mode(folder))
    except _TROUBLES as error:
        raise unusable(path, str(error)) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, durable when the block ends. Threads take turns: a connection has one transaction at a time."""
    try:
        with connection.turn if isinstance(connection, Ledger) else contextlib.nullcontext():
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
        f"{path.absolute().as_uri()}?mode={mode}",
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
        _empty_database().backup(connection)
        connection.execute("INSERT INTO meta VALUES ('identity', ?)", (identity,))
    draft.replace(path)
    write_durably(folder / IDENTITY, identity.encode())


@cache
def _empty_database() -> sqlite3.Connection:
    """All tables, in memory: to go through every version of them costs ten times what copying the outcome does."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(f"BEGIN; {FIRST_SCHEMA} {''.join(MIGRATIONS.values())} COMMIT;")
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    return connection


def _refuse_lost_database(folder: Path) -> None:
    if (folder / IDENTITY).exists():
        raise unusable(database_path(folder), f"{IDENTITY} says there was a database here, and it is gone")
    left = next((name for name in ("lists", "runs") if any((folder / name).glob("*"))), None)
    if left is not None:
        raise unusable(database_path(folder), f"the folder {left} beside it says there was a database here")


def _verified(folder: Path, *, mode: str) -> sqlite3.Connection:
    """The database, for reading, once it is known to be what was written. Close it."""
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
    connection = _connect(path, mode=mode, kind=sqlite3.Connection)
    try:
        _verify(connection, path)
        if "immutable" not in mode:
            verify_log_is_whole(path, mark)
    except BaseException:
        connection.close()
        raise
    return connection


def _verify(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StateError unless it is a whole state that this program knows."""
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
    if identity is None:
        raise unusable(path, "it is damaged: it does not say which state it is")
    _verify_identity(path.parent, identity[0])


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
