"""A disk that fails at the n-th step, for every n, or loses power: the twins of test_syscalls.py, in one process.

SQLite's steps are seen by a VFS of our own, all others by Python's audit events; the engine is the one that is shipped.
"""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from syncengine.errors import StateError, SyncEngineError
from syncengine.events import BatchSettled
from syncengine.ledger import open_ledger
from syncengine.report import Result
from syncengine.simulation.disk import Image, each_step, image_of, restore
from syncengine.sync import Pace
from syncengine.testing import FrameSource, people
from syncengine.testing.faulty_disk import FULL, IOERR_FSYNC, IOERR_WRITE, OK, FaultyDisk, Step, no_faulty_disk
from syncengine.testing.virtual_time import VirtualTimeLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.anyio
needs_the_database = pytest.mark.skipif(no_faulty_disk() != "", reason=no_faulty_disk() or "-")

PEOPLE = 300
SHARES = 3  #: every third step a test, so that the workers of a test run share them out


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def small(world: "World") -> "World":
    world.pace = Pace(concurrency=1)
    return world


TOLD = (SyncEngineError, OSError, sqlite3.Error)  #: a message, or made one at the edge


async def fails_in_words(world: "World") -> bool:
    """Whether the run could not go on; it says so then."""
    try:
        ended = await world.run(FrameSource(people(PEOPLE)))
        world.ledger.close()
    except TOLD:
        return True
    except BaseExceptionGroup as several:
        if several.split(TOLD)[1] is not None:
            raise
        return True
    assert (ended.report.result, len(world.on_list.contacts)) == (Result.OK, PEOPLE)
    return False


