"""Renames that fail: nobody takes the place of a contact who has not left it, and nobody becomes two or one."""

from typing import TYPE_CHECKING

import pytest

from syncengine.model import Consent, Mode, Op
from syncengine.sandbox.account import Act
from syncengine.sandbox.behaviour import Behaviour, RenameCollision, RenameOrder
from syncengine.sandbox.faults import Drop, Fault, When
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World


def crm(**addresses: str) -> list["Row"]:
    """id → address."""
    return [
        {"id": key, "email": f"{address}@example.com", "active": "yes", "name": key}
        for key, address in addresses.items()
    ]


def on_list(world: "World") -> dict[str, str]:
    """Address → name of the contact who has it."""
    return {one.email.removesuffix("@example.com"): one.name for one in world.contacts.contacts.values()}


@pytest.mark.parametrize("order", RenameOrder)
def test_who_wants_an_address_that_did_not_become_free_waits_for_it(make: "Make", order: RenameOrder) -> None:
    """`c` is a stranger's: y can't move there, so x can't take the place of y, and the newcomer not that of x."""
    world = make(behaviour=Behaviour(rename_order=order), key="id")
    world.sync(crm(x="a", y="b"))
    world.seed({"email": "c@example.com", "name": "stranger"})

    ended = world.sync(crm(x="b", y="c", new="a"))

    assert on_list(world) == {"a": "x", "b": "y", "c": "stranger"}
    assert (ended.report.rejected, ended.report.unresolved) == (1, 2)
    assert world.told(ended, "unresolved") == {"x", "new"}

    world.sandbox.act(world.contacts.id, world.holds("c@example.com").id, Act.REMOVE)
    world.state.drop_refusals()
    report = world.sync(list(reversed(crm(x="b", y="c", new="a")))).report
    assert (report.confirmed[Op.RENAME], report.confirmed[Op.ADD]) == (2, 1)
    assert on_list(world) == {"a": "new", "b": "x", "c": "y"}


def test_an_address_that_became_free_for_one_is_taken_though_another_waits(make: "Make") -> None:
    world = make(key="id")
    world.sync(crm(x="a", y="b", z="d"))
    world.seed({"email": "c@example.com", "name": "stranger"})

    report = world.sync(crm(x="b", y="c", z="e", new="d")).report

    assert (report.confirmed[Op.RENAME], report.confirmed[Op.ADD]) == (1, 1)
    assert on_list(world) == {"a": "x", "b": "y", "c": "stranger", "e": "z", "d": "new"}


@pytest.mark.parametrize("consent", Consent)
def test_a_rename_whose_answer_was_lost_with_its_plan_makes_one_contact(make: "Make", consent: Consent) -> None:
    """Carried out, not answered, and the plan dropped: the next one finds nobody at the old address."""
    world = make(key="id", consent=consent)
    world.sync(crm(x="a", y="b"))
    world.sandbox.faults.add(Fault(what=Drop(), when=When.AFTER_APPLY, times=1))
    world.sync(crm(x="new", y="b"), pace=Pace(concurrency=1, max_requests=1))
    assert on_list(world) == {"new": "x", "b": "y"}

    report = world.sync(crm(x="new", y="b"), fresh=True).report

    assert (report.confirmed[Op.RENAME], report.rejected, on_list(world)) == (1, 0, {"new": "x", "b": "y"})
    world.assert_sound(report, 2)


def test_under_keep_a_stranger_at_the_new_address_is_not_subscribed(make: "Make") -> None:
    world = make(key="id", consent=Consent.KEEP)
    world.sync(crm(x="a"))
    world.sandbox.act(world.contacts.id, world.holds("a@example.com").id, Act.REMOVE)
    world.seed({"email": "new@example.com", "name": "stranger", "active": False})

    report = world.sync(crm(x="new")).report

    assert (report.rejected, world.holds("new@example.com").active, world.holds("new@example.com").name) == (
        1, False, "stranger",
    )  # fmt: skip


@pytest.mark.parametrize("collision", RenameCollision)
@pytest.mark.parametrize("between", ["nothing", "another mode", "retry", "another key"])
def test_under_keep_nobody_is_renamed_to_where_an_add_found_somebody(
    make: "Make", collision: RenameCollision, between: str
) -> None:
    """The new contact left the source and another one took its address: a service that merges would subscribe them."""
    behaviour = Behaviour(rename_collision=collision)
    world = make(key=None if between == "another key" else "id", consent=Consent.KEEP, behaviour=behaviour)
    world.seed({"email": "new@example.com", "name": "stranger", "active": False})
    assert world.sync(crm(x="a", y="new")).report.unresolved == 1
    seen = world.state.seen("trial")
    assert seen is not None
    assert seen.clean  # the same file again has nothing to send
    match between:
        case "another mode":
            world.mode = Mode.MIRROR
        case "retry":
            world.state.drop_refusals()
        case "another key":
            world.key = "id"
            world.sync(crm(x="a"))

    report = world.sync(crm(x="new", z="c")).report

    assert (report.held_by_code, report.confirmed[Op.ADD]) == ({"consent-unknown": 1}, 1)
    assert (on_list(world), world.contacts.resubscribed) == ({"a": "x", "new": "stranger", "c": "z"}, {})


@pytest.mark.parametrize("consent", Consent)
@pytest.mark.parametrize("later", [False, True])
def test_an_address_somebody_off_has_left_is_nobody_else_s_to_be_subscribed_at(
    make: "Make", consent: Consent, *, later: bool
) -> None:
    """Under keep; by a new contact or by a rename, in the run that frees the address or in one after it."""
    world = make(key="id", consent=consent)
    world.sync([*crm(y="d"), {**crm(x="a")[0], "active": "no"}, {**crm(u="e")[0], "active": "no"}])
    if later:
        world.sync(crm(x="b", y="d", u="f"))

    report = world.sync(crm(x="b", u="f", new="a", y="e")).report

    taken = {one.email[0] for one in world.contacts.contacts.values() if one.active} & {"a", "e"}
    assert taken == (set() if consent is Consent.KEEP else {"a", "e"})
    assert (world.contacts.resubscribed == {}) is (consent is Consent.KEEP)
    if consent is Consent.KEEP:
        assert report.held_by_code["suppressed"] >= 1


def test_a_rename_is_made_once_whoever_was_at_the_new_address_has_gone_and_retry_says_so(make: "Make") -> None:
    world = make(key="id", consent=Consent.KEEP)
    world.seed({"email": "new@example.com", "name": "stranger"})
    world.sync(crm(x="a", y="new"))
    world.sandbox.act(world.contacts.id, world.holds("new@example.com").id, Act.REMOVE)

    assert world.state.drop_refusals(code="consent-unknown") == 1  # a contact, though its address is noted, too

    assert world.sync(crm(x="new")).report.confirmed[Op.RENAME] == 1
    assert on_list(world) == {"new": "x"}
