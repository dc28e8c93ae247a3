"""The composition root: config → parts → a run. The only place that names both sides."""

import contextlib
import functools
import importlib.util
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import polars as pl

from syncengine.anchor import Ledger
from syncengine.config.loading import Loaded
from syncengine.config.model import Bound, Job
from syncengine.destinations._http import MAX_RETRY_AFTER, Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations._slots import shared_slots
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.errors import (
    ConfigError,
    InterruptedRunError,
    RefusedError,
    StateError,
    SyncEngineError,
    UnavailableError,
)
from syncengine.events import Event
from syncengine.first_rows import FirstRows
from syncengine.frames import CODE, KEY, REASON, ROW
from syncengine.guards import Guards
from syncengine.journal import Journal
from syncengine.keyed import contact_key_of
from syncengine.ledger import BACKUP, back_up, open_ledger
from syncengine.lock import locked
from syncengine.model import LIST_TO_FILL_IN, OnMissing
from syncengine.news import InboxNews
from syncengine.opening import preset_of, source_of
from syncengine.plan_view import DIFFERENCES_FILE, mapping_changes, view_plan, write_differences
from syncengine.prepare import ERRORS_FILE, GuardStopError, JobTerms, Prepared, Understood, draw_up
from syncengine.redaction import Secret
from syncengine.report import Report, Result
from syncengine.state import ConsentBook, StateStore
from syncengine.stopping import StopSwitch, next_time, stop_at, stopped_by_signals
from syncengine.sync import Ended, Pace, Parts, guard_report, plan_report, sync
from syncengine.telemetry import RunLog
from syncengine.understanding import understand
from syncengine.uptake import Listening, hear
from syncengine.webhooks.folder import hook_folder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What flags say against the config. None: nothing."""

    rate: float | None = None
    concurrency: int | None = None
    max_missing: Bound | None = None
    max_shrink: Bound | None = None
    max_held: Bound | None = None
    fail_on: Bound | None = None
    max_requests: int | None = None
    until: str | None = None  #: "HH:MM", local time
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Workshop:
    """A config and the folders it names."""

    loaded: Loaded
    overrides: Overrides = field(default_factory=Overrides)
    show_pii: bool = False

    @property
    def state_folder(self) -> Path:
        return (self.loaded.folder / self.loaded.config.state.path).absolute()

    def token(self) -> Secret:
        """The token, checked for its shape. Raises ConfigError."""
        if self.loaded.token_problem is not None:
            raise self.loaded.token_problem
        written = self.loaded.config.account.token
        if not written:
            raise ConfigError(
                "no token",
                why=f"[account] token is not set in {self.loaded.path.name}",
                fix='token = "${SMARTSENDER_TOKEN}" in [account], and: export SMARTSENDER_TOKEN=…    '
                "(or see it work without an account: syncengine demo)",
                code="token-missing",
            )
        token = Secret(written)
        if not token.looks_valid():
            raise ConfigError(
                "the token can't be one",
                why="a token is 8 to 512 visible ASCII characters without blanks; this one is not (it is not shown)",
                fix="copy it again from https://partner.sndmart.com/profile",
                code="token-shape",
            )
        return token

    def jobs(self, names: Sequence[str]) -> list[Job]:
        """The jobs named, or all. Raises ConfigError."""
        return self.loaded.jobs(names)


def new_run_id(now: float | None = None) -> str:
    """A UUIDv7: ids sort by the time they were made."""
    milliseconds = int((time.time() if now is None else now) * 1000) & ((1 << 48) - 1)
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def in_thread(work: Callable[[], T]) -> T:
    """Blocking work, off the event loop. It is not abandoned when the run is cancelled: it may be writing."""
    return await anyio.to_thread.run_sync(work)


@dataclass(slots=True)
class Session:
    """The state directory, locked and open for writing."""

    workshop: Workshop
    connection: Ledger

    @property
    def journal(self) -> Journal:
        return Journal(self.connection)

    @property
    def runs(self) -> Path:
        return self.workshop.state_folder / "runs"

    def state(self, job: Job) -> StateStore:
        """What is known of the job's list."""
        account = self.workshop.loaded.config.account
        return StateStore(self.connection, self.workshop.state_folder, job.list_id, account.url)

    def listening(self, list_id: str) -> Listening:
        """Who left the list, as far as webhooks told."""
        desk = InboxNews(hook_folder(self.workshop.state_folder), list_id)
        return Listening(desk, ConsentBook(self.connection, list_id))

    def understand(self, job: Job) -> Understood:
        """The job's source and what its columns mean; the names it chooses are kept."""
        state = self.state(job)
        preset = preset_of(job, self.workshop.loaded.folder)
        source = source_of(job, self.workshop.loaded.folder, preset)
        names, variables = state.names(job.name), state.variables()
        understood, names = understand(job, source, names=names, variables=variables, preset=preset)
        state.remember_names(job.name, names)
        return understood


