"""`smartersends`: usage and events of an instance."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load, no_secret_options
from syncengine.cli._render import answer, can_ask, plural, print_table, say
from syncengine.errors import ConfigError

if TYPE_CHECKING:
    from syncengine.bootstrap import Workshop
    from syncengine.smartersends.events import Event

_SHOWN = 50  #: rows of a table; a file has all
_TABLE_COLUMNS = ("name", "subject", "send_time", "type", "status")

from_option = click.option("--from", "start", metavar="DATE", help="From this day or moment on.")
to_option = click.option("--to", "end", metavar="DATE", help="Up to this day (all of it) or moment.")
out_option = click.option("--out", metavar="FILE", help="Write to a file: .csv, .parquet or .json.")


@click.group("smartersends")
def command() -> None:
    """Usage reports and events of an instance of SmarterSends; needs `url` and `key` in [smartersends].

    \b
    syncengine smartersends campaigns --from 2025-01-01 --to 2025-12-31 --out campaigns.parquet
    syncengine smartersends conversations
    syncengine smartersends events list
    """


@command.command("campaigns")
@click.option("--from", "start", required=True, metavar="DATE", help="From this day or moment on.")
@click.option("--to", "end", required=True, metavar="DATE", help="Up to this day (all of it) or moment.")
@click.option("--type", "kind", metavar="email|sms", help="Only one kind.")
@click.option("--status", multiple=True, metavar="STATUS[,…]", help="Only these: sent, draft, scheduled, …")
@click.option("--date-column", default="send_time", show_default=True, help="Or created_at, updated_at.")
@click.option("--columns", multiple=True, metavar="COLUMN[,…]", help="In this order; else the service's own choice.")
@out_option
@config_option
@json_option
@no_secret_options
@click.pass_context
def campaigns(context: click.Context, /, config_here: str | None, *, as_json: bool, **given: Any) -> int:
    """Export campaigns between two dates: a table here, or all of them to a file.

    \b
    syncengine smartersends campaigns --from 2025-06-01 --to 2025-06-30 --status sent,scheduled
    syncengine smartersends campaigns --from 2025-01-01 --to 2025-12-31 --columns name,status,html --out all.csv
    """
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.result_files import checked_target  # noqa: PLC0415
    from syncengine.smartersends.usage import CampaignQuery  # noqa: PLC0415

    target = checked_target(given["out"]) if given["out"] else None
    as_table = target is None and not as_json and not given["columns"]
    query = CampaignQuery(
        start=given["start"],
        end=given["end"],
        type=given["kind"],
        status=given["status"],
        date_column=given["date_column"],
        columns=_TABLE_COLUMNS if as_table else given["columns"],
    )
    for word in query.ignored:
        say(f"ignored: {word!r} is neither a column nor a status")
    workshop = _workshop(context, config_here)
    if target is not None:
        count = instance_reports.campaigns_to_file(workshop, query, target)
        return _written(count, "campaign", [str(target)], query.ignored, as_json=as_json)
    rows = instance_reports.campaigns(workshop, query)
    if as_json:
        _print_json(count=len(rows), ignored=list(query.ignored), campaigns=rows, paths=[])
    else:
        print_table([name.upper() for name in query.wanted_columns], [_cells(row) for row in rows[:_SHOWN]])
        say(f"\n{_shown(len(rows), 'campaign')}")
    return 0


@command.command("conversations")
@from_option
@to_option
@out_option
@config_option
@json_option
@no_secret_options
@click.pass_context
def conversations(
    context: click.Context,
    /,
    start: str | None,
    end: str | None,
    out: str | None,
    config_here: str | None,
    *,
    as_json: bool,
) -> int:
    """Count two-way conversations, all together and by group; the last 30 days where no dates are given.

    As .csv the file has the service's two tables; as .parquet the groups, and the metrics in a file beside it.

    \b
    syncengine smartersends conversations --from 2026-01-01 --to 2026-01-31
    """
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.result_files import checked_target  # noqa: PLC0415

    target = checked_target(out) if out else None
    workshop = _workshop(context, config_here)
    if target is not None:
        paths = instance_reports.conversations_to_file(workshop, start, end, target)
        return _written(None, "usage", [str(path) for path in paths], (), as_json=as_json)
    usage = instance_reports.conversations(workshop, start, end)
    if as_json:
        _print_json(**instance_reports.usage_document(usage), paths=[])
        return 0
    if usage.start and usage.end:
        say(f"{usage.start} to {usage.end}\n")
    print_table(["METRIC", "VALUE"], [[name, _cell(value)] for name, value in usage.metrics.items()], right=[1])
    answer()
    heads = ["GROUP", "TOTAL", "ACTIVE", "AWAITING", "UNREAD", "AT RISK", "STALE", "REMINDERS", "ESCALATIONS", "MIN"]
    print_table(heads, [_group_cells(group) for group in usage.by_group], right=range(1, len(heads)))
    return 0


def _group_cells(group: Mapping[str, Any]) -> list[str]:
    counts = list(group.values())[2:10]
    return [_cell(group["group_name"]), *map(_cell, counts), _cell(group["avg_first_response_minutes"])]


# events ---------------------------------------------------------------------------------------------------------------


@command.group("events")
def events() -> None:
    """List, make, change and delete events of the calendar.

    \b
    syncengine smartersends events create --name Training --start 2026-02-02T14:00:00Z --repeat weekly --day MO
    syncengine smartersends events delete 7 --yes
    """


def event_options(command: Any) -> Any:
    """The fields of an event."""
    for option in reversed(
        [
            click.option("--name"),
            click.option("--start", metavar="DATE", help="Day and time: 2026-02-02T14:00:00Z."),
            click.option("--end", metavar="DATE"),
            click.option("--description"),
            click.option("--repeat", metavar="HOW", help="daily, weekly, monthly or yearly."),
            click.option("--once", is_flag=True, help="It does not repeat."),
            click.option("--every", type=int, metavar="N", help="Every N days, weeks, …"),
            click.option("--times", type=int, metavar="N", help="N times at most."),
            click.option("--day", "days", multiple=True, metavar="MO…SU", help="On this day of the week."),
            click.option("--month", "months", multiple=True, type=int, metavar="1…12", help="In this month."),
            click.option("--group", "groups", multiple=True, type=int, metavar="ID", help="For this group."),
            click.option("--all-groups", is_flag=True, help="For all groups."),
        ]
    ):
        command = option(command)
    return command


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, by the names the API has."""
    if given["repeat"] and given["once"]:
        raise click.UsageError("--repeat and --once: which of the two?")
    repeats = True if given["repeat"] else False if given["once"] else None
    days = tuple(day.upper() for day in given["days"]) or None
    return {
        "name": given["name"],
        "start_date": given["start"],
        "end_date": given["end"],
        "description": given["description"],
        "repeats": repeats,
        "repeat_type": given["repeat"],
        "repeat_interval": given["every"],
        "max_occurrences": given["times"],
        "repeat_days": days,
        "repeat_months": given["months"] or None,
        "groups": given["groups"] or None,
        "all_groups": given["all_groups"] or None,
    }


