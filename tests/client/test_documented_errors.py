"""Every error text that SmartSender's page prints, on every call it prints it for: what the client makes of it.

`tests/documented_errors.csv` has the texts as printed. The client itself would not send most of what is
wrong here: such requests are put past its checks.
"""

import csv
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from syncengine.client import (
    Change,
    Contact,
    Mailbox,
    Message,
    RefusedError,
    RejectedError,
    SmartSender,
    Trigger,
    Variable,
    VariableType,
)
from syncengine.client.replies import settled
from syncengine.model import Call
from syncengine.sandbox import DEFAULT_LIST, DEFAULT_TOKEN, SCENARIOS, Behaviour, Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[SmartSender]]
DOCUMENT = "SmartSender API 2.0"
KNOWN, NEW = "known@example.com", "new@example.com"
ELSEWHERE = "5537ab2a08d241dc69326b20"
WRONG = "another-credential"

NO_KEY = "API Key XXX does not exist."
NO_LIST = "Email list with id XXX not found"
NO_VARIABLE = "Variable name XXX not found in defined email list variables! Try to add it first!"
NO_FIELD = 'Invalid field "XXX" on VariableHolderInput'
TWIG = (
    'Unexpected token "name" of value "contacts" ("end of print statement" expected) in "__string_template__XXX" '
    "at line XXX."
)


class Said(NamedTuple):
    """`printed` is said to `ask`, and becomes an error of `kind`."""

    call: str
    printed: str
    ask: Callable[[SmartSender], Awaitable[object]]
    kind: type[RefusedError | RejectedError] = RejectedError
    credentials: dict[str, str] = {}  # noqa: RUF012  # never changed


def body(call: str, content: dict[str, Any]) -> Callable[[SmartSender], Awaitable[object]]:
    """A request of the partner group as it stands."""
    path = f"/api/rest/{'' if call == 'mailer/send' else 'email-list/'}{call}"
    kind = Call.UPDATE if call == "contacts-batch/update" else Call.ADD
    return lambda service: service._ask(path, {"emailListId": DEFAULT_LIST, **content}, repeatable=False, call=kind)


def change(**fields: Any) -> dict[str, Any]:
    return {"contact": KNOWN, "parameters": fields}


def batch(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"contacts": list(changes)}


def variables(*pairs: dict[str, Any]) -> dict[str, Any]:
    return {"email": NEW, "variables": list(pairs)}


async def without_key(service: SmartSender) -> object:
    """The key missing, where the page marks it as optional."""
    told = {"secret": DEFAULT_TOKEN, "ids": ["a"]}
    return settled(await service._attempted(service._sending, "/message", told, repeatable=False))


def hello(**changes: Any) -> Message:
    plain = {"from_email": "shop@example.com", "from_name": "Shop", "subject": "Hello", "html": "<p>Hello</p>"}
    return Message(**(plain | {"to": (Mailbox(NEW),)} | changes))


EACH: dict[str, Callable[[SmartSender, str], Awaitable[object]]] = {
    "contacts/add": lambda service, to: service.add_contacts(to, [Contact(email=NEW, active=True)]),
    "contacts/remove": lambda service, to: service.remove_contacts(to, [KNOWN]),
    "contacts/update": lambda service, to: service.update_contact(to, Change(contact=KNOWN, active=True)),
    "contacts-batch/update": lambda service, to: service.update_contacts(to, [Change(contact=KNOWN, active=True)]),
    "variables/add": lambda service, to: service.add_variables(to, [Variable("city", VariableType.STRING)]),
    "mailer/send": lambda service, to: service.trigger(Trigger(list_id=to, contact=KNOWN, template_id="hello")),
}
TOKENS = [
    *(
        Said(call, NO_KEY, lambda service, ask=ask: ask(service, DEFAULT_LIST), RefusedError, {"token": WRONG})  # type: ignore[misc]
        for call, ask in EACH.items()
    ),
    Said("message", NO_KEY, lambda service: service.message(["a"]), RefusedError, {"key": WRONG}),
    Said("message", "Authorization needed", without_key, RefusedError),
    Said("send", "Unauthorized", lambda service: service.send(hello()), RefusedError, {"key": WRONG}),
]
LISTS = [
    Said(call, NO_LIST, lambda service, ask=ask: ask(service, ELSEWHERE), RefusedError)  # type: ignore[misc]
    for call, ask in EACH.items()
]
SHOE_SIZE = {"name": "shoeSize", "value": "42"}


def of(call: str, *said: tuple[str, dict[str, Any]]) -> list[Said]:
    return [Said(call, printed, body(call, content)) for printed, content in said]


