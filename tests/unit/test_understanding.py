"""From a job's config and a source's header to what each column means, or to what is wrong with the two."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest

from syncengine.config.model import Job
from syncengine.errors import ConfigError, SourceError
from syncengine.model import Variable, VariableType
from syncengine.normalise.mapping import (
    ActiveRule,
    EmailRule,
    Empty,
    HoldRule,
    OnError,
    Several,
    VariableRule,
    Winner,
)
from syncengine.prepare import Understood
from syncengine.testing import FrameSource
from syncengine.understanding import understand

COLUMNS = ("Email", "Full name", "Subscribed", "City", "Дата рождения")


def source(columns: Sequence[str] = COLUMNS) -> FrameSource:
    return FrameSource(pl.DataFrame({column: [] for column in columns}), name="contacts.csv")


def job(**settings: Any) -> Job:
    return Job.model_validate(
        {
            "name": "newsletter",
            "list": "5537",
            "source": "contacts.csv",
            "consent": "source",
            "columns": {"email": "Email", "active": "Subscribed"},
            **settings,
        }
    )


def understood(
    the_job: Job,
    columns: Sequence[str] = COLUMNS,
    *,
    names: Mapping[str, str] | None = None,
    variables: Mapping[str, Variable] | None = None,
) -> tuple[Understood, dict[str, str]]:
    return understand(the_job, source(columns), names=names or {}, variables=variables or {})


# What columns mean ----------------------------------------------------------------------------------------------------


def test_without_a_table_every_other_column_becomes_a_variable_under_its_derived_name() -> None:
    result, chosen = understood(job(columns={"email": "Email", "active": "Subscribed", "name": "Full name"}))

    assert chosen == {"City": "city", "Дата рождения": "dataRozhdeniya"}
    assert result.mapping.email == EmailRule(("Email",))
    assert result.mapping.active == ActiveRule(column="Subscribed")
    assert result.mapping.name == "Full name"
    assert result.mapping.key is None
    assert result.mapping.variables == (
        VariableRule("city", "City"),
        VariableRule("dataRozhdeniya", "Дата рождения"),
    )


def test_a_column_we_wrote_for_people_is_not_read_back() -> None:
    _, chosen = understood(job(), [*COLUMNS, "# why", "#"])

    assert set(chosen) == {"Full name", "City", "Дата рождения"}


def test_a_name_chosen_before_stays_though_it_would_be_another_today() -> None:
    result, chosen = understood(job(), names={"City": "town", "Gone": "gone"})

    assert chosen["City"] == "town"
    assert VariableRule("town", "City") in result.mapping.variables


def test_a_table_takes_exactly_what_it_names() -> None:
    result, chosen = understood(
        job(
            key="Id",
            duplicates="first",
            columns={
                "email": {"column": ["Email", "Work email"], "several": "first"},
                "active": {"column": "Opted out", "invert": True, "empty": True},
            },
            variables={
                "city": "City",
                "born": {
                    "column": "Дата рождения",
                    "type": "date",
                    "formats": ["%d.%m.%Y"],
                    "empty": "skip",
                    "on_error": "blank",
                },
            },
            hold=[{"column": "Bounced", "not_empty": True}, {"column": "City", "is": ["Atlantis"]}],
        ),
        [*COLUMNS, "Id", "Work email", "Opted out", "Bounced"],
    )

    mapping = result.mapping
    assert chosen == {"City": "city", "Дата рождения": "born"}
    assert mapping.email == EmailRule(("Email", "Work email"), Several.FIRST)
    assert mapping.active == ActiveRule(column="Opted out", invert=True, empty=True)
    assert (mapping.key, mapping.winner, mapping.name) == ("Id", Winner.FIRST, None)
    assert mapping.holds == (HoldRule("Bounced", (), not_empty=True), HoldRule("City", ("Atlantis",)))
    assert mapping.variables == (
        VariableRule("city", "City"),
        VariableRule("born", "Дата рождения", VariableType.DATE, ("%d.%m.%Y",), Empty.SKIP, OnError.BLANK),
    )


def test_an_empty_table_takes_no_variables() -> None:
    result, chosen = understood(job(variables={}))

    assert (result.mapping.variables, chosen) == ((), {})


@pytest.mark.parametrize("everybody", [True, False])
def test_one_answer_may_count_for_everybody(*, everybody: bool) -> None:
    result, _ = understood(job(columns={"email": "Email", "active": everybody}))

    assert result.mapping.active == ActiveRule(constant=everybody)


# Types ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "declared", "expected"),
    [
        (None, None, None),
        (VariableType.DATE, None, VariableType.DATE),
        (VariableType.STRING, None, None),
        (VariableType.DATE, "string", VariableType.STRING),
        (VariableType.STRING, "date", VariableType.DATE),
    ],
)
def test_a_variable_the_list_has_as_a_date_takes_dates_only(
    known: VariableType | None, declared: str | None, expected: VariableType | None
) -> None:
    variables = {} if known is None else {"city": Variable("city", known)}

    result, _ = understood(job(variables={"city": {"column": "City", "type": declared}}), variables=variables)

    (rule,) = result.mapping.variables
    assert rule.type is expected


def test_a_type_decided_by_the_first_run_is_no_change_of_the_rules_in_the_second() -> None:
    first, chosen = understood(job())
    second, _ = understood(job(), names=chosen, variables={"city": Variable("city", VariableType.DATE)})

    assert first.mapping != second.mapping
    assert (first.digest, first.mapping_json) == (second.digest, second.mapping_json)


# The digest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "mirror"},
        {"mode": "update"},
        {"consent": "keep"},
        {"key": "City"},
        {"duplicates": "first"},
        {"mirror": {"on_missing": "remove"}},
        {"columns": {"email": "Email", "active": True}},
        {"columns": {"email": "Email", "active": {"column": "Subscribed", "invert": True}}},
        {"columns": {"email": "Email", "active": "Subscribed", "name": "Full name"}},
        {"variables": {"city": "City"}},
        {"variables": {"city": {"column": "City", "empty": "skip"}}},
        {"hold": [{"column": "City", "not_empty": True}]},
    ],
    ids=str,
)
def test_the_digest_changes_with_everything_that_decides_what_becomes_of_a_row(settings: dict[str, Any]) -> None:
    assert understood(job(**settings))[0].digest != understood(job())[0].digest


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "other"},
        {"list": "other"},
        {"source": "elsewhere.csv"},
        {"guard": {"max_held": "10%"}},
        {"mirror": {"max_missing": "10%"}},
    ],
    ids=str,
)
def test_the_digest_does_not_change_with_anything_else(settings: dict[str, Any]) -> None:
    assert understood(job(**settings))[0].digest == understood(job())[0].digest


def test_the_order_of_columns_and_of_the_table_does_not_matter() -> None:
    two = {"city": "City", "fullName": "Full name"}

    assert understood(job(), COLUMNS[::-1])[0].digest == understood(job())[0].digest
    assert understood(job(variables=dict(reversed(two.items()))))[0].digest == understood(job(variables=two))[0].digest


def test_the_mapping_is_kept_as_json_to_tell_later_what_changed() -> None:
    told = json.loads(understood(job(variables={"city": "City"}))[0].mapping_json)

    assert told["email"] == {"columns": ["Email"], "several": "hold"}
    assert [rule["name"] for rule in told["variables"]] == ["city"]


# What is wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": {"email": "E-mail", "active": True}}, 'no column "E-mail"; did you mean "Email"?'),
        ({"columns": {"email": "Email", "active": "Subscribd"}}, 'no column "Subscribd"; did you mean "Subscribed"?'),
        ({"columns": {"email": "Email", "active": True, "name": "zzz"}}, 'no column "zzz"'),
        ({"key": "Id"}, 'no column "Id"'),
        ({"variables": {"city": "Town"}}, 'no column "Town"'),
        ({"variables": {"a": "zzz", "b": "yyy"}}, "no column \"zzz\" (nor 'yyy')"),
        ({"hold": [{"column": "zzz", "not_empty": True}]}, 'no column "zzz"'),
    ],
)
def test_a_column_the_source_does_not_have_is_told_with_those_it_has(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError) as refused:
        understood(job(**settings))

    assert refused.value.what == f"contacts.csv: {message}"
    assert refused.value.why == 'the file has: "Email", "Full name", "Subscribed", "City", "Дата рождения"'
    assert (refused.value.code, refused.value.exit_code) == ("column-missing", 2)


def test_a_wide_source_is_told_in_part() -> None:
    with pytest.raises(SourceError) as refused:
        understood(job(), [f"Column {number}" for number in range(100)])

    assert refused.value.why.endswith('"Column 39" and 60 more')


def test_a_column_that_feeds_two_variables_is_refused() -> None:
    with pytest.raises(ConfigError, match="the column 'City' feeds two variables"):
        understood(job(variables={"city": "City", "town": {"column": "City"}}))


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        ({}, ("Email", "Subscribed", "First Name", "first_name")),
        ({}, ("Email", "Subscribed", "Регион", "Region")),
    ],
)
def test_two_columns_that_meet_in_one_name_are_refused(settings: dict[str, Any], columns: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        understood(job(**settings), columns)
