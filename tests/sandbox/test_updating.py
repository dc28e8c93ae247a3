"""contacts/update and contacts-batch/update, with what the page leaves open about them."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from syncengine.sandbox import (
    DEFAULT_LIST,
    Behaviour,
    Contact,
    OmittedActive,
    RenameCollision,
    RenameOrder,
    Sandbox,
    Update,
)

pytestmark = pytest.mark.anyio

Post = Callable[..., Awaitable[httpx.Response]]


def holding(*emails: str, **behaviour: object) -> Sandbox:
    """Each contact's name is the part before the @."""
    sandbox = Sandbox(Behaviour(**behaviour))
    sandbox.seed(DEFAULT_LIST, [{"email": email, "name": email.partition("@")[0]} for email in emails])
    return sandbox


def find(sandbox: Sandbox, email: str) -> Contact | None:
    return sandbox.lists[DEFAULT_LIST].find(email)


def names(sandbox: Sandbox) -> dict[str, str]:
    """Who is behind which address."""
    return {contact.email: contact.name for contact in sandbox.lists[DEFAULT_LIST].contacts.values()}


def renames(*pairs: tuple[str, str]) -> list[dict[str, object]]:
    return [
        {"contact": f"{a}@example.com", "parameters": {"email": f"{b}@example.com", "active": True}} for a, b in pairs
    ]


@pytest.mark.parametrize(
    ("update", "name", "variables"),
    [
        (Update.MERGES, "Ann", {"firstName": "Ann", "lastName": "Lee", "city": "Kyiv"}),
        (Update.REPLACES, "", {"lastName": "Lee", "city": "Kyiv"}),
    ],
)
@pytest.mark.parametrize("endpoint", ["contacts/update", "contacts-batch/update"])
async def test_an_update_keeps_or_erases_what_it_does_not_mention(
    endpoint: str, update: Update, name: str, variables: dict[str, str], post: Post
) -> None:
    sandbox = Sandbox(Behaviour(update=update))
    ann = {"email": "ann@example.com", "name": "Ann", "variables": {"firstName": "Ann", "lastName": "Ray"}}
    sandbox.seed(DEFAULT_LIST, [ann, {"email": "bob@example.com", "variables": {"city": "Rome"}}])
    given = [{"name": "lastName", "value": "Lee"}, {"name": "city", "value": "Kyiv"}]
    change = {"contact": "ann@example.com", "parameters": {"active": True, "variables": given}}
    await post(sandbox, endpoint, **(change if endpoint == "contacts/update" else {"contacts": [change]}))
    contact = find(sandbox, "ann@example.com")
    assert (contact.name, contact.active, contact.variables) == (name, True, variables)
    assert (contact.created, contact.updated, contact.updates) == (0, 1, 1)


@pytest.mark.parametrize(("omitted", "active"), [(OmittedActive.UNSUBSCRIBES, False), (OmittedActive.KEEPS, True)])
async def test_an_update_without_active_unsubscribes_as_documented(
    *,
    omitted: OmittedActive,
    active: bool,
    post: Post,
) -> None:
    sandbox = holding("ann@example.com", omitted_active=omitted)
    await post(sandbox, "contacts/update", contact="ann@example.com", parameters={"name": "Anna"})
    assert find(sandbox, "ann@example.com").active is active
    assert sandbox.lists[DEFAULT_LIST].subscribed == active


async def test_an_address_is_found_in_any_case_and_answered_as_it_was_sent(post: Post) -> None:
    sandbox = holding("ann@example.com")
    changes = [
        {"contact": "ANN@example.com", "parameters": {"name": "A"}},
        {"contact": "BOB@example.com", "parameters": {"name": "B"}},
    ]
    reply = await post(sandbox, "contacts-batch/update", contacts=changes)
    assert reply.json()["errors"] == [f"Unable to find email BOB@example.com in email list {DEFAULT_LIST}"]


