"""Which files hold what is known of a list: a snapshot and what later runs changed in it, and how the next one is made.

A file is written whole and made durable, then the ledger points to it, in the transaction that ends the run: a crash
leaves the generation before or the one behind. The files of the generation before are kept, since the copy of the
ledger may still point to them.
"""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from syncengine.digests import SLOW_ENOUGH
from syncengine.durable import drafted, file_digest, make_private_folder
from syncengine.errors import StateError
from syncengine.model import FINGERPRINT_SCHEME
from syncengine.ports import Changes
from syncengine.snapshot import Check, FrameSnapshot, empty_snapshot, open_snapshot
from syncengine.state.numbers import open_numbers, write_numbers
from syncengine.state.snapshots import ROWS_PER_GROUP, added, few_changes, merge, rows_in

FEW: Final = 8  #: changes are kept beside a snapshot while they are less than this part of its contacts


@dataclass(frozen=True, slots=True)
class ChangesFile:
    """What one generation changed: the number of it, of its rows, and the digest of its bytes."""

    number: int
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Generation:
    """What is in force: the snapshot number `base` (0: none), the digest of it, and `newer` files, the newest last."""

    folder: Path
    number: int = 0
    contacts: int = 0
    base: int = 0
    digest: str = ""
    newer: tuple[ChangesFile, ...] = ()

    @property
    def path(self) -> Path | None:
        return self.folder / f"snapshot-{self.base}.parquet" if self.base else None

    @property
    def newer_paths(self) -> tuple[Path, ...]:
        return tuple(self.folder / f"changes-{file.number}.parquet" for file in self.newer)

    def opened(self) -> FrameSnapshot:
        """The contacts, from files that are taken for what was written."""
        if self.path is None:
            return empty_snapshot()
        return open_snapshot(self.path, self.newer_paths, open_numbers(self.path, self.digest))

    def verified(self, *, large: int = SLOW_ENOUGH) -> FrameSnapshot:
        """The contacts, from files that are what was written. Raises StateError if one is not: of a base of so many
        bytes not before rows of it are asked for, or `verify` is.
        """
        for path, file in zip(self.newer_paths, self.newer, strict=True):
            _verify(path, file.digest)
        if self.path is None:
            return empty_snapshot()
        check = _verify_ahead(self.path, self.digest, large)
        return open_snapshot(self.path, self.newer_paths, open_numbers(self.path, self.digest), check)


def generation_of(row: sqlite3.Row | None, folder: Path) -> Generation:
    """What a row of `row_in_force` points to."""
    if row is None:
        return Generation(folder)
    newer = tuple(ChangesFile(*one) for one in sorted(json.loads(row["changes"])))
    return Generation(folder, row["generation"], row["contacts"], row["base"], row["digest"], newer)


def write_next(
    now: Generation, changes: Changes, *, whole: bool = False, opened: FrameSnapshot | None = None
) -> Generation:
    """The next generation, whose files nothing points to yet. `whole`: all of the list in one of them.

    opened   the contacts of `now`, if they are open already
    """
    make_private_folder(now.folder)
    for left in now.folder.glob(".*.draft"):
        left.unlink()  # of a process that died here
    old = opened or now.verified()  # what is merged from a damaged file would pass for good from then on
    number = now.number + 1
    room = now.contacts // FEW - sum(file.rows for file in now.newer)
    few = None if whole else few_changes(old, changes, most=room)
    if few is not None:
        path = now.folder / f"changes-{number}.parquet"
        with drafted(path) as draft:
            few.write_parquet(draft, compression="lz4", row_group_size=ROWS_PER_GROUP)
        file = ChangesFile(number, few.height, file_digest(path))
        return replace(now, number=number, contacts=now.contacts + added(old, few), newer=(*now.newer, file))
    path = now.folder / f"snapshot-{number}.parquet"
    contacts = merge(path, old.rows(), changes, rows=now.contacts + rows_in(changes.upserts))
    digest = file_digest(path)
    write_numbers(path, digest, contacts)
    return Generation(now.folder, number, contacts, number, digest)


def put_in_force(db: sqlite3.Connection, list_id: str, account: str, next_one: Generation, now: datetime) -> None:
    """Point to the files of `next_one`, within the caller's transaction."""
    db.execute(
        "INSERT OR REPLACE INTO lists VALUES (?,?,?,?,?,?,?,?)",
        (
            list_id,
            account,
            next_one.number,
            FINGERPRINT_SCHEME,
            next_one.contacts,
            next_one.digest,
            now.isoformat(),
            next_one.base,
        ),
    )
    db.execute("DELETE FROM changes WHERE list = ?", (list_id,))
    db.executemany(
        "INSERT INTO changes VALUES (?,?,?,?)",
        [(list_id, file.number, file.rows, file.digest) for file in next_one.newer],
    )


def drop_old_files(before: Generation, now: Generation) -> None:
    """All but what is in force and what was before."""
    for path in snapshot_files(now.folder):
        suffix = path.stem.rpartition("-")[2]
        if not suffix.isdecimal():
            continue  # a copy somebody put beside it
        if int(suffix) < before.base or int(suffix) > now.number:
            path.unlink(missing_ok=True)


def snapshot_files(folder: Path) -> list[Path]:
    """Every file of a list that tells of contacts, and copies somebody put beside them."""
    return [
        path for kind in ("snapshot-*.parquet", "snapshot-*.numbers", "changes-*.parquet") for path in folder.glob(kind)
    ]


def _verify_ahead(path: Path, digest: str, large: int) -> Check:
    """A call that raises what `_verify` would. A large file is hashed by another thread meanwhile: where nothing has
    changed its rows are never read, and at ten million contacts the hash takes a tenth of the run.
    """
    if not path.is_file() or path.stat().st_size < large:
        _verify(path, digest)
        return lambda: None
    pool = ThreadPoolExecutor(1, "verify")
    verified = pool.submit(_verify, path, digest)
    pool.shutdown(wait=False)
    return verified.result


def _verify(path: Path, digest: str) -> None:
    if not path.is_file() or file_digest(path) != digest:
        raise StateError(
            f"{path}: the snapshot of the list is damaged",
            why="the file is missing, or not the one that was written; it was left as found",
            fix="restore it from a backup of the state folder, or download the list and run: "
            "syncengine state reset, then syncengine state adopt EXPORT.csv",
            code="snapshot-damaged",
        )
