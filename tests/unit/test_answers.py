"""Every documented reply is read for what it says, and nothing else is ever taken for success.

Numbers such as (1.7.3) are those of the contract's list of ambiguities in API v2.
"""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.destinations._answers import TOO_LARGE, read_answer, read_created
from syncengine.destinations._envelope import MAX_ERRORS, MAX_TEXT
from syncengine.destinations._http import Reply
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Partial

PLAIN = (Call.ADD, Call.REMOVE, Call.UPDATE_ONE)
COUNTED = (Call.UPDATE, Call.RENAME)
CALLS = (*PLAIN, *COUNTED)

NO_LIST = "Email list with id XXX not found"
EXISTS = "Contact with email example@domain.com already exists"
MISSING = "Unable to find email example@domain.com in email list listId"
ARGUMENTS = 'Require "contact" arguments to query "updateContact"'
LIMIT = "Current limitation is 100 contacts per request!"
NO_KEY = "API Key XXX does not exist."
ODD = "Something went wrong"

IDS = ["55a3e1f4c0", "55a3e1f4c1", "55a3e1f4c2"]


def read(told: Any, call: Call = Call.ADD, *, contacts: int = 3, status: int = 200) -> Answer:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return read_answer(Reply(status, body), call, contacts)


# Success --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", PLAIN)
@pytest.mark.parametrize(
    "told",
    [
        {"result": True},
        {"result": 1},  # 1.7.3
        {"result": "true"},
        {"result": "1"},
        {"Result": True},
        {"result": True, "error": None},  # mailer/send
        {"result": True, "errors": []},
        {"result": True, "error": "", "errors": None, "error_stack": []},
        {"result": True, "requestId": "NNN", "messageId": "XXX"},
    ],
)
def test_a_plain_success_is_accepted_however_result_is_spelled(call: Call, told: dict[str, Any]) -> None:
    assert read(told, call) == Accepted()


@pytest.mark.parametrize("call", COUNTED)
def test_a_batch_update_is_accepted_with_one_id_a_contact_and_no_errors(call: Call) -> None:
    assert read({"result": True, "updated": IDS, "errors": []}, call) == Accepted()
    assert read({"result": True, "updated": IDS}, call) == Accepted()


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"result":true}', b' \r\n{"result" : true}\n', b'{"result":true}'])
def test_blanks_and_a_mark_of_utf8_around_the_object_do_not_matter(body: bytes) -> None:
    assert read(body) == Accepted()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_with_a_whole_body_is_read_by_its_body(status: int) -> None:
    assert read({"result": True}, status=status) == Accepted()
    assert read({"error_stack": [EXISTS]}, status=status) == Declined((EXISTS,))


def test_new_variables_are_read_like_a_plain_call() -> None:
    assert read_created(Reply(200, b'{"result":true}')) == Accepted()
    assert read_created(Reply(200, b'{"error_stack":["Unexpected token \\"COLON\\""],"requestId":"NNN"}')) == Declined(
        ('Unexpected token "COLON"',)
    )


# Errors about contacts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500, 503])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "told",
    [
        {"Error_stack": [EXISTS], "requestId": "NNN"},  # 1.7.1
        {"error_stack": [EXISTS], "requestId": "NNN"},
        {"ERROR_STACK": [EXISTS]},
        {"errors": [EXISTS]},  # 1.7.2
        {"error": [EXISTS], "result": 0},
        {"error": EXISTS, "result": 0},
        {"errors": EXISTS},
        {"errors": [EXISTS], "result": False},
        {"errors": [EXISTS], "result": None, "error": None, "error_stack": []},
    ],
)
def test_documented_errors_are_told_in_every_spelling_and_with_every_status(
    told: dict[str, Any], call: Call, status: int
) -> None:
    """1.6: error bodies may come with any status."""
    assert read(told, call, status=status) == Declined((EXISTS,))


@pytest.mark.parametrize("call", PLAIN)
def test_result_true_beside_errors_is_no_success_of_a_plain_call(call: Call) -> None:
    assert read({"result": True, "errors": [EXISTS]}, call) == Declined((EXISTS,))
    assert read({"result": True, "errors": [""]}, call) == Declined(("",))


def test_errors_of_several_containers_are_all_told() -> None:
    told = {"error": "one", "errors": ["two"], "Error_stack": ["three", "four"]}

    assert read(told) == Declined(("one", "two", "three", "four"))


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_without_result_and_errors_is_declined_and_proves_nothing(call: Call) -> None:
    for told in ({}, {"result": False}, {"result": 0}, {"result": "false"}, {"result": None}, {"status": "ok"}):
        assert read(told, call) == Declined(())


