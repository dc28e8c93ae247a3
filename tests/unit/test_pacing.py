"""Never more than the rate in any one-second window, close to all of it used, and a hold stops everybody."""

import asyncio
import itertools
import math
import random
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.destinations._http import Door
from syncengine.destinations._line import Asked, Line
from syncengine.destinations._pacing import WINDOW_MARGIN, Pacer
from syncengine.destinations._plain import Plain
from syncengine.destinations._slots import FILE, OwnSlots, SharedSlots, shared_slots
from syncengine.redaction import Secret
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

RATES = {0.5: 60, 0.9: 60, 1: 120, 1.99: 150, 2.5: 200, 5: 400, 19.5: 800, 50: 2_000, 500: 6_000}  #: rate → requests


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def leave(pacer: Pacer, requests: int, *, senders: int, think: Callable[[], float] | None = None) -> list[float]:
    """When each of `requests` left. A sender asks again at once, or after the seconds `think` gives."""
    left: list[float] = []
    started = 0

    async def sender() -> None:
        nonlocal started
        while started < requests:
            started += 1
            await pacer.acquire()
            left.append(anyio.current_time())
            if think is not None:
                await anyio.sleep(think())

    async with anyio.create_task_group() as group:
        for _ in range(senders):
            group.start_soon(sender)
    return left


def most_in_a_window(times: list[float], seconds: float = 1.0) -> int:
    """The most that fall within any window of `seconds`."""
    ordered = sorted(times)
    first = most = 0
    for index, time in enumerate(ordered):
        while time - ordered[first] >= seconds:
            first += 1
        most = max(most, index - first + 1)
    return most


def used(times: list[float]) -> float:
    """Requests a second from the first to the last."""
    return (len(times) - 1) / (times[-1] - times[0])


@pytest.mark.parametrize(("rate", "requests"), RATES.items())
async def test_the_rate_is_never_exceeded_in_any_second_and_nearly_all_of_it_is_used(
    rate: float, requests: int
) -> None:
    left = await leave(Pacer(rate), requests, senders=64)

    assert most_in_a_window(left) <= math.ceil(rate)
    assert 0.98 * rate <= used(left) <= rate


@pytest.mark.parametrize(("rate", "requests"), RATES.items())
async def test_one_sender_alone_gets_all_of_the_rate(rate: float, requests: int) -> None:
    left = await leave(Pacer(rate), min(requests, 1_000), senders=1)

    assert most_in_a_window(left) <= math.ceil(rate)
    assert used(left) >= 0.98 * rate


@pytest.mark.parametrize(("rate", "requests"), RATES.items())
async def test_a_server_that_gets_requests_a_little_later_or_sooner_sees_no_more_either(
    rate: float, requests: int
) -> None:
    chance = random.Random(1)

    left = await leave(Pacer(rate), min(requests, 3_000), senders=64)
    arrived = [time + chance.uniform(0, WINDOW_MARGIN * 0.99) for time in left]

    assert most_in_a_window(arrived) <= math.ceil(rate)


@pytest.mark.parametrize("rate", [1, 2.5, 5, 50])
async def test_a_pause_saves_nothing_up(rate: float) -> None:
    pacer = Pacer(rate)
    times = []
    for pause in (0.0, 100.0, 0.3, 1.0, 50.0):
        await anyio.sleep(pause)
        times += await leave(pacer, math.ceil(3 * rate), senders=32)

    assert most_in_a_window(times) <= math.ceil(rate)


@pytest.mark.parametrize("rate", [2.5, 5, 50])
async def test_senders_that_come_and_go_never_exceed_the_rate(rate: float) -> None:
    chance = random.Random(7)

    left = await leave(Pacer(rate), 500, senders=12, think=lambda: chance.expovariate(rate / 10))

    assert most_in_a_window(left) <= math.ceil(rate)


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.mark.parametrize(("rate", "senders"), [(1, 16), (5, 16), (50, 16), (150, 16), (500, 64), (500, 500)])
async def test_requests_are_spaced_evenly_and_all_of_the_rate_is_used(rate: float, senders: int) -> None:
    left = await leave(Pacer(rate), max(20, int(3 * rate)), senders=senders, think=lambda: 0.1)

    assert most_in_a_window(left) <= rate
    assert min(gaps(left)) >= 0.99 / rate
    assert max(gaps(left)) <= 1.02 / rate
    assert 0.98 * rate <= used(left) <= rate


