"""`state`: what is remembered of a list."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import answer, print_table, say
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.bootstrap import Workshop
    from syncengine.config.model import Job

job_option = click.option("--job", "job_name", help="The job whose list is meant; needed where there are several.")


@click.group("state")
def command() -> None:
    """Look at what is remembered of a list, and change it.

    The state is the only memory there is of what the list holds: the service can't be asked.
    """


@command.command("show")
@click.argument("email", required=False)
@job_option
@config_option
@json_option
@click.pass_context
def show(
    context: click.Context, email: str | None, job_name: str | None, config_here: str | None, *, as_json: bool
) -> int:
    """Show what the list holds, as far as confirmed: in numbers, or one contact with EMAIL.

    Of a contact it says as well whether they are subscribed, by whose word and since when; also of somebody who is
    known to be off and not on the list.
    """
    from syncengine.looking import look_at_contact, look_at_lists  # noqa: PLC0415  # polars is imported here

    workshop, jobs = _workshop(context, config_here, job_name)
    if email is None:
        lists = look_at_lists(workshop, jobs)
        if as_json:
            answer(json.dumps({"schema_version": SCHEMA_VERSION, "lists": lists}))
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
            why="they were never confirmed for the lists of these jobs, and nobody said that they left",
            fix="syncengine errors shows who was held or rejected",
            code="contact-unknown",
        )
    if as_json:
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "contacts": found}))
    else:
        for contact in {contact["list"]: contact for contact in reversed(found)}.values():  # jobs may share a list
            _tell(contact)
    return 0


@command.command("adopt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--column", "columns", multiple=True, metavar="FIELD=HEADER", help='Another header: "active=Status".')
@click.option(
    "--written",
    type=click.DateTime(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]),
    help="When SmartSender wrote FILE (local time): whoever is subscribed in it and left before that is back.",
)
@job_option
@config_option
@json_option
@click.pass_context
def adopt(
    context: click.Context,
    file: str,
    columns: Sequence[str],
    written: datetime | None,
    job_name: str | None,
    config_here: str | None,
    *,
    as_json: bool,
) -> int:
    """Take FILE, a list downloaded from SmartSender, for what the list holds.

    Columns email, name and active are the contact's own; all others are variables by their names. Afterwards a sync
    sends only what differs, and contacts held as consent-unknown are known.

    \b
    syncengine state adopt list-export.csv
    syncengine state adopt list-export.csv --written "2026-11-25 10:00"
    syncengine state adopt list-export.csv --column "active=Status" --column "firstName=First name"
    """
    from syncengine import adoption, bootstrap  # noqa: PLC0415  # polars is imported here

    workshop, jobs = _workshop(context, config_here, job_name)
    job = _one(jobs)
    if written is not None and written.astimezone(UTC) > datetime.now(UTC):
        raise click.BadParameter(f"{written} is still to come", param_hint="--written")
    with bootstrap.open_session(workshop, doing="state adopt") as session:
        done = adoption.adopt(
            session,
            job,
            Path(file),
            _headers(columns),
            datetime.now(UTC),
            written=written.astimezone(UTC) if written is not None else None,
        )
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "job": job.name,
            "contacts": done.contacts,
            "active": done.active,
            "newer": done.newer,
            "off": done.off,
            "lowered": done.lowered,
            "variables": list(done.variables),
            "refused": [{"row": row, "code": code, "reason": reason} for row, code, reason in done.refused],
        }
        answer(json.dumps(document))
    else:
        _tell_adopted(done, job)
    return 0


def _tell_adopted(done: Any, job: "Job") -> None:
    """What an adoption brought in, for people. `done`: an `adoption.Adopted`."""
    answer(f"{done.contacts:,} contacts of list {job.list_id} are known now, {done.active:,} of them subscribed.")
    if done.newer:
        say(f"  {done.newer:,} were confirmed after the file was written and stay as they are known")
    if done.off:
        say(f"  {done.off:,} are in the file as subscribed and known to be off: they stay off, since a copy of an old")
        say('  file looks new. If they came back, say when SmartSender wrote it: --written "2026-11-25 10:00"')
    if done.lowered:
        say(f"  {done.lowered:,} are in the file as subscribed and as not: they count as not subscribed")
    for row, code, reason in done.refused[:20]:
        say(f"  row {row} was left out: {code}, {reason}")
    if len(done.refused) > 20:
        say(f"  and {len(done.refused) - 20:,} more rows")
    say(f"Next:  syncengine plan {job.name}")


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False))
@job_option
@config_option
@click.pass_context
def export(context: click.Context, file: str, job_name: str | None, config_here: str | None) -> int:
    """Write what the list holds to FILE (CSV: email, name, active, variables); `state adopt` reads it back."""
    from syncengine import adoption, bootstrap  # noqa: PLC0415  # polars is imported here

    workshop, jobs = _workshop(context, config_here, job_name)
    with bootstrap.open_session(workshop, doing="state export") as session:
        count = adoption.export(session, _one(jobs), Path(file))
    answer(f"{count:,} contacts written to {file}")
    return 0


@command.command("verify")
@job_option
@config_option
@click.pass_context
def verify(context: click.Context, job_name: str | None, config_here: str | None) -> int:
    """Read everything that is remembered and look whether it is whole."""
    from syncengine import bootstrap, erasure  # noqa: PLC0415  # polars is imported here

    workshop, jobs = _workshop(context, config_here, job_name)
    with bootstrap.open_session(workshop, doing="state verify") as session:
        for job in jobs:
            answer(f"{job.name}, list {job.list_id}: {erasure.verify(session, job)}")
    return 0


@command.command("forget")
@click.argument("email")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
@click.pass_context
def forget(context: click.Context, email: str, config_here: str | None, *, yes: bool) -> int:
    """Erase a person from state, runs and files. They are not added again; the list itself is not changed."""
    from syncengine import bootstrap, erasure  # noqa: PLC0415  # polars is imported here

    workshop, jobs = _workshop(context, config_here, None)
    if not yes:
        click.confirm(f"Erase everything about {email}? This can't be undone.", abort=True, err=True)
    with bootstrap.open_session(workshop, doing="state forget") as session:
        erased = erasure.forget(session, jobs, email, datetime.now(UTC))
    answer(
        f"Erased: {erased.contacts} contacts, {erased.notes} notes, {erased.rows_in_files} rows in files. "
        "A keyed tombstone stays, so that no file brings the person back."
    )
    say("To take them off the list as well, remove them on its page in SmartSender.")
    return 0


@command.command("reset")
@job_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
@click.pass_context
def reset(context: click.Context, job_name: str | None, config_here: str | None, *, yes: bool) -> int:
    """Forget everything about a list. The next sync sends all contacts, and knows nobody who unsubscribed."""
    from syncengine import bootstrap, erasure  # noqa: PLC0415  # polars is imported here

    workshop, jobs = _workshop(context, config_here, job_name)
    job = _one(jobs)
    if not yes:
        click.confirm(f"Forget all that is known of list {job.list_id}?", abort=True, err=True)
    with bootstrap.open_session(workshop, doing="state reset") as session:
        known = erasure.reset(session, job)
    answer(f"Forgotten: {known:,} contacts of list {job.list_id}.")
    return 0


def _workshop(context: click.Context, config_here: str | None, job_name: str | None) -> "tuple[Workshop, list[Job]]":
    from syncengine import bootstrap  # noqa: PLC0415  # polars is imported here

    workshop = bootstrap.Workshop(load(context, config_here))
    return workshop, workshop.jobs([job_name] if job_name else [])


def _one(jobs: "list[Job]") -> "Job":
    """The job meant. Raises ConfigError where there are several, and none was named."""
    if len({job.list_id for job in jobs}) > 1:
        raise ConfigError(
            "which list?", why=f"there are {', '.join(job.name for job in jobs)}", fix="--job NAME", code="job-needed"
        )
    return jobs[0]


def _headers(columns: Sequence[str]) -> dict[str, str]:
    headers = {}
    for written in columns:
        name, equals, header = written.partition("=")
        if not equals or not name.strip() or not header:
            raise click.BadParameter(f'"{written}" is not FIELD=HEADER', param_hint="--column")
        headers[name.strip()] = header
    return headers


def _tell(contact: dict[str, Any]) -> None:
    from syncengine.looking import told_consent  # noqa: PLC0415  # polars is imported here

    for name, value in contact.items():
        if name == "consent":
            answer(f"{name:<24}{told_consent(value)}")
        elif isinstance(value, dict):
            answer(name)
            for variable, content in value.items():
                answer(f"  {variable:<22}{content}")
        else:
            answer(f"{name:<24}{_plain(value)}")


def _plain(value: object) -> object:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case _:
            return value
