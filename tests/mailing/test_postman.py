"""What is noted of a mailing, and when: before a mail leaves, many together, and never a mail that can't be noted."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from syncengine.client.requests import Trigger
from syncengine.client.results import Triggered
from syncengine.errors import OutcomeUnknownError, RejectedError, RequestError, StateError, UnavailableError
from syncengine.ledger import open_ledger
from syncengine.mailing.order import Order, Planned, Tally
from syncengine.mailing.postman import Postman
from syncengine.mailing.recipients import Recipients
from syncengine.mailing.record import Intended, Mailed, Mailing, MailRecord, Note, Released, Settled
from syncengine.stopping import StopSwitch

pytestmark = pytest.mark.anyio


class Service:
    """The service of a mailing. `answers` are raised, or slept away, for these addresses, the first of them first."""

    def __init__(self, **answers: list[Exception | Callable[[], Any]]) -> None:
        self.answers = {f"{name}@example.com": said for name, said in answers.items()}
        self.asked: list[str] = []

    async def trigger(self, trigger: Trigger, *, attempts: int, leaving: Callable[[], None]) -> Triggered:
        assert attempts == 1
        answer = next(iter(self.answers.get(trigger.contact, [])), None)
        if answer is not None:
            self.answers[trigger.contact].pop(0)
        if isinstance(answer, RequestError):
            raise answer  # before anything leaves
        leaving()
        self.asked.append(trigger.contact)
        if callable(answer):
            await answer()
        if isinstance(answer, Exception):
            raise answer
        return Triggered(f"m-{trigger.contact}")


class Disk(MailRecord):
    """Says what was written together; a commit waits until `free`, and fails from the `fails_at`th on."""

    commits: list[list[Note]]
    free: threading.Event
    fails_at: int | None = None
    fails_with: Exception = StateError(
        "the state can't be written", why="no space", fix="make room", code="state-write"
    )

    def write(self, mailing: Mailing, notes: Iterable[Note]) -> None:
        self.free.wait()
        together = list(notes)
        if self.fails_at is not None and len(self.commits) >= self.fails_at:
            raise self.fails_with
        super().write(mailing, together)
        self.commits.append(together)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with contextlib.closing(open_ledger(tmp_path)) as ledger:
        disk = Disk(ledger, "https://service.example.com", "list")
        disk.commits, disk.free = [], threading.Event()
        disk.free.set()
        yield disk


def crowd(disk: Disk, count: int) -> Planned:
    people = {f"a{number}@example.com": f"a{number}@example.com" for number in range(count)}
    mailing = disk.begin("m", "58a8", "crowd", (), datetime.now(UTC), again=False)
    recipients = Recipients("people.csv", "crowd", count, people, [])
    return Planned(Order("list", "58a8"), mailing, recipients, people, [], 0, 0, Tally())


def postman(planned: Planned, service: Service, disk: Disk, stop: StopSwitch, rate: float = 1_000) -> Postman:
    return Postman(planned, service, disk, stop, rate, 900.0, None, lambda _done, _of: None)  # type: ignore[arg-type]


def outcomes(disk: Disk) -> dict[str, Mailed]:
    return {key: entry.outcome for key, entry in disk.entries("m")}


def every_note(disk: Disk) -> list[Note]:
    return [note for together in disk.commits for note in together]


async def test_notes_of_many_are_committed_together(disk: Disk) -> None:
    disk.free.clear()
    planned, service = crowd(disk, 16), Service()

    async with anyio.create_task_group() as group:
        group.start_soon(postman(planned, service, disk, StopSwitch()).deliver, 16)
        await anyio.wait_all_tasks_blocked()
        asked_meanwhile = list(service.asked)
        disk.free.set()

    assert asked_meanwhile == []
    assert [len(together) for together in disk.commits] == [16, 16]
    assert set(outcomes(disk).values()) == {Mailed.SENT}
    assert planned.tally == Tally(sent=16)


async def test_a_mail_leaves_only_when_it_is_noted_and_few_are_noted_before_their_turn(disk: Disk) -> None:
    """Only one is noted ahead at 5 a second: whoever is noted when the program dies is unknown."""
    at_the_pacer, turn = anyio.Event(), anyio.Event()

    class Busy(Service):
        async def trigger(self, trigger: Trigger, *, attempts: int, leaving: Callable[[], None]) -> Triggered:
            assert outcomes(disk)[trigger.contact] is Mailed.INTENDED
            at_the_pacer.set()
            await turn.wait()
            return await super().trigger(trigger, attempts=attempts, leaving=leaving)

    planned = crowd(disk, 8)
    async with anyio.create_task_group() as group:
        group.start_soon(postman(planned, Busy(), disk, StopSwitch(), rate=5).deliver, 8)
        await at_the_pacer.wait()
        await anyio.wait_all_tasks_blocked()
        noted = outcomes(disk)
        turn.set()

    assert list(noted.values()) == [Mailed.INTENDED]
    assert planned.tally == Tally(sent=8)


async def test_what_did_not_leave_is_noted_no_more_and_what_may_have_left_is_unknown(disk: Disk) -> None:
    refused = UnavailableError("not reached", why="connection refused", fix="later")
    no_address = RequestError("contact", "must be an address")
    lost = OutcomeUnknownError("no usable answer", why="reset", fix="look", sent="it left")
    said_no = RejectedError("refused", texts=("Contact a3@example.com not found!",), why="not found")
    service = Service(a0=[refused], a1=[no_address], a2=[lost], a3=[said_no])

    await postman(crowd(disk, 5), service, disk, StopSwitch()).deliver(1)

    assert outcomes(disk) == {
        "a0@example.com": Mailed.SENT,
        "a1@example.com": Mailed.REJECTED,
        "a2@example.com": Mailed.UNKNOWN,
        "a3@example.com": Mailed.REJECTED,
        "a4@example.com": Mailed.SENT,
    }
    noted = {key: [type(note) for note in every_note(disk) if note.key == f"{key}@example.com"] for key in ("a0", "a1")}
    assert noted == {"a0": [Intended, Released, Intended, Settled], "a1": [Intended, Released, Settled]}
    assert [service.asked.count(f"a{number}@example.com") for number in range(5)] == [2, 0, 1, 1, 1]


async def test_nothing_leaves_that_can_not_be_noted(disk: Disk) -> None:
    disk.fails_at = 5
    planned, service = crowd(disk, 20), Service()
    one = postman(planned, service, disk, StopSwitch())

    await one.deliver(1)

    assert isinstance(one.problem, StateError)
    assert service.asked == ["a0@example.com", "a1@example.com", "a2@example.com"]
    assert outcomes(disk) == {
        "a0@example.com": Mailed.SENT, "a1@example.com": Mailed.SENT, "a2@example.com": Mailed.INTENDED,
    }  # fmt: skip
    assert planned.tally == Tally(sent=2)


async def test_a_bug_of_ours_while_noting_ends_the_mailing_and_is_told(disk: Disk) -> None:
    disk.fails_at, disk.fails_with = 5, RuntimeError("a bug")
    planned, service = crowd(disk, 20), Service()

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="a bug"), flatten_subgroups=True):
        await postman(planned, service, disk, StopSwitch()).deliver(1)

    assert len(service.asked) < 20


async def test_when_everybody_is_told_to_leave_at_once_what_was_answered_is_written_down(disk: Disk) -> None:
    """a0 is answered while the disk is busy; a1 is in flight for ever; a2 waits for its turn."""
    stop, planned = StopSwitch(), crowd(disk, 3)
    answered = anyio.Event()

    async def busy_disk() -> None:
        disk.free.clear()
        answered.set()

    service = Service(a0=[busy_disk], a1=[anyio.sleep_forever])
    async with anyio.create_task_group() as group:
        group.start_soon(postman(planned, service, disk, stop).deliver, 2)
        await answered.wait()
        await anyio.wait_all_tasks_blocked()
        stop.request("SIGINT")
        stop.insist()
        await anyio.wait_all_tasks_blocked()
        disk.free.set()

    assert outcomes(disk) == {"a0@example.com": Mailed.SENT, "a1@example.com": Mailed.INTENDED}
    assert disk.take_up(planned.mailing, datetime.now(UTC)) == 1
