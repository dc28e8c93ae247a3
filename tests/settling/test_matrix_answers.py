"""The fault matrix, A1 to A9 and A12 to A14: what the service answers. Names carry the row."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.model import Consent, Op
from syncengine.report import Result
from syncengine.sandbox.account import Act
from syncengine.sandbox.behaviour import Add, Behaviour, ErrorNaming, ExistingVariable, Ids
from syncengine.sandbox.contract import Endpoint, VariableType
from syncengine.sandbox.faults import Delay, Drop, Fault, RawBody, Status, When
from syncengine.sandbox.scenarios import SCENARIOS
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World

PARTIAL = Behaviour(add=Add.PARTIAL)


def people(count: int, *, bad: int = 0, **cells: str) -> list["Row"]:
    """Contacts, the first `bad` of which have a date that the service refuses."""
    return [
        {"email": f"User{n}@example.com", "active": "yes", "born": "soon" if n < bad else "1990-02-03", **cells}
        for n in range(count)
    ]


def keys(numbers: range) -> set[str]:
    return {f"user{number}@example.com" for number in numbers}


def with_dates(world: "World") -> "World":
    world.contacts.add_variable("born", VariableType.DATE)
    return world


def contact_requests(world: "World") -> int:
    return sum("contacts" in sent.endpoint for sent in world.sent)


def assert_exactly_rejected(world: "World", count: int, bad: int, *, most_requests: float) -> None:
    """The bad rows are rejected with the service's reason, all others confirmed, at a bounded price."""
    ended = world.sync(people(count, bad=bad))

    world.assert_sound(ended.report, count)
    told = pl.read_csv(ended.report.paths["errors"], infer_schema=False)
    assert set(told.filter(pl.col("stage") == "rejected")["key"]) == keys(range(bad))
    assert told.height == bad
    assert told["reason"].str.len_chars().min() > 10
    assert set(world.known()) == keys(range(bad, count))
    assert contact_requests(world) <= most_requests


@pytest.mark.parametrize("name", ["partial-named", "partial-lowercased", "documented"])
def test_a01_of_named_errors_exactly_the_named_rows_are_rejected(make: "Make", name: str) -> None:
    world = with_dates(make(behaviour=SCENARIOS[name].behaviour))

    assert_exactly_rejected(world, 300, 7, most_requests=3 + 3 * 7)


@pytest.mark.parametrize("name", ["partial-unnamed", "atomic-unnamed"])
def test_a02_of_unnamed_errors_the_guilty_are_found_at_less_than_two_requests_a_contact(
    make: "Make", name: str
) -> None:
    """Nobody is confirmed who is not on the list: `assert_sound` compares the state with what the list holds."""
    world = with_dates(make(behaviour=SCENARIOS[name].behaviour))

    assert_exactly_rejected(world, 100, 7, most_requests=2.0 * 100)


@pytest.mark.parametrize("name", ["partial-merged", "partial-lowercased", "partial-wrong-contact", "partial-cut"])
@pytest.mark.parametrize("bad", [2, 30])
def test_a03_errors_that_are_merged_misspelt_cut_off_or_about_others_blame_nobody_else(
    make: "Make", name: str, bad: int
) -> None:
    world = with_dates(make(behaviour=SCENARIOS[name].behaviour))

    ended = world.sync(people(100, bad=bad))

    world.assert_sound(ended.report, 100)
    assert set(world.known()) == keys(range(bad, 100))
    assert world.told(ended, "rejected", "unresolved") == keys(range(bad))
    assert contact_requests(world) <= 2.0 * 100


@pytest.mark.parametrize("ids", [ids for ids in Ids if ids is not Ids.ORDERED])
def test_a04_ids_that_are_shuffled_short_long_doubled_or_strange_confirm_nobody_too_many(
    make: "Make", ids: Ids
) -> None:
    world = with_dates(make())
    world.sync(people(120))
    world.sandbox.behaviour = replace(Behaviour(), ids=ids)

    ended = world.sync(people(120, bad=3, city="Astana"))

    world.assert_sound(ended.report, 120)
    assert world.told(ended, "rejected", "unresolved") == keys(range(3))
    assert {one.variables.get("city") for one in world.contacts.contacts.values()} == {None, "Astana"}


