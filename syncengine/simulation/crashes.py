"""Every place where a process can die, one by one.

A crash point is each step that changes a file (a statement of SQLite, a file opened, renamed or removed, a folder
made), each request that leaves or lands, and each turn of the event loop between them. At each, what a process that
died there would leave is taken down: the state directory, the service, and the requests on their way. Points that leave
the same are one world; every world is gone on from by a new process, once for each thing that may become of what was on
its way, and the judges watch. A file that was being written between two worlds is half written in one more (polars
writes files that no step tells of).
"""

import asyncio
import contextlib
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path

from syncengine.errors import SyncEngineError
from syncengine.sandbox.account import Account
from syncengine.simulation.clock import SimulatedLoop, StalledError, Trace
from syncengine.simulation.disk import Image, digest_of, image_of, restore
from syncengine.simulation.ending import FINISHED
from syncengine.simulation.judges import now
from syncengine.simulation.life import memory
from syncengine.simulation.network import LATEST, Flight
from syncengine.simulation.process import Engine, Process
from syncengine.simulation.reference import STRANGER, Reference
from syncengine.simulation.stage import AccusedError, Stage, each_turn
from syncengine.testing.frames import FrameSource

NEVER = None
LATE = LATEST - 10.0  #: seconds: long after the next process has sent the same again


@dataclass(frozen=True, slots=True)
class Service:
    """What the service is at a moment. Going on from it needs a copy."""

    account: Account
    requests: int


@dataclass(frozen=True, slots=True)
class World:
    """What is left when a process dies. `point` counts from 1; `step` is what would have come next, and `last` what
    would have made another world of it.
    """

    point: int
    step: str
    last: str
    at: float  #: seconds of the loop
    disk: Image
    service: Service
    on_the_way: tuple[Flight, ...]
    left_at: tuple[float, ...]  #: of the requests within the last second
    of_run: dict[str, tuple[set[int], set[int]]]  #: see `Bounded`
    run_numbers: "count[int]"


@dataclass(slots=True)
class Crashes:
    """What became of one reference run that died everywhere. `points` by what would have come next."""

    points: Counter[str] = field(default_factory=Counter)
    worlds: int = 0
    half_written: int = 0  #: worlds besides in which a file is half written
    recoveries: int = 0
    resent: int = 0  #: contacts in flight at most
    broken: list[str] = field(default_factory=list)


def crash_everywhere(reference: Reference, engine: Engine | None = None) -> Crashes:
    """Let the reference run die at each crash point, and go on from what each leaves."""
    crashes = Crashes()
    engine = engine or Engine()
    worlds = worlds_of(reference, engine, crashes)
    halves = [half for pair in pairwise(worlds) for half in _half_written(*pair)]
    crashes.half_written = len(halves)
    for world in (*worlds, *halves):
        for arrives in (NEVER, LATE) if world.on_the_way else (NEVER,):
            crashes.recoveries += 1
            broken = recover(reference, world, engine, arrives=arrives)
            place = f"{reference.name}, crash point {world.point} (before {world.step}), {arrives=}"
            crashes.broken += [f"{place}: {words}" for words in broken]
    return crashes


def worlds_of(reference: Reference, engine: Engine, crashes: Crashes) -> list[World]:
    """The worlds of a reference run, in order. Counts its points, and says what judges saw on the way."""
    earlier = reference.interrupted
    begin = _interruption(worlds_of(earlier, engine, Crashes())) if earlier is not None else None
    with _stage(reference, engine) as (runner, stage):
        return runner.run(_record(reference, stage, begin, crashes))


async def _record(reference: Reference, stage: Stage, begin: World | None, crashes: Crashes) -> list[World]:
    if begin is not None:
        _inherit(stage, begin, arrives=LATE)
    else:
        reference.found(stage)
    if reference.change is not None:
        await _finish(stage, reference.before().export())
    process = stage.process(reference.export())
    scribe = _Scribe(stage, process, crashes)
    process.task = asyncio.create_task(process.run())
    stage.network.onlookers = (*stage.network.onlookers, scribe)
    with stage.each_write(process, scribe.step), each_turn(scribe.step):
        await asyncio.wait({process.task})
    scribe.step("end")
    if process.task.result().report.result not in FINISHED:
        crashes.broken.append(f"{reference.name}: the run did not come to its end")
    crashes.broken += stage.broken
    crashes.worlds = len(scribe.worlds)
    crashes.resent = scribe.resent
    return list(scribe.worlds.values())


