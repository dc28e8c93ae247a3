"""One run of one job: the picture of DESIGN.md §4 as a function.

    source ─► plan (frozen) ─► guards ─► approval ─► variables ─► dispatch ─► fold into the state ─► report

Only what waits on the network is async here; files, frames and SQLite are handed to a thread by `in_thread`.
"""

from dataclasses import replace
from pathlib import Path

import anyio

from syncengine.conclude import clear_scratch
from syncengine.errors import ConfigError, RefusedError, SyncEngineError, UnavailableError
from syncengine.prepare import (
    NOTES_FILE,
    GuardStopError,
    Prepared,
    draw_up,
    drop_unfrozen_plans,
    look,
    take_over,
    take_up,
)
from syncengine.report import Report, Result
from syncengine.row_memory import drop_notes
from syncengine.sync.ending import conclude, discard, end_guarded, end_unchanged
from syncengine.sync.parts import Ended, Parts
from syncengine.sync.reports import report_of
from syncengine.sync.sending import Sending
from syncengine.uptake import NOBODY_LEFT, hear, record_news


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
        return Ended(await parts.in_thread(lambda: end_guarded(parts, stopped)), stopped)
    if isinstance(prepared, Report):
        return Ended(replace(prepared, seconds=anyio.current_time() - began))
    if not parts.approve(prepared):
        if not prepared.resumed:
            await parts.in_thread(lambda: clear_scratch(prepared))
        return Ended(report_of(parts, prepared, Result.OK))
    if not prepared.resumed:
        await parts.in_thread(lambda: _begin(parts, prepared))
    work = Sending(parts, prepared)
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
    return await parts.in_thread(lambda: conclude(parts, prepared, problem, numbers, complete=complete))


def _prepare(parts: Parts, *, fresh: bool, given: Path | None) -> Prepared | Report:
    parts.state.current()  # raises if the state belongs to another account: nothing of it may be sent there
    if fresh:
        discard(parts)
    unfinished = take_up(parts.job, parts.journal, parts.runs)
    if unfinished is not None and given is not None:
        raise _unfinished_first(unfinished, parts.job.name)
    if unfinished is not None and unfinished.is_stale(parts.job.account, parts.state.current().generation):
        discard(parts)  # as where another job of the list ran since, or `state adopt`: what is left is planned anew
        unfinished = None
    if unfinished is not None:
        if parts.listening is not None:
            record_news(parts.listening, parts.now())
        return unfinished
    left = NOBODY_LEFT if parts.listening is None else hear(parts.listening, parts.state, parts.job.name, parts.now())
    understood = parts.understand()
    if given is not None:
        run = parts.new_run()
        return take_over(parts.job, understood, parts.state, given=given, run=run, folder=parts.runs / run)
    looked = look(parts.job, understood, parts.state)
    if looked.seen is not None and not _owes(parts):
        return end_unchanged(parts, looked.seen)
    drop_unfrozen_plans(parts.runs)
    run = parts.new_run()
    try:
        return draw_up(
            parts.job,
            understood,
            parts.state,
            run=run,
            folder=parts.runs / run,
            batch_size=parts.destination.batch_size,
            now=parts.now(),
            pulse=parts.stop.pulse,
            left=left,
            remember=True,
            digest=looked.digest,
        )
    except BaseException:
        drop_notes(parts.runs / run / NOTES_FILE)  # no run will take them up
        raise


def _owes(parts: Parts) -> bool:
    """Whether somebody who left is still to be sent as unsubscribed: then there is something to send after all."""
    return parts.listening is not None and bool(parts.listening.book.owed())


def _unfinished_first(unfinished: Prepared, job: str) -> ConfigError:
    return ConfigError(
        f"run {unfinished.run[:13]} of {job} is not finished",
        why="a plan made elsewhere can't be carried out before",
        fix=f"finish it: syncengine sync {job}    or drop it: syncengine sync {job} --fresh",
        code="run-unfinished",
    )


def _begin(parts: Parts, prepared: Prepared) -> None:
    facts = report_of(parts, prepared, Result.OK).to_json()
    parts.journal.begin(prepared.run, parts.job.name, parts.job.list_id, facts, parts.now())
    parts.journal.start(prepared.run)
