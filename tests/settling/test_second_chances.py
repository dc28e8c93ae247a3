"""A refusal is remembered with what it was for, and the contact is sent again when that could turn out otherwise."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.config.model import Bound
from syncengine.errors import ConfigError, StateError
from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.normalise.mapping import Empty, VariableRule
from syncengine.report import Result
from syncengine.sandbox.behaviour import Behaviour, Update
from syncengine.sandbox.contract import Endpoint, VariableType
from syncengine.sandbox.faults import Fault, RawBody
from syncengine.state import StateStore
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World


def row(who: str, /, active: str = "yes", **cells: str | None) -> "Row":
    return {"email": f"{who}@example.com", "active": active, **cells}


def dated(world: "World") -> None:
    """The list takes only dates for `born`; the state does not know."""
    world.contacts.add_variable("born", VariableType.DATE)


def test_a_rejected_contact_is_not_sent_again_until_its_row_changes(make: "Make") -> None:
    world = make()
    dated(world)
    first = world.sync([row("a", born="soon"), row("b", born="1990-01-01")])
    sent = len(world.sent)

    again = world.sync([row("b", born="1990-01-01"), row("a", born="soon")])
    assert (first.report.result, again.report.result) == (Result.REJECTED, Result.OK)
    assert (again.report.held_by_code, len(world.sent)) == ({"rejected-before": 1}, sent)

    changed = world.sync([row("b", born="1990-01-01"), row("a", born="1991-01-01")])
    assert (changed.report.confirmed[Op.ADD], changed.report.held) == (1, 0)


def test_a_rejected_contact_whose_consent_was_lowered_is_not_sent_every_night(make: "Make") -> None:
    """Two rows contradict each other about it: what is sent is neither's, and is remembered all the same."""
    world = make()
    dated(world)
    rows = [row("a", born="soon", active="no"), row("a", born="soon"), row("b", born="1990-01-01")]
    world.sync(rows)
    sent = len(world.sent)

    again = world.sync(list(reversed(rows)))
    assert (again.report.held_by_code, len(world.sent)) == ({"duplicate": 1, "rejected-before": 1}, sent)

    healed = world.sync([row("a", born="1991-01-01", active="no"), row("a", born="1991-01-01"), rows[2]])
    assert (healed.report.confirmed[Op.ADD], world.holds("a@example.com").active) == (1, False)


def test_under_keep_a_rejected_contact_that_stays_off_is_not_sent_every_night(make: "Make") -> None:
    world = make(consent=Consent.KEEP)
    dated(world)
    world.sync([row("a", born="1990-01-01", active="no")])
    world.sync([row("a", born="soon")])
    sent = len(world.sent)

    again = world.sync([row("a", born="soon"), row("b", born="1990-01-01", active="")])

    assert (again.report.held_by_code["rejected-before"], len(world.sent)) == (1, sent)


def test_what_was_rejected_under_one_mode_is_sent_under_another(make: "Make") -> None:
    world = make(mode=Mode.ADD)
    world.seed({"email": "a@example.com", "name": "Old", "active": False})
    assert world.sync([row("a", name="New")]).report.rejected == 1

    world.mode = Mode.UPSERT
    report = world.sync([row("a", name="New")]).report

    assert (report.confirmed[Op.ADD], world.holds("a@example.com").name) == (1, "New")


def test_what_was_rejected_is_sent_again_when_the_mapping_changes(make: "Make") -> None:
    world = make()
    dated(world)
    assert world.sync([row("a", born="soon"), row("b", born="1990-01-01")]).report.rejected == 1

    report = world.sync(
        [row("a", born="soon"), row("b", born="1990-01-01")],
        variables=(VariableRule("birthday", "born"),),
    ).report

    assert (report.held, report.confirmed[Op.ADD], world.holds("a@example.com").variables["birthday"]) == (0, 1, "soon")


def test_whose_consent_is_unknown_is_not_asked_for_again_whatever_the_row_says(make: "Make") -> None:
    world = make(consent=Consent.KEEP)
    world.seed({"email": "a@example.com", "active": False})
    assert world.sync([row("a", name="One")]).report.unresolved == 1
    sent = len(world.sent)

    again = world.sync([row("a", name="Two")])

    assert (again.report.held_by_code, again.report.result, len(world.sent)) == (
        {"consent-unknown": 1},
        Result.OK,
        sent,
    )


def test_retry_sends_once_more_what_was_refused(make: "Make") -> None:
    world = make()
    dated(world)
    run = world.sync([row("a", born="soon")]).report.run
    del world.contacts.variables["born"]
    world.contacts._forget_shapes()
    world.contacts.add_variable("born", VariableType.STRING)

    assert world.state.drop_refusals(run=run) == 1

    assert world.sync([row("a", born="soon")]).report.confirmed[Op.ADD] == 1


@pytest.mark.parametrize("on_missing", [OnMissing.REMOVE, OnMissing.UNSUBSCRIBE])
def test_who_left_and_may_not_be_taken_off_is_not_asked_for_every_night(make: "Make", on_missing: OnMissing) -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": on_missing})
    rows = [row(name) for name in "abcd"]
    world.sync(rows)
    world.refuse = frozenset({"a@example.com"})
    first = world.sync(rows[1:]).report
    sent = len(world.sent)

    again = world.sync(list(reversed(rows[1:]))).report

    assert (first.rejected, again.rejected, len(world.sent)) == (1, 0, sent)


