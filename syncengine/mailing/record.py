"""Who was sent which template: written down before the mail leaves, so that nobody gets it twice.

A mailing is one template for one crowd. A contact of it is `intended` from just before its request leaves; `sent`,
`rejected` or `unknown` once that is settled. Whoever is found `intended` later was in flight when the program died:
that is `unknown` too.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from syncengine.ledger import transaction

ONE: Final = "one:"  #: what the crowd of one contact is called by, before the contact's key


class Mailed(StrEnum):
    """What became of one contact's mail."""

    INTENDED = "intended"
    SENT = "sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Intended:
    """A request for the contact is about to leave. Again for one that is repeated because it never arrived."""

    key: str
    email: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a contact's mail. `message` is its id, `text` the service's words or why there is no answer."""

    key: str
    email: str
    outcome: Mailed
    message: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Released:
    """The contact's mail certainly did not leave, or was refused with all others: it waits again."""

    key: str


Note = Intended | Settled | Released


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

    def write(self, mailing: Mailing, notes: Iterable[Note]) -> None:
        """Note what is about to happen, or happened, to contacts of a mailing, in this order. Durable on return."""
        with transaction(self._db) as db:
            for note in notes:
                match note:
                    case Intended(key, email, at):
                        db.execute(
                            "INSERT INTO mailed VALUES (?, ?, ?, 'intended', '', '', ?) ON CONFLICT (mailing, key) "
                            "DO UPDATE SET at = excluded.at WHERE outcome = 'intended'",
                            (mailing.id, key, email, at.isoformat()),
                        )
                    case Settled(key, email, outcome, message, text, at):
                        db.execute(
                            "INSERT OR REPLACE INTO mailed VALUES (?, ?, ?, ?, ?, ?, ?)",
                            (mailing.id, key, email, outcome.value, message, text, at.isoformat()),
                        )
                    case Released(key):
                        db.execute(
                            "DELETE FROM mailed WHERE mailing = ? AND key = ? AND outcome = 'intended'",
                            (mailing.id, key),
                        )
                    case _:
                        assert_never(note)


def erase_mailed(connection: sqlite3.Connection, key: str) -> int:
    """Erase a person from the record; gives how many mails it knew of. Called within a transaction."""
    connection.execute("UPDATE mailings SET crowd = '' WHERE crowd = ?", (f"{ONE}{key}",))
    return connection.execute("DELETE FROM mailed WHERE key = ?", (key,)).rowcount
