"""The receiver as a process of its own: killed between disk and answer, and flooded while a sync runs."""

import contextlib
import http.client
import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from syncengine.webhooks.inbox import read_inbox

if TYPE_CHECKING:
    from conftest import Project

LIST = "5537ab2a08d241dc69326b19"

# What a receiver does on its way to the disk is handed to it: this one dies when the first event is there.
DYING = """
import os, signal, sys
from pathlib import Path
import anyio, anyio.to_thread
from syncengine.webhooks.inbox import read_inbox
from syncengine.webhooks.station import Station, Terms

folder, lists = Path(sys.argv[1]), (sys.argv[2],)

async def in_thread(work):
    done = await anyio.to_thread.run_sync(work)
    inbox = read_inbox(folder)
    if inbox is not None and inbox.last_id:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

station = Station(folder, lists, lambda _: 0, b"k" * 32, sys.stderr, Terms(port=0), in_thread)
anyio.run(station.run, lambda url, path, _: print("The receiver listens:", url + path, flush=True))
"""


@dataclass
class Running:
    """A receiver that runs, and where it listens."""

    process: "subprocess.Popen[str]"
    url: str

    def post(self, event: dict[str, Any] | bytes, *, path: str | None = None) -> int:
        """The status; 0 where the connection ended without one."""
        parts = urlsplit(self.url)
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        with contextlib.closing(connection):
            try:
                connection.request("POST", path or parts.path, body, {"content-type": "application/json"})
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0

    def connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=20)

    def peak_memory(self) -> int:
        """Bytes this process has had at most, so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


@contextlib.contextmanager
def running(folder: Path, *command: str) -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Running(process, process.stdout.readline().removeprefix("The receiver listens: ").strip())
        finally:
            process.kill()


def serving(project: "Project", *more: str) -> contextlib.AbstractContextManager[Running]:
    return running(project.folder, "-m", "syncengine", "webhooks", "serve", "--port", "0", *more)


def event(email: str, number: int = 0) -> dict[str, Any]:
    return {
        "event": "unsubscribed", "email": email, "datetime": 1_790_000_000 + number, "contactId": "c",
        "emailListId": LIST,
    }  # fmt: skip


def kept(folder: Path) -> tuple[Counter[str], int]:
    """How often each address is in the inbox, and how many copies came besides."""
    inbox = read_inbox(folder)
    if inbox is None:
        return Counter(), 0
    with contextlib.closing(inbox):
        return Counter(one.address for one in inbox.departures(LIST, after=0)), inbox.tally().copies


def until(condition: Callable[[], bool]) -> None:
    patience = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < patience, "it did not come about"
        threading.Event().wait(0.005)


@pytest.fixture
def hooks(project: "Project") -> Path:
    return project.folder / ".syncengine" / "webhooks"


def test_w6_killed_between_disk_and_answer_the_event_is_there_once_after_the_retry(
    project: "Project", hooks: Path
) -> None:
    with running(project.folder, "-c", DYING, str(hooks), LIST) as dying:
        unanswered = dying.post(event("anna@example.com"))
        died_of = dying.process.wait(timeout=20)
    left_behind = kept(hooks)

    with serving(project) as receiver:
        until(lambda: receiver.post(event("anna@example.com")) == 200)

    found, copies = kept(hooks)
    assert (unanswered, died_of, left_behind) == (0, -9, (Counter(["anna@example.com"]), 0))
    assert urlsplit(dying.url).path == urlsplit(receiver.url).path
    assert (found, copies >= 1) == (Counter(["anna@example.com"]), True)


def test_w6_whoever_sends_until_200_has_every_event_there_once_however_often_it_is_killed(
    project: "Project", hooks: Path
) -> None:
    people = [f"anna{number}@example.com" for number in range(300)]
    asked: Counter[int] = Counter()
    receiver: list[Running] = []
    over = threading.Event()

    def send(email: str) -> None:
        while not over.is_set():
            status = receiver[-1].post(event(email))
            asked[status] += 1
            if status == 200:
                return
            threading.Event().wait(0.02)  # as v3's postman does, sooner

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(8) as postmen:
        receiver.append(stack.enter_context(serving(project)))
        sent = [postmen.submit(send, email) for email in people]
        stack.callback(over.set)
        for share in (50, 150, 250):
            until(lambda share=share: sum(one.done() for one in sent) >= share)  # type: ignore[misc]
            receiver[-1].process.kill()
            receiver.append(stack.enter_context(serving(project)))
        for one in sent:
            one.result(timeout=60)

    found, _ = kept(hooks)
    assert found == Counter(people)
    assert asked[200] == len(people)


def test_w4_floods_and_slow_clients_leave_a_sync_under_way_alone(project: "Project", hooks: Path) -> None:
    project.write_source(*project.people(3000))
    over = threading.Event()
    answers: dict[str, Counter[int]] = {}
    acknowledged: set[str] = set()

    with serving(project, "--rate", "5", "--connections", "16") as receiver, contextlib.ExitStack() as held:
        path = urlsplit(receiver.url).path
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        memory = receiver.peak_memory()

        def tell(number: int) -> int:
            status = receiver.post(event(f"stranger{number}@example.com"))
            if status == 200:
                acknowledged.add(f"stranger{number}@example.com")
            return status

        def hold_open(number: int) -> int:
            """A head or half of one, and silence, until it is thrown out."""
            with contextlib.suppress(OSError):
                held.enter_context(receiver.connect()).sendall(head[: len(head) // (1 + number % 2)].encode())
            return int(over.wait(0.01)) * 0

        attacks: dict[str, Callable[[int], int]] = {
            "events": tell,
            "wrong path": lambda _: receiver.post(event("a@example.com"), path="/hook/x"),
            "no event": lambda _: receiver.post(b"[" * 8000),
            "huge": lambda _: receiver.post(b" " * 2_000_000),
            "slow": hold_open,
        }

        def keep_on(name: str) -> None:
            answers[name] = Counter()
            for number in itertools.takewhile(lambda _: not over.is_set(), itertools.count()):
                answers[name][attacks[name](number)] += 1

        with ThreadPoolExecutor(len(attacks)) as attackers:
            done = [attackers.submit(keep_on, name) for name in attacks]
            try:
                until(lambda: len(answers) == len(attacks) and all(answers.values()))
                report = project.run("sync", "--yes", "--json").report
            finally:
                over.set()
            for one in done:
                one.result()
        grown = receiver.peak_memory() - memory

    found, _ = kept(hooks)
    assert (report["result"], report["confirmed"]["add"], report["rejected"], report["pending"]) == ("ok", 3000, 0, 0)
    assert len(project.contacts.contacts) == 3000
    assert acknowledged <= set(found)
    assert set(found.values()) == {1}
    dropped = 0  # a connection that was not heard in time made room for another
    assert set(answers["events"]) <= {200, 429, 503, dropped}
    assert set(answers["wrong path"]) <= {404, dropped}
    assert set(answers["no event"]) <= {400, 429, dropped}
    assert set(answers["huge"]) <= {413, dropped}
    assert grown < 32 * 1024**2
