"""What `status` and `errors` show: read from the ledger alone, quickly, also while a run writes.

Neither polars nor httpx is imported on this path.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from syncengine.ledger import read_ledger


@dataclass(frozen=True, slots=True)
class RunView:
    """One run for people. `facts` is what `sync --json` printed for it, as far as it got."""

    run: str
    job: str
    list: str
    status: str
    result: str
    started_at: str
    ended_at: str | None
    facts: Mapping[str, Any]
    so_far: Mapping[str, int] = field(default_factory=dict)
    """Contacts of an unfinished run by outcome, as recorded until now: confirmed, rejected, unresolved, pending."""

    @property
    def unfinished(self) -> bool:
        return self.status in {"planned", "sending"}


@dataclass(frozen=True, slots=True)
class JobView:
    """A job's last run and what is known of its list."""

    job: str
    last: RunView | None
    contacts: int


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection | None]:
    connection = read_ledger(folder)
    try:
        yield connection
    finally:
        if connection is not None:
            connection.close()


def jobs(folder: Path, names: Mapping[str, str]) -> list[JobView]:
    """The state of each job; `names` maps job to list."""
    with _reading(folder) as db:
        return [_job(db, name, list_id) for name, list_id in names.items()]


def runs(folder: Path, job: str | None = None, limit: int = 20) -> list[RunView]:
    """Latest first."""
    with _reading(folder) as db:
        return [] if db is None else _runs(db, job, limit)


def find_run(folder: Path, wanted: str | None) -> RunView | None:
    """The run whose id begins or ends with `wanted`, or the latest; None if there is no such run, or several."""
    with _reading(folder) as db:
        if db is None:
            return None
        if wanted is None:
            return next(iter(_runs(db, None, 1)), None)
        rows = db.execute(
            "SELECT * FROM runs WHERE run LIKE ?1 || '%' OR run LIKE '%' || ?1 LIMIT 2", (wanted,)
        ).fetchall()
        return _run(rows[0]) if len(rows) == 1 else None


def verdict_counts(folder: Path, run: str) -> list[tuple[str, str, int, str]]:
    """(outcome, code, count, an example text) of a run's contacts that were not confirmed."""
    with _reading(folder) as db:
        if db is None:
            return []
        rows = db.execute(
            "SELECT outcome, code, count(*), max(text) FROM verdicts WHERE run = ? AND outcome <> 'confirmed' "
            "GROUP BY outcome, code ORDER BY count(*) DESC",
            (run,),
        )
        return [tuple(row) for row in rows]


def hook_progress(folder: Path, list_id: str, inbox: str) -> tuple[int, int]:
    """The last event of `inbox` that is recorded for a list, and how many people must not get its mail."""
    with _reading(folder) as db:
        if db is None:
            return 0, 0
        row = db.execute("SELECT recorded FROM inboxes WHERE list = ? AND inbox = ?", (list_id, inbox)).fetchone()
        people = db.execute("SELECT count(*) FROM suppressions WHERE list = ?", (list_id,)).fetchone()
        return (row[0] if row else 0), people[0]


def _job(db: sqlite3.Connection | None, name: str, list_id: str) -> JobView:
    if db is None:
        return JobView(name, None, 0)
    row = db.execute("SELECT contacts FROM lists WHERE list = ?", (list_id,)).fetchone()
    last = next(iter(_runs(db, name, 1)), None)
    if last is not None and last.unfinished:
        last = replace(last, so_far=_so_far(db, last))
    return JobView(name, last, row[0] if row else 0)


def _so_far(db: sqlite3.Connection, run: RunView) -> dict[str, int]:
    """Counted anew: the facts of a run are written at its beginning and at its end."""
    (confirmed,) = db.execute("SELECT coalesce(sum(confirmed), 0) FROM batches WHERE run = ?", (run.run,)).fetchone()
    others = dict(db.execute("SELECT outcome, count(*) FROM verdicts WHERE run = ? GROUP BY outcome", (run.run,)))
    counts = {"confirmed": confirmed, **{name: others.get(name, 0) for name in ("rejected", "unresolved")}}
    planned = sum(run.facts.get("planned", {}).values())
    return {**counts, "pending": max(0, planned - sum(counts.values()))}


def _runs(db: sqlite3.Connection, job: str | None, limit: int) -> list[RunView]:
    rows = db.execute(
        "SELECT * FROM runs WHERE (?1 IS NULL OR job = ?1) ORDER BY started_at DESC, run DESC LIMIT ?2", (job, limit)
    )
    return [_run(row) for row in rows]


def _run(row: sqlite3.Row) -> RunView:
    return RunView(
        row["run"],
        row["job"],
        row["list"],
        row["status"],
        row["result"],
        row["started_at"],
        row["ended_at"],
        json.loads(row["facts"]),
    )
