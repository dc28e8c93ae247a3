"""`smartersends campaigns|conversations|events` through the command line, over HTTP to a sandbox on a loopback port."""

import csv
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from syncengine.sandbox import Behaviour, Drop, Endpoint, Fault, RawBody, Status, When

if TYPE_CHECKING:
    from conftest import Project, Ran

YEAR = ("--from", "2025-01-01", "--to", "2025-12-31")


@pytest.fixture
def instance(project: "Project") -> "Project":
    """The project, with the sandbox's instance in its config."""
    project.write_config(
        extra=f'\n[smartersends]\nurl = "{project.url}/smartersends/api"\nkey = "sandbox-instance-key"\nrate = 500'
    )
    return project


def run(project: "Project", *words: str) -> "Ran":
    return project.run("smartersends", *words)


def sent_campaigns(project: "Project") -> list[dict[str, Any]]:
    return [one for one in project.sandbox.account.instance.campaigns if one["status"] != "Draft"]


# campaigns ------------------------------------------------------------------------------------------------------------


def test_campaigns_are_a_table_on_a_terminal(instance: "Project") -> None:
    ran = run(instance, "campaigns", *YEAR)
    lines = ran.out.splitlines()
    assert (ran.code, lines[0].split()) == (0, ["NAME", "SUBJECT", "SEND_TIME", "TYPE", "STATUS"])
    assert len(lines) == 51
    assert f"{len(sent_campaigns(instance))} campaigns; 50 are shown, --out FILE has all" in ran.err


def test_campaigns_are_one_json_document(instance: "Project") -> None:
    ran = run(
        instance, "campaigns", *YEAR, "--columns", "Name,status,shoe size", "--status", "sent,SCHEDULED,x", "--json"
    )
    wanted = [one["name"] for one in sent_campaigns(instance) if one["status"] in {"Sent", "Scheduled"}]
    assert [row["name"] for row in ran.json["campaigns"]] == wanted
    assert (ran.json["count"], ran.json["ignored"], list(ran.json["campaigns"][0])) == (
        len(wanted), ["shoe size", "x"], ["name", "status"],
    )  # fmt: skip
    assert "ignored: 'shoe size' is neither a column nor a status" in ran.err