def _refuse_odd_path(folder: Path) -> None:
    """Raises ConfigError for a path that is no text: polars can't write there."""
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            "the state can't be kept in a folder whose name is not UTF-8",
            why=str(folder).encode("utf-8", "backslashreplace").decode(),
            fix='rename it, or name another: [state] path = "/var/lib/syncengine"',
            code="state-path",
        ) from error


@contextlib.contextmanager
def open_session(workshop: Workshop, *, wait_lock: float = 0.0, doing: str = "sync") -> Iterator[Session]:
    """Lock the state directory and open it. Raises LockError, StateError."""
    folder = workshop.state_folder
    _refuse_odd_path(folder)
    try:
        with locked(folder, wait=wait_lock, doing=doing), contextlib.closing(open_ledger(folder)) as connection:
            yield Session(workshop, connection)
    except (OSError, sqlite3.Error) as error:
        raise StateError(
            f"{folder}: the state can't be written",
            why=str(error),
            fix="make the folder writable, or name another: [state] path",
        ) from error


class Screen(Protocol):
    """Who looks on while jobs run."""

    def approve(self, view: Mapping[str, Any]) -> bool:
        """Whether the plan in `view` (see `plan_view`) may be carried out."""
        ...

    def observe(self, event: Event) -> None: ...

    def ended(self, end: "JobEnd") -> None:
        """A job is over."""
        ...

    def stopping(self, reason: str) -> None:
        """A stop was requested; what is in flight is being finished."""
        ...


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended: its report where it got that far, and the error to tell where there is one."""

    job: str
    report: Report | None
    problem: SyncEngineError | None


def sync_jobs(
    workshop: Workshop,
    jobs: Sequence[Job],
    screen: Screen,
    *,
    wait_lock: float = 0.0,
    fresh: bool = False,
    given: Path | None = None,
) -> list[JobEnd]:
    """Run jobs one after the other. Raises LockError and StateError; what ends a single job is in its `JobEnd`.

    fresh   drop the plans of unfinished runs first
    given   carry out exactly the plan in this folder
    """
    workshop.token()  # a missing token is told before anything else is done
    refuse_no_list(jobs, workshop.loaded.path.name)
    until = _moment(workshop.overrides.until)
    with open_session(workshop, wait_lock=wait_lock) as session:
        return anyio.run(
            functools.partial(_run_jobs, session, jobs, screen, until=until, fresh=fresh, given=given),
            backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None},  # the extra [speed]
        )


def refuse_no_list(jobs: Sequence[Job], config: str) -> None:
    """Raises ConfigError for a job whose list is still to be filled in."""
    job = next((job for job in jobs if job.list_id == LIST_TO_FILL_IN), None)
    if job is not None:
        raise ConfigError(
            f'the job "{job.name}" has no list yet',
            why=f"`list` in {config} is still {LIST_TO_FILL_IN}",
            fix="open the list in SmartSender: its id is in the address of the page",
            code="list-missing",
        )


async def _run_jobs(
    session: Session,
    jobs: Sequence[Job],
    screen: Screen,
    *,
    until: datetime | None,
    fresh: bool,
    given: Path | None,
) -> list[JobEnd]:
    ends = []
    stop = StopSwitch()
    async with stopped_by_signals(stop, on_stop=screen.stopping), _stopped_by_clock(until, stop):
        for job in jobs:
            try:
                ended = await sync_job(session, job, screen, stop, fresh=fresh, given=given)
                problem = ended.problem or _interruption(stop, ended)
                end = JobEnd(job.name, ended.report, problem)
                if problem is None:
                    back_up(session.connection, session.workshop.state_folder / BACKUP)
            except SyncEngineError as error:
                end = JobEnd(job.name, None, error)
            except (OSError, pl.exceptions.ComputeError) as error:
                end = JobEnd(job.name, None, _trouble_with_the_disk(session.workshop.state_folder, error))
            screen.ended(end)
            ends.append(end)
            if stop.requested or _is_everybodys(end.problem):
                break
            stop.next_run()
    return ends


def _is_everybodys(problem: SyncEngineError | None) -> bool:
    """Whether the jobs that follow would meet the same: a list of the wrong id is one job's own."""
    if isinstance(problem, RefusedError):
        return problem.code != "list-refused"
    return isinstance(problem, StateError)


