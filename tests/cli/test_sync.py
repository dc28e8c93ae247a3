"""The main job through the command line: real files, HTTP to a sandbox on a loopback port."""

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.sandbox.behaviour import Add, Behaviour, ErrorNaming

if TYPE_CHECKING:
    from conftest import Project

KEYS = {
    "job", "list", "run", "result", "rows", "held", "same", "planned", "confirmed", "rejected", "unresolved", "pending",
    "variables_created", "requests", "retries", "seconds", "paths",
}  # fmt: skip
OPS = {"add", "update", "rename", "unsubscribe", "remove"}


def test_a_file_is_loaded_and_a_second_sync_sends_nothing(project: "Project") -> None:
    first = project.run("sync", "--yes", "--json")
    requests = len(project.sandbox.log)
    second = project.run("sync", "--yes", "--json")

    assert (first.code, second.code) == (0, 0)
    assert first.report["confirmed"]["add"] == len(project.contacts.contacts) == 250
    assert (second.report["same"], second.report["requests"], len(project.sandbox.log)) == (250, 0, requests)


def test_the_json_answer_has_the_promised_shape_and_adds_up(project: "Project") -> None:
    project.write_source(*project.people(20), "not an address,X,yes,Y")

    answer = project.run("sync", "newsletter", "--yes", "--json")

    assert answer.json["schema_version"] == 1
    report = answer.report
    assert report.keys() >= KEYS
    assert report["planned"].keys() == report["confirmed"].keys() == OPS
    assert (report["job"], report["result"], report["variables_created"]) == ("newsletter", "ok", ["city"])
    assert report["rows"] == report["held"] + report["same"] + sum(report["planned"].values()) == 21
    assert sum(report["planned"].values()) == sum(report["confirmed"].values()) == 20
    assert Path(report["paths"]["run"]).is_dir()


def test_one_bad_contact_in_a_hundred_leaves_99_confirmed_and_itself_named(project: "Project") -> None:
    project.write_source(*project.people(100))
    project.run("sync", "--yes")
    project.write_source(*project.people(100, **{f"n{number}": "Moved" for number in range(100)}))
    victim = next(one for one in project.contacts.contacts.values() if one.email == "user42@example.com")
    project.sandbox.act(project.contacts.id, victim.id, _removed())
    project.write_config(job='consent = "keep"')

    answer = project.run("sync", "--yes", "--json")

    assert answer.code == 3
    assert (answer.report["confirmed"]["update"], answer.report["rejected"], answer.report["result"]) == (
        99,
        1,
        "rejected",
    )
    (row,) = project.errors(answer.report)
    assert (row["key"], row["stage"], row["code"], row["row"]) == ("user42@example.com", "rejected", "not-found", "44")
    assert row["Full name"] == "Name 42"


def _removed() -> object:
    from syncengine.sandbox.account import Act

    return Act.REMOVE


@pytest.mark.parametrize(
    "scenario", ["documented", "partial-named", "partial-unnamed", "stop-at-first", "atomic-unnamed"]
)
def test_a_list_that_has_a_third_of_the_contacts_already_is_brought_in_line(project: "Project", scenario: str) -> None:
    project.sandbox.play(scenario)
    project.sandbox.seed(
        project.contacts.id,
        [{"email": f"user{number}@example.com", "name": "Old", "active": False} for number in range(0, 250, 3)],
    )

    answer = project.run("sync", "--yes", "--json")

    assert (answer.code, answer.report["confirmed"]["add"]) == (0, 250)
    assert {one.name for one in project.contacts.contacts.values()} == {f"Name {number}" for number in range(250)}
    assert all(one.active for one in project.contacts.contacts.values())
    assert project.sandbox.overlaps == []


def test_active_is_in_every_contact_of_every_request(project: "Project") -> None:
    project.sandbox.behaviour = Behaviour(add=Add.PARTIAL, error_naming=ErrorNaming.NONE)
    project.sandbox.seed(project.contacts.id, [{"email": "user3@example.com", "active": True}])

    project.run("sync", "--yes")

    assert all(one.active for one in project.contacts.contacts.values())


