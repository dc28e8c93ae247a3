"""W1: somebody leaves while a run is under way. At no point are they left subscribed (reliability.md, G7)."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import polars as pl
import pytest

from syncengine.model import Answer, Call, Consent, NoAnswer, Op
from syncengine.normalise.addresses import address_key
from syncengine.ports import Batch
from syncengine.report import Report, Result
from syncengine.settlement import Ask
from syncengine.sync import Pace
from syncengine.testing import (
    FrameSource,
    MemoryBook,
    MemoryDesk,
    MemoryDestination,
    MemoryJournal,
    MemoryStateStore,
    Trial,
    people,
    run_sync,
)
from syncengine.testing.virtual_time import VirtualTimeLoop
from syncengine.uptake import Listening

pytestmark = pytest.mark.anyio

EPOCH = 1_700_000_000.0
Happen = Callable[[], object]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Crash(BaseException):
    """The process dies here."""


class Eventful(MemoryDestination):
    """A list at which something happens before or after a request about a contact is carried out. A second each."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Happen] = {}
        self.after: dict[str, Happen] = {}
        self.times: list[tuple[float, Call, tuple[str, ...], tuple[bool, ...]]] = []

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        rows = batch.contacts[list(ask.positions)]
        emails, active = tuple(rows["email"]), tuple(rows["active"])
        self.times.append((anyio.current_time(), ask.call, emails, active))
        await anyio.sleep(1.0)
        self._happen(self.before, emails)
        answer = await super().submit(batch, ask)
        self._happen(self.after, emails)
        return answer

    def corrections_of(self, email: str) -> list[float]:
        """When a request said that a contact is unsubscribed."""
        return [at for at, _, emails, active in self.times if (email, False) in zip(emails, active, strict=True)]

    def raised_by(self, email: str) -> list[float]:
        """When a request said that a contact is subscribed."""
        return [at for at, _, emails, active in self.times if (email, True) in zip(emails, active, strict=True)]

    @staticmethod
    def _happen(what: dict[str, Happen], emails: Sequence[str]) -> None:
        for email in emails:
            if happening := what.pop(email, None):
                happening()


class World:
    """A list, a run over it, and people who leave: the service forgets them, and its webhook tells."""

    def __init__(self, folder: Path) -> None:
        self.to = Eventful()
        journal = MemoryJournal()
        self.state = MemoryStateStore(journal)
        self.desk, self.book = MemoryDesk(), MemoryBook(self.state)
        self.trial = Trial(folder, self.to, self.state, journal, pace=Pace(concurrency=1))
        self.trial.now = lambda: datetime.fromtimestamp(EPOCH + anyio.current_time(), UTC)
        self.trial.listening = Listening(self.desk, self.book)

    def leave(self, email: str, kind: str = "unsubscribed") -> Happen:
        def happen() -> None:
            key = address_key(email)
            if kind == "removed":
                self.to.contacts.pop(key, None)
            elif key in self.to.contacts:
                self.to.contacts[key].active = False
            self.desk.tell(email, kind, at=self.trial.now().timestamp())

        return happen

    async def run(self, city: str = "", count: int = 300) -> Report:
        changed = dict.fromkeys(range(count), city) if city else {}
        return (await run_sync(self.trial, FrameSource(people(count, city=changed)))).report

    def active(self, number: int) -> bool | None:
        held = self.to.contacts.get(f"user{number}@example.com")
        return None if held is None else held.active


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("kind", ["unsubscribed", "removed", "hard", "complaint"])
async def test_w1_new_contacts_who_leave_before_their_batch_are_not_sent(world: World, kind: str) -> None:
    world.to.before["user5@example.com"] = world.leave("user250@example.com", kind)

    report = await world.run()

    assert (report.confirmed[Op.ADD], report.rejected, report.result) == (299, 1, Result.OK)
    assert world.active(250) is None
    assert world.to.raised_by("user250@example.com") == []
    assert (report.left, report.corrected) == ({kind: 1}, 0)


@pytest.mark.parametrize("kind", ["unsubscribed", "hard", "complaint"])
async def test_w1_known_contacts_who_leave_before_their_batch_are_sent_as_unsubscribed(world: World, kind: str) -> None:
    await world.run()
    world.to.times.clear()
    world.to.before["user5@example.com"] = world.leave("user250@example.com", kind)

    report = await world.run(city="Astana")

    assert (report.confirmed[Op.UPDATE], report.rejected) == (300, 0)
    assert world.active(250) is False
    assert world.to.contacts["user250@example.com"].variables == {"city": "Astana"}
    assert world.to.raised_by("user250@example.com") == []
    assert world.to.raised == []


