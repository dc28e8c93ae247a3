"""As many requests in flight as the service bears, found out while running, and never beyond the ceiling."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.dispatch.pressure import Pressure
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Service:
    """Takes `capacity` requests at a time; one more is too many. Each takes 0.1 s."""

    def __init__(self, pressure: Pressure, capacity: int) -> None:
        self.pressure = pressure
        self.capacity = capacity
        self.in_flight = 0
        self.most = 0
        self.answered = 0
        self.refused = 0

    async def request(self) -> None:
        async with self.pressure:
            left_at = anyio.current_time()
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            crowded = self.in_flight > self.capacity
            try:
                await anyio.sleep(0.1)
            finally:
                self.in_flight -= 1
            if crowded:
                self.refused += 1
                self.pressure.overloaded(left_at)
            else:
                self.answered += 1
                self.pressure.relieved()

    async def serve(self, *, senders: int, seconds: float) -> None:
        async def sender() -> None:
            while True:
                await self.request()

        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                for _ in range(senders):
                    group.start_soon(sender)


@pytest.mark.parametrize(("ceiling", "start"), [(1, 1), (2, 2), (8, 2), (23, 2), (24, 3), (64, 8), (0, 1), (-3, 1)])
async def test_it_starts_low_and_within_the_ceiling(ceiling: int, start: int) -> None:
    assert Pressure(ceiling).limit == start


async def test_it_grows_by_half_each_round_trip_until_the_ceiling() -> None:
    pressure = Pressure(30, start=2)
    limits = []
    for _ in range(8):
        for _ in range(pressure.limit):
            pressure.relieved()
        limits.append(pressure.limit)

    assert limits == [3, 4, 6, 9, 14, 21, 30, 30]


async def test_overload_cuts_it_to_seventy_percent_and_growth_is_one_a_round_trip_from_then_on() -> None:
    pressure = Pressure(100, start=100)
    await anyio.sleep(1.0)

    pressure.overloaded(anyio.current_time())
    assert pressure.limit == 70

    for expected in (71, 72, 73):
        for _ in range(pressure.limit + 1):
            pressure.relieved()
        assert pressure.limit == expected


async def test_one_overload_told_by_everybody_in_flight_cuts_once() -> None:
    pressure = Pressure(100, start=100)
    left_at = anyio.current_time()
    await anyio.sleep(1.0)

    for _ in range(100):
        pressure.overloaded(left_at)
        await anyio.sleep(0.01)
    assert pressure.limit == 70

    pressure.overloaded(anyio.current_time())
    assert pressure.limit == 49


async def test_however_bad_it_gets_one_request_goes_on() -> None:
    pressure = Pressure(64, start=64)
    for _ in range(100):
        await anyio.sleep(1.0)
        pressure.overloaded(anyio.current_time())

    assert pressure.limit == 1
    async with pressure:
        assert pressure.in_flight == 1


@pytest.mark.parametrize("seed", range(10))
async def test_any_history_keeps_the_limit_between_one_and_the_ceiling(seed: int) -> None:
    chance = random.Random(seed)
    ceiling = chance.randrange(1, 40)
    pressure = Pressure(ceiling)
    for _ in range(500):
        await anyio.sleep(chance.random())
        if chance.random() < 0.2:
            pressure.overloaded(anyio.current_time() - chance.random())
        else:
            pressure.relieved()
        assert 1 <= pressure.limit <= ceiling


@pytest.mark.parametrize("ceiling", [1, 3, 8])
async def test_never_more_than_the_ceiling_are_in_flight(ceiling: int) -> None:
    service = Service(Pressure(ceiling), capacity=1_000)

    await service.serve(senders=50, seconds=30.0)

    assert service.most == ceiling
    assert service.refused == 0


async def test_a_lowered_limit_lets_those_in_flight_finish_and_nobody_new_in() -> None:
    pressure = Pressure(10, start=10)
    entered = []

    async def sender(number: int) -> None:
        async with pressure:
            entered.append(number)
            await anyio.sleep(1.0)

    async with anyio.create_task_group() as group:
        for number in range(11):
            group.start_soon(sender, number)
        await anyio.sleep(0.5)
        for _ in range(10):
            pressure.overloaded(anyio.current_time())
            await anyio.sleep(0.001)
        assert pressure.limit < 10
        assert len(entered) == 10

    assert entered == [*range(11)]
    assert pressure.in_flight == 0


async def test_a_sender_that_fails_gives_its_place_back() -> None:
    pressure = Pressure(1)

    with pytest.raises(ValueError, match="bug"):
        async with pressure:
            raise ValueError("bug")

    assert pressure.in_flight == 0


# A link with a knee ---------------------------------------------------------------------------------------------------


@dataclass
class Link:
    """Bears `knee` requests at a time, each for about 0.1 s. What is more is refused, at once or after as long.

    `queue`: so many more are not refused but wait until one of the others is done. `stray`: share of requests refused
    for another reason.
    """

    knee: int
    refuses_at_once: bool = True
    queue: int = 0
    stray: float = 0.0
    seconds: float = 0.1
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    in_flight: int = 0
    answered: list[float] = field(default_factory=list)  #: when
    refused: int = 0

    async def request(self) -> bool:
        """Whether it was carried out."""
        self.in_flight += 1
        try:
            if self.in_flight > self.knee + self.queue or self.chance.random() < self.stray:
                self.refused += 1
                await anyio.sleep(0.005 if self.refuses_at_once else self._time())
                return False
            waiting = max(0, self.in_flight - self.knee)
            await anyio.sleep(self._time() * (1 + waiting / self.knee))
            self.answered.append(anyio.current_time())
            return True
        finally:
            self.in_flight -= 1

    def _time(self) -> float:
        return self.seconds * self.chance.uniform(0.8, 1.2)

    @property
    def share_refused(self) -> float:
        return self.refused / (self.refused + len(self.answered))

    def used(self, first: float, last: float) -> float:
        """Share of what it bears that was asked of it between two times."""
        return sum(first <= at < last for at in self.answered) / (self.knee / self.seconds * (last - first))


async def work(link: Link, ceiling: int, seconds: float = 30.0) -> None:
    """Senders, as many as the ceiling; who was refused waits a while, as dispatch does."""
    pressure = Pressure(ceiling)

    async def sender() -> None:
        while True:
            async with pressure:
                left_at = anyio.current_time()
                if done := await link.request():
                    pressure.relieved()
                else:
                    pressure.overloaded(left_at)
            if not done:
                await anyio.sleep(link.chance.random())

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:
            for _ in range(ceiling):
                group.start_soon(sender)


@pytest.mark.parametrize("refuses_at_once", [True, False], ids=["at once", "late"])
@pytest.mark.parametrize("knee", [3, 5, 8, 20, 40])
async def test_a_hidden_limit_is_found_within_thirty_seconds_and_few_are_refused(
    knee: int, *, refuses_at_once: bool
) -> None:
    link = Link(knee, refuses_at_once)

    await work(link, ceiling=2 * knee + 30)

    assert link.share_refused < 0.01
    assert link.used(20, 30) >= 0.9


@given(knee=st.integers(3, 16), ceiling=st.integers(17, 64), seconds=st.floats(0.03, 0.1), seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_whatever_the_link_its_limit_is_found(knee: int, ceiling: int, seconds: float, seed: int) -> None:
    link = Link(knee, seconds=seconds, chance=random.Random(seed))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(work(link, ceiling))

    assert link.share_refused < 0.01
    assert link.used(20, 30) >= 0.9


async def test_a_link_that_queues_before_it_refuses_is_kept_busy() -> None:
    link = Link(10, queue=10)

    await work(link, ceiling=64)

    assert link.share_refused < 0.01
    assert link.used(20, 30) >= 0.9


async def test_a_link_that_comes_to_bear_more_is_used_more() -> None:
    link = Link(5)

    async def recover() -> None:
        await anyio.sleep(40.0)
        link.knee = 20

    async with anyio.create_task_group() as group:
        group.start_soon(recover)
        await work(link, ceiling=64, seconds=130.0)

    assert link.used(120, 130) >= 0.9
    assert link.share_refused < 0.01


async def test_a_link_that_comes_to_bear_less_is_spared_within_seconds() -> None:
    link = Link(40)

    async def break_down() -> None:
        await anyio.sleep(20.0)
        link.knee, link.refused = 5, 0

    async with anyio.create_task_group() as group:
        group.start_soon(break_down)
        await work(link, ceiling=64, seconds=50.0)

    assert link.used(30, 50) >= 0.9
    assert link.refused <= 60


@pytest.mark.parametrize(("ceiling", "share"), [(8, 0.85), (32, 0.7)])
async def test_refusals_that_have_another_reason_hold_nobody_down_for_long(ceiling: int, share: float) -> None:
    link = Link(1_000, stray=0.002)

    await work(link, ceiling, seconds=60.0)

    assert len(link.answered) >= share * ceiling / 0.1 * 60
