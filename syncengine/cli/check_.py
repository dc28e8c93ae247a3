"""`check`: is everything in place?"""

import json

import click

from syncengine.cli._exit import SCHEMA_VERSION, as_document, exit_code, gravest, told
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import answer, say


@click.command("check")
@click.argument("jobs", nargs=-1, metavar="[JOB]…")
@config_option
@json_option
@click.option("--online", is_flag=True, help="Ask the service whether it takes token and list (changes nothing).")
@click.pass_context
def command(
    context: click.Context, jobs: tuple[str, ...], config_here: str | None, *, as_json: bool, online: bool
) -> int:
    """Look at config, source headers, token and state. Sends nothing unless --online."""
    from syncengine import bootstrap  # noqa: PLC0415  # polars and httpx are imported here, not at start-up
    from syncengine.checking import check  # noqa: PLC0415

    workshop = bootstrap.Workshop(load(context, config_here))
    findings = check(workshop, workshop.jobs(jobs), online=online)
    problems = [finding.problem for finding in findings if finding.problem is not None]
    if as_json:
        document = [
            {
                "subject": finding.subject,
                "ok": finding.problem is None,
                "told": finding.told,
                "error": as_document(finding.problem) if finding.problem else None,
            }
            for finding in findings
        ]
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "ok": not problems, "findings": document}))
    else:
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding.problem is None else click.style("bad ", fg="red")
            answer(f"{mark} {finding.subject}: {finding.told or (finding.problem.what if finding.problem else '')}")
        for problem in problems:
            say()
            say(told(problem))
    return gravest([exit_code(problem) for problem in problems])
