"""What is remembered: brought in from a list, written out, looked at, and erased."""

import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from conftest import Project

LIST = "5537ab2a08d241dc69326b19"


def seed(project: "Project", count: int, *, active: bool = True) -> None:
    project.sandbox.seed(
        project.contacts.id,
        [
            {"email": f"user{number}@example.com", "name": f"Name {number}", "active": active,
             "variables": {"city": f"City {number % 5}"}}
            for number in range(count)
        ],
    )  # fmt: skip


def export_of(count: int, header: str = "email,name,active,city") -> str:
    rows = [f"user{number}@example.com,Name {number},true,City {number % 5}" for number in range(count)]
    return "\n".join([header, *rows]) + "\n"


def test_after_an_adoption_a_first_sync_sends_only_real_differences(project: "Project") -> None:
    project.sandbox.create_list("aaaa", "Other")
    project.contacts.variables["city"] = _text()
    seed(project, 250)
    (project.folder / "export.csv").write_text(export_of(250))
    project.write_source(*project.people(252, n7="Astana"))

    adopted = project.run("state", "adopt", "export.csv", "--json")
    answer = project.run("sync", "--yes", "--json")

    assert (adopted.code, adopted.json["contacts"], adopted.json["variables"]) == (0, 250, ["city"])
    report = answer.report
    assert (report["same"], report["confirmed"]["update"], report["confirmed"]["add"]) == (249, 1, 2)
    assert (report["variables_created"], report["requests"]) == ([], 2)
    assert project.run("state", "show", "user3@example.com", "--json").json["contacts"][0]["origin"] == "adopted"


def _text() -> object:
    from syncengine.sandbox.contract import VariableType

    return VariableType.STRING


def test_adoption_is_the_way_out_of_unknown_consent(project: "Project") -> None:
    project.contacts.variables["city"] = _text()
    seed(project, 3)
    project.sandbox.seed(project.contacts.id, [{"email": "left@example.com", "active": False}])
    project.write_config(job='consent = "keep"')
    project.write_source(*project.people(3, n1="Moved"), "left@example.com,Left,yes,Moved")
    assert project.run("sync", "--yes", "--json").report["unresolved"] == 4
    (project.folder / "export.csv").write_text(export_of(3) + "left@example.com,Left,false,\n")

    project.run("state", "adopt", "export.csv")
    report = project.run("sync", "--yes", "--json").report

    assert (report["same"], report["confirmed"]["update"], report["held"]) == (2, 2, 0)
    left = project.contacts.find("left@example.com")
    assert left is not None
    assert (left.active, left.variables["city"]) == (False, "Moved")


def test_headers_of_an_export_may_be_told(project: "Project") -> None:
    project.contacts.variables["city"] = _text()
    seed(project, 5)
    (project.folder / "export.csv").write_text(export_of(5, "E-mail,Full name,Status,Town"))
    project.write_source(*project.people(5))

    refused = project.run("state", "adopt", "export.csv")
    assert refused.code == 2
    assert '--column "active=Its header"' in refused.err

    columns = ["--column", "active=Status", "--column", "name=Full name", "--column", "city=Town"]
    assert project.run("state", "adopt", "export.csv", *columns).code == 0
    assert project.run("plan", "--json").report["same"] == 5


def test_rows_of_an_export_that_cannot_be_read_are_told(project: "Project") -> None:
    (project.folder / "export.csv").write_text(export_of(2) + "nonsense,N,true,X\nc@example.com,N,perhaps,X\n")

    answer = project.run("state", "adopt", "export.csv", "--json").json

    assert answer["contacts"] == 2
    assert [(one["row"], one["code"]) for one in answer["refused"]] == [(4, "email-invalid"), (5, "active-unreadable")]


def test_rows_that_contradict_each_other_are_told_and_the_person_is_not_subscribed(project: "Project") -> None:
    (project.folder / "export.csv").write_text(
        "email,name,active\nA@example.com,Ann,false\na@example.com,Anna,true\nb@example.com,B,true\nb@example.com,B,true\n"
    )

    answer = project.run("state", "adopt", "export.csv", "--json").json

    assert (answer["contacts"], answer["active"], answer["lowered"]) == (2, 1, 1)
    assert answer["refused"] == [
        {"row": 2, "code": "duplicate",
         "reason": "row 3 is the same contact and was taken; as not subscribed, because one of the rows says so"},
        {"row": 4, "code": "duplicate", "reason": "row 5 is the same contact and was taken"},
    ]  # fmt: skip
    (ann,) = project.run("state", "show", "a@example.com", "--json").json["contacts"]
    assert (ann["name"], ann["active"]) == ("Anna", False)


