"""Jobs carried out, with their logs, until they are done or somebody says stop."""

import contextlib
import errno
import functools
import gc
import importlib.util
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import polars as pl

from syncengine.bootstrap.logs import RunLogs
from syncengine.bootstrap.planned import view_of
from syncengine.bootstrap.screen import JobEnd, Screen
from syncengine.bootstrap.session import Session
from syncengine.bootstrap.wiring import destination_of, in_thread, terms_of
from syncengine.bootstrap.workshop import new_run_id
from syncengine.config.model import Job
from syncengine.errors import (
    InterruptedRunError,
    RefusedError,
    StateError,
    SyncEngineError,
    UnavailableError,
)
from syncengine.events import Event, RunBegan
from syncengine.ledger import BACKUP, back_up
from syncengine.report import Result
from syncengine.stopping import StopSwitch, stop_at, stopped_by_signals
from syncengine.sync import Ended, Pace, Parts, sync


def run_jobs(
    session: Session,
    jobs: Sequence[Job],
    screen: Screen,
    *,
    until: datetime | None,
    fresh: bool,
    given: Path | None,
) -> list[JobEnd]:
    """Run jobs one after the other, as `sync_jobs` says. `until`: nothing is begun after this time."""
    return anyio.run(
        functools.partial(_run_jobs, session, jobs, screen, until=until, fresh=fresh, given=given),
        backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None},  # the extra [speed]
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
        fix=f"{_remedy(error)}, and run the same command again: it goes on where this run stopped",
        code="state-write",
        sent="what was confirmed before this is recorded; what was in flight is sent again",
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return "allow more open files (ulimit -n 256)"
    return "make room on the disk"


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
    logs = RunLogs(session, job, token)

    def observe(event: Event) -> None:
        if isinstance(event, RunBegan):
            gc.freeze()  # to look through all that planning has loaded holds every sender for 60 ms and more
        logs(event)
        screen.observe(event)

    parts = Parts(
        terms_of(job, overrides, account.url),
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
        lambda prepared: logs.begin(prepared) and screen.approve(view_of(session, job, prepared)),
        observe,
        service=account.url,
        listening=session.listening(job.list_id),
    )
    try:
        ended = await sync(parts, fresh=fresh, given=given)
        try:
            logs.end(ended)
            logs.close()
        except OSError as error:  # the run is over and recorded all the same: its report is printed
            ended = replace(ended, problem=ended.problem or _no_log(session.runs / ended.report.run, error))
    finally:
        with contextlib.suppress(OSError):  # told above, or what ended the run is the thing to tell
            logs.close()
        with anyio.CancelScope(shield=True):
            await destination.aclose()
    return ended


def _no_log(folder: Path, error: OSError) -> StateError:
    return StateError(
        f"{folder}: the end of the log can't be written",
        why=str(error),
        fix="make room on the disk: the next run needs it",
        code="state-write",
        sent="the run is over, and all of it is recorded",
    )