@pytest.mark.parametrize("rate", [50, 500])
async def test_neither_a_pause_nor_a_hold_is_followed_by_a_burst(rate: float) -> None:
    pacer = Pacer(rate)
    await leave(pacer, rate, senders=16)

    await anyio.sleep(0.5)
    after_a_pause = await leave(pacer, rate, senders=16)
    pacer.hold(2.0)
    after_a_hold = await leave(pacer, rate, senders=16)

    assert min(gaps(after_a_pause)) >= 0.99 / rate
    assert min(gaps(after_a_hold)) >= 0.99 / rate


async def test_the_first_request_leaves_at_once() -> None:
    began = anyio.current_time()

    await Pacer(0.5).acquire()

    assert anyio.current_time() - began < 0.001


async def test_senders_leave_in_the_order_they_came() -> None:
    pacer = Pacer(10)
    order: list[int] = []

    async def sender(number: int) -> None:
        await pacer.acquire()
        order.append(number)

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(sender, number)

    assert order == [*range(30)]


async def test_a_sender_that_is_cancelled_while_waiting_takes_nothing_from_the_others() -> None:
    pacer = Pacer(1)
    await pacer.acquire()

    with anyio.move_on_after(0.5):
        await pacer.acquire()
    left = await leave(pacer, 5, senders=2)

    assert used(left) >= 0.98


# Holds ----------------------------------------------------------------------------------------------------------------


async def during(work: Callable[[], Awaitable[object]], after: float, act: Callable[[], None]) -> None:
    """Let `work` run, and `act` within it after some seconds."""
    async with anyio.create_task_group() as group:

        async def interrupt() -> None:
            await anyio.sleep(after)
            act()

        group.start_soon(interrupt)
        await work()


@pytest.mark.parametrize("rate", [0.5, 1, 2.5, 5, 50])
@pytest.mark.parametrize("at", [0.0, 0.05, 0.5, 1.003, 3.99])
async def test_a_hold_stops_everybody_also_those_waiting(rate: float, at: float) -> None:
    pacer = Pacer(rate)
    left: list[float] = []

    async def work() -> None:
        left.extend(await leave(pacer, math.ceil(rate * 10), senders=32))

    await during(work, at, lambda: pacer.hold(30.0))

    assert [time for time in left if at + 0.001 < time < at + 30.0] == []
    assert left[-1] > at + 30.0
    assert most_in_a_window(left) <= math.ceil(rate)


async def test_after_a_hold_requests_leave_at_the_rate_and_not_all_at_once() -> None:
    pacer = Pacer(50)
    pacer.hold(60.0)

    left = await leave(pacer, 1_000, senders=64)

    assert 60.0 <= left[0] < 60.2
    assert most_in_a_window(left) <= 50
    assert used(left) >= 0.98 * 50


async def test_the_longest_hold_counts() -> None:
    pacer = Pacer(5)
    pacer.hold(20.0)
    pacer.hold(5.0)
    assert pacer.held_for == pytest.approx(20.0, abs=0.001)

    await anyio.sleep(10.0)
    pacer.hold(30.0)
    left = await leave(pacer, 1, senders=1)

    assert left == pytest.approx([40.0], abs=0.2)
    assert pacer.holds == 3
    assert pacer.held_for == 0.0


async def test_a_hold_set_while_another_is_waited_out_is_kept_too() -> None:
    pacer = Pacer(5)
    pacer.hold(10.0)
    left: list[float] = []

    async def work() -> None:
        left.extend(await leave(pacer, 20, senders=20))

    await during(work, 9.0, lambda: pacer.hold(20.0))

    assert min(left) >= 29.0


async def test_a_hold_of_nothing_holds_nobody() -> None:
    pacer = Pacer(5)
    pacer.hold(0.0)

    assert pacer.held_for == 0.0
    assert (await leave(pacer, 1, senders=1))[0] < 0.001


