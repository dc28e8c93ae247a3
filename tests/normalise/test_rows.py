"""From raw rows to what each asks for, as far as columns, opt-outs and values that do not fit are concerned."""

from collections.abc import Sequence

import polars as pl
import pytest

from syncengine.model import VariableType
from syncengine.normalise.mapping import (
    ActiveRule,
    EmailRule,
    HoldRule,
    Mapping,
    OnError,
    Several,
    VariableRule,
)
from syncengine.normalise.names import names_a_phone
from syncengine.normalise.rows import normalise, opted_out

EVERYBODY = ActiveRule(constant=True)


def desired(mapping: Mapping, **columns: Sequence[str | None]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    rows = pl.DataFrame(
        {f"s:{name}": pl.Series(cells, dtype=pl.String) for name, cells in columns.items()}
    ).with_columns(
        pl.int_range(height, dtype=pl.UInt64).alias("ordinal"),
        pl.int_range(2, height + 2, dtype=pl.UInt64).alias("row"),
    )
    return normalise(rows.lazy(), mapping, columns=tuple(columns)).collect()


def mapped(**settings: object) -> Mapping:
    return Mapping(**{"email": EmailRule(("Email",)), "active": EVERYBODY, **settings})  # type: ignore[arg-type]


# Which of several columns has the address -----------------------------------------------------------------------------


def test_the_first_column_with_an_address_that_can_be_sent_counts() -> None:
    rows = desired(
        mapped(email=EmailRule(("Work", "Private"))),
        Work=["a@example.com", None, "n/a", "/o=ExchangeLabs/ou=x", "not one", "b@example.com"],
        Private=["z@example.com", "p@example.com", "q@example.com", "r@example.com", "nor this", "n/a"],
    )

    assert rows["email"].to_list() == [
        "a@example.com",
        "p@example.com",
        "q@example.com",
        "r@example.com",
        "not one",
        "b@example.com",
    ]
    assert rows["code"].to_list() == [None, None, None, None, "email-invalid", None]


def test_with_first_the_first_of_several_in_one_cell_counts_in_each_column() -> None:
    rows = desired(
        mapped(email=EmailRule(("Work", "Private"), Several.FIRST)),
        Work=["a@example.com; b@example.com", None],
        Private=["z@example.com", "c@example.com, d@example.com"],
    )

    assert rows["email"].to_list() == ["a@example.com", "c@example.com"]
    assert rows["code"].null_count() == 2


# Who opted out --------------------------------------------------------------------------------------------------------

CONDITIONS = [
    (HoldRule("Mail", ("Bounced", " no CONSENT ")), ["bounced", "No consent", "Subscribed", None], [1, 1, 0, 0]),
    (HoldRule("Mail", not_empty=True), ["hard bounce", " ", None, "0"], [1, 0, 0, 1]),
    (HoldRule("Mail", none_of=("Active", "")), ["ACTIVE", None, "Unsubscribed", "?"], [0, 0, 1, 1]),
    (HoldRule("Mail", none_of=("Active",)), ["active", None, "", "Bounced"], [0, 1, 1, 1]),
    (
        HoldRule("Mail", like=("unsubscribed_*", "clean?d_*.csv")),
        ["unsubscribed_email_1.csv", "CLEANED_2.csv", "subscribed_1.csv", "x unsubscribed_1"],
        [1, 1, 0, 0],
    ),
    (HoldRule("Mail", like=("a.b*", "(c)")), ["a.b", "axb", "(C)", None], [1, 0, 1, 0]),
    (HoldRule("Mail", yes=True), ["true", "Да", "0", None], [1, 1, 0, 0]),
]


@pytest.mark.parametrize(("rule", "cells", "left"), CONDITIONS)
def test_who_opted_out_is_not_subscribed_whatever_the_column_of_subscriptions_says(
    rule: HoldRule, cells: list[str | None], left: list[int]
) -> None:
    emails = [f"a{number}@example.com" for number in range(4)]
    rows = desired(mapped(opt_outs=(rule,)), Email=emails, Mail=cells)

    assert rows["active"].to_list() == [not out for out in left]
    assert rows["code"].null_count() == 4
    told = pl.DataFrame({"Mail": cells}).select(opted_out((rule,), pl.col)).to_series()
    assert told.is_not_null().to_list() == [bool(out) for out in left]


@pytest.mark.parametrize(("rule", "cells", "held"), CONDITIONS)
def test_the_same_conditions_hold_rows(rule: HoldRule, cells: list[str | None], held: list[int]) -> None:
    emails = [f"a{number}@example.com" for number in range(4)]
    rows = desired(mapped(holds=(rule,)), Email=emails, Mail=cells)

    assert rows["code"].to_list() == ["rule" if one else None for one in held]
    assert all(reason.startswith("Mail is ") for reason in rows["reason"].drop_nulls())


def test_a_word_that_is_neither_yes_nor_no_subscribes_nobody() -> None:
    rule = HoldRule("Opt out", yes=True)
    rows = desired(mapped(opt_outs=(rule,)), Email=["a@example.com", "b@example.com"], **{"Opt out": ["maybe", "no"]})

    assert rows["code"].to_list() == ["active-unreadable", None]
    assert rows["reason"][0] == 'Opt out: "maybe" is neither yes nor no'


def test_a_word_for_the_state_is_no_answer_in_an_opt_out_column() -> None:
    rows = desired(
        mapped(opt_outs=(HoldRule("Out", yes=True),)),
        Email=["a@example.com", "b@example.com"],
        Out=["unsubscribed", "subscribed"],
    )

    assert rows["code"].to_list() == ["active-unreadable"] * 2


def test_an_opt_out_beats_an_empty_cell_of_the_column_of_subscriptions() -> None:
    rows = desired(
        mapped(active=ActiveRule(column="Active"), opt_outs=(HoldRule("Out", yes=True),)),
        Email=["a@example.com", "b@example.com"],
        Active=[None, None],
        Out=["yes", "no"],
    )

    assert rows["active"].to_list() == [False, None]
    assert rows["code"].to_list() == [None, "active-empty"]


# What counts as empty -------------------------------------------------------------------------------------------------


def test_text_is_sent_as_it_is_unless_the_config_names_words_for_nothing() -> None:
    cells = ["(No value)", "n/a", "-", "Ulm"]
    emails = [f"a{number}@example.com" for number in range(4)]
    city = (VariableRule("city", "City"),)

    kept = desired(mapped(variables=city), Email=emails, City=cells)
    blanked = desired(mapped(variables=city, sentinels=("(no value)", "-")), Email=emails, City=cells)

    assert kept["v:city"].to_list() == cells
    assert blanked["v:city"].to_list() == [None, "n/a", None, "Ulm"]


@pytest.mark.parametrize("cell", ["0/0/00", "00.00.0000", "0000-00-00", "не закрыта", "-", "N/A"])
def test_what_stands_for_no_date_is_empty_in_a_column_of_dates(cell: str) -> None:
    born = VariableRule("birthDate", "Born", VariableType.DATE, ("%d.%m.%Y",))
    rows = desired(mapped(variables=(born,)), Email=["a@example.com"], Born=[cell])

    assert (rows["code"][0], rows["v:birthDate"][0]) == (None, None)


# Telephone numbers ----------------------------------------------------------------------------------------------------


def test_a_telephone_number_a_spreadsheet_has_rounded_is_held() -> None:
    phone = VariableRule("phone", "Phone", phone=True)
    rows = desired(
        mapped(variables=(phone,)),
        Email=["a@example.com", "b@example.com", "c@example.com"],
        Phone=["7.9E+10", "+1 555 0100", "7,9e10"],
    )

    assert rows["code"].to_list() == ["phone-scientific", None, "phone-scientific"]
    assert "7.9E+10" in rows["reason"][0]


def test_a_text_mark_before_a_number_is_left_out_where_a_telephone_number_is_meant_and_hides_no_rounded_one() -> None:
    phone, note = VariableRule("phone", "Phone", phone=True), VariableRule("note", "Note")
    cells = ["'+79161234567", '="+79161234567"', "'7.9E+10"]
    rows = desired(mapped(variables=(phone, note)), Email=["a@x.test", "b@x.test", "c@x.test"], Phone=cells, Note=cells)

    assert rows["code"].to_list() == [None, None, "phone-scientific"]
    assert rows["v:phone"].to_list()[:2] == ["+79161234567"] * 2
    assert rows["v:note"].to_list() == cells
    assert "'7.9E+10" in rows["reason"][2]


def test_a_rounded_number_may_be_left_out_and_is_text_in_any_other_column() -> None:
    phone = VariableRule("phone", "Phone", phone=True, on_error=OnError.BLANK)
    other = VariableRule("score", "Score")
    rows = desired(mapped(variables=(phone, other)), Email=["a@example.com"], Phone=["7.9E+10"], Score=["1E+3"])

    assert rows.select("code", "v:phone", "v:score").row(0) == (None, None, "1E+3")


@pytest.mark.parametrize(
    "column",
    [
        "Phone", "Phone Number", "Mobile Phone Number", "Мобильный телефон", "Номер факса", "Telefon", "SMS", "Tel.",
        "Person - Phone - Work", "Téléphone portable", "WhatsApp", "HomePhone", "Handy", "Phone 1 - Value",
    ],
)  # fmt: skip
def test_a_column_is_told_to_hold_telephone_numbers_by_its_name(column: str) -> None:
    assert names_a_phone(column)


@pytest.mark.parametrize("column", ["City", "Telemarketing", "Hotel", "Mobility", "Phonetic First Name", "Cellar", ""])
def test_other_columns_are_not_taken_for_telephone_numbers(column: str) -> None:
    assert not names_a_phone(column)
