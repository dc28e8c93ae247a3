"""Webhooks as the command line runs them: serve, rotate, status, replay, undo. Composes `webhooks` from a config.

Neither polars nor httpx is needed to look at the inbox.
"""

import contextlib
import functools
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from syncengine.config.loading import Loaded
from syncengine.durable import write_durably
from syncengine.errors import ConfigError, StateError
from syncengine.keyed import contact_id, contact_key_of
from syncengine.ledger import open_ledger, read_ledger
from syncengine.overview import hook_progress
from syncengine.webhooks import secret_path
from syncengine.webhooks.description import openapi
from syncengine.webhooks.folder import UNDONE, hook_folder
from syncengine.webhooks.inbox import Arrival, Inbox, Tally, open_inbox, reading
from syncengine.webhooks.limits import ALARM_LEAST
from syncengine.webhooks.replay import read_file

ALARM_SHOWN: Final = 7 * 86_400  #: seconds for which `status` shows that too many left at once
EVENTS_A_COMMIT: Final = 1_000  #: of a file; a receiver that runs gets its turn in between


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far a list's job has taken up the inbox."""

    list: str
    waiting: int  #: events that take consent away and no plan has seen yet
    suppressed: int  #: people
    alarm: str = ""  #: what happened if too many left at once


@dataclass(frozen=True, slots=True)
class Status:
    """What `webhooks status` shows. `tally` None: nothing was ever received."""

    folder: Path
    rotated_at: str
    two_paths: bool
    tally: Tally | None
    backlogs: list[Backlog]


def state_folder(loaded: Loaded) -> Path:
    """The state directory of a config."""
    return (loaded.folder / loaded.config.state.path).absolute()


def our_lists(loaded: Loaded) -> tuple[str, ...]:
    """The lists of all jobs. Raises ConfigError if there is none."""
    lists = tuple(dict.fromkeys(job.list_id for job in loaded.config.job))
    if not lists:
        raise ConfigError(
            f"{loaded.path.name} has no [[job]]",
            why="events are taken for the lists of the jobs, and of no others",
            fix="syncengine init contacts.csv shows what one looks like",
            code="job-missing",
        )
    return lists


def serve(
    loaded: Loaded,
    *,
    host: str,
    port: int,
    metrics_port: int | None,
    rate: float,
    connections: int,
    ready: Callable[[str, str, str | None], None],
) -> None:
    """Receive until SIGINT or SIGTERM. Raises ConfigError, StateError, and OSError for a port that can't be had."""
    from syncengine.webhooks.station import Station, Terms  # noqa: PLC0415  # starlette, uvicorn and structlog

    state = state_folder(loaded)
    folder = hook_folder(state)
    lists = our_lists(loaded)
    with _writing(folder):
        pass  # a file that can't be used is told before anything is received
    station = Station(
        folder,
        lists,
        functools.partial(_contacts, state),
        contact_key_of(state),
        sys.stderr,
        Terms(host=host, port=port, metrics_port=metrics_port, rate=rate, connections=connections),
        anyio.to_thread.run_sync,
    )
    try:
        anyio.run(_until_signalled, functools.partial(station.run, ready))
    except BaseExceptionGroup as group:
        ports = group.subgroup(OSError)
        if ports is None:
            raise
        raise _first(ports) from group


def rotate(loaded: Loaded, *, finish: bool) -> secret_path.HookPaths:
    """Another path; with `finish` the one before the current is no longer answered."""
    folder = hook_folder(state_folder(loaded))
    now = datetime.now(UTC)
    return secret_path.retire(folder, now) if finish else secret_path.rotate(folder, now)


def describe(loaded: Loaded) -> dict[str, Any]:
    """The receiver in OpenAPI's words, its path included."""
    paths = secret_path.make_paths(hook_folder(state_folder(loaded)), datetime.now(UTC))
    return openapi(paths.current, our_lists(loaded))


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's events. `faults` are (line, reason) of the first lines that hold none."""

    new: int
    copies: int
    strange: int
    faulty: int
    faults: list[tuple[int, str]]


def replay(loaded: Loaded, file: Path) -> Imported:
    """Put the events of a file into the inbox. Raises SourceError, StateError."""
    found = read_file(file, lists=our_lists(loaded), now=time.time())
    now = time.time()
    folder = hook_folder(state_folder(loaded))
    with _writing(folder) as inbox:
        new = sum(
            inbox.add([Arrival(event, now, origin="replay") for event in found.events[start : start + EVENTS_A_COMMIT]])
            for start in range(0, len(found.events), EVENTS_A_COMMIT)
        )
    return Imported(new, len(found.events) - new, found.strange, found.faulty, found.faults)


def find_recent(loaded: Loaded, since: datetime) -> dict[str, list[str]]:
    """Who left by webhooks that came at `since` or later, and by none before: list → addresses in normal form."""
    from syncengine.normalise.addresses import address_key  # noqa: PLC0415  # imports polars

    found: dict[str, list[str]] = {}
    with reading(hook_folder(state_folder(loaded))) as inbox:
        for list_id in our_lists(loaded):
            events = inbox.departures(list_id, after=0) if inbox is not None else []
            before = {address_key(one.address) for one in events if one.received_at < since.timestamp()}
            recent = {address_key(one.address) for one in events if one.received_at >= since.timestamp()}
            found[list_id] = sorted(recent - before)
    return found