def _trouble_with_the_disk(folder: Path, error: Exception) -> StateError:
    """The error to tell where a file of the run can't be written or read. Raises what is none: a bug of ours."""
    if not isinstance(error, OSError) and "(os error " not in str(error):  # so polars says it
        raise error
    return StateError(
        f"{folder}: a file of the run can't be written or read",
        why=str(error),
        fix="make room on the disk, and run the same command again: it goes on where this run stopped",
        code="state-write",
        sent="what was confirmed before this is recorded; what was in flight is sent again",
    )


@contextlib.asynccontextmanager
async def _stopped_by_clock(until: datetime | None, stop: StopSwitch) -> AsyncIterator[None]:
    """Within the block a stop is requested at `until`, if there is one."""
    async with anyio.create_task_group() as group:
        if until is not None:
            group.start_soon(stop_at, stop, until, _local_now)
        try:
            yield
        finally:
            group.cancel_scope.cancel()


def _moment(until: str | None) -> datetime | None:
    """The next time it is `until` ("HH:MM"). Raises ConfigError for no time of day."""
    try:
        return None if until is None else next_time(until, _local_now())
    except ValueError as error:
        raise ConfigError(str(error), fix="--until 06:00", code="until") from error


def _local_now() -> datetime:
    return datetime.now().astimezone()


def _interruption(stop: StopSwitch, ended: Ended) -> SyncEngineError | None:
    """The error that tells how to go on with a run that was stopped."""
    report = ended.report
    if report.result is not Result.INTERRUPTED:
        return None
    fix = f"go on with: syncengine sync {report.job}"
    sent = f"{sum(report.confirmed.values()):,} contacts are confirmed and recorded, {report.pending:,} are pending"
    if stop.signal_number is None:
        return UnavailableError(
            f"stopped: {stop.reason or 'the requests allowed for this run are spent'}",
            fix=fix,
            code="budget-spent",
            sent=sent,
        )
    return InterruptedRunError(f"stopped by {stop.reason}", signal_number=stop.signal_number, fix=fix, sent=sent)


async def sync_job(
    session: Session, job: Job, screen: Screen, stop: StopSwitch, *, fresh: bool = False, given: Path | None = None
) -> Ended:
    """One run of one job, with its log. Raises as `sync.sync` does."""
    workshop = session.workshop
    account, overrides = workshop.loaded.config.account, workshop.overrides
    token = workshop.token()
    destination = destination_of(workshop, job)
    logs = _Logs(session, job, token)

    def observe(event: Event) -> None:
        logs(event)
        screen.observe(event)

    parts = Parts(
        terms_of(job, overrides),
        overrides.fail_on or job.guard.fail_on,
        lambda: session.understand(job),
        session.state(job),
        session.journal,
        destination,
        session.runs,
        Pace(overrides.concurrency or account.concurrency, account.max_outage, overrides.max_requests),
        stop,
        in_thread,
        lambda: datetime.now(UTC),
        new_run_id,
        lambda prepared: logs.begin(prepared) and screen.approve(_view(session, job, prepared)),
        observe,
        service=account.url,
        listening=session.listening(job.list_id),
    )
    try:
        ended = await sync(parts, fresh=fresh, given=given)
        logs.end(ended)
    finally:
        logs.close()
        with anyio.CancelScope(shield=True):
            await destination.aclose()
    return ended


def destination_of(workshop: Workshop, job: Job) -> SmartSenderV2:
    """The list of a job behind the service of the config, paced. Raises ConfigError without a token."""
    account = workshop.loaded.config.account
    slots = shared_slots(workshop.state_folder, longest=MAX_RETRY_AFTER)
    pacer = Pacer(workshop.overrides.rate or account.rate, slots)
    door = Door(account.url, workshop.token(), pacer, timeout=account.timeout, proxy=account.proxy)
    return SmartSenderV2(door, job.list_id)


def terms_of(job: Job, overrides: Overrides) -> JobTerms:
    """A job's config as the engine takes it."""
    return JobTerms(
        job.name,
        job.list_id,
        job.mode,
        job.consent,
        job.mirror.on_missing,
        Guards(
            max_missing=overrides.max_missing or job.mirror.max_missing,
            max_shrink=overrides.max_shrink or job.guard.max_shrink,
            max_held=overrides.max_held or job.guard.max_held,
        ),
    )


_HELD_LINES_LOGGED = 10_000
"""Held rows that get a line in log.jsonl; errors.csv has them all."""


