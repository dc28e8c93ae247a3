"""The ASGI side of the API: one exchange, from the head of a request to the end of its answer.

In this order: the limits; the body; the faults that the script has for this request; the delay; the call itself, which
is one moment; the answer. Whoever waits here also listens for the client leaving. Leaving undoes nothing: what has been
taken up is carried out, as on a real server.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar, assert_never

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from syncengine.sandbox import carried
from syncengine.sandbox.arguments import Arguments, decode
from syncengine.sandbox.calls import answer
from syncengine.sandbox.contract import INSTANCE, PATHS, Endpoint
from syncengine.sandbox.faults import (
    ContentType,
    Delay,
    Drip,
    Drop,
    DuplicateApply,
    Fault,
    Hang,
    Html,
    Instead,
    LateApply,
    RawBody,
    Redirect,
    Status,
    Truncate,
    When,
    effect_name,
)
from syncengine.sandbox.fields import as_text
from syncengine.sandbox.limits import latency
from syncengine.sandbox.smartersends import answer_visit, instance_door, visit_of
from syncengine.sandbox.telling import Reply, page
from syncengine.sandbox.watch import fingerprint

if TYPE_CHECKING:
    from syncengine.sandbox.sandbox import Sandbox


_Work = Callable[[], Reply]
_E = TypeVar("_E", ContentType, Drip, DuplicateApply, LateApply, Truncate)


class ConnectionDroppedError(ConnectionError):
    """In process there is no connection to drop: this comes out of the app instead, for the transport to translate."""


class _ClientLeftError(Exception):
    """Nobody is there to answer."""


class Api:
    """The app: the API itself, and for every other path the one that `make_looking` makes (control and pages)."""

    def __init__(self, sandbox: "Sandbox", make_looking: Callable[[], ASGIApp]) -> None:
        self._sandbox = sandbox
        self._looking = cache(make_looking)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = _door(scope["path"]) if scope["type"] == "http" else None
        if door is None:
            await self._looking()(scope, receive, send)
            return
        exchange = _Exchange(self._sandbox, *door, scope, receive, send)
        try:
            await exchange.run()
        except _ClientLeftError:
            pass  # the log has it: a request without status
        finally:
            exchange.end()


class _Exchange:
    """One request. It keeps to the account and the onlooker it came to, even if the sandbox is reset meanwhile."""

    def __init__(
        self,
        sandbox: "Sandbox",
        endpoint: Endpoint,
        methods: tuple[str, ...],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._sandbox = sandbox
        self._methods = methods
        self._account = sandbox.account
        self._account.epoch = sandbox.epoch
        self._watch = sandbox.watch
        self._scope = scope
        self._receive = receive
        self._send = send
        self._token = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"access-token"), "")
        self._client_left = False
        self._request = self._watch.arrive(endpoint, fingerprint(self._token), sandbox.clock())

    def end(self) -> None:
        self._watch.depart(self._request, self._sandbox.clock())

    async def run(self) -> None:
        sandbox, request = self._sandbox, self._request
        in_flight = self._watch.in_flight
        turned_away = sandbox.limits.turned_away(
            self._account.behaviour, in_flight=in_flight, now=request.at, http_date=sandbox.http_date
        )
        body = await self._body()
        if self._scope["method"] not in self._methods:
            await self._answer(page(405, "405 Not Allowed", (("allow", ", ".join(self._methods)),)))
        elif turned_away is not None:
            await self._answer(turned_away)
        elif body is None:
            await self._answer(page(413, "413 Request Entity Too Large"))
        else:
            work = self._work(body)
            faults = sandbox.faults.due(request.endpoint, sandbox.chance) if sandbox.faults else []
            seconds = latency(self._account.behaviour, sandbox.chance, in_flight=in_flight)
            if faults:
                request.faults = [effect_name(fault.what) for fault in faults]
                await self._go_wrong(work, faults, seconds)
            else:
                await self._answer(await self._applied(work, after=seconds))

    def _work(self, body: bytes) -> "_Work":
        """What is to be done, not done yet."""
        if self._request.endpoint in INSTANCE:
            visit = visit_of(self._scope, body)
            return lambda: answer_visit(self._account, self._request, visit)
        arguments = decode(body)
        self._note(arguments)
        return lambda: answer(self._account, self._request, arguments, self._token)

    def _note(self, arguments: Arguments) -> None:
        request = self._request
        request.list_id = as_text(arguments.get("emailListId")) or ""
        request.size = carried.size(request.endpoint, arguments)
        emails = carried.addresses(request.endpoint, arguments)
        self._watch.carry(request, map(self._account.addresses.key, emails))

    async def _go_wrong(self, work: "_Work", faults: list[Fault], seconds: float) -> None:
        """The request under all the faults that are due."""
        late = _first(faults, LateApply)
        if late is not None:
            self._sandbox.go_on_with(self._apply_later(work, late.seconds, []))
            await self._hang()
        instead = _instead(faults, When.BEFORE_APPLY)
        before = seconds + _delay(faults, When.BEFORE_APPLY)
        if instead is not None:
            await self._wait(before)
            await self._answer_instead(instead)
            return
        times = 1 if _first(faults, DuplicateApply) is None else 2
        reply = await self._applied(work, after=before, times=times)
        await self._wait(_delay(faults, When.AFTER_APPLY))
        instead = _instead(faults, When.AFTER_APPLY)
        if instead is not None:
            await self._answer_instead(instead)
        else:
            await self._answer_marred(reply, faults)

    async def _applied(self, work: "_Work", *, after: float, times: int = 1) -> Reply:
        """The call's answer, the last one if it is carried out several times. Only with a delay does anybody wait."""
        if not after and times == 1:
            return work()
        replies: list[Reply] = []
        task = self._sandbox.go_on_with(self._apply_later(work, after, replies, times))
        await self._while_connected(asyncio.shield(task))
        return replies[-1]

    async def _apply_later(self, work: "_Work", seconds: float, replies: list[Reply], times: int = 1) -> None:
        await anyio.sleep(seconds)
        replies += (work() for _ in range(times))

    async def _answer_instead(self, effect: Instead) -> None:
        match effect:
            case Status(code, retry_after, body, content_type):
                headers = () if retry_after is None else (("retry-after", retry_after),)
                plain = page(code, _status_line(code), headers)
                await self._answer(plain if body is None else Reply(code, body.encode(), content_type, headers))
            case Html(title):
                await self._answer(page(200, title))
            case RawBody(raw, status, content_type, encoding):
                headers = () if encoding is None else (("content-encoding", encoding),)
                await self._answer(Reply(status, raw, content_type, headers))
            case Redirect(url, status):
                await self._answer(page(status, _status_line(status), (("location", url),)))
            case Drop():
                await self._hang_up()
            case Hang():
                await self._hang()
            case _:
                assert_never(effect)

    async def _answer_marred(self, reply: Reply, faults: list[Fault]) -> None:
        """The true answer under another content type, cut, or in drops."""
        typed, cut, drip = _first(faults, ContentType), _first(faults, Truncate), _first(faults, Drip)
        if typed is not None:
            reply = replace(reply, content_type=typed.value)
        await self._start(reply)
        body = reply.body if cut is None else reply.body[: max(len(reply.body) - cut.missing, 0)]
        step = len(body) if drip is None else drip.size
        for at in range(0, len(body), max(step, 1)):
            if at and drip is not None:
                await self._wait(drip.seconds)
            await self._send({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
        if cut is not None:
            await self._hang_up()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, reply: Reply) -> None:
        await self._start(reply)
        await self._send({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def _start(self, reply: Reply) -> None:
        self._request.status = reply.status
        self._request.errors = reply.errors
        headers = [
            (b"date", self._sandbox.http_date(self._sandbox.clock(), math.floor).encode()),
            (b"content-length", b"%d" % len(reply.body)),
            *((name.encode(), value.encode("latin-1")) for name, value in reply.headers),
        ]
        if reply.content_type is not None:
            headers.append((b"content-type", reply.content_type.encode("latin-1")))
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def _body(self) -> bytes | None:
        """The whole body; None for one that is too large, which is read to its end but not kept."""
        most = self._account.behaviour.max_body
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientLeftError
            chunk = message.get("body", b"")
            size += len(chunk)
            if most is None or size <= most:
                chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks) if most is None or size <= most else None

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await self._while_connected(anyio.sleep(seconds))

    async def _while_connected(self, event: Awaitable[object]) -> None:
        """Raises _ClientLeftError when the client leaves first."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leave_with_client, tasks.cancel_scope)
            await event
            tasks.cancel_scope.cancel()
        if self._client_left:
            raise _ClientLeftError

    async def _leave_with_client(self, scope: anyio.CancelScope) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._client_left = True
        scope.cancel()

    async def _hang(self) -> None:
        await self._while_connected(anyio.sleep_forever())

    async def _hang_up(self) -> None:
        if self._sandbox.hang_up is None or not self._sandbox.hang_up(self._scope):
            raise ConnectionDroppedError("the sandbox closed the connection without a complete answer")
        await self._hang()


def _door(path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
    """The call behind a path, and the methods it takes."""
    endpoint = PATHS.get(path)
    return (endpoint, ("POST",)) if endpoint is not None else instance_door(path)


def _first(faults: list[Fault], kind: type[_E]) -> _E | None:
    return next((fault.what for fault in faults if isinstance(fault.what, kind)), None)


def _instead(faults: list[Fault], when: When) -> Instead | None:
    return next((fault.what for fault in faults if isinstance(fault.what, Instead) and fault.when is when), None)


def _delay(faults: list[Fault], when: When) -> float:
    return sum(fault.what.seconds for fault in faults if isinstance(fault.what, Delay) and fault.when is when)


def _status_line(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
