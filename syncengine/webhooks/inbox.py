"""The file webhook events are kept in: written by the receiver, read by everybody else.

A file of its own and not a table of the ledger. SQLite has one writer a file: in one file a receiver's commit and a
sync's would wait for each other's fsync, and a large fold would hold up answers that must leave within 1.5 s. A process
that listens to the internet would have to hold the only memory of the lists open for writing. Here the receiver writes,
a sync reads, and in WAL mode readers and the writer do not wait for each other.

What has been taken up is noted by the reader, in the ledger, together with what follows from it. Rows stay as the
audit trail; those that take no consent away are dropped after `KEPT_DAYS`.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncengine.durable import PRIVATE_FILE, make_private_folder
from syncengine.errors import StateError
from syncengine.webhooks.events import LOWERING, HookEvent

INBOX: Final = "inbox.sqlite"
APPLICATION_ID: Final = 0x53594E48  # "SYNH"
SCHEMA_VERSION: Final = 1
KEPT_DAYS: Final = 90
MOST_OTHERS: Final = 1_000_000  #: events kept at most that take no consent away
PRUNED_AT_ONCE: Final = 5_000
PATIENCE: Final = 0.5  #: seconds a writer waits for another (`webhooks replay`, `state forget`)

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: readers remember how far they came
    received_at REAL NOT NULL,            -- Unix seconds, by our clock
    origin TEXT NOT NULL,                 -- "webhook", or "replay"
    remote TEXT NOT NULL,                 -- who sent it, as far as the connection tells
    event TEXT NOT NULL,
    list TEXT NOT NULL,                   -- empty: about the address, on every list
    address TEXT NOT NULL,                -- as spelled there
    happened_at INTEGER NOT NULL,         -- Unix seconds; never later than received
    about TEXT NOT NULL,                  -- id of message or contact
    digest BLOB NOT NULL UNIQUE,          -- of the event: a copy is counted, not kept
    copies INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX events_by_kind ON events (event, received_at);
"""

