"""The promises of the product, each over a whole run: a source in, a list and a report out."""

from dataclasses import replace

import anyio
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.config.model import Bound
from syncengine.errors import GuardError, RefusedError
from syncengine.guards import Guards
from syncengine.model import Call, Consent, Fatal, Mode, NoAnswer, OnMissing, Op
from syncengine.normalise.addresses import address_key
from syncengine.planning import LEAVERS_AT_A_TIME
from syncengine.ports import SourceSeen
from syncengine.report import Result
from syncengine.testing import (
    FrameSource,
    MemoryDestination,
    MemoryJournal,
    MemoryStateStore,
    Trial,
    people,
    run_sync,
    source,
)
from syncengine.testing.destination import Held

pytestmark = pytest.mark.anyio


def on_list(to: MemoryDestination) -> dict[str, bool]:
    return {key: contact.active for key, contact in to.contacts.items()}


def put(to: MemoryDestination, email: str, *, active: bool, **variables: str) -> None:
    """A contact that was there before us."""
    to.contacts[address_key(email)] = Held(email, None, active, variables)


async def test_a_rejected_contact_is_told_and_the_rest_are_kept(trial: Trial, to: MemoryDestination) -> None:
    to.reject["b@example.org"] = "b@example.org has no mailbox"

    report = (await run_sync(trial, source("a@example.org", "b@example.org"))).report

    assert (report.confirmed[Op.ADD], report.rejected, report.result) == (1, 1, Result.REJECTED)
    assert on_list(to) == {"a@example.org": True}
    assert list(trial.state.snapshot().rows_at([0])["key"]) == ["a@example.org"]


async def test_a_second_run_over_the_same_source_sends_nothing(trial: Trial, to: MemoryDestination) -> None:
    rows = FrameSource(people(250))
    first = (await run_sync(trial, rows)).report
    requests = to.requests

    second = (await run_sync(trial, rows)).report

    assert (first.confirmed[Op.ADD], first.result) == (250, Result.OK)
    assert (second.same, second.result, to.requests) == (250, Result.OK, requests)


async def test_a_rewritten_file_of_the_same_content_in_another_order_sends_nothing(
    trial: Trial, to: MemoryDestination
) -> None:
    await run_sync(trial, FrameSource(people(250)))
    requests = to.requests

    report = (await run_sync(trial, FrameSource(people(250).reverse(), chunk_rows=17))).report

    assert (report.same, to.requests) == (250, requests)


async def test_one_changed_cell_sends_one_contact(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, FrameSource(people(250)))
    to.sent.clear()

    report = (await run_sync(trial, FrameSource(people(250, city={7: "Astana"})))).report

    assert (report.confirmed[Op.UPDATE], report.same) == (1, 249)
    assert to.sent == [(Call.UPDATE, ("user7@example.com",))]
    assert to.contacts["user7@example.com"].variables == {"city": "Astana"}


async def test_a_column_that_is_not_mapped_never_causes_a_call(trial: Trial, to: MemoryDestination) -> None:
    from syncengine.normalise.mapping import VariableRule

    trial.variables = (VariableRule("city", "city"),)
    await run_sync(trial, FrameSource(people(10).with_columns(crm=pl.lit("1"))))
    requests = to.requests

    report = (await run_sync(trial, FrameSource(people(10).with_columns(crm=pl.lit("2"))))).report

    assert (report.same, to.requests) == (10, requests)


async def test_every_row_is_accounted_for(trial: Trial) -> None:
    rows = source(
        "a@example.org", "not an address", "", "A@Example.org ", "c@example.org", "d@example.org",
        active=["yes", "yes", "yes", "no", "", "perhaps"],
    )  # fmt: skip

    report = (await run_sync(trial, rows)).report

    assert report.rows == report.held + report.same + report.confirmed[Op.ADD] == 6
    assert report.held_by_code == {
        "active-empty": 1,
        "active-unreadable": 1,
        "duplicate": 1,
        "email-empty": 1,
        "email-invalid": 1,
    }


async def test_rows_that_contradict_each_other_are_not_mailed(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, source("a@example.org", "A@example.org", active=["no", "yes"]))

    assert on_list(to) == {"a@example.org": False}