# -- plans that were made under other circumstances ------------------------------------------------------------------


def interrupted(world: "World") -> None:
    world.sync([row(f"user{number}") for number in range(300)], pace=Pace(concurrency=1, max_requests=1))


@pytest.mark.parametrize("change", [{"mode": Mode.UPDATE}, {"consent": Consent.KEEP}])
def test_a_plan_made_under_other_terms_is_not_gone_on_with(make: "Make", change: Mapping[str, object]) -> None:
    """Planned under `source` it subscribes people; under `keep` nobody may be raised."""
    world = make()
    interrupted(world)
    sent = len(world.sent)

    with pytest.raises(ConfigError) as refused:
        world.sync([row("a")], **change)

    assert (refused.value.code, len(world.sent)) == ("run-other-terms", sent)
    assert "--fresh" in refused.value.fix
    assert world.sync([row("a")], fresh=True, **change).report.pending == 0


def test_a_plan_for_another_list_is_not_carried_out_on_this_one(make: "Make") -> None:
    world = make()
    interrupted(world)
    world.connection.execute("UPDATE runs SET list = 'elsewhere'")
    sent = len(world.sent)

    with pytest.raises(ConfigError) as refused:
        world.sync([row("a")])
    assert ("elsewhere" in refused.value.why, len(world.sent)) == (True, sent)

    world.sync([row("a")], fresh=True)
    assert set(world.known()) == {"a@example.com"}  # what the other list was sent is no knowledge about this one


def test_a_plan_is_not_gone_on_with_in_another_account(make: "Make") -> None:
    world = make()
    world.sync([row("z")])
    interrupted(world)
    sent = len(world.sent)
    world.state = StateStore(world.connection, world.folder / "state", "memory", "https://elsewhere.example")

    with pytest.raises(StateError):
        world.sync([row("a")])

    assert len(world.sent) == sent


# -- what an update carries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", Update)
@pytest.mark.parametrize(
    ("empty", "cell", "held"), [(Empty.SKIP, "Almaty", "Almaty"), (Empty.CLEAR, "Almaty", ""), (Empty.SEND, "", "")]
)
def test_the_null_policy_of_a_variable_holds_whatever_an_update_erases(
    make: "Make", update: Update, empty: Empty, cell: str, held: str
) -> None:
    world = make(
        behaviour=Behaviour(update=update), settings={"variables": (VariableRule("city", "city", empty=empty),)}
    )
    world.sync([row("a", city=cell, name="Ann")])

    report = world.sync([row("a", city=None, name="Anna")]).report

    assert (report.confirmed[Op.UPDATE], world.holds("a@example.com").variables["city"]) == (1, held)
    world.assert_sound(report, 1)
    assert world.sync([row("a", city=None, name="Anna"), row("b", city="X", name="B")]).report.same == 1


def test_a_changed_mapping_sends_only_whose_content_changes(make: "Make") -> None:
    world = make()
    rows = [row(name, city="X", note="N" if name in "ab" else None) for name in "abcde"]
    world.sync(rows, variables=(VariableRule("city", "city"),))
    world.sent.clear()

    report = world.sync(rows, variables=(VariableRule("city", "city"), VariableRule("note", "note"))).report

    assert (report.confirmed[Op.UPDATE], report.same) == (2, 3)
    updates = [sent for sent in world.sent if sent.endpoint is Endpoint.BATCH_UPDATE]
    assert [address for sent in updates for address, _ in sent.contacts] == ["a@example.com", "b@example.com"]


def test_exit_3_counts_only_who_is_newly_rejected(make: "Make") -> None:
    world = make()
    dated(world)
    bad = [row(f"bad{number}", born="soon") for number in range(3)]
    assert world.sync(bad[:1]).report.result is Result.REJECTED

    assert world.sync(bad[:1]).report.result is Result.OK
    one_more = world.sync(bad[:2], fail_on=Bound(count=1)).report
    assert (one_more.result, one_more.rejected, one_more.held_by_code) == (Result.OK, 1, {"rejected-before": 1})
    another = world.sync(bad).report
    assert (another.result, another.rejected) == (Result.REJECTED, 1)


def test_what_nobody_could_tell_is_sent_again_by_the_next_run(make: "Make") -> None:
    world = make()
    world.sync([row("a", city="A"), row("b", city="A")])
    world.sandbox.faults.add(Fault(what=RawBody(b"{}"), times=None))

    unsure = world.sync([row("a", city="B"), row("b", city="A")]).report
    world.sandbox.faults.clear()
    later = world.sync([row("a", city="B"), row("b", city="A")]).report

    assert (unsure.unresolved + unsure.pending, unsure.confirmed[Op.UPDATE]) == (1, 0)
    assert (later.confirmed[Op.UPDATE], world.holds("a@example.com").variables["city"]) == (1, "B")


def test_words_we_do_not_know_are_told_as_they_are(make: "Make") -> None:
    words = 'Mailbox “a” sulks today, says "post"'
    body = json.dumps({"result": False, "error_stack": [words], "requestId": "1"}).encode()
    world = make(faults=(Fault(what=RawBody(body), times=None),))

    ended = world.sync([row("a")])

    lines = pl.read_csv(ended.report.paths["errors"], infer_schema=False)
    assert lines.select("stage", "code", "reason").rows() == [("rejected", "unknown-text", words)]
