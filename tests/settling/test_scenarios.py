"""Every scenario of the sandbox over three nights: a first load; changes, leavers and renames; and a quiet one."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.report import Result
from syncengine.sandbox.behaviour import Add, Behaviour, ErrorNaming, Ids, RemoveUnknown, Update
from syncengine.sandbox.faults import Drop, Fault, Html, Status, When
from syncengine.sandbox.scenarios import SCENARIOS
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World

ENDS_THE_RUN = {"token-revoked", "list-deleted"}
SAYS_WHAT_IS_NOT_SO = {"lying"}
FORGETS = {"variable-dropped"}  #: what the list had for a variable; nothing tells us


def crm(numbers: range, *, night: int = 0) -> list["Row"]:
    """Contacts with an id. Every fifth changes its city from night to night, every ninth moves to a new address."""
    return [
        {
            "id": f"id-{number}",
            "email": f"user{number}{'-moved' if night and number % 9 == 0 else ''}@example.com",
            "active": "no" if number % 4 == 1 else "yes",
            "name": f"O'Neil {number}",
            "city": f"City {night if number % 5 == 0 else 0}",
        }
        for number in numbers
    ]


def subscribed(rows: list["Row"]) -> set[str]:
    return {str(row["email"]) for row in rows if row["active"] == "yes"}


def carry_on(world: "World", rows: list["Row"], **settings: Any) -> list[Any]:
    """Runs until one comes to its end, as a schedule would start them."""
    ends = []
    for _ in range(12):
        ends.append(world.sync(rows, **settings))
        if ends[-1].report.result in {Result.OK, Result.REJECTED}:
            return ends
    raise AssertionError(f"no run ended: {ends[-1].report}")


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize(
    "name", [name for name in SCENARIOS if name not in ENDS_THE_RUN | SAYS_WHAT_IS_NOT_SO | FORGETS]
)
def test_over_three_nights_the_list_becomes_what_the_source_says(make: "Make", name: str, key: str | None) -> None:
    scenario = SCENARIOS[name]
    world = make(
        behaviour=scenario.behaviour, faults=scenario.faults, mode=Mode.MIRROR, key=key,
        settings={"on_missing": OnMissing.REMOVE},
    )  # fmt: skip
    first, second = crm(range(60)), crm(range(4, 66), night=1)
    world.seed(*({"email": f"user{number}@example.com", "active": number % 2 == 0} for number in range(0, 60, 3)))
    columns = [name for name in first[0] if key or name != "id"]
    first, second = ([{name: row[name] for name in columns} for row in rows] for rows in (first, second))

    ends = carry_on(world, first)
    world.assert_sound(ends[-1].report, 60, raised=subscribed(first))
    assert len(world.known()) == 60
    ends = carry_on(world, second)
    world.assert_sound(ends[-1].report, 62, raised=subscribed(first) | subscribed(second))
    wanted = {str(row["email"]): row for row in second}
    held = {contact.email.lower(): contact for contact in world.contacts.contacts.values()}
    assert (held.keys(), ends[-1].report.rejected, ends[-1].report.unresolved) == (wanted.keys(), 0, 0)
    for email, row in wanted.items():
        assert (held[email].active, held[email].variables["city"]) == (row["active"] == "yes", row["city"])

    before = len(world.sent)
    quiet = world.sync(list(reversed(second)))
    assert (quiet.report.same, len(world.sent)) == (62, before)


@pytest.mark.parametrize("name", sorted(ENDS_THE_RUN))
def test_a_run_that_is_refused_goes_on_when_the_trouble_is_over(make: "Make", name: str) -> None:
    world = make(behaviour=SCENARIOS[name].behaviour)
    rows = crm(range(900))

    stopped = world.sync(rows)
    assert stopped.report.result is Result.REFUSED
    world.assert_active_is_always_said()
    world.sandbox.tokens.add("sandbox-token")
    if name == "list-deleted":
        world.sandbox.create_list("5537ab2a08d241dc69326b19", "Restored")
    resumed = world.sync(rows)

    assert (resumed.report.result, resumed.report.resumed) == (Result.OK, True)
    if name == "token-revoked":
        world.assert_sound(resumed.report, 900)


def test_a_service_that_lies_is_believed_and_harms_nobody_in_the_state(make: "Make") -> None:
    """Nothing can be done about it with this API; at least nobody is sent without their subscription."""
    world = make(behaviour=SCENARIOS["lying"].behaviour)

    report = world.sync(crm(range(60))).report

    assert report.confirmed[Op.ADD] == 60
    world.assert_active_is_always_said()


# -- everything at once -----------------------------------------------------------------------------------------------

FAULTS = (
    Fault(what=Drop(), when=When.AFTER_APPLY, times=None, probability=0.05),
    Fault(what=Drop(), when=When.BEFORE_APPLY, times=None, probability=0.03),
    Fault(what=Html(), when=When.AFTER_APPLY, times=None, probability=0.03),
    Fault(what=Status(503), times=None, probability=0.03),
)


def any_service(chance: random.Random) -> Behaviour:
    return replace(
        Behaviour(),
        add=chance.choice(list(Add)),
        error_naming=chance.choice(list(ErrorNaming)),
        ids=chance.choice([Ids.ORDERED, Ids.ORDERED, *Ids]),
        errors_merged=chance.random() < 0.3,
        errors_limit=chance.choice([None, None, 3, 10]),
        update=chance.choice(list(Update)),
        remove_unknown=chance.choice(list(RemoveUnknown)),
        max_batch=chance.choice([100, 100, 50]),
    )


@pytest.mark.parametrize("seed", range(60))
def test_no_combination_loses_raises_or_doubles_anybody(make: "Make", seed: int) -> None:
    """Any service, existing contacts, lost answers, runs that are stopped, resumed and dropped, over some nights."""
    chance = random.Random(seed)
    consent = chance.choice(list(Consent))
    world = make(
        behaviour=any_service(chance), faults=FAULTS if chance.random() < 0.5 else (), consent=consent,
        mode=chance.choice([Mode.UPSERT, Mode.UPDATE, Mode.ADD, Mode.MIRROR]), key=chance.choice([None, "id"]),
        settings={"on_missing": chance.choice([OnMissing.REMOVE, OnMissing.UNSUBSCRIBE])},
    )  # fmt: skip
    share = chance.choice([0, 0.3, 0.3])
    there = [number for number in range(90) if chance.random() < share]
    world.seed(*({"email": f"user{number}@example.com", "name": "Old", "active": number % 2 == 0} for number in there))
    everybody: set[str] = set()
    refused: set[str] = set()
    for night in range(3):
        rows = crm(range(night * 3, 70 + night * 5), night=night)
        rows = rows if world.key else [{name: cell for name, cell in row.items() if name != "id"} for row in rows]
        chance.shuffle(rows)
        everybody |= subscribed(rows)
        if chance.random() < 0.5:
            world.sync(rows, pace=Pace(concurrency=2, max_requests=chance.randrange(1, 6)))
        ended = world.sync(rows, fresh=chance.random() < 0.3)
        ended = ended if ended.report.result in {Result.OK, Result.REJECTED} else carry_on(world, rows)[-1]
        report = ended.report
        from_rows = sum(report.planned[op] for op in (Op.ADD, Op.UPDATE, Op.RENAME))
        assert report.rows == report.held + report.same + from_rows
        world.assert_active_is_always_said()
        world.assert_never_two_requests_for_one_contact()
        world.assert_nobody_was_raised(everybody if consent is Consent.SOURCE else ())
        refused |= world.told(ended, "rejected", "unresolved")
        world.assert_state_is_what_the_list_holds(but=refused)
        addresses = [contact.email.lower() for contact in world.contacts.contacts.values()]
        assert len(addresses) == len(set(addresses))
    if consent is Consent.KEEP:  # nobody whom we did not bring was touched
        known = {row["email"] for row in world.known().values()}
        for number in there:
            contact = world.contacts.find(f"user{number}@example.com")
            assert contact is None or contact.active is (number % 2 == 0) or contact.email in known