async def test_an_exact_copy_of_a_row_is_a_duplicate_in_every_run(trial: Trial) -> None:
    rows = people(5)
    await run_sync(trial, FrameSource(rows))

    report = (await run_sync(trial, FrameSource(pl.concat([rows, rows.head(2)]), chunk_rows=5))).report

    assert (report.same, report.held_by_code) == (5, {"duplicate": 2})


async def test_a_later_row_that_differs_beats_an_unchanged_one(trial: Trial, to: MemoryDestination) -> None:
    rows = people(5)
    await run_sync(trial, FrameSource(rows))
    changed = people(5, city={2: "Astana"}).slice(2, 1)

    report = (await run_sync(trial, FrameSource(pl.concat([rows, changed]), chunk_rows=2))).report

    assert (report.same, report.confirmed[Op.UPDATE], report.held) == (4, 1, 1)
    assert to.contacts["user2@example.com"].variables["city"] == "Astana"


HELD = "A\x01"  #: a cell that has its row held
CITIES = ("A", "B", HELD)


@settings(deadline=None, max_examples=300)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(CITIES), st.sampled_from(["yes", "no"])), min_size=1),
    chunk_rows=st.integers(1, 4),
)
@example(rows=[(0, "A", "yes"), (0, "B", "yes"), (0, "A", "yes")], chunk_rows=2)
@example(rows=[(0, "A", "yes"), (0, HELD, "no")], chunk_rows=1)
@example(rows=[(0, HELD, "no"), (0, "A", "no"), (0, "B", "yes")], chunk_rows=2)
@example(rows=[(1, "A", "yes"), (0, "A", "yes"), (0, "B", "yes"), (0, "A", "yes")], chunk_rows=2)
def test_the_last_row_of_a_contact_counts_wherever_chunks_end(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]], chunk_rows: int
) -> None:
    """And nobody is subscribed whom one of their rows says not to be, one that is held included."""
    journal, to = MemoryJournal(), MemoryDestination()
    trial = Trial(tmp_path_factory.mktemp("trial"), to, MemoryStateStore(journal), journal)
    addresses = [f"user{number}@example.com" for number in range(3)]
    expected = dict.fromkeys(addresses, ("A", True))
    for number, city, _ in rows:
        subscribed = all(active == "yes" for other, _, active in rows if other == number)
        if city != HELD:
            expected[addresses[number]] = (city, subscribed)

    def again(chunk_rows: int) -> FrameSource:
        numbers, cities, actives = zip(*rows, strict=True)
        told = {"email": [addresses[number] for number in numbers], "active": actives, "city": cities}
        return FrameSource(pl.DataFrame(told), chunk_rows=chunk_rows)

    async def nights() -> None:
        await run_sync(trial, source(*addresses, city=["A"] * 3))
        await run_sync(trial, again(chunk_rows))
        assert {address: (held.variables["city"], held.active) for address, held in to.contacts.items()} == expected
        sent = len(to.sent)
        await run_sync(trial, again(chunk_rows + 1))
        assert len(to.sent) == sent

    anyio.run(nights)


@pytest.mark.parametrize("active", ["", "perhaps", "no\x01"])
async def test_nobody_is_subscribed_of_whom_a_held_row_may_say_no(
    trial: Trial, to: MemoryDestination, active: str
) -> None:
    told = source(
        "a@example.org", "a@example.org", "b@example.org", active=[active, "yes", "yes"], city=[HELD, "A", "A"]
    )

    await run_sync(trial, told)

    assert on_list(to) == {"b@example.org": True}


async def test_the_no_of_a_cell_with_several_addresses_is_that_of_each(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, source("a@example.org", "b@example.org"))

    told = source("a@example.org; c@example.org", "a@example.org", "c@example.org", active=["no", "yes", "yes"])
    await run_sync(trial, told)

    assert on_list(to) == {"a@example.org": False, "b@example.org": True, "c@example.org": False}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("key", ["1", ""])
