"""The program as an operator meets it: signals, a second run, a directory that is no state, odd environments."""

import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from syncengine.stopping import GRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Site


def slow(site: "Site", people: int = 2_000, rate: int = 20) -> None:
    """A load of some seconds."""
    site.write_source(site.people(people))
    site.write_config(account=f"rate = {rate}")


def under_way(site: "Site", **options: Any) -> Any:
    process = site.start("sync", "--yes", **options)
    site.until(lambda: len(site.on_list.contacts) >= 200, process)
    return process


def finish(site: "Site", people: int = 2_000) -> None:
    site.write_config()
    ran = site.run("sync", "--yes", "--json")
    assert (ran.code, len(site.on_list.contacts)) == (0, people), ran.err
    assert site.sandbox.overlaps == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_p05_p07_the_first_signal_finishes_what_is_in_flight_and_says_how_to_go_on(
    site: "Site", number: int, code: int
) -> None:
    slow(site)
    process = under_way(site)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    after = len(site.sandbox.log)

    assert process.returncode == code
    assert "go on with: syncengine sync people" in err
    assert len(site.sandbox.log) == after
    finish(site)
    assert sum(one.size for one in site.sandbox.log if "contacts" in one.endpoint) == 2_000


def test_p06_a_second_signal_leaves_while_the_service_still_keeps_everybody_waiting(site: "Site") -> None:
    slow(site)
    process = under_way(site)
    site.sandbox.behaviour = site.sandbox.behaviour.changed({"latency": 3_600.0})
    before = len(site.sandbox.log)
    site.until(lambda: len(site.sandbox.log) > before, process)
    process.send_signal(signal.SIGTERM)
    stderr = process.stderr
    assert stderr is not None
    while "again to leave at once" not in stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.wait(GRACE - 1)  # before it would have left by itself
    process.communicate()

    assert process.returncode == 143
    site.sandbox.behaviour = site.sandbox.behaviour.changed({"latency": 0.0})
    finish(site)


def test_p06_whoever_is_signalled_twice_before_its_plan_is_complete_has_sent_nothing(site: "Site") -> None:
    site.write_source(site.people(2_000))
    process = site.start("sync", "--yes")
    site.until((site.state / "lock.owner").exists, process)
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode in {143, -signal.SIGTERM}  # the latter where it came before anybody listened
    assert len(site.on_list.contacts) <= 800  # nothing, if the plan was not complete; else what was in flight
    finish(site)


# Stopped by its budget ------------------------------------------------------------------------------------------------


def test_p05_a_budget_of_requests_ends_a_run_as_a_signal_does(site: "Site") -> None:
    slow(site, rate=500)

    stopped = site.run("sync", "--yes", "--json", "--max-requests", "5")

    assert stopped.code == 7
    assert "go on with: syncengine sync people" in stopped.err
    report = stopped.report
    assert report["confirmed"]["add"] + report["pending"] == 2_000
    assert report["requests"] == len(site.sandbox.log) <= 5
    finish(site)
    assert sum(one.size for one in site.sandbox.log if "contacts" in one.endpoint) == 2_000


AT_SIX = """
import os, sys, time
import syncengine.bootstrap.running  # what takes long to load is there when the clock starts
from syncengine.cli import main

midnight = 6 * 3600 - 8 - time.time() % 86400  # a zone in which it is eight seconds to six
sign, seconds = "-" if midnight > 0 else "+", int(abs(midnight))
os.environ["TZ"] = f"XXX{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
time.tzset()
main(["sync", "--yes", "--json", "--until", "06:00"])
"""


def test_p05_a_run_ends_at_its_time_as_by_a_signal(site: "Site") -> None:
    slow(site, people=20_000, rate=10)
    process = subprocess.Popen(
        [sys.executable, "-c", AT_SIX], cwd=site.folder, env=site.env(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = process.communicate(timeout=120)

    assert (process.returncode, "it is 06:00" in err) == (7, True), err
    assert "go on with: syncengine sync people" in err
    (report,) = json.loads(out)["runs"]
    assert (report["result"], report["pending"] > 0) == ("interrupted", True)
    assert report["confirmed"]["add"] == len(site.on_list.contacts)


def test_p08_n29_a_run_that_was_stopped_by_the_shell_goes_on_when_it_is_continued(site: "Site") -> None:
    slow(site)
    process = under_way(site)
    process.send_signal(signal.SIGSTOP)
    arrived = len(site.on_list.contacts)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)

    assert (process.returncode, arrived < 2_000, len(site.on_list.contacts)) == (0, True, 2_000)


def test_p16_a_second_run_is_told_whose_turn_it_is_and_sends_nothing_while_others_may_look(site: "Site") -> None:
    slow(site, people=40_000, rate=2)  # minutes: it is still at work when the others are done, however busy the machine
    process = under_way(site)
    second = site.run("sync", "--yes", env=site.env(SMARTSENDER_TOKEN="sandbox-token"))
    status, errors = site.run("status", "--json"), site.run("errors", "--json")
    alive = process.poll() is None
    process.kill()
    process.communicate()

    assert alive
    assert second.code == 6
    assert f"pid {process.pid} on {socket.gethostname()}, since 20" in second.err
    assert {one.token for one in site.sandbox.log} == {site.sandbox.log[0].token}
    assert (status.code, errors.code) == (0, 0)
    assert json.loads(status.out)["jobs"][0]["last_run"]["status"] == "sending"


def test_p17_the_lock_of_a_killed_run_is_gone_with_it_and_who_waits_gets_it(site: "Site") -> None:
    slow(site)
    process = under_way(site)
    waiting = site.start("sync", "--yes", "--wait-lock", "60")
    process.kill()
    process.communicate()
    waiting.communicate(timeout=120)

    assert (waiting.returncode, len(site.on_list.contacts)) == (0, 2_000)


def shape(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("elsewhere")
        case "pipe":
            os.mkfifo(path)
        case "empty":
            path.write_bytes(b"")
        case "gone":
            pass
        case "foreign":
            with sqlite3.connect(path) as other:
                other.execute("CREATE TABLE x (y)")


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "empty", "gone", "foreign"])
def test_p13_p14_a_state_that_is_none_stops_the_run_before_any_request(site: "Site", kind: str) -> None:
    assert site.run("sync", "--yes").code == 0
    requests = len(site.sandbox.log)
    shape(site.state / "state.sqlite", kind)
    before = site.written() if kind != "pipe" else {}
    site.write_source(site.people(300, name="Other"))

    ran = site.run("sync", "--yes")

    assert (ran.code, len(site.sandbox.log)) == (8, requests), ran.err
    assert "nothing was sent" in ran.err
    if before:
        assert {name: data for name, data in site.written().items() if "lock" not in name} == {
            name: data for name, data in before.items() if "lock" not in name
        }


