"""One run of one job: the picture of DESIGN.md §4 as a function.

    source ─► plan (frozen) ─► guards ─► approval ─► variables ─► dispatch ─► fold into the state ─► report

Only what waits on the network is async here; files, frames and SQLite are handed to a thread by `in_thread`.
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import anyio

from syncengine.conclude import (
    clear_scratch,
    count,
    gather_changes,
    is_anybody_gone,
    off_when_removed,
    subscribed_rows,
    who_moved,
    withheld_of,
    write_errors_of,
    write_page_of,
)
from syncengine.dispatch.circuit import Circuit
from syncengine.dispatch.dispatcher import Dispatcher, Rules, Stop, Work
from syncengine.dispatch.pressure import Pressure
from syncengine.dispatch.recorder import Recorder
from syncengine.dispatch.variables import VariableKeeper
from syncengine.dispatch.watch import Past, Watch
from syncengine.errors import ConfigError, RefusedError, StateError, SyncEngineError, UnavailableError
from syncengine.events import Observe, RunBegan, ignore
from syncengine.first_rows import trial_of
from syncengine.frames import AFTER, FIELDS, SOURCE
from syncengine.frozen import open_plan
from syncengine.late_requests import still_occupied, wait_for_renames
from syncengine.model import GRACE, Consent, Op, Outcome, Variable
from syncengine.ports import Destination, Done, Entry, Intended, Journal, Released, SourceSeen, StateStore
from syncengine.prepare import (
    ERRORS_FILE,
    NOTES_FILE,
    GuardStopError,
    JobTerms,
    Prepared,
    Understood,
    draw_up,
    finishing,
    is_unchanged,
    take_over,
    take_up,
)
from syncengine.report import Report, Result
from syncengine.uptake import NOBODY_LEFT, Listening, hear, record_news

T = TypeVar("T")

_PACE_WINDOW: Final = 1.01  #: seconds; the rate is kept in any one-second window, across processes too


class Bound(Protocol):
    """A limit: a share or a count."""

    def allows(self, number: int, total: int) -> bool: ...


class RunStop(Stop, Protocol):
    """How a run is asked to stop, and when it is stopped."""

    @property
    def hard(self) -> anyio.CancelScope:
        """Cancelled when what is in flight need not be waited for any longer."""
        ...

    def pulse(self) -> None:
        """Raises InterruptedRunError if work that has sent nothing need not go on."""
        ...


class InThread(Protocol):
    """Runs blocking work off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the service may be worked."""

    concurrency: int = 8
    max_outage: float = 900.0  #: seconds
    max_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is made of. `approve` is asked with the frozen plan before anything is sent."""

    job: JobTerms
    fail_on: Bound
    understand: Callable[[], Understood]
    state: StateStore
    journal: Journal
    destination: Destination
    runs: Path
    pace: Pace
    stop: RunStop
    in_thread: InThread
    now: Callable[[], datetime]
    new_run: Callable[[], str]
    approve: Callable[[Prepared], bool]
    observe: Observe = ignore
    chance: random.Random = field(default_factory=random.Random)
    listening: Listening | None = None  #: None: nobody tells who left
    service: str = "the service"  #: what messages call it


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: the report, and the error to tell where there is one."""

    report: Report
    problem: SyncEngineError | None = None


async def sync(parts: Parts, *, fresh: bool = False, given: Path | None = None) -> Ended:
    """Carry out the job, or go on with its unfinished run. Whatever ends it, what was confirmed is recorded.

    fresh   drop the plan of an unfinished run first
    given   carry out exactly the plan in this folder

    Raises ConfigError, SourceError and StateError before anything is sent, and StateError where recording fails.
    """
    began = anyio.current_time()
    try:
        prepared = await parts.in_thread(lambda: _prepare(parts, fresh=fresh, given=given))
    except GuardStopError as error:
        stopped = error
        return Ended(await parts.in_thread(lambda: _guarded(parts, stopped)), stopped)
    if isinstance(prepared, Report):
        return Ended(replace(prepared, seconds=anyio.current_time() - began))
    if not parts.approve(prepared):
        return Ended(_report(parts, prepared, Result.OK))
    if not prepared.resumed:
        await parts.in_thread(lambda: _begin(parts, prepared))
    work = _Work(parts, prepared)
    problem: SyncEngineError | None = None
    complete = False
    with parts.stop.hard:
        try:
            complete = await work.carry_out()
        except (RefusedError, UnavailableError) as error:
            problem = error
    numbers = {
        "variables_created": tuple(work.keeper.created),
        "requests": parts.destination.requests,
        "retries": work.dispatcher.retries + work.keeper.retries,
        "seconds": anyio.current_time() - began,
        "corrected": len(work.dispatcher.watch.corrected) if work.dispatcher.watch is not None else 0,
    }
    return await parts.in_thread(lambda: _conclude(parts, prepared, problem, numbers, complete=complete))


def _prepare(parts: Parts, *, fresh: bool, given: Path | None) -> Prepared | Report:
    parts.state.current()  # raises if the state belongs to another account: nothing of it may be sent there
    if fresh:
        _discard(parts)
    unfinished = take_up(parts.job, parts.journal, parts.runs)
    if unfinished is not None and given is not None:
        raise _unfinished_first(unfinished, parts.job.name)
    if unfinished is not None:
        if parts.listening is not None:
            record_news(parts.listening, parts.now())
        return unfinished
    left = NOBODY_LEFT if parts.listening is None else hear(parts.listening, parts.state, parts.job.name, parts.now())
    understood = parts.understand()
    if given is not None:
        run = parts.new_run()
        return take_over(parts.job, understood, parts.state, given=given, run=run, folder=parts.runs / run)
    seen = is_unchanged(parts.job, understood, parts.state)
    if seen is not None and not _owes(parts):
        return _unchanged(parts, seen)
    run = parts.new_run()
    return draw_up(
        parts.job,
        understood,
        parts.state,
        run=run,
        folder=parts.runs / run,
        encode=parts.destination.encode,
        batch_size=parts.destination.batch_size,
        now=parts.now(),
        pulse=parts.stop.pulse,
        left=left,
        remember=True,
    )


def _owes(parts: Parts) -> bool:
    """Whether somebody who left is still to be sent as unsubscribed: then there is something to send after all."""
    return parts.listening is not None and bool(parts.listening.book.owed())


def _left(parts: Parts) -> Mapping[str, int]:
    """Who left since the last run, those included who left while this one ran."""
    return {} if parts.listening is None else parts.listening.book.left_since_last_run(parts.job.name)


def _unfinished_first(unfinished: Prepared, job: str) -> ConfigError:
    return ConfigError(
        f"run {unfinished.run[:13]} of {job} is not finished",
        why="a plan made elsewhere can't be carried out before",
        fix=f"finish it: syncengine sync {job}    or drop it: syncengine sync {job} --fresh",
        code="run-unfinished",
    )


def _begin(parts: Parts, prepared: Prepared) -> None:
    facts = _report(parts, prepared, Result.OK).to_json()
    parts.journal.begin(prepared.run, parts.job.name, parts.job.list_id, facts, parts.now())
    parts.journal.start(prepared.run)


@dataclass(slots=True)
class _Work:
    """The sending half of a run, put together for one plan."""

    parts: Parts
    prepared: Prepared
    keeper: VariableKeeper = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        parts, prepared = self.parts, self.prepared
        circuit = Circuit(
            max_outage=parts.pace.max_outage, observe=parts.observe, sleep=parts.stop.sleep, service=parts.service
        )
        known = {variable.name: variable for variable in prepared.facts.variables}
        self.keeper = VariableKeeper(
            parts.destination,
            circuit,
            parts.stop,
            remember=self._remember,
            types={name: variable.type for name, variable in {**parts.state.variables(), **known}.items()},
            observe=parts.observe,
            chance=parts.chance,
        )
        self.dispatcher = Dispatcher(
            parts.destination,
            Recorder(self._record, parts.in_thread),
            Pressure(parts.pace.concurrency),
            circuit,
            Rules(parts.job.mode, parts.job.consent),
            parts.stop,
            parts.observe,
            self.keeper.restore,
            parts.in_thread,
            lambda: parts.now().timestamp(),
            concurrency=parts.pace.concurrency,
            max_requests=parts.pace.max_requests,
            chance=parts.chance,
            begun_before=parts.journal.doubtful_batches(prepared.run).keys() - prepared.done,
            off=parts.state.off(),
        )
        if parts.listening is not None:
            self.dispatcher.watch = self._watch(parts.listening)

    def _watch(self, listening: Listening) -> Watch:
        parts, prepared = self.parts, self.prepared
        inbox = listening.desk.inbox()
        now = parts.now().timestamp()
        doubts = parts.journal.doubtful_batches(prepared.run)
        past = Past(
            off=listening.book.people() if prepared.resumed else {},
            sent=frozenset(prepared.done | doubts.keys()),
            doubts={batch: now if since is None else since for batch, since in doubts.items()},
            owed=listening.book.owed(),
            corrected=frozenset(listening.book.corrected(prepared.run)),
        )
        return Watch(
            prepared.run,
            listening.desk.after,
            listening.book.recorded(inbox) if inbox is not None else 0,
            lambda people: subscribed_rows(prepared.plan, people),
            self.dispatcher.recorder.record,
            parts.destination,
            parts.stop,
            parts.observe,
            parts.in_thread,
            lambda: parts.now().timestamp(),
            GRACE,
            past,
        )

    async def carry_out(self) -> bool:
        """Variables first, then the waves that are left. Gives whether everything was decided."""
        plan, done = self.prepared.plan, self.prepared.done
        settled = count(self.prepared, self.parts.journal)
        self.parts.observe(
            RunBegan(self.prepared.run, self.parts.job.name, plan.contacts, plan.contacts - settled.pending)
        )
        if settled.pending:
            await self.parts.stop.sleep(self._still_busy())
            there = self.parts.state.variables()
            await self.keeper.ensure([one for one in self.prepared.facts.variables if one.name not in there])
        return await self.dispatcher.carry_out(self._waves(done))

    def _still_busy(self) -> float:
        """Seconds until the last second holds no request of a process before us, whose pace we do not know."""
        if self.prepared.resumed:
            return _PACE_WINDOW  # it died or gave up at we know not when
        ended = self.parts.journal.last_ended()
        if ended is None:
            return 0.0
        return min(max(_PACE_WINDOW - (self.parts.now() - ended).total_seconds(), 0.0), _PACE_WINDOW)

    def _waves(self, done: frozenset[int]) -> Iterator[Work]:
        for wave in self.prepared.plan.waves:
            settled = {batch for batch in done if wave.first_batch <= batch < wave.first_batch + wave.batches}
            if len(settled) < wave.batches:
                tally = self.parts.journal.tally(self.prepared.run, wave.first_batch, wave.batches)
                contacts_done = tally.confirmed + tally.rejected + tally.unresolved
                slices = self.prepared.plan.slices(wave, without=settled, but=(SOURCE, AFTER, FIELDS))
                late = wait_for_renames(self.prepared.plan, wave, self.parts.journal, self.prepared.run)
                not_before = max(wave.not_before, late)
                occupied = still_occupied(self.prepared.plan, wave, self.parts.journal, self.prepared.run)
                yield Work(wave.op, wave.known, not_before, wave.contacts, contacts_done, slices, occupied)

    def _record(self, entries: Sequence[Entry]) -> None:
        listening = self.parts.listening
        others = [one for one in entries if isinstance(one, Intended | Released | Done)]
        if listening is not None:
            listening.write(entries, self.parts.now())
        if others:
            self.parts.journal.record(self.prepared.run, others)

    async def _remember(self, variables: Sequence[Variable]) -> None:
        now = self.parts.now()
        await self.parts.in_thread(lambda: self.parts.state.remember_variables(variables, now, "created"))


def _conclude(
    parts: Parts, prepared: Prepared, problem: SyncEngineError | None, numbers: dict[str, Any], *, complete: bool
) -> Ended:
    """Settle accounts: all decided means fold and finish, anything else stays to be resumed."""
    counts = count(prepared, parts.journal)
    refused = counts.rejected + counts.unresolved - withheld_of(prepared, parts.journal)
    if complete:
        within = parts.fail_on.allows(refused, max(1, prepared.plan.contacts))
        result = Result.OK if within else Result.REJECTED
    else:
        result = _result_of(problem)
    report = replace(
        _report(parts, prepared, result),
        confirmed=counts.confirmed,
        rejected=counts.rejected,
        unresolved=counts.unresolved,
        pending=counts.pending,
        skipped=counts.leavers if problem is not None else {},
        **numbers,
    )
    report.check()
    if problem is not None and not problem.sent:
        problem.sent = _standing(report)
    write_errors_of(prepared, parts.journal)
    write_page_of(prepared, parts.journal, report, parts.now())
    if complete:
        _commit(parts, prepared, report, status="finished")
    else:
        parts.journal.mark(prepared.run, result, report.to_json())
    return Ended(report, problem)


def _standing(report: Report) -> str:
    """What the end of a run that is not over leaves: the first thing people ask."""
    confirmed = sum(report.confirmed.values())
    if not confirmed:
        return f"no contact is confirmed; {report.pending:,} are pending"
    return f"{confirmed:,} contacts are confirmed and recorded, {report.pending:,} are pending"


def _commit(parts: Parts, prepared: Prepared, report: Report, *, status: str) -> None:
    now = parts.now()
    changes = gather_changes(prepared, parts.journal, now, parts.state.off())
    if parts.listening is not None:
        parts.listening.book.follow(list(who_moved(prepared, parts.state.off())))
    if changes.removed and parts.job.consent is Consent.KEEP:
        parts.state.remember_departed(off_when_removed(changes, parts.state.snapshot()), now)
    remembered = changes.refused.filter(changes.refused["outcome"] == Outcome.UNRESOLVED.value).height
    not_sent = report.held + report.rejected + report.unresolved
    saw = SourceSeen(
        digest=prepared.source_digest,
        rules=prepared.rules,
        mapping=prepared.mapping_json,
        generation=prepared.generation,
        clean=report.unresolved == remembered
        and not prepared.facts.spared
        and not is_anybody_gone(prepared, parts.journal),
        rows=report.rows,
        held=not_sent,
        same=report.rows - not_sent,
        run=prepared.run,
    )
    parts.state.commit(
        changes,
        run=prepared.run,
        job=parts.job.name,
        saw=saw if status == "finished" and not trial_of(prepared.source_digest) else None,
        status=status,
        result=report.result,
        facts=report.to_json(),
        now=now,
    )
    if status == "finished":
        parts.state.keep_rows(parts.job.name, prepared.plan.folder / NOTES_FILE, report.rows)
    clear_scratch(prepared)


def _result_of(problem: SyncEngineError | None) -> Result:
    match problem:
        case None:
            return Result.INTERRUPTED
        case RefusedError():
            return Result.REFUSED
        case _:
            return Result.UNAVAILABLE


def plan_report(prepared: Prepared, job: str, list_id: str) -> Report:
    """The numbers of a plan nothing of which was sent."""
    facts = prepared.facts
    return Report(
        job,
        list_id,
        prepared.run,
        Result.OK,
        rows=facts.rows,
        held=facts.held_total,
        same=facts.same,
        planned={op: facts.of(op) for op in Op},
        confirmed=dict.fromkeys(Op, 0),
        pending=facts.changes,
        held_by_code=facts.held,
        spared=facts.left_alone,
        resumed=prepared.resumed,
        left=facts.left,
    )


def _report(parts: Parts, prepared: Prepared, result: Result) -> Report:
    report = plan_report(prepared, parts.job.name, parts.job.list_id)
    return replace(report, result=result, paths=_paths(parts.runs, prepared.run), left=_left(parts))


def _paths(runs: Path, run: str) -> dict[str, str]:
    return {"run": str(runs / run), "errors": str(runs / run / ERRORS_FILE)}


def _unchanged(parts: Parts, seen: SourceSeen) -> Report:
    """Nothing was parsed and nothing is to be sent: the numbers are those the last run left behind."""
    run = parts.new_run()
    report = Report(
        parts.job.name,
        parts.job.list_id,
        run,
        Result.OK,
        rows=seen.rows,
        held=seen.held,
        same=seen.same,
        planned=dict.fromkeys(Op, 0),
        confirmed=dict.fromkeys(Op, 0),
        paths=_paths(parts.runs, seen.run),
        left=_left(parts),
    )
    report.check()
    parts.journal.begin(run, parts.job.name, parts.job.list_id, report.to_json(), parts.now())
    parts.journal.finish(run, Result.OK, report.to_json(), parts.now(), status="finished")
    return report


def guard_report(stopped: GuardStopError, job: str, list_id: str, runs: Path) -> Report:
    """The numbers of a run that a guard stopped, as far as its plan was made."""
    report = Report(job, list_id, stopped.run, Result.GUARD, paths=_paths(runs, stopped.run))
    facts = stopped.facts
    if facts is None:
        return report
    return replace(
        report,
        rows=facts.rows,
        held=facts.held_total,
        same=facts.same,
        planned={op: facts.of(op) for op in Op},
        confirmed=dict.fromkeys(Op, 0),
        pending=facts.changes,
        held_by_code=facts.held,
    )


def _guarded(parts: Parts, stopped: GuardStopError) -> Report:
    report = guard_report(stopped, parts.job.name, parts.job.list_id, parts.runs)
    parts.journal.begin(stopped.run, parts.job.name, parts.job.list_id, report.to_json(), parts.now())
    parts.journal.finish(stopped.run, Result.GUARD, report.to_json(), parts.now(), status="finished")
    return report


def _discard(parts: Parts) -> None:
    """End an unfinished run where it stands: what it confirmed is kept, the rest of its plan is dropped.

    If its plan can't be read any more, or is for another list, what it confirmed is forgotten, and sent again by the
    next plan for that list.
    """
    unfinished = parts.journal.unfinished(parts.job.name)
    if unfinished is None:
        return
    try:
        plan = open_plan(parts.runs / unfinished.run)
        plan.verify()
    except StateError:
        plan = None
    if plan is None or unfinished.list != parts.job.list_id:
        parts.journal.finish(unfinished.run, Result.FAILED, unfinished.facts, parts.now(), status="discarded")
        return
    prepared = finishing(unfinished.run, plan, parts.journal)
    counts = count(prepared, parts.journal)
    report = replace(
        _report(parts, prepared, Result.INTERRUPTED),
        confirmed=counts.confirmed,
        rejected=counts.rejected,
        unresolved=counts.unresolved,
        pending=counts.pending,
    )
    report.check()
    _commit(parts, prepared, report, status="discarded")
