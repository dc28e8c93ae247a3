"""The fault matrix, A10, A11 and A15 to A21: tokens, lists, addresses, what others change. Names carry the row."""

import json
import tracemalloc
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.errors import StateError
from syncengine.ledger import open_ledger, transaction
from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.report import EXIT_CODES, Result
from syncengine.sandbox.account import Act
from syncengine.sandbox.addresses import Normalisation
from syncengine.sandbox.behaviour import Behaviour, OmittedActive, RemoveUnknown, RenameCollision, RenameOrder, Update
from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.faults import Drop, Fault, RawBody, When
from syncengine.state import StateStore
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World

TOKEN = "sandbox-token"
LIST = "5537ab2a08d241dc69326b19"


def people(count: int, **cells: str) -> list["Row"]:
    return [{"email": f"user{number}@example.com", "active": "yes", **cells} for number in range(count)]


def crm(**addresses: str) -> list["Row"]:
    """Contacts known by an id: id → local part of the address."""
    return [{"id": number, "email": f"{local}@example.com", "active": "yes"} for number, local in addresses.items()]


def on_list(world: "World") -> set[str]:
    return {contact.email.removesuffix("@example.com") for contact in world.contacts.contacts.values()}


def written(world: "World") -> bytes:
    return b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("status", [200, 401])
def test_a10_a_token_revoked_in_mid_run_stops_it_at_once_is_not_shown_and_a_new_one_goes_on(
    make: "Make", concurrency: int, status: int
) -> None:
    """The service's text for it quotes the token."""
    behaviour = Behaviour(latency=0.1, revoke_token_at=6, auth_status=status)
    world = make(behaviour=behaviour, settings={"pace": Pace(concurrency=concurrency)})

    stopped = world.sync(people(2_000))

    assert EXIT_CODES[stopped.report.result] == 4
    assert len(world.sent) <= 5 + concurrency
    assert TOKEN not in repr(stopped)
    assert TOKEN.encode() not in written(world)
    world.sandbox.behaviour = Behaviour()
    world.sandbox.tokens.add(TOKEN)
    resumed = world.sync(people(2_000))
    assert (resumed.report.resumed, resumed.report.result) == (True, Result.OK)
    world.assert_sound(resumed.report, 2_000)


def test_a11_a_list_deleted_in_mid_run_stops_it_and_nobody_lands_elsewhere(make: "Make") -> None:
    world = make(behaviour=Behaviour(latency=0.1, delete_list_at=6))
    world.sandbox.create_list("0" * 24, "Another list")

    stopped = world.sync(people(2_000))

    assert (EXIT_CODES[stopped.report.result], len(world.sent) <= 5 + 8) == (4, True)
    assert stopped.report.pending + stopped.report.confirmed[Op.ADD] == 2_000
    assert world.sandbox.lists["0" * 24].contacts == {}


def test_a11_a_state_belongs_to_one_list_of_one_account(make: "Make") -> None:
    world = make()
    world.sync(people(10))
    elsewhere = StateStore(world.connection, world.folder / "state", "memory", "https://other.example.com")
    of_another_list = StateStore(world.connection, world.folder / "state", "another-list", "http://127.0.0.1")

    with pytest.raises(StateError, match="account"):
        elsewhere.current()
    assert of_another_list.snapshot().size == 0
    assert world.state.snapshot().size == 10


@pytest.mark.parametrize("order", RenameOrder)
@pytest.mark.parametrize("collision", RenameCollision)
def test_a15_chains_swaps_and_collisions_of_addresses_lose_nobody(
    make: "Make", order: RenameOrder, collision: RenameCollision
) -> None:
    """A chain is carried out tail first; who would swap, or take an address somebody keeps, is held."""
    world = make(key="id", behaviour=Behaviour(rename_order=order, rename_collision=collision))
    world.sync(crm(i="a", j="b", k="c", x="p", y="q", s="stays", t="takes", u="case"))

    ended = world.sync(crm(i="b", j="c", k="d", x="q", y="p", s="stays", t="stays", u="CASE"))

    assert ended.report.confirmed[Op.RENAME] == 3
    assert on_list(world) == {"b", "c", "d", "p", "q", "stays", "takes", "case"}
    assert set(world.told(ended, "held")) >= {"x", "y"}
    assert {key: row["email"] for key, row in world.known().items()} == {
        number: f"{local}@example.com"
        for number, local in {
            "i": "b", "j": "c", "k": "d", "x": "p", "y": "q", "s": "stays", "t": "takes", "u": "case"
        }.items()
    }  # fmt: skip
    world.assert_never_two_requests_for_one_contact()
    world.assert_nobody_was_raised()