def test_what_an_export_has_no_column_for_stays_known_and_is_not_sent_again(project: "Project") -> None:
    project.write_config(extra='fullName = "Full name"')
    project.write_source(*project.people(20))
    project.run("sync", "--yes")
    (project.folder / "export.csv").write_text(
        "email,active,city\n" + "".join(f"user{n}@example.com,true,City {n % 5}\n" for n in range(20))
    )

    assert project.run("state", "adopt", "export.csv", "--json").json["contacts"] == 20
    (contact,) = project.run("state", "show", "user7@example.com", "--json").json["contacts"]
    report = project.run("sync", "--yes", "--json").report

    assert (contact["name"], contact["origin"]) == ("Name 7", "adopted")
    assert contact["variables"] == {"city": "City 2", "fullName": "Name 7"}
    assert (report["same"], report["requests"]) == (20, 0)


def test_an_export_older_than_what_was_confirmed_changes_nothing_of_it(project: "Project") -> None:
    """Under keep, an old export that shows somebody as subscribed would bring them back."""
    project.write_config(job='consent = "keep"')
    project.write_source("a@example.com,Ann,no,X", "b@example.com,Bob,yes,X")
    project.run("sync", "--yes")
    (project.folder / "export.csv").write_text("email,active\na@example.com,true\nc@example.com,true\n")
    yesterday = time.time() - 86_400
    os.utime(project.folder / "export.csv", (yesterday, yesterday))

    answer = project.run("state", "adopt", "export.csv", "--json").json
    project.write_source("a@example.com,Ann,yes,Y", "b@example.com,Bob,yes,X")
    project.run("sync", "--yes")

    assert (answer["contacts"], answer["newer"]) == (1, 1)
    ann = project.contacts.find("a@example.com")
    assert ann is not None
    assert (ann.active, ann.variables["city"]) == (False, "Y")


def test_who_left_the_source_has_left_it_after_an_adoption_too(project: "Project") -> None:
    project.write_config(job='consent = "source"\nmode = "mirror"\nmirror = { max_missing = 3 }')
    project.run("sync", "--yes")
    project.write_source(*project.people(247))
    project.run("sync", "--yes")
    project.run("state", "export", "out.csv")
    project.run("state", "adopt", "out.csv")
    project.write_source(*project.people(246))

    report = project.run("sync", "--yes", "--json").report

    assert (report["result"], report["confirmed"]["unsubscribe"], report["same"]) == ("ok", 1, 246)


def test_an_id_that_two_addresses_of_an_export_have_is_neither_s(project: "Project") -> None:
    project.write_config(job='consent = "source"\nkey = "Id"', extra='id = "Id"')
    project.write_source(
        "1,a@example.com,A,yes,X", "2,b@example.com,B,yes,X", header="Id,Email,Full name,Subscribed,City"
    )
    (project.folder / "export.csv").write_text(
        "email,name,active,city,id\na@example.com,A,true,X,1\nold@example.com,A,true,X,1\nb@example.com,B,true,X,2\n"
    )

    assert project.run("state", "adopt", "export.csv").code == 0
    assert project.run("state", "verify").code == 0
    report = project.run("sync", "--yes", "--json").report

    assert (report["confirmed"]["rename"], report["rejected"], report["unresolved"]) == (0, 0, 0)


def test_an_export_can_be_adopted_again(project: "Project") -> None:
    project.write_source("a@example.com,=Ann,yes,+7", 'b@example.com,"\'quoted",no,', *project.people(10))
    project.run("sync", "--yes")

    exported = project.run("state", "export", "out.csv")
    project.run("state", "reset", "--yes")
    adopted = project.run("state", "adopt", "out.csv", "--json")
    report = project.run("plan", "--json").report

    assert (exported.code, adopted.json["contacts"], report["same"]) == (0, 12, 12)
    text = (project.folder / "out.csv").read_text()
    assert text.startswith("email,name,active,city\n")
    assert "a@example.com,'=Ann,true,'+7\n" in text


