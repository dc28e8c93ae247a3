"""`mail`: a message, a template for many contacts, and what became of both."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._counting import Counting
from syncengine.cli._exit import SCHEMA_VERSION, as_document, exit_code, told
from syncengine.cli._options import config_option, json_option, load, no_secret_options
from syncengine.cli._render import answer, can_ask, duration, plural, print_table, say
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.bootstrap import Workshop
    from syncengine.mailing.order import Planned


@click.group("mail")
def command() -> None:
    """Send a message, or a template to contacts of a list, and see what became of them.

    \b
    syncengine mail trigger 58a8 --to anna@example.com
    syncengine mail trigger 58a8 --file people.csv --yes
    syncengine mail stats --file results.csv --out stats.csv
    """


@command.command("send")
@click.option("--from", "sender", required=True, metavar="ADDRESS", help="The sender's address.")
@click.option("--from-name", "sender_name", required=True, help="The sender's name.")
@click.option("--to", multiple=True, required=True, metavar="ADDRESS", help="The recipient: one a message.")
@click.option("--to-name", help="The recipient's name.")
@click.option("--subject", required=True)
@click.option("--html", required=True, type=click.Path(dir_okay=False), help="A file with the body.")
@click.option("--text", type=click.Path(dir_okay=False), help="A file with the plain text; else made from the html.")
@click.option("--reply-to", multiple=True, metavar="ADDRESS", help="Where answers go; else to the sender.")
@click.option("--tag", "tags", multiple=True, help="A tag for statistics: 50 characters at most, no _ in front.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A further header.")
@config_option
@json_option
@no_secret_options
@click.pass_context
def send(context: click.Context, /, config_here: str | None, *, as_json: bool, **fields: Any) -> int:
    """Send one message to one recipient; needs `key` in [account].

    A message can't be sent "only once": where no answer comes, it is told that it may have been sent, and not repeated.

    \b
    syncengine mail send --from shop@example.com --from-name Shop --to anna@example.com \\
        --subject "Your order" --html order.html
    """
    from syncengine import bootstrap  # noqa: PLC0415  # httpx is imported here
    from syncengine.mailing.sending import Letter, send_letter  # noqa: PLC0415

    headers = [_header(written) for written in fields.pop("headers")]
    sent = send_letter(bootstrap.Workshop(load(context, config_here)), Letter(headers=headers, **fields))
    if as_json:
        answer(json.dumps({"schema_version": SCHEMA_VERSION, "accepted": True, "message_id": sent.message_id}))
    else:
        answer(f"accepted: message {sent.message_id or '(the service told no id)'}")
        if sent.message_id:
            say(f"What becomes of it:  syncengine mail stats {sent.message_id}")
    return 0


def _header(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    if not equals or not name or not value:
        raise click.BadParameter(f'"{written}" is not NAME=VALUE', param_hint="--header")
    return name.strip(), value.strip()


# trigger --------------------------------------------------------------------------------------------------------------


@command.command("trigger")
@click.argument("template")
@click.option("--to", metavar="ADDRESS", help="One contact of the list.")
@click.option("--file", "file", type=click.Path(dir_okay=False), help="A file of contacts: CSV, Parquet, Excel.")
@click.option("--column", metavar="HEADER", help="The column with the addresses, where it is not plain.")
@click.option("--job", "job_name", help="The job whose list is meant; needed where there are several.")
@click.option("--list", "list_id", metavar="ID", help="The list, in place of a job's.")
@click.option("--tag", "tags", multiple=True, help="A tag for statistics: 50 characters at most, no _ in front.")
@click.option("--again", is_flag=True, help="Also to whoever got this template before, or may have got it.")
@click.option("--suppressed-too", is_flag=True, help="Also to whoever unsubscribed or complained: a receipt, say.")
@click.option("--limit", type=click.IntRange(min=1), help="Send to at most so many now; the same command goes on.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second, over the config.")
@click.option("--wait-lock", type=click.FloatRange(min=0), default=0.0, help="Seconds to wait for another run.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed with --file where there is no terminal.")
@config_option
@json_option
@no_secret_options
@click.pass_context
def trigger(context: click.Context, /, template: str, config_here: str | None, *, as_json: bool, **flags: Any) -> int:
    """Send the template with the id TEMPLATE to one contact of a list, or to a file of them.

    Nobody gets a template twice unless --again is given: who got it is remembered, before it leaves. An interrupted
    mailing goes on with the same command. A mail whose answer got lost is told as unknown, and not sent again.

    \b
    syncengine mail trigger 58a819c6f0152 --to anna@example.com
    syncengine mail trigger 58a819c6f0152 --file people.csv --column Email --yes --json
    """
    from syncengine import bootstrap  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.connecting import connect_smartsender  # noqa: PLC0415
    from syncengine.mailing.order import Order, plan_mailing  # noqa: PLC0415
    from syncengine.mailing.recipients import one_recipient, recipients_of  # noqa: PLC0415
    from syncengine.mailing.triggering import carry_out  # noqa: PLC0415

    if (flags["to"] is None) == (flags["file"] is None):
        raise click.UsageError("say to whom: either --to ADDRESS or --file FILE")
    workshop = bootstrap.Workshop(load(context, config_here), bootstrap.Overrides(rate=flags["rate"]))
    order = Order(_list_of(workshop, flags), template, flags["tags"], flags["again"], flags["suppressed_too"])
    service = connect_smartsender(workshop, sending=False)
    if flags["to"] is not None:
        crowd = one_recipient(flags["to"])
    else:
        crowd = recipients_of(flags["file"], Path.cwd(), flags["column"])
    with bootstrap.open_session(workshop, wait_lock=flags["wait_lock"], doing="mail trigger") as session:
        planned = plan_mailing(session, order, crowd)
        if not as_json:
            _show(planned, workshop)
        _approve(planned, yes=flags["yes"] or flags["to"] is not None, as_json=as_json)
        counting = Counting("sent")
        observe = (lambda _done, _of: None) if as_json else counting
        ended = carry_out(session, planned, service, limit=flags["limit"], observe=observe, stopping=_stopping)
        counting.close()
    return _tell(ended.document, ended.problem, as_json=as_json)


def _list_of(workshop: "Workshop", flags: Mapping[str, Any]) -> str:
    if flags["list_id"]:
        return str(flags["list_id"])
    jobs = workshop.jobs([flags["job_name"]] if flags["job_name"] else [])
    if len({job.list_id for job in jobs}) > 1:
        raise ConfigError(
            "which list?",
            why=f"there are {', '.join(job.name for job in jobs)}",
            fix="--job NAME, or --list ID",
            code="job-needed",
        )
    return jobs[0].list_id


def _show(planned: "Planned", workshop: "Workshop") -> None:
    """What is about to happen, in numbers."""
    order = planned.order
    say(f"template {order.template_id} -> list {order.list_id}   {planned.recipients.name}")
    if planned.mailing.resumed:
        say(f"  goes on with mailing {planned.mailing.id[:13]}: {planned.tally.settled:,} are settled")
    rate = workshop.overrides.rate or workshop.loaded.config.account.rate
    waiting = len(planned.waiting)
    say(f"  + to send      {waiting:>8,}   ≈ {duration(waiting / rate)} at {rate:g} a second")
    for count, words in ((planned.sent_before, "= sent before "), (planned.unknown_before, "? unknown     ")):
        if count:
            say(f"  {words} {count:>8,}   not sent again; --again sends to them too")
    if planned.held:
        reasons = " · ".join(
            f"{count:,} {code}" for code, count in Counter(one.code for one in planned.held).most_common()
        )
        say(f"  ! held         {len(planned.held):>8,}   {reasons}")
        for one in [held for held in planned.held if held.row is not None][:5]:
            say(f"      row {one.row}: {one.code}, {one.reason}")


def _approve(planned: "Planned", *, yes: bool, as_json: bool) -> None:
    if yes or not planned.waiting:
        return
    if as_json or not can_ask():
        raise ConfigError(
            "nobody is there to say yes",
            why=f"stdin is no terminal, and {len(planned.waiting):,} mails are to be sent",
            fix="run it with --yes; to try it on a few: --limit 3",
            code="yes-missing",
        )
    click.confirm(f"Send {len(planned.waiting):,} mails?", err=True, abort=True)


def _stopping(reason: str) -> None:
    say(f"{reason}: stopping. What is in flight is being finished; again to leave at once.")


def _tell(document: Mapping[str, Any], problem: Any, *, as_json: bool) -> int:
    code = exit_code(problem) if problem is not None else 3 if document["result"] == "rejected" else 0
    if as_json:
        error = {"error": as_document(problem)} if problem is not None else {}
        answer(json.dumps({"schema_version": SCHEMA_VERSION, **document, **error}))
        if problem is not None:
            say(told(problem))
        return code
    answer(
        f"{document['sent']:,} sent · {document['rejected']:,} rejected · {document['unknown']:,} unknown · "
        f"{document['pending']:,} pending · {document['requests']:,} requests in {duration(document['seconds'])}"
    )
    if document["paths"]["results"]:
        say(f"  one by one:  {document['paths']['results']}")
    if document["sent"]:
        say(f"  measure:     syncengine mail stats --file {document['paths']['results']}")
    if document["unknown"]:
        say("  unknown: they left and no usable answer came. They are not sent again by themselves; --again does it.")
    if problem is not None:
        say(told(problem))
    return code


# stats ----------------------------------------------------------------------------------------------------------------


@command.command("stats")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@click.option(
    "--file", "file", type=click.Path(dir_okay=False), help="A file of ids, or the results of `mail trigger`."
)
@click.option("--column", metavar="HEADER", help="The column with the ids, where it is not plain.")
@click.option("--out", metavar="FILE", help="Write a row for each message: .csv, .parquet or .json.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second, over the config.")
@config_option
@json_option
@no_secret_options
@click.pass_context
def stats(
    context: click.Context,
    /,
    ids: tuple[str, ...],
    file: str | None,
    column: str | None,
    out: str | None,
    rate: float | None,
    config_here: str | None,
    *,
    as_json: bool,
) -> int:
    """Show what happened to messages: sent, delivered, read, click, hard, soft. Needs `key` in [account].

    Any number of ids, 100 a request. Times are as the service tells them: it names no zone.

    \b
    syncengine mail stats 5537ab2a08d241dc69326b19
    syncengine mail stats --file .syncengine/mailings/….csv --out stats.parquet
    """
    from syncengine import bootstrap  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.mailing.statistics import EVENTS, SCHEMA, ids_of, measure  # noqa: PLC0415
    from syncengine.result_files import checked_target, write_rows  # noqa: PLC0415

    target = checked_target(out) if out else None
    wanted = [*ids, *(ids_of(file, Path.cwd(), column) if file else ())]
    workshop = bootstrap.Workshop(load(context, config_here), bootstrap.Overrides(rate=rate))
    found = measure(workshop, wanted)
    if target is not None:
        write_rows(target, found.rows, SCHEMA)
    if as_json:
        answer(
            json.dumps({"schema_version": SCHEMA_VERSION, **found.document, "path": str(target) if target else None})
        )
        return 0
    _show_statistics(found.document, EVENTS)
    if target is not None:
        say(f"{len(found.rows):,} rows written to {target}")
    return 0


def _show_statistics(document: Mapping[str, Any], events: Sequence[str]) -> None:
    found = document["found"]
    rows = [
        [
            event,
            f"{document['messages'][event]:,}",
            f"{document['messages'][event] / found:.1%}" if found else "-",
            f"{document['events'][event]:,}",
        ]
        for event in events
    ]
    print_table(["EVENT", "MESSAGES", "SHARE", "TIMES"], rows, right=[1, 2, 3])
    say(f"\n{found:,} of {document['asked']:,} {plural('message', document['asked'])} found")
    if document["unknown"]:
        say(f"{document['unknown']:,} {plural('id', document['unknown'])} the service does not know")
