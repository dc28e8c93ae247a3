"""`mail send`, `mail trigger` and `mail stats` through the command line, over HTTP to a sandbox on a loopback port."""

import contextlib
import csv
import json
import signal
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.sandbox import Behaviour, Drop, Endpoint, Fault, Hang, Html, MessageAct, RawBody, Status, When
from syncengine.sandbox.account import Act

if TYPE_CHECKING:
    from conftest import Project, Ran

TEMPLATE = "58a819c6f0152"
SEND = (
    "mail", "send", "--from", "shop@example.com", "--from-name", "Shop", "--to", "anna@example.com",
    "--subject", "Hello", "--html", "body.html",
)  # fmt: skip


@pytest.fixture
def mailer(project: "Project") -> "Project":
    """The project, with the sending group in its config, 20 contacts on the list, and a file of them."""
    project.write_config(account=f'key = "sandbox-key"\nsend_url = "{project.url}"')
    project.sandbox.seed(project.contacts.id, [{"email": f"user{number}@example.com"} for number in range(20)])
    project.write_source(*project.people(20), name="people.csv")
    (project.folder / "body.html").write_text("<p>Grüße</p>", encoding="utf-8")
    return project


def trigger(project: "Project", *more: str) -> "Ran":
    return project.run("mail", "trigger", TEMPLATE, "--file", "people.csv", "--yes", "--json", *more)


def mailed(project: "Project") -> list[str]:
    return sorted(mail.email for mail in project.sandbox.account.messages)


def adds_up(document: dict[str, int]) -> bool:
    skipped = sum(document["skipped"].values())
    settled = document["sent"] + document["rejected"] + document["unknown"] + document["pending"]
    return document["rows"] == document["held"] + skipped + document["planned"] and document["planned"] == settled


EVERYBODY = sorted(f"user{number}@example.com" for number in range(20))


# send -----------------------------------------------------------------------------------------------------------------


def test_a_message_is_sent_and_can_be_measured(mailer: "Project") -> None:
    sent = mailer.run(
        *SEND, "--tag", "welcome", "--header", "X-Campaign=spring", "--reply-to", "help@example.com", "--json"
    )
    (mail,) = mailer.sandbox.account.messages
    mailer.sandbox.happen(mail.id, MessageAct.READ)
    stats = mailer.run("mail", "stats", mail.id, "--json")

    assert (sent.code, sent.json) == (0, {"schema_version": 1, "accepted": True, "message_id": mail.id})
    assert (mail.email, mail.html, mail.tags, mail.headers) == (
        "anna@example.com", "<p>Grüße</p>", ("welcome",), {"X-Campaign": "spring"},
    )  # fmt: skip
    assert stats.json["messages"] == {"sent": 1, "delivered": 1, "read": 1, "click": 0, "hard": 0, "soft": 0}


MISTAKES = [
    (("--to", "bob@example.com"), "message.to: exactly one recipient a message, not 2"),
    (("--tag", "_mine"), "begins with an underscore"),
    (("--tag", "x" * 51), "at most 50 characters"),
    (("--reply-to", "nobody"), "message.reply_to[0].email: must be an address"),
    (("--text", "missing.txt"), "missing.txt: can't be read as text"),
    (("--key", "sandbox-key"), "a key is not taken from the command line"),
    (("--secret", "sandbox-secret"), "a secret is not taken from the command line"),
    (("--header", "X-Campaign"), "is not NAME=VALUE"),
]


@pytest.mark.parametrize(("more", "what"), MISTAKES)
def test_what_is_wrong_with_a_message_is_told_and_nothing_is_sent(
    mailer: "Project", more: tuple[str, ...], what: str
) -> None:
    ran = mailer.run(*SEND, *more)
    assert (ran.code, what in ran.err, len(mailer.sandbox.log)) == (2, True, 0)


def test_a_missing_key_is_told_with_what_to_write(mailer: "Project") -> None:
    mailer.write_config(account=f'send_url = "{mailer.url}"')
    for command in (SEND, ("mail", "stats", "abc")):
        ran = mailer.run(*command)
        assert ran.code == 2
        assert 'key = "${SMARTSENDER_KEY}" in [account], and: export SMARTSENDER_KEY=…' in ran.err


def test_a_refused_key_ends_with_4_and_is_not_shown(mailer: "Project") -> None:
    mailer.write_config(account=f'key = "another-key"\nsend_url = "{mailer.url}"')
    for command in (SEND, ("mail", "stats", "abc")):
        ran = mailer.run(*command)
        assert (ran.code, "another-key" in ran.err + ran.out) == (4, False)