def test_verify_reads_everything_and_finds_damage(project: "Project") -> None:
    project.run("sync", "--yes")
    assert "250 contacts, snapshot 1, whole" in project.run("state", "verify").out

    (snapshot,) = (project.folder / ".syncengine" / "lists").rglob("snapshot-*.parquet")
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 2] ^= 1
    snapshot.write_bytes(content)
    answer = project.run("state", "verify")

    assert (answer.code, snapshot.read_bytes()) == (8, bytes(content))


def test_a_forgotten_person_is_nowhere_and_does_not_come_back(project: "Project") -> None:
    victim = "user7@example.com"
    project.write_source(*project.people(20), "user7@example.com,Again,yes,X", "user9@example.com,Nine,perhaps,X")
    project.run("sync", "--yes")
    project.run("plan", "--out", "kept-plan")

    answer = project.run("state", "forget", "USER7@example.com", "--yes")
    files = [path for path in (project.folder / ".syncengine").rglob("*") if path.is_file()]

    assert answer.code == 0
    assert [path.name for path in files if victim.encode() in path.read_bytes().lower()] == []
    assert project.run("state", "show", victim).code == 2
    report = project.run("sync", "--yes", "--json").report
    assert report["held_by_code"]["forgotten"] == 1
    assert report["planned"]["add"] == 0
    assert project.run("state", "verify").code == 0


def everything_below(folder: Path) -> dict[str, str]:
    """Every file of a folder as text; tables as the rows they hold, whatever they are packed with."""
    told = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode("utf-8", "replace")
            if path.suffix == ".parquet":
                content = str(pl.read_parquet(path).to_dicts())
            told[path.relative_to(folder).as_posix()] = content.lower() + json.dumps(content).lower()
    return told


VICTIM, NAMESAKE = "ann@example.com", "joann@example.com"


def a_life_of_traces(project: "Project") -> None:
    """Ann is on two lists, one of which no job has any more, under an id; was rejected, renamed, mailed and told of."""
    header, other = "Id,Email,Full name,Subscribed,City", "0123456789abcdef01234567"
    project.sandbox.create_list(other, "Old")
    ids = 'consent = "source"\nkey = "Id"\nmode = "mirror"'
    project.write_config(account=f'key = "sandbox-key"\nsend_url = "{project.url}"', job=ids)
    rows = [f"{n},user{n}@example.com,N,yes,X" for n in range(20)]
    project.write_source(*rows, "7777,old.ann@example.com,Ann,yes,X", "8888,joann@example.com,Jo,yes,X", header=header)
    config = project.folder / "syncengine.toml"
    newsletter = config.read_text()
    config.write_text(newsletter.replace(LIST, other).replace('"newsletter"', '"bygone"'))
    assert project.run("sync", "--yes", "--show-pii").code == 0
    project.write_source(*rows, "7777,Ann@example.com,Ann,yes,Y", "8888,joann@example.com,Jo,yes,Y", header=header)
    assert project.run("sync", "--yes", "--show-pii").code == 0
    assert project.run("plan").code == 0

    config.write_text(newsletter.replace('consent = "source"', 'consent = "keep"'))
    project.sandbox.seed(project.contacts.id, [{"email": VICTIM}, {"email": NAMESAKE}])
    project.write_source(
        *rows, "7777,Ann@example.com,Ann,yes,Y", "9999,ann@example.com,Ann,yes,Z", "8888,joann@example.com,Jo,yes,Y",
        header=header,
    )  # fmt: skip
    assert project.run("sync", "--yes", "--show-pii").code == 3
    assert project.run("mail", "trigger", "58a819c6f0152", "--to", VICTIM, "--yes").code == 0
    told_by_webhooks(project, int(time.time()) - 60, unsubscribed="ANN@Example.com", hard="joann@example.com")
    assert project.run("plan", "--show-pii").code == 0


