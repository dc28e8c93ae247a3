"""What the ledger knows of people who left a list: who, how far the inbox has been taken up, and what is still owed."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from syncengine.leaving import KINDS, UNSUBSCRIBED, joined
from syncengine.ledger import transaction
from syncengine.normalise.addresses import address_key
from syncengine.normalise.rows import hash_of
from syncengine.ports import Correction, News
from syncengine.standing import left_since_last_run, taken_up
from syncengine.suppression import SUPPRESSED

_STRICTER = "instr({kinds}, excluded.kind) > instr({kinds}, kind)".format(kinds=f"'{' '.join(KINDS)}'")


@dataclass(frozen=True, slots=True)
class Word:
    """Why somebody must not get mail: a kind of `leaving`, whose word it is, and from when (ISO 8601)."""

    kind: str
    origin: str
    at: str


class ConsentBook:
    """One list's part of the ledger (a `ConsentBook` of the ports)."""

    def __init__(self, connection: sqlite3.Connection, list_id: str) -> None:
        self._db = connection
        self._list = list_id

    def recorded(self, inbox: str) -> int:
        """The last event of this inbox whose people are recorded."""
        return taken_up(self._db, self._list, inbox)[0]

    def known(self, inbox: str) -> int:
        """The last event of this inbox that the snapshot knows."""
        return taken_up(self._db, self._list, inbox)[1]

    def record(self, news: News, now: datetime) -> None:
        """These people must not get mail. Durable on return; doing it twice changes nothing."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO suppressions (list, address, kind, origin, at, recorded_at) VALUES (?,?,?,'webhook',?,?) "  # noqa: S608
                f"ON CONFLICT DO UPDATE SET kind = CASE WHEN {_STRICTER} THEN excluded.kind ELSE kind END, "
                "at = max(at, excluded.at)",
                [
                    (self._list, one.address, one.kind, _iso(one.happened_at), now.isoformat())
                    for one in joined(news.words).values()
                ],
            )
            self._move(db, "recorded", news.inbox, news.through)

    def lift(self, addresses: Sequence[str], *, since: datetime) -> int:
        """A person says that what was told of these since then is not so; gives how many are no longer off. Who was off
        before stays so, also where the inbox that told it is gone. Durable on return.
        """
        lifted = set()
        with transaction(self._db) as db:
            for address in addresses:
                gone = db.execute(
                    "DELETE FROM suppressions WHERE list = ? AND address = ? AND origin = 'webhook' "
                    "AND recorded_at >= ?",
                    (self._list, address, since.astimezone(UTC).isoformat()),
                )
                if gone.rowcount:
                    lifted.add(address)
            db.executemany(
                "DELETE FROM corrections WHERE list = ? AND email = ? AND due = ?",
                [(self._list, one.email, one.due) for one in self.owed() if address_key(one.email) in lifted],
            )
            forget_kept_off(db, self._list, lifted)
            db.execute("UPDATE sources SET clean = 0 WHERE list = ?", (self._list,))  # they are compared again
        return len(lifted)

    def follow(self, moved: Sequence[tuple[str, str]]) -> None:
        """People are off under the second address as they are under the first. Durable on return."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO suppressions (list, address, kind, origin, at, recorded_at) "
                "SELECT list, ?, kind, origin, at, recorded_at FROM suppressions WHERE list = ? AND address = ? "
                "ON CONFLICT DO NOTHING",
                [(new, self._list, old) for old, new in moved],
            )

    def learned(self, inbox: str, through: int) -> None:
        """The snapshot knows everything up to this event."""
        with transaction(self._db) as db:
            self._move(db, "known", inbox, through)

    def left_since_last_run(self, job: str) -> Mapping[str, int]:
        """People by kind, recorded since the last finished run of `job` ended."""
        return left_since_last_run(self._db, self._list, job)

    def last_run_ended(self, job: str) -> float:
        """When the last finished run of `job` ended, in Unix seconds; 0 if none did."""
        row = self._db.execute(
            "SELECT max(ended_at) FROM runs WHERE job = ? AND list = ? AND status = 'finished'", (job, self._list)
        ).fetchone()
        return datetime.fromisoformat(row[0]).timestamp() if row[0] else 0.0

    def owe(self, corrections: Sequence[Correction]) -> None:
        """These are to be sent as unsubscribed. Durable on return."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO corrections (list, email, due, name, variables, key, run) VALUES (?,?,?,?,?,?,?) "
                "ON CONFLICT DO NOTHING",
                [(self._list, one.email, one.due, one.name, one.variables, one.key, one.run) for one in corrections],
            )

    def owed(self) -> list[Correction]:
        """What is still to be sent, earliest first."""
        rows = self._db.execute(
            "SELECT email, due, name, variables, key, run FROM corrections WHERE list = ? AND paid_at IS NULL "
            "ORDER BY due",
            (self._list,),
        )
        return [Correction(*row) for row in rows]

    def corrected(self, run: str) -> set[str]:
        """Addresses for whom `run` has owed a correction, paid or not."""
        rows = self._db.execute("SELECT email FROM corrections WHERE list = ? AND run = ?", (self._list, run))
        return {row[0] for row in rows}

    def people(self) -> dict[str, str]:
        """Everybody who must not get mail: address → kind."""
        return dict(self._db.execute("SELECT address, kind FROM suppressions WHERE list = ?", (self._list,)).fetchall())

    def word_about(self, address: str) -> Word | None:
        """What keeps `address` (normal form) off, or None."""
        row = self._db.execute(
            "SELECT kind, origin, at FROM suppressions WHERE list = ?1 AND address = ?2 UNION ALL "
            "SELECT ?3, 'departed', at FROM departed WHERE list = ?1 AND address = ?2",
            (self._list, address, UNSUBSCRIBED),
        ).fetchone()
        return None if row is None else Word(*row)

    def paid(self, corrections: Sequence[Correction], outcomes: Sequence[str], at: float) -> None:
        """These were sent, and what became of them. Durable on return."""
        with transaction(self._db) as db:
            db.executemany(
                "UPDATE corrections SET paid_at = ?, outcome = ? WHERE list = ? AND email = ? AND due = ?",
                [
                    (at, outcome, self._list, one.email, one.due)
                    for one, outcome in zip(corrections, outcomes, strict=True)
                ],
            )

    def _move(self, db: sqlite3.Connection, column: str, inbox: str, through: int) -> None:
        db.execute("INSERT INTO inboxes VALUES (?,?,0,0) ON CONFLICT DO NOTHING", (self._list, inbox))
        db.execute(
            f"UPDATE inboxes SET {column} = ? WHERE list = ? AND inbox = ?",  # noqa: S608
            (through, self._list, inbox),
        )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def forget_kept_off(db: sqlite3.Connection, list_id: str, addresses: Collection[str]) -> None:
    """Within the caller's transaction: who left under one of these addresses may be on the list under another."""
    hashes = pl.Series("address", list(addresses), dtype=pl.String).to_frame().select(hash_of(pl.col("address")))
    db.executemany(
        "DELETE FROM refusals WHERE list = ? AND code = ? AND fingerprint = ?",
        [(list_id, SUPPRESSED, signed(number)) for number in hashes.to_series()],
    )


def signed(number: int) -> int:
    """A 64-bit number as SQLite keeps integers."""
    return number - (1 << 64) if number >= 1 << 63 else number
