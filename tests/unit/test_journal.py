"""What is written down about a run's batches, so that after a crash nothing is lost and little is repeated."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.errors import StateError
from syncengine.journal import Journal
from syncengine.ledger import open_ledger, read_ledger
from syncengine.model import Outcome, Verdict
from syncengine.ports import Done, Intended, Progress, Released, RunRow, Tally
from syncengine.settlement import Settled
from syncengine.testing import MemoryJournal

NOW = datetime(2026, 5, 1, 3, 0, tzinfo=UTC)
LIST = "5537ab2a08d241dc69326b19"
REJECTED = Verdict(Outcome.REJECTED, "arguments", "Not valid type for argument")
UNRESOLVED = Verdict(Outcome.UNRESOLVED, "no-answer", "HTTP 500")
GONE = Verdict(Outcome.CONFIRMED, "gone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(folder: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_ledger(folder)) as connection:
        yield connection


@pytest.fixture
def journal(ledger: sqlite3.Connection) -> Journal:
    return Journal(ledger)


def done(batch: int, size: int, verdicts: Mapping[int, Verdict] | None = None, *, in_doubt: bool = False) -> Done:
    return Done(batch, Settled(size, verdicts or {}), 200.0 + batch, in_doubt)


# Runs -----------------------------------------------------------------------------------------------------------------


def test_a_run_is_unfinished_from_its_plan_to_its_end(journal: Journal) -> None:
    assert journal.unfinished("job") is None

    journal.begin("run-1", "job", LIST, {"rows": 5}, NOW)
    planned = RunRow("run-1", "job", LIST, "planned", "", NOW.isoformat(), None, {"rows": 5})
    assert journal.unfinished("job") == planned

    journal.start("run-1")
    journal.mark("run-1", "interrupted", {"rows": 5, "pending": 2})
    sending = journal.unfinished("job")
    assert sending is not None
    assert (sending.status, sending.result, sending.facts) == ("sending", "interrupted", {"rows": 5, "pending": 2})

    journal.finish("run-1", "ok", {"rows": 5}, NOW + timedelta(minutes=1), status="finished")
    assert journal.unfinished("job") is None
    assert journal.runs() == [
        RunRow("run-1", "job", LIST, "finished", "ok", NOW.isoformat(), "2026-05-01T03:01:00+00:00", {"rows": 5})
    ]


def test_a_discarded_run_is_not_taken_up_again(journal: Journal) -> None:
    journal.begin("run-1", "job", LIST, {}, NOW)
    journal.finish("run-1", "failed", {}, NOW, status="discarded")

    assert journal.unfinished("job") is None


def test_a_run_that_sends_nothing_is_never_unfinished(journal: Journal) -> None:
    journal.note("run-1", "job", LIST, "guard", {"rows": 5}, NOW)

    assert journal.unfinished("job") is None
    assert journal.runs() == [
        RunRow("run-1", "job", LIST, "finished", "guard", NOW.isoformat(), NOW.isoformat(), {"rows": 5})
    ]
    assert journal.last_ended() == NOW


def test_jobs_do_not_see_each_others_runs(journal: Journal) -> None:
    for number, job in enumerate(["one", "two", "one"]):
        journal.begin(f"run-{number}", job, LIST, {}, NOW + timedelta(hours=number))

    assert [run.run for run in journal.runs()] == ["run-2", "run-1", "run-0"]
    assert [run.run for run in journal.runs("one")] == ["run-2", "run-0"]
    assert [run.run for run in journal.runs(limit=1)] == ["run-2"]
    unfinished = journal.unfinished("two")
    assert unfinished is not None
    assert unfinished.run == "run-1"


def test_a_run_is_begun_once(journal: Journal) -> None:
    journal.begin("run-1", "job", LIST, {}, NOW)

    with pytest.raises(StateError):
        journal.begin("run-1", "job", LIST, {}, NOW)


def test_words_of_any_alphabet_come_back_as_they_were(journal: Journal) -> None:
    facts = {"paths": {"run": "дата/😀"}, "n": None, "list": [1, 2.5, "\u2028"]}
    journal.begin("run-1", "работа", LIST, facts, NOW)
    text = "Contact 😀 «анна» \x00 \n not found!"
    journal.record("run-1", [Intended(0, 1.0), done(0, 1, {0: Verdict(Outcome.REJECTED, "not-found", text)})])

    (run,) = journal.runs("работа")
    assert run.facts == facts
    assert journal.verdicts("run-1") == [(0, 0, "rejected", "not-found", text)]


# Batches --------------------------------------------------------------------------------------------------------------


def test_what_was_begun_and_not_settled_is_sent_again(journal: Journal) -> None:
    journal.begin("run-1", "job", LIST, {}, NOW)
    journal.record("run-1", [Intended(0, 100.0), Intended(1, 101.0), Intended(2, 102.0)])
    journal.record("run-1", [done(1, 100)])

    assert journal.settled_batches("run-1") == {1}
    assert journal.doubtful_batches("run-1") == {0: None, 2: None}


def test_a_batch_that_is_begun_again_stays_doubtful_whatever_the_answer(journal: Journal) -> None:
    """The process that left it open may have sent a request that still arrives."""
    journal.record("run-1", [Intended(0, 100.0), Intended(1, 100.0)])
    journal.record("run-1", [Intended(0, 500.0), done(0, 1), done(1, 1)])

    assert journal.doubtful_batches("run-1") == {0: 200.0}


def test_a_batch_that_a_stop_kept_from_being_begun_is_not_doubtful(journal: Journal) -> None:
    journal.record("run-1", [Intended(0, 100.0), Intended(1, 100.0), Released(1)])
    journal.record("run-1", [Intended(1, 500.0), done(0, 1), done(1, 1)])

    assert journal.doubtful_batches("run-1") == {}


def test_what_an_earlier_process_may_have_sent_stays_doubtful_though_it_is_not_begun_again(journal: Journal) -> None:
    journal.record("run-1", [Intended(0, 100.0)])
    journal.record("run-1", [Intended(0, 500.0), Released(0)])

    assert journal.doubtful_batches("run-1") == {0: None}


def test_a_settled_batch_of_which_an_attempt_got_no_answer_stays_doubtful(journal: Journal) -> None:
    journal.record("run-1", [Intended(0, 100.0), Intended(1, 100.0), done(0, 1, in_doubt=True), done(1, 1)])

    assert journal.settled_batches("run-1") == {0, 1}
    assert journal.doubtful_batches("run-1") == {0: 200.0}


def test_the_outcomes_of_a_range_of_batches_are_counted(journal: Journal) -> None:
    batches = {
        0: done(0, 100),
        1: done(1, 100, {3: REJECTED, 4: REJECTED, 5: UNRESOLVED}),
        2: done(2, 10, {0: GONE, 1: REJECTED}),
        3: done(3, 7, dict.fromkeys(range(7), UNRESOLVED)),
    }
    journal.record("run-1", [Intended(batch, 1.0) for batch in batches])
    journal.record("run-1", [*batches.values()])

    assert journal.tally("run-1", 0, 1) == Tally(100, 0, 0)
    assert journal.tally("run-1", 1, 2) == Tally(97 + 9, 3, 1)
    assert journal.tally("run-1", 3, 1) == Tally(0, 0, 7)
    assert journal.tally("run-1", 0, 100) == Tally(206, 3, 8)
    assert journal.tally("run-1", 4, 10) == Tally()
    assert journal.tally("run-2", 0, 100) == Tally()


def test_verdicts_come_in_the_order_of_the_plan_whatever_the_order_of_settling(journal: Journal) -> None:
    journal.record("run-1", [Intended(batch, 1.0) for batch in range(12)])
    journal.record("run-1", [done(11, 20, {15: REJECTED, 2: UNRESOLVED}), done(2, 20, {19: GONE})])

    assert journal.verdicts("run-1") == [
        (2, 19, "confirmed", "gone", ""),
        (11, 2, "unresolved", "no-answer", "HTTP 500"),
        (11, 15, "rejected", "arguments", "Not valid type for argument"),
    ]
    assert journal.verdicts("run-2") == []


def test_runs_do_not_mix_their_batches(journal: Journal) -> None:
    for run in ("run-1", "run-2"):
        journal.record(run, [Intended(0, 1.0)])
    journal.record("run-1", [done(0, 5, {0: REJECTED})])

    assert journal.settled_batches("run-2") == set()
    assert journal.doubtful_batches("run-1") == {}


def test_entries_recorded_together_are_all_there_or_none(journal: Journal, ledger: sqlite3.Connection) -> None:
    ledger.execute(
        "CREATE TEMP TRIGGER crash BEFORE INSERT ON main.batches WHEN NEW.batch = 2 "
        "BEGIN SELECT raise(ABORT, 'the disk is full'); END"
    )

    with pytest.raises(StateError):
        journal.record("run-1", [Intended(0, 1.0), Intended(1, 1.0), Intended(2, 1.0)])

    assert journal.doubtful_batches("run-1") == {}


def test_a_reader_sees_what_is_recorded_while_the_run_goes_on(journal: Journal, folder: Path) -> None:
    journal.begin("run-1", "job", LIST, {}, NOW)
    journal.record("run-1", [Intended(0, 1.0), done(0, 3, {1: REJECTED})])

    connection = read_ledger(folder)
    assert connection is not None
    with contextlib.closing(connection):
        reader = Journal(connection)
        assert reader.tally("run-1", 0, 1) == Tally(2, 1, 0)
        assert [run.run for run in reader.runs()] == ["run-1"]


# Like the one in memory -----------------------------------------------------------------------------------------------

VERDICTS = st.dictionaries(st.integers(0, 4), st.sampled_from([REJECTED, UNRESOLVED, GONE]), max_size=5)
BATCHES = st.lists(st.tuples(VERDICTS, st.booleans(), st.sampled_from(["intended", "settled"])), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES, st.integers(0, 8), st.integers(0, 8))
def test_it_says_the_same_as_the_journal_in_memory(
    journal: Journal, batches: list[tuple[dict[int, Verdict], bool, str]], first: int, count: int
) -> None:
    run = f"run-{len(journal.runs(limit=10**6))}"
    memory = MemoryJournal()
    entries: list[Progress] = [Intended(number, 100.0 + number) for number in range(len(batches))]
    entries += [
        done(number, 5, verdicts, in_doubt=in_doubt)
        for number, (verdicts, in_doubt, state) in enumerate(batches)
        if state == "settled"
    ]
    for one in (journal, memory):
        one.begin(run, "job", LIST, {}, NOW)
        one.record(run, entries)

    assert journal.settled_batches(run) == memory.settled_batches(run)
    assert journal.doubtful_batches(run).keys() == memory.doubtful_batches(run).keys()
    assert journal.verdicts(run) == memory.verdicts(run)
    assert journal.tally(run, first, count) == memory.tally(run, first, count)