async def test_the_no_of_a_held_row_is_heard_by_whoever_has_its_address(
    trial: Trial, to: MemoryDestination, key: str, *, known: bool
) -> None:
    """Under another id, or none."""
    trial.key = "id"
    if known:
        await run_sync(trial, source("a@example.org", "b@example.org", id=["2", "3"], city=["A", "A"]))
    told = {"id": [key, "2", "3"], "active": ["no", "yes", "yes"], "city": [HELD, "A", "A"]}
    rows = ("a@example.org", "a@example.org", "b@example.org")

    await run_sync(trial, source(*rows, **told))

    assert on_list(to) == {"a@example.org": False, "b@example.org": True}
    requests = to.requests
    await run_sync(trial, FrameSource(pl.DataFrame({"email": rows, **told}).reverse()))
    assert to.requests == requests


# -- consent --------------------------------------------------------------------------------------------------------


async def test_active_is_what_the_file_says_under_source(trial: Trial, to: MemoryDestination) -> None:
    put(to, "a@example.org", active=False)
    put(to, "b@example.org", active=True)

    await run_sync(trial, source("a@example.org", "b@example.org", active=["yes", "no"]))

    assert on_list(to) == {"a@example.org": True, "b@example.org": False}


async def test_under_keep_an_unknown_contact_of_the_list_is_left_alone(trial: Trial, to: MemoryDestination) -> None:
    trial.consent = Consent.KEEP
    put(to, "a@example.org", active=False)

    ended = await run_sync(trial, source("a@example.org", "b@example.org"))

    assert on_list(to) == {"a@example.org": False, "b@example.org": True}
    assert (ended.report.unresolved, ended.report.result) == (1, Result.REJECTED)
    assert to.raised == []


async def test_what_is_unresolved_for_its_consent_is_not_sent_again(trial: Trial, to: MemoryDestination) -> None:
    trial.consent = Consent.KEEP
    put(to, "a@example.org", active=False)
    await run_sync(trial, source("a@example.org", "b@example.org"))
    to.sent.clear()

    report = (await run_sync(trial, source("a@example.org", "b@example.org", "c@example.org"))).report

    assert report.held_by_code == {"consent-unknown": 1}
    assert to.sent == [(Call.ADD, ("c@example.org",))]
    assert report.result is Result.OK


async def test_under_keep_nobody_goes_from_off_to_on(trial: Trial, to: MemoryDestination) -> None:
    trial.consent = Consent.KEEP
    await run_sync(trial, source("a@example.org", "b@example.org", active=["no", "yes"], city=["X", "X"]))

    report = (await run_sync(trial, source("a@example.org", "b@example.org", city=["Y", "X"]))).report

    assert on_list(to) == {"a@example.org": False, "b@example.org": True}
    assert to.contacts["a@example.org"].variables == {"city": "Y"}
    assert report.confirmed[Op.UPDATE] == 1
    assert (await run_sync(trial, source("b@example.org", "a@example.org", city=["X", "Y"]))).report.same == 2


async def test_under_source_only_the_row_raises_a_contact(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, source("a@example.org", active=["no"]))

    await run_sync(trial, source("a@example.org", active=["yes"]))

    assert on_list(to) == {"a@example.org": True}


async def test_who_unsubscribed_at_the_service_is_never_sent_as_active(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, source("a@example.org", "b@example.org", city=["X", "X"]))
    to.contacts["a@example.org"].active = False
    trial.state.suppressed = ["a@example.org", "c@example.org"]

    report = (
        await run_sync(trial, source("a@example.org", "b@example.org", "c@example.org", city=["Y", "X", "X"]))
    ).report

    assert on_list(to) == {"a@example.org": False, "b@example.org": True}
    assert to.contacts["a@example.org"].variables == {"city": "Y"}
    assert report.held_by_code == {"suppressed": 1}
    assert to.raised == []


# -- rejected contacts -----------------------------------------------------------------------------------------------


async def test_a_rejected_contact_is_sent_again_when_its_row_changes(trial: Trial, to: MemoryDestination) -> None:
    to.reject["b@example.org"] = "b@example.org is too old"
    await run_sync(trial, source("a@example.org", "b@example.org", city=["X", "X"]))
    to.sent.clear()

    unchanged = (await run_sync(trial, source("b@example.org", "a@example.org", city=["X", "X"]))).report
    assert (unchanged.held_by_code, unchanged.result, to.sent) == ({"rejected-before": 1}, Result.OK, [])

    del to.reject["b@example.org"]
    changed = (await run_sync(trial, source("a@example.org", "b@example.org", city=["X", "Y"]))).report
    assert (changed.confirmed[Op.ADD], changed.held) == (1, 0)


