"""What happens to the account at a certain request: the token, the list or a variable goes."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import DEFAULT_LIST, Behaviour, Fault, Sandbox, Status

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]


async def add(post: Post, sandbox: Sandbox, email: str, **more: object) -> list[str] | None:
    """The errors of adding one contact; None if it was added."""
    reply = (await post(sandbox, "contacts/add", contacts=[{"email": email}], **more)).json()
    return None if reply == {"result": True} else reply.get("errors") or reply["Error_stack"]


async def test_a_token_is_revoked_and_another_one_is_taken(post: Post) -> None:
    sandbox = Sandbox(Behaviour(revoke_token_at=2), tokens=["next-token"])
    gone = ["API Key sandbox-token does not exist."]
    assert await add(post, sandbox, "a@example.com") is None
    assert await add(post, sandbox, "b@example.com") == gone
    assert await add(post, sandbox, "b@example.com", token="next-token") is None
    assert await add(post, sandbox, "c@example.com") == gone


async def test_a_list_is_deleted_and_can_be_made_again(post: Post) -> None:
    sandbox = Sandbox(Behaviour(delete_list_at=2))
    assert await add(post, sandbox, "a@example.com") is None
    assert await add(post, sandbox, "b@example.com") == [f"Email list with id {DEFAULT_LIST} not found"]
    sandbox.create_list(DEFAULT_LIST, "Once more")
    assert await add(post, sandbox, "b@example.com") is None


@pytest.mark.parametrize(("settings", "left"), [({}, ["city"]), ({"drop_variable": "city"}, ["firstName"])])
async def test_a_variable_is_dropped_from_the_list_and_its_contacts(
    settings: dict[str, object], left: list[str], post: Post
) -> None:
    sandbox = Sandbox(Behaviour(drop_variable_at=1, **settings))
    ann = {"email": "ann@example.com", "variables": {"firstName": "Ann", "city": "Kyiv"}}
    sandbox.seed(DEFAULT_LIST, [ann, {"email": "bob@example.com"}])
    for email in ("a@example.com", "b@example.com"):
        assert await add(post, sandbox, email) is None
    contacts = sandbox.lists[DEFAULT_LIST]
    assert list(contacts.variables) == list(contacts.find("ann@example.com").variables) == left


async def test_what_is_due_waits_for_a_request_that_gets_through(post: Post) -> None:
    sandbox = Sandbox(Behaviour(revoke_token_at=1), [Fault(what=Status(503))])
    assert (await post(sandbox, "contacts/add", contacts=[{"email": "a@example.com"}])).status_code == 503
    assert await add(post, sandbox, "a@example.com") == ["API Key sandbox-token does not exist."]
