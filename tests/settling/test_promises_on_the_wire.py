"""Promises 1 to 5, 7 and 11 of the README, each with runs that would falsify it. Names carry the promise's number."""

import random
from typing import TYPE_CHECKING

import pytest

from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.report import Result
from syncengine.sandbox.account import Act
from syncengine.sandbox.behaviour import Behaviour
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.faults import Drop, DuplicateApply, Fault, RawBody, When
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row


def row(who: str, /, *, active: str = "yes", **cells: str | None) -> "Row":
    return {"email": f"{who}@example.com", "active": active, **cells}


def people(count: int, *, city: str = "Almaty", active: str = "yes") -> list["Row"]:
    return [row(f"user{number}", city=city, active=active) for number in range(count)]


@pytest.mark.parametrize("stopped_at", range(1, 9))
def test_promise_1_every_row_is_accounted_for_wherever_a_run_stops(make: "Make", stopped_at: int) -> None:
    world = make()
    rows = [
        *people(250),
        row("user7", city="Other"),
        row("nobody", active="perhaps"),
        {**row("x"), "email": "no address"},
    ]
    world.sync(people(40))

    stopped = world.sync(rows, pace=Pace(concurrency=1, max_requests=stopped_at)).report
    ended = world.sync(rows).report

    for report in (stopped, ended):
        from_rows = report.planned[Op.ADD] + report.planned[Op.UPDATE] + report.planned[Op.RENAME]
        assert report.rows == 253 == report.held + report.same + from_rows
        settled = sum(report.confirmed.values()) + report.rejected + report.unresolved
        assert sum(report.planned.values()) == settled + report.pending
    assert (ended.pending, ended.held, len(world.contacts.contacts)) == (0, 3, 250)


def test_promise_2_what_is_carried_out_twice_is_what_was_wanted_once(make: "Make") -> None:
    world = make(faults=(Fault(what=DuplicateApply(), times=None),))

    first = world.sync(people(120)).report
    second = world.sync(people(120, city="Astana")).report

    assert (first.result, second.result, len(world.contacts.contacts)) == (Result.OK, Result.OK, 120)
    world.assert_sound(second, 120, raised=[f"user{number}@example.com" for number in range(120)])


@pytest.mark.parametrize(
    "body",
    [
        b'{"result": true, "updated": [], "errors": []}',
        b'{"result": true, "updated": ["x"], "errors": []}',
        b'{"result": true}',
        b'{"updated": [], "errors": ["Something is wrong"]}',
        b'{"result": true, "updated": null, "errors": []}',
        b'{"result": "yes", "updated": [], "errors": []}',
        b"[]",
        b"",
    ],
)
def test_promise_3_an_answer_that_does_not_attribute_success_confirms_nobody(make: "Make", body: bytes) -> None:
    world = make()
    world.sync(people(60))
    world.sandbox.faults.add(Fault(what=RawBody(body), endpoint=Endpoint.BATCH_UPDATE, times=2))

    report = world.sync(people(60, city="Astana")).report

    assert (report.confirmed[Op.UPDATE], report.result) == (60, Result.OK)
    assert {contact.variables["city"] for contact in world.contacts.contacts.values()} == {"Astana"}
    world.assert_sound(report, 60)


def test_promise_4_no_contact_is_ever_in_two_requests_at_once(make: "Make") -> None:
    lost = Fault(what=Drop(), when=When.AFTER_APPLY, times=None, probability=0.2)
    world = make(behaviour=Behaviour(latency=0.2, jitter=0.3), faults=(lost,), key="id", mode=Mode.MIRROR)
    rows = [{**one, "id": str(number)} for number, one in enumerate(people(250))]
    world.sync(rows)
    moved = [{**one, "email": f"user{number + 1}@example.com"} for number, one in enumerate(rows)]

    report = world.sync(moved[:20] + moved[235:]).report

    assert world.sandbox.watch.peak_in_flight > 1
    assert report.planned[Op.RENAME] > 0
    world.assert_never_two_requests_for_one_contact()


