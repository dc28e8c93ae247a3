"""Who was sent which template: written down before the mail leaves, so that nobody gets it twice.

Two tables beside the others of a state directory, made when first needed: they change nothing of what a sync reads.

A mailing is one template for one crowd. A contact of it is `intended` from just before its request leaves; `sent`,
`rejected` or `unknown` once that is settled. Whoever is found `intended` later was in flight when the program died:
that is `unknown` too.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from syncengine.ledger import transaction

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS mailings (
        mailing TEXT PRIMARY KEY,
        account TEXT NOT NULL, list TEXT NOT NULL, template TEXT NOT NULL,
        crowd TEXT NOT NULL,                -- digest of the recipients
        again INTEGER NOT NULL,             -- 1: also to whoever got the template before
        tags TEXT NOT NULL,                 -- JSON
        started_at TEXT NOT NULL, ended_at TEXT
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS mailed (
        mailing TEXT NOT NULL, key TEXT NOT NULL, email TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('intended', 'sent', 'rejected', 'unknown')),
        message TEXT NOT NULL,              -- id of the message; empty where none was told
        text TEXT NOT NULL,                 -- the service's words, or why there is no answer
        at TEXT NOT NULL,
        PRIMARY KEY (mailing, key)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS mailed_by_key ON mailed (key)",
)


class Mailed(StrEnum):
    """What became of one contact's mail."""

    INTENDED = "intended"
    SENT = "sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Mailing:
    """One template for one crowd. `resumed`: it was begun before and not finished."""

    id: str
    list_id: str
    template_id: str
    again: bool
    resumed: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A contact of a mailing as the record has it."""

    email: str
    outcome: Mailed
    message: str
    text: str
    at: str


class MailRecord:
    """The record of one account and list. One writer; see `lock`."""

    def __init__(self, connection: sqlite3.Connection, account: str, list_id: str) -> None:
        self._db = connection
        self._account = account
        self._list = list_id
        for statement in _TABLES:
            connection.execute(statement)

    def find(self, template_id: str, crowd: str, *, again: bool) -> Mailing | None:
        """The unfinished mailing of this template for this crowd, if there is one."""
        row = self._db.execute(
            "SELECT mailing FROM mailings WHERE account = ? AND list = ? AND template = ? AND crowd = ? AND again = ? "
            "AND ended_at IS NULL ORDER BY mailing DESC LIMIT 1",
            (self._account, self._list, template_id, crowd, int(again)),
        ).fetchone()
        return None if row is None else Mailing(row[0], self._list, template_id, again, resumed=True)

    def begin(
        self, mailing_id: str, template_id: str, crowd: str, tags: tuple[str, ...], now: datetime, *, again: bool
    ) -> Mailing:
        """A new mailing. Unfinished ones of the same template are closed: they are not gone on with after it."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE mailings SET ended_at = ? WHERE account = ? AND list = ? AND template = ? AND ended_at IS NULL",
                (now.isoformat(), self._account, self._list, template_id),
            )
            db.execute(
                "INSERT INTO mailings VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    mailing_id,
                    self._account,
                    self._list,
                    template_id,
                    crowd,
                    int(again),
                    json.dumps(tags),
                    now.isoformat(),
                ),
            )
        return Mailing(mailing_id, self._list, template_id, again, resumed=False)

    def take_up(self, mailing: Mailing, now: datetime) -> int:
        """Whoever was in flight when the program died is unknown; gives how many."""
        with transaction(self._db) as db:
            return db.execute(
                "UPDATE mailed SET outcome = 'unknown', text = 'the program ended while it was in flight', at = ? "
                "WHERE mailing = ? AND outcome = 'intended'",
                (now.isoformat(), mailing.id),
            ).rowcount

    def end(self, mailing: Mailing, now: datetime) -> None:
        """Nobody of the crowd is left."""
        with transaction(self._db) as db:
            db.execute("UPDATE mailings SET ended_at = ? WHERE mailing = ?", (now.isoformat(), mailing.id))

    def before(self, template_id: str, besides: str) -> dict[str, bool]:
        """By key whether it is certain, of everybody who got this template in other mailings, or may have got it."""
        rows = self._db.execute(
            "SELECT key, max(outcome = 'sent') FROM mailed JOIN mailings USING (mailing) "
            "WHERE account = ? AND list = ? AND template = ? AND mailing <> ? AND outcome <> 'rejected' GROUP BY key",
            (self._account, self._list, template_id, besides),
        )
        return {key: bool(certain) for key, certain in rows}

    def entries(self, mailing_id: str) -> Iterator[tuple[str, Entry]]:
        """(key, entry) of a mailing, in the order of their times."""
        rows = self._db.execute(
            "SELECT key, email, outcome, message, text, at FROM mailed WHERE mailing = ? ORDER BY at, key",
            (mailing_id,),
        )
        for key, email, outcome, message, text, at in rows:
            yield key, Entry(email, Mailed(outcome), message, text, at)

    def intend(self, mailing: Mailing, key: str, email: str, now: datetime) -> None:
        """Durable before the first byte leaves. Once more for a request that is repeated because it never arrived."""
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO mailed VALUES (?, ?, ?, 'intended', '', '', ?) ON CONFLICT (mailing, key) "
                "DO UPDATE SET at = excluded.at WHERE outcome = 'intended'",
                (mailing.id, key, email, now.isoformat()),
            )

    def settle(
        self, mailing: Mailing, key: str, outcome: Mailed, now: datetime, *, message: str = "", text: str = ""
    ) -> None:
        """What became of a mail that left."""
        with transaction(self._db) as db:
            db.execute(
                "UPDATE mailed SET outcome = ?, message = ?, text = ?, at = ? WHERE mailing = ? AND key = ?",
                (outcome.value, message, text, now.isoformat(), mailing.id, key),
            )

    def release(self, mailing: Mailing, key: str) -> None:
        """A mail that certainly did not leave, or was refused with all others: the contact waits again."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM mailed WHERE mailing = ? AND key = ? AND outcome = 'intended'", (mailing.id, key))


def erase_mailed(connection: sqlite3.Connection, key: str) -> int:
    """Erase a person from the record; gives how many mails it knew of. Called within a transaction."""
    known = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'mailed'").fetchone()[0]
    return connection.execute("DELETE FROM mailed WHERE key = ?", (key,)).rowcount if known else 0