async def goes_on(world: "World", told: str) -> None:
    """The next process, on a disk that is well again."""
    world.ledger = open_ledger(world.folder)
    intended = world.ledger.execute("SELECT count(*) FROM batches").fetchone()[0]
    assert world.sent() <= 100 * intended, f"{told}: sent without a durable word about it"
    ended = await world.run(FrameSource(people(PEOPLE)))
    assert (ended.problem, ended.report.pending, len(world.on_list.contacts)) == (None, 0, PEOPLE), told
    assert world.sent() <= PEOPLE + 2 * 100, told  # one batch: to be added again, and since they exist, updated
    assert world.sandbox.overlaps == []
    with closing(sqlite3.connect(world.folder / "state.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def failing(n: int, *, for_ever: bool, full: bool) -> Callable[[Step], int]:
    def on_step(step: Step) -> int:
        if step.number < n or (step.number > n and not for_ever):
            return OK
        return FULL if full else IOERR_FSYNC if step.kind == "sync" else IOERR_WRITE

    return on_step


async def steps_of_a_run(world: "World") -> int:
    world.ledger.close()
    with FaultyDisk(world.folder) as disk:
        world.ledger = open_ledger(world.folder)
        await world.run(FrameSource(people(PEOPLE)))
        world.ledger.close()
    return disk.steps


@needs_the_database
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize(
    ("for_ever", "full"), [(False, False), (True, False), (False, True), (True, True)],
    ids=["an error once", "errors for ever", "full once", "full for ever"],
)  # fmt: skip
async def test_p09_p10_p11_whichever_step_of_the_database_fails_the_run_ends_in_words_and_goes_on(
    worlds: Callable[[], "World"], share: int, *, for_ever: bool, full: bool
) -> None:
    steps = await steps_of_a_run(small(worlds()))
    failed = 0
    for n in range(1 + share, steps + 1, SHARES):
        struck = small(worlds())
        struck.ledger.close()
        with FaultyDisk(struck.folder, failing(n, for_ever=for_ever, full=full)):
            try:
                struck.ledger = open_ledger(struck.folder)
            except StateError:
                failed += 1
            else:
                failed += await fails_in_words(struck)
        await goes_on(struck, f"step {n} of {steps}")
    assert failed > steps // SHARES * 0.8


@contextmanager
def failing_files(folder: Path, n: int, number: int) -> Iterator[list[str]]:
    """The n-th opening, renaming, making or removing of a file below `folder` fails."""
    steps: list[str] = []

    def tell(step: str) -> None:
        steps.append(step)
        if len(steps) == n:
            raise OSError(number, f"{errno.errorcode[number]} at {step}")

    with each_step(folder, tell):
        yield steps


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
async def test_p04_p09_p10_whichever_file_can_not_be_opened_or_renamed_the_run_ends_in_words_and_goes_on(
    worlds: Callable[[], "World"], number: int
) -> None:
    """The files beside the database: anchor, plan, reports, snapshot, log, and the folders they are in."""
    world = small(worlds())
    with failing_files(world.folder, 0, number) as steps:
        await world.run(FrameSource(people(PEOPLE)))
    for n in range(1, len(steps) + 1):
        struck = small(worlds())
        with failing_files(struck.folder, n, number):
            await fails_in_words(struck)
        close_anyhow(struck)
        await goes_on(struck, f"{n}: {steps[n - 1]}")


def close_anyhow(world: "World") -> None:
    """As the end of its process would."""
    with suppress(sqlite3.ProgrammingError):  # it is closed
        world.ledger.close()


# Power ----------------------------------------------------------------------------------------------------------------

CUTS = 15


class Outlet:
    """Cuts the power at some steps, without anybody noticing: each time a copy of what is left is kept, with what was
    acknowledged until then.
    """

    def __init__(self, folder: Path, chance: Random, *, share: float) -> None:
        self.folder = folder
        self.chance = chance
        self.share = share
        self.disk = FaultyDisk(folder, self.on_step)
        self.settled: set[int] = set()
        self.left: list[tuple[Image, set[int], str]] = []

    def on_step(self, step: Step) -> int:
        if self.chance.random() < self.share:
            image = self.disk.after_power_cut(image_of(self.folder), self.chance)
            self.left.append((image, set(self.settled), f"before {step}"))
        return OK


async def cut_power(world: "World", chance: Random, pragma: str = "") -> Outlet:
    """A run, with a copy of what a power cut would leave at some of its steps."""
    world.pace = Pace(concurrency=2)
    world.ledger.close()
    outlet = Outlet(world.folder, chance, share=0.4)
    with outlet.disk:
        world.ledger = open_ledger(world.folder)
        if pragma:
            world.ledger.execute(pragma)

        def observe(event: object) -> None:
            if isinstance(event, BatchSettled):
                outlet.settled.add(event.batch)

        await world.run(FrameSource(people(1_000)), events=Told(observe))
        world.ledger.close()
    return outlet


class Told(list[Any]):
    """A list that tells of what is appended."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        super().__init__()
        self.append = tell  # type: ignore[method-assign]


def forgotten(outlet: Outlet, folder: Path) -> list[str]:
    """Where the state after a power cut does not know what had been acknowledged before it, or can't be used."""
    faults = []
    for number, (image, settled, told) in enumerate(outlet.left):
        place = restore(image, folder / f"cut-{number}")
        try:
            with closing(open_ledger(place)) as ledger:
                if ledger.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    faults.append(f"{told}: damaged")
                known = {row[0] for row in ledger.execute("SELECT batch FROM batches WHERE settled_at IS NOT NULL")}
        except StateError as error:
            faults.append(f"{told}: {error.why}")
            continue
        if settled - known:
            faults.append(f"{told}: forgot {settled - known}")
    return faults


@needs_the_database
@pytest.mark.parametrize("seed", range(3))
async def test_p11_p12_after_a_power_cut_the_state_knows_all_that_was_acknowledged(
    worlds: Callable[[], "World"], tmp_path: Path, seed: int
) -> None:
    outlet = await cut_power(worlds(), Random(seed))

    assert len(outlet.left) >= CUTS
    assert max(len(settled) for _, settled, _ in outlet.left) > 5
    assert forgotten(outlet, tmp_path / "after") == []


@needs_the_database
async def test_p12_the_test_of_power_cuts_would_notice_a_state_that_is_not_synced(
    worlds: Callable[[], "World"], tmp_path: Path
) -> None:
    """With synchronous=NORMAL commits are not synced, and what was acknowledged is gone, or the log has holes."""
    outlet = await cut_power(worlds(), Random(0), "PRAGMA synchronous=NORMAL")

    assert forgotten(outlet, tmp_path / "after") != []


@needs_the_database
async def test_p12_a_run_goes_on_from_what_a_power_cut_has_left(worlds: Callable[[], "World"], tmp_path: Path) -> None:
    world = worlds()
    outlet = await cut_power(world, Random(7))
    requests = len(world.sandbox.log)

    for image, settled, told in outlet.left[:: max(1, len(outlet.left) // 8)]:
        after = worlds()
        after.ledger.close()
        after.folder = restore(image, tmp_path / f"after-{told.partition(',')[0].rpartition('=')[2]}")
        after.sandbox = world.sandbox  # which has carried out all that was sent before, and more
        after.ledger = open_ledger(after.folder)
        before = sum(one.size for one in after.sandbox.log)
        ended = await after.run(FrameSource(people(1_000)))
        resent = sum(one.size for one in after.sandbox.log) - before
        assert (ended.problem, ended.report.pending) == (None, 0), told
        assert len(after.on_list.contacts) == 1_000
        if ended.report.resumed:
            assert resent <= 2 * (1_000 - 100 * len(settled)), told  # added, and since they exist updated
    assert len(world.sandbox.log) > requests
