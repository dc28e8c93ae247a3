"""Where nobody knows whether a request was carried out, the next run takes nothing for granted, and waits its turn."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import polars as pl
import pytest

from syncengine.errors import RefusedError
from syncengine.events import WaitingForLateRequests
from syncengine.model import Answer, Declined, Fatal, Mode, NoAnswer, Op
from syncengine.ports import Batch
from syncengine.report import Result
from syncengine.settlement import Ask
from syncengine.testing import FrameSource, MemoryDestination, Trial, people, run_sync
from syncengine.testing.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio

EPOCH = 1_700_000_000.0


class KilledError(BaseException):
    """The process is gone: nothing catches this."""


@dataclass(slots=True)
class FragileDestination(MemoryDestination):
    """A list behind a line that breaks: requests in `unanswered` (by number, from 1) are carried out in silence;
    at number `dies_at` the process dies, its request having been carried out.
    """

    unanswered: set[int] = field(default_factory=set)
    dies_at: int = 0
    says_nothing: int = 0  #: answers about variables that are neither success nor error
    submitted: int = 0

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        self.submitted += 1
        number = self.submitted
        answer = await MemoryDestination.submit(self, batch, ask)
        if number == self.dies_at:
            raise KilledError
        return NoAnswer("reset by peer") if number in self.unanswered else answer

    async def create_variables(self, variables: Any) -> Answer:
        if self.says_nothing:
            self.says_nothing -= 1
            return Declined(())
        return await MemoryDestination.create_variables(self, variables)

    def next(self, *numbers: int) -> set[int]:
        """Numbers of requests counted from the next one."""
        return {self.submitted + number for number in numbers}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture
def to() -> FragileDestination:
    return FragileDestination()


@pytest.fixture
def trial(trial: Trial) -> Trial:
    trial.now = lambda: datetime.fromtimestamp(EPOCH + anyio.current_time(), UTC)
    return trial


def named(name: str | None, city: str | None = "Almaty", people_: int = 10) -> FrameSource:
    rows = people(people_).with_columns(pl.lit(name, pl.String).alias("name"), pl.lit(city, pl.String).alias("city"))
    return FrameSource(rows)


def names(to: MemoryDestination) -> set[str | None]:
    return {contact.name for contact in to.contacts.values()}


def waits(trial: Trial) -> list[float]:
    return [event.seconds for event in trial.events if isinstance(event, WaitingForLateRequests)]


async def killed(trial: Trial, to: FragileDestination, source: FrameSource) -> None:
    """A run that dies with its first request, which is carried out."""
    (to.dies_at,) = to.next(1)
    with pytest.raises(BaseExceptionGroup) as death:
        await run_sync(trial, source)
    assert death.group_contains(KilledError)


async def test_what_was_in_flight_when_a_plan_is_dropped_is_sent_again_though_the_state_knows_better(
    trial: Trial, to: FragileDestination
) -> None:
    await run_sync(trial, named("Old"))
    await killed(trial, to, named("New"))
    assert names(to) == {"New"}  # and the state says "Old"

    report = (await run_sync(trial, named("Old"), fresh=True)).report

    assert (report.confirmed[Op.UPDATE], names(to)) == (10, {"Old"})
    assert (await run_sync(trial, named("Old"))).report.same == 10


async def test_cells_that_are_empty_again_are_cleared_where_a_request_may_have_filled_them(
    trial: Trial, to: FragileDestination
) -> None:
    await run_sync(trial, named(None, None))
    await killed(trial, to, named("New", "Astana"))

    await run_sync(trial, named(None, None), fresh=True)

    assert {(contact.name or "", contact.variables["city"]) for contact in to.contacts.values()} == {("", "")}
    assert (await run_sync(trial, named(None, None))).report.same == 10


async def test_who_leaves_while_a_request_may_have_subscribed_them_is_unsubscribed(
    trial: Trial, to: FragileDestination
) -> None:
    trial.mode = Mode.MIRROR
    off = people(10).with_columns(pl.lit("no").alias("active"))
    await run_sync(trial, FrameSource(pl.concat([off, people(5, first=10)])))
    await killed(trial, to, FrameSource(people(15)))
    assert to.contacts["user3@example.com"].active is True

    report = (await run_sync(trial, FrameSource(people(5, first=10)), fresh=True)).report

    assert report.confirmed[Op.UNSUBSCRIBE] == 10
    assert {email for email, contact in to.contacts.items() if contact.active} == {
        f"user{number}@example.com" for number in range(10, 15)
    }


async def test_the_unsubscription_of_who_left_waits_for_older_requests_too(
    trial: Trial, to: FragileDestination
) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, named("Old"))
    to.unanswered = to.next(1)
    await run_sync(trial, named("New"))

    report = (await run_sync(trial, named("New", people_=4))).report

    assert report.confirmed[Op.UNSUBSCRIBE] == 6
    assert [round(seconds) for seconds in waits(trial)] == [119]


async def test_what_a_process_sent_before_it_died_is_waited_for_though_the_next_one_got_its_answer(
    trial: Trial, to: FragileDestination
) -> None:
    await killed(trial, to, named("Old"))
    resumed = (await run_sync(trial, named("Old"))).report
    assert (resumed.resumed, resumed.confirmed[Op.ADD]) == (True, 10)

    report = (await run_sync(trial, named("New"))).report

    assert report.confirmed[Op.UPDATE] == 10
    assert [round(seconds) for seconds in waits(trial)] == [119]


async def test_an_address_a_rename_may_free_a_second_time_is_not_given_away_before_that(
    trial: Trial, to: FragileDestination
) -> None:
    trial.key = "id"

    def crm(**addresses: str) -> FrameSource:
        emails = [f"{address}@example.com" for address in addresses.values()]
        return FrameSource(pl.DataFrame({"id": [*addresses], "email": emails, "active": ["yes"] * len(emails)}))

    await run_sync(trial, crm(x="a", y="b", z="c"))
    to.unanswered = to.next(1)

    report = (await run_sync(trial, crm(x="b", y="new", z="c"))).report

    assert (report.confirmed[Op.RENAME], set(to.contacts)) == (2, {"b@example.com", "new@example.com", "c@example.com"})
    assert [round(seconds) for seconds in waits(trial)] == [120]


async def test_a_rename_whose_address_nobody_takes_holds_nobody_up(trial: Trial, to: FragileDestination) -> None:
    trial.key = "id"
    rows = {"id": ["x", "y"], "active": ["yes", "yes"]}
    await run_sync(trial, FrameSource(pl.DataFrame({**rows, "email": ["a@example.com", "b@example.com"]})))
    to.unanswered = to.next(1)
    after = {"id": ["x", "y", "z"], "active": ["yes"] * 3, "email": ["n@example.com", "b@example.com", "c@example.com"]}

    report = (await run_sync(trial, FrameSource(pl.DataFrame(after)))).report

    assert (report.confirmed[Op.RENAME], report.confirmed[Op.ADD], waits(trial)) == (1, 1, [])


async def test_a_token_refused_while_many_batches_wait_ends_the_run_in_words(
    trial: Trial, to: FragileDestination
) -> None:
    to.fail_next = [Fatal("token-refused", "API Key *** does not exist.")] * 8

    ended = await run_sync(trial, FrameSource(people(5_000).drop("city")))

    assert (ended.report.result, type(ended.problem)) == (Result.REFUSED, RefusedError)


async def test_an_answer_about_variables_that_says_nothing_is_asked_for_again(
    trial: Trial, to: FragileDestination
) -> None:
    to.says_nothing = 2

    report = (await run_sync(trial, named("Ann"))).report

    assert (report.confirmed[Op.ADD], report.variables_created, report.retries) == (10, ("city",), 2)


async def test_a_service_that_never_says_whether_it_made_a_variable_is_not_asked_for_ever(
    trial: Trial, to: FragileDestination
) -> None:
    to.says_nothing = 10_000

    report = (await run_sync(trial, named("Ann"))).report

    assert (report.rejected, report.pending) == (10, 0)


async def test_the_rate_is_kept_across_processes(trial: Trial, to: FragileDestination) -> None:
    """A process does not know what the one before it sent last: it lets a second go by."""
    await run_sync(trial, named("Old"))
    began = anyio.current_time()
    await run_sync(trial, named("New"))
    assert 1.0 < anyio.current_time() - began < 1.1

    await anyio.sleep(60.0)
    began = anyio.current_time()
    await run_sync(trial, named("Newer"))
    assert anyio.current_time() - began < 0.1

    await anyio.sleep(60.0)
    await killed(trial, to, named("Newest"))
    began = anyio.current_time()
    await run_sync(trial, named("Newest"))
    assert 1.0 < anyio.current_time() - began < 1.1
