"""From rows set aside to changes, one partition at a time: duplicates, memory of earlier runs, mode, diff."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import polars as pl

from syncengine.diff import KNOWN_FINGERPRINT, SAME, departures, diff
from syncengine.duplicates import resolve_duplicates
from syncengine.frames import (
    ADDRESS,
    CODE,
    FIELDS,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    KNOWN,
    OP,
    REASON,
    VARIABLES,
)
from syncengine.model import Consent, Mode, Op
from syncengine.normalise.mapping import Mapping
from syncengine.planning.survey import HELD_COLUMNS, Survey
from syncengine.ports import PlanSink
from syncengine.snapshot import Snapshot
from syncengine.spill import Spill


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier runs and the service taught us about single contacts of the list.

    refusals     key, fingerprint, code, text: content not to be sent again
    off          addresses known to have unsubscribed, complained, hard-bounced or been removed
    """

    refusals: pl.DataFrame
    off: pl.Series


@dataclass(slots=True)
class Comparison:
    """Counters of the second half of planning."""

    same: int = 0
    held: Counter[str] = field(default_factory=Counter)
    planned: Counter[Op] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    needed: set[str] = field(default_factory=set)  #: watched variables that a planned contact carries


@dataclass(frozen=True, slots=True)
class Intent:
    """What the job wants done: the part of its config that planning needs."""

    mapping: Mapping
    mode: Mode
    consent: Consent


def compare(
    aside: Spill,
    found: Survey,
    snapshot: Snapshot,
    memory: Memory,
    intent: Intent,
    out: PlanSink,
    *,
    watch: Collection[str],
    pulse: Callable[[], None],
) -> Comparison:
    """Turn the rows set aside into changes, which go to `out`. `watch` names variables whose need is to be told."""
    work = _Comparer(found, snapshot, memory, intent, out, set(watch))
    for rows in aside.parts():
        pulse()
        work.take(rows)
    return work.result


def depart(gone: pl.DataFrame, op: Op, out: PlanSink) -> int:
    """Plan `op` for contacts (SNAPSHOT rows) that left the source; gives how many there are to send."""
    changes = departures(gone, op)
    if not changes.is_empty():
        out.change(changes)
    return changes.height


class _Comparer:
    def __init__(
        self, found: Survey, snapshot: Snapshot, memory: Memory, intent: Intent, out: PlanSink, watch: set[str]
    ) -> None:
        self.found = found
        self.snapshot = snapshot
        self.memory = memory
        self.intent = intent
        self.out = out
        self.watch = watch
        self.result = Comparison()

    def take(self, rows: pl.DataFrame) -> None:
        rows = self.without(rows, self.contradicted(rows))
        rows, losers = resolve_duplicates(rows, self.intent.mapping.winner)
        self.hold(losers)
        rows = self.without(rows, self.refused_before(rows))
        known = self.snapshot.rows_of(rows[KEY_HASH].to_numpy())
        changes = diff(
            rows,
            known,
            variables=self.intent.mapping.variables,
            named=self.intent.mapping.name is not None,
            consent=self.intent.consent,
            off=self.memory.off,
        )
        self.give(self.allowed(changes))

    def hold(self, rows: pl.DataFrame) -> None:
        if not rows.is_empty():
            self.result.held.update(dict(rows[CODE].value_counts().iter_rows()))
            self.out.hold(rows.select(HELD_COLUMNS))

    def without(self, rows: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
        """Hold the rows of `held`, and give the others."""
        if held.is_empty():
            return rows
        self.hold(held)
        return rows.join(held.select("ordinal"), on="ordinal", how="anti", maintain_order="left")

    def contradicted(self, rows: pl.DataFrame) -> pl.DataFrame:
        doubts = self.found.contradicted
        return rows.join(doubts, on=[KEY_HASH, KEY], how="semi", maintain_order="left").with_columns(
            pl.lit("duplicate").alias(CODE),
            pl.lit("another row of this contact is held for its consent; the two contradict each other").alias(REASON),
        )

    def refused_before(self, rows: pl.DataFrame) -> pl.DataFrame:
        refusals = self.memory.refusals.select(KEY, FINGERPRINT, "refused_as", "refused_with")
        return rows.join(refusals, on=[KEY, FINGERPRINT], how="inner", maintain_order="left").with_columns(
            pl.col("refused_as").alias(CODE), pl.col("refused_with").alias(REASON)
        )

    def allowed(self, changes: pl.DataFrame) -> pl.DataFrame:
        """Hold what the mode or the consent of the person forbids."""
        changes = self.without(changes, self.suppressed(changes))
        match self.intent.mode:
            case Mode.UPDATE:
                unknown = pl.col(OP) == Op.ADD.value
                return changes.with_columns(pl.when(unknown).then(pl.lit(Op.UPDATE.value)).otherwise(OP).alias(OP))
            case Mode.ADD:
                return self.without(changes, _held_as(changes, "add-only", pl.col(KNOWN) & (pl.col(OP) != SAME)))
            case Mode.UPSERT | Mode.MIRROR:
                return changes

    def suppressed(self, changes: pl.DataFrame) -> pl.DataFrame:
        off = pl.col(ADDRESS).is_in(self.memory.off.implode())
        return _held_as(changes, "suppressed", ~pl.col(KNOWN) & off)

    def give(self, changes: pl.DataFrame) -> None:
        same = changes.filter(pl.col(OP) == SAME)
        differing = changes.filter(pl.col(OP) != SAME)
        self.result.same += same.height
        renewed = same.filter(pl.col(FINGERPRINT) != pl.col(KNOWN_FINGERPRINT))
        if not renewed.is_empty():
            self.out.refresh(renewed)
        if not differing.is_empty():
            self.result.planned.update({Op(op): count for op, count in differing[OP].value_counts().iter_rows()})
            named = differing[FIELDS].explode().drop_nulls()
            if len(named):
                self.result.fields.update(dict(named.struct.field("field").value_counts().iter_rows()))
            self.note_needed(differing[VARIABLES])
            self.out.change(differing)

    def note_needed(self, variables: pl.Series) -> None:
        for name in self.watch - self.result.needed:
            if variables.str.contains(f'{{"name":"{name}",', literal=True).any():
                self.result.needed.add(name)


_REASONS = {
    "add-only": 'the list has other values for this contact, and the job only adds (mode = "add")',
    "suppressed": "SmartSender reported that this person unsubscribed, complained, bounced or was removed",
}


def _held_as(changes: pl.DataFrame, code: str, condition: pl.Expr) -> pl.DataFrame:
    return changes.filter(condition).with_columns(pl.lit(code).alias(CODE), pl.lit(_REASONS[code]).alias(REASON))
