"""An outage is met by one request at a time, ends when a probe is answered, and ends the run when it lasts too long."""

import itertools
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from syncengine.dispatch.circuit import FIRST_CONNECTION, Circuit
from syncengine.dispatch.retry import RetryBudget
from syncengine.errors import UnavailableError
from syncengine.events import CircuitClosed, CircuitOpened, Event, NotReached
from syncengine.model import NoAnswer
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

FAULT = NoAnswer("HTTP 500", status=500)
MAX_OUTAGE = 900.0
TOOK = 0.1  #: seconds a request takes


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def circuit(events: list[Event]) -> Circuit:
    return Circuit(max_outage=MAX_OUTAGE, observe=events.append)


def open_up(circuit: Circuit) -> None:
    """Fail until the circuit is open."""
    while not circuit.is_open:
        circuit.failed(FAULT)


class Service:
    """Answers from second `back` on; counts who is being served."""

    def __init__(self, circuit: Circuit, *, back: float) -> None:
        self.circuit = circuit
        self.back = back
        self.asked: list[float] = []
        self.at_once = 0
        self.most_at_once = 0

    async def request(self, jitter: float = 0.5) -> bool:
        """One attempt, as the dispatcher makes it; gives whether it was answered."""
        async with self.circuit.turn(jitter):
            self.asked.append(anyio.current_time())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await anyio.sleep(TOOK)
            self.at_once -= 1
            if anyio.current_time() < self.back:
                self.circuit.failed(FAULT)
                return False
            self.circuit.succeeded()
            return True

    async def insist(self) -> None:
        while not await self.request():
            pass

    async def serve(self, senders: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(senders):
                group.start_soon(self.insist)


async def test_a_closed_circuit_lets_everybody_through_at_once(circuit: Circuit) -> None:
    service = Service(circuit, back=0.0)

    await service.serve(16)

    assert (service.most_at_once, max(service.asked) < 0.001) == (16, True)


async def test_it_opens_when_the_budget_is_spent_and_says_so_once(circuit: Circuit, events: list[Event]) -> None:
    for _ in range(19):
        circuit.failed(FAULT)
    assert not circuit.is_open

    for _ in range(10):
        circuit.failed(FAULT)

    assert circuit.is_open
    assert events == [CircuitOpened("HTTP 500")]


async def test_single_failures_among_successes_never_open_it(circuit: Circuit, events: list[Event]) -> None:
    for _ in range(500):
        circuit.failed(FAULT)
        for _ in range(5):
            circuit.succeeded()

    assert not circuit.is_open
    assert events == []


async def test_while_it_is_open_one_sender_probes_and_the_others_wait(circuit: Circuit) -> None:
    open_up(circuit)
    service = Service(circuit, back=100.0)

    with anyio.move_on_after(99.0):
        await service.serve(16)

    assert service.most_at_once == 1
    assert 3 <= len(service.asked) <= 8


async def test_probes_come_less_and_less_often_up_to_a_minute(circuit: Circuit) -> None:
    open_up(circuit)
    service = Service(circuit, back=800.0)

    with anyio.move_on_after(799.0):
        await service.serve(4)

    gaps = [after - before - TOOK for before, after in itertools.pairwise(service.asked)]
    # jitter 0.5 of the upper half: three quarters of 2, 4, 8, …, 60 seconds
    assert service.asked[0] == pytest.approx(1.5, abs=0.01)
    assert gaps[:6] == pytest.approx([3.0, 6.0, 12.0, 24.0, 45.0, 45.0], abs=0.01)


@pytest.mark.parametrize(("jitter", "first"), [(0.0, 1.0), (0.999, 2.0)])
async def test_a_probe_never_comes_at_once_whatever_the_jitter(circuit: Circuit, jitter: float, first: float) -> None:
    open_up(circuit)
    service = Service(circuit, back=0.0)

    await service.request(jitter)

    assert service.asked == pytest.approx([first], abs=0.01)


async def test_when_a_probe_is_answered_everybody_goes_on(circuit: Circuit, events: list[Event]) -> None:
    open_up(circuit)
    service = Service(circuit, back=20.0)

    await service.serve(16)

    last_probe = max(time for time in service.asked if time < service.asked[-1] - 0.05)
    assert service.asked[-15:] == pytest.approx([last_probe + TOOK] * 15, abs=0.001)
    assert not circuit.is_open
    (opened, closed) = events
    assert isinstance(opened, CircuitOpened)
    assert isinstance(closed, CircuitClosed)
    assert closed.outage == pytest.approx(last_probe + TOOK, abs=0.01)


async def test_after_an_outage_half_the_budget_is_there(circuit: Circuit) -> None:
    open_up(circuit)
    circuit.succeeded()

    for _ in range(9):
        circuit.failed(FAULT)
    assert not circuit.is_open
    circuit.failed(FAULT)
    assert circuit.is_open


async def test_after_an_outage_the_first_probe_of_the_next_comes_soon_again(circuit: Circuit) -> None:
    open_up(circuit)
    await Service(circuit, back=300.0).serve(1)
    began = anyio.current_time()
    open_up(circuit)

    service = Service(circuit, back=0.0)
    await service.serve(1)

    assert service.asked[0] - began == pytest.approx(1.5, abs=0.01)


async def test_a_late_answer_to_a_request_from_before_closes_it_too(circuit: Circuit, events: list[Event]) -> None:
    open_up(circuit)
    await anyio.sleep(5.0)

    circuit.succeeded()

    assert not circuit.is_open
    assert events[-1] == CircuitClosed(pytest.approx(5.0, abs=0.01))


async def test_an_outage_that_lasts_too_long_ends_the_run(circuit: Circuit) -> None:
    service = Service(circuit, back=1e9)
    ended: list[UnavailableError] = []

    async def sender() -> None:
        try:
            await service.insist()
        except UnavailableError as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(sender)

    assert len(ended) == 4
    assert ended[0].exit_code == 7
    assert ended[0].why.startswith("none for 9")
    assert ended[0].why.endswith("the last attempt: HTTP 500")
    first = min(time for time in service.asked if time > MAX_OUTAGE - 60)
    assert MAX_OUTAGE - 60 < first <= anyio.current_time() < MAX_OUTAGE + 4 * 61


async def test_a_service_never_reached_is_given_up_soon_and_said_at_once(circuit: Circuit, events: list[Event]) -> None:
    nobody = NoAnswer("ConnectError: All connection attempts failed", sent=False)

    circuit.failed(nobody)
    assert events == [NotReached("ConnectError: All connection attempts failed", FIRST_CONNECTION)]

    await anyio.sleep(FIRST_CONNECTION - 1)
    circuit.failed(nobody)
    await anyio.sleep(1.1)
    with pytest.raises(UnavailableError, match="can't be reached") as met:
        circuit.failed(nobody)
    assert (met.value.code, met.value.exit_code) == ("unreachable", 7)
    assert len(events) == 1


@pytest.mark.parametrize("sign_of_life", [FAULT, NoAnswer("no complete answer within 30 s")])
async def test_a_service_that_gave_any_sign_of_life_is_waited_for(circuit: Circuit, sign_of_life: NoAnswer) -> None:
    circuit.failed(sign_of_life)

    await anyio.sleep(MAX_OUTAGE - 1)
    circuit.failed(NoAnswer("ConnectError", sent=False))

    await anyio.sleep(1.1)
    with pytest.raises(UnavailableError, match="gives no usable answer"):
        circuit.failed(NoAnswer("ConnectError", sent=False))


async def test_a_service_that_has_answered_is_waited_for(circuit: Circuit, events: list[Event]) -> None:
    circuit.succeeded()

    circuit.failed(NoAnswer("ConnectError", sent=False))
    await anyio.sleep(MAX_OUTAGE - 1)
    circuit.failed(NoAnswer("ConnectError", sent=False))

    assert [event for event in events if isinstance(event, NotReached)] == []


async def test_one_answer_begins_the_patience_anew(circuit: Circuit) -> None:
    circuit.failed(FAULT)
    await anyio.sleep(MAX_OUTAGE - 1)
    circuit.succeeded()
    await anyio.sleep(MAX_OUTAGE)
    circuit.failed(FAULT)
    await anyio.sleep(MAX_OUTAGE - 1)
    circuit.failed(FAULT)

    await anyio.sleep(1.1)
    with pytest.raises(UnavailableError):
        circuit.failed(FAULT)


@pytest.mark.parametrize("give_up", [0.2, 1.0, 30.0])
async def test_a_sender_that_is_cancelled_while_probing_or_waiting_lets_the_next_go_on(
    circuit: Circuit, give_up: float
) -> None:
    open_up(circuit)
    service = Service(circuit, back=60.0)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(_give_up_after, give_up, service.insist)
        group.start_soon(service.insist)

    assert not circuit.is_open
    assert service.most_at_once == 1


async def _give_up_after(seconds: float, work: Callable[[], Any]) -> None:
    with anyio.move_on_after(seconds):
        await work()


async def test_successes_are_counted_for_whoever_asks(circuit: Circuit) -> None:
    for _ in range(3):
        circuit.succeeded()
    circuit.failed(FAULT)

    assert circuit.successes == 3


async def test_a_budget_may_be_given(events: list[Event]) -> None:
    circuit = Circuit(max_outage=1.0, observe=events.append, budget=RetryBudget(capacity=10.0, tokens=5.0))

    circuit.failed(FAULT)

    assert circuit.is_open