# Several processes of one account -------------------------------------------------------------------------------------


def together(folder: Path, rate: float, processes: int) -> list[Pacer]:
    """The pacers of so many processes that work on one state directory."""
    return [Pacer(rate, SharedSlots(folder, longest=300.0)) for _ in range(processes)]


@pytest.mark.parametrize(("rate", "requests"), RATES.items())
@pytest.mark.parametrize("processes", [1, 2, 5])
async def test_processes_together_never_exceed_the_rate_and_nearly_use_it(
    tmp_path: Path, rate: float, requests: int, processes: int
) -> None:
    shares: list[list[float]] = []

    async def work(pacer: Pacer) -> None:
        shares.append(await leave(pacer, min(requests, 1_500) // processes, senders=8))

    async with anyio.create_task_group() as group:
        for pacer in together(tmp_path, rate, processes):
            group.start_soon(work, pacer)

    left = sorted(itertools.chain(*shares))
    first_done = min(times[-1] for times in shares)
    assert most_in_a_window(left) <= math.ceil(rate)
    assert used([time for time in left if time <= first_done]) >= 0.95 * rate


async def test_a_hold_of_one_process_holds_the_others(tmp_path: Path) -> None:
    one, other = together(tmp_path, 5, 2)
    one.hold(20.0)
    began = anyio.current_time()

    await other.acquire()

    assert anyio.current_time() - began == pytest.approx(20.0, abs=0.01)
    assert (one.held_for, other.holds) == (0.0, 0)


async def test_a_process_that_comes_later_knows_what_left_before(tmp_path: Path) -> None:
    first = await leave(*together(tmp_path, 5, 1), 5, senders=5)
    second = await leave(*together(tmp_path, 5, 1), 5, senders=5)

    assert most_in_a_window([*first, *second]) <= 5


async def test_times_of_an_earlier_life_of_the_machine_hold_nobody(tmp_path: Path) -> None:
    """The clock began anew: what is in the file is still to come."""
    slots = SharedSlots(tmp_path, longest=300.0)
    later = anyio.current_time() + 1e6
    for _ in range(5):
        assert slots.take({(5, 1.01)}, later) == 0.0
    slots.hold(later + 100.0, later)
    began = anyio.current_time()

    await leave(Pacer(5, SharedSlots(tmp_path, longest=300.0)), 5, senders=5)

    assert anyio.current_time() - began < 1.1


async def test_a_rate_beyond_what_the_file_keeps_is_kept_over_a_shorter_time(tmp_path: Path) -> None:
    own, shared = OwnSlots(20_000), SharedSlots(tmp_path, longest=300.0)
    for slots in (own, shared):
        taken, now = 0, 100.0
        while now < 102.0:
            wait = slots.take({(20_000, 1.0)}, now)
            taken += wait == 0
            now += wait or 1e-6
        assert 39_000 <= taken <= 40_001


def test_the_file_is_private_and_one_that_is_none_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"rubbish")

    assert SharedSlots(tmp_path, longest=300.0).take({(1, 1.0)}, 5.0) == 0.0
    assert SharedSlots(tmp_path, longest=300.0).take({(1, 1.0)}, 5.25) == 0.75
    (tmp_path / FILE).unlink()
    assert shared_slots(tmp_path, longest=300.0) is not None
    made = (tmp_path / FILE).stat()
    assert (stat.S_IMODE(made.st_mode), made.st_blocks * 512 >= made.st_size) == (0o600, True)


def test_where_nothing_can_be_written_nobody_is_to_be_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()

    assert shared_slots(tmp_path / "a file", longest=300.0) is None


# Whatever happens -----------------------------------------------------------------------------------------------------


class TardyLoop(VirtualTimeLoop):
    """Wakes everybody late, by up to 5 ms, as a busy machine does."""

    def __init__(self) -> None:
        super().__init__()
        self._chance = random.Random(3)

    def call_at(self, when: float, *arguments: Any, **named: Any) -> Any:
        return super().call_at(when + self._chance.uniform(0, 0.005), *arguments, **named)


@pytest.mark.parametrize("rate", [1, 5, 50, 500])
def test_late_wake_ups_are_made_good_and_never_too_much(rate: float) -> None:
    with asyncio.Runner(loop_factory=TardyLoop) as runner:
        left = runner.run(leave(Pacer(rate), max(30, 6 * rate), senders=64))

    assert most_in_a_window(left) <= rate
    assert used(left) >= 0.98 * rate


@dataclass(frozen=True)
class Traffic:
    """What senders do: each asks, and asks again after a while; some lose patience; now and then the service holds."""

    rate: float
    thoughts: tuple[tuple[float, ...], ...]  #: seconds before each request, by sender
    patience: float
    holds: tuple[tuple[float, float], ...]  #: at, for


traffic = st.builds(
    Traffic,
    rate=st.one_of(st.sampled_from([0.5, 1.0, 2.5, 500.0]), st.floats(0.2, 600)),
    thoughts=st.lists(
        st.lists(st.one_of(st.just(0.0), st.floats(0, 3)), min_size=1, max_size=30).map(tuple), min_size=1, max_size=20
    ).map(tuple),
    patience=st.one_of(st.just(math.inf), st.floats(0.001, 5)),
    holds=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=3).map(tuple),
)


