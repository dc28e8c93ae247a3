"""`plan` and `sync --dry-run`: what would change, for every job, and nothing is sent."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Project

SECOND = """
[[job]]
name = "second"
list = "second-list"
source = "{source}"
consent = "source"

[job.columns]
email = "Email"
active = true
"""


def test_a_job_that_can_not_be_planned_does_not_keep_the_others_from_it(project: "Project") -> None:
    project.write_config(SECOND.format(source="none.csv"))

    answer = project.run("plan", "--json")

    first, second = answer.json["runs"]
    assert (answer.code, first["planned"]["add"], second["result"]) == (2, 250, "failed")
    assert second["error"]["code"] == "no-file"
    assert "no file none.csv" in answer.err
    assert project.sandbox.log == []


def test_a_plan_that_a_guard_stops_ends_with_5_and_its_numbers(project: "Project") -> None:
    project.run("sync", "--yes")
    project.write_source(*project.people(50))

    answer = project.run("plan", "--json")

    assert (answer.code, answer.report["result"], answer.report["rows"]) == (5, "guard", 50)
    assert answer.report["error"]["code"] == "max-shrink"


def test_a_dry_run_is_the_plan_under_the_same_flags(project: "Project") -> None:
    project.run("sync", "--yes")
    requests = len(project.sandbox.log)
    project.write_source(*project.people(50, n3="Moved"))

    stopped = project.run("sync", "--dry-run")
    let_pass = project.run("sync", "--dry-run", "--json", "--max-shrink", "80%")

    assert (stopped.code, let_pass.code, let_pass.report["planned"]["update"]) == (5, 0, 1)
    assert project.run("sync", "--dry-run", "--plan", ".").code == 2
    assert len(project.sandbox.log) == requests


def test_a_plan_beside_an_unfinished_run_says_which_of_the_two_the_next_sync_takes(project: "Project") -> None:
    stopped = project.run("sync", "--yes", "--json", "--max-requests", "2")
    assert stopped.code == 7

    answer = project.run("plan")

    assert answer.code == 0
    assert f"run {stopped.report['run'][:13]} is not finished" in answer.out
    assert "--fresh" in answer.out


def test_a_plan_of_the_first_rows_counts_only_them(project: "Project") -> None:
    answer = project.run("plan", "--json", "--limit", "10")

    assert (answer.report["rows"], answer.report["planned"]["add"]) == (10, 10)


def test_a_verb_or_job_that_is_misspelt_is_told_what_it_may_have_meant(project: "Project") -> None:
    assert "Did you mean 'sync'?" in project.run("snyc").err
    answer = project.run("plan", "newsleter")
    assert answer.code == 2
    assert 'no job is called "newsleter"; did you mean "newsletter"?' in answer.err
