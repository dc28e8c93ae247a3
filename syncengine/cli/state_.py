"""`state`: what is remembered of a list."""

import json

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import answer, print_table
from syncengine.errors import ConfigError


@click.group("state")
def command() -> None:
    """Look at what is remembered of a list, and change it."""


@command.command("show")
@click.argument("email", required=False)
@click.option("--job", "job_name", help="The job whose list is meant; needed where there are several.")
@config_option
@json_option
@click.pass_context
def show(
    context: click.Context, email: str | None, job_name: str | None, config_here: str | None, *, as_json: bool
) -> int:
    """Show what the list holds, as far as confirmed: in numbers, or one contact with EMAIL."""
    from syncengine import bootstrap  # noqa: PLC0415  # polars is imported here, not at start-up
    from syncengine.looking import look_at_contact, look_at_lists  # noqa: PLC0415

    workshop = bootstrap.Workshop(load(context, config_here))
    jobs = workshop.jobs([job_name] if job_name else [])
    if email is None:
        lists = look_at_lists(workshop, jobs)
        if as_json:
            answer(json.dumps({"schema_version": SCHEMA_VERSION, "lists": lists}, ensure_ascii=False))
        else:
            rows = [
                [one["job"], one["list"], f"{one['contacts']:,}", f"{one['active']:,}", ", ".join(one["variables"])]
                for one in lists
            ]
            print_table(["JOB", "LIST", "CONTACTS", "SUBSCRIBED", "VARIABLES"], rows, right=[2, 3])
        return 0
    found = [contact for contact in (look_at_contact(workshop, job, email) for job in jobs) if contact is not None]
    if not found:
        raise ConfigError(
            f"no contact {email} is known",
            why="it was never confirmed for the lists of these jobs",
            fix="syncengine errors shows who was held or rejected",
            code="contact-unknown",
        )
    if as_json:
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "contacts": found}, ensure_ascii=False))
        return 0
    for contact in found:
        for name, value in contact.items():
            if name == "variables":
                answer("variables")
                for variable, content in value.items():
                    answer(f"  {variable:<22}{content}")
            else:
                answer(f"{name:<24}{value}")
    return 0
