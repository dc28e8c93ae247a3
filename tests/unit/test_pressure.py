"""As many requests in flight as the service bears, found out while running, and never beyond the ceiling."""

import random
from typing import Any

import anyio
import pytest

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


@pytest.mark.parametrize(("ceiling", "start"), [(1, 1), (2, 2), (8, 2), (256, 2), (0, 1), (-3, 1)])
async def test_it_starts_low_and_within_the_ceiling(ceiling: int, start: int) -> None:
    assert Pressure(ceiling).limit == start


async def test_it_doubles_each_round_trip_until_the_ceiling() -> None:
    pressure = Pressure(64)
    limits = []
    for _ in range(6):
        for _ in range(pressure.limit):
            pressure.relieved()
        limits.append(pressure.limit)

    assert limits == [4, 8, 16, 32, 64, 64]


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


async def test_it_finds_out_what_the_service_bears_and_stays_near() -> None:
    service = Service(Pressure(256), capacity=20)

    await service.serve(senders=256, seconds=10.0)
    service.answered = service.refused = service.most = 0
    await service.serve(senders=256, seconds=100.0)

    assert service.answered >= 0.75 * 20 * 10 * 100
    assert service.refused <= 0.05 * service.answered
    assert service.most <= 22


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
