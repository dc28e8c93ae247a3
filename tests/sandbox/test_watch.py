"""What the onlooker sees: the log, peaks, contacts in two requests at once, and who was subscribed when."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    DEFAULT_TOKEN,
    Act,
    Behaviour,
    Fault,
    Hang,
    Overlap,
    RenameCollision,
    Sandbox,
)

Post = Callable[..., Awaitable[httpx.Response]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]

ANN = "ann@example.com"


async def add(post: Post, sandbox: Sandbox, *emails: str, active: bool = True) -> None:
    await post(sandbox, "contacts/add", contacts=[{"email": email, "active": active} for email in emails])


async def update(post: Post, sandbox: Sandbox, contact: str = ANN, /, **parameters: object) -> None:
    await post(sandbox, "contacts/update", contact=contact, parameters=parameters)


def act(sandbox: Sandbox, email: str, what: Act) -> None:
    contacts = sandbox.lists[DEFAULT_LIST]
    sandbox.act(DEFAULT_LIST, contacts.find(email).id, what)


@pytest.mark.anyio
async def test_the_log_has_every_request_and_no_token(post: Post) -> None:
    now = iter(range(100))
    sandbox = Sandbox(clock=lambda: next(now))
    await add(post, sandbox, "a@example.com", "b@example.com")
    await post(sandbox, "contacts/remove", token="wrong-token", emails=["a@example.com"] * 3)
    await post(sandbox, "variables/add", token=None, content=b"nonsense")
    first, second, third = sandbox.log
    assert (first.number, first.endpoint, first.size, first.status, first.errors, first.applied) == (
        (1, "contacts/add", 2, 200, 0, 1)
    )
    assert (second.number, second.endpoint, second.size, second.errors, second.applied) == (
        2,
        "contacts/remove",
        3,
        1,
        0,
    )
    assert (third.list_id, third.size, third.token) == ("", 0, "")
    assert first.list_id == second.list_id == DEFAULT_LIST
    assert first.at < first.until < second.at
    assert len({first.token, second.token, third.token}) == 3
    assert DEFAULT_TOKEN not in repr(sandbox.log)
    assert dict(sandbox.watch.by_endpoint) == {"contacts/add": 1, "contacts/remove": 1, "variables/add": 1}


def test_a_contact_in_two_requests_at_once_is_seen(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(latency=1.0))

    async def later(seconds: float, request: Awaitable[object]) -> None:
        await asyncio.sleep(seconds)
        await request

    async def scenario() -> None:
        move = [{"contact": "c@example.com", "parameters": {"email": "D@example.com"}}]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(later(0.0, add(post, sandbox, "a@example.com", "b@example.com", "d@example.com")))
            tasks.create_task(later(0.1, post(sandbox, "contacts/remove", emails=["B@example.com"])))
            tasks.create_task(later(0.2, post(sandbox, "contacts-batch/update", contacts=move)))
            tasks.create_task(later(0.3, add(post, sandbox, "e@example.com")))
            tasks.create_task(later(1.05, add(post, sandbox, "a@example.com")))  # the first is over by then
            tasks.create_task(later(1.15, add(post, sandbox, "c@example.com")))

    in_virtual_time(scenario())
    assert sandbox.overlaps == [
        Overlap(1, 2, "b@example.com"),
        Overlap(1, 3, "d@example.com"),
        Overlap(3, 6, "c@example.com"),
    ]
    assert sandbox.watch.peak_in_flight == 4


def test_one_address_in_two_lists_is_two_contacts(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(Behaviour(latency=1.0))
    sandbox.create_list("other", "Other")

    async def scenario() -> None:
        lists = [DEFAULT_LIST, "other"]
        one = {"contacts": [{"email": ANN}]}
        await asyncio.gather(*(post(sandbox, "contacts/add", emailListId=list_id, **one) for list_id in lists))

    in_virtual_time(scenario())
    assert (sandbox.overlaps, sandbox.watch.peak_in_flight) == ([], 2)


def test_who_left_is_no_longer_in_flight(in_virtual_time: Run, post: Post) -> None:
    sandbox = Sandbox(faults=[Fault(what=Hang())])

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await post(sandbox, "contacts/remove", emails=[ANN], leave_after=1.0)
        await post(sandbox, "contacts/remove", emails=[ANN])

    in_virtual_time(scenario())
    assert (sandbox.overlaps, sandbox.watch.in_flight) == ([], 0)


@pytest.mark.anyio
async def test_odd_arguments_do_not_disturb_the_onlooker(post: Post) -> None:
    sandbox = Sandbox()
    for arguments in (
        {"contacts": [{"email": 5}, "x", None, {"email": ANN}]},
        {"contacts": "x"},
        {"contacts": {"email": ANN}},
        {"emailListId": ["x"], "contacts": [[]]},
    ):
        for endpoint in ("contacts/add", "contacts-batch/update", "contacts/remove", "mailer/send"):
            assert (await post(sandbox, endpoint, **arguments)).status_code == 200
    await post(sandbox, "contacts-batch/update", contacts=[{"contact": ANN, "parameters": [1]}, {"contact": 7}, 3])
    assert [request.size for request in sandbox.log[:4]] == [4, 4, 0, 1]


@pytest.mark.anyio
async def test_the_history_of_an_address_has_every_turn(post: Post) -> None:
    sandbox = Sandbox()
    history = sandbox.lists[DEFAULT_LIST].history
    assert history(ANN) == []
    await add(post, sandbox, ANN)
    await update(post, sandbox, active=True)
    await update(post, sandbox, active=False)
    assert history(ANN) == [(1, True), (3, False)]
    act(sandbox, ANN, Act.SUBSCRIBE)
    await post(sandbox, "contacts/remove", emails=[ANN])
    assert history("Ann@Example.com") == [(1, True), (3, False), (0, True), (4, None)]
    await add(post, sandbox, ANN, active=False)
    assert history(ANN)[4:] == [(5, False)]


@pytest.mark.anyio
async def test_a_renamed_contact_leaves_one_history_and_goes_on_in_another(post: Post) -> None:
    sandbox = Sandbox()
    await add(post, sandbox, ANN)
    await update(post, sandbox, email="lee@example.com", active=False)
    await update(post, sandbox, "lee@example.com", active=True)
    assert sandbox.lists[DEFAULT_LIST].history(ANN) == [(1, True), (2, None)]
    assert sandbox.lists[DEFAULT_LIST].history("lee@example.com") == [(2, False), (3, True)]


@pytest.mark.anyio
async def test_within_one_request_only_the_end_counts(post: Post) -> None:
    sandbox = Sandbox()
    await add(post, sandbox, ANN, active=False)
    changes = [{"contact": ANN, "parameters": {"active": active}} for active in (True, False)]
    await post(sandbox, "contacts-batch/update", contacts=changes)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {}


@pytest.mark.anyio
async def test_the_history_follows_another_rule_for_addresses(post: Post) -> None:
    sandbox = Sandbox(Behaviour(case_sensitive=True))
    await add(post, sandbox, "Ann@example.com")
    await update(post, sandbox, "Ann@example.com", active=False)
    sandbox.behaviour = Behaviour()
    assert sandbox.lists[DEFAULT_LIST].history(ANN) == [(1, True), (2, False)]
    await update(post, sandbox, active=True)
    sandbox.behaviour = Behaviour(case_sensitive=True)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {ANN: 3}


def seeded(**behaviour: object) -> Sandbox:
    sandbox = Sandbox(Behaviour(**behaviour))
    sandbox.seed(DEFAULT_LIST, [{"email": ANN, "active": False}, {"email": "bob@example.com"}])
    return sandbox


@pytest.mark.anyio
async def test_whoever_is_subscribed_again_by_a_request_is_told(post: Post) -> None:
    sandbox = seeded()
    await update(post, sandbox, active=True)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {ANN: 1}


@pytest.mark.anyio
async def test_whoever_subscribes_themselves_was_not_resubscribed(post: Post) -> None:
    sandbox = seeded()
    act(sandbox, ANN, Act.SUBSCRIBE)
    await update(post, sandbox, active=True)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {}


@pytest.mark.anyio
@pytest.mark.parametrize(("active", "told"), [(True, {"bob@example.com": 1}), (False, {})])
async def test_whoever_was_removed_by_hand_may_come_back_only_unsubscribed(
    *,
    active: bool,
    told: dict[str, int],
    post: Post,
) -> None:
    sandbox = seeded()
    act(sandbox, "bob@example.com", Act.REMOVE)
    await add(post, sandbox, "bob@example.com", active=active)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == told


@pytest.mark.anyio
async def test_whoever_a_request_removed_may_be_added_again(post: Post) -> None:
    sandbox = seeded()
    await post(sandbox, "contacts/remove", emails=["bob@example.com"])
    await add(post, sandbox, "bob@example.com")
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {}


@pytest.mark.anyio
async def test_whoever_is_subscribed_under_a_new_address_is_told(post: Post) -> None:
    sandbox = seeded()
    await update(post, sandbox, email="lee@example.com", active=True)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {"lee@example.com": 1}


@pytest.mark.anyio
async def test_whoever_is_moved_to_the_address_of_somebody_removed_by_hand_is_told(post: Post) -> None:
    sandbox = seeded()
    act(sandbox, ANN, Act.REMOVE)
    await update(post, sandbox, "bob@example.com", email=ANN, active=True)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {ANN: 1}


@pytest.mark.anyio
async def test_a_contact_merged_into_an_unsubscribed_one_is_told(post: Post) -> None:
    sandbox = seeded(rename_collision=RenameCollision.MERGE)
    await update(post, sandbox, "bob@example.com", email=ANN, active=True)
    assert sandbox.lists[DEFAULT_LIST].resubscribed == {ANN: 1}


def test_outside_a_loop_a_sandbox_goes_by_the_clock_of_real_loops() -> None:
    sandbox = seeded()
    act(sandbox, ANN, Act.SUBSCRIBE)
    assert sandbox.account.events[0].datetime >= sandbox.epoch


def test_an_act_is_what_a_webhook_would_tell() -> None:
    sandbox = Sandbox(clock=lambda: 10.5, epoch=1_483_010_763.0)
    sandbox.seed(DEFAULT_LIST, [{"email": ANN}])
    act(sandbox, ANN, Act.UNSUBSCRIBE)
    act(sandbox, ANN, Act.REMOVE)
    assert [event.event for event in sandbox.account.events] == ["unsubscribed", "removed"]
    assert sandbox.account.events[1].as_json() == {
        "event": "removed",
        "email": ANN,
        "datetime": 1_483_010_773,
        "contactId": "5882312a0000010000000001",
        "emailListId": DEFAULT_LIST,
    }
    assert sandbox.lists[DEFAULT_LIST].subscribed == 0