@pytest.mark.parametrize("collision", RenameCollision)
def test_a15_an_address_a_stranger_has_is_taken_from_nobody_in_silence(
    make: "Make", collision: RenameCollision
) -> None:
    world = make(key="id", behaviour=Behaviour(rename_collision=collision))
    world.sync(crm(i="a", j="b"))
    world.seed({"email": "new@example.com", "active": False})

    ended = world.sync(crm(i="new", j="b"))

    world.assert_active_is_always_said()
    world.assert_state_is_what_the_list_holds(but=world.told(ended, "rejected", "unresolved"))
    if collision is RenameCollision.ERROR:
        assert world.told(ended, "rejected", "unresolved") == {"i"}
        assert (on_list(world), world.holds("new@example.com").active) == ({"a", "b", "new"}, False)


@pytest.mark.parametrize("consent", Consent)
def test_a15_an_address_known_as_unsubscribed_is_taken_over_as_unsubscribed(make: "Make", consent: Consent) -> None:
    world = make(key="id", consent=consent)
    world.sync(crm(i="a", j="b"))
    with transaction(world.connection) as db:  # as a webhook would tell
        db.execute(
            "INSERT INTO suppressions (list, address, kind, origin, at) "
            "VALUES ('memory', 'left@example.com', 'unsubscribed', 'webhook', '2026-01-01T00:00:00+00:00')"
        )

    world.sync(crm(i="left", j="b"))

    assert (world.holds("left@example.com").active, world.holds("b@example.com").active) == (False, True)
    world.assert_nobody_was_raised()


def test_a16_a_rename_carried_out_and_not_told_makes_one_contact_though_the_process_died(make: "Make") -> None:
    """Two requests are sent and carried out, their answers are lost, and the run is stopped: the next one asks again
    under the old address, is told that nobody has it, and finds its contact under the new one.
    """
    lost = Fault(what=Drop(), when=When.AFTER_APPLY, endpoint=Endpoint.BATCH_UPDATE, times=2)
    world = make(key="id")
    before = {f"n{number}": f"old{number}" for number in range(120)}
    world.sync(crm(**before))
    world.sandbox.faults.add(lost)
    after = {number: address.replace("old", "new") for number, address in before.items()}

    world.sync(crm(**after), pace=Pace(concurrency=1, max_requests=1))
    world.connection.close()
    world.connection = open_ledger(world.folder / "state")
    world.state = StateStore(world.connection, world.folder / "state", "memory", "http://127.0.0.1")
    ended = world.sync(crm(**after))

    assert (ended.report.confirmed[Op.RENAME], ended.report.result) == (120, Result.OK)
    assert on_list(world) == set(after.values())
    world.assert_sound(ended.report, 120)


@pytest.mark.parametrize("unknown", RemoveUnknown)
def test_a17_removing_whom_nobody_knows_and_removing_twice_is_no_failure(make: "Make", unknown: RemoveUnknown) -> None:
    twice = Fault(what=Drop(), when=When.AFTER_APPLY, endpoint=Endpoint.CONTACTS_REMOVE)
    world = make(
        mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE}, behaviour=Behaviour(remove_unknown=unknown)
    )
    world.sync(people(60))
    gone = world.holds("user5@example.com")
    world.sandbox.act(world.contacts.id, gone.id, Act.REMOVE)
    world.sandbox.faults.add(twice)

    ended = world.sync(people(60)[20:])

    assert on_list(world) == {f"user{number}" for number in range(20, 60)}
    assert (ended.report.confirmed[Op.REMOVE], ended.report.rejected, ended.report.unresolved) == (20, 0, 0)


