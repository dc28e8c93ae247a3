"""A frozen plan as people see it: numbers, a few differences with nobody named, and every difference as a file."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from syncengine.frames import (
    EMAIL,
    FIELD_LIST,
    FIELDS,
    FINGERPRINT,
    KEY,
    KEY_HASH,
    KNOWN,
    LEVEL,
    NOT_BEFORE,
    OP,
    ROW,
)
from syncengine.frozen import PlanWriter
from syncengine.model import Op, Variable, VariableType
from syncengine.normalise.mapping import ActiveRule, EmailRule, Empty, HoldRule, Mapping, VariableRule
from syncengine.plan_view import mapping_changes, samples, view_plan, write_differences
from syncengine.planning import PlanFacts
from syncengine.prepare import Prepared

Difference = tuple[str, str | None, str | None]
Change = tuple[Op, str, list[Difference]]


def prepared(folder: Path, changes: Sequence[Change] = (), **facts: Any) -> Prepared:
    writer = PlanWriter(folder, batch_size=2)
    if changes:
        writer.change(frame(changes))
    numbers = {"rows": 10, "same": 3, "held": {"duplicate": 2}, "planned": {"update": 5}, "fields": {"city": 5}}
    return Prepared(
        "0198aaaa",
        writer.freeze({}),
        PlanFacts(**{**numbers, "variables": (), "known": 8, **facts}),
        source_digest="xxh3:1",
        generation=1,
        columns=("Email", "City"),
        source={
            "name": "contacts.csv",
            "facts": {"encoding": "utf-8", "separator": ";"},
            "warnings": ["odd line ends"],
        },
        rules="",
        terms="",
        mapping_json="{}",
    )


def frame(changes: Sequence[Change]) -> pl.DataFrame:
    names = pl.Series(KEY, [email for _, email, _ in changes], dtype=pl.String)
    count = len(changes)
    return pl.DataFrame(
        {
            ROW: pl.Series(range(2, count + 2), dtype=pl.UInt64),
            KEY: names,
            KEY_HASH: pl.Series(range(count), dtype=pl.UInt64),
            EMAIL: names,
            FINGERPRINT: pl.Series(range(count), dtype=pl.UInt64),
            OP: [op.value for op, _, _ in changes],
            KNOWN: [bool(fields) for _, _, fields in changes],
            LEVEL: pl.Series([0] * count, dtype=pl.UInt32),
            NOT_BEFORE: [0.0] * count,
            FIELDS: pl.Series(
                [
                    [{"field": field, "before": old, "after": new} for field, old, new in fields]
                    for _, _, fields in changes
                ],
                dtype=FIELD_LIST,
            ),
        }
    )


def view(plan: Prepared, **settings: Any) -> dict[str, Any]:
    return view_plan(
        plan, "newsletter", "5537", **{"synced": "", "rate": 5.0, "why": [], "show_pii": False, **settings}
    )


CITY: list[Difference] = [("city", "Almaty", "Astana")]

# Numbers --------------------------------------------------------------------------------------------------------------


def test_a_plan_is_shown_with_all_its_numbers(tmp_path: Path) -> None:
    changes: list[Change] = [(Op.UPDATE, f"user{number}@example.com", CITY) for number in range(5)]
    plan = prepared(
        tmp_path,
        changes,
        variables=(Variable("city", VariableType.STRING), Variable("born", VariableType.DATE)),
        dates={"born": (1_200, 1_200), "city": (3_000, 2)},
        gone=1_234,
        spared="this is the job's first run",
    )

    assert view(plan, synced="yesterday", why=["because"]) == {
        "job": "newsletter",
        "list": "5537",
        "run": "0198aaaa",
        "source": "contacts.csv",
        "rows": 10,
        "columns": 2,
        "facts": ["encoding: utf-8", "separator: ;"],
        "warnings": [
            "odd line ends",
            "1,234 contacts are not in the source and are left alone: this is the job's first run",
        ],
        "known": 8,
        "synced": "yesterday",
        "why": ["because"],
        "variables": [
            ("city", "string", "3,000 values, 2 of them dates"),
            ("born", "date", "1,200 values, all dates"),
        ],
        "planned": {"add": 0, "update": 5, "rename": 0, "unsubscribe": 0, "remove": 0},
        "same": 3,
        "held": {"duplicate": 2},
        "fields": {"city": 5},
        "samples": ['~ u***@example.com  city  "Almaty" -> "Astana"'] * 5,
        "differences": None,
        "requests": 4,  # three batches of two, and one for the variables
        "estimate": 0.8,
        "rate": 5.0,
        "resumed": False,
        "left": "",
    }


def test_a_plan_without_changes_needs_no_requests(tmp_path: Path) -> None:
    shown = view(prepared(tmp_path, planned={}, fields={}))

    assert (shown["requests"], shown["estimate"], shown["samples"]) == (0, 0.0, [])


def test_a_plan_taken_up_again_says_so(tmp_path: Path) -> None:
    assert view(replace(prepared(tmp_path), resumed=True))["resumed"] is True


# Samples --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (CITY, '~ a***@example.com  city  "Almaty" -> "Astana"'),
        ([("city", None, "Astana")], '~ a***@example.com  city  (empty) -> "Astana"'),
        ([("city", "Almaty", "")], '~ a***@example.com  city  "Almaty" -> (empty)'),
        (
            [("email", "anna@example.com", "bert@example.org")],
            '~ a***@example.com  email  "a***@example.com" -> "b***@example.org"',
        ),
        ([("note", "x" * 40, "y" * 41)], f'~ a***@example.com  note  "{"x" * 40}" -> "{"y" * 37}…"'),
        (
            [(name, "1", "2") for name in "abcd"],
            '~ a***@example.com  a  "1" -> "2" · b  "1" -> "2" · c  "1" -> "2"',
        ),
    ],
)
def test_a_sample_names_nobody_and_stays_short(tmp_path: Path, fields: list[Difference], line: str) -> None:
    assert samples(prepared(tmp_path, [(Op.UPDATE, "anna@example.com", fields)]), show_pii=False) == [line]


def test_a_person_may_ask_for_addresses(tmp_path: Path) -> None:
    changes: list[Change] = [(Op.RENAME, "new@example.com", [("email", "old@example.com", "new@example.com")])]

    assert samples(prepared(tmp_path, changes), show_pii=True) == [
        '~ new@example.com  email  "old@example.com" -> "new@example.com"'
    ]


def test_only_contacts_that_have_differences_are_sampled_and_only_a_few(tmp_path: Path) -> None:
    changes: list[Change] = [
        *((Op.ADD, f"add{number}@example.com", []) for number in range(5)),
        (Op.UPDATE, "unknown@example.com", []),  # mode = "update": nothing is known of it
        *((Op.UPDATE, f"update{number}@example.com", CITY) for number in range(9)),
        *((Op.RENAME, f"rename{number}@example.com", CITY) for number in range(2)),
        (Op.REMOVE, "remove@example.com", []),
    ]
    plan = prepared(tmp_path, changes)

    shown = samples(plan, show_pii=True)

    assert [line.split()[1] for line in shown] == [
        "rename0@example.com",
        "rename1@example.com",
        "update0@example.com",
        "update1@example.com",
        "update2@example.com",
    ]
    assert len(samples(plan, show_pii=True, most=1)) == 1


# Differences as a file ------------------------------------------------------------------------------------------------


def test_every_difference_is_a_line_of_the_file(tmp_path: Path) -> None:
    changes: list[Change] = [
        (Op.ADD, "add@example.com", []),
        (Op.UPDATE, "a@example.com", [("city", "Almaty", "Astana"), ("name", None, 'Ann "A", B\nC')]),
        (Op.RENAME, "b@example.com", [("email", "x@example.com", "b@example.com")]),
    ]
    target = tmp_path / "differences.csv"

    assert write_differences(prepared(tmp_path, changes), target) == 3

    with target.open(encoding="utf-8", newline="") as file:
        lines = [*csv.reader(file)]
    assert lines == [
        ["row", "key", "op", "field", "before", "after"],
        ["4", "b@example.com", "rename", "email", "x@example.com", "b@example.com"],
        ["3", "a@example.com", "update", "city", "Almaty", "Astana"],
        ["3", "a@example.com", "update", "name", "", 'Ann "A", B\nC'],
    ]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_formula_is_only_text_there(tmp_path: Path) -> None:
    changes: list[Change] = [(Op.UPDATE, "=a@example.com", [("city", "@old", "=1+1")])]

    write_differences(prepared(tmp_path, changes), tmp_path / "differences.csv")

    assert (tmp_path / "differences.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        "2,'=a@example.com,update,city,'@old,'=1+1"
    ]


def test_a_plan_without_differences_writes_no_file(tmp_path: Path) -> None:
    plan = prepared(tmp_path, [(Op.ADD, "add@example.com", [])])

    assert write_differences(plan, tmp_path / "differences.csv") == 0
    assert not (tmp_path / "differences.csv").exists()


# What changed in the mapping ------------------------------------------------------------------------------------------

MAPPING = Mapping(
    EmailRule(("Email",)),
    ActiveRule(column="Subscribed"),
    variables=(VariableRule("city", "City"), VariableRule("born", "Born")),
)


def as_json(mapping: Mapping) -> str:
    return json.dumps(asdict(mapping))


def changed(**fields: Any) -> list[str]:
    return mapping_changes(as_json(MAPPING), as_json(replace(MAPPING, **fields)))


def test_the_same_mapping_or_none_before_is_nothing_to_tell() -> None:
    assert changed() == []
    assert mapping_changes(None, as_json(MAPPING)) == []


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"variables": (*MAPPING.variables, VariableRule("plan", "Tarif"))},
            '  + plan, from the column "Tarif"',
        ),
        (
            {"variables": (VariableRule("city", "City"),)},
            "  - born is no longer fed; the list keeps the values it has",
        ),
        (
            {"variables": (VariableRule("city", "Town", empty=Empty.SKIP), VariableRule("born", "Born"))},
            "  ~ city: column 'City' -> 'Town', empty 'clear' -> 'skip'",
        ),
        ({"name": "Full name"}, "  ~ name: None -> Full name"),
        ({"key": "Id"}, "  ~ key: None -> Id"),
        ({"holds": (HoldRule("Status", ("x",)),)}, "  ~ the rules of [[job.hold]]"),
    ],
)
def test_what_changed_in_the_mapping_is_told_in_a_line(fields: dict[str, Any], line: str) -> None:
    first, *lines = changed(**fields)

    assert first == (
        "The mapping changed since the last run: contacts are sent again only where their content changes."
    )
    assert lines == [line]


def test_all_changes_are_told_together() -> None:
    lines = changed(name="Name", variables=(VariableRule("city", "Town"), VariableRule("plan", "Plan")))

    assert [line[:4] for line in lines[1:]] == ["  + ", "  - ", "  ~ ", "  ~ "]
