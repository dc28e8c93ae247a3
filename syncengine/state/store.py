"""What we know about a list, across runs: bound to one account and list, changed only by a finished fold.

lists/<list>/snapshot-<n>.parquet    what the list holds (SNAPSHOT in `frames`); the ledger points to the one in force
lists/<list>/changes-<n>.parquet     what later runs changed in it: a night's few changes do not cost all of the list
"""

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
import xxhash

from syncengine.catalogue import holds_whatever_it_says
from syncengine.durable import make_private_folder
from syncengine.errors import StateError
from syncengine.frames import ADDRESS, ADDRESS_IN_DOUBT, FINGERPRINT, KEY
from syncengine.keyed import KEY_FILE, key_check
from syncengine.leaving import REMOVED, UNSUBSCRIBED
from syncengine.ledger import transaction
from syncengine.model import Outcome, SourceSeen, Variable, VariableType
from syncengine.ports import Changes, Forgotten, ListState
from syncengine.row_memory import RowMemory, forget_rows, keep_notes, open_memory
from syncengine.snapshot import FrameSnapshot
from syncengine.standing import names_given, own_row_in_force, source_seen
from syncengine.state.consent_book import forget_kept_off, signed
from syncengine.state.generations import (
    Generation,
    drop_old_files,
    generation_of,
    put_in_force,
    write_next,
)
from syncengine.suppression import Learned, kept_off

_ALL_BITS: Final = (1 << 64) - 1

