"""`status`: jobs, their last runs, what needs attention. Reads only, also while a run writes."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from syncengine import overview
from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import ago, answer, print_table


@click.command("status")
@click.argument("jobs", nargs=-1, metavar="[JOB]…")
@config_option
@json_option
@click.pass_context
def command(context: click.Context, jobs: tuple[str, ...], config_here: str | None, *, as_json: bool) -> int:
    """Show each job's last run, what is known of its list, and the next command to type."""
    loaded = load(context, config_here)
    names = {job.name: job.list_id for job in loaded.jobs(jobs)}
    views = overview.jobs(loaded.folder / loaded.config.state.path, names)
    if as_json:
        document = [_document(view, names[view.job]) for view in views]
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "jobs": document}))
        return 0
    rows = [[view.job, *_last(view.last), f"{view.contacts:,}" if view.contacts else "-"] for view in views]
    print_table(["JOB", "LAST RUN", "RUN", "RESULT", "CONTACTS"], rows, right=[4])
    steps = [step for view in views if (step := _next(view))]
    if steps:
        answer("\nNext:\n" + "\n".join(f"  {step}" for step in steps))
    return 0


def _document(view: overview.JobView, list_id: str) -> dict[str, Any]:
    last = view.last
    return {
        "job": view.job,
        "list": list_id,
        "contacts": view.contacts,
        "last_run": None
        if last is None
        else {
            "run": last.run,
            "status": last.status,
            "result": last.result,
            "started_at": last.started_at,
            "ended_at": last.ended_at,
            "report": dict(last.facts),
        },
        "next": _next(view) or None,
    }


def _last(last: overview.RunView | None) -> list[str]:
    if last is None:
        return ["never", "-", "-"]
    age = (datetime.now(UTC) - datetime.fromisoformat(last.started_at)).total_seconds()
    return [ago(age), last.run[:13], _result(last)]


def _result(last: overview.RunView) -> str:
    facts = last.facts
    if last.unfinished:
        done = sum(facts.get("confirmed", {}).values())
        return f"{last.result or 'under way, or cut off'}, {done:,} confirmed"
    counts = [f"{facts[name]:,} {name}" for name in ("rejected", "unresolved", "held") if facts.get(name)]
    return ", ".join([last.result, *counts])


def _next(view: overview.JobView) -> str:
    """The command that helps, where something needs attention."""
    last = view.last
    if last is None:
        return f"syncengine plan {view.job}"
    if last.unfinished:
        return f"syncengine sync {view.job}"
    if last.result == "guard":
        return f"syncengine plan {view.job}"
    if last.facts.get("rejected") or last.facts.get("unresolved"):
        return f"syncengine errors {last.run[:13]}"
    return ""
