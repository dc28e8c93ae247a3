"""The same seed, the same requests, the same times: the same answers, contacts and log."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    DEFAULT_TOKEN,
    Add,
    Behaviour,
    Drop,
    DuplicateApply,
    Fault,
    Ids,
    LateApply,
    Sandbox,
    Status,
    When,
)

Run = Callable[[Coroutine[Any, Any, Any]], Any]
ClientOf = Callable[[Sandbox], httpx.AsyncClient]

ALWAYS = {"times": None}


def rough(seed: int) -> Sandbox:
    behaviour = Behaviour(add=Add.PARTIAL, ids=Ids.SHUFFLED, latency=0.1, jitter=0.4, lying=0.05, knee=3, rate=40)
    faults = [
        Fault(what=Status(503), probability=0.05, **ALWAYS),
        Fault(what=Drop(), probability=0.05, when=When.AFTER_APPLY, **ALWAYS),
        Fault(what=LateApply(3.0), probability=0.02, **ALWAYS),
        Fault(what=DuplicateApply(), probability=0.05, **ALWAYS),
    ]
    return Sandbox(behaviour, faults, seed=seed)


async def crowd(sandbox: Sandbox, client: httpx.AsyncClient) -> list[str]:
    """Four clients that add and update contacts of one hundred, each giving up after two seconds."""
    answers: list[str] = []

    async def one(number: int) -> None:
        chance = Random(number)
        for _ in range(30):
            emails = [f"a{chance.randrange(100)}@example.com" for _ in range(5)]
            if chance.random() < 0.5:
                path, contacts = "contacts/add", [{"email": email, "active": True} for email in emails]
            else:
                path = "contacts-batch/update"
                contacts = [{"contact": email, "parameters": {"name": str(number)}} for email in emails]
            try:
                async with asyncio.timeout(2.0):
                    body = {"emailListId": DEFAULT_LIST, "contacts": contacts}
                    reply = await client.post(f"/api/rest/email-list/{path}", json=body)
                answers.append(f"{reply.status_code} {reply.text}")
            except (httpx.TransportError, TimeoutError) as error:
                answers.append(type(error).__name__)

    await asyncio.gather(*(one(number) for number in range(4)))
    await sandbox.settled()
    return answers


@pytest.fixture
def history_of(in_virtual_time: Run, client_of: ClientOf) -> Callable[[int], tuple[object, ...]]:
    def history_of(seed: int) -> tuple[object, ...]:
        sandbox = rough(seed)

        async def scenario() -> list[str]:
            async with client_of(sandbox) as client:
                client.headers["access-token"] = DEFAULT_TOKEN
                return await crowd(sandbox, client)

        answers = in_virtual_time(scenario())
        contacts = [repr(contact) for contact in sandbox.lists[DEFAULT_LIST].contacts.values()]
        return answers, contacts, [request.as_json() for request in sandbox.log], sandbox.overlaps

    return history_of


def test_one_seed_is_one_history(history_of: Callable[[int], tuple[object, ...]]) -> None:
    first = history_of(3)
    assert history_of(3) == first
    assert history_of(4) != first


def test_a_rough_history_has_all_sorts_in_it(history_of: Callable[[int], tuple[object, ...]]) -> None:
    answers, contacts, log, overlaps = history_of(3)
    assert {answer[:4] for answer in answers} >= {"200 ", "503 ", "Remo", "Time"}
    assert len(contacts) > 50
    assert {fault for request in log for fault in request["faults"]} == {
        "status",
        "drop",
        "late_apply",
        "duplicate_apply",
    }
    assert overlaps


def test_a_sandbox_that_was_reset_repeats_itself(in_virtual_time: Run, client_of: ClientOf) -> None:
    sandbox = Sandbox(faults=[Fault(what=Status(503), probability=0.5, **ALWAYS)])

    async def statuses() -> list[int]:
        async with client_of(sandbox) as client:
            return [(await client.post("/api/rest/mailer/send", json={})).status_code for _ in range(30)]

    first = in_virtual_time(statuses())
    sandbox.reset()
    assert in_virtual_time(statuses()) == first
    assert set(first) == {200, 503}
