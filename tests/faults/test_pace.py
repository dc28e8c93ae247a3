"""The rate as the service sees it: whole runs in virtual time, every request counted, whatever it was for."""

import math
from itertools import pairwise
from typing import Any

import pytest

from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.faults import Delay, Drop, Fault, Status, When
from syncengine.sync import Pace
from syncengine.testing import FrameSource, people
from syncengine.testing.virtual_time import VirtualTimeLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.anyio

LATENCY = Fault(what=Delay(0.1), times=None, when=When.AFTER_APPLY)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def times(world: "World") -> list[float]:
    """When each request came, of any kind."""
    return [request.at for request in world.sandbox.log]


def most_in_a_second(came: list[float]) -> int:
    first = most = 0
    for index, time in enumerate(came):
        while time - came[first] >= 1.0:
            first += 1
        most = max(most, index - first + 1)
    return most


@pytest.mark.parametrize("rate", [1.0, 5.0, 50.0, 100.0])
async def test_sixteen_senders_use_the_rate_evenly_and_no_second_sees_more(world: "World", rate: float) -> None:
    world.rate, world.pace = rate, Pace(concurrency=16)
    world.sandbox.faults.add(LATENCY)

    ended = await world.run(FrameSource(people(int(100 * min(4 * rate, 160)))))

    came = times(world)
    assert ended.problem is None
    assert {request.endpoint for request in world.sandbox.log} == {Endpoint.VARIABLES_ADD, Endpoint.CONTACTS_ADD}
    assert most_in_a_second(came) <= rate
    settled = came[len(came) // 2 :]  # the number of senders has grown to what the service bears
    assert (len(settled) - 1) / (settled[-1] - settled[0]) >= 0.98 * rate
    assert max(after - before for before, after in pairwise(settled)) <= 1.05 / rate


@pytest.mark.parametrize("rate", [2.0, 2.5, 7.0, 40.0])
async def test_no_second_sees_more_than_the_rate_whatever_goes_wrong(world: "World", rate: float) -> None:
    world.rate, world.pace, world.timeout = rate, Pace(concurrency=16), 5.0
    world.sandbox.faults.add(
        LATENCY,
        Fault(what=Status(503), probability=0.1, times=None),
        Fault(what=Drop(), probability=0.1, times=None, when=When.AFTER_APPLY),
        Fault(what=Status(429, retry_after="3"), nth=20, times=2),
        Fault(what=Delay(7.0), nth=30, times=1),
    )
    rows = people(4_000, email={7: "user8@example.com", 11: "no address"})

    await world.run(FrameSource(rows.head(2_500)))
    await world.run(FrameSource(rows.with_columns(name=rows["name"] + " Jr.")))

    endpoints = {request.endpoint for request in world.sandbox.log}
    assert endpoints == {Endpoint.VARIABLES_ADD, Endpoint.CONTACTS_ADD, Endpoint.BATCH_UPDATE}
    assert {200, 429, 503, None} <= {request.status for request in world.sandbox.log}
    assert most_in_a_second(times(world)) <= math.ceil(rate)
