"""The network rows of the fault matrix at the one door to HTTP, over real sockets that carry raw bytes.

Only what can not have reached the service counts as not sent; everything else is no answer, and nothing raises.
"""

import gzip
import socket
import ssl
import threading
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from pathlib import Path

import anyio
import pytest
import trustme

from syncengine.destinations._answers import read_answer
from syncengine.destinations._http import MAX_BODY, Door, Reply, tls_context
from syncengine.model import Accepted, Call, Fatal, NoAnswer
from syncengine.testing.raw_server import Line, answering, header, http, raw_server

pytestmark = pytest.mark.anyio

DoorTo = Callable[..., Door]
BODY = '{"emailListId":"x","contacts":[]}'
GOOD = b'{"result":true,"updated":["a"],"errors":[]}'


async def ask(door: Door) -> Reply | NoAnswer | Fatal:
    return await door.post("/api", BODY)


def unknown(outcome: object) -> bool:
    """Whether an attempt counts as "may have been carried out"."""
    return isinstance(outcome, NoAnswer) and outcome.sent


# Before anything is sent ----------------------------------------------------------------------------------------------


async def test_n01_a_name_nobody_knows_is_not_sent(door_to: DoorTo) -> None:
    outcome = await ask(door_to("https://no-such-host.invalid"))

    assert isinstance(outcome, NoAnswer)
    assert not outcome.sent


async def test_n03_a_refused_connection_is_not_sent(door_to: DoorTo) -> None:
    with raw_server(answering(http())) as server:
        pass

    outcome = await ask(door_to(server.url))

    assert isinstance(outcome, NoAnswer)
    assert not outcome.sent


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops every SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        yield port
        for one in waiting:
            one.close()


async def test_n04_a_connection_nobody_takes_is_given_up_and_not_sent(door_to: DoorTo, full_port: int) -> None:
    with anyio.fail_after(5):
        outcome = await ask(door_to(f"http://127.0.0.1:{full_port}", connect_timeout=0.2))

    assert isinstance(outcome, NoAnswer)
    assert (outcome.sent, "ConnectTimeout" in outcome.reason) == (False, True)


# In the middle --------------------------------------------------------------------------------------------------------


async def test_n06_a_reset_before_the_request_is_read_proves_nothing(door_to: DoorTo) -> None:
    def refuse(line: Line) -> None:
        line.connection.recv(1)
        line.reset()

    with raw_server(refuse) as server:
        assert unknown(await ask(door_to(server.url)))


async def test_n07_a_reset_in_the_middle_of_the_upload_proves_nothing(door_to: DoorTo) -> None:
    def cut(line: Line) -> None:
        line.read_head()
        line.connection.recv(1_000)
        line.reset()

    with raw_server(cut) as server:
        assert unknown(await door_to(server.url).post("/api", "x" * 5_000_000))


async def test_n20_an_upload_into_a_receiver_that_does_not_read_ends_at_the_deadline(door_to: DoorTo) -> None:
    with raw_server(Line.hold) as server, anyio.fail_after(5):
        assert unknown(await door_to(server.url, timeout=0.3).post("/api", "x" * 20_000_000))


# Answers that are none ------------------------------------------------------------------------------------------------

CUT = {
    "shorter than its length says": http(GOOD, content_length="1000"),
    "a chunk cut": http(b"40\r\n" + GOOD[:20], content_length="", transfer_encoding="chunked"),
    "the last chunk missing": http(b"2b\r\n" + GOOD + b"\r\n", content_length="", transfer_encoding="chunked"),
    "gzip cut": http(gzip.compress(GOOD)[:-9], content_encoding="gzip"),
    "gzip that is none": http(GOOD, content_encoding="gzip"),
    "an encoding nobody asked for": http(GOOD, content_encoding="br"),
    "a head cut": b"HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": b"",
    "no http": b"220 mail.example.com ESMTP\r\n",
}


@pytest.mark.parametrize("content", CUT.values(), ids=CUT.keys())
async def test_n10_an_answer_that_is_cut_is_no_answer(door_to: DoorTo, content: bytes) -> None:
    def script(line: Line) -> None:
        line.read()
        line.send(content)

    with raw_server(script) as server:
        assert unknown(await ask(door_to(server.url)))


async def test_n10_an_answer_without_a_length_counts_only_when_its_json_is_whole(door_to: DoorTo) -> None:
    def script(line: Line) -> None:
        line.read()
        line.send(http(GOOD if line.number else GOOD[:-1], content_length=""))

    with raw_server(script) as server:
        cut, whole = await ask(door_to(server.url)), await ask(door_to(server.url))

    assert isinstance(cut, Reply)
    assert unknown(read_answer(cut, Call.UPDATE, 1))
    assert isinstance(whole, Reply)
    assert read_answer(whole, Call.UPDATE, 1) == Accepted()