def test_after_forget_no_file_of_the_state_holds_the_address(project: "Project") -> None:
    a_life_of_traces(project)
    state = project.folder / ".syncengine"
    before = everything_below(state)
    holding = {Path(name).name for name, text in before.items() if re.search(rf"(?<!o){VICTIM}", text)}
    assert {"errors.csv", "log.jsonl", "state.sqlite", "inbox.sqlite"} <= {re.sub("-wal$", "", one) for one in holding}
    assert any(name.startswith("snapshot-") for name in holding)
    notes = next(state.glob("runs/*/")) / "rows.notes"
    notes.write_bytes(b"hashes of rows, as a run leaves them whose plan could not be read any more")

    assert project.run("state", "forget", " Ann@EXAMPLE.com", "--yes").code == 0

    after = everything_below(state)
    assert [name for name, text in after.items() if re.search(rf"(?<!o){VICTIM}", text)] == []
    assert [name for name, text in after.items() if '"7777"' in text or ",9999," in text] == []
    assert not notes.exists()
    assert {Path(name).name for name, text in after.items() if NAMESAKE in text} >= {
        "errors.csv", "log.jsonl", "state.sqlite", "inbox.sqlite",
    }  # fmt: skip
    assert project.run("state", "verify").code == 0
    report = project.run("sync", "--yes", "--json").report
    assert report["held_by_code"]["forgotten"] == 2  # both rows of hers


def test_a_person_can_not_be_forgotten_while_a_run_may_still_send_them(project: "Project") -> None:
    project.write_source(*project.people(2000))
    project.run("sync", "--yes", "--max-requests", "3", "--concurrency", "1")

    answer = project.run("state", "forget", "user1@example.com", "--yes")

    assert answer.code == 2
    assert "--fresh" in answer.err


def test_retry_sends_what_was_rejected_once_more(project: "Project") -> None:
    project.run("sync", "--yes")
    lost = project.contacts.find("user42@example.com")
    assert lost is not None
    project.sandbox.act(project.contacts.id, lost.id, _removed())
    project.write_config(job='consent = "keep"')
    project.write_source(*project.people(250, n42="Moved"))
    first = project.run("sync", "--yes", "--json").report
    assert first["rejected"] == 1
    held = project.run("sync", "--yes", "--json").report
    assert (held["held"], held["requests"]) == (1, 0)
    project.contacts.variables["city"] = _text()
    project.sandbox.seed(project.contacts.id, [{"email": "user42@example.com"}])

    retried = project.run("retry", first["run"][:13], "--yes", "--json")

    assert (retried.code, retried.report["confirmed"]["update"]) == (0, 1)


def _removed() -> object:
    from syncengine.sandbox.account import Act

    return Act.REMOVE


def test_a_kept_plan_is_applied_exactly_or_refused_as_stale(project: "Project") -> None:
    plan = project.run("plan", "--out", "kept", "--json").report
    applied = project.run("sync", "--plan", "kept", "--yes", "--json")
    again = project.run("sync", "--plan", "kept", "--yes", "--json")

    assert (applied.code, applied.report["confirmed"]) == (0, plan["planned"])
    assert again.code == 2
    assert "stale" in again.err
    assert "the state of the list has changed since" in again.err


@pytest.mark.parametrize("change", ["source", "config"])
def test_a_plan_is_stale_when_the_file_or_the_rules_changed(project: "Project", change: str) -> None:
    project.run("plan", "--out", "kept")
    if change == "source":
        project.write_source(*project.people(251))
    else:
        project.write_config(extra='fullName = "Full name"')

    answer = project.run("sync", "--plan", "kept", "--yes")

    assert answer.code == 2
    assert f"the {change} has changed since" in answer.err
    assert project.sandbox.log == []


def test_a_trial_on_a_few_rows_sends_those_and_forgets_nothing_else(project: "Project") -> None:
    project.run("plan", "--limit", "10", "--out", "trial")
    trial = project.run("sync", "--plan", "trial", "--yes", "--json").report
    rest = project.run("sync", "--yes", "--json").report

    assert (trial["rows"], trial["confirmed"]["add"]) == (10, 10)
    assert (rest["same"], rest["confirmed"]["add"]) == (10, 240)


def test_every_difference_of_a_plan_stands_in_a_file(project: "Project") -> None:
    project.run("sync", "--yes")
    project.write_source(*project.people(250, n3="A", n4="B"))

    run = Path(project.run("plan", "--json").report["paths"]["run"])

    lines = (run / "differences.csv").read_text().splitlines()
    assert lines[0] == "row,key,op,field,before,after"
    assert sorted(lines[1:]) == [
        "5,user3@example.com,update,city,City 3,A",
        "6,user4@example.com,update,city,City 4,B",
    ]