def test_a_message_whose_answer_is_lost_is_told_as_possibly_sent(mailer: "Project") -> None:
    mailer.sandbox.faults.add(Fault(what=Drop(), when=When.AFTER_APPLY))
    ran = mailer.run(*SEND)
    assert (ran.code, len(mailer.sandbox.log)) == (7, 1)
    assert "the request left, and may have been carried out" in ran.err


INTERRUPTED = [
    (SEND, "the request left, and may have been carried out"),
    (("mail", "stats", "abc"), "nothing was changed: it was only asked"),
]


@pytest.mark.parametrize(("command", "sent"), INTERRUPTED)
def test_ctrl_c_tells_what_may_have_been_carried_out(mailer: "Project", command: tuple[str, ...], sent: str) -> None:
    mailer.sandbox.faults.add(Fault(what=Hang(), when=When.AFTER_APPLY))
    words = [sys.executable, "-m", "syncengine", *command]
    with subprocess.Popen(words, cwd=mailer.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as it:
        while not mailer.sandbox.log:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended by itself: {it.wait(timeout=0.02)}")
        it.send_signal(signal.SIGINT)
        _, err = it.communicate()

    assert (it.returncode, sent in err) == (130, True)


def test_a_message_the_service_rejects_ends_with_3_and_its_words(mailer: "Project") -> None:
    mailer.sandbox.faults.add(
        Fault(what=RawBody(b'{"validation_errors": {"html": ["too long"]}, "result": 0, "error": "Validation errors"}'))
    )
    ran = mailer.run(*SEND)
    assert (ran.code, "html: too long" in ran.err) == (3, True)


# trigger --------------------------------------------------------------------------------------------------------------


def test_one_contact_gets_a_template_once(mailer: "Project") -> None:
    one = ("mail", "trigger", TEMPLATE, "--to", "User3@example.com", "--tag", "a", "--json")
    first, second, again = mailer.run(*one), mailer.run(*one), mailer.run(*one, "--again")

    assert (first.code, first.json["sent"], first.json["result"]) == (0, 1, "ok")
    assert (second.code, second.json["sent"], second.json["skipped"]["sent_before"]) == (0, 0, 1)
    assert (again.code, again.json["sent"]) == (0, 1)
    assert [(mail.email, mail.tags) for mail in mailer.sandbox.account.messages] == [("user3@example.com", ("a",))] * 2


def test_a_file_gets_a_template_once_and_every_row_is_accounted_for(mailer: "Project") -> None:
    mailer.write_source(
        *mailer.people(20), "not an address,X,yes,Y", "USER3@example.com,X,yes,Y", "stranger@example.com,X,yes,Y",
        name="people.csv",
    )  # fmt: skip

    first, second = trigger(mailer), trigger(mailer)

    assert (first.code, first.json["result"]) == (3, "rejected")
    told = {name: first.json[name] for name in ("rows", "held", "planned", "sent", "rejected", "unknown", "pending")}
    assert told == {"rows": 23, "held": 2, "planned": 21, "sent": 20, "rejected": 1, "unknown": 0, "pending": 0}
    assert mailed(mailer) == EVERYBODY
    assert (second.json["sent"], second.json["skipped"]["sent_before"]) == (0, 20)
    assert adds_up(first.json)
    assert adds_up(second.json)


def test_the_results_are_private_and_can_be_measured(mailer: "Project") -> None:
    mailer.write_source("hard@example.com,X,yes,Y", *mailer.people(3), name="people.csv")
    mailer.sandbox.seed(mailer.contacts.id, [{"email": "hard@example.com"}])
    results = Path(trigger(mailer).json["paths"]["results"])

    stats = mailer.run("mail", "stats", "--file", str(results), "--out", "stats.parquet", "--json")

    assert (stat.S_IMODE(results.stat().st_mode), stat.S_IMODE(results.parent.stat().st_mode)) == (0o600, 0o700)
    with results.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["outcome"] for row in rows} == {"sent"}
    assert stats.json["messages"] == {"sent": 4, "delivered": 3, "read": 0, "click": 0, "hard": 1, "soft": 0}
    frame = pl.read_parquet(mailer.folder / "stats.parquet")
    assert frame["id"].to_list() == [row["message_id"] for row in rows]
    assert frame.filter(pl.col("hard") == 1)["email"].to_list() == ["hard@example.com"]


