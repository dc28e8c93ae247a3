"""A text is about a person if their address stands in it, in any spelling, and not if it is a part of another's."""

import pytest

from syncengine.person import Person


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com",
        "  Ann@Example.COM ",
        "Contact with email ANN@example.com already exists",
        "Contact ann@example.com not found!",
        "see <ann@example.com>, or mailto:ann@example.com.",
        "'ann@example.com'",
    ],
)
def test_an_address_is_found_in_whatever_it_stands(text: str) -> None:
    assert Person("ann@example.com").is_in(text)
    assert Person(" ANN@Example.com").is_in(text)


@pytest.mark.parametrize(
    "text",
    ["joann@example.com", "ann@example.com.au", "ann@example.community", "mary-ann@example.com", "o.ann@example.com",
     "ann+x@example.com", "ann", "example.com", ""],
)  # fmt: skip
def test_another_address_that_holds_it_is_another_s(text: str) -> None:
    assert not Person("ann@example.com").is_in(text)


@pytest.mark.parametrize("typed", ["почта@пример.рф", "ПОЧТА@Пример.рф", "почта@xn--e1afmkfd.xn--p1ai"])
def test_a_domain_in_letters_and_in_its_ascii_form_is_the_same(typed: str) -> None:
    person = Person(typed)

    assert person.is_in("Contact почта@пример.рф not found!")
    assert person.is_in("Contact почта@xn--e1afmkfd.xn--p1ai not found!")


@pytest.mark.parametrize("typed", ["o'neil@example.com", "a+b.c@example.com", '"a b"@example.com'])
def test_odd_characters_are_taken_as_they_are(typed: str) -> None:
    assert Person(typed).is_in(f"Contact {typed} not found!")


def test_what_is_no_address_is_found_nowhere() -> None:
    assert not Person("nonsense").is_in("nonsense is not an address")


def test_a_value_of_json_is_searched_to_its_end() -> None:
    person = Person("ann@example.com")

    assert person.is_within({"run": 7, "what": [{"text": "x"}, {"text": ["Ann@example.com"]}]})
    assert not person.is_within({"run": 7, "what": [None, True, {"text": "bob@example.com"}]})
