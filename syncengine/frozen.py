"""The folder of a run: its plan in Parquet files, frozen by a manifest before the first request.

    runs/<run id>/plan/<number>-<wave>.parquet    CHANGE rows, whole batches but for a wave's last;
                                                  `after` only where it is not what is sent (`variables`)
    runs/<run id>/plan/<number>-held.parquet      HELD rows
    runs/<run id>/plan/<number>-same.parquet      key and new fingerprint of contacts there is nothing to send for
    runs/<run id>/plan/<number>-rekey.parquet     contacts there is nothing to send for, under the key they have now
    runs/<run id>/run.json                        the manifest: without it there is no plan

A plan is carried out wave by wave: unsubscribes, renames (chains tail first), updates, adds, removals.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
import xxhash

from syncengine.durable import PRIVATE_FILE, file_digest, make_private_folder, sync_file, sync_folder, write_durably
from syncengine.errors import StateError
from syncengine.frames import (
    AFTER,
    BATCH,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    KNOWN,
    LEVEL,
    NOT_BEFORE,
    OP,
    VARIABLES,
    collected,
)
from syncengine.model import Op
from syncengine.report import MANIFEST

PLAN_FOLDER: Final = "plan"


ROWS_PER_FILE: Final = 50_000
SMALL: Final = 1_000  #: rows of a file that is kept in memory once it was read
_OPS: Final = (Op.UNSUBSCRIBE, Op.RENAME, Op.UPDATE, Op.ADD, Op.REMOVE)
_WAVE_ORDER: Final = {op: order for order, op in enumerate(_OPS)}


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file of the plan: `digest` is xxh3-128 of its bytes."""

    name: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Wave:
    """Changes that may be sent at the same time, cut into batches numbered `first_batch`, `first_batch` + 1, …

    Nothing of it is sent before `not_before` (Unix seconds): older requests may still be carried out until then.
    """

    op: Op
    known: bool
    not_before: float
    first_batch: int
    batches: int
    contacts: int
    files: tuple[PlanFile, ...]


