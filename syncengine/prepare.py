"""Before the first request: an unfinished run taken up, an unchanged source noticed, or a plan made and braked.

Blocking; called in a thread.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from syncengine.durable import make_private_folder
from syncengine.errors import ConfigError, GuardError, other_account
from syncengine.errors_file import write_errors
from syncengine.first_rows import trial_of
from syncengine.frames import told_columns
from syncengine.frozen import PLAN_FOLDER, FrozenPlan, PlanWriter, open_plan
from syncengine.guards import Guards, check_held, check_missing, check_rows
from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.normalise.mapping import Mapping
from syncengine.planning import Intent, Leavers, Memory, PlanFacts, make_plan
from syncengine.planning.changes import is_forgotten
from syncengine.ports import Journal, RecallsRows, Source, SourceSeen, StateStore
from syncengine.report import ERRORS_FILE, MANIFEST
from syncengine.row_memory import RowMemory, drop_notes, meaning_of
from syncengine.snapshot import Snapshot
from syncengine.uptake import NOBODY_LEFT, Left

NOTES_FILE: Final = "rows.notes"  #: what rows mean that were new, until the run is over
SCRATCH: Final = ".scratch"  #: where a plan is worked out


@dataclass(frozen=True, slots=True)
class JobTerms:
    """A job as far as its config alone says it."""

    name: str
    list_id: str
    mode: Mode
    consent: Consent
    on_missing: OnMissing
    guards: Guards
    account: str = ""  #: URL of the service: the same list id in another account is another list

    @property
    def terms(self) -> str:
        """What may be done to the list: a plan made under other terms is not carried out."""
        return f"{self.mode}/{self.consent}"


@dataclass(frozen=True, slots=True)
class Understood:
    """The source of a job, and what its columns mean. `digest` changes when a row could come to mean something else;
    `mapping_json` is the mapping, to tell later what changed; `notes` are warnings a person must see with the plan.
    """

    source: Source
    mapping: Mapping
    digest: str
    mapping_json: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frozen plan, ready to be carried out. `done` are batches an earlier attempt has settled."""

    run: str
    plan: FrozenPlan
    facts: PlanFacts
    source_digest: str
    generation: int
    columns: tuple[str, ...]
    source: dict[str, Any]
    rules: str
    terms: str
    mapping_json: str
    resumed: bool = False
    done: frozenset[int] = frozenset()

    def is_stale(self, account: str, generation: int) -> bool:
        """Whether it was made for another account, or from less than is known of the list now."""
        return self.generation != generation or self.plan.facts.get("account", account) != account

    @property
    def consent(self) -> str:
        """Of the job, when this was planned."""
        return self.terms.rpartition("/")[2]

    @property
    def told_columns(self) -> tuple[str, ...]:
        """The source's columns in errors.csv."""
        return told_columns(self.columns, self.source["files"])


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Source and rules are those of the last finished run, which left nothing to send."""

    run: str
    seen: SourceSeen


@dataclass(frozen=True, slots=True)
class Look:
    """What hashing a source told: the last run, if it saw the same, and the digest; None where nothing was hashed."""

    seen: SourceSeen | None = None
    digest: str | None = None


class GuardStopError(GuardError):
    """A guard stopped the run after its plan was made: the numbers are there to be shown."""

    def __init__(self, stopped: GuardError, run: str, facts: PlanFacts | None) -> None:
        super().__init__(stopped.what, why=stopped.why, fix=stopped.fix, code=stopped.code, sent=stopped.sent)
        self.run = run
        self.facts = facts


def take_up(job: JobTerms, journal: Journal, runs: Path) -> Prepared | None:
    """The unfinished run of the job with its frozen plan, or None.

    Raises StateError if the plan is damaged, and ConfigError if it was made for another list, or when the job might do
    other things to it: carried out now, it would subscribe people whom `consent = "keep"` protects.
    """
    unfinished = journal.unfinished(job.name)
    if unfinished is None:
        return None
    plan = open_plan(runs / unfinished.run)
    plan.verify()
    if journal.settled_batches(unfinished.run):  # else it may be that the address was wrong, and has been put right
        _refuse_other_account(plan, job, f"run {unfinished.run[:13]}")
    was = plan.facts.get("terms", job.terms)
    others = {
        f"it is for list {unfinished.list}, and the config names {job.list_id} now": unfinished.list != job.list_id,
        f"it was planned under {was}, and the config says {job.terms} now (mode/consent)": was != job.terms,
    }
    reasons = [reason for reason, is_so in others.items() if is_so]
    if reasons:
        raise ConfigError(
            f"run {unfinished.run[:13]} of {job.name} is not finished, and the config has changed since",
            why="; ".join(reasons),
            fix=f"drop what is left of it: syncengine sync {job.name} --fresh    or change the config back and sync",
            code="run-other-terms",
            sent="nothing more was sent",
        )
    return finishing(unfinished.run, plan, journal)


def _refuse_other_account(plan: FrozenPlan, job: JobTerms, what: str) -> None:
    """Raises StateError for a plan whose contacts are in another account: there they would count as confirmed."""
    planned_for = plan.facts.get("account", job.account)
    if planned_for != job.account:
        raise other_account(f"{what} of {job.name}", planned_for, job.account, sent="nothing more was sent")


def finishing(run: str, plan: FrozenPlan, journal: Journal) -> Prepared:
    """The plan of an unfinished run, and how far it got."""
    done = frozenset(journal.settled_batches(run))
    return _prepared(run, plan, resumed=True, done=done)


def look(job: JobTerms, understood: Understood, state: StateStore) -> Look:
    """Whether a run would see what the last one saw, and find nothing to do.

    Costs a hash of the file, where it may be so: nothing of it is parsed.
    """
    seen = state.seen(job.name)
    if (
        seen is None
        or not seen.clean
        or seen.rules != understood.digest
        or seen.generation != state.current().generation
    ):
        return Look()
    digest = understood.source.digest()
    return Look(seen if seen.digest == digest else None, digest)


def drop_unfrozen_plans(runs: Path) -> None:
    """Remove what a process left that was killed while it planned: a plan without its manifest is none, and up to
    gigabytes of contacts. Whoever calls this holds the state, so nobody else plans in these folders.
    """
    for run in runs.glob("*/"):
        if not (run / MANIFEST).exists():
            for folder in (SCRATCH, PLAN_FOLDER):
                shutil.rmtree(run / folder, ignore_errors=True)
            drop_notes(run / NOTES_FILE)


def draw_up(
    job: JobTerms,
    understood: Understood,
    state: StateStore,
    *,
    run: str,
    folder: Path,
    batch_size: int,
    now: datetime,
    pulse: Callable[[], None],
    left: Left = NOBODY_LEFT,
    remember: bool = False,
    digest: str | None = None,
) -> Prepared:
    """Make a plan in `folder` and freeze it; `left` is told with it. `digest` of the source, where it is known: a file
    that changes after it was opened is noticed while it is read.

    Raises SourceError, StateError, GuardStopError, and what `pulse` raises.
    """
    make_private_folder(folder)
    source = understood.source
    seen = state.seen(job.name)
    snapshot = state.snapshot()
    digest = digest or source.digest()
    writer = PlanWriter(folder, batch_size)
    try:
        notes = folder / NOTES_FILE if remember else None
        facts = _compare(job, understood, state, snapshot, writer, pulse, notes=notes)
        snapshot.verify()
    except GuardError as stopped:
        raise GuardStopError(stopped, run, None) from stopped
    facts = replace(facts, left=dict(left.by_kind), alarm=left.alarm)
    brake = _brake(job, facts, seen)
    content = {
        "run": run,
        "job": job.name,
        "list": job.list_id,
        "account": job.account,
        "created_at": now.isoformat(),
        "source_digest": digest,
        "rules": understood.digest,
        "terms": job.terms,
        "stopped_by": brake.code if brake else None,
        "mapping": understood.mapping_json,
        "generation": state.current().generation,
        "columns": list(source.columns),
        "source": _described(understood),
        "plan": facts.to_json(),
    }
    prepared = _prepared(run, writer.freeze(content), resumed=False, done=frozenset())
    write_errors(prepared.plan, [], folder / ERRORS_FILE, prepared.told_columns)
    if brake is not None:
        raise GuardStopError(brake, run, facts) from brake
    return prepared


def _compare(
    job: JobTerms,
    understood: Understood,
    state: StateStore,
    snapshot: Snapshot,
    writer: PlanWriter,
    pulse: Callable[[], None],
    *,
    notes: Path | None,
) -> PlanFacts:
    leavers = Leavers(
        job.on_missing,
        first_run=state.seen(job.name) is None,
        check=lambda gone, known: check_missing(job.guards, gone, known),
    )
    return make_plan(
        understood.source,
        snapshot,
        _memory(job, understood, state),
        Intent(understood.mapping, job.mode, job.consent),
        leavers,
        writer,
        known_variables=state.variables(),
        rows=_row_memory(job, understood, state, notes),
        scratch=writer.folder / SCRATCH,
        pulse=pulse,
    )


def _memory(job: JobTerms, understood: Understood, state: StateStore) -> Memory:
    """What is known of single contacts. Who was off when they were removed stays so where the list decides."""
    off = pl.concat([state.off(), state.departed()]) if job.consent is Consent.KEEP else state.off()
    refusals = state.refusals((understood.digest, job.terms, job.consent.value))
    return Memory(refusals, off, state.forgotten(), state.doubtful())


def _described(understood: Understood) -> dict[str, Any]:
    told = understood.source.describe()
    return {**asdict(told), "name": understood.source.name, "warnings": [*understood.notes, *told.warnings]}


def _row_memory(job: JobTerms, understood: Understood, state: StateStore, notes: Path | None) -> RowMemory | None:
    source = understood.source
    if not isinstance(source, RecallsRows) or not source.reading:
        return None
    return state.row_memory(job.name, meaning_of(understood.digest, source.reading), notes)


def take_over(
    job: JobTerms, understood: Understood, state: StateStore, *, given: Path, run: str, folder: Path
) -> Prepared:
    """The plan that `plan --out` left in `given`, as the plan of a run of its own. Raises ConfigError if it is stale:
    a plan holds for the state, the file and the rules it was made from, and no other.
    """
    plan = open_plan(given)
    plan.verify()
    facts = plan.facts
    _refuse_other_account(plan, job, f"the plan in {given}")
    if facts.get("stopped_by"):
        raise ConfigError(
            f"the plan in {given} was stopped by a guard ({facts['stopped_by']})",
            why="it is there to be looked at, not to be carried out",
            fix=f"check the file; if it is right, plan again with the flag the guard named: "
            f"syncengine plan {job.name} --out {given}",
            code="plan-stopped",
        )
    digest = understood.source.digest()
    trial = trial_of(facts["source_digest"])
    stale = {
        f"it was made for the job {facts['job']}": facts["job"] != job.name or facts["list"] != job.list_id,
        "the state of the list has changed since": facts["generation"] != state.current().generation,
        "the source has changed since": facts["source_digest"] != (f"{trial}{digest}" if trial else digest),
        "the config has changed since": facts["rules"] != understood.digest,
        "somebody in it was erased since (state forget)": _adds_forgotten(plan, state),
    }
    reasons = [reason for reason, is_so in stale.items() if is_so]
    if reasons:
        raise ConfigError(
            f"the plan in {given} is stale",
            why="; ".join(reasons),
            fix=f"make a new one: syncengine plan {job.name} --out {given}",
            code="plan-stale",
        )
    return _prepared(run, plan.copy_to(folder), resumed=False, done=frozenset())


def _brake(job: JobTerms, facts: PlanFacts, seen: SourceSeen | None) -> GuardError | None:
    """The guard that stops a plan after it was made: who is held in it can be looked at nevertheless."""
    try:
        takes_off = job.mode is Mode.MIRROR and job.on_missing is not OnMissing.KEEP
        check_rows(job.guards, facts.rows, seen.rows if seen else None, mirror=takes_off)
        check_held(job.guards, facts.held, facts.rows)
    except GuardError as stopped:
        return stopped
    return None


def _adds_forgotten(plan: FrozenPlan, state: StateStore) -> bool:
    """Whether the plan would bring back a person who asked to be erased after it was made."""
    forgotten = state.forgotten()
    if not len(forgotten.tombstones):
        return False
    waves = (wave for wave in plan.waves if not wave.known or wave.op is Op.RENAME)
    return any(rows.select(is_forgotten(forgotten).any()).item() for wave in waves for rows in plan.slices(wave))


def _prepared(run: str, plan: FrozenPlan, *, resumed: bool, done: frozenset[int]) -> Prepared:
    facts = plan.facts
    return Prepared(
        run,
        plan,
        PlanFacts.from_json(facts["plan"]),
        facts["source_digest"],
        facts["generation"],
        tuple(facts["columns"]),
        facts["source"],
        facts["rules"],
        facts.get("terms", ""),
        facts["mapping"],
        resumed,
        done,
    )