def test_a_lost_answer_is_unknown_and_never_sent_again_by_itself(mailer: "Project") -> None:
    mailer.sandbox.faults.add(Fault(what=Drop(), when=When.AFTER_APPLY, nth=4))

    first, second = trigger(mailer), trigger(mailer)

    assert (first.code, first.json["sent"], first.json["unknown"]) == (3, 19, 1)
    assert second.json["skipped"] == {"sent_before": 19, "unknown_before": 1}
    assert second.json["sent"] == 0
    assert mailed(mailer) == EVERYBODY


@pytest.mark.parametrize("fault", [Status(429, retry_after="0"), Status(429)])
def test_requests_that_were_too_many_are_sent_again(mailer: "Project", fault: Status) -> None:
    mailer.sandbox.faults.add(Fault(what=fault, nth=3, times=4))
    ran = trigger(mailer)
    assert (ran.code, ran.json["sent"], mailed(mailer)) == (0, 20, EVERYBODY)


@pytest.mark.parametrize("what", [Html(), Status(502), Drop()])
def test_a_service_that_answers_nonsense_stops_the_mailing_early_and_the_rest_goes_on_later(
    mailer: "Project", what: Html | Status | Drop
) -> None:
    mailer.write_config(account="concurrency = 1")
    mailer.sandbox.faults.add(Fault(what=what, when=When.AFTER_APPLY, nth=4, times=None))

    first = trigger(mailer)
    mailer.sandbox.faults.clear()
    second = trigger(mailer)

    assert (first.code, first.json["result"]) == (7, "unavailable")
    assert (first.json["sent"], first.json["unknown"], first.json["pending"]) == (3, 5, 12)
    assert (second.json["resumed"], second.json["sent"], second.json["unknown"]) == (True, 15, 5)
    assert mailed(mailer) == EVERYBODY
    assert adds_up(first.json)
    assert adds_up(second.json)