def test_a_changed_mapping_says_why_it_sends(project: "Project") -> None:
    project.run("sync", "--yes")
    project.write_config(extra='fullName = "Full name"')

    plan = project.run("plan")

    assert "The mapping changed since the last run" in plan.out
    assert '+ fullName, from the column "Full name"' in plan.out
    assert "fullName 250" in plan.out


def test_a_plan_a_guard_stopped_is_not_carried_out_by_the_back_door(project: "Project") -> None:
    project.run("sync", "--yes")
    project.write_source(*project.people(100))
    sent = len(project.sandbox.log)

    stopped = project.run("plan", "--out", "kept")
    answer = project.run("sync", "--plan", "kept", "--yes")

    assert (stopped.code, answer.code, len(project.sandbox.log)) == (5, 2, sent)
    assert "was stopped by a guard (max-shrink)" in answer.err


def test_a_plan_is_stale_when_somebody_in_it_asked_to_be_erased(project: "Project") -> None:
    project.run("plan", "--out", "kept")
    project.run("state", "forget", "user7@example.com", "--yes")

    answer = project.run("sync", "--plan", "kept", "--yes")

    assert (answer.code, project.sandbox.log) == (2, [])
    assert "somebody in it was erased since" in answer.err


# -- consent: who is off, by whose word, since when --------------------------------------------------------------------


def consent_of(project: "Project", email: str) -> dict[str, str]:
    (contact,) = project.run("state", "show", email, "--json").json["contacts"]
    return contact["consent"]  # type: ignore[no-any-return]


def told_by_webhooks(project: "Project", at: int, **words: str) -> None:
    """`words`: event → address; what the receiver would have taken."""
    lines = [
        json.dumps({"event": event, "email": email, "datetime": at, "emailListId": LIST, "contactId": "c", "id": event})
        for event, email in words.items()
    ]
    (project.folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    assert project.run("webhooks", "replay", "log.jsonl").code == 0


def test_who_is_off_is_shown_with_whose_word_it_is_and_since_when(project: "Project") -> None:
    project.write_source(*project.people(8), "off@example.com,Off,no,X")
    project.run("sync", "--yes")
    left = int(time.time()) - 3600
    told_by_webhooks(
        project, left,
        unsubscribed="user1@example.com", removed="user2@example.com", complaint="user3@example.com",
        hard="user4@example.com",
    )  # fmt: skip
    project.run("sync", "--yes")
    (project.folder / "export.csv").write_text("email,active\nadopted@example.com,false\n")
    project.run("state", "adopt", "export.csv")

    when = datetime.fromtimestamp(left, UTC).isoformat()
    told = {number: consent_of(project, f"user{number}@example.com") for number in (1, 2, 3, 4)}
    assert told == {
        number: {"status": status, "source": "webhook", "at": when}
        for number, status in ((1, "unsubscribed"), (2, "removed"), (3, "complaint"), (4, "hard"))
    }
    assert consent_of(project, "user5@example.com")["status"] == "subscribed"
    off, adopted = consent_of(project, "off@example.com"), consent_of(project, "adopted@example.com")
    assert (off["status"], off["source"]) == ("unsubscribed", "sync")
    assert (adopted["status"], adopted["source"]) == ("unsubscribed", "adopted")
    shown = project.run("state", "show", "USER4@example.com").out
    assert f"bounced for good, {when[:16].replace('T', ' ')} UTC, by SmartSender's own word (webhook)" in shown


def test_who_left_the_source_is_shown_to_be_off_for_that(project: "Project") -> None:
    project.write_config(job='consent = "source"\nmode = "mirror"')
    project.run("sync", "--yes")
    project.write_source(*project.people(245))
    project.run("sync", "--yes")

    assert consent_of(project, "user249@example.com")["source"] == "left-source"
    assert "unsubscribed, " in project.run("state", "show", "user249@example.com").out


def test_who_left_and_was_never_on_the_list_is_shown_as_well(project: "Project") -> None:
    told_by_webhooks(project, int(time.time()) - 60, unsubscribed="stranger@example.com")
    project.run("plan")

    (contact,) = project.run("state", "show", "Stranger@Example.com", "--json").json["contacts"]

    assert (contact["key"], contact["email"], contact["active"]) == (None, "stranger@example.com", False)
    assert contact["consent"]["status"] == "unsubscribed"