def undo(loaded: Loaded, found: dict[str, list[str]], since: datetime, looked: datetime) -> int:
    """Take it that these people never left; gives how many were off. The inbox keeps the events, and a line in
    `webhooks/undone.jsonl` says who was lifted, as keyed ids. Raises LockError, StateError.

    looked   when they were found: whoever left since then, while a person was asked, stays off
    """
    from syncengine.lock import locked  # noqa: PLC0415
    from syncengine.news import InboxNews  # noqa: PLC0415
    from syncengine.state import ConsentBook  # noqa: PLC0415  # polars
    from syncengine.uptake import Listening, record_news  # noqa: PLC0415

    state = state_folder(loaded)
    now = datetime.now(UTC)
    lifted = 0
    with locked(state, doing="webhooks undo"), contextlib.closing(open_ledger(state)) as connection:
        books = {list_id: ConsentBook(connection, list_id) for list_id in found}
        for list_id, book in books.items():
            record_news(Listening(InboxNews(hook_folder(state), list_id), book), now)  # else they come back with it
        again = _who_left(loaded, looked)  # after that: whoever leaves now is in no book yet, and can't be lifted
        found = {name: [one for one in people if one not in again[name]] for name, people in found.items()}
        _note_undone(state, found, since, now)
        for list_id, addresses in found.items():
            lifted += books[list_id].lift(addresses, since=since)
    return lifted


def _who_left(loaded: Loaded, since: datetime) -> dict[str, set[str]]:
    """List → addresses in normal form of events that came at `since` or later."""
    from syncengine.normalise.addresses import address_key  # noqa: PLC0415  # imports polars

    with reading(hook_folder(state_folder(loaded))) as inbox:
        return {
            list_id: {
                address_key(one.address)
                for one in (inbox.departures(list_id, after=0) if inbox is not None else ())
                if one.received_at >= since.timestamp()
            }
            for list_id in our_lists(loaded)
        }


def _note_undone(state: Path, found: dict[str, list[str]], since: datetime, now: datetime) -> None:
    """Who is about to be lifted, and when that was said. Raises StateError."""
    secret = contact_key_of(state)
    line = {
        "at": now.isoformat(timespec="seconds"),
        "since": since.isoformat(timespec="seconds"),
        "contacts": {name: [contact_id(one, secret) for one in people] for name, people in found.items()},
    }
    file = hook_folder(state) / UNDONE
    try:
        before = file.read_bytes() if file.exists() else b""
        write_durably(file, before + json.dumps(line).encode() + b"\n")
    except OSError as error:
        raise StateError(
            f"{file}: can't be written",
            why=f"{error}; nobody is lifted without a note of it",
            fix="make room on the disk, or the folder writable, and run the same command again",
            code="state-write",
        ) from error


def status(loaded: Loaded) -> Status:
    """What came, and what no plan has taken up yet. Raises StateError."""
    state = state_folder(loaded)
    folder = hook_folder(state)
    paths = secret_path.read_paths(folder)
    with reading(folder) as inbox:
        backlogs = [_backlog(state, inbox, list_id) for list_id in our_lists(loaded)]
        return Status(
            folder,
            paths.rotated_at if paths else "",
            paths is not None and paths.previous is not None,
            inbox.tally() if inbox is not None else None,
            backlogs,
        )


def _backlog(state: Path, inbox: Inbox | None, list_id: str) -> Backlog:
    identity = inbox.identity if inbox is not None else ""
    taken, suppressed = hook_progress(state, list_id, identity)
    if inbox is None:
        return Backlog(list_id, 0, suppressed)
    waiting = len(inbox.departures(list_id, after=taken))
    since = time.time() - ALARM_SHOWN
    alarm = ""
    if len(inbox.departures(list_id, after=0, since=since)) >= ALARM_LEAST:
        from syncengine.news import InboxNews  # noqa: PLC0415  # imports polars, which most looks do without

        alarm = InboxNews(hook_folder(state), list_id).exodus(since, _contacts(state, list_id))
    return Backlog(list_id, waiting, suppressed, alarm)


def _contacts(state: Path, list_id: str) -> int:
    connection = read_ledger(state)
    if connection is None:
        return 0
    with contextlib.closing(connection):
        row = connection.execute("SELECT contacts FROM lists WHERE list = ?", (list_id,)).fetchone()
        return int(row[0]) if row else 0


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[Inbox]:
    """The inbox for writing. Raises StateError."""
    try:
        with contextlib.closing(open_inbox(folder)) as inbox:
            yield inbox
    except (sqlite3.Error, OSError) as error:
        raise StateError(
            f"{folder}: the inbox can't be written",
            why=f"{type(error).__name__}: {error}",
            fix="make room on the disk, or the folder writable, and run the same command again",
            code="inbox-unusable",
        ) from error


async def _until_signalled(run: Callable[[], Any]) -> None:
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()

        group.start_soon(watch)
        await run()


def _first(group: BaseExceptionGroup[OSError]) -> OSError:
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    if not isinstance(leaf, OSError):
        raise leaf
    return leaf
