"""From rows set aside to changes, one partition at a time: duplicates, memory of earlier runs, mode, diff."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import polars_hash  # noqa: F401  # registers the namespace `chash`

from syncengine.diff import SAME, departures, diff
from syncengine.duplicates import resolve_duplicates, with_nobody_subscribed
from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    ADDRESS_IN_DOUBT,
    CODE,
    FIELDS,
    FINGERPRINT,
    IN_DOUBT,
    KEY,
    KEY_HASH,
    KNOWN,
    KNOWN_FINGERPRINT,
    NAME,
    NOT_BEFORE,
    OP,
    REASON,
    REPLACES,
    SOURCE,
    VARIABLES,
)
from syncengine.model import Consent, Mode, Op
from syncengine.normalise.mapping import Mapping, OptedOut
from syncengine.normalise.rows import hash_of, opted_out
from syncengine.planning.ahead import had_ahead
from syncengine.planning.claimants import Claimants
from syncengine.planning.survey import HELD_COLUMNS, Survey
from syncengine.ports import Forgotten, PlanSink
from syncengine.snapshot import Snapshot
from syncengine.sorted_hashes import UNKNOWN
from syncengine.spill import Spill
from syncengine.suppression import SUPPRESSED


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier runs and the service taught us about single contacts of the list.

    refusals     key, fingerprint, refused_as, refused_with, any_content: what is not sent again under these rules;
                some keys are addresses (`ADDRESS_IN_DOUBT`)
    off          addresses known to have unsubscribed, complained, hard-bounced or been removed
    doubtful     key, fingerprint, until: a request with that content may still be carried out, until then
    """

    refusals: pl.DataFrame
    off: pl.Series
    forgotten: Forgotten
    doubtful: pl.DataFrame


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
    claims_aside: Spill,
    pulse: Callable[[], None],
) -> Comparison:
    """Turn the rows set aside into changes, which go to `out`.

    `watch` names variables whose need is to be told. Where contacts are identified by an id, those that want an
    address they do not have are set aside once more, in `claims_aside`, until all such claims are known.
    """
    work = _Comparer(found, snapshot, memory, intent, out, set(watch))
    if intent.mapping.key is not None:
        winner = intent.mapping.winner
        work.claimants = Claimants(
            snapshot, found.seen, winner=winner, aside=claims_aside, lowers=intent.consent is Consent.KEEP
        )
    for rows in had_ahead(aside.parts()):
        pulse()
        work.take(rows)
    work.settle_claims()
    return work.result


def depart(gone: pl.DataFrame, op: Op, memory: Memory, out: PlanSink) -> int:
    """Plan `op` for contacts (SNAPSHOT rows) that left the source; gives how many there are to send.

    Who was refused it before is left out: nothing about a contact that is gone can change.
    """
    changes = departures(gone, op).join(memory.refusals, on=[KEY, FINGERPRINT], how="anti", maintain_order="left")
    if not changes.is_empty():
        out.change(_waiting(changes, memory.doubtful))
    return changes.height


def _waiting(changes: pl.DataFrame, doubtful: pl.DataFrame) -> pl.DataFrame:
    """Contacts with another content than the one that may still arrive late are sent after that; so is whoever gets an
    address that a late request names. Of one row too the content is another where it clears what the list may hold
    since a request about the contact was not answered.
    """
    if doubtful.is_empty():
        return changes
    doubts = doubtful.select(pl.col(KEY).alias("named"), pl.col(FINGERPRINT).alias("older"), "until")
    late = pl.when((pl.col("older") != pl.col(FINGERPRINT)) | _CLEARS_IN_DOUBT).then("until")
    for name in (pl.col(KEY), pl.lit(ADDRESS_IN_DOUBT) + pl.col(ADDRESS)):
        told = changes.with_columns(name.alias("named")).join(doubts, on="named", how="left", maintain_order="left")
        latest = pl.max_horizontal(late, NOT_BEFORE)
        changes = told.with_columns(latest.alias(NOT_BEFORE)).drop("named", "older", "until")
    return changes