@pytest.mark.parametrize("add", Add)
@pytest.mark.parametrize("naming", [ErrorNaming.DOCUMENTED, ErrorNaming.NONE])
def test_a05_adding_and_updating_come_to_the_same_list_whatever_a_failing_add_has_stored(
    make: "Make", add: Add, naming: ErrorNaming
) -> None:
    world = with_dates(make(behaviour=Behaviour(add=add, error_naming=naming)))
    world.seed(*({"email": f"user{number}@example.com", "active": True} for number in range(0, 120, 3)))

    ended = world.sync(people(120, bad=4))

    world.assert_sound(ended.report, 120)
    assert set(world.known()) == keys(range(4, 120))
    assert contact_requests(world) <= 2 + 2 * 120


def test_a06_who_exists_with_other_values_gets_the_whole_of_what_the_file_says(make: "Make") -> None:
    """Whoever takes "already exists" for success leaves a third of the list as it was."""
    world = make()
    world.contacts.add_variable("city", VariableType.STRING)
    world.seed(*({"email": f"user{n}@example.com", "active": n % 2 == 0, "name": "Old"} for n in range(0, 300, 3)))
    wanted = [{**one, "name": "New", "city": "Astana", "active": "no" if n % 4 else "yes"}
              for n, one in enumerate(people(300))]  # fmt: skip

    ended = world.sync(wanted)

    world.assert_sound(ended.report, 300, raised=keys(range(0, 300, 4)))
    assert Counter((one.name, one.variables["city"]) for one in world.contacts.contacts.values()) == {
        ("New", "Astana"): 300
    }
    assert {key for key in keys(range(300)) if world.holds(key).active} == keys(range(0, 300, 4))
    assert world.sync(list(reversed(wanted))).report.same == 300


LOST = Fault(what=Drop(), when=When.AFTER_APPLY, endpoint=Endpoint.CONTACTS_ADD, times=2)


@pytest.mark.parametrize("faults", [(), (LOST,)], ids=["answered", "answers lost"])
@pytest.mark.parametrize("consent", Consent)
def test_a07_who_may_have_unsubscribed_there_is_raised_only_by_a_row_where_the_file_decides(
    make: "Make", consent: Consent, faults: tuple[Fault, ...]
) -> None:
    world = make(consent=consent, faults=faults)
    strangers = range(0, 200, 4)
    world.seed(*({"email": f"user{number}@example.com", "active": False} for number in strangers))
    wanted = [{**one, "active": "no" if number % 8 == 0 else "yes"} for number, one in enumerate(people(200))]

    ended = world.sync(wanted)

    raised = {key.lower() for key in world.contacts.resubscribed}
    if consent is Consent.SOURCE:
        assert raised == keys(range(4, 200, 8))
        assert world.told(ended, "unresolved") == set()
    else:
        assert raised == set()
        unresolved = pl.read_csv(ended.report.paths["errors"], infer_schema=False)
        assert set(unresolved["code"]) == {"consent-unknown"}
        assert set(unresolved["key"]) >= keys(range(4, 200, 8))
        if not faults:
            assert set(unresolved["key"]) <= keys(strangers)
    world.assert_active_is_always_said()
    world.assert_state_is_what_the_list_holds()
    before = len(world.sent)
    world.sync(list(reversed(wanted)))
    assert len(world.sent) == before


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a08_a_variable_that_is_gone_in_mid_run_is_made_once_more_and_its_batches_sent_again(
    make: "Make", concurrency: int
) -> None:
    world = make(
        behaviour=Behaviour(latency=0.1, drop_variable_at=5, drop_variable="city"),
        settings={"pace": Pace(concurrency=concurrency)},
    )

    ended = world.sync(people(1_000, city="Astana"))

    assert (ended.report.result, ended.report.confirmed[Op.ADD]) == (Result.OK, 1_000)
    assert world.counted()[Endpoint.VARIABLES_ADD] == 2
    after_the_loss = [one for one in world.contacts.contacts.values() if "city" in one.variables]
    assert len(after_the_loss) >= 1_000 - 100 * 4  # what was confirmed before the loss nobody can know of
    world.assert_never_two_requests_for_one_contact()


