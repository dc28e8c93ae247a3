"""`webhooks`: receive what SmartSender tells by itself, and look at what came."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import config_option, json_option, load
from syncengine.cli._render import ago, answer, can_ask, plural, say


@click.group("webhooks")
def command() -> None:
    """Receive what SmartSender tells by itself: who unsubscribed, was removed, complained or bounced.

    The next plan or sync takes it up; a sync under way corrects whoever it has just sent as subscribed.

    \b
    syncengine webhooks serve --port 8788      # behind a proxy that speaks TLS
    syncengine webhooks status
    """


@command.command("serve")
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8788, show_default=True, help="0: any free one.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve Prometheus metrics on loopback.")
@click.option("--rate", type=click.FloatRange(min=0.1), default=50.0, show_default=True, help="Events a second taken.")
@click.option("--connections", type=click.IntRange(1, 4096), default=64, show_default=True, help="Open at most.")
@click.pass_context
def serve(
    context: click.Context,
    config_here: str | None,
    host: str,
    port: int,
    metrics_port: int | None,
    rate: float,
    connections: int,
) -> int:
    """Receive events until Ctrl-C. An event is answered when it is on disk.

    \b
    syncengine webhooks serve --port 8788
    syncengine webhooks serve --metrics-port 9788
    """
    from syncengine import receiving  # noqa: PLC0415  # starlette and uvicorn are imported here

    def ready(url: str, path: str, metrics: str | None) -> None:
        answer(f"The receiver listens: {url}{path}")
        say(f"""
  in SmartSender   https://<your host>{path}
                   as the callback URL of contact and message events
  your proxy       forwards that path, and must not write it to its log
  metrics          {f"{metrics}/metrics" if metrics else "none (--metrics-port 9788)"}