def test_a_mailing_that_is_killed_goes_on_and_nobody_gets_it_twice(mailer: "Project") -> None:
    mailer.write_config(account="concurrency = 2")
    mailer.sandbox.faults.add(Fault(what=Hang(), when=When.AFTER_APPLY, nth=7, times=None))
    words = [sys.executable, "-m", "syncengine", "mail", "trigger", TEMPLATE, "--file", "people.csv", "--yes"]
    with subprocess.Popen(words, cwd=mailer.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        while len(mailer.sandbox.account.messages) < 8:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended by itself: {program.wait(timeout=0.02)}")
        program.kill()
    mailer.sandbox.faults.clear()

    ran = trigger(mailer)

    assert (ran.json["resumed"], ran.json["sent"], ran.json["unknown"], ran.json["pending"]) == (True, 18, 2, 0)
    assert mailed(mailer) == EVERYBODY
    assert adds_up(ran.json)


def test_however_often_a_mailing_is_killed_nobody_gets_it_twice(mailer: "Project") -> None:
    """kill -9 wherever it happens to be: whoever may have got it is unknown, and no more than were on their way."""
    people = [f"more{number}@example.com" for number in range(150)]
    mailer.sandbox.seed(mailer.contacts.id, [{"email": email} for email in people])
    mailer.write_source(*(f"{email},N,yes,C" for email in people), name="people.csv")
    mailer.write_config(account="concurrency = 4")
    text = (mailer.folder / "syncengine.toml").read_text(encoding="utf-8").replace("rate = 500", "rate = 50")
    (mailer.folder / "syncengine.toml").write_text(text, encoding="utf-8")
    words = [sys.executable, "-m", "syncengine", "mail", "trigger", TEMPLATE, "--file", "people.csv", "--yes"]
    kills = 4
    for number in range(kills):
        goal = len(mailer.sandbox.account.messages) + 3 + 7 * number
        with subprocess.Popen(
            words, cwd=mailer.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as program:
            while len(mailer.sandbox.account.messages) < goal:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pytest.fail(f"it ended by itself: {program.wait(timeout=0.005)}")
            program.kill()

    ran = trigger(mailer)

    got = mailed(mailer)
    assert len(got) == len(set(got))
    assert (ran.json["resumed"], ran.json["pending"], ran.json["sent"] + ran.json["unknown"]) == (True, 0, len(people))
    assert ran.json["unknown"] <= kills * 4  # as many as were at work at a time
    assert len(people) - len(got) <= ran.json["unknown"]
    assert adds_up(ran.json)


def test_mails_measurements_and_a_sync_beside_them_share_one_rate(mailer: "Project") -> None:
    """Each of them is a process of its own, and every request is counted where all of them look."""
    mailer.run("mail", "trigger", TEMPLATE, "--to", "user3@example.com")
    (mail,) = mailer.sandbox.account.messages
    text = (mailer.folder / "syncengine.toml").read_text(encoding="utf-8").replace("rate = 500", "rate = 20")
    (mailer.folder / "syncengine.toml").write_text(text, encoding="utf-8")
    mailer.write_source(*mailer.people(2_000))
    words = [sys.executable, "-m", "syncengine"]
    before, began = pace_count(mailer), len(mailer.sandbox.log)

    with contextlib.ExitStack() as stack:
        programs = [
            stack.enter_context(subprocess.Popen([*words, *more], cwd=mailer.folder, stdout=subprocess.DEVNULL))
            for more in (("sync", "--yes"), ("mail", "stats", mail.id), ("mail", "stats", mail.id), SEND)
        ]
        assert [program.wait(timeout=300) for program in programs] == [0, 0, 0, 0]

    assert pace_count(mailer) - before >= len(mailer.sandbox.log) - began >= 23


def pace_count(project: "Project") -> int:
    """How many requests all processes of a state have let go."""
    return int(struct.unpack_from("<QQd", (project.folder / ".syncengine" / "pace").read_bytes())[1])


def test_ctrl_c_finishes_what_is_in_flight_and_says_how_to_go_on(mailer: "Project") -> None:
    mailer.write_config(account="concurrency = 1")
    mailer.sandbox.behaviour = Behaviour(latency=0.2)
    words = [sys.executable, "-m", "syncengine", "mail", "trigger", TEMPLATE, "--file", "people.csv", "--yes", "--json"]
    with subprocess.Popen(
        words, cwd=mailer.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        while len(mailer.sandbox.log) < 3:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended by itself: {program.wait(timeout=0.02)}")
        program.send_signal(signal.SIGINT)
        out, err = program.communicate()

    document = json.loads(out)
    assert (program.returncode, document["result"], document["unknown"]) == (130, "interrupted", 0)
    assert "the same command goes on" in err
    assert document["sent"] == len(mailer.sandbox.account.messages) < 20
    mailer.sandbox.behaviour = Behaviour()
    assert trigger(mailer).json["sent"] == 20
    assert mailed(mailer) == EVERYBODY


def test_a_limit_is_a_trial_and_the_same_command_goes_on(mailer: "Project") -> None:
    first, second = trigger(mailer, "--limit", "3"), trigger(mailer)
    assert (first.code, first.json["sent"], first.json["pending"]) == (7, 3, 17)
    assert (second.code, second.json["resumed"], second.json["sent"]) == (0, True, 20)
    assert mailed(mailer) == EVERYBODY


def test_again_sends_to_everybody_once_more_and_is_resumable_too(mailer: "Project") -> None:
    trigger(mailer)
    first, second = trigger(mailer, "--again", "--limit", "5"), trigger(mailer, "--again")
    third = trigger(mailer)
    assert (first.json["sent"], second.json["sent"], second.json["resumed"], third.json["sent"]) == (5, 20, True, 0)
    assert mailed(mailer) == sorted(EVERYBODY * 2)


def test_another_template_and_another_list_are_another_matter(mailer: "Project") -> None:
    mailer.sandbox.create_list("bbbb", "Other")
    mailer.sandbox.seed("bbbb", [{"email": "user3@example.com"}])
    one = ("--to", "user3@example.com", "--json")
    assert mailer.run("mail", "trigger", "one", *one).json["sent"] == 1
    assert mailer.run("mail", "trigger", "two", *one).json["sent"] == 1
    assert mailer.run("mail", "trigger", "one", "--list", "bbbb", *one).json["sent"] == 1
    assert mailer.run("mail", "trigger", "one", "--list", "bbbb", *one).json["sent"] == 0


def test_a_template_the_list_has_no_variable_for_stops_before_everybody_is_rejected(mailer: "Project") -> None:
    mailer.sandbox.account.templates[TEMPLATE] = ("shoeSize",)

    first = trigger(mailer)
    del mailer.sandbox.account.templates[TEMPLATE]
    second = trigger(mailer)

    assert (first.code, first.json["result"], first.json["error"]["code"]) == (4, "refused", "template-refused")
    assert (first.json["rejected"], first.json["sent"], first.json["pending"]) == (0, 0, 20)
    assert len(mailer.sandbox.log) <= 20 + 8
    assert second.json["sent"] == 20


def test_a_refused_token_or_list_stops_at_once(mailer: "Project") -> None:
    mailer.sandbox.behaviour = Behaviour(revoke_token_at=3)
    ran = trigger(mailer)
    assert (ran.code, ran.json["result"], ran.json["unknown"]) == (4, "refused", 0)
    assert ran.json["sent"] == len(mailer.sandbox.account.messages)
    assert "sandbox-token" not in ran.err + ran.out
    mailer.sandbox.tokens.add("sandbox-token")
    other = mailer.run("mail", "trigger", TEMPLATE, "--list", "nolist", "--to", "user3@example.com")
    assert (other.code, "list" in other.err) == (4, True)


def test_whoever_must_not_get_mail_or_was_erased_is_held(mailer: "Project") -> None:
    mailer.run("sync", "--yes")
    mailer.run("state", "forget", "user5@example.com", "--yes")
    _suppress(mailer, "user6@example.com")

    ran = trigger(mailer)
    all_of_them = mailer.run("mail", "trigger", TEMPLATE, "--to", "user6@example.com", "--suppressed-too", "--json")

    assert (ran.json["sent"], ran.json["held"]) == (18, 2)
    assert all_of_them.json["sent"] == 1
    assert adds_up(ran.json)


def test_whom_the_list_has_as_unsubscribed_is_not_mailed(mailer: "Project") -> None:
    mailer.write_source(*mailer.people(18), "user18@example.com,N,no,C", "user19@example.com,N,no,C")
    mailer.run("sync", "--yes")

    ran = trigger(mailer)
    shown = mailer.run("mail", "trigger", "another", "--file", "people.csv", "--limit", "1", "--yes")
    all_the_same = mailer.run("mail", "trigger", TEMPLATE, "--to", "user19@example.com", "--suppressed-too", "--json")

    assert (ran.json["sent"], ran.json["held"], all_the_same.json["sent"]) == (18, 2, 1)
    assert "2 unsubscribed" in shown.err
    assert adds_up(ran.json)


def _suppress(project: "Project", address: str) -> None:
    from syncengine.ledger import open_ledger, transaction

    with contextlib.closing(open_ledger(project.folder / ".syncengine")) as connection, transaction(connection) as db:
        db.execute(
            "INSERT INTO suppressions (list, address, kind, origin, at) VALUES (?, ?, 'complaint', 'test', '')",
            (project.contacts.id, address),
        )


def test_an_erased_person_leaves_no_trace_in_the_record_of_mails(mailer: "Project") -> None:
    trigger(mailer)
    erased = mailer.run("state", "forget", "user5@example.com", "--yes")

    assert erased.code == 0
    for path in (mailer.folder / ".syncengine").rglob("*"):
        assert not path.is_file() or b"user5@example.com" not in path.read_bytes(), path


def test_without_a_terminal_and_without_yes_nothing_is_sent(mailer: "Project") -> None:
    ran = mailer.run("mail", "trigger", TEMPLATE, "--file", "people.csv")
    assert (ran.code, len(mailer.sandbox.log)) == (2, 0)
    assert "+ to send            20" in ran.err
    assert "run it with --yes" in ran.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((TEMPLATE,), "either --to ADDRESS or --file FILE"),
        ((TEMPLATE, "--to", "nobody"), "--to is not an address"),
        (("no template", "--to", "a@example.com"), "templateId: must be an id"),
        ((TEMPLATE, "--to", "a@example.com", "--tag", "_x"), "begins with an underscore"),
        ((TEMPLATE, "--to", "a@example.com", "--list", "no list"), "emailListId: must be an id"),
        ((TEMPLATE, "--file", "missing.csv", "--yes"), "missing.csv"),
        ((TEMPLATE, "--file", "people.csv", "--column", "Mail", "--yes"), "no column 'Mail'"),
        ((TEMPLATE, "--to", "a@example.com", "--token", "sandbox-token"), "a token is not taken from the command line"),
    ],
)
def test_what_is_wrong_with_a_mailing_is_told_and_nothing_is_sent(
    mailer: "Project", arguments: tuple[str, ...], what: str
) -> None:
    ran = mailer.run("mail", "trigger", *arguments)
    assert (ran.code, what in ran.err, len(mailer.sandbox.log)) == (2, True, 0)


def test_a_mailing_waits_for_nobody_who_holds_the_state(mailer: "Project") -> None:
    from syncengine.lock import locked

    with locked(mailer.folder / ".syncengine"):
        ran = trigger(mailer)
    assert (ran.code, len(mailer.sandbox.log)) == (6, 0)


# stats ----------------------------------------------------------------------------------------------------------------


def send_many(mailer: "Project", count: int) -> list[str]:
    mailer.sandbox.seed(mailer.contacts.id, [{"email": f"more{number}@example.com"} for number in range(count)])
    rows = [f"more{number}@example.com,N,yes,C" for number in range(count)]
    mailer.write_source(*rows, name="people.csv")
    trigger(mailer)
    return [mail.id for mail in mailer.sandbox.account.messages]


def test_any_number_of_ids_is_measured_a_hundred_a_request(mailer: "Project") -> None:
    ids = send_many(mailer, 230)
    for number, message_id in enumerate(ids):
        if number % 10 == 0:
            mailer.sandbox.happen(message_id, MessageAct.READ)
            mailer.sandbox.happen(message_id, MessageAct.READ)
    (mailer.folder / "ids.txt").write_text("\n".join([*ids, "unknown"]) + "\n")

    ran = mailer.run("mail", "stats", "--file", "ids.txt", "--out", "stats.csv")
    document = mailer.run("mail", "stats", "--file", "ids.txt", "--json").json

    assert ran.code == 0
    assert (document["asked"], document["found"], document["unknown"]) == (231, 230, 1)
    assert (document["messages"]["read"], document["events"]["read"], document["requests"]) == (23, 46, 3)
    assert "230 of 231 messages found" in ran.err
    assert [line.split() for line in ran.out.splitlines()][3] == ["read", "23", "10.0%", "46"]
    frame = pl.read_csv(mailer.folder / "stats.csv", try_parse_dates=True)
    assert (frame.height, frame["read"].sum(), frame.filter(~pl.col("found"))["id"].to_list()) == (231, 46, ["unknown"])
    assert [one.size for one in mailer.sandbox.log if one.endpoint is Endpoint.MESSAGE] == [100, 100, 31] * 2


def test_json_rows_have_what_the_table_has(mailer: "Project") -> None:
    ids = send_many(mailer, 2)
    mailer.run("mail", "stats", *ids, "--out", "stats.json")
    rows = json.loads((mailer.folder / "stats.json").read_text())
    assert [row["id"] for row in rows] == ids
    assert (rows[0]["delivered"], rows[0]["email"], rows[0]["first_read_at"]) == (1, "more0@example.com", None)
    assert rows[0]["delivered_at"] > rows[0]["sent_at"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "ids: at least one is needed"),
        (("not an id",), "ids: must be an id"),
        (("abc", "--out", "stats.xls"), "stats.xls: in which form?"),
        (("abc", "--out", "nowhere/stats.csv"), "there is no folder"),
        (("--file", "people.csv"), "which column has the ids of messages?"),
    ],
)
def test_what_is_wrong_with_a_measurement_is_told_before_anything_is_asked(
    mailer: "Project", arguments: tuple[str, ...], what: str
) -> None:
    ran = mailer.run("mail", "stats", *arguments)
    assert (ran.code, what in ran.err, len(mailer.sandbox.log)) == (2, True, 0)


