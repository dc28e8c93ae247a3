"""What happens between two runs: a changed config, other formats of the same export, jobs that share a list."""

from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.sandbox.account import Act
from syncengine.sandbox.contacts import Contact

if TYPE_CHECKING:
    from conftest import Project


def rewrite(project: "Project", old: str, new: str) -> None:
    config = project.folder / "syncengine.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


def sent(project: "Project") -> int:
    return len(project.sandbox.log)


def test_the_same_contacts_from_parquet_are_no_change(project: "Project") -> None:
    project.run("sync", "--yes")
    requests = sent(project)
    pl.read_csv(project.folder / "c.csv").write_parquet(project.folder / "c.parquet")
    rewrite(project, 'source = "c.csv"', 'source = "c.parquet"')

    answer = project.run("sync", "--yes", "--json")

    assert (answer.code, answer.report["same"], sent(project)) == (0, 250, requests)


def test_who_names_the_right_encoding_has_everybody_compared_again(project: "Project") -> None:
    rows = "Email,Full name,Subscribed,City\na@example.com,Анна,yes,Москва\nb@example.com,Bob,yes,Rome\n"
    (project.folder / "c.csv").write_bytes(rows.encode("cp1251"))
    rewrite(project, 'source = "c.csv"', 'source = { path = "c.csv", encoding = "cp1252" }')
    project.run("sync", "--yes")
    rewrite(project, "cp1252", "cp1251")

    answer = project.run("sync", "--yes", "--json")
    again = project.run("sync", "--yes", "--json")

    assert (answer.code, answer.report["confirmed"]["update"], answer.report["same"]) == (0, 1, 1)
    assert (again.report["same"], again.report["requests"]) == (2, 0)
    contact = project.contacts.find("a@example.com")
    assert contact is not None
    assert contact.variables["city"] == "Москва"


def test_a_new_variable_updates_who_has_a_value_for_it(project: "Project") -> None:
    rows = [f"{row},{'red' if number < 30 else ''}" for number, row in enumerate(project.people(250))]
    project.write_source(*rows, header="Email,Full name,Subscribed,City,Colour")
    project.run("sync", "--yes")
    project.write_config('colour = "Colour"')

    shown = project.run("plan")
    answer = project.run("sync", "--yes", "--json")

    assert '+ colour, from the column "Colour"' in shown.out
    assert (answer.code, answer.report["confirmed"]["update"], answer.report["same"]) == (0, 30, 220)
    assert answer.report["variables_created"] == ["colour"]


def test_a_variable_that_is_no_longer_mapped_is_left_as_it_is(project: "Project") -> None:
    project.run("sync", "--yes")
    requests = sent(project)
    rewrite(project, 'city = "City"\n', "")

    answer = project.run("sync", "--yes", "--json")

    assert (answer.code, answer.report["same"], sent(project)) == (0, 250, requests)
    assert {one.variables["city"] for one in project.contacts.contacts.values()} == {f"City {n}" for n in range(5)}


def test_a_column_that_now_opts_out_unsubscribes(project: "Project") -> None:
    project.run("sync", "--yes")
    rewrite(project, 'active = "Subscribed"', 'active = { column = "Subscribed", invert = true }')

    answer = project.run("sync", "--yes", "--json")

    assert (answer.code, answer.report["confirmed"]["update"]) == (0, 250)
    assert not any(one.active for one in project.contacts.contacts.values())


def test_a_config_that_changes_under_an_unfinished_run_waits_for_it_or_drops_it(project: "Project") -> None:
    stopped = project.run("sync", "--yes", "--json", "--max-requests", "2", "--concurrency", "1")
    project.write_config('colour = "Full name"')

    resumed = project.run("sync", "--yes", "--json")
    after = project.run("sync", "--yes", "--json")

    assert (resumed.report["run"], resumed.report["resumed"]) == (stopped.report["run"], True)
    assert (resumed.report["confirmed"]["add"], after.report["confirmed"]["update"]) == (250, 250)


def test_fresh_drops_the_plan_and_sends_only_what_is_not_confirmed(project: "Project") -> None:
    project.run("sync", "--yes", "--max-requests", "2", "--concurrency", "1")
    confirmed = len(project.contacts.contacts)

    answer = project.run("sync", "--yes", "--json", "--fresh")

    assert 0 < confirmed < 250
    assert (answer.code, answer.report["resumed"]) == (0, False)
    assert (answer.report["same"], answer.report["confirmed"]["add"]) == (confirmed, 250 - confirmed)


