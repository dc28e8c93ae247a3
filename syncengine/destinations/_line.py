"""One connection to one host as an httpx transport: what httpx and h11 do, without httpx's pool.

A request that is repeated all day is an `Asked`: its head is made once, and an answer of the usual form is read in one
go (`_plain`). Any other is h11's, which httpx uses too: strict, and it tells what came behind an answer. Kept here:

 - what happens before the connection stands (and TLS with it) is a ConnectError or ConnectTimeout, whatever happens
   later is another error: only the former mean that nothing was sent;
 - an answer is complete or an error; with bytes behind it, it is one too, and the connection is not used again;
 - bytes nobody asked for end an idle connection, and one that has idled too long is opened anew;
 - reading pauses while nobody takes what came.

The caller holds the deadline of the whole attempt, and closes the line unless it ended in order.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, cast

import aiohappyeyeballs
import anyio
import h11
import httpx

from syncengine.destinations._plain import Plain, PlainHead, plain_head

IDLE_SECONDS: Final = 5.0  #: as httpx; servers and what stands between close idle connections after 15 s and more
_HEAD_ENDS: Final = re.compile(rb"\n\r?\n")  # as h11 sees it: some servers end a line with LF alone
MAX_HEAD: Final = 64 * 1024  #: bytes of an answer's headers
MAX_WAITING: Final = 256 * 1024  #: bytes that came and were not taken yet
SECOND_ADDRESS_AFTER: Final = 0.25  #: seconds until the next address of a host is tried beside the first (RFC 8305)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request but for its body. `head` is all of it up to the length of the body, in bytes."""

    request: httpx.Request
    start: h11.Request
    head: bytes

    @classmethod
    def of(cls, request: httpx.Request) -> "Asked":
        """Raises httpx.LocalProtocolError for a header that is none."""
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
        try:
            start = h11.Request(method=request.method, target=request.url.raw_path, headers=headers)
            head = h11.Connection(h11.CLIENT).send(start) or b""
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        return cls(request, start, head.removesuffix(b"\r\n"))

    def bytes_with(self, body: bytes | None) -> list[bytes]:
        if body is None and self.request.method in {"GET", "DELETE"}:
            return [self.head, b"\r\n"]
        return [b"%bContent-Length: %d\r\n\r\n" % (self.head, len(body or b"")), body or b""]


class Line(httpx.AsyncBaseTransport):
    """One connection, opened when first needed and again when it was lost. One request at a time."""

    def __init__(self, tls: ssl.SSLContext | None, *, idle: float = IDLE_SECONDS) -> None:
        self._tls = tls
        self._idle = idle
        self._wire: _Wire | None = None

    @property
    def stands(self) -> bool:
        """Whether a request would leave at once."""
        return self._wire is not None and self._wire.usable(self._idle)

    async def connect(self, request: httpx.Request) -> "_Wire":
        """Open the connection that `request` will leave on. Raises as `handle_async_request` does."""
        await self.aclose()
        self._wire = await self._connected(request)
        return self._wire

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        wire = self._wire
        if wire is None or not wire.usable(self._idle):
            wire = await self.connect(request)
        wire.send(Asked.of(request), request.content if "content-length" in request.headers else None)
        return await self._begun(wire)

    async def _begun(self, wire: "_Wire") -> httpx.Response:
        try:
            head = await wire.head()
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=_Body(wire))

    async def exchange(self, asked: Asked, body: bytes | None, *, deadline: float) -> Plain | httpx.Response:
        """Send a request; the answer is whole, or begins where it is in any way unusual.

        Raises as `handle_async_request` does, and TimeoutError at `deadline` (loop time) unless it has begun by then.
        """
        wire = self._wire
        if wire is None or not wire.usable(self._idle):
            wire = await self.connect(asked.request)
        timer = asyncio.get_running_loop().call_at(deadline, wire.expire)
        try:
            answer = await wire.ask(asked, body)
            return answer or await self._begun(wire)
        finally:
            timer.cancel()

    async def aclose(self) -> None:
        if self._wire is not None:
            wire, self._wire = self._wire, None
            wire.abort()
            await wire.gone()

    async def _connected(self, request: httpx.Request) -> "_Wire":
        url = request.url
        secure = url.scheme == "https"
        host, port = url.raw_host.decode("ascii"), url.port or (443 if secure else 80)
        try:
            with anyio.fail_after(request.extensions.get("timeout", {}).get("connect")):
                return await _connect(host, port, self._tls if secure else None)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {host} in time") from error
        except OSError as error:  # those of ssl and of names that do not resolve are, too
            raise httpx.ConnectError(str(error)) from error


async def _connect(host: str, port: int, tls: ssl.SSLContext | None) -> "_Wire":
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    plain = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=SECOND_ADDRESS_AFTER, interleave=1)
    try:
        _, wire = await loop.create_connection(
            lambda: _Wire(loop), sock=plain, ssl=tls, server_hostname=host if tls else None
        )
    except BaseException:
        plain.close()
        raise
    return wire


