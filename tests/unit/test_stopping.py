"""A run is asked to stop once, politely; it has 25 seconds; whoever insists does not wait for them."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import pytest

from syncengine.errors import InterruptedRunError, UnavailableError
from syncengine.stopping import GRACE, StopSwitch, next_time, stop_at, stopped_by_signals
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def in_flight(switch: StopSwitch, seconds: float) -> tuple[bool, float]:
    """Whether work of `seconds` was finished within the switch's hard scope, and how long it took."""
    began = anyio.current_time()
    with switch.hard as scope:
        await anyio.sleep(seconds)
    return not scope.cancelled_caught, anyio.current_time() - began


async def test_nothing_is_stopped_unasked() -> None:
    switch = StopSwitch()

    switch.pulse()
    assert not switch.requested
    assert await in_flight(switch, 10_000.0) == (True, pytest.approx(10_000.0, abs=0.1))


async def test_the_first_reason_stays() -> None:
    switch = StopSwitch()
    switch.request("SIGTERM", signal.SIGTERM)
    switch.request("SIGINT", signal.SIGINT)

    assert (switch.requested, switch.reason, switch.signal_number) == (True, "SIGTERM", signal.SIGTERM)


async def test_what_is_in_flight_has_the_grace_and_no_more() -> None:
    soon, late = StopSwitch(), StopSwitch()
    for switch in (soon, late):
        switch.request("SIGTERM")

    assert await in_flight(soon, GRACE - 1) == (True, pytest.approx(GRACE - 1, abs=0.1))
    assert await in_flight(late, GRACE) == (False, pytest.approx(1.0, abs=0.1))


async def test_asking_again_does_not_prolong_the_grace() -> None:
    switch = StopSwitch()
    switch.request("SIGTERM")
    await anyio.sleep(20.0)
    switch.request("until 06:00")

    assert await in_flight(switch, 100.0) == (False, pytest.approx(GRACE - 20.0, abs=0.1))


async def test_who_insists_waits_for_nothing() -> None:
    switch = StopSwitch()

    async with anyio.create_task_group() as group:

        async def impatient() -> None:
            await anyio.sleep(1.0)
            switch.request("SIGINT")
            await anyio.sleep(1.0)
            switch.insist()

        group.start_soon(impatient)
        assert await in_flight(switch, 100.0) == (False, pytest.approx(2.0, abs=0.1))


async def test_the_next_run_begins_under_the_same_switch() -> None:
    switch = StopSwitch()
    assert await in_flight(switch, 1.0) == (True, pytest.approx(1.0, abs=0.1))

    switch.next_run()
    assert await in_flight(switch, 1.0) == (True, pytest.approx(1.0, abs=0.1))

    switch.next_run()
    switch.request("SIGTERM")
    switch.next_run()
    assert switch.requested
    assert await in_flight(switch, 100.0) == (False, pytest.approx(GRACE, abs=0.1))


async def test_sleeping_ends_early_for_everybody_when_a_stop_is_requested() -> None:
    switch = StopSwitch()
    woken: list[float] = []

    async def sleeper() -> None:
        await switch.sleep(1_000.0)
        woken.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(sleeper)
        await anyio.sleep(3.0)
        switch.request("SIGTERM")

    assert woken == pytest.approx([3.0] * 5, abs=0.1)


async def test_sleeping_takes_its_time_unasked_and_none_once_asked() -> None:
    switch = StopSwitch()
    began = anyio.current_time()
    await switch.sleep(50.0)
    assert anyio.current_time() - began == pytest.approx(50.0, abs=0.1)

    switch.request("SIGTERM")
    await switch.sleep(50.0)
    assert anyio.current_time() - began == pytest.approx(50.0, abs=0.1)


async def test_long_work_that_sent_nothing_ends_with_that_said() -> None:
    switch = StopSwitch()
    switch.request("SIGTERM", signal.SIGTERM)

    with pytest.raises(InterruptedRunError) as stopped:
        switch.pulse()

    assert stopped.value.what == "stopped by SIGTERM while planning"
    assert stopped.value.sent == "nothing was sent"
    assert stopped.value.signal_number == signal.SIGTERM