def test_campaigns_are_written_as_csv_parquet_and_json(instance: "Project") -> None:
    instance.sandbox.account.instance.campaigns[1]["subject"] = "=HYPERLINK(1)"
    words = ("campaigns", *YEAR, "--columns", "name,subject,send_time,sent_mailing_id")
    for suffix in ("csv", "parquet", "json"):
        ran = run(instance, *words, "--out", f"all.{suffix}")
        assert (ran.code, "campaigns written to" in ran.out) == (0, True), ran.err

    frame = pl.read_parquet(instance.folder / "all.parquet")
    with (instance.folder / "all.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    objects = json.loads((instance.folder / "all.json").read_text())
    wanted = sent_campaigns(instance)
    assert frame["name"].to_list() == [row["name"] for row in rows] == [one["name"] for one in objects]
    assert frame["send_time"].to_list() == [one["send_time"].replace(tzinfo=None) for one in wanted]
    assert [one["subject"] for one in objects] == frame["subject"].to_list() == [one["subject"] for one in wanted]
    assert [row["subject"] for row in rows][:1] == ["'=HYPERLINK(1)"]
    assert objects[0]["sent_mailing_id"] == wanted[0]["sent_mailing_id"]
    assert sorted(path.name for path in instance.folder.glob("*all*")) == ["all.csv", "all.json", "all.parquet"]
    assert list(instance.folder.glob(".export*")) == []
    assert instance.sandbox.account.instance.with_bearer == 0


@pytest.mark.parametrize("scenario", ["smartersends-get", "smartersends-post", "export-late"])
def test_campaigns_come_in_every_documented_way(instance: "Project", scenario: str) -> None:
    instance.sandbox.play(scenario)
    assert run(instance, "campaigns", *YEAR, "--json").json["count"] == len(sent_campaigns(instance))


@pytest.mark.parametrize(
    ("scenario", "word"), [("export-without-url", "no temporary URL"), ("export-expired", "HTTP 403")]
)
def test_a_file_that_can_not_be_had_ends_with_7_and_leaves_none(instance: "Project", scenario: str, word: str) -> None:
    instance.sandbox.play(scenario)
    ran = run(instance, "campaigns", *YEAR, "--out", "all.csv")
    assert (ran.code, word in ran.err, list(instance.folder.glob("*all*"))) == (7, True, [])


@pytest.mark.parametrize("name", ["all.csv", "all.parquet", "all.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"name\nA\n",
        b'[{"name": "A"}]',
        b'[{"name": "A", "sta',
        "näme,status\n".encode("latin-1"),
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_not_what_was_asked_for_is_not_written(instance: "Project", content: bytes, name: str) -> None:
    instance.sandbox.faults.add(Fault(what=RawBody(content), endpoint=Endpoint.DOWNLOAD))
    ran = run(instance, "campaigns", *YEAR, "--columns", "name,status", "--out", name)
    assert (ran.code, list(instance.folder.glob("*all*"))) == (7, [])
    assert "not what the page describes" in ran.err


def test_a_large_export_is_streamed_to_its_file(instance: "Project") -> None:
    row = dict(sent_campaigns(instance)[0])
    instance.sandbox.account.instance.campaigns[:] = [row | {"name": f"No. {number}"} for number in range(30_000)]
    ran = run(instance, "campaigns", *YEAR, "--columns", "name,html", "--out", "all.parquet")
    assert ran.out.startswith("30,000 campaigns written to")
    assert pl.scan_parquet(instance.folder / "all.parquet").select(pl.col("name").n_unique()).collect().item() == 30_000


# conversations --------------------------------------------------------------------------------------------------------


def test_conversations_are_two_tables_on_a_terminal(instance: "Project") -> None:
    ran = run(instance, "conversations", "--from", "2025-01-01", "--to", "2026-12-31")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()][1] == ["total_conversations", "90"]
    assert any(line.startswith("Sales, North") for line in ran.out.splitlines())


def test_conversations_are_written_as_csv_parquet_and_json(instance: "Project") -> None:
    document = run(instance, "conversations", "--json").json
    for suffix in ("csv", "parquet", "json"):
        assert run(instance, "conversations", "--out", f"usage.{suffix}").code == 0

    groups = pl.read_parquet(instance.folder / "usage.parquet")
    metrics = pl.read_parquet(instance.folder / "usage-metrics.parquet")
    above, below = (instance.folder / "usage.csv").read_text().split("\n\n")
    assert groups.to_dicts() == document["by_group"]
    assert metrics.to_dicts() == [document["metrics"]]
    assert json.loads((instance.folder / "usage.json").read_text())["metrics"] == document["metrics"]
    assert above.splitlines()[:2] == ["metric,value", "total_conversations,90"]
    names = [row["group_name"] for row in csv.DictReader(below.splitlines())]
    assert names == ["Marketing", "Sales, North", "'=Support"]


# events ---------------------------------------------------------------------------------------------------------------


def test_events_are_made_shown_changed_written_and_deleted(instance: "Project") -> None:
    made = run(
        instance, "events", "create", "--name", "Weekly Training", "--start", "2026-02-02T14:00:00Z", "--repeat",
        "weekly", "--every", "2", "--day", "mo", "--group", "5", "--group", "12", "--json",
    )  # fmt: skip
    changed = run(instance, "events", "update", "1", "--description", "every second week")
    shown = run(instance, "events", "get", "1")
    listed = run(instance, "events", "list")
    for suffix in ("csv", "parquet", "json"):
        assert run(instance, "events", "list", "--out", f"events.{suffix}").code == 0
    deleted = run(instance, "events", "delete", "1", "--yes")

    event = made.json["event"]
    assert (event["repeats"], event["repeat_days"], [group["id"] for group in event["groups"]]) == (
        True,
        ["MO"],
        [5, 12],
    )
    assert changed.out.startswith("changed: event 1\n")
    assert "every second week" in shown.out
    assert "weekly / 2" in listed.out
    assert pl.read_parquet(instance.folder / "events.parquet")["groups"].to_list() == ["Marketing; Sales, North"]
    assert json.loads((instance.folder / "events.json").read_text())[0]["groups"] == event["groups"]
    assert (deleted.out, instance.sandbox.account.instance.events) == ("deleted: event 1\n", {})


def test_nothing_is_deleted_where_nobody_can_say_yes(instance: "Project") -> None:
    run(instance, "events", "create", "--name", "A", "--start", "2026-01-01", "--all-groups")
    ran = run(instance, "events", "delete", "1")
    assert (ran.code, len(instance.sandbox.account.instance.events), "--yes" in ran.err) == (2, 1, True)


def test_an_event_whose_answer_is_lost_is_not_made_twice(instance: "Project") -> None:
    instance.sandbox.faults.add(Fault(what=Drop(), when=When.AFTER_APPLY))
    ran = run(instance, "events", "create", "--name", "A", "--start", "2026-01-01", "--all-groups")
    assert (ran.code, len(instance.sandbox.account.instance.events)) == (7, 1)
    assert "the request left, and may have been carried out" in ran.err


# Trouble --------------------------------------------------------------------------------------------------------------

MISTAKES = [
    (("campaigns", "--from", "2025-01-01"), "--to"),
    (("campaigns", "--from", "soon", "--to", "2025-01-01"), "start_date: 'soon' is no date"),
    (("campaigns", "--from", "2025-02-01", "--to", "2025-01-01"), "end_date: 2025-01-01 is before"),
    (("campaigns", *YEAR, "--type", "fax"), "type: 'fax' is none"),
    (("campaigns", *YEAR, "--status", "posted"), "is a status: Draft"),
    (("campaigns", *YEAR, "--out", "all.xlsx"), "all.xlsx: in which form?"),
    (("conversations", "--from", "soon"), "start_date: 'soon' is no date"),
    (("events", "create", "--start", "2026-01-01"), "name: this field is required"),
    (
        ("events", "create", "--name", "A", "--start", "2026-01-01", "--repeat", "hourly"),
        "repeat_type: 'hourly' is none",
    ),
    (("events", "create", "--name", "A", "--start", "2026-01-01", "--repeat", "daily", "--once"), "which of the two?"),
    (("events", "update", "1"), "event: there is nothing to change"),
    (("events", "get", "0"), "id: must be the number of an event"),
    (("events", "list", "--key", "sandbox-instance-key"), "export SMARTERSENDS_KEY=…    and in [smartersends]"),
]


@pytest.mark.parametrize(("words", "what"), MISTAKES)
def test_what_is_wrong_is_told_before_anything_is_asked(instance: "Project", words: tuple[str, ...], what: str) -> None:
    ran = run(instance, *words)
    assert (ran.code, what in ran.err, len(instance.sandbox.log)) == (2, True, 0), ran.err


def test_an_event_there_is_not_ends_with_3(instance: "Project") -> None:
    assert run(instance, "events", "get", "9").code == 3


def test_a_refused_key_ends_with_4_and_is_not_shown(instance: "Project") -> None:
    instance.sandbox.account.instance.keys.clear()
    ran = run(instance, "events", "list")
    assert (ran.code, "sandbox-instance-key" in ran.err + ran.out) == (4, False)
    assert "Settings -> Integrations -> API" in ran.err


def test_an_instance_that_is_down_ends_with_7(instance: "Project") -> None:
    instance.sandbox.behaviour = Behaviour()
    instance.sandbox.faults.add(Fault(what=Status(503, retry_after="0"), times=None))
    assert run(instance, "events", "list", "--json").code == 7


def test_no_instance_and_no_key_are_told_with_what_to_write(project: "Project") -> None:
    ran = run(project, "events", "list")
    assert (ran.code, 'key = "${SMARTERSENDS_KEY}" in [smartersends]' in ran.err) == (2, True)
    project.write_config(extra=f'\n[smartersends]\nurl = "{project.url}/smartersends"')
    ran = run(project, "events", "list")
    assert (ran.code, "export SMARTERSENDS_KEY=…" in ran.err) == (2, True)


def test_a_key_that_others_can_read_is_refused(project: "Project") -> None:
    project.write_config(extra='\n[smartersends]\nurl = "https://you.smartersends.com"\nkey = "a-real-looking-key"')
    (project.folder / "syncengine.toml").chmod(0o644)
    ran = run(project, "events", "list")
    assert (ran.code, "others can read it" in ran.err, "a-real-looking-key" in ran.err) == (2, True, False)
