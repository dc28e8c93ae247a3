"""The report of a run, from what is known when it ends."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from syncengine.errors import RefusedError, SyncEngineError
from syncengine.model import Op
from syncengine.prepare import (
    GuardStopError,
    Prepared,
)
from syncengine.report import Report, Result
from syncengine.standing import paths_of
from syncengine.sync.parts import Parts


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


def report_of(parts: Parts, prepared: Prepared, result: Result) -> Report:
    """The report of a run before anything of it is settled."""
    report = plan_report(prepared, parts.job.name, parts.job.list_id)
    return replace(report, result=result, paths=paths_of(parts.runs, prepared.run), left=left_since(parts))


def guard_report(stopped: GuardStopError, job: str, list_id: str, runs: Path) -> Report:
    """The numbers of a run that a guard stopped, as far as its plan was made."""
    report = Report(job, list_id, stopped.run, Result.GUARD, paths=paths_of(runs, stopped.run))
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


def left_since(parts: Parts) -> Mapping[str, int]:
    """Who left since the last run, those included who left while this one ran."""
    return {} if parts.listening is None else parts.listening.book.left_since_last_run(parts.job.name)


def standing(report: Report) -> str:
    """What the end of a run that is not over leaves: the first thing people ask."""
    confirmed = sum(report.confirmed.values())
    if not confirmed:
        return f"no contact is confirmed; {report.pending:,} are pending"
    return f"{confirmed:,} contacts are confirmed and recorded, {report.pending:,} are pending"


def result_of(problem: SyncEngineError | None) -> Result:
    """The result of a run that is not over, by what stopped it."""
    match problem:
        case None:
            return Result.INTERRUPTED
        case RefusedError():
            return Result.REFUSED
        case _:
            return Result.UNAVAILABLE
