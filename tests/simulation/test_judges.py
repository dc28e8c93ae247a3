"""Each judge of the simulation is shown what must not be, and complains; and is silent about what may be."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.events import BatchSettled
from syncengine.frames import IN_DOUBT, LEFT_SOURCE
from syncengine.model import Accepted, Answer, Consent, Mode, NoAnswer, Op
from syncengine.report import Report, Result
from syncengine.sandbox.account import DEFAULT_LIST
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.sandbox import Sandbox
from syncengine.simulation import Engine, ending, simulate
from syncengine.simulation.company import Person
from syncengine.simulation.judges import (
    Bounded,
    Discreet,
    NoPhantoms,
    OneAtATime,
    Polite,
    SameVersion,
    SaysActive,
    batches_by_subject,
)
from syncengine.simulation.network import Flight, Line, contacts_of, subjects_of
from syncengine.simulation.process import TOKEN, Known, SmallBatches, Wanted
from syncengine.simulation.setting import draw
from syncengine.simulation.weather import Fate

ANN = "ann@example.com"
BEN = "ben@example.com"


def flight(number: int, told: dict[str, Any], *, left_at: float = 0.0, over: bool = False) -> Flight:
    body = json.dumps(told).encode()
    read = contacts_of(body), subjects_of(body)
    return Flight(number, Line(), "/", TOKEN.encode(), body, *read, left_at, Fate.WELL, over=over)


def adding(*emails: str, name: str = "Name", **more: Any) -> dict[str, Any]:
    contacts = [{"email": email, "name": name, "active": True, **more} for email in emails]
    return {"emailListId": DEFAULT_LIST, "contacts": contacts}


# While requests go by -------------------------------------------------------------------------------------------------


def test_one_contact_in_two_requests_is_an_overlap() -> None:
    broken: list[str] = []
    judge = OneAtATime(broken.append)
    first = flight(1, adding(ANN, BEN))

    judge.leaves(first)
    judge.lands(first)
    judge.leaves(flight(2, adding(ANN)))
    assert broken == []

    judge.leaves(flight(3, {"emailListId": DEFAULT_LIST, "emails": [ANN.upper()]}))
    assert broken == [f"overlap: {ANN} is in requests 2 and 3"]


def test_something_new_while_an_abandoned_request_may_still_arrive_is_another_version() -> None:
    broken: list[str] = []
    judge = SameVersion(broken.append)
    judge.lands(flight(1, adding(ANN)))
    judge.lands(flight(2, adding(BEN), over=True))

    judge.leaves(flight(3, adding(ANN)))
    judge.leaves(flight(4, adding(BEN, name="New")))
    assert broken == []

    judge.leaves(flight(5, adding(ANN, name="New")))
    assert broken == [f"versions: request 5 asks something new of {ANN} while request 1 may still arrive"]


@pytest.mark.parametrize("active", [None, "true", 1])
def test_active_that_is_left_out_or_is_no_truth_value_is_told(active: object) -> None:
    broken: list[str] = []
    judge = SaysActive(broken.append)
    judge.leaves(flight(1, adding(ANN)))
    judge.leaves(flight(2, {"emailListId": DEFAULT_LIST, "emails": [ANN]}))
    assert broken == []

    judge.leaves(flight(3, adding(ANN, active=active)))
    judge.leaves(flight(4, {"contacts": [{"contact": ANN, "parameters": {"name": "Ann"}}]}))
    assert [words[:17] for words in broken] == ["active: request 3", "active: request 4"]


def test_one_request_more_than_the_rate_within_a_second_is_told() -> None:
    broken: list[str] = []
    judge = Polite(broken.append, rate=2.0)
    for number, second in enumerate((0.0, 0.6, 1.0, 1.6)):
        judge.leaves(flight(number, adding(ANN), left_at=second))
    assert broken == []

    judge.leaves(flight(9, adding(ANN), left_at=1.9))
    assert broken == ["rate: 3 requests within a second, 2 are allowed"]


class _Run:
    """A process as far as `Bounded` looks at it: a plan of batches, and what its journal had at the start."""

    def __init__(self, done: frozenset[int] = frozenset(), remembered: frozenset[int] = frozenset()) -> None:
        self.line = Line()
        self.setting = replace(draw(0, Random(0)), concurrency=1, batch_size=2)
        self.plan = {
            0: [_wanted(ANN), _wanted(BEN)],
            1: [_wanted("cat@example.com")],
            2: [_wanted("dan@example.com", contact="old@example.com")],
        }
        self.prepared = self
        self.run = "run-1"
        self.done = done
        self.remembered = done | remembered


def _wanted(email: str, *, contact: str = "", name: str | None = "Name", active: bool = True) -> Wanted:
    return Wanted(Op.ADD, email, contact or email, email, name, active, "[]")


def bounded(*runs: _Run) -> tuple[Bounded, list[str], Callable[..., None]]:
    broken: list[str] = []
    judge = Bounded(broken.append, {run.line: run for run in runs})  # type: ignore[misc]  # all it looks at
    number = iter(range(1, 100))

    def send(run: _Run, *emails: str) -> None:
        judge.leaves(replace(flight(next(number), adding(*emails)), line=run.line))

    return judge, broken, send


def settled(batch: int) -> BatchSettled:
    return BatchSettled(batch, Op.ADD, 1, 1, {})


def test_what_is_settled_and_sent_again_is_told() -> None:
    run = _Run(done=frozenset({1}))
    judge, broken, send = bounded(run)
    judge.planned(run)  # type: ignore[arg-type]
    send(run, ANN, BEN)
    assert broken == []

    send(run, "cat@example.com")
    judge.is_settled(run, settled(0))  # type: ignore[arg-type]
    send(run, ANN)
    assert broken == [
        "again: batch 1 is settled, and request 2 sends of it",
        "again: batch 0 is settled, and request 3 sends of it",
    ]


def test_who_is_not_in_the_plan_is_a_stranger() -> None:
    run = _Run()
    judge, broken, send = bounded(run)
    judge.planned(run)  # type: ignore[arg-type]
    send(run, "dan@example.com")
    assert broken == []

    send(run, "eve@example.com")
    assert broken == ["stranger: request 2 is about somebody who is not in the plan"]


def test_more_left_open_by_a_kill_than_was_in_flight_is_told() -> None:
    run = _Run()
    judge, broken, send = bounded(run)
    judge.planned(run)  # type: ignore[arg-type]
    send(run, ANN, BEN)
    assert (judge.killed(run), broken) == (2, [])  # type: ignore[arg-type]

    send(run, "cat@example.com")
    assert judge.killed(run) == 3  # type: ignore[arg-type]
    assert broken == ["resend: 3 contacts were in flight when the process died, 2 are allowed"]


def test_what_the_journal_forgot_of_a_dead_process_is_told() -> None:
    died, next_one = _Run(), _Run(remembered=frozenset({1}))
    judge, broken, send = bounded(died, next_one)
    judge.planned(died)  # type: ignore[arg-type]
    send(died, ANN)
    send(died, "cat@example.com")
    judge.is_settled(died, settled(0))  # type: ignore[arg-type]

    judge.planned(next_one)  # type: ignore[arg-type]
    assert broken == [
        "forgotten: batches [0] were settled, and the journal does not say so",
        "intent: batches [0] were sent, and the journal knows nothing of it",
    ]


def test_a_chain_of_renames_is_told_apart_by_both_addresses() -> None:
    plan = {0: [_wanted(BEN, contact=ANN)], 1: [_wanted("new@example.com", contact=BEN)]}

    found = batches_by_subject(plan)

    assert (found[ANN, BEN], found[BEN, "new@example.com"], found[BEN, BEN]) == (0, 1, 0)


# Outcomes -------------------------------------------------------------------------------------------------------------


def a_list(*people: dict[str, Any]) -> ContactList:
    sandbox = Sandbox()
    sandbox.seed(DEFAULT_LIST, people)
    return sandbox.lists[DEFAULT_LIST]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ([], "is not on the list"),
        ([{"email": ANN, "name": "Name", "active": False}], "is active=False on the list"),
        ([{"email": ANN, "name": "Once", "active": True}], "is called 'Once', not 'Name'"),
        ([{"email": ANN, "name": "Name", "active": True}], ""),
    ],
)
def test_a_confirmation_the_list_does_not_bear_out_is_a_phantom(there: list[dict[str, Any]], words: str) -> None:
    broken: list[str] = []
    run = _Run()
    run.plan = {0: [_wanted(ANN)]}
    held = a_list(*there)

    NoPhantoms(broken.append, lambda: held).is_settled(run, settled(0))  # type: ignore[arg-type]

    assert broken == ([f"phantom: {ANN} of batch 0 (add) is confirmed and {words}"] if words else [])


def test_a_variable_that_is_not_what_was_wanted_is_a_phantom_too() -> None:
    held = a_list({"email": ANN, "name": "Name", "active": True})
    wanted = replace(_wanted(ANN), variables='[{"name":"city","value":"Almaty"}]')

    assert NoPhantoms(print, lambda: held).difference(held.find(ANN), wanted) == "has city=None, not 'Almaty'"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.jsonl", b'{"token": "%s"}' % TOKEN.encode(), ["leak: log.jsonl holds the token"]),
        ("errors.csv", TOKEN.replace("/", "\\/").encode(), ["leak: errors.csv holds the token"]),
        ("state.sqlite", TOKEN.encode().hex().encode(), ["leak: state.sqlite holds the token"]),
        ("report.html", f"<td>{ANN}</td>".encode(), ["leak: report.html holds addresses"]),
        ("run.json", f'{{"who": "{ANN}"}}'.encode(), ["leak: run.json holds addresses"]),
        ("errors.csv", f"2,{ANN}".encode(), []),
        ("log.jsonl", b'{"contact": "k:4711"}', []),
    ],
)
def test_a_token_or_an_address_where_it_should_not_be_is_a_leak(
    tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    broken: list[str] = []

    Discreet(broken.append).files(tmp_path)

    assert broken == words


# Endings --------------------------------------------------------------------------------------------------------------

REPORT = Report(job="job", list="list", run="run", result=Result.OK, rows=2, planned={Op.ADD: 2}, confirmed={Op.ADD: 2})


@pytest.mark.parametrize(
    ("report", "planned", "rows", "words"),
    [
        (REPORT, 2, 2, ""),
        (REPORT, 3, 2, "rows: the plan has"),
        (REPORT, 2, 3, "rows: the export has 3, and the report says 2"),
        (replace(REPORT, confirmed={Op.ADD: 1}), 2, 2, "rows: 2 planned, 1 settled, and the run says it is finished"),
        (replace(REPORT, confirmed={Op.ADD: 1}, rejected=1), 2, 2, ""),
    ],
)
def test_a_row_that_is_not_accounted_for_is_told(report: Report, planned: int, rows: int, words: str) -> None:
    told = list(ending.numbers(report, {Op.ADD: planned}, rows))

    assert (told[:1] == []) if not words else told[0].startswith(words)


def differs(held: ContactList) -> ending.Differs:
    return NoPhantoms(print, lambda: held).difference


def test_a_state_that_says_what_the_list_does_not_is_told() -> None:
    held = a_list({"email": ANN, "name": "Name", "active": True})
    known = [Known("1", ANN, "Name", True, "[]", 77), Known("2", BEN, "Name", True, "[]", 78)]
    doubted = replace(known[1], fingerprint=IN_DOUBT)

    assert list(ending.state_as_on_the_list([known[0], doubted], held, differs(held))) == []
    assert list(ending.state_as_on_the_list(known, held, differs(held))) == [
        f"state: it holds {BEN} (78), who is not on the list"
    ]


@pytest.mark.parametrize("consent", Consent)
def test_who_is_not_on_the_list_as_wanted_and_was_not_told_about_is_lost(consent: Consent) -> None:
    held = a_list({"email": ANN, "name": "Ann", "active": False})
    people = [Person("1", ANN, "Ann", True, ""), Person("2", BEN, "Ben", True, "")]
    lost = list(ending.nobody_lost(people, held, {BEN}, differs(held), consent))

    assert lost == ([] if consent is Consent.KEEP else [f"lost: {ANN} is active=False on the list"])
    assert list(ending.nobody_lost(people, held, {ANN}, differs(held), consent)) == [f"lost: {BEN} is not on the list"]


def test_who_left_and_is_still_held_as_before_is_told() -> None:
    known = [
        Known("1", ANN, "Ann", True, "[]", 77),
        Known("2", BEN, "Ben", True, "[]", 78),
        Known("3", "cat@example.com", "Cat", True, "[]", LEFT_SOURCE),
        Known("4", "dan@example.com", "Dan", False, "[]", 79),
    ]

    assert list(ending.leavers_known(known, {"1"}, {BEN})) == []
    assert list(ending.leavers_known(known, {"1"}, ())) == [
        f"mirror: {BEN} left, and the state still holds them as they were"
    ]


def test_who_is_subscribed_again_under_keep_is_told() -> None:
    held = a_list({"email": ANN, "name": "Ann", "active": False})
    contact = held.find(ANN)
    assert contact is not None
    held.set_active(contact, active=True, request=1)

    assert list(ending.nobody_subscribed_again(held, Consent.SOURCE)) == []
    assert list(ending.nobody_subscribed_again(held, Consent.KEEP)) == [
        f"consent: ['{ANN}'] were subscribed again under keep"
    ]


def test_a_stranger_who_was_changed_is_told() -> None:
    held = a_list({"email": ANN, "name": "Ann", "active": True})

    assert list(ending.strangers_untouched(held, [(ANN, "Ann", True)])) == []
    assert [words[:28] for words in ending.strangers_untouched(held, [(ANN, "Ann", False), (BEN, "Ben", True)])] == [
        "stranger: ann@example.com wa",
        "stranger: ben@example.com wa",
    ]


def test_runs_that_never_come_to_rest_are_told() -> None:
    assert list(ending.comes_to_rest([3, 0])) == list(ending.comes_to_rest([])) == []
    assert list(ending.comes_to_rest([3, 2, 2])) == ["again: run 3 over one export still has 2 contacts to send"]


# Whole lives with a broken part ---------------------------------------------------------------------------------------


class _Flatterer(SmallBatches):
    """Says that all went well, and sends nothing."""

    async def submit(self, *_: object) -> Answer:
        return Accepted()


class _Mute(SmallBatches):
    """Never has an answer, though the weather is fine."""

    async def submit(self, *_: object) -> Answer:
        return NoAnswer("nobody there", sent=False)


class _Sleeper(SmallBatches):
    """Waits for what never comes."""

    async def submit(self, *_: object) -> Answer:
        await anyio.Event().wait()
        return Accepted()


def _made_of(kind: type[SmallBatches]) -> Callable[[Door, int], SmallBatches]:
    return lambda door, size: kind(door, DEFAULT_LIST, size)


def _fair_seeds(count: int) -> Sequence[int]:
    """Seeds in which nothing goes wrong by itself and something is to be sent."""
    seeds = (seed for seed in range(10_000) if _is_fair(seed))
    return [next(seeds) for _ in range(count)]


def _is_fair(seed: int) -> bool:
    setting = draw(seed, Random(seed))
    return not setting.trouble and not setting.kills and not setting.revoked and setting.mode is Mode.UPSERT


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (Engine(destination=_made_of(_Flatterer)), ("phantom: ",)),
        (Engine(destination=_made_of(_Mute)), ("liveness: a run ended as unavailable without need",)),
        (Engine(destination=_made_of(_Sleeper)), ("liveness: a run does not come to its end", "stalled: ")),
        (Engine(pacer=lambda rate: Pacer(rate * 3)), ("rate: ",)),
    ],
    ids=["flatterer", "mute", "sleeper", "hasty"],
)
def test_a_life_with_a_broken_part_is_found_out(engine: Engine, words: tuple[str, ...]) -> None:
    told = [words for seed in _fair_seeds(6) for words in simulate(seed, engine).broken]

    assert [one for one in told if one.startswith(words)], told
