import contextlib
import http.client
import importlib.util
import io
import json
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import pytest
from anyio.abc import TaskStatus
from anyio.from_thread import start_blocking_portal

from syncengine.webhooks.inbox import INBOX, Inbox, read_inbox
from syncengine.webhooks.station import Station, Terms

LIST = "5537ab2a08d241dc69326b19"


@dataclass
class Served:
    """A receiver on a real loopback port."""

    station: Station
    url: str  #: with the path
    metrics_url: str
    log: io.StringIO

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    def post(
        self, body: Any, *, path: str | None = None, method: str = "POST", headers: dict[str, str] | None = None
    ) -> int:
        """The status of one request; a body that is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        with contextlib.closing(connection):
            connection.request(
                method, path or self.path, raw, {"content-type": "application/json"} if headers is None else headers
            )
            return connection.getresponse().status

    def send(self, *parts: bytes) -> bytes:
        """The answer to bytes sent one after the other, as far as it comes before the connection closes."""
        with self.connect() as connection:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)
            return answer_of(connection)

    def head(self, *lines: str, path: str | None = None) -> bytes:
        """The head of a request, without the empty line that ends it."""
        first = f"POST {path or self.path} HTTP/1.1"
        return "\r\n".join([first, "Host: x", "Content-Type: application/json", *lines, ""]).encode()

    @staticmethod
    def event(event: str = "unsubscribed", email: str = "a@example.com", **more: Any) -> dict[str, Any]:
        """A contact event as documented."""
        now = int(time.time())
        return {"event": event, "email": email, "datetime": now, "contactId": "c1", "emailListId": LIST} | more

    @staticmethod
    def message(event: str = "hard", email: str = "a@example.com", **more: Any) -> dict[str, Any]:
        """A message event as documented."""
        return {"event": event, "email": email, "datetime": int(time.time()), "id": "m1", **more}

    def lines(self, name: str) -> list[dict[str, Any]]:
        """What the log says under a name."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.metrics_url}/metrics", timeout=10) as answer:  # noqa: S310  # loopback
            return str(answer.read().decode())

    @staticmethod
    def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Returns when `condition` holds; fails when it does not within `seconds`."""
        patience = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < patience, "it did not come about"
            threading.Event().wait(0.01)

    def inbox(self) -> Inbox:
        inbox = read_inbox(self.station.folder)
        assert inbox is not None
        return inbox

    def kept(self) -> list[tuple[str, str]]:
        """(event, address) of everything that takes consent away and is on disk."""
        if not (self.station.folder / INBOX).exists():
            return []
        with contextlib.closing(self.inbox()) as inbox:
            return [(one.event, one.address) for one in inbox.departures(LIST, after=0)]


def answer_of(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def receiving(folder: Path, terms: Terms, *, contacts: int = 0, lists: tuple[str, ...] = (LIST,)) -> Iterator[Served]:
    log = io.StringIO()
    station = Station(folder, lists, lambda _: contacts, b"k" * 32, log, terms, anyio.to_thread.run_sync)

    async def run(*, task_status: TaskStatus[tuple[str, str]]) -> None:
        await station.run(lambda url, path, metrics: task_status.started((url + path, metrics or "")))

    with start_blocking_portal(name="receiver") as portal:
        running, (url, metrics) = portal.start_task(run)
        try:
            yield Served(station, url, metrics, log)
        finally:
            running.cancel()


def _of_the_command_line() -> Any:
    """What the tests of the command line have: a project with a config, a source and a sandbox."""
    path = Path(__file__).parents[1] / "cli" / "conftest.py"
    spec = importlib.util.spec_from_file_location("conftest_of_cli", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


Project = _of_the_command_line().Project
project = _of_the_command_line().project

Receive = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def receive(tmp_path: Path) -> Receive:
    """Makes receivers on a free port, with the inbox in `tmp_path`."""

    def start(*, contacts: int = 0, lists: tuple[str, ...] = (LIST,), **terms: Any) -> AbstractContextManager[Served]:
        patient = {"store_seconds": 60.0} | terms  # a machine that is busy with other tests is no disk that fails
        return receiving(
            tmp_path / "webhooks", Terms(port=0, metrics_port=0, **patient), contacts=contacts, lists=lists
        )

    return start


@pytest.fixture
def served(receive: Receive) -> Iterator[Served]:
    with receive() as one:
        yield one
