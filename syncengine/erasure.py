"""`state forget`, `reset` and `verify`: a person or a list out of the state, and whether the state is whole."""

import contextlib
import csv
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.bootstrap import Session
from syncengine.config.model import Job
from syncengine.durable import drafted
from syncengine.errors import ConfigError, StateError
from syncengine.frames import ADDRESS, KEY, KEY_HASH, SNAPSHOT_SCHEMA
from syncengine.keyed import contact_key_of, key_check, tombstone
from syncengine.ledger import BACKUP, transaction
from syncengine.mailing.record import erase_mailed
from syncengine.normalise.addresses import address_key
from syncengine.normalise.rows import key_hashes
from syncengine.ports import Changes
from syncengine.state.store import NO_DOUBTS, NOTHING_REFUSED
from syncengine.webhooks.folder import hook_folder
from syncengine.webhooks.inbox import INBOX, open_inbox

FORGOTTEN: Final = "<forgotten>"
_LISTING: Final = ("errors.csv", "differences.csv")


@dataclass(frozen=True, slots=True)
class Erased:
    """What was found of a person, and is gone."""

    contacts: int
    rows_in_files: int
    notes: int


def forget(session: Session, jobs: list[Job], email: str, now: datetime) -> Erased:
    """Erase a person from state, runs and files; a keyed tombstone stays, so that no file brings them back.

    Raises ConfigError while a run is unfinished: its plan may still send them.
    """
    _refuse_while_unfinished(session, jobs)
    address = address_key(email)
    keys = {address}
    contacts = 0
    for job in {job.list_id: job for job in jobs}.values():
        found = _contacts_of(session, job, address)
        keys |= set(found[KEY])
        contacts += found.height
        if not found.is_empty():
            session.state(job).amend(_without(found), now)
            _drop_older_snapshots(session, job)
    notes = _erase_notes(session, address, keys) + _erase_events(session, address)
    rows = _erase_from_files(session.runs, email, address, keys)
    session.state(jobs[0]).forgotten()  # raises where the key of earlier tombstones is lost
    rows += sum(
        _erase_rows(file, {email.strip().lower(), address}, keys)
        for file in session.workshop.state_folder.glob("mailings/*.csv")
    )
    secret = contact_key_of(session.workshop.state_folder)
    with transaction(session.connection) as db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('key', ?)", (key_check(secret),))
        db.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?)", (tombstone(address, secret), now.isoformat()))
    session.connection.settle(vacuum=True)  # `secure_delete` has zeroed the rows; the log may still hold them
    for copy in (BACKUP, "state.v*.sqlite"):
        for path in session.workshop.state_folder.glob(copy):
            path.unlink()
    return Erased(contacts, rows, notes)


def reset(session: Session, job: Job) -> int:
    """Forget everything about the list of `job`; gives how many contacts were known. The next sync is a first one."""
    known = session.state(job).current().contacts if _is_ours(session, job) else 0
    with transaction(session.connection) as db:
        for table in ("lists", "variables", "refusals", "suppressions", "doubts", "inboxes", "corrections"):
            db.execute(f"DELETE FROM {table} WHERE list = ?", (job.list_id,))  # noqa: S608  # names from this line
        db.execute("DELETE FROM sources WHERE list = ?", (job.list_id,))
        db.execute("DELETE FROM names WHERE job = ?", (job.name,))
        db.execute(
            "UPDATE runs SET status = 'discarded' WHERE list = ? AND status IN ('planned', 'sending')", (job.list_id,)
        )
    shutil.rmtree(session.workshop.state_folder / "lists" / job.list_id, ignore_errors=True)
    return known


def verify(session: Session, job: Job) -> str:
    """Read all that is known of a list and look whether it is whole. Raises StateError; gives a line for people."""
    damage = session.connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if damage != "ok":
        raise StateError("state.sqlite is damaged", why=str(damage), code="state-unusable")
    store = session.state(job)
    snapshot = store.snapshot()  # its bytes are those that were written, or this raises
    state = store.current()
    if state.path is None:
        return "nothing known yet"
    rows = pl.scan_parquet(state.path)
    faults = {
        "columns are not those of a snapshot": rows.collect_schema() != SNAPSHOT_SCHEMA,
        "the number of contacts is not the one noted": snapshot.size != state.contacts,
        "a key stands twice": bool(rows.select(pl.col(KEY).is_duplicated().any()).collect().item()),
        "a key does not have its hash": _has_wrong_hash(state.path),
        "the rows are not in order": not bool(rows.select(pl.col(KEY_HASH).is_sorted()).collect().item()),
    }
    found = [fault for fault, is_so in faults.items() if is_so]
    if found:
        raise StateError(f"{state.path}: the snapshot is damaged", why="; ".join(found), code="snapshot-damaged")
    return f"{state.contacts:,} contacts, snapshot {state.generation}, whole"