NOTHING_REFUSED: Final = pl.DataFrame(
    schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "outcome": pl.String, "code": pl.String, "text": pl.String}
)
_NO_REFUSALS: Final = pl.DataFrame(
    schema={
        KEY: pl.String,
        FINGERPRINT: pl.UInt64,
        "refused_as": pl.String,
        "refused_with": pl.String,
        "any_content": pl.Boolean,
    }
)
NO_DOUBTS: Final = pl.DataFrame(schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64})

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StateStore:
    """The state directory as one list sees it. One writer; see `lock`."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, list_id: str, account: str) -> None:
        if not _SAFE_NAME.fullmatch(list_id):
            raise StateError(f"{list_id!r} can't name a folder", code="list-name")
        self._db = connection
        self._list = list_id
        self._account = account
        self._home = folder
        self._folder = folder / "lists" / list_id
        self._opened: tuple[Generation, FrameSnapshot] | None = None  #: what a plan was made with

    def current(self) -> ListState:
        """Where the state of the list stands. Raises StateError if it belongs to another account."""
        row = self._row()
        if row is None:
            return ListState(self._list, 0, 0, None, "")
        held = generation_of(row, self._folder)
        return ListState(self._list, held.number, held.contacts, held.path, row["updated_at"], held.newer_paths)

    def _row(self) -> sqlite3.Row | None:
        """What is in force of the list. Raises StateError if it is another account's, or another program's."""
        return own_row_in_force(self._db, self._list, self._account)

    def snapshot(self) -> FrameSnapshot:
        """The confirmed contacts. Raises StateError if a file is not the one that was written, at the latest when rows
        of it are asked for (see `Snapshot.verify`).
        """
        held = self._in_force()
        self._opened = (held, held.verified())
        return self._opened[1]

    def contacts(self) -> pl.LazyFrame:
        """The confirmed contacts (SNAPSHOT), from files that are taken for what was written."""
        return self._in_force().opened().rows()

    def variables(self) -> dict[str, Variable]:
        """Variables known to be on the list, by name."""
        rows = self._db.execute("SELECT name, type FROM variables WHERE list = ?", (self._list,))
        return {name: Variable(name, VariableType(kind)) for name, kind in rows}

    def remember_variables(self, variables: Iterable[Variable], now: datetime, origin: str) -> None:
        """These variables are on the list."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO variables VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING",
                [(self._list, variable.name, variable.type, now.isoformat(), origin) for variable in variables],
            )

    def names(self, job: str) -> dict[str, str]:
        """Column → variable, as chosen when the column was first seen."""
        return names_given(self._db, job)

    def remember_names(self, job: str, names: Mapping[str, str]) -> None:
        """Keep the choice; one made before stays."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO names VALUES (?,?,?) ON CONFLICT DO NOTHING", [(job, c, v) for c, v in names.items()]
            )

    def refusals(self, rules: Collection[str]) -> pl.DataFrame:
        """key, fingerprint, refused_as, refused_with, any_content: what is not sent again, and how a row of it is held.

        Only what was refused under one of `rules`: under others the service may say something else.
        """
        noted = self._db.execute(
            "SELECT key, fingerprint, outcome, code, text, rules FROM refusals WHERE list = ?", (self._list,)
        ).fetchall()
        rows = [row for row in noted if row["rules"] in {*rules, ""}]
        if not rows:
            return _NO_REFUSALS
        rejected = [row["outcome"] == Outcome.REJECTED for row in rows]
        return pl.DataFrame(
            {
                KEY: [row["key"] for row in rows],
                FINGERPRINT: [row["fingerprint"] & _ALL_BITS for row in rows],
                "refused_as": [
                    "rejected-before" if was else row["code"] for was, row in zip(rejected, rows, strict=True)
                ],
                "refused_with": [f"{row['code']}: {row['text']}" if row["text"] else row["code"] for row in rows],
                "any_content": [holds_whatever_it_says(row["code"]) for row in rows],
            },
            schema=_NO_REFUSALS.schema,
        )

    def off(self) -> pl.Series:
        """Addresses (normal form) whose owners must not get mail, by the service's own word."""
        rows = self._db.execute("SELECT address FROM suppressions WHERE list = ?", (self._list,))
        return pl.Series("off", [row[0] for row in rows], dtype=pl.String)

    def departed(self) -> pl.Series:
        """Addresses (normal form) of people who were not subscribed when a job under `keep` removed them."""
        rows = self._db.execute("SELECT address FROM departed WHERE list = ?", (self._list,))
        return pl.Series("departed", [row[0] for row in rows], dtype=pl.String)

    def remember_departed(self, addresses: Iterable[str], now: datetime) -> None:
        """These are being removed, and are not subscribed. Durable on return."""
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO departed VALUES (?,?,?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
                [(self._list, address, now.isoformat()) for address in addresses],
            )

    def forgotten(self) -> Forgotten:
        """Who asked to be erased, as keyed ids. Raises StateError if their key is lost: they would be added again."""
        rows = self._db.execute("SELECT tombstone FROM forgotten")
        tombstones = pl.Series("tombstone", [row[0] for row in rows], dtype=pl.String)
        return Forgotten(tombstones, self._key_of_tombstones().hex() if len(tombstones) else "")

    def _key_of_tombstones(self) -> bytes:
        path = self._home / KEY_FILE
        secret = path.read_bytes() if path.is_file() else b""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
        if not secret or (row is not None and row[0] != key_check(secret)):
            raise StateError(
                f"{path}: the key of those who asked to be forgotten is {'damaged' if secret else 'lost'}",
                why="without it nobody can tell that a row of the file is about them, and they would be added again",
                fix=f"restore {path.name} from a backup of the state folder",
                code="key-lost",
            )
        return secret

    def doubtful(self) -> pl.DataFrame:
        """KEY, FINGERPRINT, until: contacts whose list entry an abandoned request may still change."""
        rows = self._db.execute("SELECT key, fingerprint, until FROM doubts WHERE list = ?", (self._list,)).fetchall()
        return pl.DataFrame(
            [(key, fingerprint & _ALL_BITS, until) for key, fingerprint, until in rows],
            schema={KEY: pl.String, FINGERPRINT: pl.UInt64, "until": pl.Float64},
            orient="row",
        )

    def row_memory(self, job: str, meaning: bytes, notes: Path | None) -> RowMemory:
        """What rows of the job's source meant when they were read before (see `row_memory`)."""
        return open_memory(self._folder, _rows_name(job), meaning, notes)

    def keep_rows(self, job: str, notes: Path, rows: int) -> None:
        """Take the notes of a finished run into the memory of rows."""
        if notes.exists():
            make_private_folder(self._folder)
            keep_notes(self._folder, _rows_name(job), notes, rows=rows)

    def seen(self, job: str) -> SourceSeen | None:
        """What the last finished run of `job` saw, or None."""
        return source_seen(self._db, job, self._list)

    def commit(
        self,
        changes: Changes,
        *,
        run: str,
        job: str,
        saw: SourceSeen | None,
        status: str,
        result: str,
        facts: Mapping[str, Any],
        now: datetime,
    ) -> ListState:
        """Fold a finished run into the state and finish the run, in one step: a crash leaves it before or after.

        Doing it twice changes nothing: the second time the run is finished already.
        """
        held = next_one = self._in_force()
        if changes.upserts or changes.removed or changes.renewed:
            opened, self._opened = self._opened, None
            next_one = write_next(held, changes, opened=opened[1] if opened and opened[0] == held else None)
        with transaction(self._db) as db:
            put_in_force(db, self._list, self._account, next_one, now)
            if saw is not None:
                self._remember_source(db, job, saw, next_one.number, run)
            self._remember_refusals(db, changes, run, now)
            self._remember_doubts(db, changes, now)
            db.execute(
                "UPDATE runs SET status = ?, result = ?, ended_at = ?, facts = ? WHERE run = ?",
                (status, result, now.isoformat(), json.dumps(facts), run),
            )
        drop_old_files(held, next_one)
        return self.current()

    def amend(self, changes: Changes, now: datetime, *, whole: bool = False) -> ListState:
        """Change what is known of the list outside a run: what a person brought in, or webhooks told."""
        held = self._in_force()
        next_one = write_next(held, changes, whole=whole)
        with transaction(self._db) as db:
            put_in_force(db, self._list, self._account, next_one, now)
            self._remember_refusals(db, changes, "", now)
        drop_old_files(held, next_one)
        return self.current()

    def erase(self, changes: Changes, now: datetime) -> ListState:
        """`amend` so that nothing of who is removed is left in a file in force, nor the hash of a row about them."""
        forget_rows(self._folder)
        return self.amend(changes, now, whole=True)

    def learn(self, learned: Learned, now: datetime) -> None:
        """What webhooks told is known of the list from now on."""
        self.amend(
            Changes([learned.upserts.lazy()], [], [learned.removed.lazy()], kept_off(learned.removed), NO_DOUBTS), now
        )

    def drop_refusals(self, *, run: str | None = None, code: str | None = None) -> int:
        """Forget what was refused (in `run`, with `code`), so that it is sent once more; gives how many contacts.

        That somebody is at an address whose consent is not known is forgotten only where the code says so.
        """
        with transaction(self._db) as db:
            dropped = db.execute(
                "DELETE FROM refusals WHERE list = ?1 AND (?2 IS NULL OR run = ?2) AND (?3 IS NULL OR code = ?3) "
                "AND (?3 IS NOT NULL OR substr(key, 1, length(?4)) <> ?4) RETURNING key",
                (self._list, run, code, ADDRESS_IN_DOUBT),
            ).fetchall()
            db.execute("UPDATE sources SET clean = 0 WHERE list = ?", (self._list,))
        return sum(not row[0].startswith(ADDRESS_IN_DOUBT) for row in dropped)

    def lift_suppressions(self, addresses: Iterable[str], *, before: datetime) -> None:
        """These people were on the list as subscribed, by the service's own word, at that time.

        Whoever left later stays off; so does who complained or bounced, since for that the list keeps no mark.
        """
        lifted = [(self._list, one, before.astimezone(UTC).isoformat()) for one in addresses]
        with transaction(self._db) as db:
            db.executemany(
                "DELETE FROM suppressions WHERE list = ? AND address = ? AND at <= ?"  # noqa: S608  # our own names
                f" AND kind IN ('{UNSUBSCRIBED}', '{REMOVED}')",
                lifted,
            )
            db.executemany("DELETE FROM departed WHERE list = ? AND address = ? AND at <= ?", lifted)
            off = {*self.off(), *self.departed()}
            forget_kept_off(db, self._list, [address for _, address, _ in lifted if address not in off])

    def _remember_source(self, db: sqlite3.Connection, job: str, saw: SourceSeen, generation: int, run: str) -> None:
        db.execute(
            "INSERT OR REPLACE INTO sources VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                job,
                self._list,
                saw.digest,
                saw.rules,
                saw.mapping,
                generation,
                saw.clean,
                saw.rows,
                saw.held,
                saw.same,
                run,
            ),
        )

    def _in_force(self) -> Generation:
        return generation_of(self._row(), self._folder)

    def _remember_refusals(self, db: sqlite3.Connection, changes: Changes, run: str, now: datetime) -> None:
        """Content that was refused is noted; notes about contacts that were confirmed since are dropped."""
        noted = {row[0] for row in db.execute("SELECT key FROM refusals WHERE list = ?", (self._list,))}
        if noted and changes.upserts:
            places = pl.lit(ADDRESS_IN_DOUBT) + pl.col(ADDRESS)
            keys = pl.concat([frame.select(name) for frame in changes.upserts for name in (KEY, places.alias(KEY))])
            settled = keys.filter(pl.col(KEY).is_in(pl.Series(list(noted)).implode())).collect()[KEY]
            db.executemany("DELETE FROM refusals WHERE list = ? AND key = ?", [(self._list, key) for key in settled])
        db.executemany(
            "INSERT OR REPLACE INTO refusals (list, key, fingerprint, outcome, code, text, rules, run, at) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            [
                (self._list, key, signed(fingerprint), outcome, code, text, rules, run, now.isoformat())
                for key, fingerprint, outcome, code, text, rules in changes.refused.iter_rows()
            ],
        )

    def _remember_doubts(self, db: sqlite3.Connection, changes: Changes, now: datetime) -> None:
        db.execute("DELETE FROM doubts WHERE until < ?", (now.timestamp(),))
        db.executemany(
            "INSERT OR REPLACE INTO doubts VALUES (?,?,?,?)",
            [(self._list, key, signed(fingerprint), until) for key, fingerprint, until in changes.doubtful.iter_rows()],
        )


def _rows_name(job: str) -> str:
    return f"rows-{xxhash.xxh3_64_hexdigest(job.encode())}"
