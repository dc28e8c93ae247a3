"""What a person is told when something is wrong: what, why, a fix, whether anything was sent, and the exit code."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncengine.lock import locked
from syncengine.sandbox.faults import Fault, Status

if TYPE_CHECKING:
    from conftest import Project

NOTHING = "nothing was sent"


def rewrite(project: "Project", old: str, new: str) -> None:
    config = project.folder / "syncengine.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('email = "Email"', 'email = "E-mail"', ['no column "E-mail"; did you mean "Email"?', "the file has"]),
        ('email = "Email"', 'emial = "Email"', ["unknown key `emial`", "did you mean `email`?", "syncengine.toml:1"]),
        ("rate = 500", 'rate = "fast"', ["`account.rate` must be a number", '"fast"', "syncengine.toml:5"]),
        ('consent = "source"', "", ["`job.consent` is missing", 'consent = "keep"']),
        ('consent = "source"', 'consent = "maybe"', ["job.consent", "'source'", "'keep'"]),
        ('source = "c.csv"', 'source = "d.csv"', ["d.csv"]),
        ('token = "sandbox-token"', 'token = "${NO_SUCH_VARIABLE}"', ["NO_SUCH_VARIABLE", "export", "account.token"]),
        ('token = "sandbox-token"', "", ["no token", "SMARTSENDER_TOKEN"]),
        ('token = "sandbox-token"', 'token = "two words"', ["the token can't be one"]),
        ('city = "City"', 'City = "City"', ["`City` can't be a variable"]),
        ('url = "http', 'url = "ftp', ["must be an address such as https://"]),
        ("[account]", "[account", ["not TOML"]),
    ],
)  # fmt: skip
def test_a_fault_of_the_config_or_source_ends_with_2_a_fix_and_nothing_sent(
    project: "Project", old: str, new: str, says: list[str]
) -> None:
    rewrite(project, old, new)

    answer = project.run("sync", "--yes", "--json")

    assert answer.code == 2, answer.err
    for text in (*says, NOTHING):
        assert text in answer.err
    assert "two words" not in answer.err
    assert "Traceback" not in answer.err
    assert json.loads(answer.out)["schema_version"] == 1
    assert project.sandbox.log == []


def test_a_missing_config_says_how_to_get_one(project: "Project") -> None:
    (project.folder / "syncengine.toml").unlink()

    answer = project.run("plan")

    assert answer.code == 2
    assert "syncengine demo" in answer.err


def test_an_unreachable_host_ends_with_7_and_the_next_run_goes_on(project: "Project") -> None:
    good = project.url
    rewrite(project, f'url = "{good}"', 'url = "http://127.0.0.1:9"\nmax_outage = 0.2')

    answer = project.run("sync", "--yes", "--json")

    assert (answer.code, answer.report["result"], answer.report["pending"]) == (7, "unavailable", 250)
    assert "error[unreachable]: http://127.0.0.1:9 can't be reached" in answer.err
    assert "check `url` of [account]" in answer.err
    assert "run the same command again" in answer.err
    assert "no contact is confirmed; 250 are pending" in answer.err

    rewrite(project, 'url = "http://127.0.0.1:9"\nmax_outage = 0.2', f'url = "{good}"')
    gone_on = project.run("sync", "--yes", "--json")

    assert (gone_on.code, gone_on.report["confirmed"]["add"], gone_on.report["pending"]) == (0, 250, 0)
    assert gone_on.report["run"] != answer.report["run"]  # a plan is for one account, and none of it was carried out


def test_an_unreachable_host_is_said_at_once_and_not_after_the_patience(project: "Project") -> None:
    rewrite(project, f'url = "{project.url}"', 'url = "http://127.0.0.1:9"\nmax_outage = 0.2')

    answer = project.run("sync", "--yes")

    first = next(line for line in answer.err.splitlines() if "can't be reached" in line)
    assert first.endswith("trying again for 0 s")


def test_a_refused_token_ends_with_4_without_showing_it(project: "Project") -> None:
    rewrite(project, "sandbox-token", "a-wrong-token-4711")

    answer = project.run("sync", "--yes", "--json")
    written = b"".join(path.read_bytes() for path in (project.folder / ".syncengine").rglob("*") if path.is_file())

    assert (answer.code, answer.report["result"]) == (4, "refused")
    assert "a-wrong-token-4711" not in answer.out + answer.err
    assert b"a-wrong-token-4711" not in written
    assert "no contact is confirmed; 250 are pending" in answer.err
    assert len(project.sandbox.log) <= 8
    assert project.contacts.contacts == {}


def test_removals_an_error_kept_back_are_said_in_summary_answer_and_report_and_done_by_the_next_run(
    project: "Project",
) -> None:
    project.write_config(job='consent = "source"\nmode = "mirror"\nmirror = { on_missing = "remove" }')
    project.run("sync", "--yes")
    project.write_source(*project.people(247, n3="Astana"))
    refusing = Fault(what=Status(401), times=None)
    project.sandbox.faults.add(refusing)

    told = project.run("sync", "--yes")
    project.sandbox.faults.clear()
    project.sandbox.faults.add(refusing)
    answer = project.run("sync", "--yes", "--json")

    assert (told.code, answer.code, len(project.contacts.contacts)) == (4, 4, 250)
    assert "skipped because of the error: 3 to remove, who left the source" in told.out + told.err
    assert (answer.report["skipped"], answer.report["pending"]) == ({"remove": 3}, 4)
    page = (Path(answer.report["paths"]["run"]) / "report.html").read_text()
    assert "Skipped because of the error, pending: 3 to remove, who left the source." in page

    project.sandbox.faults.clear()
    report = project.run("sync", "--yes", "--json").report
    assert (report["confirmed"]["remove"], report["confirmed"]["update"], report["skipped"]) == (3, 1, {})
    assert len(project.contacts.contacts) == 247


def test_whoever_is_spared_is_told_in_the_answer_with_the_reason(project: "Project") -> None:
    project.run("sync", "--yes")
    project.write_config(job='consent = "source"\nmode = "mirror"')
    rewrite(project, 'name = "newsletter"', 'name = "mirror"')
    project.write_source(*project.people(240))

    told = project.run("sync", "--yes")

    assert told.code == 0
    assert told.out.count("10 contacts are not in the source and are left alone: this is the job's first run") == 1


def test_a_wrong_list_ends_with_4(project: "Project") -> None:
    rewrite(project, project.contacts.id, "ffffffffffffffffffffffff")

    answer = project.run("sync", "--yes")

    assert answer.code == 4
    assert "Email list with id" in answer.err


def test_a_guard_ends_with_5_and_names_the_flag_that_lets_it_pass(project: "Project") -> None:
    project.run("sync", "--yes")
    requests = len(project.sandbox.log)
    project.write_source(*project.people(50, n3="Moved"))

    stopped = project.run("sync", "--yes", "--json")
    assert (stopped.code, stopped.report["result"], len(project.sandbox.log)) == (5, "guard", requests)
    assert "--max-shrink 80%" in stopped.err
    assert "250" in stopped.err

    passed = project.run("sync", "--yes", "--json", "--max-shrink", "80%")
    assert (passed.code, passed.report["confirmed"]["update"]) == (0, 1)


def test_an_empty_file_removes_nobody_whatever_the_flags_and_says_how_many_there_were(project: "Project") -> None:
    project.write_config(job='consent = "source"\nmode = "mirror"')
    project.run("sync", "--yes")
    sent = len(project.sandbox.log)
    project.write_source()

    for flags in ([], ["--max-missing", "100%", "--max-shrink", "100%", "--max-held", "100%"]):
        answer = project.run("sync", "--yes", *flags)
        assert (answer.code, len(project.sandbox.log)) == (5, sent)
        assert "error[empty-source]: the source has a header and 0 rows; the last run saw 250" in answer.err
        assert "no flag overrides that" in answer.err
        assert NOTHING in answer.err

    project.write_config(job='consent = "source"\nmode = "mirror"\nmirror = { on_missing = "keep" }')
    alone = project.run("sync", "--yes", "--max-shrink", "100%", "--json")
    assert (alone.code, alone.report["rows"], len(project.sandbox.log)) == (0, 0, sent)


def test_a_second_run_ends_with_6_naming_the_first(project: "Project") -> None:
    with locked(project.folder / ".syncengine"):
        answer = project.run("sync", "--yes")

    assert answer.code == 6
    assert f"pid {os.getpid()}" in answer.err
    assert project.sandbox.log == []


def test_a_state_of_another_account_ends_with_8(project: "Project") -> None:
    project.run("sync", "--yes")
    rewrite(project, "127.0.0.1", "localhost")

    answer = project.run("sync", "--yes")

    assert answer.code == 8
    assert "belongs to http://127.0.0.1" in answer.err


def test_a_cut_state_ends_with_8_and_is_left_as_found(project: "Project") -> None:
    project.run("sync", "--yes")
    database = project.folder / ".syncengine" / "state.sqlite"
    database.write_bytes(b"")

    answer = project.run("sync", "--yes")

    assert (answer.code, database.read_bytes()) == (8, b"")
    assert "left as found" in answer.err


@pytest.mark.parametrize("words", [["snyc"], ["sync", "--nope"], ["sync", "nojob", "--yes"], ["errors", "nosuchrun"]])
def test_a_slip_of_the_hand_ends_with_2(project: "Project", words: list[str]) -> None:
    answer = project.run(*words)

    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_a_kill_in_the_middle_loses_nothing(project: "Project") -> None:
    project.write_source(*project.people(3000))
    project.write_config(account="rate = 40")
    rewrite(project, "rate = 500\n", "")
    command = [sys.executable, "-m", "syncengine", "sync", "--yes"]
    process = subprocess.Popen(command, cwd=project.folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:  # a heartbeat: some batches are recorded
        if line.startswith(("300/", "600/", "900/")) or "%)" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    arrived = len(project.contacts.contacts)

    answer = project.run("sync", "--yes", "--json", "--rate", "500")

    assert 0 < arrived < 3000
    assert (answer.code, answer.report["resumed"], answer.report["confirmed"]["add"]) == (0, True, 3000)
    assert len(project.contacts.contacts) == 3000
    assert not list(project.folder.rglob("rows-*.rows"))  # what a process noted that died is not believed
    contacts_sent = sum(request.size for request in project.sandbox.log if "contacts" in request.endpoint)
    assert contacts_sent <= 3000 + 3 * 8 * 100  # add, update, add of at most the batches in flight


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_says_how_to_go_on(project: "Project", number: int, code: int) -> None:
    project.write_source(*project.people(3000))
    project.write_config(account="rate = 40")
    rewrite(project, "rate = 500\n", "")
    command = [sys.executable, "-m", "syncengine", "sync", "--yes"]
    process = subprocess.Popen(command, cwd=project.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "%)" in line:
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    requests = len(project.sandbox.log)

    assert process.returncode == code
    assert "go on with: syncengine sync newsletter" in err
    assert requests == len(project.sandbox.log)
    answer = project.run("sync", "--yes", "--json", "--rate", "500")
    assert (answer.code, len(project.contacts.contacts)) == (0, 3000)
    assert sum(request.size for request in project.sandbox.log if "contacts" in request.endpoint) == 3000


def test_help_imports_neither_polars_nor_httpx() -> None:
    for words in (["--help"], ["sync", "--help"], ["plan", "--help"], ["status", "--help"]):
        program = (
            "import sys\n"
            "from syncengine.cli.main import main\n"
            "try:\n"
            f"    main({words!r})\n"
            "except SystemExit:\n"
            "    pass\n"
            "heavy = {'polars', 'httpx', 'numpy', 'structlog', 'starlette', 'pydantic'} & set(sys.modules)\n"
            "sys.exit(f'imported {heavy}' if heavy & {'polars', 'httpx', 'numpy'} else 0)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_status_imports_neither_polars_nor_httpx(project: "Project") -> None:
    project.run("sync", "--yes")
    program = (
        "import sys\n"
        "from syncengine.cli.main import main\n"
        "try:\n"
        "    main(['status'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'polars', 'httpx', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=project.folder
    )
    assert done.returncode == 0, done.stderr
    assert "newsletter" in done.stdout


def test_the_config_is_found_in_a_folder_above_and_by_c_on_either_side(project: "Project") -> None:
    below = project.folder / "a" / "b"
    below.mkdir(parents=True)
    before = Path.cwd()
    config = str(project.folder / "syncengine.toml")
    assert project.run("-c", config, "check").code == project.run("check", "-c", config).code == 0
    os.chdir(below)
    try:
        inner = subprocess.run([sys.executable, "-m", "syncengine", "check"], capture_output=True, check=False)
    finally:
        os.chdir(before)
    assert inner.returncode == 0


def test_check_online_asks_the_service_and_changes_nothing(project: "Project") -> None:
    assert project.run("check", "--online").code == 0
    assert project.contacts.contacts == {}
    assert project.contacts.variables == {}

    rewrite(project, "sandbox-token", "a-wrong-token-4711")
    answer = project.run("check", "--online")
    assert answer.code == 4
    assert "a-wrong-token" not in answer.out + answer.err


def test_check_online_tells_a_list_the_account_does_not_have(project: "Project") -> None:
    rewrite(project, project.contacts.id, "5537ab2a08d241dc69320000")

    answer = project.run("check", "--online")

    assert answer.code == 4
    assert "error[list-refused]" in answer.err
    assert "5537ab2a08d241dc69320000 not found" in answer.err
    assert "it changes nothing" in answer.err


def test_environment_beats_file_and_flag_beats_environment(project: "Project", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCENGINE_ACCOUNT_RATE", "0.5")
    assert "at 0.5 a second" in project.run("plan").out
    monkeypatch.setenv("SYNCENGINE_STATE_PATH", "elsewhere")
    project.run("sync", "--yes", "--rate", "500")
    assert (project.folder / "elsewhere" / "state.sqlite").exists()


def test_explain_knows_every_code_and_suggests_near_ones(project: "Project") -> None:
    assert "mode" in project.run("explain", "already-exists").out
    assert "email-invalid" in project.run("explain").out
    answer = project.run("explain", "email-invald")
    assert answer.code == 2
    assert "did you mean email-invalid?" in answer.err


def test_a_list_of_a_wrong_id_is_its_job_s_own_trouble_and_the_other_jobs_run(project: "Project") -> None:
    config = project.folder / "syncengine.toml"
    text = config.read_text()
    job = text[text.index("[[job]]") :]
    wrong = job.replace('"newsletter"', '"wrong"').replace(project.contacts.id, "no-such-list")
    config.write_text(text.replace(job, wrong + job))

    answer = project.run("sync", "--yes", "--json")

    refused, done = answer.json["runs"]
    assert (answer.code, refused["result"], done["result"], done["confirmed"]["add"]) == (4, "refused", "ok", 250)