async def test_w1_a_known_contact_that_was_removed_is_not_brought_back(world: World) -> None:
    await world.run()
    world.to.before["user5@example.com"] = world.leave("user250@example.com", "removed")

    report = await world.run(city="Astana")

    assert world.active(250) is None
    assert (report.rejected, report.result) == (1, Result.OK)


@pytest.mark.parametrize("behind", [0.0, 3600.0], ids=["in-the-same-second", "by-a-clock-that-is-an-hour-behind"])
async def test_w1_whoever_was_removed_when_we_confirmed_them_is_not_put_back_as_unsubscribed(
    world: World, behind: float
) -> None:
    """Their clock ticks in seconds, and may not be ours: the removal seems to be older than our confirmation."""
    await world.run()
    del world.to.contacts["user5@example.com"]
    world.desk.tell("user5@example.com", "removed", at=world.trial.now().timestamp() - behind)

    report = await world.run()
    again = await world.run()

    assert world.active(5) is None
    assert (report.rejected, report.unresolved, again.held_by_code) == (0, 0, {"suppressed": 1})


async def test_w1_whoever_leaves_while_their_batch_is_in_flight_is_corrected_within_30_seconds(world: World) -> None:
    await world.run()
    world.to.times.clear()
    left_at: list[float] = []
    world.to.before["user5@example.com"] = lambda: (
        world.leave("user5@example.com")(),
        left_at.append(anyio.current_time()),
    )

    report = await world.run(city="Astana")

    assert world.to.raised == ["user5@example.com"]  # our request came after theirs
    assert world.active(5) is False
    assert world.to.corrections_of("user5@example.com")[0] - left_at[0] < 30
    assert (report.corrected, report.confirmed[Op.UPDATE]) == (1, 300)


async def test_w1_a_new_contact_who_leaves_while_being_added_is_corrected(world: World) -> None:
    world.to.after["user5@example.com"] = world.leave("user5@example.com")

    report = await world.run()

    assert (world.active(5), report.corrected, report.confirmed[Op.ADD]) == (False, 1, 300)


async def test_w1_whoever_leaves_after_their_batch_was_confirmed_is_corrected_by_the_same_run(world: World) -> None:
    world.to.before["user250@example.com"] = world.leave("user5@example.com", "complaint")

    report = await world.run()

    assert (world.active(5), report.corrected) == (False, 1)


async def test_w1_nobody_is_brought_back_by_the_next_runs(world: World) -> None:
    world.to.before["user250@example.com"] = world.leave("user5@example.com")
    world.to.before["user5@example.com"] = world.leave("user290@example.com", "removed")
    await world.run()
    world.to.raised.clear()

    again = await world.run()
    changed = await world.run(city="Almaty")

    assert (world.active(5), world.active(290), world.to.raised) == (False, None, [])
    assert (again.held, changed.held_by_code) == (1, {"suppressed": 1})
    assert changed.confirmed[Op.UPDATE] == 299


async def test_w1_a_flight_without_answer_is_corrected_at_once_and_again_after_the_grace_time(world: World) -> None:
    await world.run()
    world.to.times.clear()
    world.to.fail_next = [NoAnswer("no complete answer within 30 s")]
    world.to.before["user5@example.com"] = world.leave("user5@example.com")

    report = await world.run(city="Astana")

    times = world.to.corrections_of("user5@example.com")
    assert world.active(5) is False
    assert len(world.to.raised_by("user5@example.com")) == 1  # not the second attempt
    assert times[0] < 30 + world.to.raised_by("user5@example.com")[0]
    assert 120 <= times[-1] - world.to.raised_by("user5@example.com")[0] <= 160
    assert report.corrected == 1


@pytest.mark.parametrize("answered", [True, False])
async def test_w1_what_is_owed_when_the_process_dies_is_paid_first_by_the_next(world: World, *, answered: bool) -> None:
    await world.run()

    def die() -> None:
        raise Crash

    world.to.before["user5@example.com"] = world.leave("user5@example.com")
    world.to.fail_next = [] if answered else [NoAnswer("no complete answer within 30 s")]
    world.to.before["user250@example.com"] = die
    with pytest.raises(BaseExceptionGroup):
        await world.run(city="Astana")
    world.to.times.clear()

    report = await world.run(city="Astana")

    assert (world.active(5), report.resumed, report.pending) == (False, True, 0)
    assert world.to.raised_by("user5@example.com") == []
    assert None not in world.book.corrections.values()


