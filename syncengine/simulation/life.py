"""The life of one seed: exports come, runs are made of them, processes die, and in the end all is as it should be.

Safety first: faults, storms and kills, with the judges watching. Then liveness: the weather clears, nobody is killed
any more, and the run that is under way has to come to its end by itself.
"""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import polars as pl

from syncengine.errors import SyncEngineError
from syncengine.events import BatchSettled, Event
from syncengine.frames import ACTIVE, EMAIL, FINGERPRINT, IN_DOUBT, KEY, LEFT_SOURCE, NAME, VARIABLES
from syncengine.ledger import open_ledger
from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.report import Report, Result
from syncengine.sandbox.account import DEFAULT_LIST
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.sandbox import Sandbox
from syncengine.simulation.clock import SimulatedLoop, StalledError, Trace
from syncengine.simulation.company import Company
from syncengine.simulation.disk import each_statement, each_step, image_of, restore
from syncengine.simulation.judges import (
    Bounded,
    Discreet,
    NoPhantoms,
    OneAtATime,
    Polite,
    SameVersion,
    SaysActive,
    now,
    untouched,
)
from syncengine.simulation.network import Line, Network
from syncengine.simulation.process import TOKEN, URL, Engine, Process, Wanted
from syncengine.simulation.setting import Setting, draw
from syncengine.simulation.weather import Weather
from syncengine.state import StateStore
from syncengine.sync import Ended
from syncengine.testing.frames import FrameSource

PATIENCE = 4 * 3_600.0  #: seconds a run may take once nothing goes wrong any more
MOST_BOOTS = 40  #: processes for one export before we say that it never ends


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a seed ended. `broken` is empty when every promise was kept."""

    setting: Setting
    broken: tuple[str, ...]
    trace: str
    lines: tuple[str, ...]
    tally: Tally

    @property
    def kept(self) -> bool:
        return not self.broken


def simulate(seed: int, engine: Engine | None = None, *, keep_trace: bool = False) -> Verdict:
    """Everything that happens in one seed. The same seed gives the same trace."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simulation-", dir=_memory())))
        runner = stack.enter_context(asyncio.Runner(loop_factory=SimulatedLoop))
        life = Life(seed, folder, engine or Engine(), Trace(keep=keep_trace))
        try:
            runner.run(life.live())
        except AccusedError:
            pass  # the judges have said it all
        except StalledError as error:
            life.accuse(f"stalled: {error}")
        return life.verdict()


