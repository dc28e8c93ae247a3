"""Every kind of service the documents allow, with a list that holds a part of the contacts already."""

import random
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.sandbox.account import Act
from syncengine.sandbox.behaviour import Add, Behaviour, ErrorNaming, Ids, RemoveUnknown
from syncengine.sandbox.contract import Endpoint, VariableType
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World

COUNT = 72
NAMED = {ErrorNaming.DOCUMENTED, ErrorNaming.LOWERCASED}
SERVICES = [
    *product(Add, (ErrorNaming.DOCUMENTED, ErrorNaming.NONE, ErrorNaming.WRONG_CONTACT)),
    (Add.PARTIAL, ErrorNaming.LOWERCASED),
]


def people(count: int = COUNT) -> list["Row"]:
    chance = random.Random(3)
    return [
        {
            "email": f"User{number}@example.com",
            "active": "no" if chance.random() < 0.2 else "yes",
            "name": f"Name {number}",
            "city": f"City {number % 7}",
            "born": "1990-02-03",
        }
        for number in range(count)
    ]


def address(row: "Row") -> str:
    return str(row["email"]).lower()


def prepare(world: "World", wanted: list["Row"], *, existing: float, bad: float) -> tuple[set[str], set[str]]:
    """A list that holds some of `wanted`, half of them unsubscribed; and some get a date that it refuses."""
    chance = random.Random(7)
    there = [row for row in wanted if chance.random() < existing]
    world.contacts.add_variable("city", VariableType.STRING)
    world.contacts.add_variable("born", VariableType.DATE)
    world.seed(*({"email": row["email"], "name": "Old", "active": at % 2 == 0} for at, row in enumerate(there)))
    spoilt = {address(row) for row in wanted if chance.random() < bad}
    for row in wanted:
        if address(row) in spoilt:
            row["born"] = "soon"
    return {address(row) for row in there}, spoilt


@pytest.mark.parametrize("bad", [0.0, 0.03])
@pytest.mark.parametrize("consent", Consent)
@pytest.mark.parametrize("mode", [Mode.UPSERT, Mode.UPDATE, Mode.ADD])
@pytest.mark.parametrize(("add", "naming"), SERVICES)
def test_whatever_the_service_is_like_a_run_ends_with_the_truth(
    make: "Make", add: Add, naming: ErrorNaming, mode: Mode, consent: Consent, bad: float
) -> None:
    world = make(behaviour=replace(Behaviour(), add=add, error_naming=naming), mode=mode, consent=consent)
    wanted = people()
    there, spoilt = prepare(world, wanted, existing=0.3, bad=bad)
    everybody = {address(row) for row in wanted}
    subscribed = {address(row) for row in wanted if row["active"] == "yes"}

    ended = world.sync(wanted)

    world.assert_sound(ended.report, COUNT, raised=subscribed if consent is Consent.SOURCE else ())
    confirmed = set(world.known())
    rejected, unresolved, held = (world.told(ended, stage) for stage in ("rejected", "unresolved", "held"))
    match mode, consent:
        case Mode.UPDATE, Consent.SOURCE:
            assert (confirmed, rejected, unresolved, held) == (there - spoilt, everybody - there | spoilt, set(), set())
        case Mode.UPDATE, Consent.KEEP:
            lowered = there - subscribed - spoilt
            assert (confirmed, unresolved, held) == (lowered, set(), subscribed)
            assert rejected == everybody - subscribed - lowered
        case Mode.UPSERT, Consent.SOURCE:
            assert (confirmed, rejected, unresolved, held) == (everybody - spoilt, spoilt, set(), set())
        case _:  # who is on the list already is not touched
            assert all(world.holds(one).name == "Old" for one in there)
            assert confirmed <= everybody - there - spoilt
            assert rejected <= there | spoilt
            if naming in NAMED and add is not Add.STOP_AT_FIRST and not bad:
                assert confirmed == everybody - there
                assert (rejected, unresolved) == ((there, set()) if mode is Mode.ADD else (set(), there))
    assert len(world.sent) <= 3 + 2 * COUNT

    before = len(world.sent)
    again = world.sync(list(reversed(wanted)))
    assert (again.report.rejected, again.report.unresolved, len(world.sent)) == (0, 0, before)
    assert again.report.held == len(rejected | unresolved | held)


@pytest.mark.parametrize("add", Add)
def test_under_keep_later_batches_lose_nobody_to_a_service_that_keeps_contacts_in_secret(
    make: "Make", add: Add
) -> None:
    """It names nobody and keeps a part: after the first batches contacts are added one by one, and each is told."""
    world = make(
        behaviour=replace(Behaviour(), add=add, error_naming=ErrorNaming.NONE),
        consent=Consent.KEEP,
        settings={"pace": Pace(concurrency=1)},
    )
    wanted = people(500)
    there, _ = prepare(world, wanted, existing=0.02, bad=0.0)

    ended = world.sync(wanted)

    world.assert_sound(ended.report, 500)
    assert all(world.holds(one).name == "Old" for one in there)
    if add is not Add.APPLIED_BUT_REPORTED_FAILED:  # that one says of nobody that it was added
        assert len(world.known()) >= 500 - len(there) - 100
    assert len(world.sent) <= 5 * 3 + 2 * 500


@pytest.mark.parametrize("naming", ErrorNaming)
@pytest.mark.parametrize("remove_unknown", RemoveUnknown)
def test_who_leaves_is_removed_whatever_the_service_says_of_those_who_are_gone(
    make: "Make", remove_unknown: RemoveUnknown, naming: ErrorNaming
) -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    wanted = people(40)
    world.sync(wanted)
    world.sandbox.behaviour = replace(Behaviour(), remove_unknown=remove_unknown, error_naming=naming)
    for row in wanted[5:9]:
        world.sandbox.act(world.contacts.id, world.holds(address(row)).id, Act.REMOVE)

    ended = world.sync(wanted[20:])

    assert ended.report.planned[Op.REMOVE] == 20
    left = {contact.email.lower() for contact in world.contacts.contacts.values()}
    assert (left, ended.report.rejected) == ({address(row) for row in wanted[20:]}, 0)
    assert set(world.known()) == left | world.told(ended, "unresolved")
    if naming is not ErrorNaming.NONE:
        assert ended.report.confirmed[Op.REMOVE] == 20
    assert world.counted()[Endpoint.CONTACTS_REMOVE] <= 3 + 2 * 20


@pytest.mark.parametrize("naming", ErrorNaming)
@pytest.mark.parametrize("ids", Ids)
@pytest.mark.parametrize("merged", [False, True])
def test_ids_and_merged_errors_mislead_nobody(make: "Make", ids: Ids, naming: ErrorNaming, *, merged: bool) -> None:
    world = make(behaviour=replace(Behaviour(), ids=ids, error_naming=naming, errors_merged=merged))
    wanted = people()
    prepare(world, wanted, existing=0.3, bad=0.0)

    ended = world.sync(wanted)

    world.assert_sound(ended.report, COUNT, raised={address(row) for row in wanted})
    assert (ended.report.rejected, ended.report.unresolved) == (0, 0)
    assert len(world.sent) <= 3 + 2 * COUNT