@pytest.mark.parametrize("result", [[], [True], {}, {"true": 1}, 2, -1, 0.5, 1.0, "yes", "TRUE!", "ok", ""])
@pytest.mark.parametrize("call", CALLS)
def test_anything_but_true_is_not_true(call: Call, result: Any) -> None:
    assert read({"result": result}, call) == Declined(())
    assert read({"result": result, "updated": IDS}, Call.UPDATE) == Declined(())


@pytest.mark.parametrize("call", CALLS)
def test_too_many_contacts_is_an_error_about_the_request(call: Call) -> None:
    assert read({"errors": [LIMIT]}, call) == Declined((LIMIT,))
    assert read(b"<html>too large</html>", call, status=413) == Declined((TOO_LARGE,))
    assert read(b"", call, status=413) == Declined((TOO_LARGE,))


# Counted answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", COUNTED)
@pytest.mark.parametrize(
    ("updated", "errors", "expected"),
    [
        (IDS[:2], [MISSING], Partial(2, (MISSING,))),  # 1.7.3
        ([], [MISSING] * 3, Partial(0, (MISSING,) * 3)),
        (IDS[:2], [], Partial(2, ())),
        ([], [], Partial(0, ())),
        (IDS, [MISSING], Partial(3, (MISSING,))),
        (IDS[:2], MISSING, Partial(2, (MISSING,))),
        (IDS[:2], [ARGUMENTS, ODD], Partial(2, (ARGUMENTS, ODD))),
    ],
)
def test_a_counted_answer_tells_ids_and_errors_as_they_are(
    call: Call, updated: list[str], errors: Any, expected: Partial
) -> None:
    assert read({"result": True, "updated": updated, "errors": errors}, call) == expected


@pytest.mark.parametrize(
    "updated", [[*IDS, "55a3e1f4c3"], [IDS[0], IDS[0], IDS[1]], [IDS[0]] * 3, [*IDS, IDS[0]], [IDS[0]] * 2]
)
@pytest.mark.parametrize("errors", [[], [MISSING]])
def test_too_many_or_repeated_ids_never_add_up(updated: list[str], errors: list[str]) -> None:
    answer = read({"result": True, "updated": updated, "errors": errors}, Call.UPDATE)

    assert isinstance(answer, Partial)
    assert answer.updated + len(answer.errors) > 3


def test_result_true_alone_counts_nobody_of_a_batch_update() -> None:
    assert read({"result": True}, Call.UPDATE) == Partial(0, ())
    assert read({"result": True, "updated": None}, Call.UPDATE) == Partial(0, ())
    assert read({"result": True, "updated": None, "errors": [MISSING]}, Call.UPDATE) == Declined((MISSING,))


def test_ids_without_result_true_prove_nothing() -> None:
    assert read({"updated": IDS}, Call.UPDATE) == Declined(())
    assert read({"result": False, "updated": IDS, "errors": [MISSING]}, Call.UPDATE) == Declined((MISSING,))


@pytest.mark.parametrize("updated", ["abc", 3, True, {"0": "a"}, [1, 2, 3], [None], ["a", "b", 3], [["a"]]])
def test_what_is_no_list_of_ids_is_no_answer(updated: Any) -> None:
    assert isinstance(read({"result": True, "updated": updated}, Call.UPDATE), NoAnswer)


@pytest.mark.parametrize("call", PLAIN)
def test_the_answer_of_a_batch_update_is_none_to_another_call(call: Call) -> None:
    assert isinstance(read({"result": True, "updated": IDS, "errors": []}, call), NoAnswer)


# The end of the run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("key", ["error", "errors", "error_stack", "Error_stack"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (NO_KEY, "token-refused"),
        ("Authorization needed", "token-refused"),
        ("Unauthorized", "token-refused"),
        (NO_LIST, "list-refused"),
    ],
)
def test_a_refused_token_or_list_is_fatal_in_every_spelling(
    text: str, code: str, key: str, call: Call, status: int
) -> None:
    assert read({key: text}, call, status=status) == Fatal(code, text)
    assert read({key: [EXISTS, text], "result": True}, call, status=status) == Fatal(code, text)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("told", [b"", b"<html>no</html>", b"{}", b'{"result":false}', b'{"errors":["Bad token!"]}'])
