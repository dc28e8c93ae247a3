"""What is an event, and what it says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.webhooks.events import MAX_BODY, BadEventError, StrangeListError, read_event

LIST = "5537ab2a08d241dc69326b19"
NOW = 1_800_000_000.5


def told(**changes: Any) -> bytes:
    body = {"event": "removed", "email": "a@example.com", "datetime": 1483010763, "contactId": "x", "emailListId": LIST}
    return json.dumps({name: value for name, value in (body | changes).items() if value is not None}).encode()


def test_the_two_documented_bodies_are_read() -> None:
    message = b'{"datetime":1234567890,"event":"read","email":"example@domain.com","id":"m"}'

    one = read_event(message, lists={LIST}, now=NOW)
    other = read_event(told(), lists={LIST}, now=NOW)

    assert (one.event, one.address, one.list, one.about, one.lowers) == ("read", "example@domain.com", "", "m", False)
    assert one.happened_at == int(NOW)  # 2009: before the service existed
    assert (other.event, other.list, other.happened_at, other.about, other.lowers) == (
        "removed", LIST, 1483010763, "x", True,
    )  # fmt: skip


@pytest.mark.parametrize("event", ["unsubscribed", "removed", "hard", "complaint", "list-unsubscribe"])
def test_these_take_consent_away(event: str) -> None:
    assert read_event(told(event=event), lists={LIST}, now=NOW).lowers


@pytest.mark.parametrize("event", ["subscribed", "read", "click", "soft", "reject"])
def test_these_say_nothing_about_consent(event: str) -> None:
    assert not read_event(told(event=event), lists={LIST}, now=NOW).lowers


def test_a_message_event_is_about_the_address_on_every_list() -> None:
    assert read_event(told(event="complaint", emailListId="whatever"), lists={LIST}, now=NOW).list == ""


def test_v3_names_the_list_otherwise_and_adds_members() -> None:
    body = told(emailListId=None, contactListId=LIST, userId="u", headers={"x": [1]})

    assert read_event(body, lists={LIST}, now=NOW).list == LIST


@pytest.mark.parametrize(
    ("written", "happened_at"),
    [
        (1483010763, 1483010763),
        ("1483010763", 1483010763),  # PHP
        (1483010763.0, 1483010763),
        (0, int(NOW)),
        (999_999_999_999, int(NOW)),
        (int(NOW) + 200, int(NOW)),
        (int(NOW) + 301, int(NOW)),
        (1_262_303_999, int(NOW)),
    ],
)
def test_w2_a_time_that_cannot_be_is_taken_as_now(written: object, happened_at: int) -> None:
    assert read_event(told(datetime=written), lists={LIST}, now=NOW).happened_at == happened_at


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body: json_invalid"),
        (b"null", "body: model_type"),
        (b"[]", "body: model_type"),
        (b'"text"', "body: model_type"),
        (b"{", "body: json_invalid"),
        (b"\xff\xfe", "body: json_invalid"),
        (b"[" * (MAX_BODY // 2) + b"]" * (MAX_BODY // 2), "body: json_invalid"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "body: json_invalid"),
        (b'{"datetime":' + b"9" * 5000 + b"}", "body: json_invalid"),
        (told(event=None), "event: missing"),
        (told(email=None), "email: missing"),
        (told(datetime=None), "datetime: missing"),
        (told(event="viber-failed"), "event: unknown"),
        (told(event=7), "event: string_type"),
        (told(email=["a@example.com"]), "email: string_type"),
        (told(email="x" * 400 + "@example.com"), "email: string_too_long"),
        (told(email="nobody"), "email: no address"),
        (told(email="a@b@example.com"), "email: no address"),
        (told(email="a\n@example.com"), "email: no address"),
        (told(email="a\x00@example.com"), "email: no address"),
        (told(datetime=True), "datetime: value_error"),
        (told(datetime=1.5), "datetime: int_type"),
        (told(datetime=-1), "datetime: greater_than_equal"),
        (told(datetime=10**13), "datetime: less_than_equal"),
        (told(datetime="yesterday"), "datetime: int_type"),
        (told(datetime={}), "datetime: int_type"),
        (told(contactId="x" * 129), "contactId: string_too_long"),
    ],
)
def test_w4_what_is_no_event_is_told_apart_without_quoting_it(body: bytes, reason: str) -> None:
    with pytest.raises(BadEventError) as refused:
        read_event(body, lists={LIST}, now=NOW)

    assert str(refused.value) == reason


@pytest.mark.parametrize("list_id", ["", None, "66486cc19f8da4ba27bbff16", LIST.upper()])
def test_w3_a_contact_event_about_another_list_is_strange(list_id: str | None) -> None:
    with pytest.raises(StrangeListError):
        read_event(told(emailListId=list_id), lists={LIST}, now=NOW)


def test_w2_copies_have_one_digest_and_others_have_others() -> None:
    first = read_event(told(), lists={LIST}, now=NOW)
    spaced = read_event(json.dumps(json.loads(told()), indent=4).encode(), lists={LIST}, now=NOW + 100)
    others = [
        read_event(told(**change), lists={LIST, "L2"}, now=NOW)
        for change in ({"event": "unsubscribed"}, {"datetime": 1483010764}, {"contactId": "y"}, {"emailListId": "L2"})
    ]

    assert first.digest == spaced.digest
    assert len({first.digest, *(other.digest for other in others)}) == 5


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_w4_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    with pytest.raises(BadEventError):
        read_event(body, lists={LIST}, now=NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("event", "email", "datetime", "id", "emailListId"), json_values))
)
def test_w4_no_json_does_more_than_be_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadEventError):
        read_event(json.dumps(body).encode(), lists={LIST}, now=NOW)
