"""The token is shown nowhere, in whatever form it is echoed."""

import base64
import copy
import json
import pickle
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.redaction import MASK, Secret, hide_addresses, mask_addresses, scrub, scrub_bytes

VALUE = 's3cr3t/with+odd=chars"\\&~'
TOKEN = Secret(VALUE)
TOKENS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)

ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": lambda token: token,
    "in JSON": lambda token: json.dumps(token)[1:-1],
    "in PHP's JSON": lambda token: json.dumps(token)[1:-1].replace("/", "\\/"),
    "in JSON, every character escaped": lambda token: "".join(f"\\u{ord(one):04x}" for one in token),
    "in JSON, in capitals": lambda token: "".join(f"\\u{ord(one):04X}" for one in token),
    "in a query": lambda token: urllib.parse.quote(token, safe=""),
    "in a path": urllib.parse.quote,
    "in a query, in small letters": lambda token: "".join(f"%{ord(one):02x}" for one in token),
    "in base64": lambda token: base64.b64encode(token.encode()).decode(),
}


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{!r:>40}".format,
        "{0:>40}".format,
        lambda secret: f"{secret}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # as logging does
        lambda secret: str({"token": [secret]}),
        lambda secret: str(ValueError(secret)),
    ],
)
def test_a_token_is_not_shown_by_accident(show: Callable[[Secret], str]) -> None:
    shown = show(TOKEN)

    assert VALUE not in shown
    assert MASK in shown


@pytest.mark.parametrize("leak", [pickle.dumps, json.dumps, copy.copy, vars])
def test_what_would_copy_a_token_fails(leak: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError):
        leak(TOKEN)


def test_a_token_is_revealed_only_when_asked_for_by_name() -> None:
    assert TOKEN.reveal() == VALUE
    assert Secret(VALUE) == TOKEN
    assert VALUE != TOKEN
    assert len({TOKEN, Secret(VALUE), Secret("another one")}) == 2


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("12345678", True),
        ("a" * 512, True),
        (VALUE, True),
        ("", False),
        ("1234567", False),
        ("a" * 513, False),
        ("with blank", False),
        ("12345678\n", False),
        ("токен-токен", False),
        ("12345678\x7f", False),
    ],
)
def test_a_token_that_no_header_can_carry_is_told(value: str, *, valid: bool) -> None:
    assert Secret(value).looks_valid() is valid


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_an_echo_is_masked_and_the_rest_stays(echo: Callable[[str], str]) -> None:
    text = f'{{"errors":["API Key {echo(VALUE)} does not exist."],"é":"{echo(VALUE)}"}}'
    masked = '{"errors":["API Key *** does not exist."],"é":"***"}'

    assert scrub(text, TOKEN) == masked
    assert scrub_bytes(text.encode(), TOKEN) == masked.encode()


@settings(deadline=None)
@given(TOKENS, st.sampled_from(sorted(ECHOES)), st.text(max_size=20), st.text(max_size=20))
def test_any_token_is_masked_in_any_form(token: str, form: str, before: str, after: str) -> None:
    echo = ECHOES[form](token)
    text = f"{before}{echo}{after}"

    assert echo not in scrub(text, Secret(token))
    assert echo.encode() not in scrub_bytes(text.encode(), Secret(token))


@settings(deadline=None)
@given(TOKENS, st.sampled_from(sorted(ECHOES)))
def test_a_token_echoed_in_json_is_not_there_after_parsing(token: str, form: str) -> None:
    body = json.dumps({"errors": [f"API Key {ECHOES[form](token)} does not exist."]}).encode()

    assert token not in json.loads(scrub_bytes(body, Secret(token)))["errors"][0]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters=VALUE)))
def test_a_text_without_the_token_stays_as_it_is(text: str) -> None:
    assert scrub(text, TOKEN) == text
    assert scrub_bytes(text.encode(), TOKEN) == text.encode()


def test_several_tokens_are_masked_each() -> None:
    assert scrub("first-one and second-one", Secret("first-one"), Secret("second-one")) == "*** and ***"


def test_an_empty_token_masks_nothing() -> None:
    assert scrub("text", Secret("")) == "text"
    assert scrub_bytes(b"text \\ %", Secret("")) == b"text \\ %"


# Addresses ------------------------------------------------------------------------------------------------------------

ADDRESSES = [
    "anna@example.com",
    "a@example.com",
    "anna+news@mail.example.co.uk",
    "o'neil@example.com",
    "анна@пример.example.com",
    "anna@xn--bcher-kva.example.com",
    "ANNA@EXAMPLE.COM",
    "anna_b%c@example.com",
]
AROUND = ["{}", "<{}>", "({})", '"{}"', "'{}'", "mailto:{}", "email={};", "x,{},y", "[{}]", "Contact {} not found!"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", AROUND)
def test_no_address_is_left_in_a_text(around: str, address: str) -> None:
    hidden = hide_addresses(around.format(address))

    assert "@" not in hidden
    assert "<address>" in hidden


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("anna@example.com", "a***@example.com"),
        ('email  "anna@example.com" -> "bert@example.org"', 'email  "a***@example.com" -> "b***@example.org"'),
        ("no address here", "no address here"),
        ("@ alone, a@ and @b", "@ alone, a@ and @b"),
        ("", ""),
    ],
)
def test_a_masked_address_keeps_its_first_letter_and_domain(text: str, masked: str) -> None:
    assert mask_addresses(text) == masked


@settings(deadline=None)
@given(st.text(), st.sampled_from(ADDRESSES), st.text())
def test_hiding_never_fails_and_hides_what_stands_apart(before: str, address: str, after: str) -> None:
    assert address not in hide_addresses(f"{before} {address} {after}")
    mask_addresses(f"{before} {address} {after}")
