"""How outcomes are told: who is named, which ids, under which keys, in which spelling."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    Add,
    Behaviour,
    ErrorContainer,
    ErrorNaming,
    ErrorShape,
    Ids,
    ListInErrors,
    ResultOnError,
    ResultSpelling,
    Sandbox,
)

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]

FIVE = [f"{name}@example.com" for name in "abcde"]
IDS = [f"5882312a000001000000000{n}" for n in range(1, 6)]


def holding(*emails: str, **behaviour: object) -> Sandbox:
    sandbox = Sandbox(Behaviour(**behaviour))
    sandbox.seed(DEFAULT_LIST, [{"email": email} for email in emails])
    return sandbox


def naming(*emails: str) -> list[dict[str, object]]:
    return [{"contact": email, "parameters": {"active": True}} for email in emails]


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({}, ["Contact with email B@example.com already exists", "Contact with email D@example.com already exists"]),
        (
            {"error_naming": ErrorNaming.LOWERCASED},
            ["Contact with email b@example.com already exists", "Contact with email d@example.com already exists"],
        ),
        ({"error_naming": ErrorNaming.NONE}, ["Contact could not be saved"] * 2),
        (
            {"error_naming": ErrorNaming.WRONG_CONTACT},
            ["Contact with email c@example.com already exists", "Contact with email a@example.com already exists"],
        ),
        ({"error_naming": ErrorNaming.NONE, "errors_merged": True}, ["Contact could not be saved"]),
        ({"errors_limit": 1}, ["Contact with email B@example.com already exists"]),
    ],
)
async def test_an_error_names_whom_the_server_pleases(
    settings: dict[str, object], texts: list[str], post: Post
) -> None:
    sandbox = holding("b@example.com", "d@example.com", add=Add.PARTIAL, **settings)
    emails = ["a@example.com", "B@example.com", "c@example.com", "D@example.com"]
    reply = await post(sandbox, "contacts/add", contacts=[{"email": email} for email in emails])
    assert reply.json()["Error_stack"] == texts
    assert len(sandbox.lists[DEFAULT_LIST].contacts) == 4


async def test_without_another_contact_a_stranger_is_named(post: Post) -> None:
    sandbox = holding(error_naming=ErrorNaming.WRONG_CONTACT)
    reply = await post(sandbox, "contacts/update", contact="a@example.com", parameters={"name": "A"})
    assert reply.json()["Error_stack"] == ["Contact somebody.else@example.com not found!"]


async def test_an_error_that_names_a_variable_is_worded_as_ever(post: Post) -> None:
    sandbox = holding(error_naming=ErrorNaming.NONE)
    variables = [{"name": "shoeSize", "value": "42"}]
    reply = await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com", "variables": variables}])
    assert "Variable name shoeSize not found" in reply.json()["Error_stack"][0]


@pytest.mark.parametrize(("word", "name"), [(ListInErrors.ID, DEFAULT_LIST), (ListInErrors.WORD, "listId")])
async def test_a_batch_names_the_list_or_says_list_id(word: ListInErrors, name: str, post: Post) -> None:
    reply = await post(holding(list_in_errors=word), "contacts-batch/update", contacts=naming("a@example.com"))
    assert reply.json()["errors"] == [f"Unable to find email a@example.com in email list {name}"]


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (Ids.ORDERED, IDS),
        (Ids.SHORT, IDS[:4]),
        (Ids.LONG, [*IDS, "0badc0de0000000100000000"]),
        (Ids.DUPLICATED, [*IDS[:4], IDS[0]]),
        (Ids.UNKNOWN, [f"0badc0de000000010000000{n}" for n in range(5)]),
    ],
)
async def test_the_ids_in_a_batchs_answer(ids: Ids, told: list[str], post: Post) -> None:
    reply = await post(holding(*FIVE, ids=ids), "contacts-batch/update", contacts=naming(*FIVE))
    assert reply.json() == {"result": True, "updated": told, "errors": []}


async def test_shuffled_ids_are_the_same_ids_in_another_order(post: Post) -> None:
    emails = [f"a{n}@example.com" for n in range(50)]
    sandbox = holding(*emails, ids=Ids.SHUFFLED)
    updated = (await post(sandbox, "contacts-batch/update", contacts=naming(*emails))).json()["updated"]
    ids = list(sandbox.lists[DEFAULT_LIST].contacts)
    assert sorted(updated) == ids
    assert updated != ids


@pytest.mark.parametrize("ids", Ids)
async def test_a_batch_that_changed_nobody_can_be_told_in_every_way(ids: Ids, post: Post) -> None:
    reply = await post(holding(ids=ids), "contacts-batch/update", contacts=naming("a@example.com"))
    assert len(reply.json()["updated"]) == (ids is Ids.LONG)


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({}, {"Error_stack": ["no", "no"], "requestId": "00000001"}),
        ({"error_container": ErrorContainer.ERROR_STACK}, {"error_stack": ["no", "no"], "requestId": "00000001"}),
        ({"error_container": ErrorContainer.ERROR_STACK_TITLE}, {"Error_stack": ["no", "no"], "requestId": "00000001"}),
        ({"error_container": ErrorContainer.ERRORS}, {"errors": ["no", "no"], "requestId": "00000001"}),
        ({"error_container": ErrorContainer.ERROR}, {"error": ["no", "no"], "requestId": "00000001"}),
        ({"error_shape": ErrorShape.STRING}, {"Error_stack": "no, no", "requestId": "00000001"}),
        (
            {"result_on_error": ResultOnError.FALSE},
            {"result": False, "Error_stack": ["no", "no"], "requestId": "00000001"},
        ),
        (
            {"result_on_error": ResultOnError.FALSE, "result": ResultSpelling.NUMBER},
            {"result": 0, "Error_stack": ["no", "no"], "requestId": "00000001"},
        ),
        (
            {"result_on_error": ResultOnError.FALSE, "result": ResultSpelling.STRING},
            {"result": "false", "Error_stack": ["no", "no"], "requestId": "00000001"},
        ),
    ],
)
async def test_a_failure_in_every_envelope(settings: dict[str, object], body: dict[str, object], post: Post) -> None:
    sandbox = holding("a@example.com", "b@example.com", error_naming=ErrorNaming.NONE, **settings)
    reply = await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com"}, {"email": "b@example.com"}])
    told = reply.text.replace("Contact could not be saved", "no")
    assert httpx.Response(200, text=told).json() == body


@pytest.mark.parametrize(
    ("spelling", "yes"), [(ResultSpelling.BOOLEAN, True), (ResultSpelling.NUMBER, 1), (ResultSpelling.STRING, "true")]
)
async def test_yes_in_every_spelling(spelling: ResultSpelling, yes: object, post: Post) -> None:
    sandbox = holding("a@example.com", result=spelling)
    added = (await post(sandbox, "contacts/add", contacts=[{"email": "b@example.com"}])).json()
    batch = (await post(sandbox, "contacts-batch/update", contacts=naming("a@example.com"))).json()
    assert (added, batch) == ({"result": yes}, {"result": yes, "updated": IDS[:1], "errors": []})
    assert type(added["result"]) is type(yes)


async def test_the_errors_of_a_batch_may_be_one_text(post: Post) -> None:
    sandbox = holding("a@example.com", error_shape=ErrorShape.STRING, error_naming=ErrorNaming.NONE)
    changes = naming("a@example.com", "b@example.com", "c@example.com")
    reply = (await post(sandbox, "contacts-batch/update", contacts=changes)).json()
    assert reply == {
        "result": True,
        "updated": IDS[:1],
        "errors": "Contact could not be saved, Contact could not be saved",
    }


async def test_refusals_may_have_http_statuses_of_their_own(post: Post) -> None:
    sandbox = holding(error_status=400, auth_status=401)
    refused = await post(sandbox, "contacts/remove")
    unauthorized = await post(sandbox, "contacts/remove", token="wrong-token")
    batch = await post(sandbox, "contacts-batch/update", contacts=naming("nobody@example.com"))
    assert [refused.status_code, unauthorized.status_code, batch.status_code] == [400, 401, 200]


async def test_applied_but_reported_failed_says_so_when_all_was_good(post: Post) -> None:
    sandbox = holding(add=Add.APPLIED_BUT_REPORTED_FAILED)
    reply = await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com"}])
    assert reply.json()["Error_stack"] == ["An error occurred while processing your request"]
    assert (await post(sandbox, "contacts/remove", emails=["a@example.com"])).json() == {"result": True}


@pytest.mark.parametrize(
    ("endpoint", "arguments", "body"),
    [
        ("contacts/add", {"contacts": [{"email": "new@example.com"}]}, {"result": True}),
        ("contacts/remove", {"emails": ["a@example.com"]}, {"result": True}),
        ("contacts/update", {"contact": "a@example.com", "parameters": {"name": "A"}}, {"result": True}),
        (
            "contacts-batch/update",
            {"contacts": naming("a@example.com", "nobody@example.com")},
            {"result": True, "updated": [IDS[0], "0badc0de0000000100000001"], "errors": []},
        ),
        ("variables/add", {"variablesMetadata": [{"name": "a", "type": "DATE"}]}, {"result": True}),
        (
            "mailer/send",
            {"contact": "a@example.com", "templateId": "hello"},
            {"result": True, "messageId": "000000000000000000000001", "error": None},
        ),
    ],
)
async def test_a_liar_says_yes_and_does_nothing(
    endpoint: str, arguments: dict[str, object], body: dict[str, object], post: Post
) -> None:
    sandbox = holding("a@example.com", lying=1.0)
    contacts = sandbox.lists[DEFAULT_LIST]
    before = [repr(contact) for contact in contacts.contacts.values()]
    assert (await post(sandbox, endpoint, **arguments)).json() == body
    assert [repr(contact) for contact in contacts.contacts.values()] == before
    assert (contacts.variables, sandbox.account.messages, sandbox.log[0].applied) == ({}, [], 0)


async def test_an_occasional_liar_lies_now_and_then(post: Post) -> None:
    sandbox = holding(lying=0.5)
    for n in range(40):
        reply = await post(sandbox, "contacts/add", contacts=[{"email": f"a{n}@example.com"}])
        assert reply.json() == {"result": True}
    assert 10 < len(sandbox.lists[DEFAULT_LIST].contacts) < 30
