"""From what the cells of a file are to what its columns are taken for."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.inspection.deciding import Decision, Use, decide
from syncengine.inspection.profile import ColumnProfile, profile_chunk
from syncengine.model import VariableType
from syncengine.normalise.mapping import ActiveRule, HoldRule

EMAILS = ("a@example.com", "b@example.com", "c@example.com", None)


def profiles(**columns: Sequence[str | None]) -> dict[str, ColumnProfile]:
    return profile_chunk(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)), tuple(columns))


def decided(**columns: Sequence[str | None]) -> Decision:
    return decide(profiles(Email=EMAILS, **columns), None)


def uses(decision: Decision) -> dict[str, Use]:
    return {column.header: column.use for column in decision.columns}


# Profiles -------------------------------------------------------------------------------------------------------------


def test_a_profile_counts_what_the_cells_are() -> None:
    found = profiles(
        Mixed=["a@example.com", "b@example.com; c@example.com", "7.9E+10", "yes", "n/a", "31.12.2024", "0/0/00", " "]
    )["Mixed"]

    assert (found.rows, found.filled, found.addresses, found.several, found.rounded, found.yes_no) == (8, 7, 1, 1, 1, 1)
    assert (found.dates.counts, found.no_dates, found.sentinels) == ({"%d.%m.%Y": 1}, 2, {"n/a": 1})
    assert found.values is not None
    assert len(found.values) == 7


def test_a_column_with_many_or_long_values_lists_none() -> None:
    found = profiles(Many=[str(number) for number in range(13)], Long=["x" * 61, *[None] * 12])

    assert found["Many"].values is None
    assert found["Long"].values is None


CELLS = st.lists(
    st.one_of(
        st.none(), st.sampled_from(["yes", "n/a", "a@example.com", "1E+5", "03/04/2025", "2024-05-01", "-", "x"])
    ),
    max_size=20,
)


@settings(deadline=None)
@given(one=CELLS, other=CELLS)
def test_profiles_of_chunks_add_up_to_that_of_the_whole(one: list[str | None], other: list[str | None]) -> None:
    assert profiles(C=one)["C"] + profiles(C=other)["C"] == profiles(C=one + other)["C"]


# Roles ----------------------------------------------------------------------------------------------------------------


def test_the_address_is_found_by_the_cells_though_the_header_says_nothing() -> None:
    decision = decide(profiles(A=["x", "y"], B=["a@example.com", "b@example.com; c@example.com"]), None)

    assert uses(decision) == {"A": Use.VARIABLE, "B": Use.EMAIL}


def test_a_second_column_of_addresses_is_told_and_not_fallen_back_on_unasked() -> None:
    decision = decided(**{"Manager's mail": ["m@example.com"] * 4})

    assert uses(decision) == {"Email": Use.EMAIL, "Manager's mail": Use.VARIABLE}
    assert any("holds addresses too" in note for note in decision.notes)


def test_without_addresses_there_is_no_mapping() -> None:
    assert decide(profiles(Name=["Ann"], City=["Ulm"]), None).mapping is None


@pytest.mark.parametrize(
    ("header", "cells", "rule"),
    [
        ("Unsubscribed", ["yes", "no", None, None], HoldRule("Unsubscribed", code="opted-out", yes=True)),
        ("Email Opt Out", [None] * 4, HoldRule("Email Opt Out", code="opted-out", yes=True)),
        ("Unsubscribed at", ["2024-05-01", None, None, None], HoldRule("Unsubscribed at", (), True, "opted-out")),
        ("Bounce reason", [None] * 4, HoldRule("Bounce reason", (), True, "opted-out")),
        ("EMAIL_BLACKLISTED", ["Yes", "No", "No", "No"], HoldRule("EMAIL_BLACKLISTED", code="opted-out", yes=True)),
        ("Отписан", ["Да", "Нет", "Нет", "Нет"], HoldRule("Отписан", code="opted-out", yes=True)),
        ("Abgemeldet", ["ja", "nein", "nein", "nein"], HoldRule("Abgemeldet", code="opted-out", yes=True)),
    ],
)
def test_a_column_called_like_an_opt_out_is_one_though_it_may_be_empty_today(
    header: str, cells: list[str | None], rule: HoldRule
) -> None:
    decision = decided(**{header: cells})

    assert decision.mapping is not None
    assert decision.mapping.opt_outs == (rule,)
    assert decision.mapping.active == ActiveRule(constant=True)
    assert decision.notes == ()


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("Subscribed", ["yes", "no", "yes", None]),
        ("Status", ["subscribed", "unsubscribed", "cleaned", "active"]),
        ("Newsletter", ["1", "0", "1", "1"]),
        ("Подписан на рассылку", ["да", "нет", "да", "да"]),
        ("Marketing consent", ["Y", "N", "Y", "Y"]),
    ],
)
def test_a_column_of_answers_that_is_called_like_a_subscription_says_who_is_subscribed(
    header: str, cells: list[str | None]
) -> None:
    decision = decided(**{header: cells})

    assert decision.mapping is not None
    assert decision.mapping.active == ActiveRule(column=header)


@pytest.mark.parametrize(
    "header",
    [
        "Отказ от рассылки", "Не беспокоить", "Відписаний", "Werbesperre", "Keine E-Mails", "Désinscrit",
        "Ne pas contacter", "Disiscritto", "Dado de baja", "Cancelada la suscripción", "Descadastrado", "Uitgeschreven",
        "Afgemeld", "Wypisany", "Rezygnacja z newslettera", "Odhlášen", "Abonelikten çıktı", "Avregistrerad",
        "Fecha de baja",
    ],
)  # fmt: skip
def test_an_opt_out_is_known_in_the_languages_in_which_the_crms_write_their_headers(header: str) -> None:
    decision = decided(**{header: ["1", None, None, None]})

    assert decision.mapping is not None
    assert [rule.column for rule in decision.mapping.opt_outs] == [header]


@pytest.mark.parametrize(
    "header",
    [
        "Согласие на рассылку", "Einwilligung", "Consentement marketing", "Consentimiento", "Consenso",
        "Zgoda marketingowa", "Toestemming", "Souhlas", "Inscrito",
    ],
)  # fmt: skip
def test_a_consent_is_known_in_those_languages_too(header: str) -> None:
    decision = decided(**{header: ["1", "0", "1", "1"]})

    assert decision.mapping is not None
    assert decision.mapping.active == ActiveRule(column=header)


@pytest.mark.parametrize("header", ["Trabajador", "Rebaja", "Annullierungen", "Anmeldung am", "Пол", "Listino"])
def test_words_that_only_contain_such_a_word_say_nothing(header: str) -> None:
    decision = decided(**{header: ["1", "0", "1", "1"]})

    assert decision.mapping is not None
    assert (decision.mapping.opt_outs, decision.mapping.active) == ((), ActiveRule(constant=True))


@pytest.mark.parametrize(("header", "cells"), [("Status", ["gold", "silver", "tin", "iron"]), ("City", ["yes"] * 4)])
def test_other_columns_say_nothing_about_subscriptions_and_that_is_told(header: str, cells: list[str | None]) -> None:
    decision = decided(**{header: cells})

    assert decision.mapping is not None
    assert decision.mapping.active == ActiveRule(constant=True)
    assert decision.notes[0].startswith("no column of this file says who unsubscribed or agreed")


# Types ----------------------------------------------------------------------------------------------------------------


def test_a_column_is_of_dates_when_nine_of_ten_cells_are() -> None:
    dates = [f"{day:02}.05.1990" for day in range(1, 19)]
    most = decide(profiles(Email=["a@example.com"] * 20, Born=[*dates, "unknown", "?"]), None)
    fewer = decide(profiles(Email=["a@example.com"] * 20, Born=[*dates[:16], *["unknown"] * 4]), None)

    (born,) = most.used(Use.VARIABLE)
    assert (born.kind, born.formats, born.note) == ("date", ("%d.%m.%Y",), "%d.%m.%Y · 10% are no dates")
    (born,) = fewer.used(Use.VARIABLE)
    assert (born.kind, born.note) == ("text", "80% are dates: %d.%m.%Y")


def test_an_order_that_only_a_person_can_tell_is_a_question_and_left_out() -> None:
    decision = decided(Born=["03/04/1990", "05/06/1991", None, None])

    (born,) = decision.used(Use.QUESTION)
    assert (born.name, born.formats) == ("born", ("%d/%m/%Y", "%m/%d/%Y"))
    assert "03/04/1990" in born.note
    assert decision.mapping is not None
    assert decision.mapping.variables == ()


def test_sentinels_are_taken_from_the_cells_but_for_those_that_are_names() -> None:
    decision = decided(City=["n/a", "Ulm", "Rom", "Bonn"], Surname=["Null", "None", "Ann", "Bob"])

    assert decision.mapping is not None
    assert decision.mapping.sentinels == ("n/a",)


def test_names_that_meet_or_are_reserved_get_others_that_can_stay() -> None:
    decision = decided(**{"Регион": ["a"] * 4, "Region": ["b"] * 4, "User ID": ["1"] * 4, "Empty": [None] * 4})

    names = {column.header: column.name for column in decision.columns if column.use is Use.VARIABLE}
    assert names == {"Регион": "region", "Region": "regionTwo", "User ID": "crmUserId"}
    assert uses(decision)["Empty"] is Use.EMPTY


def test_types_are_told_with_what_they_follow_from() -> None:
    decision = decided(
        Phone=["7.9E+10", "+1 555 0100", None, None],
        Seen=["2024-05-01 10:00:00", "2024-05-02 11:00:00", None, None],
        Mobile=["'+1 555 0100", '="8 916"', "'7.9E+10", "8"],
    )

    phone, seen, mobile = decision.used(Use.VARIABLE)
    assert (mobile.kind, mobile.note) == ("phone", "25% rounded (7.9E+10) · 75% begin with ' or =\", which is left out")
    assert (phone.kind, phone.note) == ("phone", "50% rounded (7.9E+10)")
    assert (seen.kind, seen.note) == ("date", "YYYY-MM-DD · the time of day is left out")
    assert decision.mapping is not None
    assert [rule.type for rule in decision.mapping.variables] == [None, VariableType.DATE, None]