def _is_ours(session: Session, job: Job) -> bool:
    try:
        session.state(job).current()
    except StateError:
        return False  # of another account, or by another program: it is being forgotten anyway
    return True


def _has_wrong_hash(path: Path) -> bool:
    rows = pl.read_parquet(path, columns=[KEY, KEY_HASH])
    return not rows[KEY_HASH].equals(key_hashes(rows[KEY]))


def _refuse_while_unfinished(session: Session, jobs: list[Job]) -> None:
    for job in jobs:
        unfinished = session.journal.unfinished(job.name)
        if unfinished is not None:
            raise ConfigError(
                f"run {unfinished.run[:13]} of {job.name} is not finished, and may hold this person",
                fix=f"finish it: syncengine sync {job.name}    or drop it: syncengine sync {job.name} --fresh",
                code="run-unfinished",
            )


def _contacts_of(session: Session, job: Job, address: str) -> pl.DataFrame:
    path = session.state(job).current().path
    if path is None:
        return pl.DataFrame(schema=SNAPSHOT_SCHEMA)
    return pl.scan_parquet(path).filter(pl.col(ADDRESS) == address).collect()


def _without(found: pl.DataFrame) -> Changes:
    return Changes([], [], [found.lazy()], NOTHING_REFUSED, NO_DOUBTS)


def _drop_older_snapshots(session: Session, job: Job) -> None:
    state = session.state(job).current()
    folder = session.workshop.state_folder / "lists" / job.list_id
    for path in folder.glob("snapshot-*.parquet"):
        if path != state.path:
            path.unlink()


def _erase_notes(session: Session, address: str, keys: set[str]) -> int:
    """Rows about a person in the ledger."""
    notes = 0
    with transaction(session.connection) as db:
        for key in keys:
            notes += db.execute("DELETE FROM refusals WHERE key = ?", (key,)).rowcount
            notes += db.execute("DELETE FROM doubts WHERE key = ?", (key,)).rowcount
            notes += db.execute("DELETE FROM corrections WHERE key = ?", (key,)).rowcount
        notes += erase_mailed(db, address)
        notes += db.execute("DELETE FROM suppressions WHERE address = ?", (address,)).rowcount
        notes += db.execute(
            "UPDATE verdicts SET text = ? WHERE instr(lower(text), ?) > 0", (FORGOTTEN, address)
        ).rowcount
    return notes


def _erase_events(session: Session, address: str) -> int:
    """What webhooks told of a person."""
    folder = hook_folder(session.workshop.state_folder)
    if not (folder / INBOX).exists():
        return 0
    try:
        with contextlib.closing(open_inbox(folder)) as inbox:
            return inbox.forget(lambda spelling: address_key(spelling) == address)
    except sqlite3.Error as error:
        raise StateError(f"{folder}: the inbox can't be written", why=str(error), code="inbox-unusable") from error


def _erase_from_files(runs: Path, email: str, address: str, keys: set[str]) -> int:
    """Rows about a person in the files of finished runs; plans that were carried out are dropped as a whole."""
    rows = 0
    for run in runs.glob("*/"):
        shutil.rmtree(run / "plan", ignore_errors=True)
        for name in _LISTING:
            if (run / name).is_file():
                rows += _erase_rows(run / name, {email.strip().lower(), address}, keys)
    return rows


def _erase_rows(file: Path, addresses: set[str], keys: set[str]) -> int:
    csv.field_size_limit(sys.maxsize)
    gone = 0
    with (
        file.open(encoding="utf-8", newline="") as lines,
        drafted(file) as draft,
        draft.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        for row in csv.reader(lines):
            cells = [cell.strip().lower() for cell in row]
            about = bool(keys & set(row)) or any(address in cell for cell in cells for address in addresses)
            gone += about
            if not about:
                writer.writerow(row)
    return gone
