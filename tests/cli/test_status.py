"""`status`, `errors` and `state show`: what a person sees of runs, also while one is at work or was cut off."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from syncengine.lock import locked

if TYPE_CHECKING:
    from conftest import Project

MIRROR = 'consent = "source"\nmode = "mirror"'


def test_a_job_that_never_ran_is_told_what_comes_first(project: "Project") -> None:
    answer = project.run("status")

    assert answer.code == 0
    assert "never" in answer.out
    assert "syncengine plan newsletter" in answer.out


def test_a_stopped_run_is_counted_and_the_next_command_named(project: "Project") -> None:
    project.run("sync", "--yes", "--max-requests", "2")

    shown = project.run("status")
    (job,) = project.run("status", "--json").json["jobs"]

    confirmed = len(project.contacts.contacts)
    assert 0 < confirmed < 250
    assert f"{confirmed} of 250 confirmed" in shown.out
    assert "syncengine sync newsletter" in shown.out
    counts = {"confirmed": confirmed, "rejected": 0, "unresolved": 0, "pending": 250 - confirmed}
    assert job["last_run"]["so_far"] == counts
    assert (job["last_run"]["under_way"], job["next"]) == (False, "syncengine sync newsletter")


def test_a_run_at_work_is_shown_as_such_and_nothing_is_advised(project: "Project") -> None:
    project.run("sync", "--yes", "--max-requests", "2")

    with locked(project.folder / ".syncengine", doing="sync"):
        shown = project.run("status")
        (job,) = project.run("status", "--json").json["jobs"]

    assert "under way (pid" in shown.out
    assert "Next:" not in shown.out
    assert (job["last_run"]["under_way"], job["next"]) == (True, None)


def test_a_job_that_is_misspelt_is_not_shown_as_an_empty_table(project: "Project") -> None:
    answer = project.run("status", "newsleter")

    assert answer.code == 2
    assert 'did you mean "newsletter"?' in answer.err


def test_a_table_fits_a_terminal_of_80_columns(project: "Project") -> None:
    project.run("sync", "--yes")

    assert max(map(len, project.run("status").out.splitlines())) <= 80


def test_errors_of_a_run_that_a_guard_stopped_early_are_none(project: "Project") -> None:
    project.write_config(job=MIRROR)
    project.run("sync", "--yes")
    project.write_source(*project.people(205))
    stopped = project.run("sync", "--yes", "--json")
    assert (stopped.code, stopped.report["error"]["code"]) == (5, "max-missing")

    answer = project.run("errors")

    assert answer.code == 0
    assert "nobody was held, rejected or left unresolved" in answer.out


def test_errors_whose_file_was_removed_are_told_so(project: "Project") -> None:
    project.write_source(*project.people(3), "not an address,X,yes,Y")
    report = project.run("sync", "--yes", "--json").report
    assert "email-invalid" in project.run("errors").out
    shutil.rmtree(Path(report["paths"]["run"]))

    answer = project.run("errors")

    assert answer.code == 2
    assert "error[errors-gone]" in answer.err


def test_errors_as_csv_can_be_mended_and_loaded_again(project: "Project") -> None:
    project.write_source(*project.people(3), "not an address,X,yes,Y")
    project.run("sync", "--yes")

    assert project.run("errors", "--csv", "mend.csv").code == 0
    lines = (project.folder / "mend.csv").read_text().splitlines()
    assert lines[0] == "Email,Full name,Subscribed,City,#row,#stage,#code,#reason"
    (project.folder / "mend.csv").write_text("\n".join(lines).replace("not an address", "mended@example.com") + "\n")
    project.write_config()
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text().replace('source = "c.csv"', 'source = "mend.csv"'))

    again = project.run("sync", "--yes", "--json", "--max-shrink", "100%")

    assert (again.code, again.report["rows"], again.report["confirmed"]["add"]) == (0, 1, 1)


def test_a_contact_is_shown_with_its_variables_and_once_for_each_list(project: "Project") -> None:
    project.write_config(
        f"""
[[job]]
name = "again"
list = "{project.contacts.id}"
source = "c.csv"
consent = "source"
[job.columns]
email = "Email"
active = true
[job.variables]
city = "City"
"""
    )
    project.run("sync", "newsletter", "--yes")

    shown = project.run("state", "show", "USER7@Example.com")
    found = json.loads(project.run("state", "show", "user7@example.com", "--json").out)["contacts"]

    assert shown.out.count("user7@example.com") == 2  # key and email
    assert [line.split() for line in shown.out.splitlines() if line.startswith(("active", "  city"))] == [
        ["active", "yes"],
        ["city", "City", "2"],
    ]
    assert {one["variables"]["city"] for one in found} == {"City 2"}
    assert project.run("state", "show", "nobody@example.com").code == 2
