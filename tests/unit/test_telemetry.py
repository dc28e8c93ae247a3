"""A run's log tells everything but who: no token, no address, and an id that means nothing elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncengine.events import (
    BatchSettled,
    CircuitClosed,
    CircuitOpened,
    ContactRefused,
    Event,
    RequestAnswered,
    RetryPlanned,
    RunBegan,
    VariablesCreated,
    WaveBegan,
)
from syncengine.keyed import contact_id, contact_key_of
from syncengine.model import Call, Op, Outcome, Verdict
from syncengine.redaction import Secret
from syncengine.telemetry import RunLog

KEY = b"k" * 32
TOKEN = Secret("s3cr3t-t0ken/of-the-account")
REJECTED = Verdict(Outcome.REJECTED, "already-exists", "Contact with email anna@example.com already exists")


def written(tmp_path: Path, write: Callable[[RunLog], None], *, show_pii: bool = False) -> list[dict[str, Any]]:
    """The lines of a log after `write`, without their time."""
    path = tmp_path / "log.jsonl"
    log = RunLog(path, run="0198", job="newsletter", contact_key=KEY, tokens=(TOKEN,), show_pii=show_pii)
    write(log)
    log.close()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
        assert (line.pop("run"), line.pop("job")) == ("0198", "newsletter")
    return lines


EVENTS: list[tuple[Event, dict[str, Any]]] = [
    (
        RunBegan("0198", "newsletter", 500, 100),
        {"event": "run.began", "level": "info", "contacts": 500, "done": 100},
    ),
    (VariablesCreated(("city",)), {"event": "variables.created", "level": "info", "names": ["city"]}),
    (
        WaveBegan(Op.UNSUBSCRIBE, 128, 0),
        {"event": "wave.began", "level": "info", "op": "unsubscribe", "contacts": 128, "done": 0},
    ),
    (
        RequestAnswered(Call.ADD, 100, 0.25),
        {
            "event": "request.answered",
            "level": "debug",
            "call": "add",
            "contacts": 100,
            "seconds": 0.25,
            "problem": "",
            "status": None,
        },
    ),
    (
        RequestAnswered(Call.UPDATE_ONE, 1, 30.0, "HTTP 502", 502),
        {
            "event": "request.failed",
            "level": "warning",
            "call": "update-one",
            "contacts": 1,
            "seconds": 30.0,
            "problem": "HTTP 502",
            "status": 502,
        },
    ),
    (
        RetryPlanned(Call.ADD, 100, 2, 1.5, "HTTP 502"),
        {
            "event": "retry.planned",
            "level": "info",
            "call": "add",
            "contacts": 100,
            "attempt": 2,
            "after": 1.5,
            "problem": "HTTP 502",
        },
    ),
    (CircuitOpened("HTTP 502"), {"event": "circuit.opened", "level": "info", "problem": "HTTP 502"}),
    (CircuitClosed(12.5), {"event": "circuit.closed", "level": "info", "outage": 12.5}),
    (
        BatchSettled(7, Op.ADD, 100, 99, {3: REJECTED}),
        {"event": "batch.settled", "level": "info", "batch": 7, "op": "add", "contacts": 100, "confirmed": 99},
    ),
    (
        ContactRefused("anna@example.com", 12, Op.ADD, REJECTED),
        {
            "event": "contact.rejected",
            "level": "warning",
            "contact": contact_id("anna@example.com", KEY),
            "row": 12,
            "op": "add",
            "code": "already-exists",
            "text": "Contact with email <address> already exists",
        },
    ),
]


@pytest.mark.parametrize(("event", "line"), EVENTS, ids=[type(event).__name__ for event, _ in EVENTS])
def test_an_event_is_one_line_of_json(tmp_path: Path, event: Event, line: dict[str, Any]) -> None:
    # run and job stand in every line, those of a RunBegan are the same
    assert written(tmp_path, lambda log: log(event)) == [line]


def test_held_rows_problems_and_the_end_are_lines_too(tmp_path: Path) -> None:
    def write(log: RunLog) -> None:
        log.held("anna@example.com", 3, "active-empty", "Subscribed is empty")
        log.held(None, None, "row-cut", "the last row is cut off")
        log.problem("the service refuses", "it says: no", "refused")
        log.ended({"run": "0198", "job": "newsletter", "rows": 5, "paths": {"run": "runs/0198"}})

    who = contact_id("anna@example.com", KEY)
    held = {"event": "contact.held", "level": "info"}
    assert written(tmp_path, write) == [
        {**held, "contact": who, "row": 3, "code": "active-empty", "text": "Subscribed is empty"},
        {**held, "contact": None, "row": None, "code": "row-cut", "text": "the last row is cut off"},
        {
            "event": "run.problem",
            "level": "error",
            "what": "the service refuses",
            "why": "it says: no",
            "code": "refused",
        },
        {"event": "run.ended", "level": "info", "rows": 5, "paths": {"run": "runs/0198"}},
    ]


def test_a_person_may_ask_for_addresses_and_still_gets_no_token(tmp_path: Path) -> None:
    verdict = Verdict(Outcome.REJECTED, "unknown-text", f"anna@example.com: {TOKEN.reveal()}")

    (line,) = written(tmp_path, lambda log: log(ContactRefused("anna@example.com", 1, Op.ADD, verdict)), show_pii=True)

    assert (line["contact"], line["text"]) == ("anna@example.com", "anna@example.com: ***")


@pytest.mark.parametrize("show_pii", [False, True])
def test_the_token_is_masked_wherever_it_stands(tmp_path: Path, *, show_pii: bool) -> None:
    secret = TOKEN.reveal()

    def write(log: RunLog) -> None:
        log(RequestAnswered(Call.ADD, 1, 0.1, f"refused: {secret}"))
        log.problem(secret, secret, secret)
        log.ended({"nested": {"list": [secret, (secret, {"deep": secret})]}})
        log.held(None, 1, secret, secret)

    written(tmp_path, write, show_pii=show_pii)

    assert secret not in (tmp_path / "log.jsonl").read_text(encoding="utf-8")


def test_a_log_is_private_and_goes_on_where_an_earlier_attempt_ended(tmp_path: Path) -> None:
    written(tmp_path, lambda log: log(CircuitOpened("first")))

    lines = written(tmp_path, lambda log: log(CircuitOpened("second")))

    assert [line["problem"] for line in lines] == ["first", "second"]
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_line_break_or_escape_sequence_in_a_text_forges_no_line(tmp_path: Path) -> None:
    text = 'x\n{"event":"forged"}\r\n\x1b[2J\u2028😀\udcff'

    assert [line["problem"] for line in written(tmp_path, lambda log: log(CircuitOpened(text)))] == [text]
    assert "\x1b" not in (tmp_path / "log.jsonl").read_text(encoding="utf-8")


# Ids ------------------------------------------------------------------------------------------------------------------


def test_a_contact_has_one_id_a_key_file(tmp_path: Path) -> None:
    first, again = contact_key_of(tmp_path), contact_key_of(tmp_path)

    assert first == again
    assert len(first) == 32
    assert contact_id("anna@example.com", first) == contact_id("anna@example.com", again)
    assert contact_id("anna@example.com", first) != contact_id("bert@example.com", first)
    assert contact_id("anna@example.com", first) != contact_id("anna@example.com", KEY)
    assert (tmp_path / "log.key").stat().st_mode & 0o777 == 0o600


def test_an_id_is_twelve_hex_digits_of_a_keyed_hash() -> None:
    assert contact_id("anna@example.com", KEY) == "affcab9b3e26"
