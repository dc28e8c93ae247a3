"""contacts/add, contacts/remove and variables/add, with what the page leaves open about them."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    Add,
    Behaviour,
    EmptyValue,
    ExistingVariable,
    Normalisation,
    RemoveUnknown,
    Sandbox,
)

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]


def holding(*emails: str, **behaviour: object) -> Sandbox:
    sandbox = Sandbox(Behaviour(**behaviour))
    sandbox.seed(DEFAULT_LIST, [{"email": email} for email in emails])
    return sandbox


def addresses(sandbox: Sandbox) -> list[str]:
    return [contact.email for contact in sandbox.lists[DEFAULT_LIST].contacts.values()]


def contacts(*emails: str) -> list[dict[str, object]]:
    return [{"email": email} for email in emails]


EXISTS = "Contact with email known@example.com already exists"
NO_SHOES = "Variable name shoeSize not found in defined email list variables! Try to add it first!"


@pytest.mark.parametrize(
    ("way", "kept", "texts"),
    [
        (Add.ATOMIC, [], [EXISTS, NO_SHOES]),
        (Add.PARTIAL, ["a@example.com", "c@example.com"], [EXISTS, NO_SHOES]),
        (Add.STOP_AT_FIRST, ["a@example.com"], [EXISTS]),
        (Add.APPLIED_BUT_REPORTED_FAILED, ["a@example.com", "c@example.com"], [EXISTS, NO_SHOES]),
    ],
)
async def test_what_is_kept_when_contacts_are_bad(way: Add, kept: list[str], texts: list[str], post: Post) -> None:
    sandbox = holding("known@example.com", add=way)
    wanted = contacts("a@example.com", "known@example.com", "b@example.com", "c@example.com")
    wanted[2]["variables"] = [{"name": "shoeSize", "value": "42"}]
    reply = await post(sandbox, "contacts/add", contacts=wanted)
    assert reply.json() == {"Error_stack": texts, "requestId": "00000001"}
    assert addresses(sandbox) == ["known@example.com", *kept]


@pytest.mark.parametrize("way", Add)
async def test_good_contacts_are_added_whatever_the_way(way: Add, post: Post) -> None:
    sandbox = holding(add=way)
    reply = await post(sandbox, "contacts/add", contacts=contacts("a@example.com", "b@example.com"))
    failed = way is Add.APPLIED_BUT_REPORTED_FAILED
    assert (reply.json() == {"result": True}) is not failed
    assert addresses(sandbox) == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(("way", "kept"), [(Add.ATOMIC, []), (Add.PARTIAL, ["a@example.com"])])
async def test_a_contact_named_twice_exists_the_second_time(way: Add, kept: list[str], post: Post) -> None:
    sandbox = holding(add=way)
    reply = await post(sandbox, "contacts/add", contacts=contacts("a@example.com", "A@example.com"))
    assert reply.json()["Error_stack"] == ["Contact with email A@example.com already exists"]
    assert addresses(sandbox) == kept


async def test_a_contact_is_unsubscribed_unless_it_says_otherwise(post: Post) -> None:
    sandbox = holding()
    await post(
        sandbox, "contacts/add", contacts=[{"email": "a@example.com"}, {"email": "b@example.com", "active": True}]
    )
    assert [contact.active for contact in sandbox.lists[DEFAULT_LIST].contacts.values()] == [False, True]
    assert sandbox.lists[DEFAULT_LIST].subscribed == 1


@pytest.mark.parametrize(("sensitive", "added"), [(False, []), (True, ["Ann@example.com"])])
async def test_spelling_in_capitals_may_make_another_contact(
    *,
    sensitive: bool,
    added: list[str],
    post: Post,
) -> None:
    sandbox = holding("ann@example.com", case_sensitive=sensitive)
    await post(sandbox, "contacts/add", contacts=contacts("Ann@example.com"))
    assert addresses(sandbox) == ["ann@example.com", *added]


@pytest.mark.parametrize(
    ("normalisation", "stored"),
    [
        (Normalisation.NONE, None),
        (Normalisation.TRIM_LOWERCASE, "ann+news@example.com"),
        (Normalisation.STRIP_PLUS, "ann@example.com"),
    ],
)
async def test_an_address_is_stored_as_the_server_likes_it(
    normalisation: Normalisation, stored: str | None, post: Post
) -> None:
    sandbox = holding(normalisation=normalisation)
    reply = await post(sandbox, "contacts/add", contacts=contacts(" Ann+News@example.com "))
    assert addresses(sandbox) == ([stored] if stored else [])
    again = await post(sandbox, "contacts/add", contacts=contacts(" Ann+News@example.com "))
    assert ("result" in reply.json(), "result" in again.json()) == (stored is not None, False)


async def test_the_rule_for_addresses_can_change_while_there_are_contacts(post: Post) -> None:
    sandbox = holding("Ann@example.com")
    sandbox.behaviour = Behaviour(case_sensitive=True)
    assert sandbox.lists[DEFAULT_LIST].find("ann@example.com") is None
    await post(sandbox, "contacts/add", contacts=contacts("ann@example.com"))
    with pytest.raises(ValueError, match=r"'Ann@example.com' and 'ann@example.com' .* would be the same contact"):
        sandbox.behaviour = Behaviour()
    assert sandbox.behaviour == Behaviour(case_sensitive=True)
    assert addresses(sandbox) == ["Ann@example.com", "ann@example.com"]


@pytest.mark.parametrize(
    ("unknown", "left", "texts"),
    [
        (RemoveUnknown.OK, ["b@example.com"], None),
        (RemoveUnknown.ERROR, ["b@example.com"], ["Contact nobody@example.com not found!"]),
        (RemoveUnknown.REFUSED, ["a@example.com", "b@example.com"], ["Contact nobody@example.com not found!"]),
    ],
)
async def test_removing_somebody_who_is_not_there(
    unknown: RemoveUnknown, left: list[str], texts: list[str] | None, post: Post
) -> None:
    sandbox = holding("a@example.com", "b@example.com", remove_unknown=unknown)
    reply = await post(sandbox, "contacts/remove", emails=["a@example.com", "nobody@example.com"])
    assert reply.json().get("Error_stack") == texts
    assert addresses(sandbox) == left
    assert sandbox.lists[DEFAULT_LIST].subscribed == len(left)


@pytest.mark.parametrize(
    ("existing", "texts"),
    [
        (ExistingVariable.OK, None),
        (ExistingVariable.ERROR, [f"Variable firstName already exists in list {DEFAULT_LIST}"]),
    ],
)
async def test_adding_a_variable_that_exists(existing: ExistingVariable, texts: list[str] | None, post: Post) -> None:
    sandbox = holding(existing_variable=existing)
    await post(sandbox, "variables/add", variablesMetadata=[{"name": "firstName", "type": "STRING"}])
    metadata = [{"name": "firstName", "type": "DATE"}, {"name": "born", "type": "DATE"}]
    reply = await post(sandbox, "variables/add", variablesMetadata=metadata)
    assert reply.json().get("error_stack") == texts
    assert sandbox.lists[DEFAULT_LIST].variables == {"firstName": "ENUM_STRING", "born": "ENUM_DATE"}


@pytest.mark.parametrize(
    ("empty", "body"),
    [
        (EmptyValue.ACCEPTED, {"result": True}),
        (EmptyValue.ERROR, {"Error_stack": ["Invalid variable type on firstName"], "requestId": "00000002"}),
    ],
)
async def test_an_empty_value_is_a_value_or_an_error(empty: EmptyValue, body: dict[str, object], post: Post) -> None:
    sandbox = holding(empty_value=empty)
    metadata = [{"name": "firstName", "type": "STRING"}, {"name": "born", "type": "DATE"}]
    await post(sandbox, "variables/add", variablesMetadata=metadata)
    variables = [{"name": "firstName", "value": ""}, {"name": "born", "value": ""}]
    reply = await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com", "variables": variables}])
    assert reply.json() == body


async def test_more_contacts_than_the_server_takes_are_refused_together(post: Post) -> None:
    sandbox = holding(max_contacts=2, max_batch=1)
    emails = ["a@example.com", "b@example.com", "c@example.com"]
    added = await post(sandbox, "contacts/add", contacts=contacts(*emails))
    removed = await post(sandbox, "contacts/remove", emails=emails)
    changes = [{"contact": email, "parameters": {"name": "A"}} for email in emails]
    updated = await post(sandbox, "contacts-batch/update", contacts=changes)
    assert added.json()["errors"] == removed.json()["errors"] == ["Current limitation is 2 contacts per request!"]
    assert updated.json() == {"errors": ["Current limitation is 1 contacts per request!"]}
    assert addresses(sandbox) == []


async def test_there_is_no_limit_to_an_add_unless_one_is_set(post: Post) -> None:
    sandbox = holding()
    await post(sandbox, "contacts/add", contacts=contacts(*(f"a{n}@example.com" for n in range(250))))
    assert len(addresses(sandbox)) == 250


async def test_an_unknown_template_may_be_an_error(post: Post) -> None:
    sandbox = holding("a@example.com")
    sandbox.account.templates["hello"] = ()
    sandbox.play("strict-templates")
    for template, sent in (("hello", True), ("bye", False)):
        reply = await post(sandbox, "mailer/send", contact="A@example.com", templateId=template)
        assert ("messageId" in reply.json()) is sent
    assert [(mail.email, mail.template_id) for mail in sandbox.account.messages] == [("a@example.com", "hello")]
