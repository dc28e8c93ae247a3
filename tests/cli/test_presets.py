"""Each CRM's export, from the file to a list in the sandbox: the right people, and every row accounted for."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

SAMPLES = Path(__file__).parents[2] / "sample_data" / "crm"

EVERYBODY = set(range(30))
OPTED_OUT, BOUNCED, NO_ADDRESS, AGAIN, INVALID, TWO = ({number, number + 10} for number in (3, 4, 5, 6, 7, 8))
UNUSABLE = NO_ADDRESS | INVALID | AGAIN  # number 6 is number 0 in capitals


def people(*without: set[int], private: tuple[int, ...] = ()) -> set[str]:
    """The addresses of everybody but some; `private` are known by their second address only."""
    left = EVERYBODY.difference(*without, private)
    return {f"person{number:02}@example.com" for number in left} | {f"private{n:02}@example.org" for n in private}


#: preset → its sample, who is subscribed afterwards, and the codes of the rows that are held
CASES = {
    "hubspot": (
        "hubspot-crm-exports-all-contacts-2026-11-22.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, TWO),
        {"opted-out": 4, "email-empty": 2, "duplicate": 2, "email-invalid": 2, "email-several": 2},
    ),
    "salesforce-report": (
        "report1763800000000.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, TWO),
        {"opted-out": 4, "email-empty": 2, "duplicate": 2, "email-invalid": 2, "email-several": 2},
    ),
    "salesforce-api": (
        "salesforce-Contact.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, TWO, {29}),
        {"opted-out": 4, "email-empty": 2, "duplicate": 2, "email-invalid": 2, "email-several": 2, "rule": 1},
    ),
    "mailchimp": ("audience_export_8f3a.zip", people(OPTED_OUT, BOUNCED, NO_ADDRESS), {"opted-out": 6}),
    "activecampaign": (
        "activecampaign.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, TWO, {29}),
        {"opted-out": 4, "email-empty": 2, "duplicate": 2, "email-invalid": 2, "email-several": 2, "rule": 1},
    ),
    "pipedrive": (
        "people-1234567-8.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, private=(5, 17)),
        {"opted-out": 4, "email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
    "zoho": (
        "zoho-Contacts_001.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, TWO, private=(5, 17)),
        {"opted-out": 4, "email-empty": 1, "duplicate": 2, "email-invalid": 1, "email-several": 2},
    ),
    "amocrm": (
        "amocrm_export_contacts_2026-11-22.csv",
        people(UNUSABLE, {29}, private=(5, 17)),
        {"rule": 1, "email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
    "kommo": (
        "kommo_export_contacts.csv",
        people(UNUSABLE, {29}),
        {"rule": 1, "email-empty": 2, "duplicate": 2, "email-invalid": 2},
    ),
    "bitrix24": (
        "CONTACT_20261122.csv",
        people(OPTED_OUT, BOUNCED, UNUSABLE, private=(5, 17)),
        {"opted-out": 2, "rule": 2, "email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
    "bitrix24 (a web page called .xls)": (
        "CONTACT_20261122.xls",
        people(OPTED_OUT, BOUNCED, UNUSABLE, private=(5, 17)),
        {"opted-out": 2, "rule": 2, "email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
    "bitrix24-en": (
        "CONTACT_en.csv",
        people(UNUSABLE, private=(5, 17)),
        {"email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
    "google-contacts": (
        "google-contacts.csv",
        people(UNUSABLE, private=(5, 17)),
        {"email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
    "outlook": (
        "outlook.csv",
        people(UNUSABLE, TWO, {3}, private=(5, 13, 17)),
        {"email-empty": 1, "duplicate": 2, "email-invalid": 1, "email-several": 2, "email-exchange": 1},
    ),
    "outlook (in German)": (
        "outlook-auf-deutsch.csv",
        people(UNUSABLE, TWO, {3}, private=(5, 13, 17)),
        {"email-empty": 1, "duplicate": 2, "email-invalid": 1, "email-several": 2, "email-exchange": 1},
    ),
    "outlook (in Russian)": (
        "outlook-po-russki.csv",
        people(UNUSABLE, TWO, {3}, private=(5, 13, 17)),
        {"email-empty": 1, "duplicate": 2, "email-invalid": 1, "email-several": 2, "email-exchange": 1},
    ),
    "pipedrive (in Portuguese, without the marketing status)": (
        "pessoas-1234567-9.csv",
        people(UNUSABLE, private=(5, 17)),
        {"email-empty": 1, "duplicate": 2, "email-invalid": 1},
    ),
}


def subscribed(project: "Project") -> set[str]:
    assert all(contact.active for contact in project.contacts.contacts.values())
    return {contact.email.lower() for contact in project.contacts.contacts.values()}


def tally(rows: list[dict[str, str]]) -> dict[str, int]:
    codes = [row["code"] for row in rows]
    return {code: codes.count(code) for code in codes}


def configure(project: "Project", preset: str, source: str, extra: str = "") -> None:
    text = f"""