def test_jobs_that_share_a_list_share_what_is_known_of_it(project: "Project") -> None:
    config = project.folder / "syncengine.toml"
    text = config.read_text()
    second = text[text.index("[[job]]") :].replace('"newsletter"', '"staff"').replace("c.csv", "staff.csv")
    config.write_text(text + second)
    project.write_source("user7@example.com,Name 7,yes,City 2", "new@example.com,New,no,Rome", name="staff.csv")

    first, staff = project.run("sync", "--yes", "--json").json["runs"]
    again = project.run("sync", "--yes", "--json").json["runs"]

    assert (first["confirmed"]["add"], staff["confirmed"]["add"], staff["same"]) == (250, 1, 1)
    assert [run["requests"] for run in again] == [0, 0]
    assert len(project.contacts.contacts) == 251


def joined_by(project: "Project", source: str) -> None:
    """Another job for the same list, from another file."""
    config = project.folder / "syncengine.toml"
    text = config.read_text()
    config.write_text(text + text[text.index("[[job]]") :].replace('"newsletter"', '"staff"').replace("c.csv", source))


@pytest.mark.parametrize("road", ["state adopt", "another job"])
def test_what_is_learned_of_the_list_while_a_run_waits_counts_for_the_rest_of_it(project: "Project", road: str) -> None:
    project.write_config(job='consent = "keep"')
    joined_by(project, "staff.csv")
    project.run("sync", "newsletter", "--yes")
    project.write_source(*project.people(250, **{f"n{number}": "Rome" for number in range(250)}))
    stopped = project.run("sync", "newsletter", "--yes", "--json", "--max-requests", "1", "--concurrency", "1").report
    if road == "state adopt":
        (project.folder / "export.csv").write_text("email,active\nuser240@example.com,false\n")
        assert project.run("state", "adopt", "export.csv", "--job", "newsletter").code == 0
        project.sandbox.act(project.contacts.id, _found(project, "user240@example.com").id, Act.UNSUBSCRIBE)
    else:
        project.write_source("user240@example.com,Name 240,no,Rome", name="staff.csv")
        assert project.run("sync", "staff", "--yes").code == 0

    answer = project.run("sync", "newsletter", "--yes", "--json")

    assert (answer.code, answer.report["pending"], answer.report["run"] != stopped["run"]) == (0, 0, True)
    assert not _found(project, "user240@example.com").active
    assert project.contacts.resubscribed == {}
    assert {contact.variables["city"] for contact in project.contacts.contacts.values()} == {"Rome"}


def _found(project: "Project", email: str) -> Contact:
    contact = project.contacts.find(email)
    assert contact is not None
    return contact


def test_a_plan_for_one_account_is_not_carried_out_in_another(project: "Project") -> None:
    """Not even before anything of the list is known: what was confirmed there would count as confirmed here."""
    project.run("plan", "--out", "kept")
    project.run("sync", "--yes", "--max-requests", "2", "--concurrency", "1")
    requests = sent(project)
    rewrite(project, f'url = "{project.url}"', f'url = "{project.url.replace("127.0.0.1", "localhost")}"')

    for words in ((), ("--plan", "kept")):
        answer = project.run("sync", "--yes", "--json", *words)
        assert (answer.code, answer.json["runs"][0]["error"]["code"]) == (8, "state-other-account")
    assert sent(project) == requests


def test_an_erased_person_is_not_brought_back_by_a_rename(project: "Project") -> None:
    project.write_config(job='key = "Id"\nconsent = "source"')
    header = "Id,Email,Full name,Subscribed,City"
    people = [f"{number},user{number}@example.com,Name,yes,Rome" for number in range(5)]
    project.write_source(*people, header=header)
    project.run("sync", "--yes")
    project.run("state", "forget", "user4@example.com", "--yes")
    project.sandbox.act(project.contacts.id, _found(project, "user4@example.com").id, Act.REMOVE)
    project.write_source("1,user4@example.com,Name,yes,Rome", *people[:1], *people[2:4], header=header)

    answer = project.run("sync", "--yes", "--json")

    assert answer.report["held_by_code"] == {"forgotten": 1}
    assert project.contacts.find("user4@example.com") is None


def test_a_kept_plan_does_not_bring_an_erased_person_back_by_a_rename(project: "Project") -> None:
    project.write_config(job='key = "Id"\nconsent = "source"')
    header = "Id,Email,Full name,Subscribed,City"
    people = [f"{number},user{number}@example.com,Name,yes,Rome" for number in range(5)]
    project.write_source(*people, header=header)
    project.run("sync", "--yes")
    project.write_source("1,stranger@example.com,Name,yes,Rome", *people[:1], *people[2:], header=header)
    project.run("plan", "--out", "kept")
    project.run("state", "forget", "stranger@example.com", "--yes")

    answer = project.run("sync", "--plan", "kept", "--yes")

    assert (answer.code, "somebody in it was erased since" in answer.err) == (2, True)
