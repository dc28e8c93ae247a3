"""Faults of a source through the whole program, each by its number in the fault matrix (S1 to S21).

Those that end in reading (S1, S2, S4, S6 to S10, S15 to S19) are told by their numbers in `tests/sources` as well.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Project

MIRROR = 'consent = "source"\nmode = "mirror"\nmirror = { on_missing = "remove", max_missing = "100%" }\n'


def values(project: "Project", variable: str) -> dict[str, str]:
    """Address → value of the variable, of all contacts of the list."""
    contacts = project.contacts.contacts.values()
    return {one.email: one.variables[variable] for one in contacts if variable in one.variables}


def codes(project: "Project", report: Any) -> list[tuple[int, str]]:
    return [(int(row["row"]), row["code"]) for row in project.errors(report)]


def derive_variables(project: "Project") -> None:
    """A config without [job.variables]: every other column under its derived name."""
    config = project.folder / "syncengine.toml"
    text = config.read_text()
    config.write_text(text[: text.index("[job.variables]")])


def test_s3_a_file_edited_between_run_and_resume_leaves_the_frozen_plan_as_it_was(project: "Project") -> None:
    first = project.run("sync", "--yes", "--json", "--max-requests", "2")
    assert (first.code, first.report["pending"] > 0) == (7, True)
    path = project.folder / "c.csv"
    before = path.stat()
    path.write_text(path.read_text().replace("City 1", "Town 1"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    resumed = project.run("sync", "--yes", "--json")
    assert (resumed.code, resumed.report["resumed"]) == (0, True)
    assert set(values(project, "city").values()) == {f"City {number}" for number in range(5)}

    again = project.run("sync", "--yes", "--json")
    assert again.report["confirmed"]["update"] == 50
    assert "Town 1" in values(project, "city").values()


@pytest.mark.parametrize("content", ["", "\n\n", "Email,Full name,Subscribed,City\n"])
def test_s5_an_empty_file_and_a_header_alone_remove_nobody(project: "Project", content: str) -> None:
    project.write_config(job=MIRROR)
    project.run("sync", "--yes")
    requests = len(project.sandbox.log)
    (project.folder / "c.csv").write_text(content)

    answer = project.run("sync", "--yes", "--json")

    assert answer.code in {2, 5}
    assert "nothing was sent" in answer.err
    assert (len(project.contacts.contacts), len(project.sandbox.log)) == (250, requests)


def test_s6_a_header_in_another_case_is_told_before_anything_is_sent(project: "Project") -> None:
    project.write_source("a@example.com,Ann,yes,Ulm", header="email,Full name,Subscribed,City")

    answer = project.run("sync", "--yes")

    assert (answer.code, project.sandbox.log) == (2, [])
    assert 'no column "Email"; did you mean "email"?' in answer.err


def test_s8_a_separator_that_does_not_fit_is_told_with_the_one_that_does(project: "Project") -> None:
    project.write_source("a@example.com;Ann;yes;Ulm", header="Email;Full name;Subscribed;City")
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text().replace('source = "c.csv"', 'source = { path = "c.csv", separator = "," }'))

    answer = project.run("sync", "--yes")

    assert (answer.code, project.sandbox.log) == (2, [])
    assert 'separator = ";"' in answer.err


def test_s11_of_rows_for_one_contact_one_wins_and_the_others_are_named_with_it(project: "Project") -> None:
    project.write_source(
        "ann@example.com,Ann,yes,Ulm",
        "bob@example.com,Bob,yes,Rom",
        "ANN@Example.COM,Ann B.,yes,Bonn",
        "jo@bücher.example.com,Jo,yes,A",
        "jo@xn--bcher-kva.example.com,Jo,yes,B",
        " bob@example.com ,Bob,no,Rom",
    )

    report = project.run("sync", "--yes", "--json").report

    assert codes(project, report) == [(2, "duplicate"), (3, "duplicate"), (5, "duplicate")]
    reasons = [row["reason"] for row in project.errors(report)]
    assert reasons[0] == "row 4 is the same contact and was taken"
    people = {one.email: (one.active, one.variables["city"]) for one in project.contacts.contacts.values()}
    assert people["ANN@Example.COM"] == (True, "Bonn")
    assert people["bob@example.com"] == (False, "Rom")  # one of the rows says no
    assert len(people) == 3


def test_s11_the_first_row_wins_where_the_config_says_so(project: "Project") -> None:
    project.write_config(job='consent = "source"\nduplicates = "first"')
    project.write_source("ann@example.com,Ann,yes,Ulm", "ANN@example.com,Ann,yes,Bonn")

    project.run("sync", "--yes")

    assert values(project, "city") == {"ann@example.com": "Ulm"}


def test_s12_an_address_is_sent_as_it_is_spelled_or_held_and_never_repaired(project: "Project") -> None:
    sent = {
        "O'Neil+x@Example.com": "O'Neil+x@Example.com",
        " plain@example.com ": "plain@example.com",
        "mailto:m@example.com": "m@example.com",
        '"Ann" <named@example.com>': "named@example.com",
        "ü@example.com": "ü@example.com",
        "x@bücher.example.com": "x@bücher.example.com",
        f"{'a' * 64}@example.com": f"{'a' * 64}@example.com",
    }
    held = {
        "a@b": "email-invalid",
        "a@example.com.": "email-invalid",
        "a..b@example.com": "email-invalid",
        f"{'a' * 65}@example.com": "email-invalid",
        f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 63}.com": "email-invalid",
        '"a b"@example.com': "email-invalid",
        "a(comment)@example.com": "email-invalid",
        "a@[192.0.2.1]": "email-invalid",
        "a@example.com, b@example.com": "email-several",
    }
    cells = [*sent, *held]
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    project.write_source(*(f"{cell},N,yes,C" for cell in quoted))

    report = project.run("sync", "--yes", "--json", "--max-held", "100%").report

    assert {one.email for one in project.contacts.contacts.values()} == set(sent.values())
    assert codes(project, report) == list(zip(range(2 + len(sent), 2 + len(cells)), held.values(), strict=True))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell a process its peak")
@pytest.mark.parametrize(
    "trouble", ["a cell of ten megabytes", "2,000 columns", "a quote that never closes over 40 megabytes"]
)
def test_s13_huge_cells_and_wide_files_stay_within_bounded_memory(project: "Project", trouble: str) -> None:
    path = project.folder / "c.csv"
    with path.open("w", encoding="utf-8") as file:
        extra = [f"c{number}" for number in range(1_996)] if trouble == "2,000 columns" else []
        file.write(",".join(["Email", "Full name", "Subscribed", "City", *extra]) + "\n")
        rest = "," * len(extra)
        for number in range(300):
            file.write(f"p{number}@example.com,N,yes,C{rest}\n")
            if number == 7 and "cell" in trouble:
                file.write(f"big@example.com,{'y' * 10_000_000},yes,C\n")
        if "quote" in trouble:
            file.write('open@example.com,"never closed,yes,C\n' + "words without an end\n" * 2_000_000)
    program = """
