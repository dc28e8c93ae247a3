"""Whole runs against the sandbox in process, in virtual time, beside an onlooker that believes nobody.

The onlooker reads what was sent off the wire and what the list holds off the sandbox, and compares both with the rows
and with what the run says of itself. It knows nothing of how a run is carried out.
"""

import asyncio
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.journal import Journal
from syncengine.ledger import open_ledger
from syncengine.model import Consent, Mode, Op
from syncengine.normalise.addresses import address_key
from syncengine.redaction import Secret
from syncengine.report import Report
from syncengine.sandbox.behaviour import Behaviour
from syncengine.sandbox.contacts import Contact, ContactList
from syncengine.sandbox.contract import PATHS, Endpoint
from syncengine.sandbox.faults import Fault
from syncengine.sandbox.sandbox import Sandbox
from syncengine.state import StateStore
from syncengine.sync import Ended
from syncengine.testing import FrameSource, Trial, run_sync
from syncengine.testing.virtual_time import VirtualTimeLoop

LIST = "5537ab2a08d241dc69326b19"
URL = "http://127.0.0.1"

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it stood on the wire: each contact with the address it was asked for and its fields."""

    endpoint: Endpoint
    contacts: tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass
class Ring(httpx.AsyncBaseTransport):
    """The sandbox in process, with every request written down. `refuse` are addresses for which it refuses a whole
    request, without saying for whom.
    """

    sandbox: Sandbox
    sent: list[Sent]
    refuse: frozenset[str]

    def __post_init__(self) -> None:
        self._inner = httpx.ASGITransport(app=self.sandbox.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        sent = read(PATHS[request.url.path], json.loads(body))
        self.sent.append(sent)
        if self.refuse & {address_key(address) for address, _ in sent.contacts}:
            text = 'Not valid type for argument "contacts" in query "addContactToEmailList"'
            answer = json.dumps({"error_stack": [text], "requestId": "1"}).encode()
            return httpx.Response(200, stream=httpx.ByteStream(answer))
        try:
            return await self._inner.handle_async_request(request)
        except Exception as error:  # the sandbox hangs up by raising out of its app
            if type(error).__name__ != "ConnectionDroppedError":
                raise
            raise httpx.ReadError("the connection was closed") from error


def read(endpoint: Endpoint, body: Mapping[str, Any]) -> Sent:
    match endpoint:
        case Endpoint.CONTACTS_ADD:
            contacts = [(one["email"], one) for one in body["contacts"]]
        case Endpoint.BATCH_UPDATE:
            contacts = [(one["contact"], one["parameters"]) for one in body["contacts"]]
        case Endpoint.CONTACTS_UPDATE:
            contacts = [(body["contact"], body["parameters"])]
        case Endpoint.CONTACTS_REMOVE:
            contacts = [(email, {}) for email in body["emails"]]
        case _:
            contacts = []
    return Sent(endpoint, tuple(contacts))


@dataclass
class World:
    """A folder with a state, a list at the service, and a job between the two."""

    folder: Path
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: tuple[Fault, ...] = ()
    mode: Mode = Mode.UPSERT
    consent: Consent = Consent.SOURCE
    key: str | None = None
    refuse: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sandbox = Sandbox(self.behaviour, self.faults)
        self.connection = open_ledger(self.folder / "state")
        self.state = StateStore(self.connection, self.folder / "state", "memory", URL)
        self.runs = 0
        self.loop = asyncio.Runner(loop_factory=VirtualTimeLoop)

    @property
    def contacts(self) -> ContactList:
        return self.sandbox.lists[LIST]

    def seed(self, *contacts: Mapping[str, object]) -> None:
        self.sandbox.seed(LIST, contacts)

    def holds(self, address: str) -> Contact:
        contact = self.contacts.find(address)
        assert contact is not None, f"{address} is not on the list"
        return contact

    def sync(self, rows: Iterable[Row] | pl.DataFrame, *, fresh: bool = False, **settings: Any) -> Ended:
        """One run. `settings` are fields of the `Trial`, for this run."""
        return self.loop.run(self._sync(rows, fresh=fresh, settings=settings))

    async def _sync(self, rows: Iterable[Row] | pl.DataFrame, *, fresh: bool, settings: Mapping[str, Any]) -> Ended:
        frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(list(rows), infer_schema_length=None)
        transport = functools.partial(Ring, self.sandbox, self.sent, self.refuse)
        door = Door(URL, Secret("sandbox-token"), Pacer(1_000), timeout=30, transport=transport)
        trial = Trial(
            self.folder / f"{self.runs}", SmartSenderV2(door, LIST), self.state, Journal(self.connection),
            mode=self.mode, consent=self.consent, key=self.key,
        )  # fmt: skip
        trial.folder = self.folder
        trial._runs = iter(range(self.runs, self.runs + 1_000_000))  # type: ignore[assignment]  # ids go on
        trial = replace(trial, **{**self.settings, **settings})
        self.runs += 1
        try:
            return await run_sync(trial, FrameSource(frame), fresh=fresh)
        finally:
            await door.aclose()
            await self.sandbox.settled()

    def close(self) -> None:
        self.loop.close()
        self.connection.close()

    # -- what the onlooker asserts ------------------------------------------------------------------------------

    def known(self) -> dict[str, dict[str, Any]]:
        """The state, by key."""
        rows = self.state.snapshot().rows().collect().to_dicts()
        return {row["key"]: row for row in rows}

    def assert_active_is_always_said(self) -> None:
        for sent in self.sent:
            if sent.endpoint is not Endpoint.CONTACTS_REMOVE:
                for address, fields in sent.contacts:
                    assert isinstance(fields.get("active"), bool), f"{address} in {sent.endpoint} has no active"

    def assert_state_is_what_the_list_holds(self, but: Iterable[str] = ()) -> None:
        """Whatever is called confirmed is there, with that content; except keys that were refused something since."""
        for key, row in self.known().items():
            if key in but:
                continue
            contact = self.contacts.find(row["email"])
            assert contact is not None, f"{row['email']} is confirmed, and not on the list"
            variables = {one["name"]: one["value"] for one in json.loads(row["variables"])}
            held = {name: value for name, value in contact.variables.items() if name in variables}
            assert (contact.active, contact.name or None, held) == (
                row["active"], row["name"] or None, variables
            ), f"{row['email']} is not held as confirmed"  # fmt: skip

    def assert_nobody_was_raised(self, but: Iterable[str] = ()) -> None:
        """No address went from off to on by a request of ours."""
        allowed = {address_key(address) for address in but}
        assert {address_key(one) for one in self.contacts.resubscribed} <= allowed

    def assert_never_two_requests_for_one_contact(self) -> None:
        assert self.sandbox.overlaps == []

    def assert_sound(self, report: Report, rows: int, *, raised: Iterable[str] = ()) -> None:
        assert report.rows == rows
        from_rows = sum(report.planned[op] for op in (Op.ADD, Op.UPDATE, Op.RENAME))
        assert rows == report.held + report.same + from_rows
        assert sum(report.planned.values()) == (
            sum(report.confirmed.values()) + report.rejected + report.unresolved + report.pending
        )
        self.assert_active_is_always_said()
        self.assert_state_is_what_the_list_holds()
        self.assert_nobody_was_raised(raised)
        self.assert_never_two_requests_for_one_contact()

    def told(self, ended: Ended, *stages: str) -> set[str]:
        """Keys that stand in errors.csv of a run with one of these stages: held, rejected, unresolved."""
        frame = pl.read_csv(ended.report.paths["errors"], infer_schema=False)
        return set(frame.filter(pl.col("stage").is_in(stages))["key"])

    def reasons(self, ended: Ended) -> list[str]:
        """Why rows of a run are held."""
        frame = pl.read_csv(ended.report.paths["errors"], infer_schema=False)
        return frame.filter(pl.col("stage") == "held")["reason"].to_list()

    def counted(self) -> Counter[Endpoint]:
        return Counter(sent.endpoint for sent in self.sent)


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Worlds, each in a folder of its own."""
    worlds: list[World] = []

    def made(**settings: Any) -> World:
        folder = tmp_path / f"world-{len(worlds)}"
        folder.mkdir()
        worlds.append(World(folder, **settings))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()