def _memory() -> str | None:
    """A folder in memory, where there is one: what is simulated need not wear a disk out."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a private folder is made in it


class Life:
    """One seed. `live` it once."""

    def __init__(self, seed: int, folder: Path, engine: Engine, trace: Trace) -> None:
        self.chance = Random(seed)  # noqa: S311  # repeatable on purpose
        self.setting = draw(seed, self.chance)
        self.trace = trace
        self.tally = Tally()
        self.broken: list[str] = []
        self._engine = engine
        self._home = folder
        self._disk = folder / "disk-0"
        self._disks = count(1)
        self._runs = count(1)
        self.sandbox = Sandbox(self.setting.behaviour, seed=seed, tokens=(TOKEN,))
        self.company = Company(self.chance, ids=self.setting.ids)
        self.weather = Weather(self.chance, self.setting.trouble)
        self._processes: dict[Line, Process] = {}
        self.phantoms = NoPhantoms(self.accuse, lambda: self.list)
        self.bounded = Bounded(self.accuse, self._processes)
        onlookers = (
            OneAtATime(self.accuse),
            SameVersion(self.accuse),
            SaysActive(self.accuse),
            Polite(self.accuse, self.setting.rate),
            self.bounded,
        )
        self.network = Network(self.sandbox.app, self.weather, trace, onlookers)
        self._strangers: list[tuple[str, str, bool]] = []
        self._finished: Process | None = None

    @property
    def list(self) -> ContactList:
        """The list as the service has it."""
        return self.sandbox.lists[DEFAULT_LIST]

    def accuse(self, words: str) -> None:
        """A promise is broken."""
        self.broken.append(words)

    def verdict(self) -> Verdict:
        return Verdict(self.setting, tuple(self.broken), self.trace.digest, tuple(self.trace.lines or ()), self.tally)

    # -- the story ---------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """From the first export to the last look at the list."""
        self.trace.note("setting", self.setting)
        self.company.hire(self.setting.people)
        self._found_list()
        for cycle in range(self.setting.cycles):
            if cycle:
                self.company.live(leaving=True)
            await self._cycle(is_last=cycle == self.setting.cycles - 1)
        await self._look_back()
        self.tally.seconds = now()

    def _found_list(self) -> None:
        """Who was on the list before: some of the company's people, as they once were, and some strangers."""
        share = self.chance.choice((0.0, 0.0, 0.3, 1.0))
        for person in self.company.people.values():
            if self.chance.random() < share:
                active = self.chance.random() < 0.5
                self.sandbox.seed(DEFAULT_LIST, [{"email": person.email, "name": "Once", "active": active}])
        for number in range(self.chance.randrange(3)):
            stranger = (f"stranger{number}@example.com", "Stranger", self.chance.random() < 0.5)
            self._strangers.append(stranger)
            self.sandbox.seed(DEFAULT_LIST, [dict(zip(("email", "name", "active"), stranger, strict=True))])

    async def _cycle(self, *, is_last: bool) -> None:
        """One export: processes are started until one has carried it out; or, but for the last, until all give up."""
        source = self.company.export()
        self.weather.brew(now())
        kills = self.chance.randint(0, self.setting.kills)
        if is_last:
            self.weather.clears_at = now() + self.chance.uniform(0.0, 900.0)
        self._spoil()
        for boot in range(MOST_BOOTS):
            kill = self.chance.randint(1, 400) if kills else None
            fresh = boot > 0 and self.chance.random() < 0.1
            ended = await self._boot(source, kill=kill, at_turn=self.chance.random() < 0.7, fresh=fresh)
            if ended is None:
                kills -= 1
                await asyncio.sleep(self.chance.choice((0.0, 0.3, 5.0, 200.0)))
            elif ended.report.result in {Result.OK, Result.REJECTED}:
                if not ended.report.resumed:
                    return
                kills = max(0, kills - 1)
            else:
                self._judge_end(ended, is_last=is_last)
                self.sandbox.tokens.add(TOKEN)
                await asyncio.sleep(self.chance.choice((0.3, 60.0)))
            if not is_last and self.chance.random() < 0.1:
                return  # nobody tries any more until the next export
        self.accuse(f"liveness: {MOST_BOOTS} processes did not carry out one export")

    def _judge_end(self, ended: Ended, *, is_last: bool) -> None:
        """A run that gave up: it may, while the service is down or refuses its token."""
        refused = ended.report.result is Result.REFUSED and TOKEN not in self.sandbox.tokens
        down = ended.report.result is Result.UNAVAILABLE and self.setting.trouble + len(self.weather.storms) > 0
        if not (refused or down) or (is_last and down and now() > self.weather.clears_at + PATIENCE):
            self.accuse(f"liveness: a run ended as {ended.report.result} without need: {ended.problem!r}")

    def _spoil(self) -> None:
        """What the operator of the service does meanwhile."""
        loop = asyncio.get_running_loop()
        if self.setting.revoked and self.chance.random() < 0.5:
            loop.call_later(self.chance.uniform(0.0, 5.0), self.sandbox.tokens.discard, TOKEN)
        if self.setting.drops_variable and self.chance.random() < 0.5:
            loop.call_later(self.chance.uniform(0.0, 5.0), self._drop_variable)

    def _drop_variable(self) -> None:
        if "city" in self.list.variables:
            self.trace.note("dropped", "city")
            self.list.drop_variable("city")
            self.phantoms.variables_lost_at = self.sandbox.watch.requests

    # -- one process -------------------------------------------------------------------------------------------------

    async def _boot(self, source: FrameSource, *, kill: int | None, at_turn: bool, fresh: bool) -> Ended | None:
        """One process, from start to end; None if it was killed.

        kill   after so many turns of the loop (`at_turn`), or so many steps that change a file
        """
        self.tally.processes += 1
        process = Process(
            self.setting,
            self._disk,
            self.network,
            source,
            self._engine,
            lambda: f"run-{next(self._runs):04}",
            lambda event: self._observe(process, event),
            self._planned,
        )
        self._processes[process.line] = process
        self.trace.note("boots", process.setting.seed, fresh)
        process.task = asyncio.create_task(process.run(fresh=fresh))
        with self._killing(process, kill, at_turn=at_turn):
            await asyncio.wait({process.task}, timeout=None if kill else PATIENCE + 40_000.0)
        if not process.task.done():
            self.accuse("liveness: a run does not come to its end")
            raise AccusedError
        return self._ended(process, source)

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
        self._judge_numbers(ended.report, process, source)
        self.trace.note("ends", ended.report.result, ended.report.to_json()["confirmed"], ended.report.pending)
        if ended.report.result in {Result.OK, Result.REJECTED}:
            self._finished = process
            self._compare_state()
        if self.broken:
            raise AccusedError
        return ended

    @contextlib.contextmanager
    def _killing(self, process: Process, kill: int | None, *, at_turn: bool) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        assert_simulated(loop)
        left = count(1)

        def step(_: str = "") -> None:
            if not process.line.dead and next(left) == kill:
                self._kill(process)

        if kill is None:
            yield
        elif at_turn:
            loop.before_turn = step  # type: ignore[attr-defined]  # it is a SimulatedLoop
            try:
                yield
            finally:
                loop.before_turn = None  # type: ignore[attr-defined]
        else:
            process.each_statement = lambda connection: each_statement(connection, step)
            with each_step(self._disk, step):
                yield

    def _kill(self, process: Process) -> None:
        """The disk is as it is now, what has left is on its way, and all else of the process never was."""
        self._disk = restore(image_of(self._disk), self._home / f"disk-{next(self._disks)}")
        self.network.cut(process.line)
        self.trace.note("killed", process.setting.seed)
        self.tally.kills += 1
        self.tally.resent += self.bounded.killed(process)
        if process.task is not None:
            process.task.cancel()

    def _planned(self, process: Process) -> None:
        if not process.line.dead:
            self.bounded.planned(process)

    def _observe(self, process: Process, event: Event) -> None:
        if isinstance(event, BatchSettled) and not process.line.dead:
            self.bounded.is_settled(process, event)
            self.phantoms.is_settled(process, event)
            self.tally.confirmed += event.confirmed

    # -- looking back ------------------------------------------------------------------------------------------------

    def _judge_numbers(self, report: Report, process: Process, source: FrameSource) -> None:
        """Every row is accounted for, by our own count."""
        planned = Counter(wanted.op for contacts in process.plan.values() for wanted in contacts)
        if process.prepared is not None and planned != Counter(dict(report.planned)):
            self.accuse(f"rows: the plan has {planned}, and the report says {report.planned}")
        if not report.resumed and report.rows != source.height:
            self.accuse(f"rows: the export has {source.height}, and the report says {report.rows}")
        settled = sum(report.confirmed.values()) + report.rejected + report.unresolved
        if report.result in {Result.OK, Result.REJECTED} and settled != sum(planned.values()):
            self.accuse(f"rows: {sum(planned.values())} planned, {settled} settled, and the run says it is finished")

    def _known(self) -> pl.DataFrame:
        """The state, as the next process finds it."""
        with contextlib.closing(open_ledger(self._disk)) as connection:
            snapshot = StateStore(connection, self._disk, DEFAULT_LIST, URL).snapshot()
            return snapshot.rows_at(np.arange(snapshot.size)).sort(KEY)

    def _compare_state(self) -> None:
        """After a run: who the state knows is on the list as it says, but for those it says it is in doubt about."""
        for row in self._known().iter_rows(named=True):
            wanted = Wanted(Op.ADD, row[KEY], row[EMAIL], row[EMAIL], row[NAME], row[ACTIVE], row[VARIABLES])
            if row[FINGERPRINT] in _DOUBTED:
                continue
            problem = self.phantoms.difference(self.list.find(row[EMAIL]), wanted)
            if problem:
                self.accuse(f"state: it holds {row[EMAIL]} ({row[FINGERPRINT]}), who {problem}")

    async def _look_back(self) -> None:
        """Nothing is on its way any more: the list is what the company wants, and another run has nothing to send."""
        await self.network.settled()
        source = self.company.export()
        for _ in range(3):
            ended = await self._boot(source, kill=None, at_turn=True, fresh=False)
            if ended is None or sum(ended.report.planned.values()) == 0:
                break
        else:
            if not self.setting.is_vague:
                self.accuse("again: the third run over one export still has something to send")
        self._judge_list(self._excused())
        for words in untouched(self.list, self._strangers):
            self.accuse(words)
        if self.setting.consent is Consent.KEEP and self.list.resubscribed:
            self.accuse(f"consent: {sorted(self.list.resubscribed)} were subscribed again under keep")
        Discreet(self.accuse).files(self._home)
        self.tally.requests = len(self.network.flights)
        self.tally.fates.update(flight.fate.value for flight in self.network.flights)
        self.trace.note("list", *(repr(contact) for contact in self.list.contacts.values()))

    def _excused(self) -> set[str]:
        """Addresses the last runs have told about: held, rejected, unresolved. They are in errors.csv, and not lost."""
        told = [
            pl.read_csv(path, infer_schema=False)
            for path in sorted(self._disk.glob("runs/*/errors.csv"))
            if path.stat().st_size
        ]
        return {email.lower() for frame in told for email in frame[EMAIL].drop_nulls()}

    def _judge_list(self, excused: set[str]) -> None:
        setting = self.setting
        wanted = {person.email: person for person in self.company.people.values()}
        for email, person in wanted.items():
            row = Wanted(Op.ADD, "", email, email, person.name, person.active, _city_json(person.city))
            contact = self.list.find(email)
            if setting.consent is Consent.KEEP and contact is not None and not contact.active:
                row = replace(row, active=False)  # the file may only lower
            problem = self.phantoms.difference(contact, row)
            if problem and email not in excused:
                self.accuse(f"lost: {email} {problem}")
        if setting.mode is Mode.MIRROR and setting.on_missing is not OnMissing.KEEP:
            known = set(self._known().filter(pl.col(FINGERPRINT) != LEFT_SOURCE, ACTIVE)[EMAIL])
            for email in sorted(known - wanted.keys() - excused):
                self.accuse(f"mirror: {email} left, and the state still holds them as they were")


def assert_simulated(loop: asyncio.AbstractEventLoop) -> None:
    """Raises TypeError for a loop that does not count its turns."""
    if not isinstance(loop, SimulatedLoop):
        raise TypeError(f"a simulation runs in a SimulatedLoop, not in {loop!r}")


def _city_json(city: str) -> str:
    return pl.DataFrame({"name": ["city"], "value": [city]}).write_json() if city else "[]"


_DOUBTED: Sequence[int] = (IN_DOUBT,)