async def test_w1_news_that_come_between_a_crash_and_its_resumption_count_for_what_was_in_flight(world: World) -> None:
    def die() -> None:
        raise Crash

    world.to.after["user150@example.com"] = die  # stored there, and we never knew
    with pytest.raises(BaseExceptionGroup):
        await world.run()
    world.leave("user150@example.com")()
    world.leave("user5@example.com")()
    world.leave("user250@example.com")()
    world.to.times.clear()

    report = await world.run()

    assert [world.active(number) for number in (5, 150, 250)] == [False, False, None]
    assert report.resumed
    assert world.to.raised_by("user150@example.com") == []
    assert world.to.raised_by("user250@example.com") == []


async def test_w1_an_address_change_under_way_is_corrected_under_both_addresses(world: World) -> None:
    import polars as pl

    world.trial.key = "id"
    first = pl.DataFrame({"id": ["1", "2"], "email": ["old@example.com", "b@example.com"], "active": ["yes", "yes"]})
    await run_sync(world.trial, FrameSource(first))
    moved = first.with_columns(pl.Series("email", ["new@example.com", "b@example.com"]))
    world.to.before["new@example.com"] = world.leave("old@example.com")

    await run_sync(world.trial, FrameSource(moved))
    await run_sync(world.trial, FrameSource(moved))

    assert {key: held.active for key, held in world.to.contacts.items()} == {
        "new@example.com": False,
        "b@example.com": True,
    }


@pytest.mark.parametrize("consent", Consent)
@pytest.mark.parametrize("in_flight", [False, True])
async def test_who_was_removed_from_the_list_does_not_come_back_under_another_address(
    world: World, consent: Consent, *, in_flight: bool
) -> None:
    """Their id is known; removed between two runs, or while an update of theirs is in flight, which finds nobody."""
    world.trial.key, world.trial.consent = "id", consent
    rows = pl.DataFrame({"id": ["1", "2"], "email": ["old@example.com", "b@example.com"], "active": ["yes", "yes"]})
    await run_sync(world.trial, FrameSource(rows.with_columns(pl.lit("A").alias("city"))))
    if in_flight:
        world.to.before["old@example.com"] = world.leave("old@example.com", "removed")
        await run_sync(world.trial, FrameSource(rows.with_columns(pl.lit("B").alias("city"))))
    else:
        await anyio.sleep(10)
        world.leave("old@example.com", "removed")()
    world.to.times.clear()

    for address in ("new@example.com", "newer@example.com"):
        moved = rows.with_columns(pl.Series("email", [address, "b@example.com"]), pl.lit("C").alias("city"))
        report = (await run_sync(world.trial, FrameSource(moved))).report
        assert report.held_by_code == {"suppressed": 1}

    assert set(world.to.contacts) == {"b@example.com"}


@pytest.mark.parametrize("old", ["old@example.com", "Old@BÜCHER.example"])
@pytest.mark.parametrize("kind", ["unsubscribed", "removed", "complaint"])
@pytest.mark.parametrize("trigger", ["b@example.com", "new@example.com"])
async def test_w1_whoever_leaves_while_their_address_changes_stays_off_under_the_new_one(
    world: World, old: str, kind: str, trigger: str
) -> None:
    """Before the request about them, or while it is in flight; and a later change of theirs raises them no more."""
    world.trial.key = "id"
    rows = pl.DataFrame(
        {"id": ["1", "2"], "email": [old, "b@example.com"], "active": ["yes", "yes"], "city": ["A", "A"]}
    )
    await run_sync(world.trial, FrameSource(rows))
    moved = rows.with_columns(pl.Series("email", ["new@example.com", "b@example.com"]), pl.Series("city", ["B", "B"]))
    world.to.before[trigger] = world.leave(old, kind)
    await run_sync(world.trial, FrameSource(moved))
    world.to.times.clear()

    for city in ("C", "D"):
        await run_sync(world.trial, FrameSource(moved.with_columns(pl.lit(city).alias("city"))))

    assert world.to.raised_by("new@example.com") == world.to.raised_by(old) == []
    assert not any(contact.active for key, contact in world.to.contacts.items() if key != "b@example.com")


async def test_under_keep_too_nobody_is_raised(world: World) -> None:
    world.trial.consent = Consent.KEEP
    world.to.before["user250@example.com"] = world.leave("user5@example.com")

    report = await world.run()

    assert (world.active(5), report.corrected) == (False, 1)


async def test_a_run_at_which_nobody_leaves_sends_not_a_request_more(world: World) -> None:
    await world.run()

    assert world.to.requests == 3 + 1  # the variable
