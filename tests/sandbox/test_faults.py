"""Scripted faults: which requests they meet, what arrives, and whether the request was carried out."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    Behaviour,
    ContentType,
    Delay,
    Drip,
    Drop,
    DuplicateApply,
    Endpoint,
    Fault,
    Hang,
    Html,
    LateApply,
    RawBody,
    Redirect,
    Sandbox,
    Status,
    Truncate,
    When,
)

Post = Callable[..., Awaitable[httpx.Response]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]

BEFORE, AFTER = When.BEFORE_APPLY, When.AFTER_APPLY


def added(sandbox: Sandbox) -> int:
    return len(sandbox.lists[DEFAULT_LIST].contacts)


async def add(post: Post, sandbox: Sandbox, email: str = "a@example.com", **more: object) -> httpx.Response:
    return await post(sandbox, "contacts/add", contacts=[{"email": email}], **more)


@pytest.mark.anyio
@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize(
    ("what", "status", "content_type", "body"),
    [
        (Status(503), 503, "text/html; charset=utf-8", "503 Service Unavailable"),
        (Status(500, body="{}", content_type="application/json"), 500, "application/json", "{}"),
        (Status(520), 520, "text/html; charset=utf-8", "520"),
        (Html(), 200, "text/html; charset=utf-8", "We will be back soon"),
        (RawBody(b"[]"), 200, "application/json", "[]"),
        (RawBody(b'{"result":', status=502, content_type="text/plain"), 502, "text/plain", '{"result":'),
        (Redirect("http://elsewhere.example.org/x"), 307, "text/html; charset=utf-8", "307 Temporary Redirect"),
    ],
)
async def test_something_else_arrives_in_place_of_the_answer(
    what: Any, status: int, content_type: str, body: str, when: When, post: Post
) -> None:
    sandbox = Sandbox(faults=[Fault(what=what, when=when)])
    reply = await add(post, sandbox)
    assert (reply.status_code, reply.headers["content-type"]) == (status, content_type)
    assert body in reply.text
    assert (added(sandbox), sandbox.log[0].applied) == ((1, 1) if when is AFTER else (0, 0))
    assert (await add(post, sandbox, "b@example.com")).json() == {"result": True}


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["7", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "1000000000"])
async def test_retry_after_is_any_text(text: str, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Status(429, retry_after=text))])
    assert (await add(post, sandbox)).headers["retry-after"] == text


@pytest.mark.anyio
async def test_a_redirect_says_where_to(post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Redirect("http://elsewhere.example.org/x", 302))])
    reply = await add(post, sandbox)
    assert (reply.status_code, reply.headers["location"]) == (302, "http://elsewhere.example.org/x")


@pytest.mark.anyio
async def test_bytes_may_come_encoded(post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=RawBody(gzip.compress(b"[1]"), encoding="gzip"))])
    assert (await add(post, sandbox)).json() == [1]


@pytest.mark.anyio
@pytest.mark.parametrize(("when", "applied"), [(BEFORE, 0), (AFTER, 1)])
async def test_a_dropped_connection_gives_no_answer(when: When, applied: int, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Drop(), when=when)])
    with pytest.raises(httpx.RemoteProtocolError):
        await add(post, sandbox)
    assert (added(sandbox), sandbox.log[0].status, sandbox.watch.in_flight) == (applied, None, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("missing", [3, 1_000])
async def test_a_cut_answer_never_completes(missing: int, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Truncate(missing=missing))])
    with pytest.raises(httpx.RemoteProtocolError):
        await add(post, sandbox)
    assert (added(sandbox), sandbox.log[0].status) == (1, 200)


@pytest.mark.anyio
@pytest.mark.parametrize("content_type", ["text/plain", None])
async def test_the_true_answer_may_have_a_wrong_content_type(content_type: str | None, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=ContentType(content_type))])
    reply = await add(post, sandbox)
    assert (reply.headers.get("content-type"), reply.json()) == (content_type, {"result": True})


@pytest.mark.anyio
async def test_a_repeated_request_gives_its_second_answer(post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=DuplicateApply())])
    reply = await add(post, sandbox)
    assert reply.json()["Error_stack"] == ["Contact with email a@example.com already exists"]
    assert (added(sandbox), sandbox.log[0].applied, len(sandbox.log)) == (1, 2, 1)


@pytest.mark.parametrize("when", When)
def test_a_hanging_request_ends_when_the_client_leaves(when: When, in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Hang(), when=when)])

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await add(post, sandbox, leave_after=30.0)

    in_virtual_time(scenario())
    (request,) = sandbox.log
    assert (request.status, request.until, request.applied) == (None, 30.0, int(when is AFTER))


def test_a_late_request_is_carried_out_though_nobody_waits(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=LateApply(60.0))])

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await add(post, sandbox, leave_after=5.0)
        assert (added(sandbox), sandbox.watch.in_flight) == (0, 0)
        await asyncio.sleep(50.0)
        assert added(sandbox) == 0
        await sandbox.settled()
        assert asyncio.get_running_loop().time() == 60.0

    in_virtual_time(scenario())
    assert added(sandbox) == 1


def test_a_late_request_overwrites_what_came_after_it(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=LateApply(60.0))])
    sandbox.seed(DEFAULT_LIST, [{"email": "a@example.com"}])

    async def rename(name: str) -> None:
        await post(sandbox, "contacts/update", contact="a@example.com", parameters={"name": name}, leave_after=5.0)

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await rename("old")
        await rename("new")
        await sandbox.settled()

    in_virtual_time(scenario())
    assert sandbox.lists[DEFAULT_LIST].find("a@example.com").name == "old"


@pytest.mark.parametrize("when", When)
def test_a_client_that_leaves_during_a_delay_undoes_nothing(when: When, in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Delay(10.0), when=when)])

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await add(post, sandbox, leave_after=5.0)
        assert added(sandbox) == int(when is AFTER)
        await sandbox.settled()

    in_virtual_time(scenario())
    assert (added(sandbox), sandbox.log[0].until, sandbox.log[0].status) == (1, 5.0, None)


def test_a_reset_does_not_let_old_requests_into_the_new_lists(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=LateApply(60.0))])

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await add(post, sandbox, leave_after=5.0)
        sandbox.reset()
        await sandbox.settled()

    in_virtual_time(scenario())
    assert (added(sandbox), sandbox.log, len(sandbox.faults)) == (0, [], 1)


def test_a_slow_answer_comes_in_drops(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Drip(seconds=1.0, size=4))])
    reply = in_virtual_time(add(post, sandbox))
    assert reply.json() == {"result": True}
    assert sandbox.log[0].until == 3.0  # 16 bytes, four drops


@pytest.mark.anyio
async def test_a_fault_meets_the_requests_it_is_meant_for(post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Status(503), endpoint=Endpoint.CONTACTS_ADD, nth=2, times=2)])
    answers = []
    for n in range(5):
        await post(sandbox, "contacts/remove", emails=["a@example.com"])
        answers.append((await add(post, sandbox, f"a{n}@example.com")).status_code)
    assert answers == [200, 503, 503, 200, 200]
    assert [request.faults for request in sandbox.log if request.status == 503] == [["status"], ["status"]]


@pytest.mark.anyio
async def test_a_fault_for_ever_lasts_until_it_is_cleared(post: Post) -> None:
    sandbox = Sandbox()
    sandbox.faults.add(Fault(what=Status(500), times=None))
    assert [(await add(post, sandbox)).status_code for _ in range(20)] == [500] * 20
    sandbox.faults.clear()
    assert (await add(post, sandbox)).json() == {"result": True}


@pytest.mark.anyio
async def test_chance_is_repeatable(post: Post) -> None:
    async def answers(seed: int) -> list[int]:
        sandbox = Sandbox(faults=[Fault(what=Status(500), times=None, probability=0.3)], seed=seed)
        return [(await add(post, sandbox)).status_code for _ in range(60)]

    assert await answers(7) == await answers(7)
    assert await answers(7) != await answers(8)
    assert 8 <= (await answers(7)).count(500) <= 30


def test_faults_that_meet_in_one_request_all_take_effect(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(
        faults=[
            Fault(what=Delay(2.0)),
            Fault(what=DuplicateApply()),
            Fault(what=Delay(1.0), when=AFTER),
            Fault(what=Html(), when=AFTER),
            Fault(what=Status(500), when=AFTER),
        ]
    )
    reply = in_virtual_time(add(post, sandbox))
    (request,) = sandbox.log
    assert (reply.status_code, request.until, request.applied, added(sandbox)) == (200, 3.0, 2, 1)
    assert request.faults == ["delay", "duplicate_apply", "delay", "html", "status"]


@pytest.mark.anyio
async def test_a_request_turned_away_by_a_limit_uses_up_no_fault(post: Post) -> None:
    sandbox = Sandbox(Behaviour(rate=1), [Fault(what=Status(500), nth=2)], clock=lambda: 0.0)
    assert [(await add(post, sandbox)).status_code for _ in range(3)] == [200, 429, 429]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"nth": 0}, "nth counts"),
        ({"times": 0}, "times is how often"),
        ({"probability": 0.0}, "probability is above 0"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(settings: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Fault(what=Drop(), **settings)


EVERY_EFFECT = [
    Status(503, retry_after="7"),
    Html("Closed"),
    RawBody(b"[]"),
    Redirect("http://example.org/"),
    Drop(),
    Hang(),
    LateApply(60.0),
    Delay(1.0),
    DuplicateApply(),
    ContentType(None),
    Truncate(3),
    Drip(0.1, 2),
]


@pytest.mark.parametrize("what", EVERY_EFFECT, ids=lambda what: type(what).__name__)
def test_a_fault_survives_the_way_through_json(what: Any) -> None:
    fault = Fault(what=what, endpoint=Endpoint.BATCH_UPDATE, nth=3, times=None, probability=0.5, when=AFTER)
    assert Fault.from_json(fault.as_json()) == fault


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "what is one of status, html, raw_body"),
        ({"what": "explode"}, "not 'explode'"),
        ({"what": "status"}, "status: .*'code'"),
        ({"what": "status", "code": "503"}, "code is a whole number; not '503'"),
        ({"what": "delay", "seconds": True}, "seconds is a number; not True"),
        ({"what": "drop", "seconds": 1}, "there is no 'seconds'"),
        ({"what": "drop", "endpoint": "contacts"}, "endpoint is one of contacts/add, .* or null; not 'contacts'"),
        ({"what": "drop", "probabilty": 1}, "did you mean 'probability'"),
        ({"what": "drop", "nth": 0}, "nth counts"),
    ],
)
def test_json_that_is_no_fault_is_refused(values: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Fault.from_json(values)
