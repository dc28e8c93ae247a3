"""Every documented text of the service is read, and every code a contact can be given is explained."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.catalogue import (
    BY_CODE,
    ENTRIES,
    TEXTS,
    Family,
    Reading,
    Stage,
    read_text,
    says_variable_exists,
    sent_again,
)
from syncengine.normalise.addresses import AddressCode
from syncengine.planning import UNREADABLE
from syncengine.sources.anatomy import Fault

FATAL_TOKEN = Reading(Family.FATAL, "token-refused")
FATAL_LIST = Reading(Family.FATAL, "list-refused")
ARGUMENTS = Reading(Family.INVALID, "arguments")

DOCUMENTED = {
    "API Key XXX does not exist.": FATAL_TOKEN,
    "Authorization needed": FATAL_TOKEN,
    "Unauthorized": FATAL_TOKEN,
    "Email list with id XXX not found": FATAL_LIST,
    "Email list with id 5537ab2a08d241dc69326b19 not found": FATAL_LIST,
    'Not valid type for argument "contacts" in query "addContactToEmailList"': ARGUMENTS,
    'Not valid type for argument "contacts" in query "addContactToEmailList': ARGUMENTS,
    "Contact with email example@domain.com already exists": Reading(
        Family.EXISTS, "already-exists", address="example@domain.com"
    ),
    "Variable name XXX not found in defined email list variables! Try to add it first!": Reading(
        Family.VARIABLE, "variable-missing", variable="XXX"
    ),
    "Invalid variable type on XXX": Reading(Family.VARIABLE, "variable-value", variable="XXX"),
    'Require "emails" arguments to query "removeContact"': ARGUMENTS,
    'Not valid type for argument "emails" in query "removeContact"': ARGUMENTS,
    'Require "contact" arguments to query "updateContact"': ARGUMENTS,
    'Require \\"contact\\" arguments to query \\"updateContact\\"': ARGUMENTS,
    'Require "contact, parameters" arguments to query "updateContact"': ARGUMENTS,
    "Contact example@domain.com not found!": Reading(Family.MISSING, "not-found", address="example@domain.com"),
    "Unable to find email example@domain.com in email list listId": Reading(
        Family.MISSING, "not-found", address="example@domain.com"
    ),
    "Unable to find email example@domain.com in email list 5537ab2a08d241dc69326b19": Reading(
        Family.MISSING, "not-found", address="example@domain.com"
    ),
    'Require "parameters" arguments to query "updateContact"': ARGUMENTS,
    'Not valid type for argument "parameters" in query "updateContact"': ARGUMENTS,
    'Invalid field "XXX" on VariableHolderInput': ARGUMENTS,
    "Current limitation is 100 contacts per request!": Reading(Family.LIMIT, "limit"),
    'Not valid type for argument "variablesMetadata" in query "addVariablesMetadata"': ARGUMENTS,
    'Not valid type for argument "variablesMetadata" in query "addVariablesMetadata': ARGUMENTS,
    'Unexpected token "COLON"': ARGUMENTS,
    'Require "templateId" arguments to query "triggerSubscription"': ARGUMENTS,
    'Unexpected token "name" of value "contacts" ("end of print statement" expected) in "__string_template__XXX" '
    "at line XXX.": ARGUMENTS,
}


@pytest.mark.parametrize(("text", "reading"), DOCUMENTED.items())
def test_a_documented_text_is_read_for_what_it_says(text: str, reading: Reading) -> None:
    assert read_text(text) == reading


@pytest.mark.parametrize("text", DOCUMENTED)
def test_case_and_surrounding_blanks_do_not_matter(text: str) -> None:
    told = read_text(f"\n  {text.upper()} ")
    assert (told.family, told.code) == (read_text(text).family, read_text(text).code)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Contact o'neil@example.com not found!", "o'neil@example.com"),
        ('Contact "a b"@example.com not found!', '"a b"@example.com'),
        ("Contact почта@пример.рф not found!", "почта@пример.рф"),
        ("Contact with email a not found@example.com already exists", "a not found@example.com"),
    ],
)
def test_the_address_is_given_as_the_service_spells_it(text: str, address: str) -> None:
    assert read_text(text).address == address


@pytest.mark.parametrize(
    "text",
    ["", "ok", "Internal server error", "contact", "Contact not found", "example@domain.com", "not found!", "NULL"],
)
def test_an_unknown_text_is_never_guessed_at(text: str) -> None:
    assert read_text(text) == Reading(Family.OTHER, "unknown-text")


@settings(deadline=None)
@given(st.text())
def test_reading_is_total_and_names_only_what_stands_in_the_text(text: str) -> None:
    reading = read_text(text)

    assert reading.code
    for named in (reading.address, reading.variable):
        assert named is None or named in text


@pytest.mark.parametrize("text", [text for text, reading in DOCUMENTED.items() if reading.family is Family.FATAL])
def test_words_that_end_a_run_do_so_only_as_the_whole_text(text: str) -> None:
    """A contact's own name or address could hold them."""
    assert read_text(f"Contact {text} not found!").family is Family.MISSING
    assert read_text(f"Somebody wrote: {text}") == Reading(Family.OTHER, "unknown-text")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Variable city already exists in list 5537ab2a08d241dc69326b19", True),
        ("variable is ALREADY defined", True),
        ("Contact with email a@example.com already exists", False),
        ("Variable name city not found in defined email list variables! Try to add it first!", False),
    ],
)
def test_a_variable_that_is_there_is_told_from_other_refusals(text: str, *, expected: bool) -> None:
    assert says_variable_exists(text) is expected


def test_each_code_is_explained_once_with_meaning_and_advice() -> None:
    assert len(BY_CODE) == len(ENTRIES)
    assert [entry.code for entry in ENTRIES if not entry.meaning or not entry.advice] == []


def test_codes_are_kebab_case() -> None:
    assert [code for code in BY_CODE if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []


def test_whatever_makes_a_row_unreadable_keeps_people_from_being_said_to_have_left() -> None:
    assert set(UNREADABLE) == set(Fault)


@pytest.mark.parametrize("code", sorted({*AddressCode, *UNREADABLE, *Fault}))
def test_a_code_that_holds_a_row_is_explained(code: str) -> None:
    assert BY_CODE[code].stage is Stage.HELD


@pytest.mark.parametrize(
    "code", sorted({text.code for text in TEXTS if text.family not in {Family.FATAL, Family.LIMIT}})
)
def test_a_code_that_a_text_gives_a_contact_is_explained(code: str) -> None:
    assert BY_CODE[code].stage is Stage.REJECTED


def test_only_what_nobody_could_tell_is_sent_again_unasked() -> None:
    again = [code for code in BY_CODE if sent_again(code)]

    assert again == ["unattributable", "no-answer", "rename-waits"]
    assert not sent_again("never-heard-of")
