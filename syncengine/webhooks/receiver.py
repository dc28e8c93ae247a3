"""The ASGI app that SmartSender calls. It answers 200 when the event is durable, and never before.

Whoever does not know the path gets the same 404 for everything, whatever else is wrong with the request. Nobody gets a
reason: it stands in the log. Every answer closes the connection, so that a slow client is over with one deadline.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from syncengine.webhooks.events import MAX_BODY, BadEventError, HookEvent, StrangeListError, read_event
from syncengine.webhooks.inbox import Arrival
from syncengine.webhooks.intake import Intake, StoreUnavailableError
from syncengine.webhooks.limits import Bucket
from syncengine.webhooks.secret_path import HookPaths

READ_SECONDS: Final = 5.0  #: for a whole body

_WORDS: Final = {
    200: "ok",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


class _RefusedError(Exception):
    """The request ends with this status; the reason is for the log."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


@dataclass(slots=True)
class Receiver:
    """The app. `paths` may be replaced while it runs; `kept` and `refused` are told what became of each request.

    lists   ids of the lists that are ours
    kept    is called with an event that is durable
    """

    paths: HookPaths
    lists: Collection[str]
    intake: Intake
    bucket: Bucket
    kept: Callable[[HookEvent, float], None]
    refused: Callable[[int, str], None]
    unix_now: Callable[[], float] = time.time
    read_seconds: float = READ_SECONDS
    answers: Counter[int] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a websocket: nobody has business with one here
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        try:
            await self._take(request)
            status, headers = 200, {}
        except _RefusedError as refusal:
            status, headers = refusal.status, refusal.headers
            self.refused(status, refusal.reason)
        except ClientDisconnect:
            self.refused(408, "the client left")
            return
        self.answers[status] += 1
        answer = PlainTextResponse(_WORDS[status] + "\n", status, headers={"connection": "close", **headers})
        await answer(scope, receive, send)

    async def _take(self, request: Request) -> None:
        if not self.paths.opens(request.scope["path"]):
            raise _RefusedError(404, "wrong path")
        self._check_head(request)
        body = await self._body(request)
        now = self.unix_now()
        try:
            event = read_event(body, lists=self.lists, now=now)
        except StrangeListError as error:
            raise _RefusedError(404, str(error)) from error
        except BadEventError as error:
            raise _RefusedError(400, str(error)) from error
        remote = request.client.host if request.client else ""
        try:
            await self.intake.keep(Arrival(event, now, remote=remote))
        except StoreUnavailableError as error:
            raise _RefusedError(503, str(error), **{"retry-after": "1"}) from error
        self.kept(event, now)

    def _check_head(self, request: Request) -> None:
        if request.method != "POST":
            raise _RefusedError(405, request.method[:16], allow="POST")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise _RefusedError(415, "not application/json")
        if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise _RefusedError(415, "compressed")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MAX_BODY:
            raise _RefusedError(413, "content-length")
        if not self.bucket.take(time.monotonic()):
            raise _RefusedError(429, f"more than {self.bucket.rate:g} a second", **{"retry-after": "1"})

    async def _body(self, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            with anyio.fail_after(self.read_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > MAX_BODY:
                        raise _RefusedError(413, "body")
                    parts.append(part)
        except TimeoutError as error:
            raise _RefusedError(408, f"no whole body within {self.read_seconds:g} s") from error
        return b"".join(parts)