async def observed(what: Traffic) -> list[float]:
    """When requests left."""
    pacer = Pacer(what.rate)
    left: list[float] = []

    async def sender(thoughts: tuple[float, ...]) -> None:
        for thought in thoughts:
            await anyio.sleep(thought)
            with anyio.move_on_after(what.patience):
                await pacer.acquire()
                left.append(anyio.current_time())

    async def holding(at: float, seconds: float) -> None:
        await anyio.sleep(at)
        pacer.hold(seconds)

    async with anyio.create_task_group() as group:
        for hold in what.holds:
            group.start_soon(holding, *hold)
        for thoughts in what.thoughts:
            group.start_soon(sender, thoughts)
    return left


@given(traffic)
@settings(max_examples=60, deadline=None)
def test_no_traffic_gets_more_than_the_rate_into_a_second_or_anything_into_a_hold(what: Traffic) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        left = runner.run(observed(what))

    assert most_in_a_window(left) <= math.ceil(what.rate)
    assert most_in_a_window(left, 1 / what.rate * math.floor(what.rate) if what.rate >= 1 else 1 / what.rate) <= max(
        1, math.floor(what.rate)
    )
    for at, seconds in what.holds:
        assert [time for time in left if at + 0.001 < time < at + seconds] == []
    if what.patience == math.inf:
        assert len(left) == sum(map(len, what.thoughts))


# Connections that take their time -------------------------------------------------------------------------------------


class FarLine(Line):
    """A connection that takes 0.3 s to stand; from then on a request arrives 0.05 s after it left."""

    def __init__(self, arrived: list[float]) -> None:
        super().__init__(None)
        self.arrived = arrived
        self._stands = False

    @property
    def stands(self) -> bool:
        return self._stands

    async def connect(self, request: httpx.Request) -> Any:  # noqa: ARG002
        await anyio.sleep(0.3)
        self._stands = True

    async def exchange(self, asked: Asked, body: bytes | None, *, deadline: float) -> Plain:  # noqa: ARG002
        await anyio.sleep(0.05)
        self.arrived.append(anyio.current_time())
        await anyio.sleep(0.05)
        return Plain(200, b"{}", None, None)


@pytest.mark.parametrize("rate", [1.0, 5.0, 20.0])
async def test_a_request_that_had_to_connect_first_makes_no_second_too_full(rate: float) -> None:
    arrived: list[float] = []
    door = Door(
        "http://127.0.0.1", Secret("sandbox-token"), Pacer(rate), timeout=30, transport=lambda: FarLine(arrived)
    )

    async def sender(begins: float) -> None:
        await anyio.sleep(begins)
        for _ in range(5):
            await door.post("/api", "{}")

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(sender, number * 0.7)

    assert len(arrived) == door.requests == 40
    assert most_in_a_window(arrived) <= rate
