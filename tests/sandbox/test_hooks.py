"""Webhooks of the sandbox: what is posted, and how badly on request."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import pytest

from syncengine.sandbox import DEFAULT_LIST, Act, Hooks, Postman, Sandbox
from syncengine.sandbox.outbox import MessageAct


class Listener:
    """A server on loopback that keeps what is posted to it, and answers with `statuses` in turn, then with 200."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook?x=1"


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with contextlib.closing(one.server.socket):
        yield one
        one.server.shutdown()
        thread.join()


def event(number: int) -> dict[str, object]:
    return {"event": "unsubscribed", "number": number}


def posted(listener: Listener, count: int, **settings: Any) -> list[int]:
    postman = Postman(Random(1), Hooks(url=listener.url, **settings))
    for number in range(count):
        postman.post(event(number))
    postman.settled()
    return [body["number"] for body in listener.bodies]


def test_acts_and_what_becomes_of_mail_are_posted_as_documented(listener: Listener) -> None:
    sandbox = Sandbox(hooks=Hooks(url=listener.url))
    sandbox.seed(DEFAULT_LIST, [{"email": "a@example.com"}])
    (contact,) = sandbox.lists[DEFAULT_LIST].contacts.values()

    sandbox.act(DEFAULT_LIST, contact.id, Act.UNSUBSCRIBE)
    sandbox.react("a@example.com", MessageAct.COMPLAINT)
    sandbox.postman.settled()

    one, other = listener.bodies
    assert one.keys() == {"event", "email", "datetime", "contactId", "emailListId"}
    assert (one["event"], one["email"], one["emailListId"]) == ("unsubscribed", "a@example.com", DEFAULT_LIST)
    assert other.keys() == {"datetime", "event", "email", "id"}
    assert [one.status for one in sandbox.postman.deliveries] == [200, 200]


def test_nothing_is_posted_where_no_address_is_named() -> None:
    sandbox = Sandbox()
    sandbox.react("a@example.com", MessageAct.HARD)
    sandbox.postman.settled()

    assert list(sandbox.postman.deliveries) == []
    assert len(sandbox.account.events) == 1


def test_events_come_in_order_and_once_unless_asked_otherwise(listener: Listener) -> None:
    assert posted(listener, 20) == list(range(20))


def test_some_come_twice(listener: Listener) -> None:
    numbers = posted(listener, 20, duplicate=0.5)

    assert set(numbers) == set(range(20))
    assert 20 < len(numbers) < 40


def test_some_are_lost(listener: Listener) -> None:
    numbers = posted(listener, 20, drop=0.5)

    assert 0 < len(numbers) < 20
    assert numbers == sorted(set(numbers))


def test_some_are_overtaken(listener: Listener) -> None:
    numbers = posted(listener, 20, reorder=0.5)

    assert sorted(numbers) == list(range(20))
    assert numbers != list(range(20))


def test_an_answer_other_than_200_is_tried_again_where_attempts_are_left(listener: Listener) -> None:
    listener.statuses = [503, 500]

    assert posted(listener, 1, attempts=3) == [0, 0, 0]


def test_nobody_listening_is_noted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    postman = Postman(Random(1), Hooks(url=f"http://127.0.0.1:{port}/"))

    postman.post(event(1))
    postman.settled()

    (delivery,) = postman.deliveries
    assert (delivery.status, delivery.problem.split(":")[0]) == (None, "ConnectionRefusedError")


@pytest.mark.parametrize(
    "settings",
    [{"url": "nowhere"}, {"url": "ftp://x/y"}, {"drop": 2}, {"delay": "soon"}, {"delay": -1}, {"colour": "red"}],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"webhooks have|is a"):
        Hooks().changed(settings)
    assert Hooks(url="http://127.0.0.1/").changed({"url": "", "attempts": "3"}) == Hooks(attempts=3)
