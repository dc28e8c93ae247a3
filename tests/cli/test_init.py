"""`init` and `inspect` through the command line: from a CRM's file to a list, editing one line."""

import json
import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

ROOT = Path(__file__).parents[2] / "sample_data"
CRM = sorted(path.name for path in (ROOT / "crm").iterdir())
EVERYBODY = set(range(30))
OPTED_OUT, BOUNCED, NO_ADDRESS, AGAIN, INVALID, TWO = ({number, number + 10} for number in (3, 4, 5, 6, 7, 8))
NOBODY = NO_ADDRESS | INVALID | AGAIN
NO_OPT_OUTS = {"amocrm", "kommo", "CONTACT_en", "google", "outlook", "pessoas"}


def fill_in(project: "Project") -> None:
    """What a person does with the config that `init` wrote: put in the list (and here, where the sandbox listens)."""
    config = project.folder / "syncengine.toml"
    text = config.read_text(encoding="utf-8")
    assert text.count("PUT-THE-LIST-ID-HERE") == 1
    text = text.replace("PUT-THE-LIST-ID-HERE", project.contacts.id)
    text = text.replace('token = "${SMARTSENDER_TOKEN}"', f'token = "sandbox-token"\nurl = "{project.url}"\nrate = 500')
    config.write_text(text, encoding="utf-8")
    config.chmod(0o600)


def initialise(project: "Project", source: Path, *options: str) -> None:
    (project.folder / "syncengine.toml").unlink()
    shutil.copy(source, project.folder / source.name)
    answer = project.run("init", source.name, *options)
    assert answer.code == 0, answer.err
    assert "Next:  syncengine plan newsletter" in answer.err


def subscribed(project: "Project") -> set[int]:
    assert all(contact.active for contact in project.contacts.contacts.values())
    return {int(re.findall(r"\d+", contact.email)[0]) for contact in project.contacts.contacts.values()}


@pytest.mark.parametrize("file", CRM)
def test_from_a_crms_file_to_the_list_with_one_line_to_edit(project: "Project", file: str) -> None:
    initialise(project, ROOT / "crm" / file)
    inspected = project.run("inspect", file, "--json").json
    fill_in(project)

    answer = project.run("sync", "--yes", "--json")

    assert answer.code == 0, answer.err
    people = subscribed(project)
    if not file.startswith(tuple(NO_OPT_OUTS)):
        assert not people & (OPTED_OUT | BOUNCED)
    assert people >= EVERYBODY - OPTED_OUT - BOUNCED - NOBODY - TWO - {29}
    report = answer.report
    assert report["rows"] == 30 == report["held"] + report["same"] + sum(report["planned"].values())
    held: dict[str, list[int]] = {}
    for row in project.errors(report):
        held.setdefault(row["code"], []).append(int(row["row"]))
    told = {code: (one["count"], one["rows"]) for code, one in inspected["held"].items()}
    assert {code: (len(rows), sorted(set(rows))[:3]) for code, rows in held.items()} == told, "inspect named these rows"


@pytest.mark.parametrize("file", CRM)
def test_the_config_is_whole_and_says_who_decides_about_consent(project: "Project", file: str) -> None:
    initialise(project, ROOT / "crm" / file)

    text = (project.folder / "syncengine.toml").read_text(encoding="utf-8")
    (job,) = tomllib.loads(text)["job"]
    assert job["consent"] == "keep"
    assert "Who decides who is subscribed?" in text
    assert text.rstrip().endswith("syncengine plan newsletter    what would change; sends nothing")
    assert "preset" not in job  # everything is written out, to be edited
    assert project.run("plan").code == 0  # without a token, and before the list is filled in


def test_a_list_that_is_still_to_be_filled_in_gets_nothing(project: "Project", monkeypatch: pytest.MonkeyPatch) -> None:
    initialise(project, ROOT / "crm" / "activecampaign.csv")
    monkeypatch.setenv("SMARTSENDER_TOKEN", "sandbox-token")

    answer = project.run("sync", "--yes")

    assert answer.code == 2
    assert "PUT-THE-LIST-ID-HERE" in answer.err
    assert "nothing was sent" in answer.err
    checked = project.run("check")
    assert (checked.code, "no list yet" in checked.out) == (2, True)
    assert "Fill in `list`" in project.run("plan").err