@events.command("list")
@out_option
@config_option
@json_option
@no_secret_options
@click.pass_context
def list_(context: click.Context, out: str | None, config_here: str | None, *, as_json: bool) -> int:
    """List all events, or write them to a file."""
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.result_files import checked_target  # noqa: PLC0415

    target = checked_target(out) if out else None
    found = instance_reports.events(_workshop(context, config_here))
    if target is not None:
        instance_reports.write_events(found, target)
        return _written(len(found), "event", [str(target)], (), as_json=as_json)
    if as_json:
        _print_json(count=len(found), events=[instance_reports.event_document(one) for one in found], paths=[])
    else:
        print_table(["ID", "NAME", "START", "END", "REPEATS", "GROUPS"], [_event_cells(one) for one in found[:_SHOWN]])
        say(f"\n{_shown(len(found), 'event')}")
    return 0


@events.command("get")
@click.argument("number", type=int, metavar="ID")
@config_option
@json_option
@no_secret_options
@click.pass_context
def get(context: click.Context, number: int, config_here: str | None, *, as_json: bool) -> int:
    """Show one event."""
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here

    return _tell_event(instance_reports.event(_workshop(context, config_here), number), as_json=as_json)


@events.command("create")
@event_options
@config_option
@json_option
@no_secret_options
@click.pass_context
def create(context: click.Context, /, config_here: str | None, *, as_json: bool, **given: Any) -> int:
    """Make an event; --name and --start are needed.

    Where no answer comes it may have been made: it is not made again by itself.
    """
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.smartersends.events import EventDraft  # noqa: PLC0415

    draft = EventDraft(**_fields(given))
    if not draft.groups and not draft.all_groups:
        say("no --group and no --all-groups: the instance decides who sees it")
    made = instance_reports.create_event(_workshop(context, config_here), draft)
    return _tell_event(made, as_json=as_json, done="made")