@dataclass(frozen=True, slots=True)
class FrozenPlan:
    """A plan on disk. `facts` is what the planner wanted remembered with it; it is not interpreted here."""

    folder: Path
    batch_size: int
    waves: tuple[Wave, ...]
    held_files: tuple[PlanFile, ...]
    same_files: tuple[PlanFile, ...]
    rekey_files: tuple[PlanFile, ...]
    facts: Mapping[str, Any]
    _small: dict[str, pl.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def contacts(self) -> int:
        return sum(wave.contacts for wave in self.waves)

    @property
    def batches(self) -> int:
        return sum(wave.batches for wave in self.waves)

    def slices(self, wave: Wave, *, without: Collection[int] = (), but: Collection[str] = ()) -> Iterator[pl.DataFrame]:
        """The rows of a wave with their `batch`, a file at a time, batches in `without` left out.

        Columns in `but` are not read where that saves something: most of a plan is what the source said, and what it
        will say afterwards.
        """
        done = pl.Series(sorted(without), dtype=pl.UInt32)
        first = wave.first_batch
        for file in wave.files:
            rows = self._rows_of(file, first, but)
            first += -(-file.rows // self.batch_size)
            yield rows.filter(~pl.col(BATCH).is_in(done.implode())) if len(done) else rows

    def _rows_of(self, file: PlanFile, first_batch: int, but: Collection[str]) -> pl.DataFrame:
        """The rows of a file with their `batch`. A small one is read once: each of the three looks at it costs 1 ms."""
        if file.name in self._small:
            return self._small[file.name]
        is_small = file.rows <= SMALL
        plan = pl.scan_parquet(self.folder / PLAN_FOLDER / file.name, glob=False)
        batch = (pl.int_range(pl.len(), dtype=pl.UInt32) // self.batch_size + first_batch).cast(pl.UInt32)
        told = [batch.alias(BATCH)]
        if AFTER in plan.collect_schema() and (is_small or AFTER not in but):
            told.append(pl.coalesce(AFTER, VARIABLES).alias(AFTER))
        if not is_small:
            return plan.drop(*but, strict=False).with_columns(told).collect()
        self._small[file.name] = collected(plan.with_columns(told), rows=file.rows)
        return self._small[file.name]

    def held(self) -> Iterator[pl.DataFrame]:
        """HELD rows of the plan, a file at a time."""
        for file in self.held_files:
            yield pl.read_parquet(self.folder / PLAN_FOLDER / file.name, glob=False)

    def same(self) -> pl.LazyFrame | None:
        """key, key_hash, fingerprint of contacts whose content is on the list but whose fingerprint is new."""
        paths = [self.folder / PLAN_FOLDER / file.name for file in self.same_files]
        return pl.scan_parquet(paths, glob=False) if paths else None

    def rekeyed(self) -> Iterator[pl.DataFrame]:
        """CHANGE rows of contacts that are known under another key now, a file at a time."""
        for file in self.rekey_files:
            yield pl.read_parquet(self.folder / PLAN_FOLDER / file.name, glob=False)

    def verify(self) -> None:
        """Raises StateError if a file of the plan is missing or not what was frozen."""
        planned = (file for wave in self.waves for file in wave.files)
        for file in (*planned, *self.held_files, *self.same_files, *self.rekey_files):
            path = self.folder / PLAN_FOLDER / file.name
            if not path.is_file() or file_digest(path) != file.digest:
                raise StateError(
                    f"{path}: the frozen plan is damaged",
                    why="the file is missing or its content changed since it was planned",
                    fix="discard the plan and make a new one: syncengine sync --fresh",
                    code="plan-damaged",
                    sent="nothing more was sent",
                )

    def copy_to(self, folder: Path) -> "FrozenPlan":
        """The same plan in another folder, whole before its manifest is there."""
        make_private_folder(folder / PLAN_FOLDER)
        for file in sorted((self.folder / PLAN_FOLDER).iterdir()):
            copy = folder / PLAN_FOLDER / file.name
            shutil.copyfile(file, copy)
            copy.chmod(PRIVATE_FILE)
            sync_file(copy)
        sync_folder(folder / PLAN_FOLDER)
        copied = replace(self, folder=folder)
        write_durably(folder / MANIFEST, _manifest(copied))
        return copied


class _WaveKey(NamedTuple):
    """What distinguishes waves, in the order they are carried out."""

    order: int
    level: int
    late: bool
    unknown: bool

    @property
    def op(self) -> Op:
        return _OPS[self.order]


@dataclass(slots=True)
class PlanWriter:
    """Writes a plan as it is made (a `PlanSink`), then freezes it."""

    folder: Path
    batch_size: int = 100
    _waiting: dict[_WaveKey, list[pl.DataFrame]] = field(default_factory=lambda: defaultdict(list))
    _files: dict[_WaveKey, list[PlanFile]] = field(default_factory=lambda: defaultdict(list))
    _not_before: dict[_WaveKey, float] = field(default_factory=dict)
    _held: list[PlanFile] = field(default_factory=list)
    _same: list[PlanFile] = field(default_factory=list)
    _rekeyed: list[PlanFile] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        make_private_folder(self.folder / PLAN_FOLDER)

    def hold(self, rows: pl.DataFrame) -> None:
        self._held.append(self._write("held", rows))

    def refresh(self, rows: pl.DataFrame) -> None:
        self._same.append(self._write("same", rows.select(KEY, KEY_HASH, FINGERPRINT)))

    def rekey(self, rows: pl.DataFrame) -> None:
        self._rekeyed.append(self._write("rekey", rows))

    def change(self, changes: pl.DataFrame) -> None:
        rows = changes
        if AFTER in rows.columns:  # a quarter of a plan's bytes, and mostly what is sent anyway
            rows = rows.with_columns(pl.when(pl.col(AFTER) != pl.col(VARIABLES)).then(AFTER).alias(AFTER))
        for (op, level, late, known), group in _by_wave(rows.with_columns((pl.col(NOT_BEFORE) > 0).alias("late"))):
            wave = _WaveKey(_WAVE_ORDER[Op(op)], int(level), bool(late), not known)
            latest = group.select(pl.col(NOT_BEFORE).max()).item()
            self._not_before[wave] = max(self._not_before.get(wave, 0.0), latest)
            self._waiting[wave].append(group.drop(LEVEL, "late"))
            self._flush(wave, least=self._rows_per_file())

    def freeze(self, facts: Mapping[str, Any]) -> FrozenPlan:
        """Write what is left and the manifest; from here on the plan does not change."""
        for wave in list(self._waiting):
            self._flush(wave, least=1)
        plan = FrozenPlan(
            self.folder,
            self.batch_size,
            self._waves(),
            tuple(self._held),
            tuple(self._same),
            tuple(self._rekeyed),
            dict(facts),
        )
        sync_folder(self.folder / PLAN_FOLDER)
        write_durably(self.folder / MANIFEST, _manifest(plan))
        return plan

    def _rows_per_file(self) -> int:
        return max(1, ROWS_PER_FILE // self.batch_size) * self.batch_size

    def _flush(self, wave: _WaveKey, *, least: int) -> None:
        """Write files of whole batches while at least `least` rows wait."""
        waiting = sum(frame.height for frame in self._waiting[wave])
        if waiting < least:
            return
        rows = pl.concat(self._waiting[wave])
        per_file = self._rows_per_file()
        while rows.height >= max(least, 1):
            self._files[wave].append(self._write(wave.op.value, rows.head(per_file)))
            rows = rows.slice(per_file)
        self._waiting[wave] = [rows] if rows.height else []

    def _write(self, kind: str, rows: pl.DataFrame) -> PlanFile:
        name = f"{self._number:06}-{kind}.parquet"
        self._number += 1
        path = self.folder / PLAN_FOLDER / name
        path.touch(mode=0o600)
        rows.write_parquet(path, compression="lz4", statistics=False)
        sync_file(path)
        return PlanFile(name, rows.height, file_digest(path))

    def _waves(self) -> tuple[Wave, ...]:
        waves = []
        first = 0
        for wave in sorted(self._files):
            files = tuple(self._files[wave])
            batches = sum(-(-file.rows // self.batch_size) for file in files)
            contacts = sum(file.rows for file in files)
            not_before = self._not_before[wave]
            waves.append(Wave(wave.op, not wave.unknown, not_before, first, batches, contacts, files))
            first += batches
        return tuple(waves)


def _by_wave(rows: pl.DataFrame) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    """(op, level, late, known) and the rows that have them, which are not moved if all do."""
    names = (OP, LEVEL, "late", KNOWN)
    first = rows.select(names).unique(maintain_order=True)
    if first.height == 1:
        yield first.row(0), rows
    elif first.height:
        yield from rows.partition_by(names, as_dict=True, maintain_order=True).items()


def open_plan(folder: Path) -> FrozenPlan:
    """The plan frozen in `folder`. Raises StateError if there is none or its manifest can't be read."""
    path = folder / MANIFEST
    try:
        manifest = _read_manifest(path)
        waves = tuple(
            Wave(**{**wave, "op": Op(wave["op"]), "files": _files(wave["files"])}) for wave in manifest["waves"]
        )
        return FrozenPlan(
            folder,
            manifest["batch_size"],
            waves,
            _files(manifest["held_files"]),
            _files(manifest["same_files"]),
            _files(manifest["rekey_files"]),
            manifest["facts"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{path}: no plan can be read here",
            why=f"{type(error).__name__}: {error}",
            fix="make a new one: syncengine sync --fresh",
            code="plan-unreadable",
        ) from error


def _files(entries: Sequence[Mapping[str, Any]]) -> tuple[PlanFile, ...]:
    return tuple(PlanFile(**entry) for entry in entries)


def _manifest(plan: FrozenPlan) -> bytes:
    content = {
        "schema_version": 1,
        "batch_size": plan.batch_size,
        "waves": [asdict(wave) for wave in plan.waves],
        "held_files": [asdict(file) for file in plan.held_files],
        "same_files": [asdict(file) for file in plan.same_files],
        "rekey_files": [asdict(file) for file in plan.rekey_files],
        "facts": plan.facts,
    }
    return json.dumps({**content, "check": _check(content)}, indent=1, ensure_ascii=False).encode()


def _check(content: Mapping[str, Any]) -> str:
    """xxh3-64 of a manifest but for this itself: it says what the plan's files must be, so its own bits count too."""
    return xxhash.xxh3_64_hexdigest(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode())


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    check = manifest.pop("check", None) if isinstance(manifest, dict) else None
    if check is None:
        raise ValueError("it does not say what its files must be; the first versions of this program wrote it so")
    if check != _check(manifest):
        raise ValueError("its content is not what was written")
    return manifest
