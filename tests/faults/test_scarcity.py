"""Too little of something: memory, processor, disk, network. Slower, or at an end in words; never a contact less."""

import contextlib
import gc
import json
import os
import re
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from syncengine.dispatch.preparing import BATCHES_AT_A_TIME
from syncengine.events import BatchSettled
from syncengine.ports import Batch
from syncengine.report import Result
from syncengine.sandbox.faults import Delay, Fault, When
from syncengine.sync import Pace
from syncengine.testing import FrameSource, people
from syncengine.testing.virtual_time import VirtualTimeLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Site, World

T = TypeVar("T")
MIB = 1 << 20


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell what a process needs")
def test_p18_a_run_needs_no_more_memory_than_is_promised(site: "Site") -> None:
    """Its peak, the interpreter with all libraries included, is below what is promised above them."""
    site.write_source(site.people(30_000))
    process = site.start("sync", "--yes")
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # it has ended; it has not
            found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1]) * 1024 if found else 0)
            process.wait(0.05)
    _, err = process.communicate()

    assert (process.returncode, len(site.on_list.contacts)) == (0, 30_000), err
    assert 64 * MIB < peak < 512 * MIB


@pytest.mark.anyio
async def test_p18_of_a_large_plan_only_what_is_about_to_be_sent_is_in_memory(world: "World") -> None:
    """Counted: batches that were begun and not settled, whatever the number of contacts."""
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 0.2})
    world.pace = Pace(concurrency=4)
    alive: list[int] = []

    def count(event: object) -> None:
        if isinstance(event, BatchSettled):
            alive.append(sum(isinstance(one, Batch) for one in gc.get_objects()))

    events: list[Any] = Told(count)
    ended = await world.run(FrameSource(people(10_000)), events=events)

    assert (ended.report.result, len(alive)) == (Result.OK, 100)
    assert max(alive) <= 2 * 4 + 2 * BATCHES_AT_A_TIME + 1  # in flight, in the queue, on their way there, made ready
    assert max(alive[50:]) <= max(alive[:50])


class Told(list[Any]):
    """A list that tells of what is appended, and keeps nothing."""

    def __init__(self, tell: Callable[[Any], None]) -> None:
        super().__init__()
        self.append = tell  # type: ignore[method-assign]


class Cell:
    """A control group whose processes are killed when they need more memory than is allowed."""

    PLACES = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.why_not = "there are no control groups for memory here"
        for place in self.PLACES:
            name = "memory.limit_in_bytes" if place.name == "memory" else "memory.max"
            folder = place / f"syncengine-test-{os.getpid()}"
            try:
                folder.mkdir()
                self.limit = folder / name
                self.limit.write_text(str(4096 * MIB))
            except OSError as error:
                self.why_not = f"no control group for memory may be made here: {error}"
                with contextlib.suppress(OSError):
                    folder.rmdir()
            else:
                self.folder = folder
                return

    def close(self) -> None:
        if self.folder is not None:
            self.folder.rmdir()


@pytest.fixture
def cell() -> Iterator[Cell]:
    cell = Cell()
    yield cell
    cell.close()


def test_p18_a_run_the_kernel_kills_for_its_memory_is_gone_on_with(site: "Site", cell: Cell) -> None:
    if cell.folder is None:
        pytest.skip(f"{cell.why_not} (kill -9 at any place is shown by the other tests)")
    site.write_source(site.people(2_000))
    site.write_config(account="rate = 20")
    process = site.start("sync", "--yes")
    site.until(lambda: len(site.on_list.contacts) >= 200, process)
    (cell.folder / "cgroup.procs").write_text(str(process.pid))
    with contextlib.suppress(OSError):  # what it can't give back at once: the kill comes with the next page it needs
        cell.limit.write_text(str(MIB))
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:  # it needed nothing more: then it is done
        process.kill()
        process.communicate()
    cell.limit.write_text(str(4096 * MIB))

    site.write_config()
    ran = site.run("sync", "--yes", "--json")

    assert (ran.code, len(site.on_list.contacts)) == (0, 2_000), ran.err
    assert sum(one.size for one in site.sandbox.log if "contacts" in one.endpoint) <= 2_000 + 2 * 800


# Processor and disk ---------------------------------------------------------------------------------------------------


def test_p22_a_process_that_gets_a_fifth_of_a_core_takes_nothing_for_late(site: "Site") -> None:
    """It is let run for 20 ms, and stopped for 80 ms, from its start to its end."""
    site.write_source(site.people(600))
    process = site.start("sync", "--yes", "--json")
    while process.poll() is None:
        for number, seconds in ((signal.SIGCONT, 0.02), (signal.SIGSTOP, 0.08)):
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
    out, err = process.communicate()

    assert process.returncode == 0, err
    (report,) = json.loads(out)["runs"]
    assert (report["retries"], len(site.on_list.contacts)) == (0, 600)
    assert sum(one.size for one in site.sandbox.log if "contacts" in one.endpoint) == 600


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [0.5, 20.0])
async def test_p22_on_a_disk_that_takes_seconds_for_each_write_deadlines_are_the_networks_alone(
    world: "World", seconds: float
) -> None:
    """In virtual time; half a minute is what a request may take, and none of it is spent on the journal."""
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 12.0})

    async def slowly(work: Callable[[], T]) -> T:
        await anyio.sleep(seconds)
        return work()

    in_thread: Callable[[Callable[[], Any]], Awaitable[Any]] = slowly
    ended = await world.run(FrameSource(people(1_000)), in_thread=in_thread)

    assert (ended.report.result, ended.report.retries, world.sent()) == (Result.OK, 0, 1_000)
    assert world.sandbox.overlaps == []


# Network --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("loss", [0.3, 0.5])
async def test_n05_on_a_line_that_loses_packets_all_is_slower_and_nothing_else(world: "World", loss: float) -> None:
    """What a lost packet comes to above TCP: waits of 0.2, 0.4, 0.8 … seconds, on the way there and on the way back."""
    world.sandbox.faults.add(
        *(
            Fault(what=Delay(0.2 * (2**times - 1)), when=when, times=None, probability=loss**times)
            for when in When
            for times in (1, 2, 3, 4)
        )
    )
    began = anyio.current_time()

    ended = await world.run(FrameSource(people(3_000)))

    assert (ended.problem, ended.report.result, ended.report.retries) == (None, Result.OK, 0)
    assert (world.sent(), len(world.on_list.contacts), world.sandbox.overlaps) == (3_000, 3_000, [])
    assert anyio.current_time() - began > 1.0