CONTACTS = [
    *of(
        "contacts/add",
        ('Not valid type for argument "contacts" in query "addContactToEmailList', {"contacts": [{"email": ""}]}),
        ("Contact with email example@domain.com already exists", {"contacts": [{"email": KNOWN}]}),
        (NO_VARIABLE, {"contacts": [variables(SHOE_SIZE)]}),
        ("Invalid variable type on XXX", {"contacts": [variables({"name": "firstName"})]}),
    ),
    *of(
        "contacts/remove",
        ('Require "emails" arguments to query "removeContact"', {"emails": []}),
        ('Not valid type for argument "emails" in query "removeContact"', {"emails": ["nobody"]}),
    ),
    *of(
        "contacts/update",
        ('Require "contact" arguments to query "updateContact"', {"parameters": {"active": True}}),
        ("Contact example@domain.com not found!", {"contact": NEW, "parameters": {"active": True}}),
        ('Require "parameters" arguments to query "updateContact"', {"contact": KNOWN}),
        ('Not valid type for argument "parameters" in query "updateContact"', change(email="x")),
        (NO_VARIABLE, change(variables=[SHOE_SIZE])),
        (NO_FIELD, change(variables=[{"name": "a", "vlaue": ""}])),
        (NO_FIELD, change(variables=[{"name": "a"}])),
    ),
    *of(
        "contacts-batch/update",
        ("Current limitation is 100 contacts per request!", batch(*[change(active=True)] * 101)),
        ('Require "contact" arguments to query "updateContact"', batch({"parameters": {"active": True}})),
        ('Require "parameters" arguments to query "updateContact"', batch({"contact": KNOWN})),
        ('Not valid type for argument "parameters" in query "updateContact"', batch(change(email="x"))),
        (NO_FIELD, batch(change(variables=[{"name": "a"}]))),
    ),
]
OTHERS = [
    *of(
        "variables/add",
        (
            'Not valid type for argument "variablesMetadata" in query "addVariablesMetadata',
            {"variablesMetadata": [{"name": "a", "type": "INT"}]},
        ),
        ('Unexpected token "COLON"', {"variablesMetadata": [{"name": "a"}]}),
    ),
    *of(
        "mailer/send",
        ("Contact example@domain.com not found!", {"contact": NEW, "templateId": "hello"}),
        ('Require "templateId" arguments to query "triggerSubscription"', {"contact": KNOWN}),
        (TWIG, {"contact": KNOWN, "templateId": "printsContacts"}),
    ),
    Said(
        "message",
        "Require 'ids' arguments to query 'messages'",
        lambda service: service._send("/message", {"ids": []}, repeatable=False),
    ),
]
EVERY = [*TOKENS, *LISTS, *CONTACTS, *OTHERS]

# Said beside an answer that is no refusal, or in a shape of its own: each has a test below.
BESIDE = {
    ("contacts-batch/update", "Unable to find email example@domain.com in email list listId"),
    ("contacts-batch/update", NO_VARIABLE),
    ("send", "Validation errors"),
    ("send", "This field is required."),
}
SPELLINGS = [
    "documented", "error-stack-lower", "errors-array", "error-text", "result-number", "result-string", "http-statuses",
]  # fmt: skip


def account(spelling: str = "documented") -> Sandbox:
    sandbox = Sandbox(SCENARIOS[spelling].behaviour)
    sandbox.seed(DEFAULT_LIST, [{"email": KNOWN, "variables": {"firstName": "Ann"}}])
    sandbox.account.templates["printsContacts"] = ("contacts",)
    return sandbox


def like(printed: str) -> re.Pattern[str]:
    """The text with its placeholders filled in; the page loses some closing quotation marks."""
    places = {"XXX": '[^"]+', "example@domain\\.com": "[^ ]+@[^ ]+", "listId": "[^ ]+"}
    pattern = re.escape(printed)
    for placeholder, filled in places.items():
        pattern = pattern.replace(placeholder, filled)
    return re.compile(f'{pattern}"?')


def test_the_table_has_every_text_of_every_call_of_the_page() -> None:
    with (Path(__file__).parents[1] / "documented_errors.csv").open(encoding="utf-8", newline="") as file:
        printed = {(row["call"], row["printed"]) for row in csv.DictReader(file) if row["document"] == DOCUMENT}

    assert len(printed) > 40
    assert {(one.call, one.printed) for one in EVERY} | BESIDE == printed


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("said", EVERY, ids=lambda said: f"{said.call}: {said.printed}")
async def test_every_text_is_told_as_an_error_of_its_kind(connect: Connect, said: Said, spelling: str) -> None:
    sandbox = account(spelling)
    async with connect(sandbox, **said.credentials) as service:
        with pytest.raises(said.kind) as raised:
            await said.ask(service)

    error = raised.value
    if isinstance(error, RejectedError):
        assert [text for text in error.texts if like(said.printed).fullmatch(text)] == list(error.texts) != []
        assert error.exit_code == 3
    else:
        assert (error.code, error.exit_code) == ("list-refused" if said.printed == NO_LIST else "token-refused", 4)
    assert not any(hidden in f"{error}{error!r}{error.why}" for hidden in (KNOWN, NEW, WRONG, DEFAULT_TOKEN))
    assert len(sandbox.log) == 1


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_what_a_batch_says_of_some_is_told_beside_the_others(connect: Connect, spelling: str) -> None:
    changes = [
        Change(contact=KNOWN, active=True),
        Change(contact=NEW, active=True),
        Change(contact="other@example.com", active=True, variables={"shoeSize": "42"}),
    ]
    sandbox = account(spelling)
    sandbox.seed(DEFAULT_LIST, [{"email": "other@example.com"}])
    async with connect(sandbox) as service:
        done = await service.update_contacts(DEFAULT_LIST, changes)

    printed = ("Unable to find email example@domain.com in email list listId", NO_VARIABLE)
    assert len(done.updated) == 1
    assert [bool(like(one).search(" ".join(done.errors))) for one in printed] == [True, True]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_message_that_is_not_valid_is_told_by_field(connect: Connect, spelling: str) -> None:
    async with connect(account(spelling)) as service:
        with pytest.raises(RejectedError) as raised:
            await service._send("/send", {"message": {"to": []}}, repeatable=False)

    assert raised.value.texts == ("Validation errors",)
    assert ("from_name", "This field is required.") in raised.value.fields


async def test_more_ids_than_the_page_allows_are_refused_in_words_it_does_not_print(connect: Connect) -> None:
    async with connect(Sandbox(Behaviour())) as service:
        with pytest.raises(RejectedError, match="refused") as raised:
            await service._send("/message", {"ids": ["a"] * 101}, repeatable=False)

    assert raised.value.texts == ("Current limitation is 100 messages per request!",)