def test_a17_who_leaves_under_one_id_and_comes_under_another_stays(make: "Make") -> None:
    """Remove and add of one address in one source: it is the same contact, so that nobody is removed."""
    world = make(key="id", mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync(crm(i="a", j="b"))

    world.sync(crm(k="a", j="b"))

    assert on_list(world) == {"a", "b"}
    assert world.counted()[Endpoint.CONTACTS_REMOVE] == 0


def test_a17_who_was_removed_and_comes_back_is_added_again(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync(people(10))
    world.sync(people(10)[1:])
    assert "user0" not in on_list(world)

    ended = world.sync(people(10))

    assert (ended.report.confirmed[Op.ADD], len(on_list(world))) == (1, 10)


SPELLINGS = [" Anna.Berg@Example.com ", "bo+news@example.com", "CARL@EXAMPLE.COM", "dora@BÜCHER.example"]


@pytest.mark.parametrize("normalisation", Normalisation)
@pytest.mark.parametrize("case_sensitive", [False, True])
def test_a18_whatever_the_service_makes_of_a_spelling_a_second_run_sends_nothing(
    make: "Make", normalisation: Normalisation, *, case_sensitive: bool
) -> None:
    world = make(behaviour=Behaviour(normalisation=normalisation, case_sensitive=case_sensitive))
    rows: list[Row] = [{"email": email, "active": "yes", "name": "A"} for email in SPELLINGS]

    first = world.sync(rows)
    sent = len(world.sent)
    again = world.sync(list(reversed(rows)))
    changed = world.sync([{**one, "name": "B"} for one in rows])

    assert (first.report.confirmed[Op.ADD], again.report.same) == (4, 4)
    assert len(world.sent) == sent + 1  # and none of them was the second run's
    assert changed.report.confirmed[Op.UPDATE] == 4
    assert {contact.name for contact in world.contacts.contacts.values()} == {"B"}
    assert len(world.contacts.contacts) == 4


@pytest.mark.parametrize("omitted", OmittedActive)
def test_a19_an_update_says_everything_again_so_that_nothing_is_erased_by_leaving_it_out(
    make: "Make", omitted: OmittedActive
) -> None:
    world = make(behaviour=Behaviour(update=Update.REPLACES, omitted_active=omitted))
    rows: list[Row] = [{**one, "name": "Ann", "city": "Almaty", "shoe": "38"} for one in people(50)]
    world.sync(rows)

    ended = world.sync([{**one, "shoe": "39"} for one in rows])

    assert ended.report.confirmed[Op.UPDATE] == 50
    held = {(one.active, one.name, json.dumps(one.variables)) for one in world.contacts.contacts.values()}
    assert held == {(True, "Ann", '{"city": "Almaty", "shoe": "39"}')}
    world.assert_sound(ended.report, 50)


def test_a20_what_somebody_changes_at_the_service_is_overwritten_by_the_next_change_of_its_row(make: "Make") -> None:
    """Nobody can see it: the API can't be read. What is sent next is the whole contact, so that it converges."""
    world = make()
    rows: list[Row] = [{**one, "name": "Ann", "city": "Almaty"} for one in people(20)]
    world.sync(rows)
    edited = world.holds("user3@example.com")
    edited.name, edited.variables["city"] = "Edited", "Elsewhere"
    sent = len(world.sent)

    unseen = world.sync(list(reversed(rows)))
    world.sync([{**one, "city": "Astana"} if one["email"] == "user3@example.com" else one for one in rows])

    assert unseen.report.same == 20
    contact = world.holds("user3@example.com")
    assert (contact.name, contact.variables["city"], len(world.sent)) == ("Ann", "Astana", sent + 1)


def test_a21_an_answer_of_many_megabytes_of_errors_is_no_answer_and_takes_no_memory(make: "Make") -> None:
    flood = b'{"result":true,"updated":[],"errors":[' + b",".join([b'"Something is wrong"'] * 250_000) + b"]}"
    larger = b'{"result":true,"updated":[],"errors":["' + b"x" * 9_000_000 + b'"]}'
    world = make()
    world.sync(people(200))
    world.sandbox.faults.add(
        Fault(what=RawBody(flood), endpoint=Endpoint.BATCH_UPDATE, times=2),
        Fault(what=RawBody(larger), endpoint=Endpoint.BATCH_UPDATE, nth=3, times=2),
    )

    tracemalloc.start()
    try:
        ended = world.sync(people(200, city="Astana"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (ended.report.confirmed[Op.UPDATE], ended.report.rejected) == (200, 0)
    world.assert_sound(ended.report, 200)
    assert peak < 128 << 20
    assert pl.read_csv(ended.report.paths["errors"]).height == 0
