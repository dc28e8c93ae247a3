"""A plan nothing of which is sent."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from syncengine.bootstrap.session import Session
from syncengine.bootstrap.wiring import terms_of
from syncengine.bootstrap.workshop import new_run_id
from syncengine.config.model import Bound, Job
from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.errors import (
    SyncEngineError,
)
from syncengine.first_rows import FirstRows
from syncengine.guards import Guards
from syncengine.model import OnMissing
from syncengine.plan_view import DIFFERENCES_FILE, mapping_changes, view_plan, write_differences
from syncengine.prepare import GuardStopError, Prepared, draw_up, drop_unfrozen_plans
from syncengine.redaction import Secret
from syncengine.report import ERRORS_FILE
from syncengine.sync import guard_report, plan_report
from syncengine.uptake import hear


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
    terms = terms_of(job, session.workshop.overrides, session.workshop.loaded.config.account.url)
    limit = session.workshop.overrides.limit
    if limit is not None:
        understood = replace(understood, source=FirstRows(understood.source, limit))
        anything = Bound(share=1.0)
        terms = replace(terms, on_missing=OnMissing.KEEP, guards=Guards(anything, anything, anything))
    left = hear(session.listening(job.list_id), session.state(job), job.name, datetime.now(UTC))
    drop_unfrozen_plans(session.runs)
    destination = SmartSenderV2(_no_door(session.workshop.loaded.config.account.url), job.list_id)
    prepared = draw_up(
        terms,
        understood,
        session.state(job),
        run=run,
        folder=out or session.runs / run,
        batch_size=destination.batch_size,
        now=datetime.now(UTC),
        pulse=lambda: None,
        left=left,
    )
    view = view_of(session, job, prepared)
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


def view_of(session: Session, job: Job, prepared: Prepared) -> dict[str, Any]:
    """What a person is shown of a plan (see `plan_view`)."""
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