def test_a_refusal_by_status_in_unknown_words_ends_the_run_instead_of_rejecting_everybody(
    told: bytes, status: int
) -> None:
    answer = read(told, status=status)

    assert isinstance(answer, Fatal)
    assert answer.code == "token-refused"
    assert str(status) in answer.text


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_status_that_speaks_of_contacts_is_about_contacts(status: int) -> None:
    assert read({"errors": [EXISTS]}, status=status) == Declined((EXISTS,))


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
@pytest.mark.parametrize("body", [b"", b'{"result":true}', b'{"errors":["x"]}'])
def test_a_redirect_is_fatal_whatever_it_holds(status: int, body: bytes) -> None:
    answer = read(body, status=status)

    assert isinstance(answer, Fatal)
    assert answer.code == "redirected"


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("body", [b"", b"<html>Not Found</html>", b'{"detail":"Not Found"}', b'{"error":{"code":404}}'])
def test_an_address_without_the_api_is_fatal(status: int, body: bytes) -> None:
    answer = read(body, status=status)

    assert isinstance(answer, Fatal)
    assert answer.code == "not-the-api"


# No answer ------------------------------------------------------------------------------------------------------------

NOT_JSON: list[bytes] = [
    b"",
    b" ",
    b"ok",
    b"null",
    b"true",
    b"1",
    b'"true"',
    b"[]",
    b'[{"result":true}]',
    b'{"result":true',
    b'{"result":true}}',
    b'{"result":true}{"result":true}',
    b'{"result":true,}',
    b"{'result':true}",
    b"{result:true}",
    b'{"result":True}',
    b'{"result":NaN}',
    b'{"result":true,"n":Infinity}',
    b'{"result":true,"n":-Infinity}',
    b'{"result":true,"result":true}',
    b'{"result":false,"Result":true}',
    b'{"result":true,"inner":{"a":1,"a":2}}',
    b'{"result":true,"n":' + b"9" * 5000 + b"}",
    b'{"result":true,"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"result":tr',
    b"<html><body>200 OK</body></html>",
    b'\x1f\x8b\x08{"result":true}',
    b'{"result":true,"name":"\xff"}',
    b"\x00",
    b'callback({"result":true})',
    b')]}\',\n{"result":true}',
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_no_complete_json_object_is_no_answer_whatever_the_status(body: bytes, call: Call) -> None:
    for status in (200, 202, 400, 500, 502):
        answer = read(body, call, status=status)
        assert isinstance(answer, NoAnswer)
        assert (answer.status, answer.sent) == (status, True)


@pytest.mark.parametrize("errors", [1, True, {"0": "text"}, [1], ["a", None], [["a"]], {"a": []}])
def test_errors_that_are_no_texts_are_no_answer(errors: Any) -> None:
    for key in ("error", "errors", "error_stack"):
        assert isinstance(read({"result": True, key: errors}), NoAnswer)


@pytest.mark.parametrize("call", CALLS)
def test_a_fault_of_the_service_in_unknown_words_is_no_answer(call: Call) -> None:
    assert read({"error": ODD}, call, status=500) == NoAnswer(f"HTTP 500: {ODD}", status=500)
    assert read({"result": True, "updated": IDS}, call, status=502) == NoAnswer("HTTP 502", status=502)
    assert read({"errors": [EXISTS, ODD]}, call, status=500) == NoAnswer(f"HTTP 500: {EXISTS}; {ODD}", status=500)


@pytest.mark.parametrize("status", [408, 425, 429])
@pytest.mark.parametrize("body", [b"", b'{"result":true}', b'{"errors":["Unauthorized"]}'])
def test_please_come_back_is_no_answer_with_the_wait_asked_for(status: int, body: bytes) -> None:
    assert read_answer(Reply(status, body, retry_after=7.5), Call.ADD, 3) == NoAnswer(
        f"HTTP {status}", status=status, retry_after=7.5
    )


def test_a_wait_asked_for_with_another_fault_is_kept() -> None:
    assert read_answer(Reply(503, b"", retry_after=60.0), Call.ADD, 3) == NoAnswer(
        "HTTP 503: an empty body", status=503, retry_after=60.0
    )


@pytest.mark.parametrize("status", [100, 101, 199])
def test_an_interim_status_is_no_answer(status: int) -> None:
    assert isinstance(read({"result": True}, status=status), NoAnswer)


# What is kept of an answer --------------------------------------------------------------------------------------------


def test_a_long_text_is_cut() -> None:
    assert read({"errors": ["x" * 5_000_000]}) == Declined(("x" * MAX_TEXT,))


def test_an_absurd_number_of_errors_is_no_answer() -> None:
    assert isinstance(read({"errors": ["x"] * (MAX_ERRORS + 1)}), NoAnswer)
    assert read({"errors": ["x"] * MAX_ERRORS}) == Declined(("x",) * MAX_ERRORS)


def test_a_text_can_be_shown_and_stored_whatever_was_in_it() -> None:
    told = rb'{"errors":["\u001b[2J\u0000 \ud800 caf\u00e9 \ud83d\ude00\tand\nso on \u007f\u009b"]}'

    assert read(told) == Declined(("\ufffd[2J\ufffd \ufffd café 😀\tand\nso on \ufffd\ufffd",))


# Fuzz -----------------------------------------------------------------------------------------------------------------

STATUSES = st.one_of(st.sampled_from([200, 400, 401, 404, 413, 429, 500, 503]), st.integers(100, 999))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([NO_KEY, EXISTS, MISSING, ODD, "true", "1", *IDS]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["result", "Result", "updated", "errors", "error", "error_stack", "Error_stack", "requestId", "validation_errors"]
)
ALMOST_SOUND = st.fixed_dictionaries(
    {"result": st.sampled_from([True, 1, "true", 1.0, [True]])},
    optional={
        "updated": st.lists(st.sampled_from([*IDS, 1]), max_size=4),
        "errors": st.sampled_from([[], None, "", [""], {}, [ODD]]),
    },
)
OBJECTS = st.one_of(ALMOST_SOUND, st.dictionaries(KEYS, VALUES, max_size=5)).map(lambda told: json.dumps(told).encode())
NEARLY = st.builds(
    lambda body, at, cut, more: body[: at % (len(body) + 1)] + more + body[at % (len(body) + 1) + cut :],
    OBJECTS,
    st.integers(0, 200),
    st.integers(0, 3),
    st.binary(max_size=2),
)
BODIES = st.one_of(OBJECTS, NEARLY, st.binary(max_size=60))


@settings(max_examples=400, deadline=None)
@given(BODIES, STATUSES, st.sampled_from(CALLS), st.integers(0, 4))
@example(b'{"result":[]}', 200, Call.ADD, 1)
@example(b'{"result":{}}', 200, Call.UPDATE, 1)
@example(b'{"errors":["\\ud800"]}', 200, Call.ADD, 1)
def test_any_bytes_give_an_answer_that_can_be_written_down(body: bytes, status: int, call: Call, contacts: int) -> None:
    answer = read_answer(Reply(status, body), call, contacts)

    match answer:
        case Partial(_, errors) | Declined(errors):
            assert [text.encode().decode() for text in errors] == [*errors]
        case Fatal(code, text):
            assert code
            assert text.encode()
        case NoAnswer(reason):
            assert reason.encode()
        case Accepted():
            pass


@settings(max_examples=400, deadline=None)
@given(BODIES, STATUSES, st.sampled_from(CALLS), st.integers(1, 4))
def test_nothing_is_accepted_without_the_proof(body: bytes, status: int, call: Call, contacts: int) -> None:
    if read_answer(Reply(status, body), call, contacts) != Accepted():
        return

    told = {key.lower(): value for key, value in json.loads(body).items()}
    assert 200 <= status < 300
    assert told["result"] in {True, "true", "1"}
    assert not any(told.get(key) for key in ("error", "errors", "error_stack"))
    if call in COUNTED:
        assert all(isinstance(one, str) for one in told["updated"])
        assert len(told["updated"]) == len(set(told["updated"])) == contacts
    else:
        assert "updated" not in told


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=6), st.lists(st.just(MISSING), max_size=4), st.integers(1, 5))
def test_a_counted_answer_is_accepted_exactly_when_it_adds_up(ids: list[str], errors: list[str], contacts: int) -> None:
    answer = read({"result": True, "updated": ids, "errors": errors}, Call.UPDATE, contacts=contacts)

    whole = len(ids) == len(set(ids)) == contacts and not errors
    assert (answer == Accepted()) is whole


@pytest.mark.parametrize("call", CALLS)
def test_an_accepted_answer_cut_off_anywhere_is_no_answer(call: Call) -> None:
    whole = b'{"result":true,"updated":["a","b","c"]}' if call in COUNTED else b'{"result":true}'

    assert read(whole, call) == Accepted()
    assert {type(read(whole[:end], call)) for end in range(len(whole))} == {NoAnswer}
