"""`state forget`, `reset` and `verify`: a person or a list out of the state, and whether the state is whole."""

import contextlib
import csv
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl

from syncengine.bootstrap import Session
from syncengine.config.model import Job
from syncengine.durable import drafted, write_durably
from syncengine.errors import ConfigError, StateError
from syncengine.frames import ADDRESS_IN_DOUBT, KEY, KEY_HASH, SNAPSHOT_SCHEMA
from syncengine.frozen import PLAN_FOLDER
from syncengine.keyed import contact_id, contact_key_of, key_check, tombstone
from syncengine.ledger import BACKUP, transaction
from syncengine.mailing.record import erase_mailed
from syncengine.normalise.addresses import address_key
from syncengine.normalise.rows import key_hashes
from syncengine.person import Person
from syncengine.ports import Changes
from syncengine.prepare import NOTES_FILE, SCRATCH
from syncengine.row_memory import drop_notes, forget_rows
from syncengine.state import StateStore
from syncengine.state.generations import snapshot_files
from syncengine.state.store import NO_DOUBTS, NOTHING_REFUSED
from syncengine.webhooks.folder import UNDONE, hook_folder
from syncengine.webhooks.inbox import INBOX, open_inbox

FORGOTTEN: Final = "<forgotten>"
_LISTING: Final = ("errors.csv", "differences.csv")
_LOG: Final = "log.jsonl"


@dataclass(frozen=True, slots=True)
class Erased:
    """What was found of a person, and is gone."""

    contacts: int
    rows_in_files: int
    notes: int


def forget(session: Session, jobs: list[Job], email: str, now: datetime) -> Erased:
    """Erase a person from state, runs and files; a keyed tombstone stays, so that no file brings them back.

    That holds for all lists the state knows, those included that no job names any more. Raises ConfigError while a run
    is unfinished: its plan may still send them.
    """
    _refuse_while_unfinished(session, jobs)
    session.state(jobs[0]).forgotten()  # raises where the key of earlier tombstones is lost
    folder, secret = session.workshop.state_folder, contact_key_of(session.workshop.state_folder)
    person = Person(email)
    person.keys |= _keys_in_errors(session.runs, person)
    contacts = sum(_erase_contact(session, *known, person, now) for known in _lists(session))
    notes = _erase_notes(session, person) + _erase_events(session, person)
    person.keys |= {contact_id(key, secret) for key in person.keys}
    rows = _erase_from_runs(session.runs, person)
    rows += sum(_erase_rows(file, person) for file in folder.glob("mailings/*.csv"))
    rows += _erase_lifted(hook_folder(folder) / UNDONE, person)
    with transaction(session.connection) as db:
        # What is unfinished now is of jobs that are gone from the config, and has no plan any more.
        db.execute("UPDATE runs SET status = 'discarded' WHERE status IN ('planned', 'sending')")
        db.execute("UPDATE sources SET clean = 0")  # the next run looks at every row: one may be theirs
        db.execute("INSERT OR REPLACE INTO meta VALUES ('key', ?)", (key_check(secret),))
        db.execute(
            "INSERT OR REPLACE INTO forgotten VALUES (?, ?)", (tombstone(person.address, secret), now.isoformat())
        )
    session.connection.settle(vacuum=True)  # `secure_delete` has zeroed the rows; the log may still hold them
    for copy in (BACKUP, "state.v*.sqlite", "**/.*.draft"):
        for path in folder.glob(copy):
            path.unlink()
    return Erased(contacts, rows, notes)


def reset(session: Session, job: Job) -> int:
    """Forget everything about the list of `job`; gives how many contacts were known. The next sync is a first one."""
    known = session.state(job).current().contacts if _is_ours(session, job) else 0
    with transaction(session.connection) as db:
        tables = (
            "lists",
            "changes",
            "variables",
            "refusals",
            "suppressions",
            "doubts",
            "inboxes",
            "corrections",
            "departed",
        )
        for table in tables:
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
    snapshot = store.snapshot()
    state = store.current()
    if state.path is None:
        return "nothing known yet"
    rows = snapshot.rows()  # its bytes are those that were written, or this raises
    files = [pl.scan_parquet(path, glob=False) for path in (state.path, *state.newer)]
    faults = {
        "columns are not those of a snapshot": rows.collect_schema() != SNAPSHOT_SCHEMA,
        "the number of contacts is not the one noted": snapshot.contacts != state.contacts,
        "a key stands twice": bool(rows.select(pl.col(KEY).is_duplicated().any()).collect().item()),
        "a key does not have its hash": _has_wrong_hash(rows),
        "the rows are not in order": not all(
            file.select(pl.col(KEY_HASH).is_sorted()).collect().item() for file in files
        ),
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


def _has_wrong_hash(rows: pl.LazyFrame) -> bool:
    keys = rows.select(KEY, KEY_HASH).collect()
    return not keys[KEY_HASH].equals(key_hashes(keys[KEY]))


def _refuse_while_unfinished(session: Session, jobs: list[Job]) -> None:
    for job in jobs:
        unfinished = session.journal.unfinished(job.name)
        if unfinished is not None:
            raise ConfigError(
                f"run {unfinished.run[:13]} of {job.name} is not finished, and may hold this person",
                fix=f"finish it: syncengine sync {job.name}    or drop it: syncengine sync {job.name} --fresh",
                code="run-unfinished",
            )


def _lists(session: Session) -> list[tuple[str, str]]:
    """(list, account) of every list something is known of."""
    return [(row[0], row[1]) for row in session.connection.execute("SELECT list, account FROM lists")]


def _erase_contact(session: Session, list_id: str, account: str, person: Person, now: datetime) -> int:
    """Take a person out of what is known of a list, and note the keys they were known by."""
    folder = session.workshop.state_folder
    store = StateStore(session.connection, folder, list_id, account)
    found = store.snapshot().rows_having(pl.Series([person.address]))
    person.keys.update(found[KEY])
    if not found.is_empty() or store.current().newer:  # they may have left, and be in the snapshot below
        store.erase(Changes([], [], [found.lazy()], NOTHING_REFUSED, NO_DOUBTS), now)
    _drop_what_lies_beside(folder / "lists" / list_id, store.current().path)
    return found.height


def _drop_what_lies_beside(folder: Path, snapshot: Path | None) -> None:
    """Earlier snapshots of a list, what a merge left behind, and what its rows meant."""
    for path in snapshot_files(folder):
        if path != snapshot:
            path.unlink()
    shutil.rmtree(folder / ".merge", ignore_errors=True)
    forget_rows(folder)


def _keys_in_errors(runs: Path, person: Person) -> set[str]:
    """Under which keys a person stands in the files of runs: somebody may have been rejected and never been known."""
    keys = set()
    for file in runs.glob("*/errors.csv"):
        with file.open(encoding="utf-8", newline="") as lines:
            rows = _rows(lines)
            head = next(rows, [])
            key, email = head.index("key"), head.index("email")
            keys |= {_bare(row[key]) for row in rows if "@" in row[email] and person.is_in(_bare(row[email]))}
    return keys - {""}


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)
    return iter(csv.reader(lines))