@pytest.mark.parametrize("content_type", ["text/plain", "text/html; charset=koi8-r", "", "application/octet-stream"])
async def test_n13_a_wrong_content_type_does_not_spoil_a_whole_answer(door_to: DoorTo, content_type: str) -> None:
    with raw_server(answering(http(GOOD, content_type=content_type))) as server:
        reply = await ask(door_to(server.url))

    assert isinstance(reply, Reply)
    assert read_answer(reply, Call.UPDATE, 1) == Accepted()


async def test_n19_an_answer_in_drops_ends_at_the_deadline(door_to: DoorTo) -> None:
    def slow(line: Line) -> None:
        line.read()
        line.drip(http(GOOD), 0.05)

    def slow_head(line: Line) -> None:
        line.read()
        line.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1_000, 0.05)

    for script in (slow, slow_head):
        with raw_server(script) as server, anyio.fail_after(5):
            outcome = await ask(door_to(server.url, timeout=0.4))
        assert unknown(outcome)


def endless(line: Line) -> None:
    line.read()
    line.send(http(b"", content_length="", transfer_encoding="chunked"))
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    while True:
        line.send(piece)


@cache
def squeezed() -> bytes:
    """512 MiB of nothing."""
    squeezer = zlib.compressobj(1, wbits=31)
    zeros = bytes(1 << 20)
    return b"".join(squeezer.compress(zeros) for _ in range(512)) + squeezer.flush()


def bomb(line: Line) -> None:
    line.read()
    line.send(http(squeezed(), content_encoding="gzip"))


def many_headers(line: Line) -> None:
    line.read()
    line.send(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 0123456789\r\n" % n for n in range(10_000)) + b"\r\n")


@pytest.mark.parametrize("script", [endless, bomb, many_headers])
async def test_n21_a_huge_answer_is_given_up_and_takes_no_memory(
    door_to: DoorTo, script: Callable[[Line], None]
) -> None:
    with raw_server(script) as server:
        door = door_to(server.url, timeout=30.0)
        await ask(door)
        tracemalloc.start()
        try:
            outcome = await ask(door)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert unknown(outcome)
    assert peak < 64 * 1024**2 + MAX_BODY


async def test_n25_two_answers_to_one_request_answer_nobody(door_to: DoorTo) -> None:
    """In one piece the second would be taken for the answer to the next request."""
    with raw_server(answering(http(GOOD) + http(b'{"result":true}'), http(GOOD))) as server:
        door = door_to(server.url)
        first = await ask(door)
        second = await ask(door)

    assert unknown(first)
    assert unknown(second)
    assert server.connections == 2


async def test_n25_an_answer_that_comes_before_its_request_is_not_taken(door_to: DoorTo) -> None:
    taken, sent = threading.Semaphore(0), threading.Semaphore(0)

    def eager(line: Line) -> None:
        while line.read():
            line.send(http(GOOD))
            taken.acquire(timeout=30)
            line.send(http(b'{"result":true,"updated":[],"errors":[]}'))
            sent.release()

    with raw_server(eager) as server:
        door = door_to(server.url)
        replies = []
        for _ in range(3):
            replies.append(await ask(door))
            taken.release()
            await anyio.to_thread.run_sync(lambda: sent.acquire(timeout=30))  # what nobody asked for has left

    assert {reply.body for reply in replies if isinstance(reply, Reply)} == {GOOD}
    assert server.connections == 3


@pytest.mark.parametrize(
    "status",
    [
        "204 No Content", "206 Partial Content", "304 Not Modified", "421 Misdirected Request", "408 Request Timeout",
        "500 Internal Server Error", "299 Whatever",
    ],
)  # fmt: skip
async def test_n26_an_odd_status_without_a_whole_answer_is_none(door_to: DoorTo, status: str) -> None:
    body = b"" if status.startswith(("204", "304")) else b"<html>"
    with raw_server(answering(http(body, status))) as server:
        reply = await ask(door_to(server.url))

    assert isinstance(reply, Reply)
    answer = read_answer(reply, Call.UPDATE, 1)
    assert unknown(answer) or (status.startswith("304") and isinstance(answer, Fatal))


async def test_n26_interim_answers_are_passed_over(door_to: DoorTo) -> None:
    flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with raw_server(answering(flood + http(GOOD))) as server:
        reply = await ask(door_to(server.url))

    assert isinstance(reply, Reply)
    assert read_answer(reply, Call.UPDATE, 1) == Accepted()


async def test_n27_a_connection_closed_between_requests_is_not_taken_for_not_sent(door_to: DoorTo) -> None:
    def once(line: Line) -> None:
        line.read()
        line.send(http(GOOD))
        line.read()  # the next request arrives, and the connection is gone

    with raw_server(once) as server:
        door = door_to(server.url)
        assert isinstance(await ask(door), Reply)
        second = await ask(door)
        third = await ask(door)

    assert unknown(second)
    assert isinstance(third, Reply)
    assert len(server.requests) == 3


# Please wait ----------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW.timestamp() + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("value", "waits"),
    [
        ("7", 7.0), ("0", 0.0), ("2.5", 2.5), (" 12 ", 12.0), ("1000000000", 300.0), (at(90), 90.0), (at(-5), 0.0),
        (at(3_600), 300.0), ("-1", None), ("soon", None), ("", None), ("1e3", None), ("٣", None), ("0x10", None),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None), ("7, 9", None), ("9" * 400, None),
    ],
)  # fmt: skip
async def test_n16_every_form_of_retry_after_is_understood_or_left_alone(
    door_to: DoorTo, value: str, waits: float | None
) -> None:
    """A date is measured against the answer's own `Date`: our clock is three days wrong here."""
    content = http(b"", "429 Too Many Requests", Date=at(0), Retry_After=value.encode().decode("latin-1"))
    with raw_server(answering(content)) as server:
        reply = await ask(door_to(server.url, now=lambda: datetime(2025, 12, 29, tzinfo=UTC)))

    assert isinstance(reply, Reply)
    assert reply.retry_after == waits