_LOWERS: Final = "event IN ({})".format(",".join(f"'{event}'" for event in LOWERING))


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event with when (Unix seconds), how and from whom it came."""

    event: HookEvent
    received_at: float
    origin: str = "webhook"
    remote: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the inbox that takes consent away."""

    id: int
    event: str
    address: str
    happened_at: int
    received_at: float
    origin: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What the inbox holds: events by kind, how many copies came besides, and when the last one came."""

    by_event: dict[str, int]
    copies: int
    last_event: str
    last_at: float | None


class Inbox:
    """The events. Open it with `open_inbox` or `read_inbox`, and close it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._file = _identity(path)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that was opened is still the one of that name: into another nobody looks."""
        return self._file == _identity(self._path)

    @property
    def identity(self) -> str:
        """Another file, another identity: how far somebody came counts for one file only."""
        return str(self._db.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()[0])

    def add(self, arrivals: Sequence[Arrival]) -> int:
        """Keep these events, all of them or none, durable on return; gives how many were new. Raises sqlite3.Error."""
        with self._transaction():
            return sum(self._add(arrival) for arrival in arrivals)

    def _add(self, arrival: Arrival) -> bool:
        event = arrival.event
        copies = self._db.execute(
            "INSERT INTO events (received_at, origin, remote, event, list, address, happened_at, about, digest)"
            " VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (digest) DO UPDATE SET copies = copies + 1 RETURNING copies",
            (
                arrival.received_at,
                arrival.origin,
                arrival.remote,
                event.event,
                event.list,
                event.address,
                event.happened_at,
                event.about,
                event.digest,
            ),
        ).fetchone()[0]
        return bool(copies == 1)

    def departures(self, list_id: str, *, after: int, since: float = 0.0) -> list[Kept]:
        """Events that take consent away on this list, behind `after` (an id) and `since` (Unix seconds), in order.

        All, where this inbox has not come as far as `after`: an older copy was put back, and gives its ids again.
        """
        rows = self._db.execute(
            "SELECT id, event, address, happened_at, received_at, origin FROM events "  # noqa: S608  # our own names
            f"WHERE id > ? AND received_at > ? AND list IN (?, '') AND {_LOWERS} ORDER BY id",
            (after if after <= self.last_id else 0, since, list_id),
        )
        return [Kept(*row) for row in rows]

    @property
    def last_id(self) -> int:
        """The id of the newest event ever kept; 0 if none was."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return int(row[0]) if row else 0

    def tally(self) -> Tally:
        """Counts over everything kept."""
        rows = self._db.execute("SELECT event, count(*), sum(copies - 1) FROM events GROUP BY event").fetchall()
        last = self._db.execute("SELECT event, received_at FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return Tally(
            {event: count for event, count, _ in rows},
            sum(copies for _, _, copies in rows),
            last[0] if last else "",
            last[1] if last else None,
        )

    def prune(self, now: float) -> int:
        """Drop some old events that take no consent away; gives how many. Raises sqlite3.Error.

        At most `PRUNED_AT_ONCE`: whoever waits for the disk meanwhile must be answered in time.
        """
        with self._transaction():
            return self._db.execute(
                "DELETE FROM events WHERE id IN (SELECT id FROM events "  # noqa: S608  # our own names
                f"WHERE NOT {_LOWERS} AND (received_at < ? OR id <= ?) ORDER BY id LIMIT ?)",
                (now - KEPT_DAYS * 86_400, self.last_id - MOST_OTHERS, PRUNED_AT_ONCE),
            ).rowcount

    def forget(self, is_theirs: Callable[[str], bool]) -> int:
        """Erase the events about a person, whatever the spelling; gives how many. Raises sqlite3.Error."""
        with self._transaction():
            spellings = [row[0] for row in self._db.execute("SELECT DISTINCT address FROM events")]
            gone = sum(
                self._db.execute("DELETE FROM events WHERE address = ?", (spelling,)).rowcount
                for spelling in spellings
                if is_theirs(spelling)
            )
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def open_inbox(folder: Path) -> Inbox:
    """The inbox in `folder` for writing, made if there is none. Raises StateError, sqlite3.Error, OSError."""
    path = folder / INBOX
    make_private_folder(folder)
    if not path.exists():
        _create(path)
    connection = _connect(path, "rw")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")
    return Inbox(connection, path)


def read_inbox(folder: Path) -> Inbox | None:
    """The inbox in `folder` for reading, also while a receiver writes; None if there has never been one.

    Raises StateError, sqlite3.Error.
    """
    path = folder / INBOX
    return Inbox(_connect(path, "ro"), path) if path.exists() else None


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Inbox | None]:
    """`read_inbox` for a block, with every fault of the file as a StateError."""
    try:
        inbox = read_inbox(folder)
        try:
            yield inbox
        finally:
            if inbox is not None:
                inbox.close()
    except sqlite3.Error as error:
        raise StateError(
            f"{folder}: the inbox of webhooks can't be read",
            why=f"{type(error).__name__}: {error}; who left would be mailed again",
            fix=f"restore {INBOX}, or move it away and replay the proxy's log: syncengine webhooks replay FILE",
            code="inbox-unusable",
        ) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create(path: Path) -> None:
    """A new file, built under another name: a crash leaves none or a whole one, and of two makers one is first."""
    draft = path.with_name(f".{INBOX}.{secrets.token_hex(4)}.new")
    draft.touch(mode=PRIVATE_FILE)
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            connection.execute("INSERT INTO meta VALUES ('identity', ?)", (secrets.token_hex(8),))
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        with contextlib.suppress(FileExistsError):  # another one was faster, and its file is as good
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=PATIENCE,
    )
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        _verify(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _verify(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
        return
    raise StateError(
        f"{path}: this is no inbox of this program",
        why=f"its schema is {version}, this program knows {SCHEMA_VERSION}; it was left as found",
        fix="use the program that wrote it, or move the file away: webhooks serve makes a new one",
        code="inbox-unusable",
    )
