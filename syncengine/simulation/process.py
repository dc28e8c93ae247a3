"""One process: `syncengine sync` from its start to its end, or to the moment it is killed."""

import contextlib
import random
import sqlite3
from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from syncengine.config.model import Bound
from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.events import Event
from syncengine.frames import ACTIVE, AFTER, BATCH, CONTACT, EMAIL, KEY, LEFT_SOURCE, NAME
from syncengine.guards import Guards
from syncengine.journal import Journal
from syncengine.keyed import contact_key_of
from syncengine.ledger import BACKUP, back_up, open_ledger
from syncengine.model import Op
from syncengine.normalise.mapping import ActiveRule, EmailRule, Mapping, VariableRule
from syncengine.ports import Destination, Source
from syncengine.ports import Journal as JournalPort
from syncengine.prepare import JobTerms, Prepared, Understood
from syncengine.redaction import Secret
from syncengine.sandbox.account import DEFAULT_LIST
from syncengine.simulation.clock import unix_time
from syncengine.simulation.network import Line, Network
from syncengine.simulation.setting import Setting
from syncengine.state import StateStore
from syncengine.stopping import StopSwitch
from syncengine.sync import Ended, Pace, Parts, sync
from syncengine.telemetry import RunLog
from syncengine.testing.runs import inline

TOKEN = "canary-token-5ecret/7"  # noqa: S105  # searched for in every byte written
URL = "http://127.0.0.1"
JOB = "simulated"
TIMEOUT = 30.0  #: seconds, one attempt
_NO_LIMIT = Bound(share=1.0)


class SmallBatches(SmartSenderV2):
    """API v2 with fewer contacts a batch, so that few contacts make many batches."""

    def __init__(self, door: Door, list_id: str, size: int) -> None:
        super().__init__(door, list_id)
        self._size = size

    @property
    def batch_size(self) -> int:
        return self._size


def _mapping(key: str | None) -> tuple[Mapping, str]:
    """What the columns of an export mean, and its digest."""
    city = VariableRule("city", "city")
    mapping = Mapping(EmailRule(("email",)), ActiveRule(column="active"), name="name", key=key, variables=(city,))
    return mapping, mapping.digest()


_MAPPINGS = {False: _mapping(None), True: _mapping("id")}
"""By whether an export tells people apart by an id."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the engine is put together from. A test of the judges puts a broken part in."""

    destination: Callable[[Door, int], Destination] = lambda door, size: SmallBatches(door, DEFAULT_LIST, size)
    journal: Callable[[sqlite3.Connection], JournalPort] = Journal
    pacer: Callable[[float], Pacer] = Pacer


@dataclass(frozen=True, slots=True)
class Wanted:
    """A contact of the plan: what the list holds once its change is confirmed."""

    op: Op
    key: str
    contact: str
    email: str
    name: str | None
    active: bool
    variables: str  #: JSON


@dataclass(frozen=True, slots=True)
class Known:
    """A contact as the state has it."""

    key: str
    email: str
    name: str | None
    active: bool
    variables: str  #: JSON
    fingerprint: int

    @property
    def left(self) -> bool:
        """Whether it is known to have left the source."""
        return self.fingerprint == LEFT_SOURCE

    def as_wanted(self) -> Wanted:
        return Wanted(Op.ADD, self.key, self.email, self.email, self.name, self.active, self.variables)


@dataclass(slots=True)
class Process:
    """`observe` is told events while the process lives; `planned` is called with its plan before anything is sent."""

    setting: Setting
    folder: Path
    network: Network
    source: Source
    engine: Engine
    run_ids: Callable[[], str]
    observe: Callable[[Event], None]
    planned: Callable[["Process"], None]
    each_statement: Callable[[sqlite3.Connection], None] | None = None
    line: Line = field(default_factory=Line)
    prepared: Prepared | None = None
    plan: dict[int, list[Wanted]] = field(default_factory=dict)  #: by batch
    task: Task[Ended] | None = None
    log: RunLog | None = None
    journal: JournalPort | None = None
    remembered: frozenset[int] = frozenset()  #: batches whose intent or outcome the journal had at its start

    async def run(self, *, fresh: bool = False) -> Ended:
        """The command, from opening the state to the copy of it that a good run leaves. Raises what `sync` raises."""
        with contextlib.closing(open_ledger(self.folder)) as connection:
            if self.each_statement is not None:
                self.each_statement(connection)
            setting = self.setting
            door = Door(
                URL,
                Secret(TOKEN),
                self.engine.pacer(setting.rate),
                timeout=TIMEOUT,
                transport=lambda: self.network.transport(self.line),
                now=_now,
            )
            try:
                ended = await sync(self._parts(connection, door), fresh=fresh)
            finally:
                if self.log is not None:
                    self.log.close()
                await door.aclose()
            if ended.problem is None:
                back_up(connection, self.folder / BACKUP)
            return ended

    def _parts(self, connection: sqlite3.Connection, door: Door) -> Parts:
        setting = self.setting
        self.journal = self.engine.journal(connection)
        mapping, digest = _MAPPINGS[setting.ids]
        guards = Guards(_NO_LIMIT, _NO_LIMIT, _NO_LIMIT)
        rules = f"{digest}/{setting.mode}/{setting.consent}/{setting.on_missing}"
        return Parts(
            JobTerms(JOB, DEFAULT_LIST, setting.mode, setting.consent, setting.on_missing, guards),
            Bound(count=0),
            lambda: Understood(self.source, mapping, rules, "{}"),
            StateStore(connection, self.folder, DEFAULT_LIST, URL),
            self.journal,
            self.engine.destination(door, setting.batch_size),
            self.folder / "runs",
            Pace(setting.concurrency),
            StopSwitch(),
            inline,
            _now,
            self.run_ids,
            self._approve,
            self._tell,
            random.Random(setting.seed),  # noqa: S311  # repeatable
        )

    def _approve(self, prepared: Prepared) -> bool:
        self.prepared = prepared
        self.plan = planned_contacts(prepared)
        if self.journal is not None:
            self.remembered = prepared.done | self.journal.doubtful_batches(prepared.run).keys()
        path = prepared.plan.folder / "log.jsonl"
        secret = contact_key_of(self.folder)
        self.log = RunLog(path, run=prepared.run, job=JOB, contact_key=secret, tokens=(Secret(TOKEN),))
        self.planned(self)
        return True

    def _tell(self, event: Event) -> None:
        if self.log is not None:
            self.log(event)
        self.observe(event)


def planned_contacts(prepared: Prepared) -> dict[int, list[Wanted]]:
    """The contacts of a plan by batch, in order."""
    plan: dict[int, list[Wanted]] = {}
    for wave in prepared.plan.waves:
        for rows in prepared.plan.slices(wave):
            told = rows.select(BATCH, pl.lit(wave.op.value), KEY, CONTACT, EMAIL, NAME, ACTIVE, AFTER)
            for batch, op, *rest in told.iter_rows():
                plan.setdefault(batch, []).append(Wanted(Op(op), *rest))
    return plan


def _now() -> datetime:
    return datetime.fromtimestamp(unix_time(), UTC)
