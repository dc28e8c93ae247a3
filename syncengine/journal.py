"""What became of a run's batches, in the ledger. Durable when a method returns.

A batch is intended before its first byte leaves and settled before its slot is free. So after a crash what is not
settled is sent again, whole, and nothing else: at most the batches in flight. A batch that is intended once more was
left open by a process that is gone: what that one sent may still be on its way, whatever the next answer says.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from syncengine.ledger import transaction
from syncengine.model import Outcome
from syncengine.ports import Done, Intended, Progress, Released, RunRow, Tally
from syncengine.standing import note_run, unfinished_run


class Journal:
    """The ledger's record of runs. One writer at a time; readers may have their own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self, run: str, job: str, list_id: str, facts: Mapping[str, Any], now: datetime) -> None:
        """A plan is frozen: from here on the run exists, and is unfinished."""
        with transaction(self._connection) as db:
            db.execute(
                "INSERT INTO runs (run, job, list, status, result, started_at, facts) VALUES (?,?,?,'planned','',?,?)",
                (run, job, list_id, now.isoformat(), json.dumps(facts)),
            )

    def start(self, run: str) -> None:
        """The first request is about to leave."""
        with transaction(self._connection) as db:
            db.execute("UPDATE runs SET status = 'sending' WHERE run = ?", (run,))

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        """Many entries in one durable commit."""
        with transaction(self._connection) as db:
            for entry in entries:
                match entry:
                    case Intended(batch, at):
                        db.execute(
                            "INSERT INTO batches (run, batch, intended_at) VALUES (?,?,?) "
                            "ON CONFLICT DO UPDATE SET intended_at = excluded.intended_at, in_doubt = 1",
                            (run, batch, at),
                        )
                    case Released(batch):  # what an earlier process sent of it may still be on its way
                        db.execute(
                            "DELETE FROM batches WHERE run = ? AND batch = ? AND settled_at IS NULL AND NOT in_doubt",
                            (run, batch),
                        )
                    case Done():
                        _settle(db, run, entry)

    def mark(self, run: str, result: str, facts: Mapping[str, Any]) -> None:
        """How a run that stays unfinished stopped."""
        with transaction(self._connection) as db:
            db.execute("UPDATE runs SET result = ?, facts = ? WHERE run = ?", (result, json.dumps(facts), run))

    def finish(self, run: str, result: str, facts: Mapping[str, Any], now: datetime, *, status: str) -> None:
        """A run ends without a change to the state. `status` is finished or discarded."""
        with transaction(self._connection) as db:
            db.execute(
                "UPDATE runs SET status = ?, result = ?, ended_at = ?, facts = ? WHERE run = ?",
                (status, result, now.isoformat(), json.dumps(facts), run),
            )

    def note(self, run: str, job: str, list_id: str, result: str, facts: Mapping[str, Any], now: datetime) -> None:
        """See `standing.note_run`."""
        note_run(self._connection, run, job, list_id, result, facts, now)

    def unfinished(self, job: str) -> RunRow | None:
        """The run of `job` that was planned or begun and has neither finished nor been discarded."""
        row = unfinished_run(self._connection, job)
        return _run(row) if row else None

    def last_ended(self) -> datetime | None:
        """When the latest run ended, of any job."""
        ended = self._connection.execute("SELECT max(ended_at) FROM runs").fetchone()[0]
        return datetime.fromisoformat(ended) if ended else None

    def runs(self, job: str | None = None, limit: int = 50) -> list[RunRow]:
        """Latest first."""
        rows = self._connection.execute(
            "SELECT * FROM runs WHERE (?1 IS NULL OR job = ?1) ORDER BY started_at DESC, run DESC LIMIT ?2",
            (job, limit),
        )
        return [_run(row) for row in rows]

    def settled_batches(self, run: str) -> set[int]:
        """Batches that need not be sent again."""
        rows = self._connection.execute("SELECT batch FROM batches WHERE run = ? AND settled_at IS NOT NULL", (run,))
        return {row[0] for row in rows}

    def doubtful_batches(self, run: str) -> dict[int, float | None]:
        """Batches of which an attempt may still be applied: batch → Unix time since which none is made; None: open."""
        rows = self._connection.execute(
            "SELECT batch, settled_at FROM batches WHERE run = ? AND (in_doubt OR settled_at IS NULL)", (run,)
        )
        return {row[0]: row[1] for row in rows}

    def tally(self, run: str, first_batch: int, batches: int) -> Tally:
        """Outcomes of the batches in a range."""
        span = (run, first_batch, first_batch + batches)
        confirmed = self._connection.execute(
            "SELECT coalesce(sum(confirmed), 0) FROM batches WHERE run = ? AND batch >= ? AND batch < ?", span
        ).fetchone()[0]
        others = dict(
            self._connection.execute(
                "SELECT outcome, count(*) FROM verdicts WHERE run = ? AND batch >= ? AND batch < ? GROUP BY outcome",
                span,
            ).fetchall()
        )
        return Tally(confirmed, others.get(Outcome.REJECTED, 0), others.get(Outcome.UNRESOLVED, 0))

    def verdicts(self, run: str) -> list[tuple[int, int, str, str, str]]:
        """(batch, position, outcome, code, text) of contacts that are not plainly confirmed, in plan order."""
        rows = self._connection.execute(
            "SELECT batch, position, outcome, code, text FROM verdicts WHERE run = ? ORDER BY batch, position", (run,)
        )
        return [tuple(row) for row in rows]


def _settle(db: sqlite3.Connection, run: str, done: Done) -> None:
    db.execute(
        "UPDATE batches SET settled_at = ?, confirmed = ?, in_doubt = max(in_doubt, ?) WHERE run = ? AND batch = ?",
        (done.at, done.settled.count(Outcome.CONFIRMED), done.in_doubt, run, done.batch),
    )
    if done.settled.verdicts:
        db.executemany(
            "INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?,?)",
            [
                (run, done.batch, position, verdict.outcome, verdict.code, verdict.text)
                for position, verdict in done.settled.verdicts.items()
            ],
        )


def _run(row: sqlite3.Row) -> RunRow:
    return RunRow(
        row["run"],
        row["job"],
        row["list"],
        row["status"],
        row["result"],
        row["started_at"],
        row["ended_at"],
        json.loads(row["facts"]),
    )
