"""Every error text of the API's page, as whole answers. The page's XXX, listId and NNN are placeholders."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, DEFAULT_TOKEN, Behaviour, Sandbox, VariableType

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]

KNOWN = "known@example.com"


def account() -> Sandbox:
    """A list with one contact, a text `firstName` and a date `born`, and a template that prints `firstName`."""
    sandbox = Sandbox(Behaviour())
    sandbox.seed(DEFAULT_LIST, [{"email": KNOWN, "variables": {"firstName": "Ann"}}])
    sandbox.lists[DEFAULT_LIST].add_variable("born", VariableType.DATE)
    sandbox.account.templates["hello"] = ("firstName", "contacts")
    return sandbox


def new(**more: object) -> dict[str, object]:
    return {"email": "new@example.com", **more}


def variable(name: object, value: object) -> list[dict[str, object]]:
    return [{"name": name, "value": value}]


def change(**parameters: object) -> list[dict[str, object]]:
    return [{"contact": KNOWN, "parameters": parameters}]


class Told(NamedTuple):
    endpoint: str
    arguments: dict[str, object]
    container: str
    text: str

    @property
    def body(self) -> dict[str, object]:
        if self.endpoint == "contacts-batch/update":
            return {self.container: [self.text]}
        return {self.container: [self.text], "requestId": "00000001"}


NO_LIST = "Email list with id 5537ab2a08d241dc69326b20 not found"
ELSEWHERE = {"emailListId": "5537ab2a08d241dc69326b20"}
NOT_CONTACTS = 'Not valid type for argument "contacts" in query "addContactToEmailList"'
NO_VARIABLE = "Variable name shoeSize not found in defined email list variables! Try to add it first!"
NOT_EMAILS = 'Not valid type for argument "emails" in query "removeContact"'
NO_EMAILS = 'Require "emails" arguments to query "removeContact"'
NO_CONTACT = 'Require "contact" arguments to query "updateContact"'
NO_PARAMETERS = 'Require "parameters" arguments to query "updateContact"'
NOT_PARAMETERS = 'Not valid type for argument "parameters" in query "updateContact"'
NOT_METADATA = 'Not valid type for argument "variablesMetadata" in query "addVariablesMetadata"'
NO_TEMPLATE = 'Require "templateId" arguments to query "triggerSubscription"'
TWIG = (
    'Unexpected token "name" of value "contacts" ("end of print statement" expected) '
    'in "__string_template__hello" at line 1.'
)

REFUSED = [
    Told("contacts/add", ELSEWHERE | {"contacts": [new()]}, "Error_stack", NO_LIST),
    Told("contacts/remove", ELSEWHERE | {"emails": [KNOWN]}, "Error_stack", NO_LIST),
    Told("contacts/update", ELSEWHERE | {"contact": KNOWN, "parameters": {"name": "A"}}, "Error_stack", NO_LIST),
    Told("contacts-batch/update", ELSEWHERE | {"contacts": change(name="A")}, "error_stack", NO_LIST),
    Told("variables/add", ELSEWHERE | {"variablesMetadata": [{"name": "a", "type": "DATE"}]}, "error_stack", NO_LIST),
    Told("mailer/send", ELSEWHERE | {"contact": KNOWN, "templateId": "hello"}, "error_stack", NO_LIST),
    # contacts/add
    Told("contacts/add", {"contacts": [new(email="")]}, "Error_stack", NOT_CONTACTS),
    Told("contacts/add", {"contacts": [{"name": "A"}]}, "Error_stack", NOT_CONTACTS),
    Told("contacts/add", {"contacts": [new(email=KNOWN)]}, "Error_stack", f"Contact with email {KNOWN} already exists"),
    Told("contacts/add", {"contacts": [new(variables=variable("shoeSize", "42"))]}, "Error_stack", NO_VARIABLE),
    Told(
        "contacts/add",
        {"contacts": [new(variables=variable("", "42"))]},
        "Error_stack",
        "Variable name  not found in defined email list variables! Try to add it first!",
    ),
    Told(
        "contacts/add",
        {"contacts": [new(variables=variable("born", "2001-02-29"))]},
        "Error_stack",
        "Invalid variable type on born",
    ),
    Told(
        "contacts/add",
        {"contacts": [new(variables=[{"name": "born"}])]},
        "Error_stack",
        "Invalid variable type on born",
    ),
    # contacts/remove
    Told("contacts/remove", {}, "Error_stack", NO_EMAILS),
    Told("contacts/remove", {"emails": []}, "Error_stack", NO_EMAILS),
    Told("contacts/remove", {"emails": [KNOWN, ""]}, "Error_stack", NOT_EMAILS),
    Told("contacts/remove", {"emails": [KNOWN, "nobody"]}, "Error_stack", NOT_EMAILS),
    # contacts/update
    Told("contacts/update", {"parameters": {"name": "A"}}, "Error_stack", NO_CONTACT),
    Told("contacts/update", {"contact": "nobody", "parameters": {"name": "A"}}, "Error_stack", NO_CONTACT),
    Told(
        "contacts/update",
        {"contact": "example@domain.com", "parameters": {"name": "A"}},
        "Error_stack",
        "Contact example@domain.com not found!",
    ),
    Told("contacts/update", {"contact": KNOWN}, "Error_stack", NO_PARAMETERS),
    Told("contacts/update", {"contact": KNOWN, "parameters": {"email": ""}}, "Error_stack", NOT_PARAMETERS),
    Told("contacts/update", {"contact": KNOWN, "parameters": {"email": "nobody"}}, "Error_stack", NOT_PARAMETERS),
    Told(
        "contacts/update",
        {"contact": KNOWN, "parameters": {"variables": variable("shoeSize", "42")}},
        "Error_stack",
        NO_VARIABLE,
    ),
    Told(
        "contacts/update",
        {"contact": KNOWN, "parameters": {"variables": [{"name": "firstName", "vlaue": "A"}]}},
        "Error_stack",
        'Invalid field "vlaue" on VariableHolderInput',
    ),
    Told(
        "contacts/update",
        {"contact": KNOWN, "parameters": {"variables": [{"name": "firstName"}]}},
        "Error_stack",
        'Invalid field "value" on VariableHolderInput',
    ),
    Told(
        "contacts/update",
        {"contact": KNOWN, "parameters": {"variables": [{"value": "A"}]}},
        "Error_stack",
        'Invalid field "name" on VariableHolderInput',
    ),
    # contacts-batch/update
    Told("contacts-batch/update", {"contacts": [{"parameters": {"name": "A"}}]}, "error_stack", NO_CONTACT),
    Told("contacts-batch/update", {"contacts": [{"contact": KNOWN}]}, "error_stack", NO_PARAMETERS),
    Told("contacts-batch/update", {"contacts": change(email="")}, "error_stack", NOT_PARAMETERS),
    Told(
        "contacts-batch/update",
        {"contacts": change(variables=[{"name": "firstName", "vlaue": "A"}])},
        "error_stack",
        'Invalid field "vlaue" on VariableHolderInput',
    ),
    Told(
        "contacts-batch/update",
        {"contacts": change(name="A") * 101},
        "errors",
        "Current limitation is 100 contacts per request!",
    ),
    # variables/add
    Told("variables/add", {"variablesMetadata": [{"name": "a", "type": "INT"}]}, "error_stack", NOT_METADATA),
    Told("variables/add", {"variablesMetadata": [{"name": "foo1", "type": "DATE"}]}, "error_stack", NOT_METADATA),
    Told("variables/add", {"variablesMetadata": [{"name": "Foo", "type": "DATE"}]}, "error_stack", NOT_METADATA),
    Told("variables/add", {"variablesMetadata": [{"name": "a"}]}, "error_stack", 'Unexpected token "COLON"'),
    Told("variables/add", {"variablesMetadata": [{"type": "DATE"}]}, "error_stack", 'Unexpected token "COLON"'),
    # mailer/send
    Told("mailer/send", {"contact": KNOWN}, "error_stack", NO_TEMPLATE),
    Told("mailer/send", {"contact": KNOWN, "templateId": ""}, "error_stack", NO_TEMPLATE),
    Told(
        "mailer/send",
        {"contact": "example@domain.com", "templateId": "hello"},
        "error_stack",
        "Contact example@domain.com not found!",
    ),
    Told("mailer/send", {"contact": KNOWN, "templateId": "hello"}, "error_stack", TWIG),
]


@pytest.mark.parametrize("told", REFUSED, ids=lambda told: f"{told.endpoint}: {told.text}")
async def test_a_refused_request_is_told_as_the_page_has_it(told: Told, post: Post) -> None:
    sandbox = account()
    before = sandbox.lists[DEFAULT_LIST].contacts.copy()
    reply = await post(sandbox, told.endpoint, **told.arguments)
    assert (reply.status_code, reply.json()) == (200, told.body)
    assert sandbox.lists[DEFAULT_LIST].contacts == before
    assert sandbox.log[0].errors == 1


IN_BATCH = [
    ("example@domain.com", {"name": "A"}, f"Unable to find email example@domain.com in email list {DEFAULT_LIST}"),
    (KNOWN, {"variables": variable("shoeSize", "42")}, NO_VARIABLE),
    (KNOWN, {"variables": variable("born", "31.12.2000")}, "Invalid variable type on born"),
]


@pytest.mark.parametrize(("contact", "parameters", "text"), IN_BATCH, ids=[text for _, _, text in IN_BATCH])
async def test_a_contact_refused_in_a_batch_is_told_beside_the_others(
    contact: str, parameters: dict[str, object], text: str, post: Post
) -> None:
    sandbox = account()
    good = {"contact": KNOWN, "parameters": {"name": "Anna"}}
    reply = await post(
        sandbox, "contacts-batch/update", contacts=[{"contact": contact, "parameters": parameters}, good]
    )
    assert reply.json() == {"result": True, "updated": ["5882312a0000010000000001"], "errors": [text]}
    assert sandbox.lists[DEFAULT_LIST].find(KNOWN).name == "Anna"


ENDPOINTS = [
    "contacts/add",
    "contacts/remove",
    "contacts/update",
    "contacts-batch/update",
    "variables/add",
    "mailer/send",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_unknown_token_is_echoed_as_the_page_has_it(endpoint: str, post: Post) -> None:
    reply = await post(account(), endpoint, token="wrong-token")
    assert reply.json()["errors"] == ["API Key wrong-token does not exist."]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_a_missing_token_comes_before_everything_else(endpoint: str, post: Post) -> None:
    reply = await post(account(), endpoint, token=None, content=b"not even JSON")
    assert next(iter(reply.json().values())) == ["Authorization needed"]


ACCEPTED = [
    ("contacts/add", {"contacts": [new()]}, {"result": True}),
    ("contacts/remove", {"emails": [KNOWN]}, {"result": True}),
    ("contacts/update", {"contact": KNOWN, "parameters": {"active": True}}, {"result": True}),
    (
        "contacts-batch/update",
        {"contacts": change(active=True)},
        {"result": True, "updated": ["5882312a0000010000000001"], "errors": []},
    ),
    ("variables/add", {"variablesMetadata": [{"name": "shoeSize", "type": "ENUM_STRING"}]}, {"result": True}),
    (
        "mailer/send",
        {"contact": KNOWN, "templateId": "plain", "tags": ["a"]},
        {"result": True, "messageId": "000000000000000000000001", "error": None},
    ),
]


@pytest.mark.parametrize(("endpoint", "arguments", "body"), ACCEPTED, ids=[endpoint for endpoint, _, _ in ACCEPTED])
async def test_an_accepted_request_is_told_as_the_page_has_it(
    endpoint: str, arguments: dict[str, object], body: dict[str, object], post: Post
) -> None:
    reply = await post(account(), endpoint, **arguments)
    assert (reply.status_code, reply.headers["content-type"], reply.json()) == (200, "application/json", body)


async def test_the_token_accepted_may_be_another_one(post: Post) -> None:
    reply = await post(Sandbox(tokens=["other-token"]), "contacts/add", token="other-token", contacts=[new()])
    assert reply.json() == {"result": True}
    assert DEFAULT_TOKEN in Sandbox(tokens=["other-token"]).tokens
