"""The life of one seed: exports come, runs are made of them, processes die, and in the end all is as it should be.

Safety first: faults, storms and kills, with the judges watching. Then liveness: the weather clears, nobody is killed
any more, and the run that is under way has to come to its end by itself.
"""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

from syncengine.report import Result
from syncengine.sandbox.account import DEFAULT_LIST
from syncengine.simulation.clock import SimulatedLoop, StalledError, Trace
from syncengine.simulation.company import Company
from syncengine.simulation.ending import FINISHED
from syncengine.simulation.judges import now
from syncengine.simulation.process import TOKEN, Engine
from syncengine.simulation.setting import Setting, draw
from syncengine.simulation.stage import PATIENCE, AccusedError, Stage, Tally
from syncengine.simulation.weather import Weather
from syncengine.sync import Ended

MOST_BOOTS = 40  #: processes for one export before we say that it never ends


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
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simulation-", dir=memory())))
        runner = stack.enter_context(asyncio.Runner(loop_factory=SimulatedLoop))
        life = Life(seed, folder, engine or Engine(), Trace(keep=keep_trace))
        try:
            runner.run(life.live())
        except AccusedError:
            pass  # the judges have said it all
        except StalledError as error:
            life.stage.accuse(f"stalled: {error}")
        return life.verdict()


def memory() -> str | None:
    """A folder in memory, where there is one: what is simulated need not wear a disk out."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # a private folder is made in it


class Life:
    """One seed. `live` it once."""

    def __init__(self, seed: int, folder: Path, engine: Engine, trace: Trace) -> None:
        self.chance = Random(seed)  # noqa: S311  # repeatable on purpose
        self.setting = draw(seed, self.chance)
        self.trace = trace
        self.company = Company(self.chance, ids=self.setting.ids)
        self.weather = Weather(self.chance, self.setting.trouble)
        self._tricks: list[asyncio.TimerHandle] = []
        self.stage = Stage(self.setting, folder, self.weather, trace, engine)

    def verdict(self) -> Verdict:
        stage = self.stage
        return Verdict(self.setting, tuple(stage.broken), self.trace.digest, tuple(self.trace.lines or ()), stage.tally)

    async def live(self) -> None:
        """From the first export to the last look at the list."""
        self.trace.note("setting", self.setting)
        self.company.hire(self.setting.people)
        self._found_list()
        for cycle in range(self.setting.cycles):
            if cycle:
                self.company.live(leaving=True)
            await self._cycle(is_last=cycle == self.setting.cycles - 1)
        await self._calm_down()
        await self.stage.look_back(self.company, self.company.export())
        self.stage.tally.seconds = now()

    def _found_list(self) -> None:
        """Who was on the list before: some of the company's people, as they once were, and some strangers."""
        sandbox = self.stage.sandbox
        share = self.chance.choice((0.0, 0.0, 0.3, 1.0))
        for person in self.company.people.values():
            if self.chance.random() < share:
                active = self.chance.random() < 0.5
                sandbox.seed(DEFAULT_LIST, [{"email": person.email, "name": "Once", "active": active}])
        for number in range(self.chance.randrange(3)):
            stranger = (f"stranger{number}@example.com", "Stranger", self.chance.random() < 0.5)
            self.stage.strangers.append(stranger)
            sandbox.seed(DEFAULT_LIST, [dict(zip(("email", "name", "active"), stranger, strict=True))])

    async def _calm_down(self) -> None:
        """Nobody meddles any more, and the weather is good."""
        for trick in self._tricks:
            trick.cancel()
        self.stage.sandbox.tokens.add(TOKEN)
        await asyncio.sleep(max(0.0, self.weather.clears_at - now()))

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
            ended = await self.stage.boot(source, kill=kill, at_turn=self.chance.random() < 0.7, fresh=fresh)
            if ended is None:
                kills -= 1
                await asyncio.sleep(self.chance.choice((0.0, 0.3, 5.0, 200.0)))
            elif ended.report.result in FINISHED:
                if not ended.report.resumed:
                    return
                kills = max(0, kills - 1)
            else:
                self._judge_end(ended, is_last=is_last)
                self.stage.sandbox.tokens.add(TOKEN)
                await asyncio.sleep(self.chance.choice((0.3, 60.0)))
            if not is_last and self.chance.random() < 0.1:
                return  # nobody tries any more until the next export
        self.stage.accuse(f"liveness: {MOST_BOOTS} processes did not carry out one export")

    def _judge_end(self, ended: Ended, *, is_last: bool) -> None:
        """A run that gave up: it may, while the service is down or refuses its token."""
        refused = ended.report.result is Result.REFUSED and TOKEN not in self.stage.sandbox.tokens
        down = ended.report.result is Result.UNAVAILABLE and self.setting.trouble + len(self.weather.storms) > 0
        if not (refused or down) or (is_last and down and now() > self.weather.clears_at + PATIENCE):
            self.stage.accuse(f"liveness: a run ended as {ended.report.result} without need: {ended.problem!r}")

    def _spoil(self) -> None:
        """What the operator of the service does meanwhile."""
        loop = asyncio.get_running_loop()
        if self.setting.revoked and self.chance.random() < 0.5:
            self._tricks += [loop.call_later(self.chance.uniform(0.0, 5.0), self.stage.sandbox.tokens.discard, TOKEN)]
        if self.setting.drops_variable and self.chance.random() < 0.5:
            self._tricks += [loop.call_later(self.chance.uniform(0.0, 5.0), self._drop_variable)]

    def _drop_variable(self) -> None:
        if "city" in self.stage.held.variables:
            self.trace.note("dropped", "city")
            self.stage.held.drop_variable("city")
            self.stage.phantoms.variables_lost_at = self.stage.sandbox.watch.requests
