"""A sandbox on a real loopback port."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import anyio
import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    DEFAULT_TOKEN,
    Drip,
    Drop,
    Fault,
    Hang,
    LateApply,
    Sandbox,
    Truncate,
    running,
    serve,
)

ADD = "/api/rest/email-list/contacts/add"


def client_at(url: str, timeout: float = 5.0) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"access-token": DEFAULT_TOKEN}, timeout=timeout, trust_env=False)


def one(email: str) -> dict[str, object]:
    return {"emailListId": DEFAULT_LIST, "contacts": [{"email": email}]}


def eventually(condition: Callable[[], object]) -> None:
    """Asks until it is so, at most ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with running(sandbox) as url, client_at(url) as client:
        yield client


def test_the_api_the_control_and_the_pages_are_served(client: httpx.Client, sandbox: Sandbox) -> None:
    before = time.time()
    reply = client.post(ADD, json=one("a@example.com"))
    assert reply.json() == {"result": True}
    assert [*reply.headers] == ["date", "content-length", "content-type"]
    assert abs(sandbox.epoch + sandbox.log[0].at - before) < 5  # the true time, on a served sandbox
    assert client.get("/sandbox/stats").json()["contacts"] == 1
    assert "Newsletter" in client.get("/").text


def test_a_large_request_arrives_whole(client: httpx.Client, sandbox: Sandbox) -> None:
    contacts = [{"email": f"a{n}@example.com", "name": "x" * 1_000} for n in range(2_000)]
    assert client.post(ADD, json={"emailListId": DEFAULT_LIST, "contacts": contacts}).json() == {"result": True}
    assert len(sandbox.lists[DEFAULT_LIST].contacts) == 2_000


@pytest.mark.parametrize("what", [Drop(), Truncate(missing=5)])
def test_a_connection_is_closed_without_a_complete_answer(
    what: Drop | Truncate, client: httpx.Client, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(what=what))
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(ADD, json=one("a@example.com"))
    assert client.post(ADD, json=one("b@example.com")).json() == {"result": True}


def test_who_leaves_is_noticed_and_what_is_late_still_comes(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(what=Hang()), Fault(what=LateApply(0.2), nth=2))
    with running(sandbox) as url:
        for email in ("a@example.com", "b@example.com"):
            with client_at(url, timeout=0.1) as client, pytest.raises(httpx.ReadTimeout):
                client.post(ADD, json=one(email))
        with client_at(url) as client:
            eventually(lambda: client.get("/sandbox/stats").json()["contacts"])
    assert [contact.email for contact in sandbox.lists[DEFAULT_LIST].contacts.values()] == ["b@example.com"]
    assert [request.status for request in sandbox.log] == [None, None]


def test_an_answer_in_drops_arrives_whole(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(what=Drip(seconds=0.001, size=3)))
    assert client.post(ADD, json=one("a@example.com")).json() == {"result": True}


def test_requests_are_served_at_the_same_time(sandbox: Sandbox) -> None:
    sandbox.play("slow", {"latency": 0.2, "jitter": 0.0})

    async def scenario(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, headers={"access-token": DEFAULT_TOKEN}, trust_env=False) as client:
            await asyncio.gather(*(client.post(ADD, json=one(f"a{n}@example.com")) for n in range(8)))

    with running(sandbox) as url:
        asyncio.run(scenario(url))
    assert sandbox.watch.peak_in_flight > 1
    assert len(sandbox.lists[DEFAULT_LIST].contacts) == 8


def test_nothing_is_left_when_the_block_ends(sandbox: Sandbox) -> None:
    before = threading.active_count()
    for _ in range(2):  # a sandbox can be served again
        with running(sandbox) as url, client_at(url) as client:
            assert client.get("/sandbox/lists").status_code == 200
        with pytest.raises(httpx.ConnectError), client_at(url) as client:
            client.get("/")
    assert threading.active_count() == before


def test_a_request_in_flight_does_not_keep_the_server(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(what=Hang(), times=None))
    started = time.monotonic()
    with socket.socket() as connection:
        with running(sandbox) as url:
            host, port = url.removeprefix("http://").split(":")
            connection.connect((host, int(port)))
            connection.sendall(f"POST {ADD} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            eventually(lambda: sandbox.log)
        assert connection.recv(1) == b""
    assert time.monotonic() - started < 10
    assert sandbox.watch.in_flight == 0


def test_who_leaves_in_the_middle_of_a_request_has_asked_for_nothing(sandbox: Sandbox) -> None:
    with running(sandbox) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST {ADD} HTTP/1.1\r\nHost: x\r\naccess-token: {DEFAULT_TOKEN}\r\nContent-Length: 500\r\n\r\n"
            connection.sendall(head.encode() + b'{"emailListId": "')
            eventually(lambda: sandbox.log)
        eventually(lambda: sandbox.log[0].until)
    assert (sandbox.log[0].status, sandbox.watch.in_flight) == (None, 0)


def test_a_port_that_is_taken_is_an_error(sandbox: Sandbox) -> None:
    with running(sandbox) as url, pytest.raises(OSError), running(Sandbox(), port=int(url.rsplit(":", 1)[1])):  # noqa: PT011
        pass


def test_it_listens_on_ipv6_where_there_is_one(sandbox: Sandbox) -> None:
    if not socket.has_ipv6:
        pytest.skip("skipped: no IPv6")
    with running(sandbox, host="::1") as url, client_at(url) as client:
        assert url.startswith("http://[::1]:")
        assert client.get("/").status_code == 200


@pytest.mark.anyio
async def test_serving_ends_when_it_is_cancelled(sandbox: Sandbox) -> None:
    urls: list[str] = []
    listening = anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        listening.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: serve(sandbox, ready=ready))
        await listening.wait()
        async with httpx.AsyncClient(base_url=urls[0], trust_env=False) as client:
            assert (await client.get("/sandbox/lists")).status_code == 200
        tasks.cancel_scope.cancel()
    assert sandbox.hang_up is None
    async with httpx.AsyncClient(base_url=urls[0], trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