[account]
token = "sandbox-token"
url = "{project.url}"
rate = 500

[[job]]
name = "newsletter"
list = "{project.contacts.id}"
source = "{source}"
consent = "source"
preset = "{preset}"
{extra}
"""
    (project.folder / "syncengine.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_four_lines_and_a_preset_bring_the_right_people_to_the_list(project: "Project", case: str) -> None:
    file, expected, held = CASES[case]
    shutil.copy(SAMPLES / file, project.folder / file)
    configure(project, case.partition(" ")[0], file)

    answer = project.run("sync", "--yes", "--json")

    assert answer.code == 0, answer.err
    assert subscribed(project) == expected
    assert tally(project.errors(answer.report)) == held
    report = answer.report
    assert report["rows"] == 30 == report["held"] + report["same"] + sum(report["planned"].values())
    assert project.run("sync", "--yes", "--json").report["requests"] == 0


def test_a_file_without_its_opt_out_column_is_said_loudly_in_the_plan(project: "Project") -> None:
    project.write_source("1,a@example.com,Lead", header="Record ID,Email,Lifecycle Stage")
    configure(project, "hubspot", "c.csv")

    answer = project.run("plan")

    assert answer.code == 0
    assert "! no opt-out column in this file: contacts who left in HubSpot would be added" in answer.out


def test_what_the_config_says_wins_over_the_preset_and_its_opt_outs_stay(project: "Project") -> None:
    header = "Record ID,Email,Second,Unsubscribed from all email,City,Shoe,Note"
    project.write_source(
        "1,a@example.com,b@example.com,,Ulm,43,(No value)",
        "2,c@example.com,d@example.com,true,Rom,44,x",
        "3,e@example.com,f@example.com,,Bonn,45,leave",
        header=header,
    )
    extra = """
sentinels = []
columns = { email = "Second" }
variables = { shoeSize = "Shoe", note = "Note" }
[[job.opt_out]]
column = "Note"
is = ["leave"]
"""
    configure(project, "hubspot", "c.csv", extra)

    assert project.run("sync", "--yes", "--max-held", "90%").code == 0

    (contact,) = project.contacts.contacts.values()
    assert (contact.email, contact.variables) == ("b@example.com", {"shoeSize": "43", "note": "(No value)"})


def test_an_unknown_preset_and_a_file_of_another_crm_are_told(project: "Project") -> None:
    configure(project, "hubspott", "c.csv")
    assert 'preset = "hubspot"' in project.run("plan").err

    configure(project, "amocrm", "c.csv")
    answer = project.run("plan")
    assert answer.code == 2
    assert "none of the address columns of the preset amocrm" in answer.err
    assert "the file has: Email, Full name" in answer.err


def test_a_preset_of_ones_own_is_used_by_its_name(project: "Project") -> None:
    (project.folder / "presets").mkdir()
    (project.folder / "presets" / "shop.toml").write_text(
        """
name = "shop"
title = "Our shop"
export = "Admin > Export"
opt_out = "`Newsletter` = no is not subscribed"
detect.any_of = [["Mail", "Newsletter"]]
email.columns = ["Mail"]
consent = [{ column = "Newsletter", is_not = ["yes"] }]
""",
        encoding="utf-8",
    )
    project.write_source("a@example.com,yes", "b@example.com,no", header="Mail,Newsletter")
    configure(project, "shop", "c.csv")

    assert project.run("sync", "--yes").code == 0
    assert subscribed(project) == {"a@example.com"}


def test_without_a_preset_the_columns_are_still_required(project: "Project") -> None:
    configure(project, "hubspot", "c.csv")
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text().replace('preset = "hubspot"', ""))

    answer = project.run("plan")

    assert answer.code == 2
    assert "`job.columns` is missing" in answer.err
