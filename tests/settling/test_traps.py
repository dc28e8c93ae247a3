"""Sixteen traps other tools of this kind fall into, each as a run against the sandbox. A name carries its number."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.config.model import Bound
from syncengine.errors import GuardError, SourceError
from syncengine.guards import Guards
from syncengine.ledger import transaction
from syncengine.model import Consent, Mode, OnMissing, Op
from syncengine.normalise.mapping import VariableRule
from syncengine.report import EXIT_CODES, Result
from syncengine.sandbox.account import Act
from syncengine.sandbox.contract import Endpoint, VariableType
from syncengine.sandbox.faults import Drop, Effect, Fault, Html, RawBody, Status, When
from syncengine.sources import SourceOptions, open_source
from syncengine.sync import Pace

if TYPE_CHECKING:
    from conftest import Make, Row, World


def row(who: str, /, *, active: str = "yes", **cells: str | None) -> "Row":
    return {"email": f"{who}@example.com", "active": active, **cells}


def people(count: int) -> list["Row"]:
    return [row(f"user{number}", city=f"City {number}") for number in range(count)]


def on_list(world: "World") -> set[str]:
    return {contact.email.removesuffix("@example.com") for contact in world.contacts.contacts.values()}


def test_trap_01_one_bad_contact_in_a_hundred_fails_alone(make: "Make") -> None:
    world = make()
    world.contacts.add_variable("born", VariableType.DATE)
    rows = [row(f"user{number}", born="soon" if number == 40 else "1990-01-01") for number in range(100)]

    report = world.sync(rows).report

    assert (report.confirmed[Op.ADD], report.rejected) == (99, 1)
    assert on_list(world) == {f"user{number}" for number in range(100)} - {"user40"}
    world.assert_sound(report, 100)


def test_trap_02_a_failed_row_is_held_and_told_in_every_run_and_never_skipped_in_silence(make: "Make") -> None:
    world = make()
    world.contacts.add_variable("born", VariableType.DATE)
    rows = [row("a", born="1990-01-01"), row("b", born="soon")]
    world.sync(rows)

    for _ in range(3):
        ended = world.sync(rows := list(reversed(rows)))
        assert (ended.report.held_by_code, world.told(ended, "held")) == ({"rejected-before": 1}, {"b@example.com"})


@pytest.mark.parametrize("when", When)
def test_trap_03_an_answer_that_never_came_loses_nothing_and_adds_nothing_twice(make: "Make", when: When) -> None:
    world = make(faults=(Fault(what=Drop(), when=when, endpoint=Endpoint.CONTACTS_ADD, times=2),))
    rows = people(300)
    world.sync(rows, pace=Pace(concurrency=1, max_requests=2))

    report = world.sync(rows).report

    assert (report.pending, report.rejected, report.unresolved) == (0, 0, 0)
    assert len(world.contacts.contacts) == 300
    world.assert_sound(report, 300, raised=[f"user{number}@example.com" for number in range(300)])


@pytest.mark.parametrize("effect", [Status(500), RawBody(b"\x00"), RawBody(b"[" * 100_000), Html()])
def test_trap_04_whatever_an_answer_does_to_us_every_contact_of_the_batch_has_a_verdict(
    make: "Make", effect: Effect
) -> None:
    world = make(faults=(Fault(what=effect, endpoint=Endpoint.CONTACTS_ADD, times=7),))  # type: ignore[arg-type]

    report = world.sync(people(40)).report

    assert report.confirmed[Op.ADD] + report.rejected + report.unresolved == 40
    world.assert_sound(report, 40)


def test_trap_05_an_apostrophe_arrives_as_an_apostrophe(make: "Make") -> None:
    world = make()

    world.sync([row("a", name="O'Neil", note='the "Blue" \\ Shop’s 🎂')])

    contact = world.holds("a@example.com")
    assert (contact.name, contact.variables) == ("O'Neil", {"note": 'the "Blue" \\ Shop’s 🎂'})


def test_trap_06_a_column_that_is_not_mapped_causes_no_call(make: "Make") -> None:
    world = make(settings={"variables": (VariableRule("city", "city"),)})
    world.sync([{**one, "crm": "1"} for one in people(20)])
    sent = len(world.sent)

    report = world.sync([{**one, "crm": "2"} for one in people(20)]).report

    assert (report.same, len(world.sent)) == (20, sent)


@pytest.mark.parametrize("consent", Consent)
def test_trap_07_who_opted_out_and_gets_a_new_address_stays_opted_out(make: "Make", consent: Consent) -> None:
    world = make(key="id", consent=consent)
    world.sync([row("old", id="1"), row("other", id="2")])
    world.sandbox.act(world.contacts.id, world.holds("old@example.com").id, Act.UNSUBSCRIBE)
    with transaction(world.connection) as db:  # as a webhook would tell
        db.execute(
            "INSERT INTO suppressions (list, address, kind, origin, at) "
            "VALUES ('memory', 'old@example.com', 'unsubscribed', 'webhook', '2026-01-01T00:00:00+00:00')"
        )

    report = world.sync([row("new", id="1"), row("other", id="2")]).report

    assert (report.confirmed[Op.RENAME], world.holds("new@example.com").active) == (1, False)
    assert on_list(world) == {"new", "other"}
    world.assert_nobody_was_raised()


def test_trap_08_only_who_left_is_removed(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync(people(10))

    report = world.sync(people(10)[1:]).report

    assert (report.confirmed[Op.REMOVE], on_list(world)) == (1, {f"user{number}" for number in range(1, 10)})
    removed = [
        address for sent in world.sent if sent.endpoint is Endpoint.CONTACTS_REMOVE for address, _ in sent.contacts
    ]
    assert removed == ["user0@example.com"]


def test_trap_09_who_left_before_a_plan_was_dropped_and_made_anew_is_still_removed(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync(people(300))
    changed = [row(f"user{number}", city="Moved") for number in range(10, 300)]
    world.sync(changed, pace=Pace(concurrency=1, max_requests=1))

    report = world.sync(changed, fresh=True).report

    assert (report.confirmed[Op.REMOVE], len(world.contacts.contacts)) == (10, 290)
    world.assert_sound(report, 290)


def test_trap_10_who_was_not_sent_when_a_run_was_stopped_goes_next_time(make: "Make") -> None:
    world = make()
    rows = people(500)
    stopped = world.sync(rows, pace=Pace(concurrency=1, max_requests=3)).report

    resumed = world.sync(rows).report

    assert (stopped.result, stopped.pending > 0) == (Result.INTERRUPTED, True)
    assert (resumed.resumed, len(on_list(world))) == (True, 500)


@pytest.mark.parametrize("left", [0, 5], ids=["empty", "truncated"])
def test_trap_11_a_truncated_or_empty_source_removes_nobody_and_the_exit_code_says_so(make: "Make", left: int) -> None:
    guards = Guards(Bound(share=0.05), Bound(share=0.2), Bound(share=0.5))
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE, "guards": guards})
    world.sync(people(100))
    sent = len(world.sent)

    ended = world.sync(pl.DataFrame(people(100)).head(left))

    assert isinstance(ended.problem, GuardError)
    assert (EXIT_CODES[ended.report.result], len(world.sent), len(world.contacts.contacts)) == (5, sent, 100)


def test_trap_11_an_unreadable_source_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as unreadable:
        open_source(SourceOptions("missing.csv", tmp_path))

    assert unreadable.value.exit_code == 2


def test_trap_12_of_two_rows_with_one_address_one_may_go(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync([row("a", name="Anna"), row("A", name="Ann"), row("b", name="Ben")])

    report = world.sync([row("a", name="Anna"), row("b", name="Ben")]).report

    assert (report.planned[Op.REMOVE], len(world.contacts.contacts)) == (0, 2)


def test_trap_12_of_two_ids_with_one_address_one_may_go(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, key="id", settings={"on_missing": OnMissing.REMOVE})
    world.sync([row("a", id="1"), row("a", id="2"), row("b", id="3")])

    for gone in ("1", "2"):
        left = [one for one in (row("a", id="1"), row("a", id="2"), row("b", id="3")) if one["id"] != gone]
        assert world.sync(left).report.planned[Op.REMOVE] == 0
        assert on_list(world) == {"a", "b"}


REFUSED = b'{"result": false, "error_stack": ["Something is wrong"]}'


@pytest.mark.parametrize(
    "effect",
    [
        RawBody(b'{"result": false}'),
        RawBody(REFUSED),
        RawBody(REFUSED, status=400),
        Html(),
        Status(429),
        Status(429, retry_after="7"),
        Status(429, retry_after="Thu, 01 Jan 2026 00:00:09 GMT"),
        Status(503),
        Drop(),
    ],
    ids=["false", "errors", "400", "html", "429", "429-seconds", "429-date", "503", "lost"],
)
@pytest.mark.parametrize("when", When)
def test_trap_13_no_odd_answer_is_taken_for_success_or_for_a_verdict_on_everybody(
    make: "Make", effect: Effect, when: When
) -> None:
    world = make(faults=(Fault(what=effect, when=when, endpoint=Endpoint.CONTACTS_ADD, times=1),))  # type: ignore[arg-type]

    report = world.sync(people(50)).report

    assert (report.confirmed[Op.ADD], report.result, len(world.contacts.contacts)) == (50, Result.OK, 50)
    world.assert_sound(report, 50)


def test_trap_13_a_refused_token_in_mid_run_stops_at_once(make: "Make") -> None:
    world = make(faults=(Fault(what=Status(401), nth=3, times=None),))

    ended = world.sync(people(900))

    assert (ended.report.result, EXIT_CODES[ended.report.result]) == (Result.REFUSED, 4)
    assert len(world.sent) <= 3 + 8  # what was in flight
    assert ended.report.pending + ended.report.confirmed[Op.ADD] == 900


def test_trap_14_a_key_in_another_spelling_has_not_left(make: "Make") -> None:
    world = make(mode=Mode.MIRROR, settings={"on_missing": OnMissing.REMOVE})
    world.sync([{"email": "Ann@Example.com", "active": "yes"}, {"email": "b@bücher.example", "active": "yes"}])
    sent = len(world.sent)

    report = world.sync(
        [{"email": " ann@example.COM ", "active": "yes"}, {"email": "B@xn--bcher-kva.example", "active": "yes"}]
    ).report

    assert (report.same, report.planned[Op.REMOVE], len(world.sent)) == (2, 0, sent)


@pytest.mark.parametrize("key", [None, "id"])
def test_trap_15_a_row_without_its_key_is_counted_and_told(make: "Make", key: str | None) -> None:
    world = make(key=key)
    rows: list[Row] = [row("a", id="1"), row("b", id=None), {"email": None, "active": "yes", "id": "3"}]

    ended = world.sync(rows if key else [{name: one[name] for name in ("email", "active")} for one in rows])

    held = {"key-empty": 1, "email-empty": 1} if key else {"email-empty": 1}
    assert (ended.report.rows, ended.report.held_by_code) == (3, held)
    told = pl.read_csv(ended.report.paths["errors"], infer_schema=False)
    assert told["row"].to_list() == (["3", "4"] if key else ["4"])


READ_SO_FAR = Path("/proc/self/io")


def bytes_read() -> int:
    """Bytes this process has read from files, as the kernel counts them."""
    return int(READ_SO_FAR.read_text().split()[1])


@pytest.mark.skipif(not READ_SO_FAR.exists(), reason="the kernel does not tell what a process has read")
@pytest.mark.parametrize("count", [20_000, 160_000])
def test_trap_16_a_file_is_read_twice_at_most_however_many_chunks_it_makes(tmp_path: Path, count: int) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("email,city\n" + "".join(f"user{number}@example.com,City\n" for number in range(count)))
    before = bytes_read()

    rows = sum(chunk.rows.height for chunk in open_source(SourceOptions(path.name, tmp_path)).chunks())

    assert rows == count
    assert bytes_read() - before <= 2 * path.stat().st_size + 1_000_000