@dataclass(slots=True)
class _Logs:
    """The log of a run: opened with its frozen plan, because only then the run has a folder."""

    session: Session
    job: Job
    token: Secret
    log: RunLog | None = None
    _held: int = 0

    def begin(self, prepared: Prepared) -> bool:
        """Open the log and write down who is held. Always true, for use before the approval."""
        self.log = RunLog(
            prepared.plan.folder / "log.jsonl",
            run=prepared.run,
            job=self.job.name,
            contact_key=contact_key_of(self.session.workshop.state_folder),
            tokens=(self.token,),
            show_pii=self.session.workshop.show_pii,
        )
        if not prepared.resumed:
            self._log_held(self.log, prepared)
        return True

    def __call__(self, event: Event) -> None:
        if self.log is not None:
            self.log(event)

    def end(self, ended: Ended) -> None:
        """Write the numbers; a run that planned nothing has no log."""
        if self.log is None:
            return
        if ended.problem is not None:
            self.log.problem(ended.problem.what, ended.problem.why, ended.problem.code)
        self.log.ended(ended.report.to_json())

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def _log_held(self, log: RunLog, prepared: Prepared) -> None:
        for frame in prepared.plan.held():
            for key, row, code, reason in frame.select(KEY, ROW, CODE, REASON).iter_rows():
                if self._held == _HELD_LINES_LOGGED:
                    log.held(None, None, "more", "further held rows stand in errors.csv only")
                    return
                log.held(key, row, code, reason)
                self._held += 1


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan nothing of which was sent: `document` as `plan --json` prints it, `view` for people."""

    prepared: Prepared
    document: dict[str, Any]
    view: dict[str, Any]


def plan_job(session: Session, job: Job, *, out: Path | None = None) -> Planned:
    """A frozen plan nothing of which is sent, in a folder of its own. Raises what `sync_job` raises before sending."""
    run = new_run_id()
    understood = session.understand(job)
    terms = terms_of(job, session.workshop.overrides)
    limit = session.workshop.overrides.limit
    if limit is not None:
        understood = replace(understood, source=FirstRows(understood.source, limit))
        anything = Bound(share=1.0)
        terms = replace(terms, on_missing=OnMissing.KEEP, guards=Guards(anything, anything, anything))
    left = hear(session.listening(job.list_id), session.state(job), job.name, datetime.now(UTC))
    destination = SmartSenderV2(_no_door(session.workshop.loaded.config.account.url), job.list_id)
    prepared = draw_up(
        terms,
        understood,
        session.state(job),
        run=run,
        folder=out or session.runs / run,
        encode=destination.encode,
        batch_size=destination.batch_size,
        now=datetime.now(UTC),
        pulse=lambda: None,
        left=left,
    )
    view = _view(session, job, prepared)
    unfinished = session.journal.unfinished(job.name)
    if unfinished is not None:
        view["warnings"].append(
            f"run {unfinished.run[:13]} is not finished: syncengine sync {job.name} goes on with its plan, not with "
            "this one (--fresh drops it)"
        )
    differences = prepared.plan.folder / DIFFERENCES_FILE
    if write_differences(prepared, differences):
        view["differences"] = str(differences)
    report = plan_report(prepared, job.name, job.list_id)
    report.check()
    document = report.to_json() | {
        "requests": view["requests"],
        "minutes": round(view["estimate"] / 60, 1),
        "variables_to_create": [variable.name for variable in prepared.facts.variables],
        "questions": list(prepared.facts.questions),
        "paths": {"run": str(prepared.plan.folder), "errors": str(prepared.plan.folder / ERRORS_FILE)},
    }
    return Planned(prepared, document, view)


def failed(session: Session, job: Job, problem: SyncEngineError) -> dict[str, Any]:
    """What `plan --json` prints for a job that has no plan, but for its error."""
    if isinstance(problem, GuardStopError):
        return guard_report(problem, job.name, job.list_id, session.runs).to_json()
    return {"job": job.name, "list": job.list_id, "result": "failed"}


def _view(session: Session, job: Job, prepared: Prepared) -> dict[str, Any]:
    state = session.state(job)
    seen = state.seen(job.name)
    updated = state.current().updated_at
    rate = session.workshop.overrides.rate or session.workshop.loaded.config.account.rate
    return view_plan(
        prepared,
        job.name,
        job.list_id,
        synced=f", last changed {updated[:16].replace('T', ' ')} UTC" if updated else "",
        rate=rate,
        why=mapping_changes(seen.mapping if seen else None, prepared.mapping_json),
        show_pii=session.workshop.show_pii,
    )


def _no_door(url: str) -> Door:
    """A door that is never gone through: planning needs the form of requests, not the service."""
    return Door(url, Secret(""), Pacer(1.0), timeout=1.0)
