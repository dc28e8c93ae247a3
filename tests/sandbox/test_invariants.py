"""Whatever is sent, under whatever behaviour: an answer in a documented shape, lists that agree with themselves."""

import asyncio
import json
from collections.abc import Callable
from enum import StrEnum
from types import UnionType
from typing import get_args, get_type_hints

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.sandbox import DEFAULT_KEY, DEFAULT_LIST, DEFAULT_TOKEN, Behaviour, ContactList, Endpoint, Sandbox
from syncengine.sandbox.contract import PATHS, SENDING

PATH_OF = {endpoint: path for path, endpoint in PATHS.items()}
ClientOf = Callable[[Sandbox], httpx.AsyncClient]

KEYS = ["emailListId", "contacts", "contact", "emails", "email", "parameters", "variables", "variablesMetadata",
        "name", "value", "type", "active", "templateId", "surplus", "message", "to", "from_email", "from_name",
        "subject", "html", "tags", "reply_to", "headers", "ids"]  # fmt: skip
TEXTS = [DEFAULT_LIST, "a@example.com", "B@example.com", "firstName", "born", "2001-02-28", "STRING", "", "\x00", "😀"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)

EMAILS = st.sampled_from([f"{name}@example.com" for name in ("a", "A", "b", "b+x", " c ", "d")])
VARIABLES = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["city", "plan", "nope"]), "value": st.sampled_from(["", "x"])}),
    max_size=2,
)
FIELDS = {"name": st.sampled_from(["", "A", "B"]), "active": st.booleans(), "variables": VARIABLES}
REQUESTS = st.one_of(
    st.tuples(
        st.just("contacts/add"),
        st.lists(st.fixed_dictionaries({"email": EMAILS}, optional=FIELDS), min_size=1, max_size=4).map(
            lambda contacts: {"contacts": contacts}
        ),
    ),
    st.tuples(
        st.just("contacts-batch/update"),
        st.lists(
            st.fixed_dictionaries(
                {
                    "contact": EMAILS,
                    "parameters": st.fixed_dictionaries({}, optional={"email": EMAILS, **FIELDS}),
                }
            ),
            min_size=1,
            max_size=4,
        ).map(lambda changes: {"contacts": changes}),
    ),
    st.tuples(
        st.just("contacts/remove"), st.lists(EMAILS, min_size=1, max_size=3).map(lambda emails: {"emails": emails})
    ),
)


def enum_of(hint: object) -> type[StrEnum] | None:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum)), None)


CHOICES = {name: kind for name, hint in get_type_hints(Behaviour).items() if (kind := enum_of(hint)) is not None}
BEHAVIOURS = st.fixed_dictionaries(
    {},
    optional={name: st.sampled_from(list(kind)) for name, kind in CHOICES.items()} | {"case_sensitive": st.booleans()},
).map(lambda choices: Behaviour(**choices))

EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


async def answers(client: httpx.AsyncClient, requests: list[tuple[str, object]]) -> list[object]:
    replies = []
    for endpoint, body in requests:
        if isinstance(body, dict) and endpoint in SENDING:
            body |= {"key": DEFAULT_KEY, "secret": DEFAULT_TOKEN}
        content, headers = json.dumps(body), {"access-token": DEFAULT_TOKEN}
        reply = await client.post(PATH_OF[endpoint], content=content, headers=headers)
        assert reply.status_code == 200
        replies.append(reply.json())
    return replies


def check(contacts: ContactList) -> None:
    """The indexes of a list agree with each other."""
    key = contacts.addresses.key
    assert {key(contact.email): contact for contact in contacts.contacts.values()} == contacts.by_address
    assert {contact.id: contact for contact in contacts.contacts.values()} == contacts.contacts
    assert contacts.subscribed == sum(contact.active for contact in contacts.contacts.values())
    for contact in contacts.contacts.values():
        assert contacts.history(contact.email)[-1] == (contact.since, contact.active)
        assert contact.variables.keys() <= contacts.variables.keys()


@EXAMPLES
@given(endpoint=st.sampled_from([*PATHS.values()]), body=JSON)
def test_whatever_is_sent_is_answered_in_a_documented_shape(
    client_of: ClientOf, endpoint: Endpoint, body: object
) -> None:
    async def scenario() -> None:
        sandbox = Sandbox()
        sandbox.seed(DEFAULT_LIST, [{"email": "a@example.com", "variables": {"firstName": "A"}}])
        async with client_of(sandbox) as client:
            (reply,) = await answers(client, [(endpoint, body)])
        assert set(reply) in (
            {"result"},
            {"result", "updated", "errors"},
            {"result", "messageId", "error"},
            {"Error_stack", "requestId"},
            {"error_stack", "requestId"},
            {"error_stack"},
            {"errors"},
            {"message_id", "result"},
            {"messages", "result"},
            {"validation_errors", "error", "result"},
            {"error", "result"},
            {"errors", "result"},
        )
        check(sandbox.lists[DEFAULT_LIST])

    asyncio.run(scenario())


@EXAMPLES
@given(behaviour=BEHAVIOURS, requests=st.lists(REQUESTS, max_size=8))
def test_whatever_happens_the_lists_agree_with_themselves(
    client_of: ClientOf, behaviour: Behaviour, requests: list[tuple[str, dict[str, object]]]
) -> None:
    async def scenario() -> None:
        sandbox = Sandbox(behaviour)
        contacts = sandbox.lists[DEFAULT_LIST]
        seeds = [{"email": f"{name}@example.com", "variables": {"city": "x", "plan": "y"}} for name in "abcd"]
        sandbox.seed(DEFAULT_LIST, seeds)
        async with client_of(sandbox) as client:
            for endpoint, body in requests:
                await answers(client, [(endpoint, {"emailListId": DEFAULT_LIST} | body)])
                check(contacts)

    asyncio.run(scenario())