_CLEARS_IN_DOUBT = (pl.col(KNOWN_FINGERPRINT) == IN_DOUBT) & (
    (pl.col(NAME) == "") | pl.col(VARIABLES).str.contains('"value":""', literal=True)
)


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
        self.claimants: Claimants | None = None
        self.result = Comparison()

    def take(self, rows: pl.DataFrame) -> None:
        rows = self.without(rows, self.contradicted(rows))
        rows, losers = resolve_duplicates(rows, self.intent.mapping.winner)
        self.hold(losers)
        if self.found.objections is not None:
            rows = self.found.objections.heeded(rows)
        rows = self.without_denied(rows)
        known = self.snapshot.rows_of(rows[KEY_HASH].to_numpy())
        taken = self.taken_over(rows, known) if self.claimants is not None else known.clear()
        changes = diff(
            rows,
            pl.concat([known, taken.select(known.columns)]),
            variables=self.intent.mapping.variables,
            named=self.intent.mapping.name is not None,
            consent=self.intent.consent,
            off=self.memory.off,
        )
        if not taken.is_empty():
            before = taken.select(KEY, pl.col(REPLACES).alias("before"))
            changes = (
                changes.join(before, on=KEY, how="left", maintain_order="left")
                .with_columns(pl.col("before").alias(REPLACES))
                .drop("before")
            )
        self.give(self.allowed(self.without(changes, self.refused_before(changes))))

    def taken_over(self, rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
        """SNAPSHOT rows of contacts that left the source and whose address a new id has now, under that id; with
        `replaces`, the key they had.
        """
        strangers = rows.join(known, on=KEY, how="anti").select(KEY, KEY_HASH, ADDRESS)
        positions = self.snapshot.owners_at(strangers.select(hash_of(pl.col(ADDRESS))).to_series().to_numpy())
        gone = (
            (positions != UNKNOWN) & ~self.found.seen[np.maximum(positions, 0)] if self.snapshot.size else positions > 0
        )
        owners = self.snapshot.rows_at(np.unique(positions[gone]))
        return (
            owners.rename({KEY: REPLACES})
            .drop(KEY_HASH)
            .join(strangers.filter(pl.Series(gone)), on=ADDRESS, how="inner")
            .unique(KEY)
        )

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
        if doubts.is_empty():
            return rows.clear()  # a semi join would look at every key
        return rows.join(doubts, on=[KEY_HASH, KEY], how="semi", maintain_order="left").with_columns(
            pl.lit("duplicate").alias(CODE),
            pl.lit("another row of this contact is held for its consent; the two contradict each other").alias(REASON),
        )

    def without_denied(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` with nobody subscribed of whom another row, which is held, says no."""
        denied = self.found.denied
        if denied.is_empty():
            return rows
        said_no = rows.join(denied, on=[KEY_HASH, KEY], how="semi")[KEY]
        return with_nobody_subscribed(rows, pl.col(KEY).is_in(said_no.implode()))

    def refused_before(self, changes: pl.DataFrame) -> pl.DataFrame:
        """What would be sent, and was refused with this very content; or with any, where content is not the point. So
        are renames to an address of somebody whose consent is not known: a service that merges the two may subscribe
        who has unsubscribed.
        """
        refusals = self.memory.refusals.rename({FINGERPRINT: "refused"})
        if refusals.is_empty():
            return changes.clear()
        differing = changes.filter(pl.col(OP) != SAME)
        told = differing.join(refusals, on=KEY, how="inner", maintain_order="left")
        told = told.filter(pl.col("any_content") | (pl.col("refused") == pl.col(FINGERPRINT)))
        told = told.filter(~(pl.col(KNOWN) & (pl.col("refused_as") == SUPPRESSED)))  # they are on the list again
        moving = differing.filter(pl.col(OP) == Op.RENAME.value).join(told, on=KEY, how="anti", maintain_order="left")
        place = (pl.lit(ADDRESS_IN_DOUBT) + pl.col(ADDRESS)).alias("named")
        occupied = moving.with_columns(place).join(
            refusals.rename({KEY: "named"}), on="named", how="inner", maintain_order="left"
        )
        return pl.concat([told, occupied.select(told.columns)]).with_columns(
            pl.col("refused_as").alias(CODE), pl.col("refused_with").alias(REASON)
        )

    def allowed(self, changes: pl.DataFrame) -> pl.DataFrame:
        """Hold what the mode or the consent of the person forbids."""
        changes = self.without(changes, self.erased(changes))
        changes = self.without(changes, self.suppressed(changes))
        changes = self.without(changes, self.opted_out(changes))
        match self.intent.mode:
            case Mode.UPDATE:
                unknown = pl.col(OP) == Op.ADD.value
                if self.intent.consent is Consent.KEEP:  # an update would subscribe whoever has unsubscribed meanwhile
                    changes = self.without(changes, _held_as(changes, "consent-unknown", unknown & pl.col(ACTIVE)))
                return changes.with_columns(pl.when(unknown).then(pl.lit(Op.UPDATE.value)).otherwise(OP).alias(OP))
            case Mode.ADD:
                return self.without(changes, _held_as(changes, "add-only", pl.col(KNOWN) & (pl.col(OP) != SAME)))
            case Mode.UPSERT | Mode.MIRROR:
                return changes

    def erased(self, changes: pl.DataFrame) -> pl.DataFrame:
        forgotten = self.memory.forgotten
        if not len(forgotten.tombstones):
            return changes.clear()
        comes = ~pl.col(KNOWN) | (pl.col(OP) == Op.RENAME.value)  # or somebody else is given the address
        return _held_as(changes, "forgotten", comes & is_forgotten(forgotten))

    def suppressed(self, changes: pl.DataFrame) -> pl.DataFrame:
        if not len(self.memory.off):
            return changes.clear()
        off = pl.col(ADDRESS).is_in(self.memory.off.implode())
        return _held_as(changes, "suppressed", ~pl.col(KNOWN) & off)

    def opted_out(self, changes: pl.DataFrame) -> pl.DataFrame:
        """Strangers who opted out. Whom the list has is sent as unsubscribed instead, and whom it may have: a request
        whose answer is still out may have put them there.
        """
        mapping = self.intent.mapping
        if not mapping.opt_outs or mapping.opted_out is OptedOut.RECORD:
            return changes.clear()
        reason = opted_out(mapping.opt_outs, pl.col(SOURCE).struct.field)
        strangers = changes.filter(~pl.col(KNOWN)).join(self.memory.doubtful.select(KEY), on=KEY, how="anti")
        told = strangers.with_columns(pl.lit("opted-out").alias(CODE), reason.alias(REASON))
        return told.filter(pl.col(REASON).is_not_null())

    def settle_claims(self) -> None:
        """Decide who may have the address they want, and let them go on."""
        if self.claimants is None:
            return
        for judged in self.claimants.judged():
            self.hold(_with_objection(judged.held))
            self.give_settled(judged.granted)

    def give(self, changes: pl.DataFrame) -> None:
        if self.claimants is not None:
            claiming = pl.col(OP).is_in([Op.ADD.value, Op.RENAME.value]) | pl.col(REPLACES).is_not_null()
            self.claimants.add(changes.filter(claiming))
            changes = changes.filter(~claiming)
        self.give_settled(changes)

    def give_settled(self, changes: pl.DataFrame) -> None:
        same = changes.filter(pl.col(OP) == SAME)
        differing = changes if same.is_empty() else changes.filter(pl.col(OP) != SAME)
        if not same.is_empty():
            self.note_same(same)
        if not differing.is_empty():
            self.result.planned.update({Op(op): count for op, count in differing[OP].value_counts().iter_rows()})
            named = differing[FIELDS].explode().drop_nulls()
            if len(named):
                self.result.fields.update(dict(named.struct.field("field").value_counts().iter_rows()))
            self.note_needed(differing[VARIABLES])
            self.out.change(_waiting(differing, self.memory.doubtful))

    def note_same(self, same: pl.DataFrame) -> None:
        """Contacts there is nothing to send for; some of them have another key, or another fingerprint."""
        self.result.same += same.height
        rekeyed = same.filter(pl.col(REPLACES).is_not_null())
        if not rekeyed.is_empty():
            self.out.rekey(rekeyed)
        renewed = same.filter((pl.col(FINGERPRINT) != pl.col(KNOWN_FINGERPRINT)) & pl.col(REPLACES).is_null())
        if not renewed.is_empty():
            self.out.refresh(renewed)

    def note_needed(self, variables: pl.Series) -> None:
        for name in self.watch - self.result.needed:
            if variables.str.contains(f'{{"name":"{name}",', literal=True).any():
                self.result.needed.add(name)


def is_forgotten(forgotten: Forgotten) -> pl.Expr:
    """Whether the contact of a row asked to be erased."""
    keyed = pl.col(ADDRESS).chash.hmac_sha256(key=forgotten.secret)  # type: ignore[attr-defined]
    return keyed.is_in(forgotten.tombstones.implode())  # type: ignore[no-any-return]  # polars-hash registers `chash`


def _with_objection(held: pl.DataFrame) -> pl.DataFrame:
    """Rows that don't get their address, with what they do to the one who has it."""
    objects = (pl.col(CODE) == "address-shared") & ~pl.col(ACTIVE)
    told = pl.col(REASON) + "; nobody is subscribed under it, because one of the rows says so"
    return held.with_columns(pl.when(objects).then(told).otherwise(REASON).alias(REASON))


_REASONS = {
    "consent-unknown": 'nothing is known of this contact, and consent = "keep" forbids to send it as subscribed',
    "forgotten": "this person was erased (state forget) and is not added again",
    "add-only": 'the list has other values for this contact, and the job only adds (mode = "add")',
    "suppressed": "this person unsubscribed, complained, bounced or was removed, by SmartSender's own word, or was not "
    "subscribed when a mirror removed them",
}


def _held_as(changes: pl.DataFrame, code: str, condition: pl.Expr) -> pl.DataFrame:
    return changes.filter(condition).with_columns(pl.lit(code).alias(CODE), pl.lit(_REASONS[code]).alias(REASON))
