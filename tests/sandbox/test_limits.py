"""How much the server takes and how fast it is, in time that is injected or virtual."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, Behaviour, Delay, Fault, RetryAfter, Sandbox

Post = Callable[..., Awaitable[httpx.Response]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Clock:
    """Seconds, as the test sets them."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def statuses(post: Post, sandbox: Sandbox, clock: Clock, times: list[float]) -> list[int]:
    """What requests at these times are answered."""
    answers = []
    for clock.now in times:
        answers.append((await post(sandbox, "contacts/remove", emails=["a@example.com"])).status_code)
    return answers


@pytest.mark.anyio
async def test_no_second_has_more_requests_than_the_rate(post: Post) -> None:
    clock = Clock()
    sandbox = Sandbox(Behaviour(rate=3), clock=clock)
    times = [0.0, 0.1, 0.9, 0.95, 1.0, 1.05, 1.1, 1.5, 1.95, 2.0]
    assert await statuses(post, sandbox, clock, times) == [200, 200, 200, 429, 200, 429, 200, 429, 200, 200]
    assert sandbox.watch.arrivals.peak == 6


@pytest.mark.anyio
async def test_even_steps_that_add_up_to_a_second_are_a_second(post: Post) -> None:
    clock = Clock()
    sandbox = Sandbox(Behaviour(rate=10), clock=clock)
    times = [0.0]
    while len(times) < 50:
        times.append(times[-1] + 0.1)  # the eleventh comes out at 0.9999999999999999
    assert await statuses(post, sandbox, clock, times) == [200] * 50
    assert sandbox.watch.arrivals.peak == 10


@pytest.mark.anyio
async def test_the_rate_is_over_all_calls(post: Post) -> None:
    sandbox = Sandbox(Behaviour(rate=2), clock=Clock())
    calls = ["contacts/add", "variables/add", "mailer/send"]
    assert [(await post(sandbox, call)).status_code for call in calls] == [200, 200, 429]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("way", "header"),
    [(RetryAfter.NONE, None), (RetryAfter.SECONDS, "1"), (RetryAfter.DATE, "Thu, 01 Jan 2026 00:01:41 GMT")],
)
async def test_a_429_says_when_to_come_back(way: RetryAfter, header: str | None, post: Post) -> None:
    clock = Clock()
    sandbox = Sandbox(Behaviour(rate=1, retry_after=way), clock=clock)
    assert await statuses(post, sandbox, clock, [100.0]) == [200]
    clock.now = 100.25
    reply = await post(sandbox, "contacts/remove", emails=["a@example.com"])
    assert (reply.status_code, reply.headers.get("retry-after")) == (429, header)
    assert reply.headers["date"] == "Thu, 01 Jan 2026 00:01:40 GMT"
    assert await statuses(post, sandbox, clock, [101.0]) == [200]


@pytest.mark.anyio
async def test_a_body_that_is_too_large_is_not_looked_at(post: Post) -> None:
    sandbox = Sandbox(Behaviour(max_body=200))
    small = await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com"}])
    large = await post(sandbox, "contacts/add", contacts=[{"email": "b@example.com", "name": "B" * 200}])
    assert (small.status_code, large.status_code) == (200, 413)
    assert large.headers["content-type"].startswith("text/html")
    assert [contact.email for contact in sandbox.lists[DEFAULT_LIST].contacts.values()] == ["a@example.com"]


def test_more_requests_at_once_than_the_server_takes_are_turned_away(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(concurrency=2, latency=1.0, retry_after=RetryAfter.SECONDS))

    async def scenario() -> list[tuple[int, str | None]]:
        emails = ["a@example.com", "b@example.com", "c@example.com"]
        replies = await asyncio.gather(*(post(sandbox, "contacts/remove", emails=[email]) for email in emails))
        return [(reply.status_code, reply.headers.get("retry-after")) for reply in replies]

    assert in_virtual_time(scenario()) == [(200, None), (200, None), (429, "1")]
    assert (sandbox.watch.peak_in_flight, sandbox.watch.in_flight) == (3, 0)


def test_a_request_is_carried_out_when_its_latency_is_over(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(latency=2.0))

    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(post(sandbox, "contacts/add", contacts=[{"email": "a@example.com"}]))
            await asyncio.sleep(1.9)
            assert not sandbox.lists[DEFAULT_LIST].contacts
            await asyncio.sleep(0.2)
            assert sandbox.lists[DEFAULT_LIST].contacts

    in_virtual_time(scenario())
    assert [(request.at, request.until) for request in sandbox.log] == [(0.0, 2.0)]


def test_jitter_comes_on_top_of_latency_and_from_the_seed(in_virtual_time: Run, post: Post) -> None:
    def seconds(seed: int) -> list[float]:
        sandbox = Sandbox(Behaviour(latency=1.0, jitter=0.5), seed=seed)

        async def scenario() -> None:
            for _ in range(5):
                await post(sandbox, "contacts/remove", emails=["a@example.com"])

        in_virtual_time(scenario())
        return [request.until - request.at for request in sandbox.log]

    assert all(1.0 <= each <= 1.5 for each in seconds(1))
    assert seconds(1) == seconds(1)
    assert seconds(1) != seconds(2)


def test_beyond_the_knee_each_request_is_slower_than_the_one_before(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(latency=1.0, knee=2, knee_seconds=0.25))

    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(4):
                tasks.create_task(post(sandbox, "contacts/add", contacts=[{"email": f"a{n}@example.com"}]))

    in_virtual_time(scenario())
    assert [request.until for request in sandbox.log] == [1.0, 1.0, 1.25, 1.5]


def test_latency_and_a_delay_add_up(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(latency=1.0), [Fault(what=Delay(0.5))])
    in_virtual_time(post(sandbox, "contacts/remove", emails=["a@example.com"]))
    assert sandbox.log[0].until == 1.5


def test_dates_in_headers_go_by_the_sandboxs_clock(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(latency=90.0), epoch=0.0)
    reply = in_virtual_time(post(sandbox, "contacts/remove", emails=["a@example.com"]))
    assert parsedate_to_datetime(reply.headers["date"]).timestamp() == 90.0


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": 0.5},
        {"latency": -1.0},
        {"jitter": -0.1},
        {"knee_seconds": -0.1},
        {"knee": -1},
        {"max_batch": 0},
        {"max_body": -1},
        {"lying": 1.1},
    ],
)
def test_a_behaviour_that_cannot_be_is_refused(settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"^{name} .*; not {settings[name]!r}$"):
        Behaviour(**settings)
