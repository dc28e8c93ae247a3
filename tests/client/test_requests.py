"""What is wrong with a request is told before it leaves, by the name the API has for the field."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from syncengine.client import (
    Change,
    Contact,
    Mailbox,
    Message,
    RequestError,
    SmartSender,
    Trigger,
    Variable,
    VariableType,
)
from syncengine.sandbox import DEFAULT_LIST, Sandbox

Connect = Callable[..., AbstractAsyncContextManager[SmartSender]]
BOX = Mailbox("anna@example.com")


def message(**changes: Any) -> Message:
    plain = {
        "from_email": "shop@example.com",
        "from_name": "Shop",
        "to": (BOX,),
        "subject": "Hello",
        "html": "<p>Hi</p>",
    }
    return Message(**(plain | changes))


MESSAGES = [
    ({"from_email": "shop"}, "message.from_email: must be an address"),
    ({"from_email": ""}, "message.from_email: must be an address such as anna@example.com; it is empty"),
    ({"from_name": " "}, "message.from_name: this field is required"),
    ({"from_name": "Shop\r\nBcc: all@example.com"}, "message.from_name: must be one line"),
    ({"subject": ""}, "message.subject: this field is required"),
    ({"subject": "a\nb"}, "message.subject: must be one line"),
    ({"subject": "half \ud83d"}, "message.subject: must be one line"),
    ({"html": ""}, "message.html: this field is required"),
    ({"html": "\x00"}, "message.html: holds what is no text"),
    ({"text": "\udc00"}, "message.text: holds what is no text"),
    ({"to": ()}, "message.to: exactly one recipient a message, not 0"),
    ({"to": (BOX, BOX)}, "message.to: exactly one recipient a message, not 2"),
    ({"to": (Mailbox("a b@example.com"),)}, r"message.to\[0\].email: must be an address"),
    ({"to": (Mailbox("a@example.com", "A\nB"),)}, r"message.to\[0\].name: must be one line"),
    ({"reply_to": (BOX, Mailbox("x"))}, r"message.reply_to\[1\].email: must be an address"),
    ({"tags": ("x" * 51,)}, r"message.tags\[0\]: a tag has at most 50 characters; this one has 51"),
    ({"tags": ("fine", "_mine")}, r"message.tags\[1\]: '_mine' begins with an underscore"),
    ({"tags": ("",)}, r"message.tags\[0\]: this field is required"),
    ({"tags": tuple(f"t{number}" for number in range(101))}, "message.tags: at most 100 tags, not 101"),
    ({"headers": {"X A": "1"}}, "message.headers.X A: is no name of a header"),
    ({"headers": {"X-A": "1\r\nBcc: a@example.com"}}, "message.headers.X-A: must be one line"),
]


@pytest.mark.parametrize(("changes", "what"), MESSAGES)
def test_a_message_that_the_service_would_refuse_is_not_made(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(RequestError, match=what) as raised:
        message(**changes)
    assert (raised.value.exit_code, raised.value.sent) == (2, "nothing was sent")
    assert what.replace("\\", "").startswith(f"{raised.value.field}: ")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"list_id": "a list"}, "emailListId: must be an id"),
        ({"contact": "nobody"}, "contact: must be an address"),
        ({"template_id": ""}, "templateId: must be an id"),
        ({"tags": ("_a",)}, r"tags\[0\]: '_a' begins with an underscore"),
    ],
)
def test_a_trigger_that_the_service_would_refuse_is_not_made(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(RequestError, match=what):
        Trigger(**({"list_id": DEFAULT_LIST, "contact": "a@example.com", "template_id": "hello"} | changes))


def contact(email: str = "a@example.com", **more: Any) -> Contact:
    return Contact(**({"email": email, "active": True} | more))


CALLS: list[tuple[Callable[[SmartSender], Any], str]] = [
    (lambda s: s.message([]), "ids: at least one is needed"),
    (lambda s: s.message(["a"] * 101), "ids: at most 100 a request, not 101"),
    (lambda s: s.message(["a", "b c"]), r"ids\[1\]: must be an id"),
    (lambda s: s.add_contacts("", [contact()]), "emailListId: must be an id"),
    (lambda s: s.add_contacts(DEFAULT_LIST, []), "contacts: at least one is needed"),
    (
        lambda s: s.add_contacts(DEFAULT_LIST, [contact(f"u{number}@example.com") for number in range(101)]),
        "contacts: at most 100 a request, not 101",
    ),
    (
        lambda s: s.add_contacts(DEFAULT_LIST, [contact(), contact("A@example.com")]),
        r"contacts\[1\]: is the same contact as contacts\[0\]",
    ),
    (lambda s: s.add_contacts(DEFAULT_LIST, [contact("x")]), r"contacts\[0\].email: must be an address"),
    (lambda s: s.add_contacts(DEFAULT_LIST, [contact(active="yes")]), r"contacts\[0\].active: must be true or false"),
    (lambda s: s.add_contacts(DEFAULT_LIST, [contact(name="a\nb")]), r"contacts\[0\].name: must be one line"),
    (
        lambda s: s.add_contacts(DEFAULT_LIST, [contact(variables={"Shoe size": "42"})]),
        r"contacts\[0\].variables.Shoe size: 'Shoe size' must be in lowerCamelCase",
    ),
    (
        lambda s: s.add_contacts(DEFAULT_LIST, [contact(variables={"foo1": "42"})]),
        r"contacts\[0\].variables.foo1: 'foo1' must be in lowerCamelCase",
    ),
    (
        lambda s: s.add_contacts(DEFAULT_LIST, [contact(variables={"size": 42})]),
        r"contacts\[0\].variables.size: must be a text, not int",
    ),
    (lambda s: s.remove_contacts(DEFAULT_LIST, ["a@example.com", "x"]), r"emails\[1\]: must be an address"),
    (lambda s: s.update_contact(DEFAULT_LIST, Change(contact="x", active=True)), "contact: must be an address"),
    (
        lambda s: s.update_contact(DEFAULT_LIST, Change(contact="a@example.com", email="x", active=True)),
        "parameters.email: must be an address",
    ),
    (
        lambda s: s.update_contacts(DEFAULT_LIST, [Change(contact="a@example.com", email="x", active=True)]),
        r"contacts\[0\].parameters.email: must be an address",
    ),
    (
        lambda s: s.update_contacts(DEFAULT_LIST, [Change(contact="a@example.com", active=True)] * 2),
        r"contacts\[1\]: is the same contact as contacts\[0\]",
    ),
    (lambda s: s.add_variables(DEFAULT_LIST, []), "variablesMetadata: at least one is needed"),
    (
        lambda s: s.add_variables(DEFAULT_LIST, [Variable("Foo", VariableType.DATE)]),
        r"variablesMetadata\[0\].name: 'Foo' must be in lowerCamelCase",
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("call", "what"), CALLS, ids=[what for _, what in CALLS])
async def test_a_request_that_the_service_would_refuse_does_not_leave(
    connect: Connect, call: Callable[[SmartSender], Any], what: str
) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as service:
        with pytest.raises(RequestError, match=what):
            await call(service)
    assert sandbox.log == []


def test_an_address_at_fault_is_not_shown() -> None:
    with pytest.raises(RequestError) as raised:
        message(to=(Mailbox("anna secret@example.com"),))
    assert "secret" not in str(raised.value)


def test_active_is_in_every_contact() -> None:
    assert contact().to_json() == {"email": "a@example.com", "active": True}
    assert Change(contact="a@example.com", active=False).to_json() == {
        "contact": "a@example.com",
        "parameters": {"active": False},
    }
    with pytest.raises(TypeError):
        Contact(email="a@example.com")  # type: ignore[call-arg]


def test_what_is_not_given_is_not_sent() -> None:
    assert json.dumps(message().to_json()) == (
        '{"from_email": "shop@example.com", "from_name": "Shop", "subject": "Hello", '
        '"to": [{"email": "anna@example.com"}], "html": "<p>Hi</p>"}'
    )
