"""`plan`: what would change. Sends nothing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._exit import SCHEMA_VERSION, as_document, exit_code, gravest, told
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import answer, plan_lines, plan_sentence, say
from syncengine.errors import StateError, SyncEngineError
from syncengine.model import LIST_TO_FILL_IN

if TYPE_CHECKING:
    from syncengine.bootstrap import Workshop
    from syncengine.config.model import Job


@click.command("plan")
@click.argument("jobs", nargs=-1, metavar="[JOB]…")
@config_option
@json_option
@click.option("--out", type=click.Path(file_okay=False), help="Keep the plan in DIR, for sync --plan DIR (one job).")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 when there are changes.")
@click.option("--limit", type=click.IntRange(min=1), help="Plan the first N rows only.")
@click.option("--wait-lock", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for another run.")
@click.option("--show-pii", is_flag=True, help="Show addresses in full.")
@click.pass_context
def command(
    context: click.Context,
    jobs: tuple[str, ...],
    config_here: str | None,
    out: str | None,
    limit: int | None,
    wait_lock: float,
    *,
    as_json: bool,
    detailed_exitcode: bool,
    show_pii: bool,
) -> int:
    """Show what would change: counts, variables, samples, requests and minutes. Nothing is sent.

    \b
    syncengine plan newsletter
    syncengine plan newsletter --out plan && syncengine sync newsletter --plan plan
    """
    from syncengine import bootstrap  # noqa: PLC0415  # polars and httpx are imported here, not at start-up

    workshop = bootstrap.Workshop(load(context, config_here), bootstrap.Overrides(limit=limit), show_pii=show_pii)
    code = show_plans(workshop, workshop.jobs(jobs), out=out, wait_lock=wait_lock, as_json=as_json)
    return 0 if code == CHANGES and not detailed_exitcode else code


CHANGES = 10


def show_plans(workshop: "Workshop", jobs: "list[Job]", *, out: str | None, wait_lock: float, as_json: bool) -> int:
    """Plan every job and show it. The gravest exit code of the jobs that have no plan; else `CHANGES` if there are any.

    A job without a plan does not keep the others from theirs.
    """
    from syncengine import bootstrap  # noqa: PLC0415  # polars is imported here, not at start-up

    if out is not None and len(jobs) > 1:
        raise click.UsageError("--out holds one plan: name one job")
    documents: list[dict[str, Any]] = []
    codes, changes = [], 0
    with bootstrap.open_session(workshop, wait_lock=wait_lock, doing="plan") as session:
        for job in jobs:
            try:
                planned = bootstrap.plan_job(session, job, out=Path(out) if out else None)
            except StateError:
                raise  # the state is all jobs'
            except SyncEngineError as problem:
                say(told(problem))
                documents.append(bootstrap.failed(session, job, problem) | {"error": as_document(problem)})
                codes.append(exit_code(problem))
                continue
            changes += planned.prepared.facts.changes + len(planned.prepared.facts.variables)
            documents.append(planned.document)
            if not as_json:
                _show(planned.view, out)
    if as_json:
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "runs": documents}))
    return gravest(codes) or (CHANGES if changes else 0)


def _show(view: dict[str, object], out: str | None) -> None:
    for line in plan_lines(view):
        answer(line)
    answer()
    answer(plan_sentence(view["planned"], len(view["variables"])))  # type: ignore[arg-type]  # as `view_plan` gives them
    say(f"Nothing was sent.{_next(view, out)}")
    say()


def _next(view: dict[str, object], out: str | None) -> str:
    """What to type next, if there is anything to do."""
    if not any(view["planned"].values()) and not view["variables"]:  # type: ignore[attr-defined]  # see above
        return ""
    again = f" --plan {out}" if out else ""
    command = f"  syncengine sync {view['job']}{again}"
    if view["list"] == LIST_TO_FILL_IN:
        return f" Fill in `list`, the id in the address of the list's page in SmartSender. Then:{command}"
    return f" Do it:{command}"