async def test_a_rename_keeps_the_contact_and_frees_its_address(post: Post) -> None:
    sandbox = holding("ann@example.com")
    contact = find(sandbox, "ann@example.com")
    reply = await post(sandbox, "contacts-batch/update", contacts=renames(("ann", "lee")))
    assert reply.json()["updated"] == [contact.id]
    assert find(sandbox, "lee@example.com") is contact
    assert (await post(sandbox, "contacts/add", contacts=[{"email": "ann@example.com"}])).json() == {"result": True}


async def test_a_rename_to_another_spelling_of_itself_is_no_collision(post: Post) -> None:
    sandbox = holding("ann@example.com")
    change = {"contact": "ann@example.com", "parameters": {"email": "Ann@Example.com", "active": True}}
    assert (await post(sandbox, "contacts/update", **change)).json() == {"result": True}
    assert names(sandbox) == {"Ann@Example.com": "ann"}
    assert len(sandbox.lists[DEFAULT_LIST].history("ann@example.com")) == 1


@pytest.mark.parametrize(
    ("collision", "left", "survivor"),
    [
        (RenameCollision.ERROR, {"ann@example.com": "ann", "bob@example.com": "bob"}, None),
        (RenameCollision.MERGE, {"bob@example.com": "ann"}, "5882312a0000010000000002"),
        (RenameCollision.OVERWRITE, {"bob@example.com": "ann"}, "5882312a0000010000000001"),
    ],
)
@pytest.mark.parametrize("order", RenameOrder)
async def test_a_rename_onto_somebody_else(
    order: RenameOrder, collision: RenameCollision, left: dict[str, str], survivor: str | None, post: Post
) -> None:
    sandbox = holding("ann@example.com", "bob@example.com", rename_collision=collision, rename_order=order)
    reply = (await post(sandbox, "contacts-batch/update", contacts=renames(("ann", "bob")))).json()
    if survivor is None:
        assert (reply["updated"], reply["errors"]) == ([], ["Contact with email bob@example.com already exists"])
    else:
        assert (reply["updated"], reply["errors"]) == ([survivor], [])
    assert names(sandbox) == left
    assert sandbox.lists[DEFAULT_LIST].subscribed == len(left)


async def test_a_merge_keeps_the_variables_of_both(post: Post) -> None:
    sandbox = Sandbox(Behaviour(rename_collision=RenameCollision.MERGE))
    ann = {"email": "ann@example.com", "variables": {"firstName": "Ann", "city": "Kyiv"}}
    sandbox.seed(DEFAULT_LIST, [ann, {"email": "bob@example.com", "variables": {"city": "Rome", "shoeSize": "42"}}])
    await post(sandbox, "contacts/update", **renames(("ann", "bob"))[0])
    assert find(sandbox, "bob@example.com").variables == {"city": "Kyiv", "shoeSize": "42", "firstName": "Ann"}


CHAIN = (("a", "b"), ("b", "c"))
SWAP = (("a", "b"), ("b", "a"))
TAIL_FIRST = (("b", "c"), ("a", "b"))


@pytest.mark.parametrize(
    ("order", "pairs", "left", "refused"),
    [
        (RenameOrder.SEQUENTIAL, CHAIN, {"a": "a", "c": "b"}, ["b"]),
        (RenameOrder.SEQUENTIAL, TAIL_FIRST, {"b": "a", "c": "b"}, []),
        (RenameOrder.SEQUENTIAL, SWAP, {"a": "a", "b": "b"}, ["b", "a"]),
        (RenameOrder.REVERSED, CHAIN, {"b": "a", "c": "b"}, []),
        (RenameOrder.REVERSED, TAIL_FIRST, {"a": "a", "c": "b"}, ["b"]),
        (RenameOrder.SNAPSHOT, CHAIN, {"b": "a", "c": "b"}, []),
        (RenameOrder.SNAPSHOT, TAIL_FIRST, {"b": "a", "c": "b"}, []),
        (RenameOrder.SNAPSHOT, SWAP, {"b": "a", "a": "b"}, []),
    ],
)
async def test_the_renames_of_one_batch_see_each_other_or_not(
    order: RenameOrder, pairs: tuple[tuple[str, str], ...], left: dict[str, str], refused: list[str], post: Post
) -> None:
    sandbox = holding("a@example.com", "b@example.com", rename_order=order)
    reply = (await post(sandbox, "contacts-batch/update", contacts=renames(*pairs))).json()
    assert reply["errors"] == [f"Contact with email {name}@example.com already exists" for name in refused]
    assert names(sandbox) == {f"{address}@example.com": name for address, name in left.items()}