def test_opt_outs_of_the_file_reach_who_is_on_the_list_in_the_next_night(project: "Project") -> None:
    header = "Record ID,Email,Lifecycle Stage,Unsubscribed from all email"
    source = project.write_source("1,a@example.com,Lead,", "2,b@example.com,Lead,", header=header, name="hub.csv")
    (project.folder / "syncengine.toml").unlink()
    assert project.run("init", source.name).code == 0
    fill_in(project)
    project.run("sync", "--yes")
    assert subscribed_addresses(project) == {"a@example.com": True, "b@example.com": True}

    project.write_source("1,a@example.com,Lead,true", "2,b@example.com,Lead,", header=header, name="hub.csv")
    project.run("sync", "--yes")

    assert subscribed_addresses(project) == {"a@example.com": False, "b@example.com": True}


def subscribed_addresses(project: "Project") -> dict[str, bool]:
    return {contact.email: contact.active for contact in project.contacts.contacts.values()}


def test_an_existing_config_is_overwritten_only_when_that_is_asked_for(project: "Project") -> None:
    config = project.folder / "syncengine.toml"
    before = config.read_text()

    refused = project.run("init", "c.csv")
    assert (refused.code, config.read_text()) == (2, before)
    assert "--force" in refused.err

    assert project.run("init", "c.csv", "--force").code == 0
    assert config.read_text() != before


def test_the_options_end_up_in_the_config_and_it_may_stand_elsewhere(project: "Project") -> None:
    (project.folder / "jobs").mkdir()
    answer = project.run(
        "init", "c.csv", "-c", "jobs/one.toml", "--list", "abc123", "--job", "members", "--consent", "source"
    )

    (job,) = tomllib.loads((project.folder / "jobs" / "one.toml").read_text())["job"]
    assert (job["list"], job["name"], job["consent"], job["source"]["path"]) == (
        "abc123",
        "members",
        "source",
        "../c.csv",
    )
    assert job["columns"] == {"email": "Email", "name": "Full name", "active": "Subscribed"}
    assert "syncengine -c jobs/one.toml plan members" in answer.err
    assert project.run("-c", "jobs/one.toml", "plan").code == 0


def test_a_value_the_config_can_not_have_leaves_nothing_behind(project: "Project") -> None:
    answer = project.run("init", "c.csv", "-c", "new.toml", "--list", "not a list")

    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert not [path for path in project.folder.iterdir() if "new.toml" in path.name]


def test_a_file_without_addresses_gets_no_config(project: "Project") -> None:
    (project.folder / "syncengine.toml").unlink()
    shutil.copy(ROOT / "troubles" / "no-addresses.csv", project.folder)

    answer = project.run("init", "no-addresses.csv")

    assert answer.code == 2
    assert "no column holds e-mail addresses" in answer.err
    assert not (project.folder / "syncengine.toml").exists()


def test_a_question_about_dates_is_in_the_config_with_both_answers(project: "Project") -> None:
    (project.folder / "syncengine.toml").unlink()
    shutil.copy(ROOT / "troubles" / "dates-of-either-order.csv", project.folder)
    answer = project.run("init", "dates-of-either-order.csv", "--list", project.contacts.id)
    config = project.folder / "syncengine.toml"
    text = config.read_text(encoding="utf-8")

    assert "1 question to answer in it" in answer.out
    assert tomllib.loads(text)["job"][0]["variables"] == {}
    day_first = next(line for line in text.splitlines() if "%d/%m/%Y" in line)
    config.write_text(text.replace(day_first, day_first.removeprefix("# ")))
    assert tomllib.loads(config.read_text())["job"][0]["variables"]["born"]["formats"] == ["%d/%m/%Y"]
    assert project.run("plan", "--json").report["questions"] == []


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "troubles").iterdir()))
def test_init_on_a_file_of_trouble_gives_a_config_that_plans_or_says_why_not(project: "Project", file: str) -> None:
    (project.folder / "syncengine.toml").unlink()
    shutil.copy(ROOT / "troubles" / file, project.folder)

    answer = project.run("init", file)

    assert "Traceback" not in answer.err
    if answer.code == 0:
        planned = project.run("plan", "--json")
        assert planned.code in {0, 5}, planned.err  # 5: more than half of these few rows are held
        report = planned.report
        assert report["rows"] == report["held"] + report["same"] + sum(report["planned"].values())
    else:
        assert answer.code == 2
        assert "nothing was sent" in answer.err
        assert not (project.folder / "syncengine.toml").exists()


