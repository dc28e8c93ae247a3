"""5,000 damaged answers: whatever a service, a proxy or a bad line makes of one, nobody is confirmed by it in vain.

An answer is judged twice: by the reader, and by `bears_out` here, which shares no code with it.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from syncengine.destinations._answers import read_answer
from syncengine.destinations._envelope import MAX_TEXT
from syncengine.destinations._http import Reply
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Op, Outcome, Partial
from syncengine.settlement import BEYOND_MINIMUM, MINIMUM, Circumstances, OnExists, Settled, Terms, settle

ANSWERS = 5_000
IDS = [f"5882312a00000100000000{number:02x}" for number in range(8)]
COUNTED = (Call.UPDATE, Call.RENAME)
STATUSES = (*(200,) * 16, 201, 204, 207, 301, 400, 401, 404, 409, 413, 422, 429, 500, 502, 503, 100, 999)


def address(position: int) -> str:
    return f"user{position}@example.com"


def documented(contacts: int) -> list[dict[str, Any]]:
    """The answers of the API's page, and spellings of them that were met."""
    some, all_ids = IDS[: max(0, contacts - 1)], IDS[:contacts]
    return [
        {"result": True},
        {"result": 1},
        {"result": "true", "requestId": "NNN"},
        {"result": True, "error": None, "messageId": "XXX"},
        {"result": True, "updated": all_ids, "errors": []},
        {"result": True, "updated": all_ids},
        {"result": True, "updated": some, "errors": [f"Unable to find email {address(0)} in email list listId"]},
        {"result": False, "errors": [f"Contact {address(0)} not found!"]},
        {"Error_stack": [f"Contact with email {address(0)} already exists"], "requestId": "NNN"},
        {"error_stack": ['Unexpected token "COLON"'], "requestId": "NNN"},
        {"error": ["Require 'ids' arguments to query 'messages'"], "result": 0},
        {"errors": ["Current limitation is 100 contacts per request!"]},
        {"errors": ["API Key XXX does not exist."]},
        {"Error_stack": ["Email list with id XXX not found"]},
        {"errors": "Something went wrong", "result": 0},
    ]


# Damage ---------------------------------------------------------------------------------------------------------------


