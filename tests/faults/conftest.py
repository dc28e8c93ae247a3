"""Three worlds to be unkind to: the engine in virtual time, the program in a process of its own, one door to HTTP."""

import asyncio
import contextlib
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncengine.anchor import Ledger
from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.journal import Journal
from syncengine.ledger import open_ledger
from syncengine.ports import Destination, Source
from syncengine.redaction import Secret
from syncengine.sandbox import ConnectionDroppedError, Sandbox
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.sandbox import EPOCH
from syncengine.sandbox.serve import running
from syncengine.state import StateStore
from syncengine.sync import Ended, Pace
from syncengine.testing import Trial, run_sync

LIST = "5537ab2a08d241dc69326b19"
TOKEN = "canary-4711-token-+/=?&"


# The engine, in virtual time ------------------------------------------------------------------------------------------


class InProcess(httpx.ASGITransport):
    """The sandbox without a network; a dropped connection as httpx tells of it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionDroppedError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error


@dataclass
class World:
    """The engine with its durable state in a folder, API v2 and a sandbox, all in one loop. `skew` is what the clock on
    the wall is wrong by, in seconds.
    """

    folder: Path
    sandbox: Sandbox
    ledger: Ledger
    rate: float = 1_000.0
    timeout: float = 30.0
    skew: float = 0.0
    pace: Pace = field(default_factory=Pace)
    settings: dict[str, Any] = field(default_factory=dict)
    last: Trial | None = None

    @property
    def on_list(self) -> ContactList:
        return self.sandbox.lists[LIST]

    @property
    def holds(self) -> dict[str, tuple[bool, str | None]]:
        """What the list has: address → (active, name)."""
        return {contact.email: (contact.active, contact.name) for contact in self.on_list.contacts.values()}

    @property
    def state(self) -> StateStore:
        return StateStore(self.ledger, self.folder, LIST, "http://127.0.0.1")

    def now(self) -> datetime:
        return datetime.fromtimestamp(EPOCH + self.sandbox.clock() + self.skew, UTC)

    def reopen(self) -> None:
        """What a new process would find."""
        self.ledger.close()
        self.ledger = open_ledger(self.folder)

    async def run(self, source: Source, *, to: Destination | None = None, **settings: Any) -> Ended:
        """One run. `settings` are those of `Trial`."""
        door = Door(
            "http://127.0.0.1",
            Secret("sandbox-token"),
            Pacer(self.rate),
            timeout=self.timeout,
            transport=lambda: InProcess(self.sandbox.app),
            now=self.now,
        )
        trial = Trial(
            self.folder, to or SmartSenderV2(door, LIST), self.state, Journal(self.ledger), now=self.now, pace=self.pace
        )
        for name, value in {**self.settings, **settings}.items():
            setattr(trial, name, value)
        trial._runs = iter(range(len(list((self.folder / "runs").glob("*"))), 1_000))  # type: ignore[assignment]
        self.last = trial
        try:
            return await run_sync(trial, source)
        finally:
            await door.aclose()

    def contact_requests(self) -> int:
        return sum("contacts" in request.endpoint for request in self.sandbox.log)

    def sent(self) -> int:
        """Contacts in all requests."""
        return sum(request.size for request in self.sandbox.log if "contacts" in request.endpoint)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Sandbox(), open_ledger(tmp_path))
    yield world
    world.ledger.close()


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Further worlds, each in a folder of its own. Their databases are opened by who uses them."""
    made: list[World] = []

    def another() -> World:
        folder = tmp_path / f"world-{len(made)}"
        made.append(World(folder, Sandbox(), open_ledger(folder)))
        return made[-1]

    yield another
    for world in made:
        with contextlib.suppress(sqlite3.Error, OSError):  # a disk that took nothing more takes no last word either
            world.ledger.close()


# The program, in processes --------------------------------------------------------------------------------------------


