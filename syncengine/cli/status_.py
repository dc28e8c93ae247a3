"""`status`: jobs, their last runs, what needs attention. Reads only, also while a run writes."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from syncengine import overview
from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import ago, answer, print_table
from syncengine.lock import at_work


@click.command("status")
@click.argument("jobs", nargs=-1, metavar="[JOB]…")
@config_option
@json_option
@click.pass_context
def command(context: click.Context, jobs: tuple[str, ...], config_here: str | None, *, as_json: bool) -> int:
    """Show each job's last run, what is known of its list, and the next command to type."""
    loaded = load(context, config_here)
    names = {job.name: job.list_id for job in loaded.jobs(jobs)}
    folder = loaded.folder / loaded.config.state.path
    pid = at_work(folder)
    views = overview.jobs(folder, names)
    if as_json:
        document = [_document(view, names[view.job], pid) for view in views]
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "jobs": document}))
        return 0
    rows = [[view.job, *_last(view.last, pid), f"{view.contacts:,}" if view.contacts else "-"] for view in views]
    print_table(["JOB", "LAST RUN", "RUN", "RESULT", "CONTACTS"], rows, right=[4])
    steps = [step for view in views if (step := _next(view, pid))]
    if steps:
        answer("\nNext:\n" + "\n".join(f"  {step}" for step in steps))
    return 0


def _document(view: overview.JobView, list_id: str, pid: int | None) -> dict[str, Any]:
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
            "under_way": last.unfinished and pid is not None,
            "report": dict(last.facts),
            **({"so_far": dict(last.so_far)} if last.so_far else {}),
        },
        "next": _next(view, pid) or None,
    }


def _last(last: overview.RunView | None, pid: int | None) -> list[str]:
    if last is None:
        return ["never", "-", "-"]
    age = (datetime.now(UTC) - datetime.fromisoformat(last.started_at)).total_seconds()
    return [ago(age), last.run[:13], _result(last, pid)]


def _result(last: overview.RunView, pid: int | None) -> str:
    facts = last.facts
    if last.unfinished:
        how = "cut off" if pid is None else f"under way (pid {pid})"
        done, all_of_it = last.so_far.get("confirmed", 0), sum(last.so_far.values())
        return f"{(last.result if pid is None else '') or how}, {done:,} of {all_of_it:,} confirmed"
    counts = [f"{facts[name]:,} {name}" for name in ("rejected", "unresolved", "held") if facts.get(name)]
    return ", ".join([last.result, *counts])


def _next(view: overview.JobView, pid: int | None) -> str:
    """The command that helps, where something needs attention."""
    last = view.last
    if pid is not None and (last is None or last.unfinished):
        return ""
    if last is None:
        return f"syncengine plan {view.job}"
    if last.unfinished:
        return f"syncengine sync {view.job}"
    if last.result == "guard":
        return f"syncengine plan {view.job}"
    if last.facts.get("rejected") or last.facts.get("unresolved"):
        return f"syncengine errors {last.run[:13]}"
    return ""
