"""Heartbeat lines: a start, one each 10 % or 30 s, what a person should know of, and the end."""

import pytest

from syncengine.cli._progress import Heartbeat, notice
from syncengine.events import (
    BatchSettled,
    CircuitClosed,
    CircuitOpened,
    Event,
    NotReached,
    RequestAnswered,
    RetryPlanned,
    RunBegan,
    VariablesCreated,
    WaitingForLateRequests,
    WaveBegan,
)
from syncengine.model import Call, Op

RUN = "01a21230-87a1-7a56-9f98-2d90973afad4"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def settled(number: int, size: int = 100, confirmed: int | None = None) -> BatchSettled:
    return BatchSettled(number, Op.ADD, size, size if confirmed is None else confirmed, {})


def test_a_run_of_many_batches_is_told_in_ten_lines_and_a_first() -> None:
    lines: list[str] = []
    heartbeat = Heartbeat(lines.append, Clock())

    heartbeat(RunBegan(RUN, "newsletter", 97_576, 0))
    for number in range(975):
        heartbeat(settled(number))
    heartbeat(settled(975, 76, 75))

    assert lines[0] == "newsletter: run 01a21230-87a1 begins, 97,576 contacts to send"
    assert len(lines) == 1 + 10
    assert lines[1] == "9,800/97,576 (10%) · 0 not confirmed"
    assert lines[-1] == "97,576/97,576 (100%) · 1 not confirmed"


def test_a_slow_run_is_told_each_thirty_seconds() -> None:
    lines: list[str] = []
    clock = Clock()
    heartbeat = Heartbeat(lines.append, clock)

    heartbeat(RunBegan(RUN, "newsletter", 1_000_000, 0))
    for number in range(12):
        clock.now += 10.0
        heartbeat(settled(number))

    assert [line.split("/")[0] for line in lines[1:]] == ["300", "600", "900", "1,200"]


def test_an_outage_is_told_each_thirty_seconds_with_what_the_service_says() -> None:
    lines: list[str] = []
    clock = Clock()
    heartbeat = Heartbeat(lines.append, clock)

    heartbeat(RunBegan(RUN, "newsletter", 1_000, 0))
    for attempt in range(1, 7):
        clock.now += 10.0
        heartbeat(RetryPlanned(Call.ADD, 100, attempt, 10.0, "HTTP 500"))
    heartbeat(settled(0))

    assert lines[1:] == [
        "0/1,000 (0%) · 0 not confirmed · HTTP 500",
        "0/1,000 (0%) · 0 not confirmed · HTTP 500",
        "100/1,000 (10%) · 0 not confirmed",
    ]


def test_a_wait_the_service_asks_for_is_told_once_for_all_senders() -> None:
    lines: list[str] = []
    clock = Clock()
    heartbeat = Heartbeat(lines.append, clock)

    heartbeat(RunBegan(RUN, "newsletter", 1_000, 0))
    for _ in range(8):
        heartbeat(RetryPlanned(Call.ADD, 100, 1, 120.0, "HTTP 429"))
    assert lines[1:] == ["HTTP 429: the service asks to wait 120 s"]

    clock.now += 120.0
    heartbeat(RetryPlanned(Call.ADD, 100, 2, 60.0, "HTTP 429"))
    assert lines[2] == "HTTP 429: the service asks to wait 60 s"


def test_a_resumed_run_goes_on_counting_where_it_stood() -> None:
    lines: list[str] = []
    heartbeat = Heartbeat(lines.append, Clock())

    heartbeat(RunBegan(RUN, "newsletter", 1_000, 900))
    heartbeat(settled(9))

    assert lines == [
        "newsletter: run 01a21230-87a1 goes on, 100 contacts to send",
        "1,000/1,000 (100%) · 0 not confirmed",
    ]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (VariablesCreated(("city", "born")), ["variables created: city, born"]),
        (NotReached("ConnectError: [Errno 111]", 20.0), ["can't be reached", "[Errno 111]", "trying again for 20 s"]),
        (CircuitOpened("HTTP 500"), ["does not answer (HTTP 500)", "one request at a time"]),
        (CircuitClosed(61.4), ["answers again, after 61 s"]),
        (WaitingForLateRequests(Op.UPDATE, 5, 118.2), ["update: 5 contacts wait 118 s", "may still be carried out"]),
        (WaveBegan(Op.ADD, 5, 0), None),
        (RequestAnswered(Call.ADD, 5, 0.1), None),
    ],
)
def test_what_a_person_should_know_of_is_a_line(event: Event, words: list[str] | None) -> None:
    line = notice(event)

    if words is None:
        assert line is None
    else:
        assert line is not None
        assert [word for word in words if word not in line] == []
