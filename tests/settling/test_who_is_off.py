"""Who is off stays off by whatever road they come back, and one record that says no counts for the person."""

from typing import TYPE_CHECKING

import pytest

from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.report import Result

if TYPE_CHECKING:
    from conftest import Make, Row


def record(key: str, address: str, active: str = "yes", city: str = "A") -> "Row":
    return {"id": key, "email": f"{address}@example.com", "active": active, "city": city}


@pytest.mark.parametrize("consent", Consent)
def test_whom_a_mirror_removed_while_they_were_off_comes_back_only_where_the_file_decides(
    make: "Make", consent: Consent
) -> None:
    world = make(mode=Mode.MIRROR, consent=consent, settings={"on_missing": OnMissing.REMOVE})
    rows = [record("1", "off", "no"), record("2", "on"), record("3", "stays")]
    rows = [{name: one[name] for name in ("email", "active", "city")} for one in rows]
    world.sync(rows)
    assert world.sync(rows[2:]).report.confirmed[Op.REMOVE] == 2

    report = world.sync([{**one, "active": "yes"} for one in rows]).report

    back = world.contacts.find("off@example.com")
    assert (back is not None and back.active) is (consent is Consent.SOURCE)
    assert world.holds("on@example.com").active is True
    assert report.held_by_code == ({"suppressed": 1} if consent is Consent.KEEP else {})
    assert world.sync(list(reversed([{**one, "active": "yes"} for one in rows]))).report.requests == 0


@pytest.mark.parametrize("consent", Consent)
def test_whom_a_mirror_removed_while_they_were_off_stays_off_under_their_id(make: "Make", consent: Consent) -> None:
    world = make(mode=Mode.MIRROR, consent=consent, key="id", settings={"on_missing": OnMissing.REMOVE})
    rows = [record("1", "off", "no"), record("3", "stays")]
    world.sync(rows)
    assert world.sync(rows[1:]).report.confirmed[Op.REMOVE] == 1

    world.mode = Mode.UPSERT  # whatever the job does meanwhile

    report = world.sync([record("1", "elsewhere"), rows[1]]).report

    kept = consent is Consent.KEEP
    assert report.held_by_code == ({"suppressed": 1} if kept else {})
    assert (world.contacts.find("elsewhere@example.com") is None) is kept


def test_who_is_removed_under_one_id_and_goes_on_under_another_is_not_taken_for_gone(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, consent=Consent.KEEP, key="id", settings={"on_missing": OnMissing.REMOVE})
    world.sync([record("1", "a", "no"), record("2", "b")])

    report = world.sync([record("9", "a", "no", city="B"), record("2", "b")]).report

    assert (report.planned[Op.REMOVE], report.confirmed[Op.UPDATE]) == (0, 1)
    assert world.state.departed().is_empty()


@pytest.mark.parametrize("consent", Consent)
@pytest.mark.parametrize("turned", [False, True])
def test_a_newcomer_two_records_have_is_not_subscribed_where_one_says_no(
    make: "Make", consent: Consent, *, turned: bool
) -> None:
    world = make(consent=consent, key="id")
    rows = [record("1", "a"), record("2", "a", "no"), record("3", "b")]

    ended = world.sync(list(reversed(rows)) if turned else rows)

    assert world.holds("a@example.com").active is False
    assert (ended.report.held_by_code, ended.report.confirmed[Op.ADD]) == ({"address-shared": 1}, 2)
    winner, loser = ("1", "2") if turned else ("2", "1")
    assert world.told(ended, "held") == {loser}
    (reason,) = world.reasons(ended)
    assert f"(id {winner}) claims the same address" in reason
    sent = len(world.sent)
    again = world.sync(rows if turned else list(reversed(rows)))
    assert (len(world.sent), again.report.result, world.holds("a@example.com").active) == (sent, Result.OK, False)


def test_a_second_record_that_says_no_unsubscribes_the_person_once_and_keeps_them_so(make: "Make") -> None:
    world = make(key="id")
    rows = [record("1", "a"), record("3", "b"), record("4", "c")]
    world.sync(rows)

    lowered = world.sync([*rows, record("2", "A", "no")])
    assert (lowered.report.confirmed[Op.UPDATE], lowered.report.same) == (1, 2)
    assert lowered.report.held_by_code == {"address-shared": 1}
    assert "nobody is subscribed under it, because one of the rows says so" in world.reasons(lowered)[0]
    assert world.holds("a@example.com").active is False

    sent = len(world.sent)
    still = world.sync([record("2", "A", "no"), *reversed(rows)])
    assert (len(world.sent), still.report.same, world.holds("a@example.com").active) == (sent, 3, False)

    freed = world.sync([*rows[:2], record("4", "c", city="B")])
    assert (freed.report.confirmed[Op.UPDATE], world.holds("a@example.com").active) == (2, True)
    world.assert_nobody_was_raised(but=["a@example.com"])


def test_under_keep_who_was_lowered_by_another_record_stays_off_without_it(make: "Make") -> None:
    world = make(key="id", consent=Consent.KEEP)
    rows = [record("1", "a"), record("3", "b")]
    world.sync(rows)
    world.sync([*rows, record("2", "a", "no")])

    world.sync([record("1", "a", city="B"), rows[1]])

    assert (world.holds("a@example.com").active, world.holds("a@example.com").variables["city"]) == (False, "B")
    world.assert_nobody_was_raised()


def test_a_rename_onto_an_address_that_another_record_says_no_for_is_not_subscribed(make: "Make") -> None:
    world = make(key="id")
    world.sync([record("1", "a"), record("3", "b")])

    report = world.sync([record("1", "new"), record("2", "new", "no"), record("3", "b")]).report

    assert (report.confirmed[Op.RENAME], world.holds("new@example.com").active) == (1, False)


def test_two_records_that_both_say_no_cost_nothing_more(make: "Make") -> None:
    world = make(key="id")
    rows = [record("1", "a", "no"), record("2", "a", "no"), record("3", "b")]
    world.sync(rows)
    sent = len(world.sent)

    again = world.sync([rows[2], rows[1], rows[0]]).report

    assert (len(world.sent), again.same, again.held_by_code) == (sent, 2, {"address-shared": 1})