async def test_few_enough_rejections_are_no_failure(trial: Trial, to: MemoryDestination) -> None:
    to.reject["user3@example.com"] = "user3@example.com is refused"
    trial.fail_on = Bound(share=0.01)

    report = (await run_sync(trial, FrameSource(people(100)))).report

    assert (report.rejected, report.result) == (1, Result.OK)


# -- mirror ------------------------------------------------------------------------------------------------------------


async def test_a_mirror_unsubscribes_who_left_once(trial: Trial, to: MemoryDestination) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, FrameSource(people(20)))

    report = (await run_sync(trial, FrameSource(people(19)))).report
    assert (report.confirmed[Op.UNSUBSCRIBE], to.contacts["user19@example.com"].active) == (1, False)
    assert to.contacts["user19@example.com"].variables == {"city": "City 5"}

    again = (await run_sync(trial, FrameSource(people(19).reverse()))).report
    assert (again.planned[Op.UNSUBSCRIBE], again.same) == (0, 19)


async def test_however_many_left_a_mirror_unsubscribes_each_of_them_once(trial: Trial, to: MemoryDestination) -> None:
    """More than are read and planned together."""
    trial.mode = Mode.MIRROR
    everybody = people(LEAVERS_AT_A_TIME + 150)
    await run_sync(trial, FrameSource(everybody))
    to.sent.clear()

    report = (await run_sync(trial, FrameSource(everybody.head(40)))).report

    left = [address for call, addresses in to.sent for address in addresses]
    assert report.confirmed[Op.UNSUBSCRIBE] == len(left) == len(set(left)) == LEAVERS_AT_A_TIME + 110
    assert [address for address, contact in to.contacts.items() if contact.active] == everybody["email"].to_list()[:40]


async def test_a_mirror_removes_who_left_last_of_all(trial: Trial, to: MemoryDestination) -> None:
    trial.mode, trial.on_missing = Mode.MIRROR, OnMissing.REMOVE
    await run_sync(trial, FrameSource(people(20)))
    to.sent.clear()

    report = (await run_sync(trial, FrameSource(people(20, first=1, city={4: "Z"})))).report

    assert (report.confirmed[Op.REMOVE], report.confirmed[Op.ADD], report.confirmed[Op.UPDATE]) == (1, 1, 1)
    assert "user0@example.com" not in to.contacts
    assert [call for call, _ in to.sent] == [Call.UPDATE, Call.ADD, Call.REMOVE]
    assert trial.state.snapshot().size == 20


async def test_who_comes_back_is_subscribed_again_only_where_the_file_decides(
    trial: Trial, to: MemoryDestination
) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, FrameSource(people(3)))
    await run_sync(trial, FrameSource(people(2)))

    trial.consent = Consent.KEEP
    await run_sync(trial, FrameSource(people(3)))
    assert to.contacts["user2@example.com"].active is False

    trial.consent = Consent.SOURCE
    await run_sync(trial, FrameSource(people(3)))
    assert to.contacts["user2@example.com"].active is True


async def test_the_first_run_of_a_mirror_removes_nobody(trial: Trial, to: MemoryDestination) -> None:
    other = replace(trial, mode=Mode.UPSERT)
    await run_sync(other, FrameSource(people(20)))
    trial.mode = Mode.MIRROR
    trial.state._seen.clear()  # the list is known, but not from this job

    report = (await run_sync(trial, FrameSource(people(5)))).report

    assert report.planned[Op.UNSUBSCRIBE] == 0
    assert "first run" in report.spared
    assert all(on_list(to).values())