def test_cells_that_a_spreadsheet_would_run_are_guarded(mailer: "Project") -> None:
    mailer.run(*[word if word != "Hello" else "=1+1" for word in SEND])
    mailer.run("mail", "stats", mailer.sandbox.account.messages[0].id, "--out", "stats.csv")
    assert pl.read_csv(mailer.folder / "stats.csv")["subject"].to_list() == ["'=1+1"]


def test_an_outage_while_measuring_ends_with_7_and_no_file(mailer: "Project") -> None:
    mailer.sandbox.faults.add(Fault(what=Html(), times=None))
    ran = mailer.run("mail", "stats", "abc", "--out", "stats.csv")
    assert (ran.code, (mailer.folder / "stats.csv").exists()) == (7, False)


def test_an_unsubscribed_contact_is_the_services_affair(mailer: "Project") -> None:
    """The API sends templates to whoever is on the list: what it refuses is told, what it takes is sent."""
    contact = mailer.contacts.find("user3@example.com")
    assert contact is not None
    mailer.sandbox.act(mailer.contacts.id, contact.id, Act.REMOVE)
    ran = mailer.run("mail", "trigger", TEMPLATE, "--to", "user3@example.com", "--json")
    assert (ran.code, ran.json["rejected"]) == (3, 1)
    with Path(ran.json["paths"]["results"]).open(newline="") as lines:
        assert next(csv.DictReader(lines))["text"] == "Contact user3@example.com not found!"