@pytest.mark.parametrize("path", ["add", "update", "rename", "resume", "resend", "retry", "mirror", "mirror-remove"])
@pytest.mark.parametrize("seed", range(4))
def test_promise_5_under_keep_no_path_raises_anybody(make: "Make", path: str, seed: int) -> None:
    """Half of the contacts were there before us and unsubscribed, a quarter is known as off, and the file says yes."""
    chance = random.Random(seed)
    resend = (Fault(what=Drop(), when=When.AFTER_APPLY, times=None, probability=0.3),) if path == "resend" else ()
    world = make(consent=Consent.KEEP, key="id" if path == "rename" else None)
    rows = [{**one, "id": str(number)} for number, one in enumerate(people(80))]
    rows = rows if world.key else [{name: one[name] for name in ("email", "active", "city")} for one in rows]
    strangers = [one["email"] for one in rows if chance.random() < 0.5]
    world.seed(*({"email": email, "name": "Old", "active": False} for email in strangers))
    world.sync([{**one, "active": "no"} for one in rows[:40]])
    world.sandbox.faults.add(*resend)

    wanted = [{**one, "city": "Astana"} for one in rows]
    match path:
        case "rename":
            wanted = [{**one, "email": f"new-{one['email']}"} for one in wanted]
        case "resume":
            world.sync(wanted, pace=Pace(concurrency=1, max_requests=1))
        case "mirror" | "mirror-remove":
            world.mode = Mode.MIRROR
            world.settings = {"on_missing": OnMissing.REMOVE if path == "mirror-remove" else OnMissing.UNSUBSCRIBE}
            world.sync(wanted[:30])
    world.sync(wanted)
    if path == "retry":
        world.state.drop_refusals()
        world.sync(list(reversed(wanted)))

    world.assert_active_is_always_said()
    world.assert_nobody_was_raised()
    off = {str(one["email"]) for one in rows[:40]} | set(strangers)
    held = {contact.email: contact.active for contact in world.contacts.contacts.values()}
    assert not any(held.get(str(email)) for email in off)
    assert not any(held.get(f"new-{one['email']}") for one in rows[:40] if one["email"] not in strangers)


def test_promise_5_under_source_nobody_is_raised_whose_row_does_not_say_so(make: "Make") -> None:
    world = make()
    rows = people(50)
    world.sync(rows)
    for number in range(0, 50, 2):
        world.sandbox.act(world.contacts.id, world.holds(f"user{number}@example.com").id, Act.UNSUBSCRIBE)

    world.sync([{**one, "city": "Astana", "active": "no" if at % 4 == 0 else "yes"} for at, one in enumerate(rows)])

    assert {one.active for at, one in enumerate(world.contacts.contacts.values()) if at % 4 == 0} == {False}
    world.assert_nobody_was_raised(but=[f"user{number}@example.com" for number in range(2, 50, 4)])


@pytest.mark.parametrize("on_missing", OnMissing)
def test_promise_7_nobody_is_taken_off_but_by_a_mirror_that_was_told_to(make: "Make", on_missing: OnMissing) -> None:
    world = make(settings={"on_missing": on_missing})
    world.sync(people(20))

    world.sync(people(10))
    assert len([one for one in world.contacts.contacts.values() if one.active]) == 20
    world.mode = Mode.MIRROR
    report = world.sync(people(9)).report

    subscribed = len([one for one in world.contacts.contacts.values() if one.active])
    assert (len(world.contacts.contacts), subscribed) == {
        OnMissing.REMOVE: (9, 9), OnMissing.UNSUBSCRIBE: (20, 9), OnMissing.KEEP: (20, 20)
    }[on_missing]  # fmt: skip
    world.assert_sound(report, 9)


def test_promise_7_a_fatal_error_leaves_everybody_on_the_list(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync(people(300))
    world.sandbox.tokens.clear()

    ended = world.sync(people(250, city="Astana"))

    assert (ended.report.result, len(world.contacts.contacts)) == (Result.REFUSED, 300)
    assert ended.report.pending == 300


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("consent", Consent)
def test_promise_11_a_second_run_over_the_same_rows_sends_nothing(make: "Make", mode: Mode, consent: Consent) -> None:
    world = make(mode=mode, consent=consent)
    world.seed(*({"email": f"user{number}@example.com", "active": False} for number in range(0, 60, 4)))
    rows = people(60)
    world.sync(rows)
    sent = len(world.sent)

    again = world.sync(list(reversed(rows))).report

    assert (len(world.sent), again.result, sum(again.planned.values())) == (sent, Result.OK, 0)
