"""`plan`: what would change. Sends nothing."""

import json
from pathlib import Path

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import answer, plan_lines, plan_sentence, say


@click.command("plan")
@click.argument("jobs", nargs=-1, metavar="[JOB]…")
@config_option
@json_option
@click.option("--out", type=click.Path(file_okay=False), help="Keep the plan in DIR, for sync --plan DIR (one job).")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 when there are changes.")
@click.option("--limit", type=click.IntRange(min=1), help="Plan the first N rows only.")
@click.option("--show-pii", is_flag=True, help="Show addresses in full.")
@click.pass_context
def command(
    context: click.Context,
    jobs: tuple[str, ...],
    config_here: str | None,
    out: str | None,
    limit: int | None,
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

    loaded = load(context, config_here)
    workshop = bootstrap.Workshop(loaded, bootstrap.Overrides(limit=limit), show_pii=show_pii)
    chosen = workshop.jobs(jobs)
    if out is not None and len(chosen) > 1:
        raise click.UsageError("--out holds one plan: name one job")
    documents, changes = [], 0
    with bootstrap.open_session(workshop, doing="plan") as session:
        for job in chosen:
            planned = bootstrap.plan_job(session, job, out=Path(out) if out else None)
            changes += planned.prepared.facts.changes + len(planned.prepared.facts.variables)
            documents.append(planned.document)
            if not as_json:
                _show(planned.view, out)
    if as_json:
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "runs": documents}))
    return 10 if detailed_exitcode and changes else 0


def _show(view: dict[str, object], out: str | None) -> None:
    for line in plan_lines(view):
        answer(line)
    answer()
    answer(plan_sentence(view["planned"], len(view["variables"])))  # type: ignore[arg-type]  # as `view_plan` gives them
    again = f" --plan {out}" if out else ""
    say(f"Nothing was sent. Do it:  syncengine sync {view['job']}{again}")
    say()
