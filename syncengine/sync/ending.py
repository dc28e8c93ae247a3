"""How a run ends: accounts are settled, and what was confirmed goes into the state. Blocking; called in a thread."""

import contextlib
from dataclasses import replace
from typing import Any

import polars as pl

from syncengine.conclude import (
    clear_scratch,
    count,
    gather_changes,
    is_anybody_gone,
    off_when_removed,
    remembered,
    vacated,
    who_moved,
    withheld_of,
    write_errors_of,
    write_page_of,
)
from syncengine.errors import StateError, SyncEngineError
from syncengine.first_rows import trial_of
from syncengine.frames import ADDRESS
from syncengine.frozen import open_plan
from syncengine.model import Consent
from syncengine.ports import SourceSeen
from syncengine.prepare import (
    NOTES_FILE,
    GuardStopError,
    Prepared,
    finishing,
)
from syncengine.report import Report, Result
from syncengine.standing import paths_of
from syncengine.suppression import kept_off
from syncengine.sync.parts import Ended, Parts
from syncengine.sync.reports import guard_report, left_since, report_of, result_of, standing


def conclude(
    parts: Parts, prepared: Prepared, problem: SyncEngineError | None, numbers: dict[str, Any], *, complete: bool
) -> Ended:
    """Settle accounts: all decided means fold and finish, anything else stays to be resumed."""
    counts = count(prepared, parts.journal)
    refused = counts.rejected + counts.unresolved - withheld_of(prepared, parts.journal)
    if complete:
        within = parts.fail_on.allows(refused, max(1, prepared.plan.contacts))
        result = Result.OK if within else Result.REJECTED
    else:
        result = result_of(problem)
    report = replace(
        report_of(parts, prepared, result),
        confirmed=counts.confirmed,
        rejected=counts.rejected,
        unresolved=counts.unresolved,
        pending=counts.pending,
        skipped=counts.leavers if problem is not None else {},
        **numbers,
    )
    report.check()
    if problem is not None and not problem.sent:
        problem.sent = standing(report)
    write_errors_of(prepared, parts.journal)
    write_page_of(prepared, parts.journal, report, parts.now())
    if complete:
        _commit(parts, prepared, report, status="finished")
    else:
        parts.journal.mark(prepared.run, result, report.to_json())
    return Ended(report, problem)


def _commit(parts: Parts, prepared: Prepared, report: Report, *, status: str) -> None:
    now = parts.now()
    if parts.listening is not None:
        parts.listening.book.follow(list(who_moved(prepared, parts.state.off())))
    changes = gather_changes(prepared, parts.journal, now, parts.state.off())  # off: under their new addresses, too
    if parts.job.consent is Consent.KEEP:
        parts.state.remember_departed(vacated(prepared), now)
    if changes.removed and parts.job.consent is Consent.KEEP:
        departed = off_when_removed(changes, parts.state.snapshot())
        parts.state.remember_departed(departed[ADDRESS].to_list(), now)
        changes = replace(changes, refused=pl.concat([changes.refused, kept_off(departed, prepared.consent)]))
    not_sent = report.held + report.rejected + report.unresolved
    saw = SourceSeen(
        digest=prepared.source_digest,
        rules=prepared.rules,
        mapping=prepared.mapping_json,
        generation=prepared.generation,
        clean=report.unresolved == remembered(changes)
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
    # Nobody synced the notes of an earlier process: after a power cut they may be half there.
    if status == "finished" and not prepared.resumed:
        with contextlib.suppress(OSError):  # the run is over, and this memory may be lost at any time
            parts.state.keep_rows(parts.job.name, prepared.plan.folder / NOTES_FILE, report.rows)
    clear_scratch(prepared)


def end_unchanged(parts: Parts, seen: SourceSeen) -> Report:
    """Record a run that found what the last one saw: see `Report.of_unchanged`."""
    run, job = parts.new_run(), parts.job
    report = Report.of_unchanged(
        job.name, job.list_id, run, seen, paths=paths_of(parts.runs, seen.run), left=left_since(parts)
    )
    report.check()
    parts.journal.note(run, job.name, job.list_id, Result.OK, report.to_json(), parts.now())
    return report


def end_guarded(parts: Parts, stopped: GuardStopError) -> Report:
    """Record a run that a guard stopped before anything was sent."""
    report = guard_report(stopped, parts.job.name, parts.job.list_id, parts.runs)
    job = parts.job
    parts.journal.note(stopped.run, job.name, job.list_id, Result.GUARD, report.to_json(), parts.now())
    return report


def discard(parts: Parts) -> None:
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
        report_of(parts, prepared, Result.INTERRUPTED),
        confirmed=counts.confirmed,
        rejected=counts.rejected,
        unresolved=counts.unresolved,
        pending=counts.pending,
    )
    report.check()
    _commit(parts, prepared, report, status="discarded")