# Elsewhere ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("to", ["{attacker}/steal", "{own}/again", "file:///etc/passwd", "//{attacker}", "http://[::1"])
async def test_n22_a_redirect_is_never_followed(door_to: DoorTo, status: str, to: str) -> None:
    with raw_server(answering(http())) as attacker:
        own = "{own}"
        place = to.format(attacker=attacker.url, own=own)
        with raw_server(answering(http(b"", status, Location=place))) as server:
            reply = await ask(door_to(server.url))

    assert isinstance(read_answer(reply, Call.UPDATE, 1) if isinstance(reply, Reply) else reply, Fatal)
    assert (attacker.connections, len(server.requests)) == (0, 1)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[bytes]]:
    """Every variable that could lead a client astray points to a listener; gives what it is sent."""
    with raw_server(answering(http())) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password leaked")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("HOME", str(tmp_path))
        yield proxy.requests


async def test_n24_proxies_netrc_and_keylog_of_the_environment_are_ignored(
    door_to: DoorTo, proxies: list[bytes], tls: "Tls", tmp_path: Path
) -> None:
    with raw_server(answering(http(GOOD))) as plain, raw_server(answering(http(GOOD)), context=tls.good) as secure:
        for url in (plain.url, f"https://localhost:{secure.port}"):
            assert isinstance(await ask(door_to(url)), Reply)

    assert proxies == []
    assert header(plain.requests[0], "authorization") is None
    assert not (tmp_path / "keys").exists()


# TLS ------------------------------------------------------------------------------------------------------------------


class Tls:
    """Servers' sides of TLS, by a root the client trusts but for `stranger`."""

    def __init__(self) -> None:
        self.root = trustme.CA()
        self.good = self.server(self.root, "localhost")
        self.other_name = self.server(self.root, "elsewhere.example.com")
        self.expired = self.server(self.root, "localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
        self.stranger = self.server(trustme.CA(), "localhost")
        self.old = self.server(self.root, "localhost")
        self.old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is why
            self.old.minimum_version = ssl.TLSVersion.TLSv1
            self.old.maximum_version = ssl.TLSVersion.TLSv1_1

    @staticmethod
    def server(root: trustme.CA, name: str, not_after: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        root.issue_cert(name, not_after=not_after).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Tls:
    return Tls()


@pytest.fixture
def tls(authority: Tls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Tls]:
    """The client trusts the root, as it trusts whatever the system does."""
    path = tmp_path / "roots.pem"
    authority.root.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    tls_context.cache_clear()
    yield authority
    tls_context.cache_clear()


@pytest.mark.parametrize("fault", ["other_name", "expired", "stranger", "old"])
async def test_n23_a_host_that_is_not_who_it_says_ends_the_run_and_sees_no_request(
    door_to: DoorTo, tls: Tls, fault: str
) -> None:
    with raw_server(answering(http(GOOD)), context=getattr(tls, fault)) as server:
        outcome = await ask(door_to(f"https://localhost:{server.port}"))

    assert isinstance(outcome, Fatal)
    assert (outcome.code, server.requests, server.connections) == ("tls", [], 1)


async def test_n23_a_plain_server_on_a_tls_port_ends_the_run(door_to: DoorTo) -> None:
    def plain(line: Line) -> None:
        line.connection.recv(65_536)
        line.send(http(b"<html>", "400 Bad Request"))

    with raw_server(plain) as server:
        outcome = await ask(door_to(f"https://localhost:{server.port}"))

    assert isinstance(outcome, Fatal)
    assert outcome.code == "tls"


async def test_n02_another_machine_behind_the_same_name_must_show_the_names_certificate(
    door_to: DoorTo, tls: Tls
) -> None:
    """What a change of DNS in mid-run comes to: the next connection of the same name ends elsewhere."""

    def once(line: Line) -> None:
        line.read()
        line.send(http(GOOD, connection="close"))

    with raw_server(once, context=tls.good) as right:
        door = door_to(f"https://localhost:{right.port}")
        assert isinstance(await ask(door), Reply)
    with raw_server(answering(http(GOOD)), context=tls.other_name, port=right.port) as wrong:
        outcome = await ask(door)
    with raw_server(answering(http(GOOD)), context=tls.good, port=right.port):
        assert isinstance(await ask(door), Reply)

    assert isinstance(outcome, Fatal)
    assert wrong.requests == []
