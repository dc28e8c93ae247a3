"""Faults at system calls of the real program, by strace. What can't be had here is told as skipped, and has its twin in
test_faulty_disk.py and test_outages.py, which need nothing.
"""

import http.client
import json
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from syncengine.ledger import open_ledger
from syncengine.testing.syscalls import SYNCS, TALK, WRITES, Injection, no_strace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Ran, Site

PEOPLE = 600
CONCURRENCY = 2
IN_FLIGHT = CONCURRENCY * 100

pytestmark = pytest.mark.skipif(no_strace() != "", reason=no_strace() or "-")

KILLED = {137, -9}
ENDED_IN_WORDS = {2, 7, 8}  #: exit codes of a run that could not go on


@pytest.fixture
def small(site: "Site") -> "Site":
    site.write_config(account=f"rate = 500\nconcurrency = {CONCURRENCY}")
    site.write_source(site.people(PEOPLE))
    return site


def sent(site: "Site") -> int:
    return sum(one.size for one in site.sandbox.log if "contacts" in one.endpoint)


def struck(site: "Site", injection: Injection, *words: str) -> "Ran":
    return site.run(*(words or ("sync", "--yes")), under=injection.command())


def assert_goes_on(site: "Site", injection: Injection) -> None:
    """The next run, left alone, ends well: all is on the list, little was sent twice, nobody was in two requests."""
    ran = site.run("sync", "--yes", "--json")
    assert (ran.code, len(site.on_list.contacts)) == (0, PEOPLE), f"{injection}: {ran.err}"
    assert site.sandbox.overlaps == []
    assert sent(site) <= PEOPLE + IN_FLIGHT, str(injection)
    with closing(open_ledger(site.state)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


# Death ----------------------------------------------------------------------------------------------------------------

DEATHS = [
    Injection(SYNCS, "signal=KILL", 1),  # the database is being made
    Injection(SYNCS, "signal=KILL", 17),  # it is there and its anchor is not
    Injection(WRITES, "signal=KILL", 60),  # the plan is being made
    Injection(TALK, "signal=KILL", 4),  # requests are under way
    Injection("fdatasync", "signal=KILL", 20),  # what was confirmed is being recorded
    Injection("rename", "signal=KILL", 5),  # a file of the run gets its name
]


@pytest.mark.parametrize("injection", DEATHS, ids=str)
def test_p01_p03_a_process_that_dies_at_any_write_leaves_what_the_next_one_goes_on_with(
    small: "Site", injection: Injection
) -> None:
    ran = struck(small, injection)

    assert ran.code in KILLED, ran.err
    assert_goes_on(small, injection)


def test_p03_p04_a_run_that_dies_again_and_again_while_it_goes_on_comes_to_its_end(small: "Site") -> None:
    """Start-up, recovery and the writing of reports are among what it dies of."""
    codes = [
        struck(small, injection).code
        for injection in (
            Injection(TALK, "signal=KILL", 3),
            Injection(SYNCS, "signal=KILL", 2),  # recovery: the log is being brought in
            Injection("rename", "signal=KILL", 1),
            Injection("rename", "signal=KILL", 3),  # reports
        )
    ]

    assert sum(code in KILLED for code in codes) >= 3, codes
    assert_goes_on(small, DEATHS[0])


def test_p04_whoever_dies_while_erasing_a_person_has_erased_them_after_the_next_try(small: "Site") -> None:
    assert small.run("sync", "--yes").code == 0
    erase = ("state", "forget", "person7@example.com", "--yes")

    codes = [struck(small, Injection(calls, "signal=KILL", n), *erase).code for calls, n in ((SYNCS, 3), ("rename", 2))]
    assert set(codes) & KILLED, codes
    ran = small.run(*erase)

    assert ran.code == 0, ran.err
    assert small.run("state", "verify").code == 0
    assert [name for name, data in small.written().items() if b"person7@example.com" in data] == []


# Errors ---------------------------------------------------------------------------------------------------------------

ERRORS = {
    "p09 no room for a state": Injection(WRITES, "error=ENOSPC", 20),
    "p09 no room from then on": Injection(WRITES, "error=ENOSPC", "62+"),
    "p10 a write fails once": Injection(WRITES, "error=EIO", 30),
    "p10 every write fails from then on": Injection(WRITES, "error=EIO", "66+"),
    "p11 what is to be recorded is not synced, once": Injection("fdatasync", "error=EIO", 21),
    "p11 a report is not synced": Injection("fsync", "error=EIO", 9),
    "p11 nothing is synced": Injection(SYNCS, "error=EIO", "1+"),
}


@pytest.mark.parametrize("injection", ERRORS.values(), ids=ERRORS.keys())
def test_p09_p10_p11_an_error_of_the_disk_ends_the_run_in_words_and_the_next_one_goes_on(
    small: "Site", injection: Injection
) -> None:
    ran = struck(small, injection)

    assert ran.code in ENDED_IN_WORDS or (ran.code, len(small.on_list.contacts)) == (0, PEOPLE), ran.err
    assert "Traceback" not in ran.err
    assert_goes_on(small, injection)


def test_p09_an_intent_that_can_not_be_written_is_not_sent(small: "Site") -> None:
    """From the first write of the sending thread on there is no room: nothing may leave."""
    small.run("plan")  # the state is there, so that all that is left to write is the run
    planned = len(small.sandbox.log)

    ran = struck(small, Injection("pwrite64", "error=ENOSPC", "1+"))

    assert ran.code in ENDED_IN_WORDS, ran.err
    assert len(small.sandbox.log) == planned
    assert_goes_on(small, Injection("pwrite64", "error=ENOSPC", "1+"))


def test_n03_connections_that_fail_at_the_socket_are_tried_again(small: "Site") -> None:
    injection = Injection("connect", "error=ECONNREFUSED", "1")

    ran = struck(small, injection, "sync", "--yes", "--json")

    assert (ran.code, ran.report["confirmed"]["add"]) == (0, PEOPLE), ran.err
    assert sent(small) == PEOPLE


def test_p22_a_disk_a_hundred_times_slower_makes_no_request_late(small: "Site") -> None:
    """50 ms for each sync: nothing is given up, nothing sent twice."""
    small.write_config(account=f"rate = 500\nconcurrency = {CONCURRENCY}\ntimeout = 5")
    ran = struck(small, Injection(SYNCS, "delay_enter=50000", "1+"), "sync", "--yes", "--json")

    assert (ran.code, ran.report["retries"], sent(small)) == (0, 0, PEOPLE), ran.err


# Order ----------------------------------------------------------------------------------------------------------------

CALL = re.compile(r'^\d+ +(\w+)\((?:\d+<([^>]*)>|"([^"]*)"(?:, "([^"]*)")?)')


def test_p12_whatever_is_renamed_or_made_is_synced_before_and_its_folder_after(small: "Site") -> None:
    """What a power cut needs of the files beside the database, read off the calls of a run."""
    trace = small.folder / "trace"
    watch = ("strace", "-f", "-qq", "-y", "-s", "4096", "-o", str(trace), "-e", f"trace={SYNCS},rename,mkdir")
    ran = small.run("sync", "--yes", under=watch)
    calls = [
        match.groups()
        for line in trace.read_text().splitlines()
        if line.endswith("= 0") and (match := CALL.match(line))
    ]

    assert (ran.code, len(calls) > 40) == (0, True), ran.err
    state, faults, renames = str(small.state), [], 0
    synced_at: dict[str, list[int]] = {}
    for place, (name, held, _, _) in enumerate(calls):
        if name in SYNCS.split(","):
            synced_at.setdefault(held or "", []).append(place)
    for place, (name, _, first, second) in enumerate(calls):
        target = second or first or ""
        if name not in {"rename", "mkdir"} or not target.startswith(state):
            continue
        renames += name == "rename"
        if name == "rename" and not any(at < place for at in synced_at.get(first or "", ())):
            faults.append(f"{target} got its name before its content was synced")
        if not any(at > place for at in synced_at.get(str(Path(target).parent), ())):
            faults.append(f"the folder of {target} was not synced after")
    assert renames > 5
    assert faults == []


# The receiver of webhooks ---------------------------------------------------------------------------------------------


def receiver(site: "Site") -> tuple["subprocess.Popen[str]", str]:
    """It, and the address it takes events at."""
    process = site.start("webhooks", "serve", "--port", "0")
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://[\d.:]+/\S+", line):
            return process, found[0]
    raise AssertionError(process.communicate())


def test_w6_an_event_whose_answer_dies_with_the_process_is_there_once(small: "Site") -> None:
    process, url = receiver(small)
    words = Injection("sendto", "signal=KILL", 1).command()
    attached = subprocess.Popen(
        [*(word for word in words if word != "-qq"), "-p", str(process.pid)], stderr=subprocess.PIPE, text=True
    )
    assert attached.stderr is not None
    assert "attached" in attached.stderr.readline()
    event = {"event": "unsubscribed", "email": "person7@example.com", "datetime": 1_700_000_000, "contactId": "c1"}
    body = json.dumps({**event, "emailListId": small.on_list.id}).encode()

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        post(url, body)
    process.communicate(timeout=30)
    attached.communicate(timeout=30)
    again, url = receiver(small)
    status = post(url, body)
    again.terminate()
    again.communicate(timeout=60)

    assert status == 200
    with closing(sqlite3.connect(next(small.state.rglob("inbox.sqlite")))) as inbox:
        assert inbox.execute("SELECT count(*) FROM events").fetchone() == (1,)


def post(url: str, body: bytes) -> int:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
        connection.request("POST", parts.path, body, {"content-type": "application/json"})
        return connection.getresponse().status
