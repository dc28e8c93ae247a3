"""Where a life is played: one job's disk, the service, the network between them, and the judges who watch.

Processes are started on it one after the other; each comes to its end or is killed. What a killed one leaves is its
disk as the kernel has it, and the requests that are on their way.
"""

import asyncio
import contextlib
import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from syncengine.errors import SyncEngineError
from syncengine.events import BatchSettled, Event
from syncengine.frames import ACTIVE, EMAIL, FINGERPRINT, KEY, NAME, VARIABLES
from syncengine.ledger import read_ledger
from syncengine.model import Mode, OnMissing
from syncengine.sandbox.account import DEFAULT_LIST
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.sandbox import Sandbox
from syncengine.simulation import ending
from syncengine.simulation.clock import SimulatedLoop, Trace
from syncengine.simulation.company import Company
from syncengine.simulation.disk import OnStep, each_statement, each_step, image_of, restore
from syncengine.simulation.ending import FINISHED, Stranger
from syncengine.simulation.judges import (
    Bounded,
    Discreet,
    NoPhantoms,
    OneAtATime,
    Polite,
    SameVersion,
    SaysActive,
)
from syncengine.simulation.network import Line, Network
from syncengine.simulation.process import TOKEN, URL, Engine, Known, Process
from syncengine.simulation.setting import Setting
from syncengine.simulation.weather import Weather
from syncengine.state import StateStore
from syncengine.sync import Ended
from syncengine.testing.frames import FrameSource

PATIENCE = 4 * 3_600.0  #: seconds a run may take once nothing goes wrong any more
_LONGEST = PATIENCE + 40_000.0  #: seconds any run may take


class AccusedError(Exception):
    """A promise was broken: there is no sense in going on."""


@dataclass(slots=True)
class Tally:
    """What a simulation was made of."""

    processes: int = 0
    kills: int = 0
    resent: int = 0  #: contacts in flight when a process was killed
    requests: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    confirmed: int = 0
    seconds: float = 0.0  #: virtual

    @property
    def disturbed(self) -> int:
        """Requests that something happened to."""
        return sum(count for fate, count in self.fates.items() if fate != "well")