Ctrl-C ends it. Who leaves is taken up by the next plan or sync, or by the one under way.""")
        if host not in {"127.0.0.1", "::1", "localhost"}:
            say(f"\n  ! {host} is not loopback: what comes in is readable on the way. Better: a proxy that speaks TLS.")

    try:
        receiving.serve(
            load(context, config_here),
            host=host,
            port=port,
            metrics_port=metrics_port,
            rate=rate,
            connections=connections,
            ready=ready,
        )
    except OSError as error:
        raise click.UsageError(f"{host}:{port} can't be had: {error}. Try --port 0") from error
    return 0


@command.command("rotate")
@config_option
@click.option("--finish", is_flag=True, help="Only the newest path from now on.")
@click.pass_context
def rotate(context: click.Context, config_here: str | None, *, finish: bool) -> int:
    """Make another path. The one before stays valid until --finish, so that no event is lost meanwhile.

    \b
    syncengine webhooks rotate                 # then change the URL in SmartSender's panel
    syncengine webhooks rotate --finish        # and the old path is gone
    """
    from syncengine import receiving  # noqa: PLC0415

    paths = receiving.rotate(load(context, config_here), finish=finish)
    answer(paths.current)
    if paths.previous is None:
        say("No other path is answered.")
    else:
        say("The one before is still answered. When the panel has the new one:  syncengine webhooks rotate --finish")
    say("A receiver that runs takes it up within a second.")
    return 0


@command.command("replay")
@config_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.pass_context
def replay(context: click.Context, config_here: str | None, file: str) -> int:
    """Put the events of FILE into the inbox: JSON lines, such as a proxy's log of bodies, or a CSV export.

    Events that are there already are not counted twice. CSV needs the headers event, email and datetime; contact
    events emailListId as well.

    \b
    syncengine webhooks replay proxy-bodies.jsonl
    syncengine webhooks replay unsubscribed.csv
    """
    from syncengine import receiving  # noqa: PLC0415

    done = receiving.replay(load(context, config_here), Path(file))
    answer(f"{done.new:,} new {plural('event', done.new)}, {done.copies:,} known before.")
    if done.strange:
        say(f"{done.strange:,} are about lists that no job has, and were left out.")
    for line, reason in done.faults:
        say(f"  line {line}: {reason}")
    if done.faulty:
        say(f"{done.faulty:,} {plural('line', done.faulty)} hold no event and were left out.")
    if done.new:
        say("The next plan or sync takes them up.")
    return 0


@command.command("undo")
@config_option
@click.option("--since", required=True, metavar="TIME", help="UTC unless it says otherwise: 2026-11-25T14:30.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.pass_context
def undo(context: click.Context, config_here: str | None, since: str, *, yes: bool) -> int:
    """Take it that whoever left by webhooks since TIME never left: for events that somebody forged.

    Who left by an earlier event as well stays off. The events stay in the inbox. Under consent = "source" the next sync
    sends these people as the file has them; under "keep" they need state adopt --written, with an export of the list.

    \b
    syncengine webhooks rotate && syncengine webhooks undo --since 2026-11-25T14:30
    """
    from syncengine import receiving  # noqa: PLC0415

    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise click.BadParameter(f"{since!r} is no time such as 2026-11-25T14:30", param_hint="--since") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    loaded = load(context, config_here)
    looked = datetime.now(UTC)
    found = receiving.find_recent(loaded, moment)
    people = sum(len(addresses) for addresses in found.values())
    if not people:
        answer(f"Nobody left by webhooks since {moment:%Y-%m-%d %H:%M %Z}.")
        return 0
    for list_id, addresses in found.items():
        say(f"List {list_id}: {len(addresses):,} {'person' if len(addresses) == 1 else 'people'}")
    say("Whoever of them did leave by themselves will be mailed again.")
    if not yes and not (can_ask() and click.confirm("Take it that none of them left?", err=True)):
        say("Nothing was changed. To do it:  add --yes")
        return 2
    answer(f"{receiving.undo(loaded, found, moment, looked):,} are no longer off.")
    return 0


@command.command("describe")
@config_option
@click.pass_context
def describe(context: click.Context, config_here: str | None) -> int:
    """Print what the receiver takes and answers, as an OpenAPI document, for whoever sets up the proxy. It holds the
    secret path.

    \b
    syncengine webhooks describe > receiver.json
    """
    from syncengine import receiving  # noqa: PLC0415

    answer(json.dumps(receiving.describe(load(context, config_here)), indent=1))
    return 0


@command.command("status")
@config_option
@json_option
@click.pass_context
def status(context: click.Context, config_here: str | None, *, as_json: bool) -> int:
    """Show what came, when the last event came, and what no plan has taken up yet."""
    from syncengine import receiving  # noqa: PLC0415

    found = receiving.status(load(context, config_here))
    if as_json:
        answer(json.dumps(_document(found)))
        return 0
    if found.tally is None:
        answer("Nothing was ever received here.")
        say("Receive:  syncengine webhooks serve")
        return 0
    for event, count in sorted(found.tally.by_event.items()):
        answer(f"  {event:<18}{count:>10,}")
    answer(f"  {'copies of these':<18}{found.tally.copies:>10,}")
    if found.tally.last_at is not None:
        age = datetime.now(UTC).timestamp() - found.tally.last_at
        answer(f"The last one, {found.tally.last_event}, came {ago(age)}.")
    for backlog in found.backlogs:
        waiting = f"{backlog.waiting:,} {plural('event', backlog.waiting)} not taken up yet"
        answer(f"List {backlog.list}: {backlog.suppressed:,} must not be mailed; {waiting}.")
        if backlog.alarm:
            answer(f"  ! {backlog.alarm}")
    if found.two_paths:
        say("Two paths are answered since a rotation. To end it:  syncengine webhooks rotate --finish")
    return 0


def _document(found: Any) -> dict[str, Any]:
    tally = found.tally
    return {
        "schema_version": SCHEMA_VERSION,
        "events": dict(tally.by_event) if tally else {},
        "copies": tally.copies if tally else 0,
        "last_event": None
        if tally is None or tally.last_at is None
        else {"event": tally.last_event, "at": datetime.fromtimestamp(tally.last_at, UTC).isoformat()},
        "two_paths": found.two_paths,
        "lists": [
            {"list": one.list, "waiting": one.waiting, "suppressed": one.suppressed, "alarm": one.alarm or None}
            for one in found.backlogs
        ],
    }
