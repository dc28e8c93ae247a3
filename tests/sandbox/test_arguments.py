"""How arguments are checked: before anything happens, first fault first, one text for the whole request."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, BatchFault, Behaviour, Sandbox, Unknown, VariableType

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]


def with_variables() -> Sandbox:
    sandbox = Sandbox()
    sandbox.lists[DEFAULT_LIST].add_variable("firstName", VariableType.STRING)
    sandbox.lists[DEFAULT_LIST].add_variable("born", VariableType.DATE)
    return sandbox


async def told(post: Post, endpoint: str, sandbox: Sandbox | None = None, **arguments: object) -> str:
    (text,) = next(iter((await post(sandbox or with_variables(), endpoint, **arguments)).json().values()))
    return text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{'emailListId': 'single quotes, as the page has them'}",
        b'{"emailListId": NaN}',
        b'{"emailListId": "half of a pair \\ud83d"}',
        b'\xff\xfe{"emailListId": "x"}',
        b"[" * 100_000,
        b'{"emailListId": ' + b"9" * 5_000 + b"}",
    ],
    ids=["empty", "array", "quotes", "NaN", "surrogate", "bytes", "deep", "digits"],
)
async def test_a_body_that_is_no_json_object_has_no_arguments(content: bytes, post: Post) -> None:
    reply = await post(Sandbox(), "contacts/add", content=content)
    assert reply.json()["Error_stack"] == ['Require "emailListId, contacts" arguments to query "addContactToEmailList"']


async def test_characters_written_as_surrogate_pairs_are_kept(post: Post) -> None:
    sandbox = with_variables()
    content = b'{"emailListId": "%s", "contacts": [{"email": "a@example.com", "name": "\\ud83d\\ude00"}]}'
    assert (await post(sandbox, "contacts/add", content=content % DEFAULT_LIST.encode())).json() == {"result": True}
    assert sandbox.lists[DEFAULT_LIST].find("a@example.com").name == "😀"


async def test_all_missing_arguments_are_told_in_one_text(post: Post) -> None:
    text = await told(post, "contacts/update", emailListId=None)
    assert text == 'Require "emailListId, contact, parameters" arguments to query "updateContact"'


async def test_a_wrong_type_comes_before_a_missing_argument(post: Post) -> None:
    text = await told(post, "contacts/add", emailListId=None, contacts="a@example.com")
    assert text == 'Not valid type for argument "contacts" in query "addContactToEmailList"'


async def test_a_key_that_is_not_allowed_comes_before_a_wrong_type_further_up(post: Post) -> None:
    text = await told(post, "contacts/add", contacts=[{"email": ""}, {"email": "a@example.com", "phone": "1"}])
    assert text == 'Invalid field "phone" on ContactInput'


@pytest.mark.parametrize(
    ("endpoint", "arguments", "text"),
    [
        ("contacts/add", {"contacts": [{"email": "a@example.com", "id": 1}]}, 'Invalid field "id" on ContactInput'),
        (
            "contacts/add",
            {"contacts": [{"email": "a@example.com", "variables": [{"name": "born", "value": "", "type": "DATE"}]}]},
            'Invalid field "type" on VariableHolderInput',
        ),
        (
            "contacts/update",
            {"contact": "a@example.com", "parameters": {"phone": 1}},
            'Invalid field "phone" on ContactParametersInput',
        ),
        (
            "contacts-batch/update",
            {"contacts": [{"contact": "a@example.com", "parameters": {"name": "A"}, "active": True}]},
            'Invalid field "active" on ContactBatchInput',
        ),
        (
            "variables/add",
            {"variablesMetadata": [{"name": "a", "type": "DATE", "title": "A"}]},
            'Invalid field "title" on VariableMetadataInput',
        ),
        (
            "variables/add",
            {"variablesMetadata": ["firstName"]},
            'Not valid type for argument "variablesMetadata" in query "addVariablesMetadata"',
        ),
        (
            "contacts/update",
            {"contact": "a@example.com", "parameters": {"variables": ["firstName"]}},
            'Not valid type for argument "parameters" in query "updateContact"',
        ),
        (
            "contacts/update",
            {"contact": "a@example.com", "parameters": ["name"]},
            'Not valid type for argument "parameters" in query "updateContact"',
        ),
        (
            "mailer/send",
            {"contact": {"email": "a@example.com"}, "templateId": "hello"},
            'Not valid type for argument "contact" in query "triggerSubscription"',
        ),
        (
            "contacts/add",
            {"contacts": [{"email": "a@example.com"}], "upsert": True},
            'Unknown argument "upsert" on field "addContactToEmailList"',
        ),
    ],
)
async def test_what_an_input_type_does_not_have_is_told(
    endpoint: str, arguments: dict[str, object], text: str, post: Post
) -> None:
    assert await told(post, endpoint, **arguments) == text


async def test_unknown_arguments_can_be_ignored(post: Post) -> None:
    sandbox = Sandbox(Behaviour(unknown_argument=Unknown.IGNORED))
    reply = await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com"}], upsert=True)
    assert reply.json() == {"result": True}


@pytest.mark.parametrize("active", ["true", 1, 0, "", [], {}])
async def test_a_boolean_is_nothing_but_true_or_false(active: object, post: Post) -> None:
    text = await told(post, "contacts/add", contacts=[{"email": "a@example.com", "active": active}])
    assert text == 'Not valid type for argument "contacts" in query "addContactToEmailList"'


@pytest.mark.parametrize(
    "contact",
    [
        "a@example.com",
        {"email": ["a@example.com"]},
        {"email": 5},
        {"email": "two words@example.com"},
        {"email": " blank@example.com"},
        {"email": "a@localhost"},
        {"email": "a@example.com", "name": ["A"]},
        {"email": "a@example.com", "variables": {"firstName": "A"}},
        {"email": "a@example.com", "variables": "firstName"},
        {"email": "a@example.com", "variables": ["firstName"]},
        {"email": "a@example.com", "variables": [{"name": "firstName", "value": {"de": "A"}}]},
        {"email": "a@example.com", "variables": [{"name": ["firstName"], "value": "A"}]},
    ],
)
async def test_one_contact_of_a_wrong_type_refuses_them_all(contact: object, post: Post) -> None:
    sandbox = with_variables()
    text = await told(post, "contacts/add", sandbox, contacts=[{"email": "good@example.com"}, contact])
    assert text == 'Not valid type for argument "contacts" in query "addContactToEmailList"'
    assert not sandbox.lists[DEFAULT_LIST].contacts


@pytest.mark.parametrize("email", ["o'neil@example.com", '"two words"@example.com', "grüße@bücher.example.com"])
async def test_unusual_addresses_are_addresses(email: str, post: Post) -> None:
    sandbox = Sandbox()
    assert (await post(sandbox, "contacts/add", contacts=[{"email": email}])).json() == {"result": True}
    assert sandbox.lists[DEFAULT_LIST].find(email).email == email


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (1.5, "1.5"), (2.0, "2"), (True, "true"), (False, "false"), ("", ""), ("ß'\"\n", "ß'\"\n")],
)
async def test_a_scalar_is_stored_as_php_writes_it(value: object, text: str, post: Post) -> None:
    sandbox = with_variables()
    variables = [{"name": "firstName", "value": value}]
    await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com", "name": value, "variables": variables}])
    contact = sandbox.lists[DEFAULT_LIST].find("a@example.com")
    assert (contact.name, contact.variables) == (text, {"firstName": text})


async def test_null_is_the_same_as_left_out(post: Post) -> None:
    sandbox = with_variables()
    contact = {"email": "a@example.com", "name": None, "active": None, "variables": None}
    assert (await post(sandbox, "contacts/add", contacts=[contact])).json() == {"result": True}
    stored = sandbox.lists[DEFAULT_LIST].find("a@example.com")
    assert (stored.name, stored.active, stored.variables) == ("", False, {})


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("2016-12-31", True),
        ("2016-02-29", True),
        ("2015-02-29", False),
        ("2016-12-31T00:00:00", False),
        ("20161231", False),
        ("2016-W52-6", False),
        ("31.12.2016", False),
        ("0000-00-00", False),
        (" 2016-12-31", False),
    ],
)
async def test_a_date_is_in_the_calendar_and_in_iso_form(*, value: str, accepted: bool, post: Post) -> None:
    sandbox = with_variables()
    variables = [{"name": "firstName", "value": value}, {"name": "born", "value": value}]
    await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com", "variables": variables}])
    assert len(sandbox.lists[DEFAULT_LIST].contacts) == accepted


@pytest.mark.parametrize("kind", ["STRING", "ENUM_STRING", "DATE", "ENUM_DATE"])
async def test_both_spellings_of_a_variable_type_are_taken(kind: str, post: Post) -> None:
    sandbox = Sandbox()
    await post(sandbox, "variables/add", variablesMetadata=[{"name": "shoeSize", "type": kind}])
    assert sandbox.lists[DEFAULT_LIST].variables == {"shoeSize": f"ENUM_{kind.removeprefix('ENUM_')}"}


@pytest.mark.parametrize(
    ("name", "strict", "with_digits"),
    [
        ("foo", True, True),
        ("fooBar", True, True),
        ("foo1", False, True),
        ("Foo", False, False),
        ("foo_bar", False, False),
        ("füße", False, False),
        ("1foo", False, False),
    ],
)
async def test_names_of_variables_are_lower_camel_case(
    *,
    name: str,
    strict: bool,
    with_digits: bool,
    post: Post,
) -> None:
    for behaviour, accepted in ((Behaviour(), strict), (Behaviour(variable_digits=True), with_digits)):
        sandbox = Sandbox(behaviour)
        await post(sandbox, "variables/add", variablesMetadata=[{"name": name, "type": "STRING"}])
        assert list(sandbox.lists[DEFAULT_LIST].variables) == [name] * accepted


async def test_the_arguments_of_one_contact_refuse_the_batch_or_only_itself(post: Post) -> None:
    changes = [
        {"contact": "a@example.com", "parameters": {"name": "A"}},
        {"contact": "b@example.com"},
        {"contact": "", "parameters": None},
        "c@example.com",
    ]
    for fault, names, body in (
        (
            BatchFault.REQUEST,
            ["", ""],
            {"error_stack": ['Require "parameters" arguments to query "updateContact"']},
        ),
        (
            BatchFault.CONTACT,
            ["A", ""],
            {
                "result": True,
                "updated": ["5882312a0000010000000001"],
                "errors": [
                    'Require "parameters" arguments to query "updateContact"',
                    'Require "contact, parameters" arguments to query "updateContact"',
                    'Not valid type for argument "contacts" in query "updateContact"',
                ],
            },
        ),
    ):
        sandbox = Sandbox(Behaviour(batch_fault=fault))
        sandbox.seed(DEFAULT_LIST, [{"email": "a@example.com"}, {"email": "b@example.com"}])
        assert (await post(sandbox, "contacts-batch/update", contacts=changes)).json() == body
        assert [contact.name for contact in sandbox.lists[DEFAULT_LIST].contacts.values()] == names
