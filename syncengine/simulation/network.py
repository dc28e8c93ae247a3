"""What lies between the engine's door and the service: every request takes its way through here.

A request that has left its process goes its own way: killing the process does not call it back. What the client sees
(`Flight` open) and what the service does are two things, as in life.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol

import httpx
from starlette.types import ASGIApp, Message

from syncengine.simulation.clock import Trace
from syncengine.simulation.weather import RETRY_AFTER, SHAPES, Fate, Weather

PATIENCE = 3_600.0  #: seconds a connection stays silent before anybody at the other end would notice
LATEST = 110.0  #: seconds after which nothing that was abandoned is carried out any more; the engine reckons with 120

_PAGE = b"<!doctype html><html><body><h1>We will be back soon</h1></body></html>"


class Line:
    """The connections of one process. `dead` once the process is."""

    def __init__(self) -> None:
        self.dead = False


@dataclass(slots=True, eq=False)
class Flight:
    """One request from where it left. `contacts`: address → what the service is asked to make of it; `subjects`: of
    each contact the address it is asked for by, and the one it is to have ("" if it is to be removed).
    """

    number: int
    line: Line
    path: str
    token: bytes
    body: bytes
    contacts: dict[str, str]
    subjects: tuple[tuple[str, str], ...]
    left_at: float
    fate: Fate
    is_open: bool = True  #: the client waits for it
    heard: int = 0  #: times the service carried it out
    lost: bool = False  #: it will never get there
    over: bool = False  #: it can't be carried out (again)


class Onlooker(Protocol):
    """Who watches the requests go by."""

    def leaves(self, flight: Flight) -> None:
        """A request is about to leave its process."""
        ...

    def lands(self, flight: Flight) -> None:
        """Its client has an answer, or none and will not get any."""
        ...


@dataclass(slots=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True)
class Network:
    """Carries requests to `app`, in `weather`."""

    app: ASGIApp
    weather: Weather
    trace: Trace
    onlookers: Sequence[Onlooker] = ()
    flights: list[Flight] = field(default_factory=list)
    on_the_way: set[asyncio.Task[_Answer]] = field(default_factory=set)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def transport(self, line: Line) -> httpx.AsyncBaseTransport:
        """For one client of a process."""
        return _Transport(self, line)

    def cut(self, line: Line) -> None:
        """The process at this end is dead. What it has sent may still arrive, or not."""
        line.dead = True
        for flight in self.flights:
            if flight.line is line and flight.is_open:
                flight.lost = not flight.heard and self.weather.chance.random() < 0.5
                self._land(flight)

    def inherit(self, flight: Flight, arrives: float | None) -> None:
        """A request of a process that is gone: it is carried out after so many seconds, or never (None)."""
        line = Line()
        line.dead = True
        left = replace(flight, number=next(self._numbers), line=line, is_open=False, lost=arrives is None)
        self.flights.append(left)
        for onlooker in self.onlookers:
            onlooker.lands(left)
        if arrives is not None:
            self._start(left, arrives)

    async def settled(self) -> None:
        """Returns when nothing is on its way any more."""
        while self.on_the_way:
            await asyncio.wait(self.on_the_way)

    # -- one request -------------------------------------------------------------------------------------------------

    async def carry(self, line: Line, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if line.dead:
            raise httpx.ConnectError("this process is dead")
        flight = self._depart(line, request, body)
        answer: httpx.Response | None = None
        try:
            answer = await self._meet(flight, request)
        finally:
            if answer is None:
                self._land(flight)
        return answer

    def _depart(self, line: Line, request: httpx.Request, body: bytes) -> Flight:
        now = asyncio.get_running_loop().time()
        fate = self.weather.fate(now)
        token = request.headers["access-token"].encode()
        told = contacts_of(body), subjects_of(body)
        flight = Flight(next(self._numbers), line, request.url.path, token, body, *told, now, fate)
        self.flights.append(flight)
        self.trace.note("leaves", flight.number, request.url.path, fate, body.decode())
        for onlooker in self.onlookers:
            onlooker.leaves(flight)
        return flight

    def _land(self, flight: Flight) -> None:
        if flight.is_open:
            flight.is_open = False
            self.trace.note("lands", flight.number, flight.heard)
            for onlooker in self.onlookers:
                onlooker.lands(flight)

    async def _meet(self, flight: Flight, request: httpx.Request) -> httpx.Response:
        """The request's fate, as its client sees it."""
        chance = self.weather.chance
        match flight.fate:
            case Fate.REFUSED:
                flight.over = True
                raise httpx.ConnectError("connection refused")
            case Fate.NO_CONNECTION:
                flight.over = True
                await asyncio.sleep(10.0)
                raise httpx.ConnectTimeout("no connection within 10 s")
            case Fate.WELL:
                return self._told(flight, await self._delivered(flight, self.weather.delay()))
            case Fate.SLOW:
                return self._told(flight, await self._delivered(flight, chance.uniform(0.5, 45.0)))
            case Fate.TWICE:
                return self._told(flight, await self._delivered(flight, self.weather.delay(), times=2))
            case Fate.LATE:
                self._start(flight, chance.uniform(1.0, LATEST))
                await asyncio.sleep(chance.choice((0.0, 0.5, PATIENCE)))
                raise httpx.ReadError("connection reset by peer")
            case Fate.CUT | Fate.CUT_QUIETLY | Fate.DRIP:
                return self._mangled(flight, await self._delivered(flight, self.weather.delay()))
            case _:
                return await self._disturbed(flight, request)

    async def _disturbed(self, flight: Flight, request: httpx.Request) -> httpx.Response:
        """Fates that come in two: the service never hears of it, or does and its answer is lost."""
        chance = self.weather.chance
        if flight.fate.endswith("-unanswered"):
            await self._delivered(flight, self.weather.delay())
        else:
            flight.over = True
            await asyncio.sleep(self.weather.delay())
        match flight.fate:
            case Fate.RESET_UNHEARD | Fate.RESET_UNANSWERED:
                raise httpx.ReadError("connection reset by peer", request=request)
            case Fate.SILENCE_UNHEARD | Fate.SILENCE_UNANSWERED:
                await asyncio.sleep(PATIENCE)
                raise httpx.ReadTimeout("no answer", request=request)
            case Fate.PAGE_UNHEARD | Fate.PAGE_UNANSWERED:
                answer = _Answer(200, [(b"content-type", b"text/html")], _PAGE)
            case Fate.SHAPE_UNHEARD | Fate.SHAPE_UNANSWERED:
                answer = _Answer(200, [(b"content-type", b"application/json")], chance.choice(SHAPES))
            case Fate.THROTTLED:
                wait = chance.choice(RETRY_AFTER)
                answer = _Answer(429, [] if wait is None else [(b"retry-after", wait.encode())], _PAGE)
            case _:
                answer = _Answer(chance.choice((500, 502, 503, 504)), [(b"content-type", b"text/html")], _PAGE)
        return self._told(flight, answer)

    def _told(self, flight: Flight, answer: _Answer) -> httpx.Response:
        return httpx.Response(answer.status, headers=answer.headers, stream=_Stream(self, flight, [answer.body]))

    def _mangled(self, flight: Flight, answer: _Answer) -> httpx.Response:
        """The true answer, in part: less than all of it is never what it was."""
        part = answer.body[: self.weather.chance.randrange(len(answer.body))]
        headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
        match flight.fate:
            case Fate.CUT:
                end: Exception | float = httpx.RemoteProtocolError("peer closed connection without a complete body")
            case Fate.CUT_QUIETLY:
                end = 0.0
            case _:
                end = PATIENCE
        return httpx.Response(answer.status, headers=headers, stream=_Stream(self, flight, [part], end))

    # -- the service's end -------------------------------------------------------------------------------------------

    async def _delivered(self, flight: Flight, after: float, *, times: int = 1) -> _Answer:
        """The service's answer. Whoever waits for it may go; the request does not come back."""
        return await asyncio.shield(self._start(flight, after, times=times))

    def _start(self, flight: Flight, after: float, *, times: int = 1) -> "asyncio.Task[_Answer]":
        task = asyncio.create_task(self._arrive(flight, after, times=times))
        self.on_the_way.add(task)
        task.add_done_callback(self.on_the_way.discard)
        return task

    async def _arrive(self, flight: Flight, after: float, *, times: int) -> _Answer:
        answer = _Answer(0, [], b"")
        for _ in range(times):
            await asyncio.sleep(after)
            if flight.lost:
                break
            flight.heard += 1
            answer = await _served(self.app, flight)
            self.trace.note("heard", flight.number, answer.status, answer.body)
        flight.over = True
        return answer


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: Network, line: Line) -> None:
        self._network = network
        self._line = line
        self._response: httpx.Response | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._response = await self._network.carry(self._line, request)
        return self._response

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()


