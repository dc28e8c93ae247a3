"""Whole runs against a service with bad hours, in virtual time: what is lost, late, doubled or slow ends well."""

import errno
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

from syncengine.errors import UnavailableError
from syncengine.events import BatchSettled, Event
from syncengine.journal import Journal
from syncengine.model import GRACE, Answer, Op
from syncengine.ports import Batch, Progress
from syncengine.report import Result
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.faults import Delay, Drip, Drop, Fault, Hang, Html, LateApply, RawBody, Status, Truncate, When
from syncengine.settlement import Ask
from syncengine.sync import Ended, Pace
from syncengine.testing import FrameSource, MemoryDestination, people
from syncengine.testing.virtual_time import VirtualTimeLoop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.anyio

HOUR = 3_600.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def desired(count: int, **changes: Any) -> dict[str, tuple[bool, str | None]]:
    rows = people(count, **changes)
    return {email: (True, name) for email, name in rows.select("email", "name").iter_rows()}


def check(world: "World", ended: Ended, count: int, **changes: Any) -> None:
    """All is confirmed and as desired, and nobody was in two requests at once."""
    assert (ended.problem, ended.report.result, ended.report.pending) == (None, Result.OK, 0)
    assert sum(ended.report.confirmed.values()) + ended.report.same == count
    assert world.holds == desired(count, **changes)
    assert world.sandbox.overlaps == []


async def check_again(world: "World", count: int, **changes: Any) -> None:
    """A further run over the same source sends nothing."""
    before = len(world.sandbox.log)
    again = await world.run(FrameSource(people(count, **changes)))
    assert (again.report.same, len(world.sandbox.log)) == (count, before)


MISHAPS = {
    "n06 reset before it is carried out": (Drop(), When.BEFORE_APPLY),
    "n08 reset after it was carried out": (Drop(), When.AFTER_APPLY),
    "n08 no answer after it was carried out": (Hang(), When.AFTER_APPLY),
    "n10 an answer cut": (Truncate(5), When.BEFORE_APPLY),
    "n12 a page before it is carried out": (Html(), When.BEFORE_APPLY),
    "n12 a page after it was carried out": (Html(), When.AFTER_APPLY),
    "n19 an answer in drops": (Drip(4.0), When.BEFORE_APPLY),
    "n26 status 204": (Status(204, body=""), When.AFTER_APPLY),
    "n26 status 206": (Status(206), When.AFTER_APPLY),
    "n26 status 421": (Status(421), When.BEFORE_APPLY),
}


@pytest.mark.parametrize(("what", "when"), MISHAPS.values(), ids=MISHAPS.keys())
@pytest.mark.parametrize("op", ["add", "update"])
async def test_n06_n08_n10_n12_n19_n26_what_may_have_been_carried_out_is_sent_again_with_the_same_content(
    world: "World", what: Any, when: When, op: str
) -> None:
    changes: dict[str, Any] = {}
    if op == "update":
        check(world, await world.run(FrameSource(people(450))), 450)
        changes = {"name": {number: f"Renamed {number}" for number in range(450)}}
    world.sandbox.faults.add(
        *(
            Fault(what=what, when=when, endpoint=endpoint, nth=2, times=2)
            for endpoint in (Endpoint.CONTACTS_ADD, Endpoint.BATCH_UPDATE)
        )
    )

    ended = await world.run(FrameSource(people(450, **changes)))

    check(world, ended, 450, **changes)
    await check_again(world, 450, **changes)


@pytest.mark.parametrize("seconds", [10.0, 60.0, GRACE - 31])
async def test_n09_a_request_carried_out_late_does_not_undo_a_newer_version(world: "World", seconds: float) -> None:
    """The first run gives a request up after 30 s, and its repetition is answered. The second run has a newer version,
    which would be undone by the first request if it did not wait."""
    check(world, await world.run(FrameSource(people(100))), 100)
    older, newer = ({"name": {n: f"{word} {n}" for n in range(100)}} for word in ("Older", "Newer"))
    world.sandbox.faults.add(Fault(what=LateApply(seconds), endpoint=Endpoint.BATCH_UPDATE))
    check(world, await world.run(FrameSource(people(100, **older))), 100, **older)
    world.reopen()

    ended = await world.run(FrameSource(people(100, **newer)))
    await anyio.sleep(2 * GRACE)

    check(world, ended, 100, **newer)


@pytest.mark.parametrize("days", [3, -3])
async def test_n28_a_clock_that_jumps_changes_times_in_reports_and_nothing_else(world: "World", days: int) -> None:
    world.rate = 10
    world.sandbox.faults.add(
        Fault(what=LateApply(40.0), endpoint=Endpoint.CONTACTS_ADD, nth=3),
        Fault(what=Status(429, retry_after="20"), nth=6),
    )

    async def jump() -> None:
        await anyio.sleep(0.35)
        world.skew = days * 86_400.0

    async with anyio.create_task_group() as group:
        group.start_soon(jump)
        began = anyio.current_time()
        ended = await world.run(FrameSource(people(1_000)))
        took = anyio.current_time() - began

    check(world, ended, 1_000)
    assert world.sandbox.watch.arrivals.peak <= 10
    assert 20 <= took < 300
    changes = {"name": {n: f"Newer {n}" for n in range(1_000)}}
    world.skew = 0.0
    began = anyio.current_time()
    check(world, await world.run(FrameSource(people(1_000, **changes))), 1_000, **changes)
    assert anyio.current_time() - began < 2 * GRACE  # and not three days