def value(chance: Random, depth: int = 0) -> Any:
    """Any JSON, leaning to what an answer may hold."""
    simple = (True, False, None, 0, 1, -1, 2, 0.5, 1.0, "", "true", "1", "ok", "é\x1b[31m", address(0), IDS[0], 10**30)
    kind = chance.random()
    if depth > 3 or kind < 0.6:
        return chance.choice(simple)
    if kind < 0.8:
        return [value(chance, depth + 1) for _ in range(chance.randrange(5))]
    keys = ("result", "updated", "errors", "error", "Error_stack", "x")
    return {chance.choice(keys): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def changed(chance: Random, told: dict[str, Any]) -> dict[str, Any]:
    """A member more, less, of another kind, or under another spelling of its name."""
    told = dict(told)
    for _ in range(chance.randint(1, 2)):
        names = ("result", "Result", "RESULT", "updated", "Updated", "errors", "error", "error_stack", "Errors", *told)
        name = chance.choice(names)
        match chance.randrange(5):
            case 0:
                told.pop(name, None)
            case 1 if isinstance(told.get(name), list):
                told[name] = [*told[name], *chance.sample((*IDS, address(1), None, 7), chance.randrange(4))]
            case 2 if isinstance(told.get(name), list):
                told[name] = told[name][: chance.randrange(len(told[name]) + 1)]
            case 3 if name.lower().startswith("err"):
                told[name] = chance.choice((None, "", [], [f"Contact {address(1)} not found!"], ["Bad thing"], "Bad"))
            case 3 if name.lower() == "result":
                told[name] = chance.choice((True, 1, "true", "1", 1.0, 0, False, "True", [True], 2))
            case 3:
                told[name] = chance.sample(IDS, chance.randrange(6))
            case _:
                told[name] = value(chance)
    return told


def damaged(chance: Random, body: bytes) -> bytes:
    """Bytes lost, changed, doubled, or glued to others."""
    place = chance.randrange(len(body) + 1)
    match chance.randrange(7):
        case 0:
            return body[:place]
        case 1:
            return body[place:]
        case 2 if body:
            place = chance.randrange(len(body))
            return body[:place] + bytes([body[place] ^ (1 << chance.randrange(8))]) + body[place + 1 :]
        case 3:
            return body[:place] + chance.randbytes(chance.randint(1, 4)) + body[place:]
        case 4:
            return body + chance.choice((body, b"\n", b"\x00", b"<html>", b"{}", b","))
        case 5:
            return chance.choice((b"\xef\xbb\xbf", b"HTTP/1.1 200 OK\r\n\r\n", b"[", b" \r\n")) + body
        case _:
            return body.replace(b'"result"', chance.choice((b'"result":true,"result"', b'"resul"', b"result")))


def bodies(chance: Random, contacts: int) -> Iterator[bytes]:
    """One answer of each kind of damage."""
    good = {**chance.choice(documented(contacts)), "requestId": f"{chance.randrange(1 << 40):x}"}
    yield json.dumps(good, ensure_ascii=chance.random() < 0.5).encode()
    for _ in range(4):
        yield json.dumps(changed(chance, good)).encode()
    yield damaged(chance, json.dumps(good).encode())
    yield damaged(chance, damaged(chance, json.dumps(changed(chance, good)).encode()))
    yield json.dumps(value(chance)).encode()
    yield chance.randbytes(chance.randrange(60))
    yield chance.choice((b"[", b'{"result":', b'{"errors":["', b"1")) * chance.choice((1, 300, 20_000))


class Case(NamedTuple):
    call: Call
    contacts: int
    status: int
    body: bytes


def cases() -> list[Case]:
    """All different, always the same."""
    chance = Random(5)
    found: dict[Case, None] = {}
    while len(found) < ANSWERS:
        call, contacts, status = chance.choice(list(Call)), chance.randint(1, 5), chance.choice(STATUSES)
        found |= dict.fromkeys(Case(call, contacts, status, body) for body in bodies(chance, contacts))
    return list(found)[:ANSWERS]


# The second opinion ---------------------------------------------------------------------------------------------------


class TwiceError(ValueError):
    """A key stands twice: whoever reads on chooses which of the two to believe."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise TwiceError
    return dict(pairs)


def members(body: bytes) -> dict[str, Any] | None:
    """The answer's members, or None where it is no answer that one could build on."""
    try:
        told = json.loads(body, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or len({key.lower() for key in told}) < len(told):
        return None
    return {key.lower(): content for key, content in told.items()}


def says_yes(case: Case) -> bool:
    """Whether the answer says of anything that it went well."""
    told = members(case.body)
    if told is None or not 200 <= case.status < 300:
        return False
    result = told.get("result")
    return result is True or (type(result) is int and result == 1) or result in ("true", "1")


def bears_out(case: Case) -> bool:
    """Whether the answer says that all contacts of the request are as they were to be."""
    told = members(case.body) or {}
    complaints = [told.get(name) for name in ("error", "errors", "error_stack")]
    if not says_yes(case) or any(one not in (None, "", []) for one in complaints):
        return False
    if case.call not in COUNTED:
        return "updated" not in told
    ids = told.get("updated")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        return False
    return len(ids) == len(set(ids)) == case.contacts


# What is told ---------------------------------------------------------------------------------------------------------


def read(case: Case) -> Answer:
    return read_answer(Reply(case.status, case.body), case.call, case.contacts)


def texts_of(answer: Answer) -> tuple[str, ...]:
    match answer:
        case Partial(errors=errors) | Declined(errors=errors):
            return errors
        case NoAnswer(reason=text) | Fatal(text=text):
            return (text,)
        case _:
            return ()


def settled_by(answer: Answer, case: Case) -> tuple[Settled, int]:
    """A batch whose every request is answered like this, and how many there were."""
    op = {Call.ADD: Op.ADD, Call.REMOVE: Op.REMOVE, Call.RENAME: Op.RENAME}.get(case.call, Op.UPDATE)
    terms = Terms(op, known=op is not Op.ADD, may_add=op is Op.ADD, on_exists=OnExists.HOLD)
    about = Circumstances(lambda: [(address(position),) for position in range(case.contacts)], lambda _: ())
    machine = settle(case.contacts, terms, about)
    requests = 0
    try:
        next(machine)
        while True:
            requests += 1
            machine.send(answer)
    except StopIteration as end:
        return end.value, requests


def test_5_000_damaged_answers_confirm_nobody_they_do_not_speak_of() -> None:
    seen: Counter[type[Answer]] = Counter()
    confirmed = 0
    for case in cases():
        answer = read(case)
        seen[type(answer)] += 1
        assert isinstance(answer, Accepted) == bears_out(case), (case, answer)
        for text in texts_of(answer):
            assert len(text) <= MAX_TEXT + 50
            assert not [sign for sign in text if unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\t\n"]
        if not isinstance(answer, NoAnswer | Fatal):
            settled, requests = settled_by(answer, case)
            assert requests <= MINIMUM + BEYOND_MINIMUM * case.contacts, case
            gone = sum(verdict.code == "gone" for verdict in settled.verdicts.values())
            plain = settled.count(Outcome.CONFIRMED) - gone
            assert plain == 0 or says_yes(case), (case, settled)
            assert plain == case.contacts or not bears_out(case), (case, settled)
            confirmed += plain

    assert seen.total() == ANSWERS
    assert confirmed > 100
    assert min(seen[kind] for kind in (Accepted, Partial, Declined, NoAnswer, Fatal)) > 80, seen


def test_the_second_opinion_is_one() -> None:
    """It can say no to what a careless reader takes for yes."""
    careless = [
        Case(Call.ADD, 2, 200, b'{"result":true,"result":false}'),
        Case(Call.ADD, 2, 200, b'{"result":true,"errors":["x"]}'),
        Case(Call.ADD, 2, 502, b'{"result":true}'),
        Case(Call.UPDATE, 2, 200, b'{"result":true}'),
        Case(Call.UPDATE, 2, 200, b'{"result":true,"updated":["a","a"]}'),
        Case(Call.ADD, 2, 200, b'{"result":true}{"result":true}'),
    ]

    assert [bears_out(case) for case in careless] == [False] * len(careless)
    assert bears_out(Case(Call.UPDATE, 2, 200, b'{"result":true,"updated":["a","b"]}'))
