"""What a plan and a sync make of the inbox: who left is told once, kept off for good, and never brought back."""

import contextlib
import json
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from syncengine.config.loading import load_config
from syncengine.leaving import Suppression
from syncengine.ledger import open_ledger
from syncengine.ports import Correction, News
from syncengine.receiving import find_recent, undo
from syncengine.sandbox.account import Act
from syncengine.state import ConsentBook
from syncengine.webhooks.events import HookBody, event_of
from syncengine.webhooks.inbox import Arrival, open_inbox

if TYPE_CHECKING:
    from conftest import Project

LIST = "5537ab2a08d241dc69326b19"


class Inbox:
    """What the receiver would have put into the inbox of a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, event: str, *emails: str, received_at: float | None = None, **more: Any) -> None:
        now = received_at or time.time()
        with contextlib.closing(open_inbox(self.folder)) as inbox:
            body = {"event": event, "datetime": int(now) + 1, "emailListId": LIST, "contactId": "c", "id": "m"} | more
            told = [HookBody.model_validate(body | {"email": email}) for email in emails]
            inbox.add([Arrival(event_of(one, lists={LIST}, now=now + 1), now) for one in told])


@pytest.fixture
def inbox(project: "Project") -> Inbox:
    return Inbox(project.folder / ".syncengine" / "webhooks")


@pytest.fixture
def synced(project: "Project") -> "Project":
    """Twenty contacts, on the list and in the state."""
    project.write_source(*project.people(20))
    assert project.run("sync", "--yes").code == 0
    return project


def active(project: "Project", email: str) -> bool | None:
    contact = project.contacts.find(email)
    return None if contact is None else contact.active


def act(project: "Project", email: str, what: Act) -> None:
    contact = project.contacts.find(email)
    assert contact is not None
    project.sandbox.act(LIST, contact.id, what)


def test_the_next_plan_tells_who_left_and_sends_nothing_for_them(synced: "Project", inbox: Inbox) -> None:
    act(synced, "user3@example.com", Act.UNSUBSCRIBE)
    act(synced, "user4@example.com", Act.REMOVE)
    inbox.take("unsubscribed", "User3@Example.com")
    inbox.take("removed", "user4@example.com")

    plan = synced.run("plan")
    document = synced.run("plan", "--json").report

    assert "2 people left since the last run: 1 unsubscribed, 1 removed" in plan.out
    assert document["left"] == {"removed": 1, "unsubscribed": 1}
    assert (document["planned"]["update"], document["held_by_code"], document["same"]) == (0, {"suppressed": 1}, 19)
    assert "user3@example.com,,False" not in plan.out


def test_the_next_sync_leaves_them_off_says_so_once_and_the_one_after_sends_nothing(
    synced: "Project", inbox: Inbox
) -> None:
    act(synced, "user3@example.com", Act.UNSUBSCRIBE)
    act(synced, "user4@example.com", Act.REMOVE)
    inbox.take("unsubscribed", "user3@example.com")
    inbox.take("removed", "user4@example.com")

    told = synced.run("sync", "--yes")
    after = synced.run("sync", "--yes", "--json").report

    assert "2 people left since the last run: 1 unsubscribed, 1 removed" in told.out
    assert (active(synced, "user3@example.com"), active(synced, "user4@example.com")) == (False, None)
    assert (after["left"], after["requests"], after["held"]) == ({}, 0, 1)
    assert synced.sandbox.lists[LIST].resubscribed == {}


def test_a_change_of_theirs_is_still_sent_and_they_stay_off(synced: "Project", inbox: Inbox) -> None:
    act(synced, "user3@example.com", Act.UNSUBSCRIBE)
    inbox.take("unsubscribed", "user3@example.com")
    synced.write_source(*synced.people(20, n3="Astana", n4="Astana"))

    report = synced.run("sync", "--yes", "--json").report

    contact = synced.contacts.find("user3@example.com")
    assert contact is not None
    assert (contact.active, contact.variables["city"]) == (False, "Astana")
    assert report["confirmed"]["update"] == 2


@pytest.mark.parametrize("event", ["hard", "complaint"])
def test_who_bounced_or_complained_is_sent_as_unsubscribed(synced: "Project", inbox: Inbox, event: str) -> None:
    inbox.take(event, "user5@example.com")

    report = synced.run("sync", "--yes", "--json").report

    assert active(synced, "user5@example.com") is False
    assert (report["left"], report["confirmed"]["update"], report["same"]) == ({event: 1}, 1, 19)
    assert synced.run("sync", "--yes", "--json").report["requests"] == 0


def test_a_word_that_comes_late_is_sent_against_what_was_confirmed_meanwhile(synced: "Project", inbox: Inbox) -> None:
    """They unsubscribed before our last sync sent them as subscribed; the webhook arrived after it."""
    inbox.take("unsubscribed", "user6@example.com", datetime=int(time.time()) - 3600)

    report = synced.run("sync", "--yes", "--json").report

    assert active(synced, "user6@example.com") is False
    assert report["confirmed"]["update"] == 1


def test_somebody_who_left_and_is_new_to_the_file_is_held(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user20@example.com")
    synced.write_source(*synced.people(21))

    report = synced.run("sync", "--yes", "--json").report

    assert active(synced, "user20@example.com") is None
    assert report["held_by_code"] == {"suppressed": 1}


@pytest.mark.parametrize("event", ["subscribed", "read", "click", "soft", "reject"])
def test_w3_a_forged_subscribe_brings_nobody_back(synced: "Project", inbox: Inbox, event: str) -> None:
    act(synced, "user3@example.com", Act.UNSUBSCRIBE)
    inbox.take("unsubscribed", "user3@example.com")
    inbox.take(event, "user3@example.com", datetime=int(time.time()))

    synced.run("sync", "--yes")
    inbox.take(event, "user3@example.com", datetime=int(time.time()) + 1)
    synced.run("sync", "--yes")

    assert active(synced, "user3@example.com") is False
    assert synced.sandbox.lists[LIST].resubscribed == {}


def test_rows_stay_in_the_inbox_and_the_suppressions_have_source_and_date(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user3@example.com", datetime=1_790_000_000)
    synced.run("plan")

    with contextlib.closing(sqlite3.connect(synced.folder / ".syncengine" / "state.sqlite")) as ledger:
        row = ledger.execute("SELECT address, kind, origin, at, recorded_at <> '' FROM suppressions").fetchone()
    with contextlib.closing(sqlite3.connect(inbox.folder / "inbox.sqlite")) as audit:
        assert audit.execute("SELECT event, address FROM events").fetchall() == [("unsubscribed", "user3@example.com")]
    assert row[:3] == ("user3@example.com", "unsubscribed", "webhook")
    assert row[3:] == ("2026-09-21T14:13:20+00:00", 1)


def test_w7_too_many_at_once_are_told_by_the_plan_and_taken_all_the_same(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", *(f"user{number}@example.com" for number in range(12)))

    plan = synced.run("plan")

    assert "! 12 people (60% of the list) left within 10 minutes" in plan.out
    assert "12 people left since the last run: 12 unsubscribed" in plan.out


def test_w7_what_somebody_forged_is_undone_and_who_left_before_stays_off(synced: "Project", inbox: Inbox) -> None:
    for email in ("user1@example.com", "user2@example.com"):
        act(synced, email, Act.UNSUBSCRIBE)
        inbox.take("unsubscribed", email, received_at=time.time() - 7200)
    forged = [f"User{number}@example.com" for number in range(1, 15)]
    inbox.take("unsubscribed", *forged)
    synced.run("sync", "--yes")
    since = datetime.fromtimestamp(time.time() - 3600, UTC).isoformat(timespec="minutes")
    status = synced.run("webhooks", "status")

    asked = synced.run("webhooks", "undo", "--since", since)
    done = synced.run("webhooks", "undo", "--since", since, "--yes")
    report = synced.run("sync", "--yes", "--json").report

    assert "! 14 people (70% of the list) left within 10 minutes" in status.out
    assert (asked.code, "Nothing was changed" in asked.err) == (2, True)
    assert (done.code, done.out) == (0, "12 are no longer off.\n")
    assert [active(synced, f"user{number}@example.com") for number in range(16)] == [True, False, False, *[True] * 13]
    assert (report["planned"]["update"], report["confirmed"]["update"]) == (12, 12)
    assert synced.sandbox.lists[LIST].resubscribed == {}
    with contextlib.closing(sqlite3.connect(inbox.folder / "inbox.sqlite")) as audit:
        assert audit.execute("SELECT count(*) FROM events").fetchone()[0] == 16
    (line,) = (inbox.folder / "undone.jsonl").read_text().splitlines()
    assert len(json.loads(line)["contacts"][LIST]) == 12
    assert "@" not in line
    assert synced.run("state", "forget", "user3@example.com", "--yes").code == 0
    assert len(json.loads((inbox.folder / "undone.jsonl").read_text())["contacts"][LIST]) == 11


def test_w7_what_is_owed_to_people_who_never_left_is_not_sent(tmp_path: Path) -> None:
    with contextlib.closing(open_ledger(tmp_path)) as ledger:
        book = ConsentBook(ledger, LIST)
        book.record(News("i", 1, (Suppression("ann@example.com", "unsubscribed", 1.0, 1.0),)), datetime.now(UTC))
        book.owe(
            [Correction(email, 0.0, None, "[]", "id-7", "run") for email in ("Ann@Example.com", "bob@example.com")]
        )

        assert book.lift(["ann@example.com"], since=datetime(2026, 1, 1, tzinfo=UTC)) == 1
        assert [one.email for one in book.owed()] == ["bob@example.com"]
        assert book.people() == {}


def test_w7_who_was_off_before_stays_off_though_the_inbox_that_told_it_is_gone(tmp_path: Path) -> None:
    with contextlib.closing(open_ledger(tmp_path)) as ledger:
        book = ConsentBook(ledger, LIST)
        left = Suppression("ann@example.com", "unsubscribed", 1.0, 1.0)
        book.record(News("an inbox of old", 7, (left,)), datetime(2026, 5, 1, tzinfo=UTC))
        book.record(News("a new one", 1, (left,)), datetime(2026, 9, 1, tzinfo=UTC))
        book.owe([Correction("Ann@Example.com", 0.0, None, "[]", "id-7", "run")])

        assert book.lift(["ann@example.com"], since=datetime(2026, 8, 1, tzinfo=UTC)) == 0
        assert book.people() == {"ann@example.com": "unsubscribed"}
        assert [one.email for one in book.owed()] == ["Ann@Example.com"]


def test_w7_nobody_is_lifted_where_it_can_not_be_noted(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user1@example.com")
    synced.run("plan")
    (inbox.folder / "undone.jsonl").mkdir()

    ran = synced.run("webhooks", "undo", "--since", "2026-01-01", "--yes")

    assert (ran.code, "nobody is lifted without a note of it" in ran.err) == (8, True)
    assert synced.run("webhooks", "status", "--json").json["lists"][0]["suppressed"] == 1


def test_w7_who_leaves_while_the_person_is_asked_stays_off(synced: "Project", inbox: Inbox) -> None:
    forged = time.time() - 60
    inbox.take("unsubscribed", "user1@example.com", "user2@example.com", received_at=forged)
    loaded, since, looked = load_config(synced.folder / "syncengine.toml"), *times(forged - 60, forged + 30)
    found = find_recent(loaded, since)
    inbox.take("unsubscribed", "User2@example.com")

    assert found == {LIST: ["user1@example.com", "user2@example.com"]}
    assert undo(loaded, found, since, looked) == 1
    assert synced.run("webhooks", "status", "--json").json["lists"][0]["suppressed"] == 1


def times(*seconds: float) -> list[datetime]:
    return [datetime.fromtimestamp(one, UTC) for one in seconds]


def test_w7_undo_says_when_there_is_nothing_to_undo_and_what_a_time_is(synced: "Project") -> None:
    assert "Nobody left by webhooks since" in synced.run("webhooks", "undo", "--since", "2026-01-01", "--yes").out
    assert synced.run("webhooks", "undo", "--since", "yesterday").code == 2


def test_an_inbox_that_is_damaged_stops_the_run_before_anything_is_sent(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user3@example.com")
    (inbox.folder / "inbox.sqlite").write_bytes(b"rubbish" * 1000)
    requests = len(synced.sandbox.log)

    ran = synced.run("sync", "--yes")

    assert ran.code == 8
    assert "inbox" in ran.err
    assert len(synced.sandbox.log) == requests


def test_another_inbox_is_taken_up_from_its_beginning(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user1@example.com", "user2@example.com")
    synced.run("sync", "--yes")
    for file in inbox.folder.glob("inbox.sqlite*"):
        file.unlink()
    inbox.take("unsubscribed", "user3@example.com")

    assert synced.run("plan", "--json").report["left"] == {"unsubscribed": 1}


def test_an_older_copy_of_the_inbox_that_was_put_back_hides_nobody(synced: "Project", inbox: Inbox) -> None:
    """The ids of its next events were given before, to others."""
    inbox.take("unsubscribed", "user1@example.com")
    copies = {file: file.read_bytes() for file in inbox.folder.glob("inbox.sqlite*")}
    inbox.take("unsubscribed", "user2@example.com", "user3@example.com")
    synced.run("sync", "--yes")
    for file in inbox.folder.glob("inbox.sqlite*"):
        file.unlink()
    for file, content in copies.items():
        file.write_bytes(content)
    inbox.take("unsubscribed", "user4@example.com")
    synced.run("sync", "--yes")
    inbox.take("unsubscribed", "user5@example.com")

    synced.write_source(*synced.people(250, **{f"n{number}": "Rome" for number in range(10)}))
    synced.run("sync", "--yes", "--json")

    gone = [contact.email for contact in synced.contacts.contacts.values() if not contact.active]
    assert gone == [f"user{number}@example.com" for number in range(1, 6)]


def test_status_tells_what_no_plan_has_taken_up(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user3@example.com")
    inbox.take("hard", "user4@example.com")
    inbox.take("read", "user5@example.com")

    before = synced.run("webhooks", "status", "--json").json
    synced.run("plan")
    after = synced.run("webhooks", "status", "--json").json

    assert before["events"] == {"unsubscribed": 1, "hard": 1, "read": 1}
    assert (before["lists"][0]["waiting"], before["lists"][0]["suppressed"]) == (2, 0)
    assert (after["lists"][0]["waiting"], after["lists"][0]["suppressed"]) == (0, 2)
    assert before["last_event"]["event"] == "read"


def test_an_erased_person_is_erased_from_the_inbox(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "User3@example.com", "user4@example.com")
    synced.run("sync", "--yes")

    assert synced.run("state", "forget", "user3@example.com", "--yes").code == 0

    for file in (synced.folder / ".syncengine").rglob("*.sqlite*"):
        assert b"ser3@example.com" not in file.read_bytes(), file


def test_an_export_of_the_list_lifts_only_those_who_left_before_it(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user1@example.com", datetime=int(time.time()) - 3600)
    inbox.take("complaint", "user2@example.com", datetime=int(time.time()) - 3600)
    export = synced.folder / "export.csv"
    export.write_text("email,name,active\n" + "".join(f"user{n}@example.com,Name {n},true\n" for n in (1, 2, 3)))
    act(synced, "user3@example.com", Act.UNSUBSCRIBE)
    inbox.take("unsubscribed", "user3@example.com", datetime=int(time.time()) + 1)
    written = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 60))

    assert synced.run("state", "adopt", str(export), "--written", written).code == 0
    synced.run("sync", "--yes")

    assert active(synced, "user1@example.com") is True
    assert active(synced, "user2@example.com") is False
    assert active(synced, "user3@example.com") is False


def test_a_copy_of_an_old_export_looks_new_and_brings_nobody_back(synced: "Project", inbox: Inbox) -> None:
    synced.write_source(*synced.people(19), "user19@example.com,Name 19,no,City 4")
    synced.run("sync", "--yes")
    inbox.take("unsubscribed", "user1@example.com", datetime=int(time.time()) - 3600)
    (synced.folder / "export.csv").write_text(
        "email,name,active\n" + "".join(f"user{n}@example.com,Name {n},true\n" for n in (1, 2, 19))
    )

    told = synced.run("state", "adopt", "export.csv")
    synced.run("sync", "--yes")

    assert "2 are in the file as subscribed and known to be off: they stay off" in told.err
    assert "--written" in told.err
    assert [active(synced, f"user{number}@example.com") for number in (1, 2, 19)] == [False, True, False]


# -- replay ----------------------------------------------------------------------------------------------------------


def test_a_proxys_log_is_replayed_and_a_second_time_adds_nothing(synced: "Project") -> None:
    body = {"event": "unsubscribed", "email": "user3@example.com", "datetime": 1_790_000_000, "emailListId": LIST}
    lines = [
        json.dumps(body),
        json.dumps({"time": "x", "request": {"body": json.dumps(body | {"email": "user4@example.com"})}}),
        json.dumps(body | {"emailListId": "another"}),
        json.dumps({"event": "hard", "email": "user5@example.com", "datetime": "1790000000", "id": "m"}),
        json.dumps({"nothing": "of interest"}),
        "{cut off",
    ]
    log = synced.folder / "log.jsonl"
    log.write_text("\n".join(lines))

    first = synced.run("webhooks", "replay", "log.jsonl")
    second = synced.run("webhooks", "replay", "log.jsonl")

    assert (first.code, first.out) == (0, "3 new events, 0 known before.\n")
    assert second.out == "0 new events, 3 known before.\n"
    assert "1 are about lists that no job has" in first.err
    assert "line 5: no event, email and datetime in it" in first.err
    assert "2 lines hold no event" in first.err
    assert synced.run("plan", "--json").report["left"] == {"unsubscribed": 2, "hard": 1}


def test_an_export_is_replayed_from_csv(synced: "Project") -> None:
    (synced.folder / "left.csv").write_text(
        f"email,event,datetime,emailListId\nuser3@example.com,unsubscribed,1790000000,{LIST}\nnobody,removed,1,{LIST}\n"
    )

    ran = synced.run("webhooks", "replay", "left.csv")

    assert ran.out == "1 new event, 0 known before.\n"
    assert "line 3: email: no address" in ran.err


@pytest.mark.parametrize("content", ["name;age\n1;2\n", "event,email\nx,y\n", "\xff", ""])
def test_a_file_that_is_no_log_is_told(synced: "Project", content: str) -> None:
    (synced.folder / "x").write_bytes(content.encode("latin-1"))

    ran = synced.run("webhooks", "replay", "x")

    assert ran.code == 2
    assert "error[replay-unreadable]" in ran.err


def test_who_left_since_the_last_sync_is_not_mailed(synced: "Project", inbox: Inbox) -> None:
    inbox.take("unsubscribed", "user3@example.com")

    ran = synced.run("mail", "trigger", "5537ab2a08d241dc69326b20", "--to", "user3@example.com", "--json")

    assert (ran.json["held"], ran.json["sent"]) == (1, 0)
    assert not [call for call in synced.sandbox.log if "mailer" in str(call)]