async def test_n29_after_two_hours_asleep_flights_are_unknown_and_the_run_goes_on(world: "World") -> None:
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 1.0})

    async def sleep_through() -> None:
        await anyio.sleep(1.5)
        loop = anyio.lowlevel.current_token().native_token  # type: ignore[attr-defined]
        loop._virtual_now += 2 * HOUR

    async with anyio.create_task_group() as group:
        group.start_soon(sleep_through)
        ended = await world.run(FrameSource(people(1_000)))

    check(world, ended, 1_000)
    assert world.sandbox.watch.by_endpoint[Endpoint.VARIABLES_ADD] == 1


async def test_n14_too_many_requests_without_a_word_slow_everybody_down(world: "World") -> None:
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"rate": 5.0, "latency": 0.05})
    world.rate = 50

    ended = await world.run(FrameSource(people(3_000)))

    check(world, ended, 3_000)
    refused = sum(request.status == 429 for request in world.sandbox.log)
    assert refused <= len(world.sandbox.log) * 0.7


@pytest.mark.parametrize(("asked", "waits"), [("7", 7.0), ("0", 0.0), ("86400", 300.0)])
async def test_n15_n16_while_the_service_asks_to_wait_no_sender_sends(world: "World", asked: str, waits: float) -> None:
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 0.2})
    world.sandbox.faults.add(Fault(what=Status(429, retry_after=asked), nth=4))

    ended = await world.run(FrameSource(people(2_000)))

    check(world, ended, 2_000)
    told = next(request for request in world.sandbox.log if request.status == 429)
    assert told.until is not None
    during = [one.at for one in world.sandbox.log if told.until < one.at < told.until + waits]
    assert during == []


@pytest.mark.parametrize("name", ["rate-limited", "rate-limited-date", "rate-limited-silent", "narrow"])
async def test_n16_a_service_that_counts_is_obeyed_in_every_form(world: "World", name: str) -> None:
    world.sandbox.play(name)
    world.rate = 20

    check(world, await world.run(FrameSource(people(1_500))), 1_500)


def storm(world: "World", seconds: float, what: Any = None) -> None:
    """From now on every request fails for so long."""
    world.sandbox.faults.add(Fault(what=what or Status(503), times=None))

    async def end() -> None:
        await anyio.sleep(seconds)
        world.sandbox.faults.clear()

    world.sandbox.go_on_with(end())


@pytest.mark.parametrize(
    ("hours", "most"), [(1 / 6, 60), (1, 160), (8, 600)], ids=["ten minutes", "one hour", "eight hours"]
)
@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_n17_an_outage_is_met_by_single_probes_and_the_run_ends_by_itself(
    world: "World", hours: float, most: int, code: int
) -> None:
    world.pace = Pace(max_outage=24 * HOUR)
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 0.1})
    storm(world, hours * HOUR, Status(code))

    ended = await world.run(FrameSource(people(1_000)))

    check(world, ended, 1_000)
    failed = [request for request in world.sandbox.log if request.status == code]
    assert len(failed) <= most
    probes = [request.at for request in failed[40:]]
    assert all(later - sooner > 0.2 for sooner, later in itertools.pairwise(probes))
    assert anyio.current_time() < hours * HOUR + 200


async def test_n17_an_outage_beyond_patience_ends_the_run_and_the_next_one_goes_on(world: "World") -> None:
    world.pace = Pace(max_outage=900.0)
    storm(world, 2 * HOUR)

    stopped = await world.run(FrameSource(people(1_000)))

    assert isinstance(stopped.problem, UnavailableError)
    assert (stopped.report.result, stopped.report.pending) == (Result.UNAVAILABLE, 1_000)
    assert anyio.current_time() < 1_000
    await anyio.sleep(2 * HOUR)
    world.reopen()
    check(world, await world.run(FrameSource(people(1_000))), 1_000)


async def test_n18_a_service_that_fails_every_other_time_is_used_all_the_same(world: "World") -> None:
    world.sandbox.faults.add(Fault(what=Status(500), times=None, probability=0.5))

    ended = await world.run(FrameSource(people(2_000)))

    check(world, ended, 2_000)
    assert len(world.sandbox.log) <= 2.5 * 21