import atexit, pathlib, sys
from syncengine.cli.main import main
atexit.register(lambda: sys.stderr.write(pathlib.Path("/proc/self/status").read_text()))
main(sys.argv[1:])
"""
    command = [sys.executable, "-c", program, "plan", "--json"]

    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stderr)  # its own: ru_maxrss begins with its parent's
    assert int(kilobytes) < 512 << 10


def test_s14_a_date_on_the_list_is_a_real_day_and_what_is_none_is_held(project: "Project") -> None:
    project.write_config()
    config = project.folder / "syncengine.toml"
    config.write_text(
        config.read_text().replace('city = "City"', 'born = { column = "City", type = "date", formats = ["%d.%m.%Y"] }')
    )
    cells = {
        "1990-02-28": "1990-02-28",
        "28.02.1990": "1990-02-28",
        "2024-05-01T23:30:00+05:00": "2024-05-01",
        "0000-00-00": None,
        "0/0/00": None,
        "": None,
        "2024-02-30": "held",
        "31.02.1990": "held",
        "10000-01-01": "held",
        "01/02/03": "held",
        "03/04/2025": "held",
        "45123": "held",
        "yesterday": "held",
    }
    project.write_source(*(f"p{number:02}@example.com,N,yes,{cell}" for number, cell in enumerate(cells)))

    report = project.run("sync", "--yes", "--json", "--max-held", "100%").report

    numbered = list(enumerate(cells.values()))
    assert values(project, "born") == {
        f"p{number:02}@example.com": value for number, value in numbered if value not in {None, "held"}
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", value) for value in values(project, "born").values())
    assert codes(project, report) == [(number + 2, "date-unreadable") for number, value in numbered if value == "held"]


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Email,Full name,Subscribed,Регион,Region", ["meet in the name 'region'", 'regionTwo = "Region"']),
        ("Email,Full name,Subscribed,User ID", ["'userId'", 'crmUserId = "User ID"']),
        ("Email,Full name,Subscribed,E-mail", ["'email'", 'otherEmail = "E-mail"']),
    ],
)
def test_s20_a_column_that_can_name_no_variable_ends_with_2_and_the_lines_to_paste(
    project: "Project", header: str, says: list[str]
) -> None:
    derive_variables(project)
    project.write_source(f"a@example.com,Ann,yes{',x' * (header.count(',') - 2)}", header=header)

    answer = project.run("sync", "--yes")

    assert (answer.code, project.sandbox.log) == (2, [])
    for text in (*says, "[job.variables]", "nothing was sent"):
        assert text in answer.err


def test_s20_what_is_to_be_pasted_makes_it_work(project: "Project") -> None:
    derive_variables(project)
    project.write_source("a@example.com,Ann,yes,Север,North", header="Email,Full name,Subscribed,Регион,Region")
    told = project.run("plan").err
    lines = [line.removeprefix("  fix  ").strip() for line in told.splitlines()]
    table = lines[lines.index("[job.variables]") : lines.index("nothing was sent")]
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text() + "\n" + "\n".join(table) + "\n", encoding="utf-8")

    assert project.run("sync", "--yes").code == 0
    (contact,) = project.contacts.contacts.values()
    assert contact.variables == {"region": "Север", "regionTwo": "North"}


def test_s21_a_new_column_becomes_a_variable_and_one_that_vanishes_erases_nothing(project: "Project") -> None:
    derive_variables(project)
    project.run("sync", "--yes")
    header = "Email,Full name,Subscribed,City,Shoe"
    project.write_source(*(f"{row},{40 + place}" for place, row in enumerate(project.people(3))), header=header)
    new = project.run("sync", "--yes", "--json", "--max-shrink", "100%")
    assert new.report["variables_created"] == ["shoe"]
    assert values(project, "shoe")["user1@example.com"] == "41"

    project.write_source(
        *(f"{row.rpartition(',')[0]},{50 + place}" for place, row in enumerate(project.people(3))),
        header="Email,Full name,Subscribed,Shoe",
    )
    gone = project.run("plan")
    project.run("sync", "--yes")

    assert "city is no longer fed; the list keeps the values it has" in gone.out
    assert values(project, "shoe")["user1@example.com"] == "51"
    assert values(project, "city")["user1@example.com"] == "City 1"


def test_s21_a_column_that_the_config_names_and_the_file_lost_is_told(project: "Project") -> None:
    project.run("sync", "--yes")
    requests = len(project.sandbox.log)
    project.write_source("user1@example.com,Name 1,yes", header="Email,Full name,Subscribed")

    answer = project.run("sync", "--yes")

    assert (answer.code, len(project.sandbox.log)) == (2, requests)
    assert 'no column "City"' in answer.err


def test_every_fault_of_the_matrix_is_named_by_a_test() -> None:
    tests = Path(__file__).parents[1]
    text = "\n".join(path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py"))

    assert [number for number in range(1, 22) if f"def test_s{number}_" not in text] == []
