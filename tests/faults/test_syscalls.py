"""Faults at system calls of the real program, by strace. What can't be had here is told as skipped, and has its twin in
test_faulty_disk.py and test_outages.py, which need nothing.
"""

from contextlib import closing

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