async def test_planning_that_outlasts_its_time_is_no_interruption() -> None:
    switch = StopSwitch()
    switch.request("it is 06:00")

    with pytest.raises(UnavailableError) as stopped:
        switch.pulse()

    assert (stopped.value.what, stopped.value.code) == ("stopped while planning: it is 06:00", "budget-spent")
    assert stopped.value.sent == "nothing was sent"


# At a time of day ----------------------------------------------------------------------------------------------------

EVENING = datetime(2026, 5, 1, 22, 30, 15, 500, tzinfo=timezone(timedelta(hours=5)))


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("23:00", "2026-05-01T23:00:00+05:00"),
        ("22:31", "2026-05-01T22:31:00+05:00"),
        ("22:30", "2026-05-02T22:30:00+05:00"),
        ("06:00", "2026-05-02T06:00:00+05:00"),
        ("6:00", "2026-05-02T06:00:00+05:00"),
        (" 00:00 ", "2026-05-02T00:00:00+05:00"),
    ],
)
async def test_a_time_of_day_is_the_next_moment_it_is_that_late(clock: str, expected: str) -> None:
    assert next_time(clock, EVENING).isoformat() == expected


@pytest.mark.parametrize("clock", ["", "6", "25:00", "12:60", "noon", "6:0", "06:00:00", "-1:00"])
async def test_what_is_no_time_of_day_is_told(clock: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        next_time(clock, EVENING)


async def test_a_run_stops_when_the_clock_on_the_wall_says_so() -> None:
    switch = StopSwitch()

    await stop_at(switch, EVENING + timedelta(hours=2), lambda: EVENING + timedelta(seconds=anyio.current_time()))

    assert anyio.current_time() == pytest.approx(7200.0, abs=1.0)
    assert switch.reason == "it is 00:30"


async def test_a_clock_that_is_put_forward_meanwhile_is_noticed_within_half_a_minute() -> None:
    switch = StopSwitch()

    def now() -> datetime:
        jumped = timedelta(hours=2) if anyio.current_time() > 100 else timedelta()
        return EVENING + timedelta(seconds=anyio.current_time()) + jumped

    await stop_at(switch, EVENING + timedelta(hours=2), now)

    assert 100.0 < anyio.current_time() <= 130.1


# Real signals, in real time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_first_signal_asks_and_the_second_insists(number: signal.Signals) -> None:
    switch = StopSwitch()
    told: list[str] = []

    async with stopped_by_signals(switch, on_stop=told.append):
        os.kill(os.getpid(), number)
        await switch.sleep(30.0)
        assert (switch.requested, switch.reason, switch.signal_number) == (True, number.name, number)

        os.kill(os.getpid(), signal.SIGTERM)
        with switch.hard as scope:
            await anyio.sleep(30.0)
        assert scope.cancelled_caught

    assert told == [number.name]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_after_the_block_a_signal_does_what_it_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    async with stopped_by_signals(StopSwitch(), on_stop=lambda _: None):
        pass

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_planning_asks_from_a_thread_of_its_own() -> None:
    switch = StopSwitch()
    await anyio.to_thread.run_sync(switch.pulse)
    switch.request("SIGTERM", signal.SIGTERM)

    with pytest.raises(InterruptedRunError):
        await anyio.to_thread.run_sync(switch.pulse)


STUCK = """
import anyio, time
from syncengine.stopping import StopSwitch, stopped_by_signals

async def main():
    switch = StopSwitch()
    async with stopped_by_signals(switch, on_stop=lambda reason: print(reason, flush=True)):
        print("ready", flush=True)
        await anyio.to_thread.run_sync(time.sleep, 600)  # as a read from a disk that does not answer

anyio.run(main)
"""


def test_p06_whoever_insists_is_rid_of_a_process_that_can_not_be_asked() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = []
    for number in (signal.SIGTERM, signal.SIGINT):
        told.append(process.stdout.readline())
        process.send_signal(number)

    assert process.wait(60) == 128 + signal.SIGTERM  # and not after ten minutes
    process.stdout.close()
    assert told == ["ready\n", "SIGTERM\n"]
