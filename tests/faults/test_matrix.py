"""The fault matrix: what can go wrong, each with a row of its own; and that every row has a test which shows it.

N network and HTTP, P processes and storage, A the meaning of the API, W the receiver of webhooks. A test shows a row by
carrying its id in its name: `test_n06_…`, and `test_n06_n08_…` where it shows two. (The rows S, of sources, are kept
with their tests, in tests/cli/test_source_faults.py.)
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROWS = {
    "N1": "DNS failure, once or for ever",
    "N2": "the name leads to another machine in mid-run",
    "N3": "connection refused",
    "N4": "SYN dropped: connecting hangs",
    "N5": "packets are lost at random",
    "N6": "reset before the request is read",
    "N7": "reset in the middle of our upload",
    "N8": "carried out, then reset or silence before the answer",
    "N9": "carried out after we have left",
    "N10": "the answer is cut: length, chunk, gzip, none of them",
    "N11": "valid JSON of a wrong shape, and JSON that breaks parsers",
    "N12": "HTML with status 200, before or after it was carried out",
    "N13": "a wrong or missing content type with good JSON",
    "N14": "429 without Retry-After",
    "N15": "429 with Retry-After: every sender waits",
    "N16": "Retry-After as a date, in the past, far ahead, garbage, negative, huge",
    "N17": "500, 502, 503, 504 for minutes and hours",
    "N18": "every other request fails",
    "N19": "an answer, or its head, byte by byte",
    "N20": "an upload into a receiver that does not read",
    "N21": "a huge body: gzip bomb, endless chunks, ten thousand headers",
    "N22": "a redirect: to another host, the same, a file, plain http",
    "N23": "TLS: expired, another name, self-signed, plain text on the port",
    "N24": "proxy variables, .netrc and SSLKEYLOGFILE in the environment",
    "N25": "two answers glued together, and answers nobody asked for",
    "N26": "interim answers, 204, 206, 304, 421",
    "N27": "a kept connection is closed between requests",
    "N28": "the clock on the wall jumps by days",
    "N29": "suspended for hours",
    "P1": "kill -9 at random times",
    "P2": "death at each step of the event loop",
    "P3": "death at each system call that writes",
    "P4": "death during start-up, migration, recovery, report writing, erasure",
    "P5": "SIGTERM or SIGINT once",
    "P6": "signalled twice; during a state write; before the plan is complete",
    "P7": "SIGPIPE, SIGHUP, closed stdin",
    "P8": "SIGSTOP and SIGCONT",
    "P9": "disk full: state, report, log",
    "P10": "the n-th input or output fails once, for every n; and for ever from n",
    "P11": "fsync fails once and then succeeds",
    "P12": "power loss: what was not synced is gone",
    "P13": "read-only state directory; the state is a link, a folder, a pipe",
    "P14": "state truncated, bits flipped, log gone or foreign, old copy put back",
    "P15": "state of a newer schema",
    "P16": "two processes, one state",
    "P17": "a lock left by a dead process",
    "P18": "out of memory",
    "P19": "too many open files",
    "P20": "a bug in one sender",
    "P21": "cancelled inside a request, and inside a state write",
    "P22": "no CPU to be had, and a disk a hundred times slower",
    "P23": "locale C, no terminal, HOME unset, paths that are no UTF-8",
    "A1": "partial errors, all named",
    "A2": "unnamed errors",
    "A3": "errors merged, in another case, about another contact, cut off",
    "A4": "ids shuffled, too few, too many, doubled, unknown",
    "A5": "add is atomic, stops at the first error, or is carried out and told as failed",
    "A6": "exists already, with other values",
    "A7": "exists already, and may have unsubscribed there",
    "A8": "a variable is gone in mid-run",
    "A9": "variables/add fails, is slow, says it exists, has another type",
    "A10": "the token is revoked in mid-run",
    "A11": "the list is deleted in mid-run, or is another",
    "A12": "the limit of contacts a request is lower than documented",
    "A13": "a limit of bytes a request",
    "A14": "answered as done, and nothing was",
    "A15": "renames: chain, swap, collision, onto somebody who left, to itself in another case",
    "A16": "a rename is carried out, its answer lost, and the process dies",
    "A17": "remove an unknown address, remove twice, remove and add",
    "A18": "the service normalises addresses",
    "A19": "what an update leaves out is erased",
    "A20": "a contact is changed at the service between runs",
    "A21": "an answer of megabytes of errors",
    "A22": "requests are carried out in another order than sent",
    "W1": "unsubscribed before, during, after the batch that would subscribe",
    "W2": "replayed, doubled, out of order, with impossible times",
    "W3": "forged: wrong path, wrong list, unknown contact",
    "W4": "flood, huge or slow body, deep JSON, wrong method, many headers",
    "W5": "the store is full or locked",
    "W6": "death between store and answer",
    "W7": "mass unsubscription",
}

TESTS = Path(__file__).parents[1]
ID = re.compile(r"_([npaw])0?(\d{1,2})(?=_)")


def ids_in(name: str) -> Iterator[str]:
    """Row ids that the name of a test begins with."""
    place = len("test")
    while match := ID.match(name, place):
        yield f"{match[1].upper()}{match[2]}"
        place = match.end()


def named_in(source: str) -> Iterator[str]:
    """Names of the tests that a module defines, by its syntax: a word in a text or a comment is no test."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


def shown() -> dict[str, list[str]]:
    """Row → the tests that carry its id."""
    found: dict[str, list[str]] = {row: [] for row in ROWS}
    for path in sorted(TESTS.rglob("test_*.py")):
        for name in named_in(path.read_text(encoding="utf-8")):
            for row in ids_in(name):
                found.setdefault(row, []).append(f"{path.relative_to(TESTS)}::{name}")
    return found


def test_every_row_of_the_fault_matrix_has_a_test_that_carries_its_id() -> None:
    assert [f"{row}: {ROWS[row]}" for row, tests in shown().items() if not tests] == []


def test_no_test_carries_the_id_of_a_row_there_is_not() -> None:
    assert {row: tests for row, tests in shown().items() if row not in ROWS} == {}


def test_ids_are_read_off_definitions_only() -> None:
    source = (
        '"""def test_n01_x(): ..."""\nasync def test_n02_p14_y(): ...\n# def test_n03_z()\ndef helper_n04_(): ...\n'
    )

    assert [row for name in named_in(source) for row in ids_in(name)] == ["N2", "P14"]
    assert list(ids_in("test_a_word_p3_later")) == []


def test_the_matrix_is_whole() -> None:
    assert list(ROWS) == [f"{kind}{n}" for kind, last in zip("NPAW", (29, 23, 22, 7), strict=True)
                          for n in range(1, last + 1)]  # fmt: skip
