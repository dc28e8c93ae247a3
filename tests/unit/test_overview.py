"""What `status` and `errors` show comes from the ledger alone, also while a run writes."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncengine.anchor import DATABASE
from syncengine.errors import StateError
from syncengine.journal import Journal
from syncengine.ledger import IDENTITY, open_ledger, transaction
from syncengine.model import Outcome, Verdict
from syncengine.overview import JobView, RunView, find_run, jobs, runs, verdict_counts
from syncengine.ports import Done, Intended
from syncengine.settlement import Settled

NOW = datetime(2026, 5, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def ledger(folder: Path) -> Iterator[sqlite3.Connection]:
    """Open all the time: what is read is read beside a writer."""
    with contextlib.closing(open_ledger(folder)) as connection:
        yield connection


@pytest.fixture
def journal(ledger: sqlite3.Connection) -> Journal:
    return Journal(ledger)


def begin(journal: Journal, *ids: str, job: str = "newsletter") -> None:
    for number, run in enumerate(ids):
        journal.begin(run, job, "5537", {"rows": number}, NOW + timedelta(hours=number))


def test_where_there_was_never_a_state_there_is_nothing_to_see_and_nothing_is_made(folder: Path) -> None:
    assert jobs(folder, {"newsletter": "5537"}) == [JobView("newsletter", None, 0)]
    assert runs(folder) == []
    assert find_run(folder, None) is None
    assert find_run(folder, "0198") is None
    assert verdict_counts(folder, "0198") == []
    assert not folder.exists()


def test_each_job_is_shown_with_its_last_run_and_its_contacts(
    folder: Path, ledger: sqlite3.Connection, journal: Journal
) -> None:
    begin(journal, "0198a", "0198b")
    begin(journal, "0198c", job="other")
    journal.finish("0198b", "ok", {"rows": 7}, NOW + timedelta(hours=2), status="finished")
    with transaction(ledger) as db:
        db.execute("INSERT INTO lists VALUES ('5537', 'https://partner.sndmart.com', 1, 1, 4321, '', '', 1)")

    one, never = jobs(folder, {"newsletter": "5537", "never": "none"})

    assert one == JobView(
        "newsletter",
        RunView(
            "0198b",
            "newsletter",
            "5537",
            "finished",
            "ok",
            "2026-05-01T04:00:00+00:00",
            "2026-05-01T05:00:00+00:00",
            {"rows": 7},
        ),
        4321,
    )
    assert never == JobView("never", None, 0)


def test_runs_come_latest_first_as_many_as_wanted(folder: Path, journal: Journal) -> None:
    begin(journal, "run-1", "run-2", "run-3")
    begin(journal, "run-0", job="other")

    assert [view.run for view in runs(folder)] == ["run-3", "run-2", "run-1", "run-0"]
    assert [view.run for view in runs(folder, "newsletter", limit=2)] == ["run-3", "run-2"]
    assert runs(folder, "nobody") == []


@pytest.mark.parametrize(
    ("status", "unfinished"), [("planned", True), ("sending", True), ("finished", False), ("discarded", False)]
)
def test_a_run_is_unfinished_until_it_has_ended(
    folder: Path, journal: Journal, status: str, *, unfinished: bool
) -> None:
    begin(journal, "run-1")
    if status == "sending":
        journal.start("run-1")
    elif status != "planned":
        journal.finish("run-1", "ok", {}, NOW, status=status)

    (view,) = runs(folder)
    assert (view.status, view.unfinished) == (status, unfinished)


IDS = ("0198aaaa-0001", "0198aaaa-0002", "0198bbbb-0003", "0198cccc-1003")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, "0198cccc-1003"),
        ("0198aaaa-0001", "0198aaaa-0001"),
        ("0198b", "0198bbbb-0003"),
        ("0198B", "0198bbbb-0003"),
        ("0002", "0198aaaa-0002"),
        ("1003", "0198cccc-1003"),
        ("003", None),
        ("0198aaaa", None),
        ("0198", None),
        ("bbbb", None),
        ("9999", None),
        ("", None),
    ],
)
def test_a_run_is_found_by_how_its_id_begins_or_ends(
    folder: Path, journal: Journal, wanted: str | None, found: str | None
) -> None:
    begin(journal, *IDS)

    view = find_run(folder, wanted)

    assert (view.run if view else None) == found


def test_who_was_not_confirmed_is_counted_by_reason_with_an_example(folder: Path, journal: Journal) -> None:
    begin(journal, "run-1", "run-2")
    verdicts = {
        0: Verdict(Outcome.REJECTED, "arguments", "first"),
        1: Verdict(Outcome.REJECTED, "arguments", "second"),
        2: Verdict(Outcome.UNRESOLVED, "no-answer", "HTTP 500"),
        3: Verdict(Outcome.CONFIRMED, "gone", "not found!"),
    }
    journal.record("run-1", [Intended(0, 1.0), Done(0, Settled(5, verdicts), 2.0)])

    assert verdict_counts(folder, "run-1") == [
        ("rejected", "arguments", 2, "second"),
        ("unresolved", "no-answer", 1, "HTTP 500"),
    ]
    assert verdict_counts(folder, "run-2") == []


def test_an_unfinished_run_is_counted_as_it_stands_now(folder: Path, journal: Journal) -> None:
    facts = {"planned": {"add": 20, "update": 5}, "confirmed": {"add": 0}}
    journal.begin("run-1", "newsletter", "5537", facts, NOW)
    refused = {1: Verdict(Outcome.REJECTED, "arguments"), 2: Verdict(Outcome.UNRESOLVED, "no-answer")}
    journal.record("run-1", [Intended(0, 1.0), Intended(1, 1.0), Done(0, Settled(10, refused), 2.0)])

    (view,) = jobs(folder, {"newsletter": "5537"})
    assert view.last is not None
    assert view.last.so_far == {"confirmed": 8, "rejected": 1, "unresolved": 1, "pending": 15}

    journal.finish("run-1", "ok", facts, NOW, status="finished")
    (view,) = jobs(folder, {"newsletter": "5537"})
    assert view.last is not None
    assert view.last.so_far == {}


def test_a_damaged_state_is_told_and_not_shown_as_empty(folder: Path) -> None:
    open_ledger(folder).close()
    for damage in (b"", b"x" * 1024):
        (folder / DATABASE).write_bytes(damage)
        with pytest.raises(StateError):
            jobs(folder, {"newsletter": "5537"})
    (folder / DATABASE).unlink()
    assert (folder / IDENTITY).exists()
    with pytest.raises(StateError):
        runs(folder)


def test_looking_needs_neither_polars_nor_httpx() -> None:
    """`status` is answered in a fraction of a second."""
    program = "import sys, syncengine.overview; print([name for name in ('polars', 'httpx') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