@dataclass
class Ran:
    """What a process printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        (run,) = json.loads(self.out)["runs"]
        return run


@dataclass
class Site:
    """A folder with a config and a source, and a sandbox that it points to; the program runs in its own processes."""

    folder: Path
    sandbox: Sandbox
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def on_list(self) -> ContactList:
        return self.sandbox.lists[LIST]

    @property
    def state(self) -> Path:
        return self.folder / ".syncengine"

    def write_source(self, rows: Iterable[str]) -> None:
        (self.folder / "c.csv").write_text("\n".join(["Email,Full name,Subscribed", *rows]) + "\n", encoding="utf-8")

    def people(self, count: int, name: str = "Name") -> list[str]:
        return [f"person{number}@example.com,{name} {number},yes" for number in range(count)]

    def write_config(self, account: str = "rate = 500", job: str = "", url: str | None = None) -> None:
        (self.folder / "syncengine.toml").write_text(
            f'[account]\ntoken = "${{SMARTSENDER_TOKEN}}"\nurl = "{url or self.url}"\n{account}\n\n'
            f'[[job]]\nname = "people"\nlist = "{LIST}"\nsource = "c.csv"\nconsent = "source"\n{job}\n\n'
            '[job.columns]\nemail = "Email"\nname = "Full name"\nactive = "Subscribed"\n',
            encoding="utf-8",
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "syncengine", *words]

    def env(self, **more: str) -> dict[str, str]:
        return {**os.environ, "SMARTSENDER_TOKEN": TOKEN, **self.environment, **more}

    def start(self, *words: str, under: tuple[str, ...] = (), **options: Any) -> "subprocess.Popen[str]":
        """The program at work. `under` is what it is run by (strace and its like)."""
        return subprocess.Popen(
            [*under, *self.command(*words)],
            cwd=self.folder,
            env=options.pop("env", self.env()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words: str, **options: Any) -> Ran:
        """The program from beginning to end."""
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=120)
        return Ran(process.returncode, out, err)

    def until(self, wanted: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
        """Return when it is so; the process must be alive till then."""
        until(wanted, process)

    def errors(self, report: Any) -> list[dict[str, str]]:
        with (self.folder / report["paths"]["errors"]).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def written(self) -> dict[str, bytes]:
        """All that stands in the state directory."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() for path in self.state.rglob("*") if path.is_file()
        }


def until(wanted: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 60.0) -> None:
    """Return when it is so; the process must be alive till then."""
    import time

    deadline = time.monotonic() + seconds
    while not wanted():
        if process.poll() is not None:
            out, err = process.communicate()
            raise AssertionError(f"it ended with {process.returncode} before: {out}{err}")
        assert time.monotonic() < deadline, "it never came to that"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.005)


def end(process: "subprocess.Popen[str]", number: int = signal.SIGKILL) -> Ran:
    """Signal a process and gather what it left."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, out, err)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    sandbox = Sandbox(tokens=[TOKEN])
    with running(sandbox) as url:
        site = Site(tmp_path, sandbox, url)
        site.write_config()
        site.write_source(site.people(300))
        yield site


# A door ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def door_to() -> AsyncIterator[Callable[..., Door]]:
    """`door_to(url, timeout=…)`: an unhurried door with the canary token, closed at the end."""
    doors: list[Door] = []

    def door_to(url: str, **options: Any) -> Door:
        doors.append(Door(url, Secret(TOKEN), Pacer(1_000), **{"timeout": 10.0, **options}))
        return doors[-1]

    yield door_to
    for door in doors:
        await door.aclose()


@pytest.fixture
def virtual() -> Any:
    """For modules in virtual time: `anyio_backend` gives this."""
    from syncengine.testing.virtual_time import VirtualTimeLoop

    return "asyncio", {"loop_factory": VirtualTimeLoop}


def faulted(sandbox: Sandbox, **behaviour: Any) -> None:
    """Change single settings of the sandbox."""
    sandbox.behaviour = replace(sandbox.behaviour, **behaviour)


def loop_time() -> float:
    return asyncio.get_running_loop().time()
