"""`/send` and `/message`, as the page has them: key and secret in the body, and every error text."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from syncengine.sandbox import DEFAULT_KEY, DEFAULT_LIST, DEFAULT_TOKEN, Behaviour, MessageAct, Sandbox

pytestmark = pytest.mark.anyio

ClientOf = Callable[[Sandbox], httpx.AsyncClient]
REQUIRED = ["This field is required."]


def message(**changes: object) -> dict[str, object]:
    """The page's example, without its arrays' commas."""
    plain = {
        "from_email": "example@domain.com",
        "from_name": "sender name",
        "reply_to": [{"name": "Support", "email": "Support@domain.com"}],
        "subject": "Sample Subject!",
        "to": [{"name": "contact name", "email": "exampleReceiver@domain.com"}],
        "headers": {},
        "tags": ["tag1", "tag2"],
        "text": "Some awesome text",
        "html": "Some awesome text",
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


async def post(client_of: ClientOf, sandbox: Sandbox, path: str, **body: object) -> tuple[int, Any]:
    async with client_of(sandbox) as client:
        reply = await client.post(path, json={"key": DEFAULT_KEY, "secret": DEFAULT_TOKEN} | body)
    return reply.status_code, reply.json()


async def test_a_message_is_accepted_and_its_events_are_told(client_of: ClientOf) -> None:
    sandbox = Sandbox()

    sent = await post(client_of, sandbox, "/send", message=message())
    message_id = sent[1]["message_id"]
    sandbox.happen(message_id, MessageAct.READ)
    told = await post(client_of, sandbox, "/message", ids=[message_id, "f" * 24])

    assert sent == (200, {"message_id": message_id, "result": 1})
    (one,) = told[1]["messages"]
    assert told[1]["result"] == 1
    assert [event["event"] for event in one["events"]] == ["sent", "delivered", "read"]
    assert one["events"][0]["datetime"].startswith("2026-01-01 ")
    assert (one["to"], one["subject"], one["from_name"]) == (
        [{"name": "contact name", "email": "exampleReceiver@domain.com"}],
        "Sample Subject!",
        "sender name",
    )


REFUSED = [
    ("/send", {"key": "another"}, {"error": "Unauthorized", "result": 0}),
    ("/send", {"secret": "another"}, {"error": "Unauthorized", "result": 0}),
    ("/send", {"key": None}, {"error": "Unauthorized", "result": 0}),
    *(
        (
            "/send",
            {"message": message(**{name: None})},
            {"validation_errors": {name: REQUIRED}, "error": "Validation errors", "result": 0},
        )
        for name in ("from_email", "from_name", "subject", "to", "html")
    ),
    (
        "/send",
        {"message": None},
        {"validation_errors": {"message": REQUIRED}, "error": "Validation errors", "result": 0},
    ),
    (
        "/send",
        {"message": message(to=[{"email": "a@example.com"}, {"email": "b@example.com"}])},
        {
            "validation_errors": {"to": ["You can send only one email at a time."]},
            "error": "Validation errors",
            "result": 0,
        },
    ),
    (
        "/send",
        {"message": message(to=[{"email": "nobody"}])},
        {
            "validation_errors": {"to": ["This value is not a valid email address."]},
            "error": "Validation errors",
            "result": 0,
        },
    ),
    (
        "/send",
        {"message": message(tags=["_x", "y" * 51])},
        {
            "validation_errors": {
                "tags": [
                    "Tags should be 50 characters or less.",
                    "Tags starting with an underscore are reserved for internal use.",
                ]
            },
            "error": "Validation errors",
            "result": 0,
        },
    ),
    ("/message", {"key": None, "ids": ["a"]}, {"error": ["Authorization needed"], "result": 0}),
    ("/message", {"key": "another", "ids": ["a"]}, {"errors": ["API Key another does not exist."], "result": 0}),
    (
        "/message",
        {"secret": "another", "ids": ["a"]},
        {"errors": [f"API Key {DEFAULT_KEY} does not exist."], "result": 0},
    ),
    *(
        ("/message", {"ids": ids}, {"error": ["Require 'ids' arguments to query 'messages'"], "result": 0})
        for ids in (None, [], "abc", [1])
    ),
    (
        "/message",
        {"ids": [f"{number:024x}" for number in range(101)]},
        {"error": ["Current limitation is 100 messages per request!"], "result": 0},
    ),
]


@pytest.mark.parametrize(("path", "body", "told"), REFUSED, ids=lambda value: str(value)[:60])
async def test_a_refused_request_is_told_as_the_page_has_it(
    client_of: ClientOf, path: str, body: dict[str, object], told: dict[str, object]
) -> None:
    sandbox = Sandbox()
    assert await post(client_of, sandbox, path, **{"message": message(), **body}) == (200, told)
    assert sandbox.account.messages == []


async def test_refusals_may_have_statuses(client_of: ClientOf) -> None:
    sandbox = Sandbox(Behaviour(error_status=400, auth_status=401))
    assert (await post(client_of, sandbox, "/send", message={}))[0] == 400
    assert (await post(client_of, sandbox, "/send", key="another"))[0] == 401
    assert (await post(client_of, sandbox, "/message", key="another"))[0] == 401


async def test_addresses_that_begin_so_bounce(client_of: ClientOf) -> None:
    sandbox = Sandbox()
    for name in ("hard-1@example.com", "soft@example.com"):
        await post(client_of, sandbox, "/send", message=message(to=[{"email": name}]))
    acts = [[one.act for one in sandbox.account.outbox.happenings(mail.id)] for mail in sandbox.account.messages]
    assert acts == [[MessageAct.SENT, MessageAct.HARD], [MessageAct.SENT, MessageAct.SOFT]]


async def test_messages_and_templates_are_in_a_testers_hand(client_of: ClientOf) -> None:
    sandbox = Sandbox()
    sandbox.seed(DEFAULT_LIST, [{"email": "a@example.com"}])
    async with client_of(sandbox) as client:
        made = await client.post("/sandbox/templates", json={"id": "hello", "variables": ["city"]})
        _, sent = await post(client_of, sandbox, "/send", message=message())
        read = await client.post(f"/sandbox/messages/{sent['message_id']}", json={"act": "click"})
        bad = await client.post(f"/sandbox/messages/{sent['message_id']}", json={"act": "burn"})
        nobody = await client.post("/sandbox/messages/none", json={"act": "click"})
        listed = await client.get("/sandbox/messages")
    assert (made.json(), sandbox.account.templates) == ({"templates": 1}, {"hello": ("city",)})
    assert read.json()["events"] == ["sent", "delivered", "click"]
    assert (bad.status_code, nobody.status_code) == (400, 404)
    assert listed.json() == [read.json()]


async def test_what_is_lied_about_is_not_sent(client_of: ClientOf) -> None:
    sandbox = Sandbox(Behaviour(lying=1.0))
    status, told = await post(client_of, sandbox, "/send", message=message())
    assert (status, told["result"], sandbox.account.messages) == (200, 1, [])