def without_overriding() -> None:
    """The modes of files hold for root as well: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are dropped."""
    import ctypes

    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; it fails where there is none to drop


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how root is made to obey modes is Linux's")
@pytest.mark.parametrize("what", ["the folder", "a folder above that is to hold it"])
def test_p13_a_state_that_can_not_be_written_stops_the_run_before_any_request(site: "Site", what: str) -> None:
    if what == "the folder":
        assert site.run("sync", "--yes").code == 0
        site.write_source(site.people(300, name="Other"))
    closed = site.state if what == "the folder" else site.folder
    requests = len(site.sandbox.log)
    closed.chmod(0o500)
    try:
        ran = site.run("sync", "--yes", preexec_fn=without_overriding)
    finally:
        closed.chmod(0o700)

    assert (ran.code, len(site.sandbox.log)) == (8, requests), ran.err
    assert "Traceback" not in ran.err
    site.write_source(site.people(300))
    finish(site, people=300)


def test_p15_a_state_of_a_newer_version_is_left_as_it_is(site: "Site") -> None:
    assert site.run("sync", "--yes").code == 0
    database = site.state / "state.sqlite"
    with sqlite3.connect(database) as newer:
        newer.execute("PRAGMA user_version=1000")
    newer.close()
    (site.state / "state.sum").unlink()
    digest = hashlib.sha256(database.read_bytes()).hexdigest()

    ran = site.run("sync", "--yes")

    assert (ran.code, "newer version" in ran.err) == (8, True)
    assert hashlib.sha256(database.read_bytes()).hexdigest() == digest


def test_p14_the_copy_of_the_last_good_run_is_put_back_as_the_message_says(site: "Site") -> None:
    assert site.run("sync", "--yes").code == 0
    (site.state / "state.sqlite").write_bytes(b"")
    ran = site.run("sync", "--yes")
    line = next(line for line in ran.err.splitlines() if "cp state.backup.sqlite" in line)
    assert os.system(line.partition(": ")[2] if "put back" in line else line) == 0  # noqa: S605  # as a person would
    requests = len(site.sandbox.log)

    again = site.run("sync", "--yes")

    assert (again.code, len(site.sandbox.log)) == (0, requests), again.err


def limited(kind: int, value: int) -> Any:
    import resource

    return lambda: resource.setrlimit(kind, (value, value))


def test_p09_a_disk_that_takes_nothing_more_ends_the_run_before_it_loses_its_place(site: "Site") -> None:
    """No file may grow beyond 150 kB: writes fail as on a full disk, for ever."""
    import resource

    slow(site, people=6_000, rate=100)

    ran = site.run("sync", "--yes", preexec_fn=limited(resource.RLIMIT_FSIZE, 150_000))

    assert ran.code in {2, 7, 8}, ran.err
    assert "Traceback" not in ran.err
    finish(site, people=6_000)


def test_p19_few_open_files_are_enough_or_the_run_ends_cleanly(site: "Site") -> None:
    import resource

    slow(site, people=1_000, rate=500)

    ran = site.run("sync", "--yes", preexec_fn=limited(resource.RLIMIT_NOFILE, 64))

    assert ran.code in {0, 7, 8}, ran.err
    assert "Traceback" not in ran.err
    finish(site, people=1_000)


def test_p23_a_bare_environment_is_enough(site: "Site") -> None:
    bare = {"LC_ALL": "C", "SMARTSENDER_TOKEN": site.env()["SMARTSENDER_TOKEN"], "PATH": os.environ["PATH"]}

    ran = site.run("sync", "--yes", env=bare)

    assert (ran.code, len(site.on_list.contacts)) == (0, 300), ran.err


def test_p23_a_folder_whose_name_is_no_text_is_told(site: "Site") -> None:
    folder = site.folder / os.fsdecode(b"n\xe4me \xff")
    folder.mkdir()
    for name in ("c.csv", "syncengine.toml"):
        (site.folder / name).rename(folder / name)
    site.folder = folder

    ran = site.run("sync", "--yes")

    assert (ran.code, "not UTF-8" in ran.err, site.sandbox.log) == (2, True, []), ran.err


def test_p07_a_reader_that_leaves_is_no_failure(site: "Site") -> None:
    process = site.start("sync", "--yes")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.read()
    process.stderr.close()
    process.wait(60)

    assert len(site.on_list.contacts) == 300