class _Stream(httpx.AsyncByteStream):
    """An answer's body; it lands with its last byte, or when nobody reads on. `end`: raised, or seconds of silence."""

    def __init__(self, network: Network, flight: Flight, parts: list[bytes], end: Exception | float = 0.0) -> None:
        self._network = network
        self._flight = flight
        self._parts = parts
        self._end = end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part
        if isinstance(self._end, Exception):
            raise self._end
        if self._end:
            await asyncio.sleep(self._end)

    async def aclose(self) -> None:
        self._network._land(self._flight)  # noqa: SLF001  # its own network


async def _served(app: ASGIApp, flight: Flight) -> _Answer:
    """The answer of an ASGI app to a request whose client never leaves."""
    answer = _Answer(0, [], b"")
    told = iter([{"type": "http.request", "body": flight.body, "more_body": False}])

    async def receive() -> Message:
        message = next(told, None)
        return message if message is not None else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message["headers"])
        else:
            answer.body += message.get("body", b"")

    headers = [(b"host", b"simulated"), (b"access-token", flight.token)]
    await app({"type": "http", "method": "POST", "path": flight.path, "headers": headers}, receive, send)
    return answer


def contacts_of(body: bytes) -> dict[str, str]:
    """Address → the content the body asks for, as text that can be compared. A rename is about both its addresses."""
    told: Any = json.loads(body)
    found: dict[str, str] = {}
    for email in told.get("emails", ()):
        found[email.lower()] = "removed"
    single = [told] if "contact" in told else []
    for contact in [*told.get("contacts", ()), *single]:
        parameters = contact.get("parameters", contact)
        content = json.dumps(
            [parameters.get("name"), parameters.get("active"), sorted(map(str, parameters.get("variables", ())))]
        )
        for email in (contact.get("contact"), parameters.get("email")):
            if email is not None:
                found[email.lower()] = content
    return found


def subjects_of(body: bytes) -> tuple[tuple[str, str], ...]:
    """Of each contact in a request the address it is asked for by, and the one it is to have; "" to be removed."""
    told: Any = json.loads(body)
    removed = [(email.lower(), "") for email in told.get("emails", ())]
    others = told.get("contacts", [told] if "contact" in told else [])
    found: list[tuple[str, str]] = []
    for contact in others:
        by = contact.get("contact", contact.get("email"))
        found.append((by.lower(), contact.get("parameters", contact).get("email", by).lower()))
    return (*removed, *found)