@pytest.mark.parametrize(
    ("left", "guard", "says"),
    [
        (10, Guards(Bound(share=0.05), Bound(share=1.0), Bound(share=1.0)), "--max-missing 50%"),
        (10, Guards(Bound(share=1.0), Bound(share=0.2), Bound(share=1.0)), "--max-shrink 50%"),
        (10, Guards(Bound(count=9), Bound(share=1.0), Bound(share=1.0)), "--max-missing"),
    ],
)
async def test_too_few_rows_stop_the_run_before_anything_is_sent(
    trial: Trial, to: MemoryDestination, left: int, guard: Guards, says: str
) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, FrameSource(people(20)))
    requests = to.requests
    trial.guards = guard

    ended = await run_sync(trial, FrameSource(people(left)))

    assert ended.report.result is Result.GUARD
    assert isinstance(ended.problem, GuardError)
    assert says in ended.problem.fix
    assert to.requests == requests


async def test_an_empty_source_removes_nobody(trial: Trial, to: MemoryDestination) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, FrameSource(people(20)))

    ended = await run_sync(trial, FrameSource(people(20).clear()))

    assert ended.report.result is Result.GUARD
    assert len(to.contacts) == 20
    assert all(on_list(to).values())


async def test_a_contact_whose_row_is_held_has_not_left(trial: Trial, to: MemoryDestination) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, source("a@example.org", "b@example.org"))

    report = (await run_sync(trial, source("a@example.org", "b@example.org", active=["yes", ""]))).report

    assert (report.held_by_code, report.planned[Op.UNSUBSCRIBE]) == ({"active-empty": 1}, 0)
    assert on_list(to) == {"a@example.org": True, "b@example.org": True}


# -- modes -------------------------------------------------------------------------------------------------------------


async def test_update_mode_adds_nobody(trial: Trial, to: MemoryDestination) -> None:
    trial.mode = Mode.UPDATE
    put(to, "a@example.org", active=True)

    report = (await run_sync(trial, source("a@example.org", "b@example.org"))).report

    assert (report.confirmed[Op.UPDATE], report.rejected) == (1, 1)
    assert set(to.contacts) == {"a@example.org"}


async def test_add_mode_updates_nobody(trial: Trial, to: MemoryDestination) -> None:
    trial.mode = Mode.ADD
    put(to, "a@example.org", active=False)
    first = (await run_sync(trial, source("a@example.org", "b@example.org", city=["X", "X"]))).report

    second = (await run_sync(trial, source("a@example.org", "b@example.org", city=["X", "Y"]))).report

    assert (first.confirmed[Op.ADD], first.rejected) == (1, 1)
    assert second.held_by_code == {"add-only": 1, "rejected-before": 1}
    assert to.contacts["b@example.org"].variables == {"city": "X"}


# -- trouble -----------------------------------------------------------------------------------------------------------


async def test_a_refused_token_stops_at_once_and_the_run_goes_on_later(trial: Trial, to: MemoryDestination) -> None:
    rows = FrameSource(people(300).drop("city"))
    to.fail_next.append(Fatal("token-refused", "API Key *** does not exist."))

    stopped = await run_sync(trial, rows)
    assert (stopped.report.result, isinstance(stopped.problem, RefusedError)) == (Result.REFUSED, True)
    assert stopped.report.pending + stopped.report.confirmed[Op.ADD] == 300

    resumed = (await run_sync(trial, rows)).report
    assert (resumed.result, resumed.resumed, len(to.contacts)) == (Result.OK, True, 300)


async def test_a_resumed_run_sends_only_what_is_not_confirmed(trial: Trial, to: MemoryDestination) -> None:
    rows = FrameSource(people(500).drop("city"))
    trial.pace = replace(trial.pace, max_requests=2, concurrency=1)
    first = (await run_sync(trial, rows)).report
    confirmed = {email for _, emails in to.sent for email in emails}
    to.sent.clear()
    trial.pace = replace(trial.pace, max_requests=None)

    second = (await run_sync(trial, FrameSource(people(600).drop("city")))).report

    sent_again = confirmed & {email for _, emails in to.sent for email in emails}
    assert (first.result, first.pending) == (Result.INTERRUPTED, 500 - len(confirmed))
    assert sent_again == set()
    assert (second.confirmed[Op.ADD], second.rows) == (500, 500)
    assert (await run_sync(trial, FrameSource(people(600).drop("city")))).report.confirmed[Op.ADD] == 100


