"""Opt-outs, several addresses, dates that need a decision: from the file to the list, over HTTP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Project

HEADER = "Email,Opted out,Bounce"


def on_list(project: "Project") -> dict[str, bool]:
    return {contact.email: contact.active for contact in project.contacts.contacts.values()}


def configure(project: "Project", extra: str = "", *, job: str = "", variables: str = "{}") -> None:
    (project.folder / "syncengine.toml").write_text(
        f"""
[account]
token = "sandbox-token"
url = "{project.url}"
rate = 500

[[job]]
name = "newsletter"
list = "{project.contacts.id}"
source = "c.csv"
consent = "source"
{job}
columns = {{ email = "Email", active = true }}
variables = {variables}
{extra}
""",
        encoding="utf-8",
    )


OPT_OUTS = """
[[job.opt_out]]
column = "Opted out"
yes = true

[[job.opt_out]]
column = "Bounce"
not_empty = true
"""


def test_who_opted_out_is_not_added_and_who_is_on_the_list_is_unsubscribed(project: "Project") -> None:
    configure(project, OPT_OUTS)
    project.write_source("a@example.com,,", "b@example.com,no,", "c@example.com,yes,", header=HEADER)
    first = project.run("sync", "--yes", "--json")
    assert (first.code, on_list(project)) == (0, {"a@example.com": True, "b@example.com": True})
    assert [row["code"] for row in project.errors(first.report)] == ["opted-out"]

    project.write_source("a@example.com,Yes,", "b@example.com,no,mailbox full", "c@example.com,yes,", header=HEADER)
    second = project.run("sync", "--yes", "--json")

    assert (second.code, on_list(project)) == (0, {"a@example.com": False, "b@example.com": False})
    assert second.report["confirmed"]["update"] == 2
    assert (project.run("sync", "--yes", "--json").report["requests"], len(on_list(project))) == (0, 2)


def test_opted_out_record_puts_them_on_the_list_as_unsubscribed(project: "Project") -> None:
    configure(project, OPT_OUTS, job='opted_out = "record"')
    project.write_source("a@example.com,,", "c@example.com,yes,", header=HEADER)

    answer = project.run("sync", "--yes", "--json")

    assert (answer.code, on_list(project)) == (0, {"a@example.com": True, "c@example.com": False})


def test_an_unreadable_opt_out_holds_the_row(project: "Project") -> None:
    configure(project, OPT_OUTS)
    project.write_source("a@example.com,perhaps,", "b@example.com,,", header=HEADER)

    answer = project.run("sync", "--yes", "--json")

    assert on_list(project) == {"b@example.com": True}
    assert [row["code"] for row in project.errors(answer.report)] == ["active-unreadable"]


def test_all_addresses_of_a_cell_become_contacts_and_every_row_is_accounted_for(project: "Project") -> None:
    configure(project)
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text().replace('email = "Email"', 'email = { column = "Email", several = "all" }'))
    project.write_source("a@example.com; b@example.com", "c@example.com", "", "B@example.com", header="Email")

    answer = project.run("sync", "--yes", "--json")

    assert set(on_list(project)) == {"a@example.com", "B@example.com", "c@example.com"}
    report = answer.report
    assert report["rows"] == report["held"] + report["same"] + sum(report["planned"].values()) == 4
    assert project.run("sync", "--yes", "--json").report["requests"] == 0


def test_all_addresses_and_an_id_column_do_not_go_together(project: "Project") -> None:
    configure(project, job='key = "Id"')
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text().replace('email = "Email"', 'email = { column = "Email", several = "all" }'))
    project.write_source("1,a@example.com; b@example.com", header="Id,Email")

    answer = project.run("sync", "--yes")

    assert answer.code == 2
    assert 'several = "first"' in answer.err


def test_an_ambiguous_date_is_a_question_in_the_plan_and_no_guess(project: "Project") -> None:
    configure(project, variables='{ born = "Born", joined = "Joined", city = "City" }')
    project.write_source(
        "a@example.com,03/04/2025,31.12.2024,Ulm",
        "b@example.com,05/06/2025,01.02.2025,Rom",
        header="Email,Born,Joined,City",
    )

    answer = project.run("plan", "--json")
    text = project.run("plan").out
    project.run("sync", "--yes")

    first, second = answer.report["questions"]
    assert "born has dates such as 03/04/2025" in first
    assert 'formats = ["%d/%m/%Y"]' in first
    assert 'formats = ["%m/%d/%Y"]' in first
    assert "100% of its values, such as 01.02.2025" in second
    assert '{ column = "Joined", type = "date", formats = ["%d.%m.%Y"] }' in second
    assert first in text
    contact = next(one for one in project.contacts.contacts.values() if one.email == "a@example.com")
    assert contact.variables["born"] == "03/04/2025"


def test_two_formats_that_read_one_cell_as_different_days_are_refused(project: "Project") -> None:
    configure(project, variables='{ born = { column = "Born", type = "date", formats = ["%d/%m/%Y", "%m/%d/%Y"] } }')
    project.write_source("a@example.com,03/04/2025", header="Email,Born")

    answer = project.run("sync", "--yes")

    assert answer.code == 2
    assert "can not both be the formats of one column" in answer.err
    assert on_list(project) == {}


def test_a_second_record_of_a_person_that_says_no_holds_night_after_night(project: "Project") -> None:
    """Rows that were read before are not parsed again: who says no is known all the same."""
    project.write_config(job='consent = "source"\nkey = "Id"')
    header = "Id,Email,Full name,Subscribed,City"
    rows = [f"{n},user{n}@example.com,Name,yes,X" for n in range(30)]
    project.write_source(*rows, header=header)
    project.run("sync", "--yes")

    reports = []
    for night in range(4):
        shuffled = [*rows[night:], *rows[:night]]
        project.write_source(*shuffled[:9], "99,USER7@example.com,Name,no,X", *shuffled[9:], header=header)
        reports.append(project.run("sync", "--yes", "--json").report)

    assert [report["confirmed"]["update"] for report in reports] == [1, 0, 0, 0]
    assert [report["requests"] for report in reports[1:]] == [0, 0, 0]
    assert [report["same"] for report in reports] == [29, 30, 30, 30]
    contact = project.contacts.find("user7@example.com")
    assert contact is not None
    assert contact.active is False
    assert project.contacts.resubscribed == {}
