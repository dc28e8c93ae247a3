"""The receiver on a real port: what it takes, what it refuses, and that it answers 200 for nothing that can be lost."""

import contextlib
import http.client
import itertools
import json
import re
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest

from syncengine.webhooks.events import HookBody, event_of
from syncengine.webhooks.inbox import INBOX, Arrival, Inbox, open_inbox
from syncengine.webhooks.intake import DEADLINE, Intake, StoreUnavailableError
from syncengine.webhooks.secret_path import read_paths, retire, rotate

if TYPE_CHECKING:
    from conftest import Receive, Served

LIST = "5537ab2a08d241dc69326b19"


def test_an_event_is_answered_when_it_is_on_disk(served: "Served") -> None:
    statuses = [
        served.post(served.event("unsubscribed", "a@example.com")),
        served.post(served.event("removed", "b@example.com")),
        served.post(served.event("subscribed", "c@example.com")),
        served.post(served.message("complaint", "d@example.com")),
        served.post(served.message("read", "e@example.com")),
    ]

    assert statuses == [200] * 5
    assert served.kept() == [
        ("unsubscribed", "a@example.com"),
        ("removed", "b@example.com"),
        ("complaint", "d@example.com"),
    ]
    with contextlib.closing(served.inbox()) as inbox:
        assert sum(inbox.tally().by_event.values()) == 5


def test_many_at_once_are_all_taken(served: "Served") -> None:
    """Ten times as many as may be connected."""
    with ThreadPoolExecutor(32) as many:
        statuses = list(many.map(lambda number: served.post(served.event(email=f"a{number}@example.com")), range(320)))

    assert set(statuses) == {200}
    assert len(served.kept()) == 320


@pytest.mark.anyio
async def test_what_comes_while_the_disk_is_busy_is_committed_together(tmp_path: Path) -> None:
    """The API hangs up after 1.5 s: an answer must not wait for the disk once for every event before it."""
    commits: list[int] = []
    disk_is_free = threading.Event()

    class Disk(Inbox):
        def add(self, arrivals: Sequence[Arrival]) -> int:
            disk_is_free.wait()
            commits.append(len(arrivals))
            return super().add(arrivals)

    def opened() -> Inbox:
        inbox = open_inbox(tmp_path)
        return Disk(inbox._db, inbox._path)

    intake = Intake(opened, anyio.to_thread.run_sync)
    async with anyio.create_task_group() as group:
        group.start_soon(intake.serve)
        async with anyio.create_task_group() as senders:
            senders.start_soon(intake.keep, arrival(0))
            await anyio.wait_all_tasks_blocked()
            for number in range(1, 601):
                senders.start_soon(intake.keep, arrival(number))
            await anyio.wait_all_tasks_blocked()
            assert intake.depth == 600
            disk_is_free.set()
        group.cancel_scope.cancel()
    intake.close()

    assert commits == [1, 256, 256, 88]


@pytest.mark.anyio
async def test_an_event_that_the_disk_does_not_take_in_time_is_told_to_come_again(tmp_path: Path) -> None:
    """The API hangs up after 1.5 s."""
    stuck = anyio.Event()

    async def in_thread(_work: Callable[[], object]) -> str:
        await stuck.wait()
        return ""

    intake = Intake(lambda: open_inbox(tmp_path), in_thread, deadline=0.05)
    async with anyio.create_task_group() as group:
        group.start_soon(intake.serve)
        with pytest.raises(StoreUnavailableError, match="not on disk within"):
            await intake.keep(arrival(0))
        stuck.set()
        group.cancel_scope.cancel()

    assert DEADLINE < 1.5


def arrival(number: int) -> Arrival:
    body = {"event": "unsubscribed", "email": f"a{number}@example.com", "datetime": 1_790_000_000, "emailListId": LIST}
    return Arrival(event_of(HookBody.model_validate(body), lists={LIST}, now=1_790_000_000), 1_790_000_000.0)


# -- W3: who has no business here ------------------------------------------------------------------------------------


