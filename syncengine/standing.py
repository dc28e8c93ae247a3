"""Where a job stands by the ledger: what is in force of its list, what its last run saw, and what is still open.

Imports nothing that is slow to load: a sync of a file that did not change asks this, and nothing else.
"""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from syncengine.errors import StateError, other_account
from syncengine.ledger import transaction
from syncengine.model import FINGERPRINT_SCHEME, SourceSeen
from syncengine.report import ERRORS_FILE, MANIFEST


def row_in_force(db: sqlite3.Connection, list_id: str) -> sqlite3.Row | None:
    """The list's row with its `changes` as JSON: of one moment, also while a run writes."""
    row: sqlite3.Row | None = db.execute(
        "SELECT *, (SELECT json_group_array(json_array(generation, rows, digest)) FROM changes "
        "WHERE changes.list = lists.list) AS changes FROM lists WHERE list = ?",
        (list_id,),
    ).fetchone()
    return row


def own_row_in_force(db: sqlite3.Connection, list_id: str, account: str) -> sqlite3.Row | None:
    """`row_in_force`. Raises StateError if it is another account's, or another program's."""
    row = row_in_force(db, list_id)
    if row is None:
        return None
    if row["account"] != account:
        raise other_account(f"the state of list {list_id}", row["account"], account)
    if row["scheme"] != FINGERPRINT_SCHEME:
        raise StateError(
            f"the state of list {list_id} uses fingerprints of scheme {row['scheme']}",
            why=f"this program uses scheme {FINGERPRINT_SCHEME}",
            fix="use the program that wrote it, or: syncengine state reset",
            code="state-scheme",
        )
    return row


def source_seen(db: sqlite3.Connection, job: str, list_id: str) -> SourceSeen | None:
    """What the last finished run of `job` saw, or None."""
    row = db.execute("SELECT * FROM sources WHERE job = ? AND list = ?", (job, list_id)).fetchone()
    if row is None:
        return None
    return SourceSeen(
        row["digest"],
        row["rules"],
        row["mapping"],
        row["generation"],
        bool(row["clean"]),
        row["rows"],
        row["held"],
        row["same"],
        row["run"],
    )


def names_given(db: sqlite3.Connection, job: str) -> dict[str, str]:
    """Column → variable, as chosen when the column was first seen."""
    return dict(db.execute("SELECT column, variable FROM names WHERE job = ?", (job,)).fetchall())


def unfinished_run(db: sqlite3.Connection, job: str) -> sqlite3.Row | None:
    """The row of the run of `job` that was planned or begun and has neither finished nor been discarded."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM runs WHERE job = ? AND status IN ('planned', 'sending') ORDER BY started_at DESC LIMIT 1",
        (job,),
    ).fetchone()
    return row


def owes_anybody(db: sqlite3.Connection, list_id: str) -> bool:
    """Whether somebody who left the list is still to be sent as unsubscribed."""
    row = db.execute("SELECT 1 FROM corrections WHERE list = ? AND paid_at IS NULL LIMIT 1", (list_id,)).fetchone()
    return row is not None


def taken_up(db: sqlite3.Connection, list_id: str, inbox: str) -> tuple[int, int]:
    """The last events of `inbox` whose people are recorded, and that the snapshot knows."""
    row = db.execute("SELECT recorded, known FROM inboxes WHERE list = ? AND inbox = ?", (list_id, inbox)).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def left_since_last_run(db: sqlite3.Connection, list_id: str, job: str) -> dict[str, int]:
    """People who left by kind, recorded since the last finished run of `job` ended."""
    rows = db.execute(
        "SELECT kind, count(*) FROM suppressions WHERE list = ?1 AND recorded_at > coalesce("
        "(SELECT max(ended_at) FROM runs WHERE job = ?2 AND list = ?1 AND status = 'finished'), '') GROUP BY kind",
        (list_id, job),
    )
    return dict(rows.fetchall())


def note_run(
    db: sqlite3.Connection, run: str, job: str, list_id: str, result: str, facts: Mapping[str, Any], now: datetime
) -> None:
    """A run that sent nothing and leaves nothing: begun and finished in one step, so that no crash can leave it
    unfinished, with a plan there never was or one that a guard has stopped. Raises StateError.
    """
    at = now.isoformat()
    with transaction(db) as connection:
        connection.execute(
            "INSERT INTO runs (run, job, list, status, result, started_at, ended_at, facts) "
            "VALUES (?,?,?,'finished',?,?,?,?)",
            (run, job, list_id, result, at, at, json.dumps(facts)),
        )


def paths_of(runs: Path, run: str) -> dict[str, str]:
    """Where a run left its files."""
    return {"run": str(runs / run), "errors": str(runs / run / ERRORS_FILE)}


def size_planned(runs: Path, run: str) -> int | None:
    """Bytes of the source that the plan of a run was made from; None where its folder does not say it (any more)."""
    try:
        size = json.loads((runs / run / MANIFEST).read_bytes())["facts"]["source"]["size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return size if isinstance(size, int) else None