@pytest.mark.parametrize(
    "trouble",
    [
        Fault(what=Delay(29.0), endpoint=Endpoint.VARIABLES_ADD),
        Fault(what=Status(500), endpoint=Endpoint.VARIABLES_ADD, times=3),
        Fault(what=Drop(), when=When.AFTER_APPLY, endpoint=Endpoint.VARIABLES_ADD),
        Fault(what=RawBody(b"{}"), endpoint=Endpoint.VARIABLES_ADD),
    ],
    ids=["slow", "fails", "made and not told", "says nothing"],
)
@pytest.mark.parametrize("existing", ExistingVariable)
def test_a09_variables_that_are_slow_to_come_or_there_already_are_waited_for(
    make: "Make", trouble: Fault, existing: ExistingVariable
) -> None:
    world = make(behaviour=Behaviour(existing_variable=existing), faults=(trouble,))
    world.contacts.add_variable("city", VariableType.STRING)

    ended = world.sync(people(150, city="Astana"))

    world.assert_sound(ended.report, 150)
    assert ended.report.confirmed[Op.ADD] == 150
    first = next(at for at, sent in enumerate(world.sent) if "contacts" in sent.endpoint)
    assert all("contacts" in sent.endpoint for sent in world.sent[first:])


def test_a09_where_a_variable_can_not_be_made_those_who_need_it_are_told_and_the_others_go_on(make: "Make") -> None:
    refuses = RawBody(b'{"error_stack": ["Not valid type for argument \\"variables\\""]}')
    world = make(faults=(Fault(what=refuses, endpoint=Endpoint.VARIABLES_ADD, times=None),))
    rows = [{"email": f"user{n}@example.com", "active": "yes", "city": "Astana" if n < 5 else None} for n in range(50)]

    ended = world.sync(rows)

    assert world.told(ended, "rejected", "unresolved") == keys(range(5))
    assert set(world.known()) == keys(range(5, 50))
    world.assert_sound(ended.report, 50)


def test_a09_a_variable_of_another_type_is_told_by_the_rows_it_can_not_take(make: "Make") -> None:
    world = make()
    world.contacts.add_variable("city", VariableType.DATE)

    ended = world.sync([{**one, "city": "Astana" if n < 3 else "2020-01-01"} for n, one in enumerate(people(60))])

    world.assert_sound(ended.report, 60)
    assert world.told(ended, "rejected") == keys(range(3))


@pytest.mark.parametrize("most", [50, 7, 1])
def test_a12_a_lower_limit_of_contacts_a_request_is_learned_and_kept(make: "Make", most: int) -> None:
    world = make(behaviour=Behaviour(max_batch=most, max_contacts=most))

    ended = world.sync(people(200))
    changed = world.sync(people(200, city="Astana"))

    assert (ended.report.confirmed[Op.ADD], changed.report.confirmed[Op.UPDATE]) == (200, 200)
    world.assert_sound(changed.report, 200)


def test_a13_a_limit_of_bytes_is_met_by_smaller_requests_and_one_contact_above_it_is_told(make: "Make") -> None:
    world = make(behaviour=Behaviour(max_body=4_000))
    rows = [{**one, "note": "x" * (8_000 if number == 77 else 300)} for number, one in enumerate(people(150))]

    ended = world.sync(rows)

    world.assert_sound(ended.report, 150)
    assert world.told(ended, "rejected", "unresolved") == keys(range(77, 78))
    assert len(world.known()) == 149


def test_a14_a_service_that_says_done_and_does_nothing_goes_unnoticed_and_harms_nobody(make: "Make") -> None:
    """Known and documented: contacts/add gives no proof, so that it can't be told; what is told is not made worse."""
    world = make(behaviour=Behaviour(lying=1.0))
    world.seed({"email": "user1@example.com", "active": False})
    world.sandbox.act(world.contacts.id, world.holds("user1@example.com").id, Act.UNSUBSCRIBE)

    ended = world.sync(people(150))

    assert (ended.report.result, ended.report.confirmed[Op.ADD]) == (Result.OK, 150)
    assert [one.email for one in world.contacts.contacts.values()] == ["user1@example.com"]
    world.assert_active_is_always_said()
    world.assert_nobody_was_raised()