async def test_n11_n13_n21_answers_of_any_shape_end_in_the_same_list(world: "World") -> None:
    bodies: list[bytes] = [
        b"[]", b'"ok"', b"null", b"NaN", b'{"result":NaN}', b'{"result":true,"result":true}', b"[" * 100_000,
        b'{"result":' + b"9" * 5_000 + b"}", b'{"result":true,"updated":null}', b"\xff\xfe", b"{", b"",
        b'{"result":true,"errors":' + b"[" * 900 + b"]" * 900 + b"}", b" " * 9_000_000,
    ]  # fmt: skip
    world.sandbox.faults.add(
        *(Fault(what=RawBody(body), nth=number + 2) for number, body in enumerate(bodies)),
    )

    check(world, await world.run(FrameSource(people(1_500))), 1_500)


async def test_a22_requests_carried_out_in_another_order_than_sent_do_not_matter(world: "World") -> None:
    world.sandbox.faults.add(
        Fault(what=Delay(7.0), nth=2),
        Fault(what=Delay(3.0), nth=4),
        Fault(what=Delay(5.0), nth=5, when=When.AFTER_APPLY),
    )

    check(world, await world.run(FrameSource(people(1_000))), 1_000)
    await check_again(world, 1_000)


# Bugs and cancellations -----------------------------------------------------------------------------------------------


class Buggy(MemoryDestination):
    """Fails as only a bug fails, at one request."""

    __slots__ = ("bug_at",)

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        answer = await MemoryDestination.submit(self, batch, ask)
        if self.requests == self.bug_at:
            raise AssertionError("a bug of ours")
        return answer


@pytest.mark.parametrize("bug_at", [2, 4, 7])
async def test_p20_a_bug_in_one_sender_stops_the_run_which_goes_on_when_it_is_mended(
    world: "World", bug_at: int
) -> None:
    destination = Buggy()
    destination.bug_at = bug_at

    with pytest.raises(BaseExceptionGroup) as met:
        await world.run(FrameSource(people(1_000)), to=destination)
    assert met.group_contains(AssertionError, match="a bug of ours")
    assert len(destination.sent) <= bug_at + 8
    world.reopen()
    ended = await world.run(FrameSource(people(1_000)), to=destination)

    assert (ended.report.result, ended.report.confirmed[Op.ADD], ended.report.resumed) == (Result.OK, 1_000, True)
    assert len(destination.contacts) == 1_000


class FullLog(list[Event]):
    """Events that are written to a disk without room, from the first batch on."""

    def append(self, event: Event) -> None:
        if isinstance(event, BatchSettled):
            raise OSError(errno.ENOSPC, "no space left on device")


async def test_p09_a_log_that_can_not_be_written_any_more_ends_the_run_as_one_error(world: "World") -> None:
    """A message is made of it at the edge, which does not look into groups."""
    with pytest.raises(OSError, match="no space left"):
        await world.run(FrameSource(people(1_000)), events=FullLog())
    world.reopen()
    ended = await world.run(FrameSource(people(1_000)))

    assert (ended.report.result, ended.report.confirmed[Op.ADD], ended.report.resumed) == (Result.OK, 1_000, True)


@pytest.mark.parametrize("request_number", range(1, 12))
async def test_p21_a_run_cancelled_in_the_middle_of_a_request_goes_on(world: "World", request_number: int) -> None:
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 0.5})
    with anyio.CancelScope() as scope:

        async def cancel() -> None:
            while len(world.sandbox.log) < request_number:  # noqa: ASYNC110  # the sandbox tells nobody
                await anyio.sleep(0.01)
            await anyio.sleep(0.2)
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            await world.run(FrameSource(people(1_000)))
    world.reopen()

    ended = await world.run(FrameSource(people(1_000)))

    assert scope.cancelled_caught
    check(world, ended, 1_000)
    assert world.sent() <= 1_000 + 2 * 8 * 100 * 2


class Cancelling(Journal):
    """Its run is cancelled in the middle of its n-th writing."""

    scope: anyio.CancelScope
    at = 0

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        self.at -= 1
        if self.at == 0:
            self.scope.cancel()
        super().record(run, entries)


@pytest.mark.parametrize("at", range(1, 9))
async def test_p21_a_run_cancelled_in_the_middle_of_a_state_write_has_written_it(world: "World", at: int) -> None:
    world.sandbox.behaviour = world.sandbox.behaviour.changed({"latency": 0.5})
    journal = Cancelling(world.ledger)
    journal.at = at
    with anyio.CancelScope() as journal.scope:
        await world.run(FrameSource(people(1_000)), journal=journal, in_thread=a_while)
    sent = world.sent()
    world.reopen()
    settled = world.ledger.execute("SELECT count(*) FROM batches WHERE settled_at IS NOT NULL").fetchone()[0]

    ended = await world.run(FrameSource(people(1_000)))

    assert journal.scope.cancelled_caught
    check(world, ended, 1_000)
    assert world.sent() - sent <= 2 * (1_000 - 100 * settled)  # what is recorded is not sent again


async def a_while(work: Callable[[], Any]) -> Any:
    """As in a thread: others go on before it is done."""
    done = work()
    await anyio.sleep(0.01)
    return done