def _bare(cell: str) -> str:
    """A cell without the apostrophe that guards it."""
    return cell.removeprefix("'")


def _erase_notes(session: Session, person: Person) -> int:
    """Rows about a person in the ledger."""
    notes = 0
    with transaction(session.connection) as db:
        for key in (*person.keys, ADDRESS_IN_DOUBT + person.address):
            for table in ("refusals", "doubts", "corrections"):
                notes += db.execute(f"DELETE FROM {table} WHERE key = ?", (key,)).rowcount  # noqa: S608  # from this line
        for email in [row[0] for row in db.execute("SELECT DISTINCT email FROM corrections") if person.is_in(row[0])]:
            notes += db.execute("DELETE FROM corrections WHERE email = ?", (email,)).rowcount
        notes += erase_mailed(db, person.address)
        for table in ("suppressions", "departed"):
            notes += db.execute(f"DELETE FROM {table} WHERE address = ?", (person.address,)).rowcount  # noqa: S608
        for table in ("refusals", "verdicts"):
            texts = db.execute(f"SELECT DISTINCT text FROM {table} WHERE instr(text, '@')").fetchall()  # noqa: S608
            for text in [row[0] for row in texts if person.is_in(row[0])]:
                notes += db.execute(f"UPDATE {table} SET text = ? WHERE text = ?", (FORGOTTEN, text)).rowcount  # noqa: S608
    return notes


def _erase_events(session: Session, person: Person) -> int:
    """What webhooks told of a person."""
    folder = hook_folder(session.workshop.state_folder)
    if not (folder / INBOX).exists():
        return 0
    try:
        with contextlib.closing(open_inbox(folder)) as inbox:
            return inbox.forget(lambda spelling: address_key(spelling) == person.address)
    except sqlite3.Error as error:
        raise StateError(f"{folder}: the inbox can't be written", why=str(error), code="inbox-unusable") from error


def _erase_lifted(file: Path, person: Person) -> int:
    """A person's keyed id in the notes of whom `webhooks undo` lifted; gives how many notes named them."""
    notes = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    gone = 0
    for note in notes:
        for name, people in note["contacts"].items():
            left = [one for one in people if one not in person.keys]
            gone += len(left) < len(people)
            note["contacts"][name] = left
    if gone:
        write_durably(file, "".join(json.dumps(note) + "\n" for note in notes).encode())
    return gone


def _erase_from_runs(runs: Path, person: Person) -> int:
    """Rows about a person in the files of finished runs; plans that were carried out are dropped as a whole."""
    rows = 0
    for run in runs.glob("*/"):
        for folder in (PLAN_FOLDER, ".fold", SCRATCH):
            shutil.rmtree(run / folder, ignore_errors=True)
        drop_notes(run / NOTES_FILE)
        rows += sum(_erase_rows(run / name, person) for name in _LISTING if (run / name).is_file())
        if (run / _LOG).is_file():
            rows += _erase_lines(run / _LOG, person)
    return rows


def _erase_rows(file: Path, person: Person) -> int:
    """Rows of a CSV about a person; gives how many."""
    gone = 0
    with (
        file.open(encoding="utf-8", newline="") as lines,
        drafted(file) as draft,
        draft.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        rows = _rows(lines)
        head = next(rows, [])
        writer.writerow(head)
        key = head.index("key") if "key" in head else 0
        for row in rows:
            about = _bare(row[key]) in person.keys or any(person.is_in(cell) for cell in row)
            gone += about
            if not about:
                writer.writerow(row)
    return gone


def _erase_lines(file: Path, person: Person) -> int:
    """Lines of a log about a person, by name or by keyed id; gives how many. One cut by a crash goes as well."""
    gone = 0
    with (
        file.open(encoding="utf-8") as lines,
        drafted(file) as draft,
        draft.open("w", encoding="utf-8") as out,
    ):
        for line in lines:
            about = _is_about(line, person)
            gone += about
            if not about:
                out.write(line)
    return gone


def _is_about(line: str, person: Person) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return True
    return told.get("contact") in person.keys or person.is_within(told)