def test_w3_a_wrong_path_gets_the_same_answer_whatever_else_is_wrong(served: "Served") -> None:
    event = json.dumps(served.event()).encode()
    length = f"Content-Length: {len(event)}"
    wrong = [
        served.head(length, path=path) + b"\r\n" + event
        for path in (
            "/",
            "/hook/",
            "/hook/" + "x" * 43,
            served.path[:-1],
            served.path + "x",
            served.path + "/",
            "/metrics",
        )
    ]
    wrong.append(served.head(length, path=served.path.swapcase()) + b"\r\n" + event)
    wrong.append(f"GET /hook/{'x' * 43} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wrong.append(served.head("Content-Length: 1000000000", path="/hook/nobody") + b"\r\n")

    answers = {re.sub(rb"date: .*\r\n", b"", served.send(request)) for request in wrong}

    (answer,) = answers
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answer.endswith(b"\r\n\r\nNot Found\n")
    assert served.kept() == []
    assert served.station.receiver.answers == {404: len(wrong)}


def test_w3_a_strange_list_gets_the_same_answer_as_a_wrong_path(served: "Served") -> None:
    other = json.dumps(served.event(emailListId="66486cc19f8da4ba27bbff16")).encode()
    request = b"\r\n" + other
    length = f"Content-Length: {len(other)}"

    answers = [served.send(served.head(length, path=path) + request) for path in (served.path, "/hook/nobody")]

    assert len({re.sub(rb"date: .*\r\n", b"", answer) for answer in answers}) == 1
    assert served.kept() == []


def test_w3_an_unknown_contact_is_noted_because_a_later_file_may_bring_it(served: "Served") -> None:
    assert served.post(served.event(email="never.heard.of@example.com")) == 200
    assert served.kept() == [("unsubscribed", "never.heard.of@example.com")]


def test_w3_events_beyond_the_rate_are_refused_and_told_to_come_again(receive: "Receive") -> None:
    with receive(rate=0.5) as served:  # 30 at once
        statuses = [served.post(served.event(email=f"a{number}@example.com")) for number in range(40)]

        assert statuses[:30] == [200] * 30
        assert statuses[32:] == [429] * 8
        assert len(served.kept()) == statuses.count(200)


def test_the_path_is_unguessable_private_and_nowhere_in_the_log(served: "Served") -> None:
    file = served.station.folder / "hook.json"
    served.post(served.event())
    served.post(b"{", path=served.path)
    served.until(lambda: bool(served.lines("hook.refused")))

    assert re.fullmatch(r"/hook/[A-Za-z0-9_-]{43}", served.path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((served.station.folder / INBOX).stat().st_mode) == 0o600
    assert stat.S_IMODE(served.station.folder.stat().st_mode) == 0o700
    assert served.path.removeprefix("/hook/") not in served.log.getvalue()
    assert "example.com" not in served.log.getvalue()
    assert served.lines("hook.kept")[0]["contact"]
    assert served.path not in repr(read_paths(served.station.folder))


def test_both_paths_are_answered_after_a_rotation_until_the_old_one_is_retired(served: "Served") -> None:
    old, now = served.path, datetime.now(UTC)
    new = rotate(served.station.folder, now).current
    served.until(lambda: len(served.lines("hook.rotated")) == 1)
    both = [served.post(served.event(email=f"{at}@example.com"), path=path) for at, path in enumerate((old, new))]

    retire(served.station.folder, now)
    served.until(lambda: len(served.lines("hook.rotated")) == 2)
    after = [served.post(served.event(email="c@example.com"), path=path) for path in (old, new)]

    assert (both, after) == ([200, 200], [404, 200])


# -- W4: what is no event, too much, or too slow ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_w4_only_post(served: "Served", method: str) -> None:
    assert served.post(b"", method=method) == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json-seq"},
        {},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_w4_only_plain_json(served: "Served", headers: dict[str, str]) -> None:
    assert served.post(served.event(), headers=headers) == 415
    assert served.post(served.event(), headers={"content-type": "Application/JSON; charset=utf-8"}) == 200


def test_w4_a_large_body_is_refused_by_its_length_before_it_comes(served: "Served") -> None:
    answer = served.send(served.head("Content-Length: 1000000000") + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_w4_a_large_body_without_a_length_is_cut_off(served: "Served") -> None:
    with served.connect() as connection:
        connection.sendall(served.head("Transfer-Encoding: chunked") + b"\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(16_384):  # a gigabyte
                connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                sent += 65536
    assert sent < 16 * 1024**2
    assert served.station.receiver.answers == {413: 1}


def test_w4_a_body_at_the_limit_is_read(served: "Served") -> None:
    body = json.dumps(served.event()).encode()

    assert served.post(body + b" " * (16 * 1024 - len(body))) == 200
    assert served.post(body + b" " * (16 * 1024 - len(body) + 1)) == 413


def test_w4_deep_json_is_refused(served: "Served") -> None:
    assert served.post(b"[" * 8192 + b"]" * 8192) == 400


def test_w4_ten_thousand_headers_are_refused(served: "Served") -> None:
    lines = [f"X-{number}: {number}" for number in range(10_000)]

    answer = served.send(served.head(*lines) + b"\r\n")

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert served.post(served.event()) == 200


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n\r\n", b"POST\r\n\r\n", b"\x00" * 70_000]
)
def test_w4_what_is_no_http_is_refused(served: "Served", rubbish: bytes) -> None:
    with served.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(rubbish)
    assert served.post(served.event()) == 200


def test_w4_a_slow_body_is_cut(receive: "Receive") -> None:
    with receive(read_seconds=0.2) as served:
        answer = served.send(served.head("Content-Length: 100") + b"\r\n", b"{", b'"')

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_w4_a_client_that_says_nothing_is_left(receive: "Receive") -> None:
    with receive(head_seconds=0.2) as served, served.connect() as silent, served.connect() as slow:
        slow.sendall(served.head())  # the empty line never comes

        assert silent.recv(1) == b""
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1) == b""
        assert served.station.door.evicted == 2


def test_w4_those_who_only_hold_connections_keep_nobody_out(receive: "Receive") -> None:
    with receive(connections=8) as served, contextlib.ExitStack() as held:
        for _ in range(50):
            held.enter_context(served.connect()).sendall(served.head("Content-Length: 100") + b"\r\n{")

        statuses = [served.post(served.event(email=f"a{number}@example.com")) for number in range(20)]

        assert statuses == [200] * 20
        assert len(served.station.door.open) <= 8
        assert served.station.door.evicted >= 42


def test_w4_a_client_that_leaves_leaves_nothing(served: "Served") -> None:
    with served.connect() as connection:
        connection.sendall(served.head("Content-Length: 1000") + b"\r\n{")
    served.until(lambda: bool(served.lines("hook.refused")))

    assert served.lines("hook.refused")[0]["reason"] == "the client left"
    assert served.kept() == []


# -- W5, W6: no 200 without a durable row ----------------------------------------------------------------------------


def test_w5_while_the_store_is_locked_nothing_is_acknowledged(served: "Served") -> None:
    served.post(served.event(email="before@example.com"))
    with contextlib.closing(sqlite3.connect(served.station.folder / INBOX, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = served.post(served.event(email="a@example.com"))
        assert "syncengine_webhook_store_ok 0" in served.metrics()
        other.execute("ROLLBACK")
    after = served.post(served.event(email="a@example.com"))

    assert (locked, after) == (503, 200)
    assert served.kept() == [("unsubscribed", "before@example.com"), ("unsubscribed", "a@example.com")]


def test_w5_on_a_full_disk_nothing_is_acknowledged_and_what_was_stays(served: "Served") -> None:
    """The limit on the file's size that SQLite itself keeps is as good as a disk that is full."""
    served.post(served.event(email="first@example.com"))
    station = served.station
    inbox = station.receiver.intake._inbox
    assert inbox is not None
    inbox._db.execute("PRAGMA max_page_count=1")

    statuses = [served.post(served.event(email=f"{'x' * 60}{n}@example.com", contactId="i" * 128)) for n in range(200)]

    acknowledged = statuses.count(200)
    assert 503 in statuses
    assert set(statuses) <= {200, 503}
    assert len(served.kept()) >= 1 + acknowledged


def test_w5_a_store_that_is_gone_is_told_as_unavailable(served: "Served") -> None:
    aside = served.station.folder.with_name("aside")
    served.station.folder.rename(aside)
    while not served.station.folder.is_file():  # the receiver may be quick to make its folder anew
        shutil.rmtree(served.station.folder, ignore_errors=True)
        with contextlib.suppress(IsADirectoryError):
            served.station.folder.write_text("a file where the folder was")

    assert served.post(served.event()) == 503

    served.station.folder.unlink()
    aside.rename(served.station.folder)
    assert served.post(served.event()) == 200


def test_w5_an_event_never_goes_into_a_file_that_was_moved_away(served: "Served") -> None:
    served.post(served.event(email="before@example.com"))
    for file in list(served.station.folder.glob(f"{INBOX}*")):
        file.rename(file.with_name(f"backup-{file.name}"))

    assert served.post(served.event(email="after@example.com")) == 200
    assert served.kept() == [("unsubscribed", "after@example.com")]


def test_w6_copies_are_one_row_and_are_counted(served: "Served") -> None:
    event = served.event(datetime=1_700_000_000)

    assert [served.post(event) for _ in range(5)] == [200] * 5

    with contextlib.closing(served.inbox()) as inbox:
        assert inbox.tally().by_event == {"unsubscribed": 1}
        assert inbox.tally().copies == 4


def test_w6_events_answered_by_one_receiver_are_there_for_the_next(receive: "Receive") -> None:
    with receive() as first:
        first.post(first.event(datetime=1_700_000_000))
    with receive() as second:
        assert second.path == first.path
        second.post(first.event(datetime=1_700_000_000))
        second.post(first.event("removed", "b@example.com"))

        assert second.kept() == [("unsubscribed", "a@example.com"), ("removed", "b@example.com")]


# -- what it tells about itself --------------------------------------------------------------------------------------


def test_metrics_are_counted_and_served_on_loopback_only(served: "Served") -> None:
    served.post(served.event())
    served.post(served.message("read"))
    served.post({})

    told = served.metrics()

    assert 'syncengine_webhook_answers_total{status="200"} 2\n' in told
    assert 'syncengine_webhook_answers_total{status="400"} 1\n' in told
    assert 'syncengine_webhook_events_total{event="read"} 1\n' in told
    assert f'syncengine_webhook_alarm{{list="{LIST}"}} 0\n' in told
    assert urlsplit(served.metrics_url).hostname == "127.0.0.1"
    for line in told.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{[a-z]+=\"[^\"]*\"\})? [0-9.e+]+", line), line


def test_the_metrics_are_not_on_the_port_the_proxy_forwards(served: "Served") -> None:
    assert served.post(b"", path="/metrics", method="GET") == 404


def test_w7_a_mass_unsubscribe_raises_an_alarm_once_and_is_taken_all_the_same(receive: "Receive") -> None:
    with receive(contacts=400) as served:  # 5 %: 20 people
        for number in range(20):
            served.post(served.event(email=f"a{number}@example.com"))
        served.post(served.event(email="A0@example.com", contactId="again"))
        before = served.lines("hook.alarm")

        served.post(served.message("complaint", email="the.last@example.com"))
        served.until(lambda: bool(served.lines("hook.alarm")))

        assert before == []
        (alarm,) = served.lines("hook.alarm")
        assert (alarm["people"], alarm["contacts"], alarm["list"]) == (21, 400, LIST)
        assert f'syncengine_webhook_alarm{{list="{LIST}"}} 1\n' in served.metrics()
        assert len(served.kept()) == 22


def test_a_flood_of_refusals_is_no_flood_of_lines(served: "Served") -> None:
    for _ in range(200):
        served.post(served.event(), path="/hook/nobody")
    served.until(lambda: sum(line["count"] for line in served.lines("hook.refused")) == 200)

    assert len(served.lines("hook.refused")) < 20


@pytest.fixture
def connections(served: "Served") -> Iterator[list[http.client.HTTPConnection]]:
    opened: list[http.client.HTTPConnection] = []
    yield opened
    for one in opened:
        one.close()


def test_every_answer_closes_its_connection(served: "Served", connections: list[http.client.HTTPConnection]) -> None:
    one = http.client.HTTPConnection(*served.address, timeout=10)
    connections.append(one)
    one.request("POST", served.path, json.dumps(served.event()), {"content-type": "application/json"})
    answer = one.getresponse()

    assert answer.headers["connection"] == "close"
    assert answer.read() == b"ok\n"


def test_an_upgrade_to_a_websocket_is_no_way_in(served: "Served") -> None:
    answer = served.send(
        f"GET {served.path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )

    assert answer.startswith(b"HTTP/1.1 405 ")


def test_several_lists_are_told_apart(receive: "Receive") -> None:
    other = "66486cc19f8da4ba27bbff16"
    with receive(lists=(LIST, other)) as served:
        for email, list_id in itertools.product(["a@example.com", "b@example.com"], [LIST, other]):
            served.post(served.event(email=email, emailListId=list_id))
        served.post(served.message("hard", "c@example.com"))

        with contextlib.closing(served.inbox()) as inbox:
            assert len(inbox.departures(LIST, after=0)) == len(inbox.departures(other, after=0)) == 3


def test_a_path_file_that_is_broken_is_told(tmp_path: Path) -> None:
    from syncengine.errors import StateError

    (tmp_path / "hook.json").write_text('{"current": "short", "previous": null}')

    with pytest.raises(StateError, match="can't be read"):
        read_paths(tmp_path)
    assert len(rotate(tmp_path, datetime.now(UTC)).current) == len("/hook/") + 43