class Stage:
    """`disk` is the state directory of the next process; `broken` what the judges have to say."""

    def __init__(
        self,
        setting: Setting,
        home: Path,
        weather: Weather,
        trace: Trace,
        engine: Engine,
    ) -> None:
        self.setting = setting
        self.trace = trace
        self.weather = weather
        self.tally = Tally()
        self.broken: list[str] = []
        self.home = home
        self.disk = home / "disk-0"
        self.sandbox = Sandbox(setting.behaviour, seed=setting.seed, tokens=(TOKEN,))
        self.strangers: list[Stranger] = []
        self._engine = engine
        self._disks = count(1)
        self._read: tuple[object, list[Known]] = None, []  #: what was in force when it was read last, and what it was
        self.run_numbers = count(1)
        self._processes: dict[Line, Process] = {}
        self.phantoms = NoPhantoms(self.accuse, lambda: self.held)
        self.bounded = Bounded(self.accuse, self._processes)
        self.versions = SameVersion(self.accuse)
        self.polite = Polite(self.accuse, setting.rate)
        onlookers = (
            OneAtATime(self.accuse),
            self.versions,
            SaysActive(self.accuse),
            self.polite,
            self.bounded,
        )
        self.network = Network(self.sandbox.app, weather, trace, onlookers)

    @property
    def held(self) -> ContactList:
        """The list as the service has it."""
        return self.sandbox.lists[DEFAULT_LIST]

    def accuse(self, words: str) -> None:
        """A promise is broken."""
        self.broken.append(words)

    # -- one process -------------------------------------------------------------------------------------------------

    async def boot(
        self, source: FrameSource, *, kill: int | None = None, at_turn: bool = False, fresh: bool = False
    ) -> Ended | None:
        """One process, from start to end; None if it was killed.

        kill   after so many turns of the loop (`at_turn`), or so many steps that change a file
        """
        process = self.process(source)
        process.task = asyncio.create_task(process.run(fresh=fresh))
        self.trace.note("boots", self.setting.seed, fresh)
        with self._killing(process, kill, at_turn=at_turn):
            await asyncio.wait({process.task}, timeout=None if kill else _LONGEST)
        if not process.task.done():
            self.accuse("liveness: a run does not come to its end")
            raise AccusedError
        return self._ended(process, source)

    def process(self, source: FrameSource) -> Process:
        """A process on this stage, which the judges watch. Not started yet."""
        self.tally.processes += 1
        process = Process(
            self.setting,
            self.disk,
            self.network,
            source,
            self._engine,
            lambda: f"run-{next(self.run_numbers):04}",
            lambda event: self._observe(process, event),
            self._planned,
        )
        self._processes[process.line] = process
        return process

    def kill(self, process: Process) -> None:
        """The disk is as it is now, what has left is on its way, and all else of the process never was."""
        self.disk = restore(image_of(self.disk), self.home / f"disk-{next(self._disks)}")
        self.network.cut(process.line)
        self.trace.note("killed", self.setting.seed)
        self.tally.kills += 1
        self.tally.resent += self.bounded.killed(process)
        if process.task is not None:
            process.task.cancel()

    def _ended(self, process: Process, source: FrameSource) -> Ended | None:
        task = process.task
        if process.line.dead or task is None or task.cancelled():
            if task is not None and not task.cancelled():
                task.exception()  # what a dying process says is of no interest, and asyncio wants it looked at
            return None
        error = task.exception()
        if error is not None:
            self.accuse(f"error: {error!r}")
            if isinstance(error, SyncEngineError):
                raise AccusedError
            raise error
        ended = task.result()
        planned = Counter(wanted.op for contacts in process.plan.values() for wanted in contacts)
        self.broken += ending.numbers(ended.report, planned, source.height)
        self.trace.note("ends", ended.report.result, ended.report.to_json()["confirmed"], ended.report.pending)
        if ended.report.result in FINISHED:
            self.broken += ending.state_as_on_the_list(self.known(), self.held, self.phantoms.difference)
        if self.broken:
            raise AccusedError
        return ended

    @contextlib.contextmanager
    def _killing(self, process: Process, kill: int | None, *, at_turn: bool) -> Iterator[None]:
        left = count(1)

        def step(_: str = "") -> None:
            if not process.line.dead and next(left) == kill:
                self.kill(process)

        if kill is None:
            yield
            return
        with each_turn(step) if at_turn else self.each_write(process, step):
            yield

    @contextlib.contextmanager
    def each_write(self, process: Process, step: OnStep) -> Iterator[None]:
        """Within the block `step` is called before each step of `process`, not started yet, that changes a file."""
        process.each_statement = lambda connection: each_statement(connection, step)
        with each_step(self.disk, step):
            yield

    def _planned(self, process: Process) -> None:
        if not process.line.dead:
            self.bounded.planned(process)

    def _observe(self, process: Process, event: Event) -> None:
        if isinstance(event, BatchSettled) and not process.line.dead:
            self.bounded.is_settled(process, event)
            self.phantoms.is_settled(process, event)
            self.tally.confirmed += event.confirmed

    # -- looking back ------------------------------------------------------------------------------------------------

    def known(self) -> list[Known]:
        """The state, as the next process finds it."""
        ledger = read_ledger(self.disk)
        if ledger is None:
            return []
        with contextlib.closing(ledger):
            store = StateStore(ledger, self.disk, DEFAULT_LIST, URL)
            in_force = store.current()
            if in_force != self._read[0]:  # its files are written once
                told = store.contacts().select(KEY, EMAIL, NAME, ACTIVE, VARIABLES, FINGERPRINT).sort(KEY)
                rows = told.collect(engine="in-memory")  # of few contacts; the other engine takes 1 ms longer
                self._read = in_force, [Known(*row) for row in rows.iter_rows()]
        return self._read[1]

    async def look_back(self, company: Company, source: FrameSource) -> None:
        """Nothing is on its way any more: the list is what the company wants, and another run has nothing to send."""
        await self.network.settled()
        planned: list[int] = []
        while len(planned) < 3 and 0 not in planned:
            ended = await self.boot(source)
            if ended is None:
                break
            if ended.report.result not in FINISHED:
                self.accuse(f"liveness: a run ended as {ended.report.result} in good weather: {ended.problem!r}")
            planned.append(sum(ended.report.planned.values()))
        if not self.setting.is_vague:
            self.broken += ending.comes_to_rest(planned)
        self._judge_list(company)
        Discreet(self.accuse).files(self.home)
        self.tally.requests = len(self.network.flights)
        self.tally.fates.update(flight.fate.value for flight in self.network.flights)
        self.trace.note("list", *(repr(contact) for contact in self.held.contacts.values()))

    def _judge_list(self, company: Company) -> None:
        told = self._told()
        people = company.people.values()
        setting, differs = self.setting, self.phantoms.difference
        self.broken += ending.nobody_lost(people, self.held, told, differs, setting.consent)
        if setting.mode is Mode.MIRROR and setting.on_missing is not OnMissing.KEEP:
            keys = {person.id if setting.ids else person.email for person in people}
            self.broken += ending.leavers_known(self.known(), keys, told)
        self.broken += ending.strangers_untouched(self.held, self.strangers)
        self.broken += ending.nobody_subscribed_again(self.held, setting.consent)

    def _told(self) -> set[str]:
        """Addresses the runs have told about: held, rejected, unresolved. They are in errors.csv, and not lost."""
        told: set[str] = set()
        for path in self.disk.glob("runs/*/errors.csv"):
            with path.open(encoding="utf-8", newline="") as file:
                rows = csv.reader(file)
                place = next(rows, [EMAIL]).index(EMAIL)  # the first: the source has a column of that name, too
                told |= {row[place].lower() for row in rows}
        return told


@contextlib.contextmanager
def each_turn(step: OnStep) -> Iterator[None]:
    """Within the block `step` is called before each turn of the running loop, which has to be a simulated one."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimulatedLoop):
        raise TypeError(f"a simulation runs in a SimulatedLoop, not in {loop!r}")
    loop.before_turn = lambda: step("turn")
    try:
        yield
    finally:
        loop.before_turn = None