class _Body(httpx.AsyncByteStream):
    """The rest of an answer."""

    def __init__(self, wire: "_Wire") -> None:
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (part := await self._wire.part()) is not None:
                yield part
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error


class _Wire(asyncio.Protocol):
    """Bytes of one connection, and where in the exchange of messages it stands."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._asked: Asked | None = None  # while the answer may still be of the usual form: then h11 knows of nothing
        self._came = bytearray()
        self._head: PlainHead | None = None
        self._plain: Plain | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] = loop.create_future()
        self._busy = False
        self._over = False  # nothing more comes
        self._fault: Exception | None = None
        self._waiting = 0
        self._paused = False
        self._idle_since = loop.time()

    def usable(self, idle: float) -> bool:
        """Whether a request may be sent: the last one ended in order, less than `idle` seconds ago, and it stands."""
        return not (self._over or self._busy) and self._loop.time() - self._idle_since < idle

    def abort(self) -> None:
        """Let nothing more come or go."""
        self._over = True
        self._transport.abort()

    async def gone(self) -> None:
        """Return when the socket is closed."""
        await asyncio.shield(self._lost)

    def expire(self) -> None:
        """Whoever waits for an answer has waited long enough."""
        self.abort()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    # -- an answer of the usual form ---------------------------------------------------------------------------------

    async def ask(self, asked: Asked, body: bytes | None) -> Plain | None:
        """Send a request; its answer, or None where it is had from `head` and `part`."""
        self._busy = True
        self._asked, self._plain = asked, None
        self._waiter = self._loop.create_future()
        self._transport.writelines(asked.bytes_with(body))
        try:
            await self._waiter
        finally:
            self._waiter = None
        return self._plain

    def _take(self, data: bytes) -> None:
        """Bytes of an answer that may be of the usual form."""
        came = self._came
        came += data
        if self._head is None:
            if not _HEAD_ENDS.search(came, max(0, len(came) - len(data) - 3)):
                if len(came) > MAX_HEAD:
                    self._give_up_plain()
                return
            self._head = plain_head(came)
        head = self._head
        if head is None or len(came) > head.end:
            self._give_up_plain()
        elif len(came) == head.end:
            self._plain = Plain(head.status, bytes(came[head.start :]), head.retry_after, head.date)
            self._asked, self._head, self._came = None, None, bytearray()
            self._busy = False
            self._idle_since = self._loop.time()
            self._wake()

    def _give_up_plain(self) -> None:
        """Let h11 have what came, as if it had heard all from the beginning."""
        if self._asked is None:
            return
        self._http.send(self._asked.start)
        self._http.send(h11.EndOfMessage())
        self._http.receive_data(bytes(self._came))
        self._waiting = len(self._came)
        self._asked, self._head, self._came = None, None, bytearray()
        self._wake()

    # -- any answer --------------------------------------------------------------------------------------------------

    def send(self, asked: Asked, body: bytes | None) -> None:
        """Send a request; the answer is then had from `head` and `part`."""
        self._busy = True
        self._http.send(asked.start)
        self._http.send(h11.EndOfMessage())
        self._transport.writelines(asked.bytes_with(body))

    async def head(self) -> h11.Response:
        """Status and headers of the answer; interim answers are passed over."""
        while True:
            match await self._event():
                case h11.Response(headers=headers) as head:
                    if sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD:
                        raise httpx.RemoteProtocolError(f"an answer with more than {MAX_HEAD:,} bytes of headers")
                    return head
                case h11.InformationalResponse():
                    continue
                case event:
                    raise httpx.RemoteProtocolError(f"{event!r} where an answer should begin")

    async def part(self) -> bytes | None:
        """The next bytes of the answer's body, or None at its end. Raises httpx.RemoteProtocolError for a surplus."""
        match await self._event():
            case h11.Data(data=data):
                return bytes(data)
            case h11.EndOfMessage():
                self._end()
                return None
            case event:
                raise httpx.RemoteProtocolError(f"{event!r} within an answer")

    def _end(self) -> None:
        surplus, _ = self._http.trailing_data
        if surplus:
            raise httpx.RemoteProtocolError("more than one answer to one request")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._busy = False
            self._idle_since = self._loop.time()
        else:
            self.abort()

    async def _event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._over:
                raise httpx.ReadError(str(self._fault or "the connection is closed")) from self._fault
            self._take_more()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _take_more(self) -> None:
        self._waiting = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    # -- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._busy:
            self.abort()  # nobody asked
            return
        if self._asked is not None:
            self._take(data)
            return
        self._http.receive_data(data)
        self._waiting += len(data)
        if self._waiting > MAX_WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fault = exc
        if exc is None:
            self._no_more()
        self._over = True  # a connection that broke has no end: what it brought is not taken for an answer
        self._give_up_plain()
        self._lost.set_result(None)
        self._wake()

    def _no_more(self) -> None:
        if not self._over:
            self._over = True
            self._give_up_plain()
            self._http.receive_data(b"")
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
