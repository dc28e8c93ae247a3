"""One connection to one host: over real sockets, against servers that speak raw bytes."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import httpx
import pytest
import trustme

from syncengine.destinations._line import Asked, Line
from syncengine.destinations._plain import Plain

pytestmark = pytest.mark.anyio

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"result":true}'
Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """A server's side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        return head + await self.reader.readexactly(size)

    def reset(self) -> None:
        self.writer.transport.abort()


@dataclass
class Server:
    port: int = 0
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, scheme: str = "http") -> str:
        return f"{scheme}://localhost:{self.port}/api"


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            await script(Peer(reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            server.ended.set()

    async with await asyncio.start_server(connected, "localhost", 0, ssl=tls) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        for one in listening.sockets[1:]:
            one.close()
        yield server


async def answer_all(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.writer.write(ANSWER)


def one_answer(content: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(content)
        await peer.writer.drain()

    return script


async def turns(count: int = 50) -> None:
    """Let the loop look at its sockets a few times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def ask(line: Line, url: str, body: bytes = b"{}") -> bytes:
    request = httpx.Request("POST", url, content=body, extensions={"timeout": {"connect": 5.0}})
    response = await line.handle_async_request(request)
    return b"".join([part async for part in response.aiter_raw()])


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line(None)
    yield line
    await line.aclose()


async def test_requests_share_a_connection_and_arrive_whole(line: Line) -> None:
    seen = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            peer.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER)

    async with serving(script) as server:
        for body in (b"", b"x", b"y" * 3_000_000):
            assert await ask(line, server.url(), body) == b'{"result":true}'

    assert server.connections == 1
    assert [len(request.partition(b"\r\n\r\n")[2]) for request in seen] == [0, 1, 3_000_000]
    assert seen[0].startswith(b"POST /api HTTP/1.1\r\n")
    assert b"Host: localhost" in seen[0]


@pytest.mark.parametrize(
    "content",
    [
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"resul\r\n8\r\nt":true}\r\n0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\n\r\n{"result":true}',
        b'HTTP/1.1 200 OK\nContent-Length: 15\n\n{"result":true}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{"result":true}',
    ],
)
async def test_an_answer_may_come_in_chunks_or_end_with_the_connection(line: Line, content: bytes) -> None:
    async with serving(one_answer(content)) as server:
        for _ in range(2):
            assert await ask(line, server.url()) == b'{"result":true}'
            await turns()

    assert server.connections == 2


async def test_a_connection_the_server_closed_meanwhile_or_that_idled_too_long_is_opened_anew(line: Line) -> None:
    async with serving(one_answer(ANSWER)) as server:
        await ask(line, server.url())
        await server.ended.wait()
        await turns()
        await ask(line, server.url())
    assert server.connections == 2

    impatient = Line(None, idle=0.0)
    async with serving(answer_all) as server:
        await ask(impatient, server.url())
        await ask(impatient, server.url())
    await impatient.aclose()
    assert server.connections == 2


async def test_only_before_the_connection_stands_is_it_a_connect_error(line: Line) -> None:
    async with serving(answer_all) as server:
        pass
    with pytest.raises(httpx.ConnectError):
        await ask(line, server.url())
    with pytest.raises(httpx.ConnectError):
        await ask(line, "http://no-such-host.invalid")

    async def hang_up(peer: Peer) -> None:
        await peer.request()

    async def reset(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    for script in (hang_up, reset):
        async with serving(script) as server:
            with pytest.raises(httpx.RemoteProtocolError):
                await ask(line, server.url())
        await line.aclose()


async def test_an_answer_that_ends_with_its_connection_is_not_complete_when_that_breaks(line: Line) -> None:
    began = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        await peer.writer.drain()
        await began.wait()
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.reset()

    async with serving(script) as server:
        request = httpx.Request("POST", server.url(), content=b"{}")
        response = await line.handle_async_request(request)
        parts = response.aiter_raw()
        assert await anext(parts) == b"{"
        began.set()
        with pytest.raises(httpx.ReadError):
            await anext(parts)


async def test_bytes_behind_an_answer_make_it_none_and_end_the_connection(line: Line) -> None:
    async def glued(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(ANSWER + ANSWER)
        await peer.reader.read()

    async with serving(glued) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="more than one answer"):
            await ask(line, server.url())
        with pytest.raises(httpx.RemoteProtocolError, match="more than one answer"):
            await ask(line, server.url())

    assert server.connections == 2


async def test_bytes_nobody_asked_for_end_an_idle_connection(line: Line) -> None:
    ask_again = asyncio.Event()

    async def late(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(ANSWER)
        if server.connections > 1:
            return
        await ask_again.wait()
        peer.writer.write(ANSWER.replace(b"true", b"fals"))
        assert await peer.reader.read() == b""  # and no request comes

    async with serving(late) as server:
        await ask(line, server.url())
        ask_again.set()
        await server.ended.wait()
        assert await ask(line, server.url()) == b'{"result":true}'

    assert server.connections == 2


# A request that is repeated -------------------------------------------------------------------------------------------


async def exchange(line: Line, server: Server, body: bytes = b"{}", seconds: float = 5.0) -> Plain | bytes:
    """An answer read in one go; bytes: one that h11 read."""
    asked = Asked.of(httpx.Request("POST", server.url(), headers={"x-of-ours": "1"}))
    answer = await line.exchange(asked, body, deadline=asyncio.get_running_loop().time() + seconds)
    if isinstance(answer, Plain):
        return answer
    return b"".join([part async for part in answer.aiter_raw()])


async def test_a_repeated_request_arrives_as_httpx_would_send_it(line: Line) -> None:
    seen = []

    async def script(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            peer.writer.write(ANSWER)

    async with serving(script) as server:
        for body in (b"{}", b"y" * 3_000_000, b""):
            assert await exchange(line, server, body) == Plain(200, b'{"result":true}', None, None)

    assert server.connections == 1
    heads, bodies = zip(*(request.split(b"\r\n\r\n", 1) for request in seen), strict=True)
    assert [len(body) for body in bodies] == [2, 3_000_000, 0]
    assert [head.count(b"Content-Length: %d" % len(body)) for head, body in zip(heads, bodies, strict=True)] == [
        1,
        1,
        1,
    ]
    assert heads[0].startswith(b"POST /api HTTP/1.1\r\n")
    assert b"\r\nx-of-ours: 1\r\n" in heads[0]


async def test_an_answer_in_drops_is_read_when_it_is_whole(line: Line) -> None:
    async def drops(peer: Peer) -> None:
        while True:
            await peer.request()
            for byte in ANSWER:
                peer.writer.write(bytes([byte]))
                await peer.writer.drain()
                await asyncio.sleep(0)

    async with serving(drops) as server:
        for _ in range(2):
            assert await exchange(line, server) == Plain(200, b'{"result":true}', None, None)
    assert server.connections == 1


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER,
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"resul\r\n8\r\nt":true}\r\n0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\n\r\n{"result":true}',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 15\r\n\r\n{"result":true}',
    ],
)
async def test_an_unusual_answer_is_h11s_whatever_came_of_it_before(line: Line, content: bytes) -> None:
    async def halves(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(content[:20])
        await peer.writer.drain()
        await turns(5)
        peer.writer.write(content[20:])

    async with serving(halves) as server:
        for _ in range(2):
            assert await exchange(line, server) == b'{"result":true}'
            await line.aclose()


@pytest.mark.parametrize("content", [ANSWER + ANSWER, ANSWER[:-1], ANSWER[:30], b"", b"X" * 100_000 + b"\r\n\r\n"])
async def test_a_repeated_request_takes_no_answer_that_is_not_one(line: Line, content: bytes) -> None:
    async with serving(one_answer(content)) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await exchange(line, server)


async def test_an_answer_that_does_not_come_in_time_is_given_up_with_its_connection(line: Line) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(ANSWER[:-1])
        await peer.reader.read()

    async with serving(silent) as server:
        with pytest.raises(TimeoutError):
            await exchange(line, server, seconds=0.05)
        assert not line.stands
        with anyio.fail_after(5):
            await server.ended.wait()


async def test_a_request_that_is_given_up_leaves_no_connection(line: Line) -> None:
    arrived = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await peer.reader.read()

    async with serving(silent) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, line, server.url())
            await arrived.wait()
            group.cancel_scope.cancel()
        await line.aclose()
        with anyio.fail_after(5):
            await server.ended.wait()


async def test_reading_pauses_while_nobody_takes_what_came(line: Line) -> None:
    sent = 0

    async def flood(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(100):
            peer.writer.write(b"x" * 1_000_000)
            await peer.writer.drain()
            sent += 1

    async with serving(flood) as server:
        response = await line.handle_async_request(httpx.Request("POST", server.url(), content=b"{}"))
        await turns(1_000)
        held = sent
        size = 0
        async for part in response.aiter_raw():
            size += len(part)

    assert size == 100_000_000
    assert held < 50
    assert sent == 100


@pytest.mark.parametrize("head", [b"X: " + b"y" * 200_000, b"".join(b"X-%d: y\r\n" % n for n in range(10_000))])
async def test_a_head_that_does_not_end_is_no_answer(line: Line, head: bytes) -> None:
    async with serving(one_answer(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(line, server.url())


async def test_with_tls_the_host_is_asked_who_it_is() -> None:
    root, stranger = trustme.CA(), trustme.CA()
    trusting = ssl.create_default_context()
    root.configure_trust(trusting)
    sides = {}
    for name, authority, host in [
        ("good", root, "localhost"),
        ("other", root, "x.example"),
        ("bad", stranger, "localhost"),
    ]:
        sides[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(sides[name])
    line = Line(trusting)

    async with serving(answer_all, sides["good"]) as server:
        for _ in range(2):
            assert await ask(line, server.url("https")) == b'{"result":true}'
        assert server.connections == 1
        await line.aclose()
    for name in ("other", "bad"):
        async with serving(answer_all, sides[name]) as server:
            with pytest.raises(httpx.ConnectError) as met:
                await ask(line, server.url("https"))
            assert isinstance(met.value.__cause__, ssl.SSLCertVerificationError)
            await line.aclose()