def test_what_is_written_is_private_and_where_it_is_promised(project: "Project") -> None:
    os.umask(0)
    answer = project.run("sync", "--yes", "--json")
    state = project.folder / ".syncengine"

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [state, *state.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    run = Path(answer.report["paths"]["run"])
    assert {"run.json", "errors.csv", "log.jsonl", "report.html", "plan"} <= {path.name for path in run.iterdir()}
    assert (state / "state.sqlite").is_file()
    snapshot = pl.read_parquet(state / "lists" / project.contacts.id / "snapshot-1.parquet")
    wanted = {"key", "email", "name", "active", "variables", "fingerprint", "origin", "confirmed_at"}
    assert set(snapshot.columns) >= wanted
    assert snapshot.height == 250


def test_the_log_tells_every_contact_that_was_not_confirmed_without_its_address(project: "Project") -> None:
    project.write_source(*project.people(3), "broken,X,yes,Y")

    answer = project.run("sync", "--yes", "--json")

    lines = (Path(answer.report["paths"]["run"]) / "log.jsonl").read_text().splitlines()
    held = [entry for entry in map(json.loads, lines) if entry["event"] == "contact.held"]
    assert [(entry["code"], entry["row"]) for entry in held] == [("email-invalid", 5)]
    assert not any("example.com" in line or "sandbox-token" in line for line in lines)


def test_several_jobs_run_in_the_order_of_the_file(project: "Project") -> None:
    other = "aaaaaaaaaaaaaaaaaaaaaaaa"
    project.sandbox.create_list(other, "Partners")
    config = (project.folder / "syncengine.toml").read_text()
    second = config[config.index("[[job]]") :].replace("newsletter", "partners").replace(project.contacts.id, other)
    (project.folder / "syncengine.toml").write_text(config + second)

    answer = project.run("sync", "--yes", "--json")

    assert [run["job"] for run in answer.json["runs"]] == ["newsletter", "partners"]
    assert len(project.sandbox.lists[other].contacts) == 250


def test_a_request_budget_stops_the_run_and_the_next_one_goes_on(project: "Project") -> None:
    project.write_source(*project.people(2000))

    first = project.run("sync", "--yes", "--json", "--max-requests", "5", "--concurrency", "1")
    second = project.run("sync", "--yes", "--json")

    assert (first.code, first.report["result"], second.code) == (7, "interrupted", 0)
    assert first.report["pending"] == 2000 - first.report["confirmed"]["add"]
    assert (second.report["resumed"], second.report["confirmed"]["add"]) == (True, 2000)
    assert sum(request.size for request in project.sandbox.log if "contacts" in request.endpoint) == 2000


def test_without_a_terminal_and_without_yes_nothing_is_sent(project: "Project") -> None:
    answer = project.run("sync", "--json")

    assert answer.code == 2
    assert "--yes" in answer.err
    assert len(project.sandbox.log) == 0


def test_a_dry_run_is_a_plan(project: "Project") -> None:
    answer = project.run("sync", "--dry-run", "--json")

    assert (answer.code, answer.report["planned"]["add"], answer.report["pending"]) == (0, 250, 250)
    assert len(project.sandbox.log) == 0


def test_a_plan_shows_counts_samples_and_cost_and_sends_nothing(project: "Project") -> None:
    project.run("sync", "--yes")
    requests = len(project.sandbox.log)
    project.write_source(*project.people(251, n7="Astana"), "bad,X,yes,Y")

    plan = project.run("plan")

    assert plan.code == 0
    assert len(project.sandbox.log) == requests
    for text in ("+ add", "~ update", "! held", "1 email-invalid", 'city  "City 2" -> "Astana"', "u***@example.com"):
        assert text in plan.out
    assert "Plan: 1 to add, 1 to update." in plan.out
    assert "user7@example.com" not in plan.out


def test_detailed_exit_codes_tell_whether_there_are_changes(project: "Project") -> None:
    assert project.run("plan", "--detailed-exitcode").code == 10
    project.run("sync", "--yes")
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_status_and_errors_tell_what_happened(project: "Project") -> None:
    project.write_source(*project.people(3), "bad,X,yes,Y", ",,,")
    assert "never" in project.run("status").out
    report = project.run("sync", "--yes", "--json").report

    status = project.run("status", "--json").json["jobs"][0]
    errors = project.run("errors", "--json").json
    mended = project.run("errors", report["run"][:13], "--csv", "mend.csv", "--code", "email-invalid")

    assert (status["contacts"], status["last_run"]["result"], status["last_run"]["run"]) == (3, "ok", report["run"])
    assert {group["code"]: group["count"] for group in errors["errors"]} == {"email-invalid": 1, "row-empty": 1}
    assert mended.code == 0
    written = (project.folder / "mend.csv").read_text().splitlines()
    assert written[0] == "Email,Full name,Subscribed,City,#row,#stage,#code,#reason"
    assert written[1].startswith("bad,X,yes,Y,5,held,email-invalid,")


def test_state_show_knows_a_contact_in_any_spelling(project: "Project") -> None:
    project.run("sync", "--yes")

    contact = project.run("state", "show", "USER7@example.com", "--json").json["contacts"][0]
    lists = project.run("state", "show", "--json").json["lists"][0]

    assert (contact["email"], contact["active"], contact["variables"]) == (
        "user7@example.com",
        True,
        {"city": "City 2"},
    )
    assert (lists["contacts"], lists["active"], lists["variables"]) == (250, 250, ["city"])


def test_cells_that_look_like_formulas_are_guarded_in_errors_csv(project: "Project") -> None:
    project.write_source("=cmd|' /C calc'!A0,+1,yes,@x")

    report = project.run("sync", "--yes", "--json").report

    (row,) = project.errors(report)
    assert (row["Email"][0], row["Full name"], row["City"]) == ("'", "'+1", "'@x")