def recover(
    reference: Reference, world: World, engine: Engine | None = None, *, arrives: float | None
) -> tuple[str, ...]:
    """Go on from a world, to the end; gives the promises that were broken.

    arrives   seconds after which what was on its way is carried out; None: never
    """
    with _stage(reference, engine or Engine()) as (runner, stage):
        try:
            runner.run(_go_on(reference, stage, world, arrives))
        except AccusedError:
            pass  # the judges have said it all
        except StalledError as error:
            stage.accuse(f"stalled: {error}")
        return tuple(stage.broken)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that would not begin. `disk` is what it left."""

    problem: SyncEngineError
    requests: int
    disk: Image


def refused(reference: Reference, world: World) -> Stopped | None:
    """How the next run stops in this world, or None where it comes to an end."""
    with _stage(reference, Engine()) as (runner, stage):
        return runner.run(_attempt(reference, stage, world))


async def _attempt(reference: Reference, stage: Stage, world: World) -> Stopped | None:
    _inherit(stage, world, arrives=NEVER)
    requests = len(stage.network.flights)
    try:
        await stage.process(reference.export()).run()
    except SyncEngineError as problem:
        return Stopped(problem, len(stage.network.flights) - requests, image_of(stage.disk))
    return None


async def _go_on(reference: Reference, stage: Stage, world: World, arrives: float | None) -> None:
    _inherit(stage, world, arrives=arrives)
    company = reference.company()
    source = company.export()
    await _finish(stage, source)
    await stage.look_back(company, source)


async def _finish(stage: Stage, source: FrameSource) -> None:
    """One process, which nothing disturbs: it has to bring to its end what the one before it began."""
    ended = await stage.boot(source)
    if ended is None or ended.report.result not in FINISHED:
        stage.accuse(f"liveness: the next run did not come to its end: {ended}")
        raise AccusedError


def _inherit(stage: Stage, world: World, *, arrives: float | None) -> None:
    """`stage` becomes what the world is."""
    restore(world.disk, stage.disk)
    stage.sandbox.account = deepcopy(world.service.account)
    stage.sandbox.chance = stage.sandbox.account.chance
    stage.sandbox.watch.requests = world.service.requests
    stage.bounded.of_run = deepcopy(world.of_run)
    stage.run_numbers = copy(world.run_numbers)
    stage.polite.times = deque(world.left_at)
    loop = asyncio.get_running_loop()
    if isinstance(loop, SimulatedLoop):
        loop.go_to(world.at)
    for flight in world.on_the_way:
        stage.network.inherit(flight, arrives)


def _half_written(before: World, after: World) -> Iterator[World]:
    """What there is between two worlds: each file that grew or changed in place, with half of what is new in it."""
    if before.last.startswith("os.rename"):
        return  # at once, or not at all
    for name, new in after.disk.items():
        old = before.disk.get(name, b"")
        if len(new) >= max(len(old), 2) and new != old and not name.endswith("/"):
            half = (len(old) + len(new)) // 2 if len(new) > len(old) else len(new) // 2
            disk = {**before.disk, name: new[:half] + old[half:]}
            yield replace(before, step=f"all of {name} is written", disk=disk)


def _interruption(worlds: list[World]) -> World:
    """The first that leaves something settled, and something on its way."""
    return next(world for world in worlds if world.on_the_way and any(settled for settled, _ in world.of_run.values()))


@contextlib.contextmanager
def _stage(reference: Reference, engine: Engine) -> Iterator[tuple[asyncio.Runner, Stage]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crashes-", dir=memory())))
        runner = stack.enter_context(asyncio.Runner(loop_factory=SimulatedLoop))
        stage = Stage(reference.setting, folder, reference.weather(), Trace(), engine)
        stage.strangers = [STRANGER]
        yield runner, stage


class _Scribe:
    """Takes down the world before each step of a process (an onlooker of the network, too)."""

    def __init__(self, stage: Stage, process: Process, crashes: Crashes) -> None:
        self.worlds: dict[tuple[object, ...], World] = {}
        self.resent = 0
        self._stage = stage
        self._process = process
        self._crashes = crashes
        self._service: Service | None = None
        self._seen: tuple[object, ...] = ()

    def leaves(self, flight: Flight) -> None:
        self.step(f"request-leaves {flight.number}")

    def lands(self, flight: Flight) -> None:
        self.step(f"request-lands {flight.number}")

    def step(self, what: str) -> None:
        """The process might die now."""
        stage = self._stage
        self._crashes.points[_kind(what)] += 1
        self.resent = max(self.resent, stage.bounded.killed(self._process) if self._process.plan else 0)
        on_the_way = tuple(
            flight for flight in stage.network.flights if not (flight.heard or flight.over or flight.lost)
        )
        image = image_of(stage.disk)
        service = self._service_now()
        world = (digest_of(image), service.requests, id(service), tuple(flight.number for flight in on_the_way))
        if world in self.worlds:
            self.worlds[world] = replace(self.worlds[world], last=what)
        else:
            self.worlds[world] = World(
                sum(self._crashes.points.values()),
                what,
                what,
                now(),
                image,
                service,
                tuple(map(replace, on_the_way)),
                tuple(stage.polite.times),
                deepcopy(stage.bounded.of_run),
                copy(stage.run_numbers),
            )

    def _service_now(self) -> Service:
        """A copy of the service, a new one whenever it is another than it was."""
        sandbox = self._stage.sandbox
        seen = (
            sandbox.watch.requests,
            tuple(self._stage.held.variables),
            *map(repr, self._stage.held.contacts.values()),
        )
        if self._service is None or seen != self._seen:
            self._seen = seen
            self._service = Service(deepcopy(sandbox.account), sandbox.watch.requests)
        return self._service


def _kind(step: str) -> str:
    """What sort of crash point it is before."""
    word = step.split(" ", 1)[0]
    if word in {"turn", "end"} or word.startswith("request"):
        return word
    return "statement" if word.isupper() else "file"