async def test_fresh_drops_the_old_plan_and_keeps_what_it_confirmed(trial: Trial, to: MemoryDestination) -> None:
    trial.pace = replace(trial.pace, max_requests=2, concurrency=1)
    await run_sync(trial, FrameSource(people(500).drop("city")))
    confirmed = len(to.contacts)
    trial.pace = replace(trial.pace, max_requests=None)

    report = (await run_sync(trial, FrameSource(people(300).drop("city")), fresh=True)).report

    assert (report.same, report.confirmed[Op.ADD]) == (confirmed, 300 - confirmed)


async def test_a_variable_is_created_once_before_the_first_contact_that_needs_it(
    trial: Trial, to: MemoryDestination
) -> None:
    dates = pl.Series(["2024-02-29"] * 5)
    rows = people(5).with_columns(born=dates, empty=pl.lit(None, pl.String))

    report = (await run_sync(trial, FrameSource(rows))).report

    assert {name: variable.type.value for name, variable in to.variables.items()} == {"city": "string", "born": "date"}
    assert report.variables_created == ("city", "born")
    assert (await run_sync(trial, FrameSource(rows.reverse()))).report.variables_created == ()


async def test_a_variable_the_list_loses_in_mid_run_is_created_again(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, FrameSource(people(5)))
    to.variables.clear()

    report = (await run_sync(trial, FrameSource(people(10)))).report

    assert (report.confirmed[Op.ADD], report.result) == (5, Result.OK)
    assert set(to.variables) == {"city"}


async def test_an_emptied_cell_clears_what_the_list_has(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, source("a@example.org", city=["Almaty"], name=["Ann"]))

    report = (await run_sync(trial, source("a@example.org", city=[None], name=[""]))).report

    assert (to.contacts["a@example.org"].variables, to.contacts["a@example.org"].name) == ({"city": ""}, "")
    assert report.confirmed[Op.UPDATE] == 1
    assert (await run_sync(trial, source("a@example.org", city=[""], name=[""], more=[None]))).report.same == 1


async def test_cells_arrive_byte_for_byte(trial: Trial, to: MemoryDestination) -> None:
    cells = ["O'Neil", 'the "Blue"\\ Shop', "two\nlines", "🎂 =1+1", "Ünïcode Straße"]
    emails = [f"user{number}@example.com" for number in range(len(cells))]

    await run_sync(trial, source(*emails, name=cells, note=cells))

    assert [to.contacts[email].variables["note"] for email in emails] == cells
    assert [to.contacts[email].name for email in emails] == cells


async def test_a_lost_answer_is_sent_again_with_the_same_content(trial: Trial, to: MemoryDestination) -> None:
    to.fail_next.append(NoAnswer("reset by peer"))

    report = (await run_sync(trial, source("a@example.org"))).report

    assert (report.confirmed[Op.ADD], report.retries) == (1, 1)
    assert to.sent == [(Call.ADD, ("a@example.org",))] * 2


async def test_a_spelling_of_the_same_address_is_the_same_contact(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, source("Ann@Example.org", "b@bücher.example"))
    requests = to.requests

    report = (await run_sync(trial, source(" ann@example.org", "b@xn--bcher-kva.example"))).report

    assert (report.same, to.requests) == (2, requests)
    assert to.contacts["ann@example.org"].email == "Ann@Example.org"


def seen_of(trial: Trial) -> SourceSeen | None:
    return trial.state.seen("trial")


async def test_what_was_left_by_a_process_killed_while_it_planned_is_removed(trial: Trial) -> None:
    """Up to gigabytes of contacts; what finished runs left stays."""
    rows = people(5)
    await run_sync(trial, FrameSource(rows))
    (finished,) = (trial.folder / "runs").iterdir()
    kept = sorted(finished.rglob("*"))
    killed = trial.folder / "runs" / "killed"
    for name in (".scratch/rows/000-8.arrows", "plan/000000-add.parquet", "rows.notes", "log.jsonl"):
        (killed / name).parent.mkdir(parents=True, exist_ok=True)
        (killed / name).write_text("of contacts")

    await run_sync(trial, FrameSource(rows.reverse()))

    assert [path.name for path in killed.iterdir()] == ["log.jsonl"]
    assert sorted(finished.rglob("*")) == kept