@events.command("update")
@click.argument("number", type=int, metavar="ID")
@event_options
@config_option
@json_option
@no_secret_options
@click.pass_context
def update(context: click.Context, /, number: int, config_here: str | None, *, as_json: bool, **given: Any) -> int:
    """Change the fields given; the others stay."""
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here
    from syncengine.smartersends.events import EventChange  # noqa: PLC0415

    changed = instance_reports.update_event(_workshop(context, config_here), number, EventChange(**_fields(given)))
    return _tell_event(changed, as_json=as_json, done="changed")


@events.command("delete")
@click.argument("number", type=int, metavar="ID")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
@no_secret_options
@click.pass_context
def delete(context: click.Context, number: int, config_here: str | None, *, yes: bool, as_json: bool) -> int:
    """Take an event off the calendar."""
    from syncengine import instance_reports  # noqa: PLC0415  # polars and httpx are imported here

    workshop = _workshop(context, config_here)
    if not yes and not can_ask():
        raise ConfigError(
            "nobody is there to say yes", why="stdin is no terminal", fix="run it with --yes", code="yes-missing"
        )
    if not yes:
        click.confirm(f"Delete event {number}?", abort=True, err=True)
    instance_reports.delete_event(workshop, number)
    if as_json:
        _print_json(deleted=number)
    else:
        answer(f"deleted: event {number}")
    return 0


# What is printed ------------------------------------------------------------------------------------------------------


def _workshop(context: click.Context, config_here: str | None) -> "Workshop":
    from syncengine import bootstrap  # noqa: PLC0415  # polars and httpx are imported here

    return bootstrap.Workshop(load(context, config_here))


def _print_json(**document: Any) -> None:
    answer(json.dumps({"schema_version": SCHEMA_VERSION, **document}, ensure_ascii=False))


def _written(count: int | None, word: str, paths: list[str], ignored: Sequence[str], *, as_json: bool) -> int:
    if as_json:
        numbers = {} if count is None else {"count": count, "ignored": list(ignored)}
        _print_json(**numbers, paths=paths)
    else:
        what = word if count is None else f"{count:,} {plural(word, count)}"
        answer(f"{what} written to {', '.join(paths)}")
    return 0


def _shown(count: int, word: str) -> str:
    more = f"; {_SHOWN} are shown, --out FILE has all" if count > _SHOWN else ""
    return f"{count:,} {plural(word, count)}{more}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [_cell(value) for value in row.values()]


def _cell(value: Any) -> str:
    text = "-" if value is None or value == "" else " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def _event_cells(one: "Event") -> list[str]:
    every = f" / {one.repeat_interval}" if one.repeat_interval and one.repeat_interval > 1 else ""
    repeats = f"{one.repeat_type or 'yes'}{every}" if one.repeats else "-"
    groups = "all" if one.all_groups else ", ".join(group.name or str(group.id) for group in one.groups) or "-"
    return [str(one.id), _cell(one.name), _cell(one.start_date), _cell(one.end_date), repeats, _cell(groups)]


def _tell_event(one: "Event | None", *, as_json: bool, done: str = "") -> int:
    from syncengine.instance_reports import event_document  # noqa: PLC0415

    document = None if one is None else event_document(one)
    if as_json:
        _print_json(event=document)
        return 0
    if document is None:
        answer(f"{done}; the instance tells no more. Look:  syncengine smartersends events list")
        return 0
    if done:
        answer(f"{done}: event {document['id']}\n")
    for name, value in document.items():
        shown = ", ".join(_item(item) for item in value) if isinstance(value, list) else value
        answer(f"{name:<18}{_cell(shown)}")
    return 0


def _item(item: Any) -> str:
    return f"{item['name']} ({item['id']})" if isinstance(item, dict) else str(item)
