"""The receiver as it runs: the app, the disk behind it, what it tells about itself, and what it notices.

Logs are JSON lines with keyed ids: no address, and never the path.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from syncengine.errors import StateError
from syncengine.keyed import contact_id
from syncengine.normalise.addresses import address_key
from syncengine.webhooks.events import HookEvent
from syncengine.webhooks.inbox import open_inbox
from syncengine.webhooks.intake import DEADLINE, Intake, InThread
from syncengine.webhooks.limits import Bucket, Exodus, is_alarming
from syncengine.webhooks.metrics import CONTENT_TYPE, Gauges, as_text
from syncengine.webhooks.receiver import READ_SECONDS, Receiver
from syncengine.webhooks.secret_path import make_paths, read_paths
from syncengine.webhooks.serving import HEAD_SECONDS, Door, serve

LOOPBACK: Final = "127.0.0.1"
PRUNE_EVERY: Final = 60  #: seconds


@dataclass(frozen=True, slots=True)
class Terms:
    """How the receiver is run. `rate` is events a second, sustained; `metrics_port` None: none are served."""

    host: str = LOOPBACK
    port: int = 8788
    metrics_port: int | None = None
    rate: float = 50.0
    connections: int = 64
    head_seconds: float = HEAD_SECONDS
    read_seconds: float = READ_SECONDS
    store_seconds: float = DEADLINE  #: until an event that is not on disk is told to come again


@dataclass(slots=True)
class Station:
    """Everything the receiver knows while it runs.

    folder      where the inbox and the path are kept
    lists       ids of the lists that are ours
    contacts    how many contacts a list has, as far as known; called in a thread
    secret      under which contacts get their ids in the log
    """

    folder: Path
    lists: tuple[str, ...]
    contacts: Callable[[str], int]
    secret: bytes
    log_to: TextIO
    terms: Terms
    in_thread: InThread
    receiver: Receiver = field(init=False)
    door: Door = field(init=False)
    events: Counter[str] = field(default_factory=Counter)
    last_at: float | None = None
    exodus: dict[str, Exodus] = field(init=False)
    alarms: dict[str, bool] = field(init=False)
    _refusals: Counter[tuple[int, str]] = field(default_factory=Counter)
    _log: Any = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door(most=self.terms.connections, head_seconds=self.terms.head_seconds)
        self.exodus = {name: Exodus() for name in self.lists}
        self.alarms = dict.fromkeys(self.lists, False)
        self.receiver = Receiver(
            make_paths(self.folder, datetime.now(UTC)),
            frozenset(self.lists),
            Intake(partial(open_inbox, self.folder), self.in_thread, deadline=self.terms.store_seconds),
            Bucket(self.terms.rate),
            self._kept,
            self._refused,
            read_seconds=self.terms.read_seconds,
        )
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(self.log_to),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
        )

    async def run(self, ready: Callable[[str, str, str | None], None]) -> None:
        """Serve until cancelled. `ready` gets the base URL, the path, and the address of the metrics.

        Raises OSError when a port cannot be had.
        """
        urls: dict[str, str] = {}

        def listening(what: str, url: str) -> None:
            urls[what] = url
            if len(urls) == 1 + (self.terms.metrics_port is not None):
                ready(urls["hook"], self.receiver.paths.current, urls.get("metrics"))

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self.receiver.intake.serve)
                group.start_soon(self._look_after)
                if self.terms.metrics_port is not None:
                    group.start_soon(self._serve_metrics, partial(listening, "metrics"))
                group.start_soon(self._serve_hook, partial(listening, "hook"))
        finally:
            with anyio.CancelScope(shield=True):
                await self.in_thread(self.receiver.intake.close)

    async def _serve_hook(self, ready: Callable[[str], None]) -> None:
        terms = self.terms
        await serve(self.receiver, host=terms.host, port=terms.port, door=self.door, ready=ready)

    async def _serve_metrics(self, ready: Callable[[str], None]) -> None:
        behind = Door(most=8, head_seconds=self.terms.head_seconds)
        await serve(self.metrics, host=LOOPBACK, port=self.terms.metrics_port or 0, door=behind, ready=ready)

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app that serves the numbers, on loopback only."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        known = Request(scope).method == "GET" and scope["path"] == "/metrics"
        text = as_text(self.gauges()) if known else "Not Found\n"
        answer = PlainTextResponse(text, 200 if known else 404, media_type=CONTENT_TYPE if known else None)
        await answer(scope, receive, send)

    def gauges(self) -> Gauges:
        """The numbers as they are now."""
        return Gauges(
            self.receiver.answers,
            self.events,
            self.last_at,
            len(self.door.open),
            self.receiver.intake.depth,
            not self.receiver.intake.problem,
            self.alarms,
            self.door.evicted,
        )

    async def look(self) -> None:
        """One look around: another path, refusals to be told, too many people leaving."""
        self._reload_paths()
        self._tell_refusals()
        for name, exodus in self.exodus.items():
            people = exodus.people(self.receiver.unix_now())
            contacts = await self._contacts(name) if people else 0
            alarming = is_alarming(people, contacts)
            if alarming and not self.alarms[name]:
                self._log.error("hook.alarm", list=name, people=people, contacts=contacts, minutes=10)
            self.alarms[name] = alarming

    async def _look_after(self) -> None:
        looks = 0
        while True:
            if looks % PRUNE_EVERY == 0:
                await self.receiver.intake.prune(self.receiver.unix_now())
            await self.look()
            await anyio.sleep(1.0)
            looks += 1

    async def _contacts(self, name: str) -> int:
        try:
            found: int = await self.in_thread(lambda: self.contacts(name))
        except StateError as error:
            self._log.warning("hook.state", problem=error.what)
            return 0
        return found

    def _reload_paths(self) -> None:
        try:
            paths = read_paths(self.folder)
        except StateError as error:
            self._log.error("hook.path", problem=error.why)  # the paths known so far stay valid
            return
        if paths is not None and paths != self.receiver.paths:
            self.receiver.paths = paths
            self._log.info("hook.rotated", two_are_valid=paths.previous is not None)

    def _kept(self, event: HookEvent, now: float) -> None:
        self.events[event.event] += 1
        self.last_at = now
        who = address_key(event.address)
        facts = {"kind": event.event, "contact": contact_id(who, self.secret), "list": event.list or None}
        if not event.lowers:
            self._log.debug("hook.kept", **facts)
            return
        self._log.info("hook.kept", **facts)
        for name in [event.list] if event.list else self.lists:
            self.exodus[name].left(who, now)

    def _refused(self, status: int, reason: str) -> None:
        self._refusals[status, reason] += 1

    def _tell_refusals(self) -> None:
        """A line a second and reason at most: a flood of requests must not become a flood of lines."""
        for (status, reason), count in self._refusals.items():
            self._log.warning("hook.refused", status=status, reason=reason, count=count)
        self._refusals.clear()