# inspect --------------------------------------------------------------------------------------------------------------


def test_inspect_json_is_one_document_with_everything(project: "Project") -> None:
    shutil.copy(ROOT / "crm" / "CONTACT_20261122.csv", project.folder)

    answer = project.run("inspect", "CONTACT_20261122.csv", "--json")

    seen = json.loads(answer.out)
    assert (seen["schema_version"], seen["rows"], seen["format"], seen["size"]) == (1, 30, "csv", 5417)
    assert seen["preset"] == {
        "name": "bitrix24",
        "title": "Bitrix24 contacts or leads",
        "score": 1.0,
        "known_columns": 20,
        "preview": False,
    }
    born = next(column for column in seen["columns"] if column["column"] == "Дата рождения")
    assert (born["variable"], born["kind"], born["share"]) == ("birthDate", "date", 0.5)
    assert born["evidence"]["dates"] == {"%d.%m.%Y": 15}
    assert seen["held"]["email-invalid"]["rows"] == [9]


def test_inspect_takes_a_file_for_what_it_is_told_to_be(project: "Project") -> None:
    shutil.copy(ROOT / "crm" / "CONTACT_20261122.csv", project.folder / "c.csv")

    as_none = project.run("inspect", "c.csv", "--preset", "none", "--json").json
    as_hubspot = project.run("inspect", "c.csv", "--preset", "hubspot", "--json").json
    in_latin = project.run("inspect", "c.csv", "--encoding", "cp1252", "--separator", ";", "--json").json
    unknown = project.run("inspect", "c.csv", "--preset", "bitrix")

    assert as_none["preset"] is None
    assert (as_hubspot["preset"]["name"], as_hubspot["preset"]["score"]) == ("hubspot", 0.0)
    assert in_latin["preset"] is None
    assert in_latin["facts"]["encoding"] == "cp1252 (set in the config)"
    assert (unknown.code, 'preset = "bitrix24"' in unknown.err) == (2, True)


def test_inspect_suggests_a_preset_that_fits_in_part(project: "Project") -> None:
    project.write_source("a@example.com,2,2025-01-01", header="Email Address,MEMBER_RATING,OPTIN_TIME")

    out = project.run("inspect", "c.csv").out

    assert "Looks like   no export we know" in out
    assert "! looks a little like Mailchimp audience (75% of its tell-tale headers): --preset mailchimp" in out


def test_inspect_reads_a_preset_of_ones_own(project: "Project") -> None:
    (project.folder / "presets").mkdir()
    (project.folder / "presets" / "shop.toml").write_text(
        'name = "shop"\ntitle = "Our shop"\nexport = "x"\nopt_out = "x"\n'
        'detect.any_of = [["Full name", "Subscribed"]]\nemail.columns = ["Email"]\n',
        encoding="utf-8",
    )

    assert project.run("inspect", "c.csv", "--json").json["preset"]["title"] == "Our shop"


@pytest.mark.parametrize("verb", ["inspect", "init"])
@pytest.mark.parametrize(
    ("name", "says"), [("nothing.csv", "no file nothing.csv"), (".", "is a folder"), ("pipe", "is a pipe")]
)
def test_what_is_no_file_is_told(project: "Project", verb: str, name: str, says: str) -> None:
    (project.folder / "syncengine.toml").unlink()
    os.mkfifo(project.folder / "pipe")

    answer = project.run(verb, name)

    assert answer.code == 2
    assert says in answer.err
    assert "nothing was sent" in answer.err


def test_addresses_of_people_are_not_shown(project: "Project") -> None:
    for arguments in (["inspect", "c.csv"], ["inspect", "c.csv", "--json"], ["init", "c.csv", "--force"]):
        answer = project.run(*arguments)
        assert "@example.com" not in answer.out + answer.err
    assert "@example.com" not in (project.folder / "syncengine.toml").read_text()
