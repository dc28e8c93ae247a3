"""An error is given to the one contact it names, and to nobody where it names none, two, or a stranger."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.attribution import AddressBook, attribute
from syncengine.catalogue import Family

BATCH = (
    "neil@example.com",
    "o'neil@example.com",
    "anna@bücher.example.com",
    "berta@xn--bcher-kva.example.com",
    "Carla@Example.com",
    "dora@example.com.ua",
    "dora@example.com",
    "x-dora@example.com",
    "dora+news@example.com",
    "почта@пример.example.org",
    '"emil quoted"@example.com',
)
BOOK = AddressBook((address,) for address in BATCH)
EVERYBODY = range(len(BATCH))


def blamed(text: str) -> str | None:
    """The address of the batch that `text` is about, if it is about one."""
    blame = attribute([text], EVERYBODY, BOOK)
    assert len(blame.named) + len(blame.unnamed) == 1
    return next((BATCH[position] for position in blame.named), None)


# One address ----------------------------------------------------------------------------------------------------------

TEMPLATES = (
    "Unable to find email {} in email list listId",
    "Unable to find email {} in email list 5537ab2a08d241dc69326b19",
    "Contact with email {} already exists",
    "Contact {} not found!",
    "{} is on the black list",
    "no mail to {}",
    "blocked: <{}>",
    "blocked ({}), try later",
    'the address "{}" is blocked',
    "the address '{}' is blocked",
    "the address `{}` is blocked",
    "email={};reason=blocked",
    "we will never write to {}.",
    "why {}?",
    "line one\n{}\nline three",
)


@pytest.mark.parametrize("address", BATCH)
@pytest.mark.parametrize("template", TEMPLATES)
def test_an_error_that_names_one_contact_is_its_own(template: str, address: str) -> None:
    assert blamed(template.format(address)) == address


@pytest.mark.parametrize("template", TEMPLATES)
def test_case_does_not_matter_in_what_the_service_echoes(template: str) -> None:
    assert blamed(template.format("CARLA@EXAMPLE.COM")) == "Carla@Example.com"


@pytest.mark.parametrize(
    ("echoed", "address"),
    [
        ("anna@xn--bcher-kva.example.com", "anna@bücher.example.com"),
        ("berta@bücher.example.com", "berta@xn--bcher-kva.example.com"),
        ("ANNA@BÜCHER.example.com", "anna@bücher.example.com"),
        ("ПОЧТА@пример.example.org", "почта@пример.example.org"),
        ("почта@xn--e1afmkfd.example.org", "почта@пример.example.org"),
        ("anna@bu\N{COMBINING DIAERESIS}cher.example.com", "anna@bücher.example.com"),
    ],
)
def test_a_domain_in_unicode_or_xn_spelling_is_the_same_contact(echoed: str, address: str) -> None:
    assert blamed(f"Contact {echoed} not found!") == address


@pytest.mark.parametrize("echoed", ["  dora@example.com  ", "'dora@example.com'", '"dora@example.com"'])
def test_blanks_and_quotes_around_an_address_are_not_part_of_it(echoed: str) -> None:
    assert blamed(f"Contact {echoed} not found!") == "dora@example.com"
    assert blamed(f"Unable to find email {echoed} in email list listId") == "dora@example.com"


def test_a_rename_answers_to_both_of_its_addresses() -> None:
    book = AddressBook([("old@example.com", "new@example.com"), ("other@example.com",)])

    blame = attribute(["Contact old@example.com not found!", "new@example.com is taken"], (0, 1), book)

    assert (set(blame.named), blame.repeated) == ({0}, 1)


# Addresses within addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stranger",
    [
        "d'neil@example.com",
        "mc.neil@example.com",
        "mc-neil@example.com",
        "mc+neil@example.com",
        "mc_neil@example.com",
        "mc%neil@example.com",
        "mc&neil@example.com",
        "mc!neil@example.com",
        "mc#neil@example.com",
        "mc~neil@example.com",
        "mc/neil@example.com",
        "ineil@example.com",
        "яneil@example.com",
        "neil@example.com.au",
        "neil@example.company",
        "neil@example.com-mail.org",
        "neil@example.comя",
        "nobody@example.org",
    ],
)
@pytest.mark.parametrize("template", TEMPLATES)
def test_an_address_that_is_not_of_the_batch_blames_nobody(template: str, stranger: str) -> None:
    assert blamed(template.format(stranger)) is None


def test_the_longest_address_is_taken_first_whatever_the_order_of_the_batch() -> None:
    for addresses in (BATCH, BATCH[::-1]):
        book = AddressBook((address,) for address in addresses)
        assert book.mentioned("x-dora@example.com is blocked") == {addresses.index("x-dora@example.com")}


# Several, none --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Internal server error",
        'Not valid type for argument "contacts" in query "addContactToEmailList"',
        "neil@example.com and dora@example.com are blocked",
        "neil@example.com,dora@example.com",
        "o'neil@example.com, nobody@example.org",
        "neil@ example.com",
        "neil at example.com",
    ],
)
def test_an_error_that_names_nobody_or_two_blames_nobody(text: str) -> None:
    assert blamed(text) is None


def test_one_contact_named_twice_in_a_text_is_named_once() -> None:
    assert blamed("dora@example.com can't be merged with Dora@Example.com") == "dora@example.com"


def test_a_second_error_about_a_contact_is_counted_and_blames_nobody_else() -> None:
    texts = [
        "Contact neil@example.com not found!",
        "neil@example.com is blocked",
        "Contact NEIL@example.com not found!",
    ]

    blame = attribute(texts, EVERYBODY, BOOK)

    assert {position: complaint.text for position, complaint in blame.named.items()} == {0: texts[0]}
    assert (blame.unnamed, blame.repeated) == ((), 2)


def test_a_contact_of_the_batch_that_was_not_asked_about_is_a_stranger() -> None:
    blame = attribute(["Contact neil@example.com not found!"], [1, 2], BOOK)

    assert blame.named == {}
    assert [complaint.reading.family for complaint in blame.unnamed] == [Family.MISSING]


# Properties -----------------------------------------------------------------------------------------------------------

LOCAL = st.from_regex(r"[abcno](?:['.+_-]?[abcno]){0,4}", fullmatch=True)
ADDRESSES = st.lists(LOCAL.map(lambda local: f"{local}@example.com"), min_size=1, max_size=12, unique=True)


@settings(deadline=None)
@given(ADDRESSES, st.data())
def test_whoever_stands_in_a_text_is_found_however_alike_the_others(addresses: list[str], data: st.DataObject) -> None:
    named = data.draw(st.sets(st.sampled_from(range(len(addresses)))))
    book = AddressBook((address,) for address in addresses)

    text = " and ".join(addresses[position] for position in sorted(named))

    assert book.mentioned(f"blocked: {text}.") == named


@settings(deadline=None)
@given(ADDRESSES, LOCAL)
def test_a_stranger_however_alike_is_never_taken_for_a_contact(addresses: list[str], local: str) -> None:
    stranger = f"{local}@example.com"
    book = AddressBook((address,) for address in addresses if address != stranger)

    assert not book.mentioned(f"blocked: {stranger}.")
    assert book.find(stranger) is None


@settings(deadline=None)
@given(ADDRESSES, st.lists(st.text(), max_size=5))
def test_every_error_is_shared_out_exactly_once(addresses: list[str], texts: list[str]) -> None:
    book = AddressBook((address,) for address in addresses)
    told = [*texts, *(f"Contact {address} not found!" for address in addresses)]

    blame = attribute(told, range(len(addresses)), book)

    assert len(blame.named) + len(blame.unnamed) + blame.repeated == len(told)
    assert set(blame.named) == set(range(len(addresses)))