async def test_at_once_whoever_cannot_move_blocks_whoever_wants_their_place(post: Post) -> None:
    sandbox = holding(*(f"{name}@example.com" for name in "abcd"), rename_order=RenameOrder.SNAPSHOT)
    pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "d")]
    reply = (await post(sandbox, "contacts-batch/update", contacts=renames(*pairs))).json()
    assert reply["errors"] == [f"Contact with email {name}@example.com already exists" for name in "bcd"]
    assert len(reply["updated"]) == 1
    assert names(sandbox) == {f"{name}@example.com": name for name in "abcd"}


async def test_at_once_two_cannot_move_to_one_address(post: Post) -> None:
    sandbox = holding("a@example.com", "b@example.com", rename_order=RenameOrder.SNAPSHOT)
    reply = (await post(sandbox, "contacts-batch/update", contacts=renames(("a", "c"), ("b", "c")))).json()
    assert (len(reply["updated"]), reply["errors"]) == (1, ["Contact with email c@example.com already exists"])
    assert names(sandbox) == {"c@example.com": "a", "b@example.com": "b"}


async def test_at_once_somebody_overwritten_earlier_in_the_batch_is_not_found(post: Post) -> None:
    behaviour = {"rename_order": RenameOrder.SNAPSHOT, "rename_collision": RenameCollision.OVERWRITE}
    sandbox = holding("a@example.com", "b@example.com", **behaviour)
    changes = [*renames(("a", "b")), {"contact": "b@example.com", "parameters": {"name": "late", "active": True}}]
    reply = (await post(sandbox, "contacts-batch/update", contacts=changes)).json()
    assert (len(reply["updated"]), reply["errors"]) == (1, ["Contact b@example.com not found!"])
    assert names(sandbox) == {"b@example.com": "a"}
    assert sandbox.lists[DEFAULT_LIST].subscribed == 1


async def test_at_once_those_who_are_not_found_stay_out_of_it(post: Post) -> None:
    sandbox = holding("a@example.com", rename_order=RenameOrder.SNAPSHOT)
    reply = (await post(sandbox, "contacts-batch/update", contacts=renames(("z", "a"), ("a", "b")))).json()
    assert reply["errors"] == [f"Unable to find email z@example.com in email list {DEFAULT_LIST}"]
    assert names(sandbox) == {"b@example.com": "a"}


async def test_at_once_a_contact_that_moves_twice_ends_at_the_last_address(post: Post) -> None:
    sandbox = holding("a@example.com", rename_order=RenameOrder.SNAPSHOT)
    reply = (await post(sandbox, "contacts-batch/update", contacts=renames(("a", "b"), ("a", "c")))).json()
    assert (len(reply["updated"]), reply["errors"]) == (2, [])
    assert names(sandbox) == {"c@example.com": "a"}


async def test_a_contact_named_twice_in_a_batch_is_updated_twice(post: Post) -> None:
    sandbox = holding("a@example.com")
    changes = [{"contact": "a@example.com", "parameters": {"name": name, "active": True}} for name in ("one", "two")]
    reply = (await post(sandbox, "contacts-batch/update", contacts=changes)).json()
    assert (len(reply["updated"]), find(sandbox, "a@example.com").name) == (2, "two")
