"""What differs between what the source wants and what the list holds, and nothing else, is sent."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.diff import SAME, departures, diff
from syncengine.fold import snapshot_rows
from syncengine.frames import (
    ACTIVE,
    ADDRESS,
    AFTER,
    CONFIRMED_AT,
    CONTACT,
    EMAIL,
    FIELDS,
    FINGERPRINT,
    IN_DOUBT,
    KEY,
    KEY_HASH,
    KNOWN,
    LEFT_SOURCE,
    NAME,
    OP,
    ORDINAL,
    ORIGIN,
    ROW,
    SNAPSHOT_SCHEMA,
    SOURCE,
    VARIABLES,
    variable_column,
)
from syncengine.model import Consent, Op, VariableType
from syncengine.normalise.addresses import address_key
from syncengine.normalise.mapping import Empty, VariableRule
from syncengine.normalise.rows import key_hashes
from syncengine.suppression import moved

NOW = datetime(2026, 5, 1, tzinfo=UTC)

CITY = VariableRule("city", "City")
PLAN = VariableRule("plan", "Plan", empty=Empty.SKIP)
NOTE = VariableRule("note", "Note", empty=Empty.SEND)
BORN = VariableRule("born", "Born", type=VariableType.DATE)
RULES = (CITY, PLAN, NOTE, BORN)


@dataclass(frozen=True)
class Wanted:
    """A row of the source, normalised. `variables` are the cells that are not empty."""

    key: str
    email: str
    name: str | None = None
    active: bool = True
    variables: dict[str, str] = field(default_factory=dict)
    fingerprint: int = 77


@dataclass(frozen=True)
class Held:
    """A contact of the list, as far as confirmed."""

    key: str
    email: str
    name: str | None = None
    active: bool = True
    variables: dict[str, str] = field(default_factory=dict)
    fingerprint: int = 77


def as_json(variables: dict[str, str]) -> str:
    pairs = [{"name": name, "value": value} for name, value in sorted(variables.items())]
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


def desired(rows: Sequence[Wanted], rules: Sequence[VariableRule] = RULES) -> pl.DataFrame:
    keys = pl.Series(KEY, [row.key for row in rows], dtype=pl.String)
    cells = {
        variable_column(rule.name): [
            row.variables.get(rule.name, "" if rule.empty is Empty.SEND else None) for row in rows
        ]
        for rule in rules
    }
    return pl.DataFrame(
        {
            ORDINAL: range(len(rows)),
            ROW: range(2, len(rows) + 2),
            KEY: keys,
            KEY_HASH: key_hashes(keys),
            EMAIL: [row.email for row in rows],
            ADDRESS: [address_key(row.email) for row in rows],
            NAME: [row.name for row in rows],
            ACTIVE: [row.active for row in rows],
            **cells,
            FINGERPRINT: [row.fingerprint for row in rows],
            SOURCE: [{"Email": row.email} for row in rows],
        },
        schema={
            ORDINAL: pl.UInt64,
            ROW: pl.UInt64,
            KEY: pl.String,
            KEY_HASH: pl.UInt64,
            EMAIL: pl.String,
            ADDRESS: pl.String,
            NAME: pl.String,
            ACTIVE: pl.Boolean,
            **dict.fromkeys(cells, pl.String),
            FINGERPRINT: pl.UInt64,
            SOURCE: pl.Struct({"Email": pl.String}),
        },
    )


def snapshot(contacts: Sequence[Held]) -> pl.DataFrame:
    keys = pl.Series(KEY, [contact.key for contact in contacts], dtype=pl.String)
    return pl.DataFrame(
        {
            KEY: keys,
            KEY_HASH: key_hashes(keys),
            EMAIL: [contact.email for contact in contacts],
            ADDRESS: [address_key(contact.email) for contact in contacts],
            NAME: [contact.name for contact in contacts],
            ACTIVE: [contact.active for contact in contacts],
            VARIABLES: [as_json(contact.variables) for contact in contacts],
            FINGERPRINT: [contact.fingerprint for contact in contacts],
            ORIGIN: ["sync"] * len(contacts),
            CONFIRMED_AT: [NOW] * len(contacts),
        },
        schema=SNAPSHOT_SCHEMA,
    )


def compare(
    wanted: Sequence[Wanted],
    held: Sequence[Held] | pl.DataFrame,
    *,
    rules: Sequence[VariableRule] = RULES,
    named: bool = True,
    consent: Consent = Consent.SOURCE,
    off: Sequence[str] = (),
) -> pl.DataFrame:
    known = held if isinstance(held, pl.DataFrame) else snapshot(held)
    return diff(
        desired(wanted, rules),
        known,
        variables=rules,
        named=named,
        consent=consent,
        off=pl.Series("off", list(off), dtype=pl.String),
    )


def only(changes: pl.DataFrame) -> dict[str, object]:
    (row,) = changes.rows(named=True)
    return row


def told(fields: object) -> list[tuple[str, str | None, str | None]]:
    assert isinstance(fields, list)
    return [(one["field"], one["before"], one["after"]) for one in fields]


# One contact ----------------------------------------------------------------------------------------------------------


def test_a_contact_the_state_does_not_have_is_added_with_all_it_has() -> None:
    row = only(compare([Wanted("a", "A@example.com", "Anna", variables={"city": 'O"slo', "plan": "x"})], []))

    assert (row[OP], row[KNOWN], row[EMAIL], row[CONTACT]) == ("add", False, "A@example.com", "A@example.com")
    assert (row[NAME], row[ACTIVE], row[FINGERPRINT]) == ("Anna", True, 77)
    assert row[VARIABLES] == as_json({"city": 'O"slo', "note": "", "plan": "x"})
    assert (row[AFTER], row[FIELDS]) == (row[VARIABLES], [])


def test_a_contact_that_differs_is_updated_and_the_differences_are_told() -> None:
    row = only(
        compare(
            [Wanted("a", "a@example.com", "Anna", active=False, variables={"city": "Oslo", "born": "1990-01-02"})],
            [Held("a", "a@example.com", "Ann", variables={"city": "Rome", "note": "", "other": "kept"})],
        )
    )

    assert (row[OP], row[KNOWN], row[CONTACT]) == ("update", True, "a@example.com")
    assert told(row[FIELDS]) == [
        ("active", "true", "false"),
        ("born", None, "1990-01-02"),
        ("city", "Rome", "Oslo"),
        ("name", "Ann", "Anna"),
    ]
    assert row[VARIABLES] == as_json({"born": "1990-01-02", "city": "Oslo", "note": ""})
    assert row[AFTER] == as_json({"born": "1990-01-02", "city": "Oslo", "note": "", "other": "kept"})


@pytest.mark.parametrize(
    ("rule", "before", "cell", "op", "after"),
    [
        (CITY, "Rome", None, "update", ""),
        (CITY, "", None, SAME, ""),
        (CITY, None, None, SAME, None),
        (CITY, None, "Oslo", "update", "Oslo"),
        (CITY, "Oslo", "Oslo", SAME, "Oslo"),
        (PLAN, "gold", None, SAME, "gold"),
        (PLAN, None, None, SAME, None),
        (PLAN, "gold", "iron", "update", "iron"),
        (NOTE, "old", None, "update", ""),
        (NOTE, None, None, "update", ""),
        (NOTE, "", None, SAME, ""),
        (BORN, "1990-01-02", None, SAME, "1990-01-02"),
        (BORN, None, None, SAME, None),
        (BORN, "1990-01-02", "1991-01-02", "update", "1991-01-02"),
    ],
)
def test_an_empty_cell_clears_leaves_or_is_a_value_as_its_rule_says(
    rule: VariableRule, before: str | None, cell: str | None, op: str, after: str | None
) -> None:
    row = only(
        compare(
            [Wanted("a", "a@example.com", variables={} if cell is None else {rule.name: cell})],
            [Held("a", "a@example.com", variables={} if before is None else {rule.name: before})],
            rules=[rule],
        )
    )

    assert row[OP] == op
    assert row[AFTER] == as_json({} if after is None else {rule.name: after})


def test_a_variable_no_column_feeds_is_neither_compared_nor_sent() -> None:
    held = Held("a", "a@example.com", variables={"city": "Rome", "other": "x", "plan": "gold"})

    row = only(compare([Wanted("a", "a@example.com", variables={"city": "Oslo"})], [held], rules=[CITY]))

    assert told(row[FIELDS]) == [("city", "Rome", "Oslo")]
    assert row[VARIABLES] == as_json({"city": "Oslo"})
    assert row[AFTER] == as_json({"city": "Oslo", "other": "x", "plan": "gold"})


@pytest.mark.parametrize("rules", [(), (CITY,)])
def test_a_source_without_variables_compares_the_rest(rules: tuple[VariableRule, ...]) -> None:
    held = [Held("a", "a@example.com", "Ann", variables={"other": "x"})]

    assert only(compare([Wanted("a", "a@example.com", "Ann")], held, rules=rules))[OP] == SAME
    row = only(compare([Wanted("a", "a@example.com", "Anna")], held, rules=rules))
    assert (row[OP], row[VARIABLES], row[AFTER]) == ("update", "[]", as_json({"other": "x"}))


@pytest.mark.parametrize(
    ("before", "cell", "op", "sent"),
    [
        ("Ann", "Anna", "update", "Anna"),
        ("Ann", None, "update", ""),
        ("", None, SAME, None),
        (None, None, SAME, None),
        (None, "Anna", "update", "Anna"),
        ("Anna", "Anna", SAME, "Anna"),
    ],
)
def test_a_name_is_compared_and_cleared(before: str | None, cell: str | None, op: str, sent: str | None) -> None:
    row = only(compare([Wanted("a", "a@example.com", cell)], [Held("a", "a@example.com", before)], rules=()))

    assert (row[OP], row[NAME]) == (op, sent)


def test_where_no_column_feeds_the_name_the_one_the_list_has_is_sent_again() -> None:
    changes = compare(
        [Wanted("a", "a@example.com", active=False), Wanted("b", "b@example.com")],
        [Held("a", "a@example.com", "Ann"), Held("b", "b@example.com", "Ben")],
        rules=(),
        named=False,
    )

    assert changes.select(OP, NAME).rows() == [("update", "Ann"), (SAME, "Ben")]


# Addresses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["ANNA@Example.com", "anna@EXAMPLE.COM", "Anna@example.com"])
def test_another_spelling_of_an_address_is_no_change(spelling: str) -> None:
    held = Held("anna@example.com", "anna@example.com", "Anna")

    row = only(compare([Wanted("anna@example.com", spelling, "Anna")], [held], rules=()))

    assert (row[OP], row[EMAIL], row[CONTACT]) == (SAME, "anna@example.com", "anna@example.com")


def test_a_domain_in_unicode_or_xn_spelling_is_no_change_either() -> None:
    key = "anna@xn--bcher-kva.example.com"

    assert only(compare([Wanted(key, "anna@bücher.example.com")], [Held(key, key)], rules=()))[OP] == SAME


def test_an_update_speaks_of_the_contact_as_the_list_spells_it() -> None:
    row = only(compare([Wanted("a@example.com", "A@Example.com", "New")], [Held("a@example.com", "a@EXAMPLE.com")]))

    assert (row[OP], row[CONTACT], row[EMAIL]) == ("update", "a@EXAMPLE.com", "a@EXAMPLE.com")


def test_another_address_under_the_same_id_is_a_rename_with_all_else_in_it() -> None:
    row = only(
        compare(
            [Wanted("id-1", "New@example.com", "Anna", variables={"city": "Oslo"})],
            [Held("id-1", "Old@example.com", "Ann", variables={"city": "Rome"})],
            rules=[CITY],
        )
    )

    assert (row[OP], row[KNOWN]) == ("rename", True)
    assert (row[CONTACT], row[EMAIL], row[ADDRESS]) == ("Old@example.com", "New@example.com", "new@example.com")
    assert told(row[FIELDS]) == [
        ("city", "Rome", "Oslo"),
        ("email", "Old@example.com", "New@example.com"),
        ("name", "Ann", "Anna"),
    ]
    assert row[VARIABLES] == as_json({"city": "Oslo"})


# Consent --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consent", "known", "is_off", "wants", "gets"),
    [
        # the file decides, but for those the service reported
        (Consent.SOURCE, None, False, True, True),
        (Consent.SOURCE, None, False, False, False),
        (Consent.SOURCE, False, False, True, True),
        (Consent.SOURCE, True, False, False, False),
        (Consent.SOURCE, None, True, True, False),
        (Consent.SOURCE, True, True, True, False),
        (Consent.SOURCE, False, True, True, False),
        # SmartSender decides; the file may only lower
        (Consent.KEEP, None, False, True, True),
        (Consent.KEEP, True, False, True, True),
        (Consent.KEEP, True, False, False, False),
        (Consent.KEEP, False, False, True, False),
        (Consent.KEEP, False, False, False, False),
        (Consent.KEEP, True, True, True, False),
        (Consent.KEEP, None, True, True, False),
    ],
)
def test_the_consent_ratchet(consent: Consent, *, known: bool | None, is_off: bool, wants: bool, gets: bool) -> None:
    held = [] if known is None else [Held("a", "A@example.com", active=known)]
    off = ["a@example.com"] if is_off else []

    row = only(compare([Wanted("a", "A@example.com", active=wants)], held, rules=(), consent=consent, off=off))

    assert row[ACTIVE] is gets
    assert (row[OP] == SAME) is (known is gets)
    # what the row says and what is sent are two things then: the row is looked at again in every run
    assert (row[FINGERPRINT] == 77) is not (wants and not gets)


# Departures -----------------------------------------------------------------------------------------------------------

GONE = [
    Held("c", "C@example.com", "Carl", variables={"city": "Oslo"}, fingerprint=5),
    Held("a", "a@example.com", active=False, fingerprint=6),
    Held("b", "b@example.com", fingerprint=7),
]


def test_who_left_the_source_is_unsubscribed_with_all_else_as_it_is() -> None:
    changes = departures(snapshot(GONE), Op.UNSUBSCRIBE)

    assert changes.select(KEY, OP, EMAIL, CONTACT, NAME, ACTIVE, VARIABLES, FINGERPRINT, ROW).rows() == [
        ("b", "unsubscribe", "b@example.com", "b@example.com", None, False, "[]", LEFT_SOURCE, None),
        (
            "c",
            "unsubscribe",
            "C@example.com",
            "C@example.com",
            "Carl",
            False,
            as_json({"city": "Oslo"}),
            LEFT_SOURCE,
            None,
        ),
    ]
    assert changes[AFTER].equals(changes[VARIABLES].alias(AFTER))
    assert [told(fields) for fields in changes[FIELDS].to_list()] == [[("active", "true", "false")]] * 2


def test_who_is_to_be_removed_is_removed_subscribed_or_not() -> None:
    changes = departures(snapshot(GONE), Op.REMOVE)

    assert changes.select(KEY, OP, ACTIVE).rows() == [(key, "remove", False) for key in "abc"]


@pytest.mark.parametrize("op", [Op.UNSUBSCRIBE, Op.REMOVE])
def test_departures_have_the_columns_of_every_change(op: Op) -> None:
    changes = compare([Wanted("x", "x@example.com")], [])
    gone = departures(snapshot(GONE), op)

    assert gone.drop(SOURCE).schema == changes.drop(SOURCE).schema
    assert departures(snapshot([]), op).schema == gone.schema


# In doubt -------------------------------------------------------------------------------------------------------------


def test_a_contact_in_doubt_is_sent_whole_though_nothing_about_it_differs() -> None:
    """The list may hold what an unanswered request asked for: a value where the snapshot has none, and a name."""
    held = Held("a", "a@example.com", None, variables={"city": "Oslo"}, fingerprint=IN_DOUBT)
    wanted = Wanted("a", "a@example.com", variables={"city": "Oslo"})
    rules = (VariableRule("city", "City"), VariableRule("town", "Town"))

    row = only(compare([wanted], [held], rules=rules))

    assert (row[OP], row[NAME], json.loads(row[VARIABLES])) == (
        "update",
        "",
        [{"name": "city", "value": "Oslo"}, {"name": "town", "value": ""}],
    )


def test_a_contact_in_doubt_that_moves_is_renamed() -> None:
    held = Held("a", "a@example.com", fingerprint=IN_DOUBT)

    assert only(compare([Wanted("a", "b@example.com")], [held], rules=()))[OP] == "rename"


def test_who_left_in_doubt_is_unsubscribed_whatever_the_state_says() -> None:
    gone = snapshot(
        [Held("a", "a@example.com", active=False, fingerprint=IN_DOUBT), Held("b", "b@example.com", active=False)]
    )

    assert departures(gone, Op.UNSUBSCRIBE)[KEY].to_list() == ["a"]


def test_who_was_unsubscribed_for_leaving_and_comes_back_is_what_the_source_says() -> None:
    away = snapshot_rows(departures(snapshot(GONE), Op.UNSUBSCRIBE), origin="sync", at=NOW)

    back = compare([Wanted("b", "b@example.com", fingerprint=7)], away, rules=())
    kept = compare([Wanted("b", "b@example.com", fingerprint=7)], away, rules=(), consent=Consent.KEEP)

    assert (only(back)[OP], only(back)[ACTIVE]) == ("update", True)
    assert (only(kept)[OP], only(kept)[ACTIVE]) == (SAME, False)


# Properties -----------------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.sampled_from(["", "x", "y", 'quo"ted', "back\\slash", "line\nbreak", "O'Neil", "Дата 😀", "null", "[]"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=4),
)
FILLED = VALUES.filter(bool)
NAMES = st.one_of(st.none(), FILLED)
SET_OF_RULES = st.sets(st.sampled_from(RULES)).map(lambda rules: sorted(rules, key=lambda rule: rule.column))
KEYS = st.sampled_from([f"id-{number}" for number in range(12)])


def addresses(tag: str) -> st.SearchStrategy[str]:
    return st.sampled_from([tag, tag.upper(), tag.capitalize()])


@st.composite
def wanted_contacts(draw: st.DrawFn, moving: float) -> Wanted:
    key = draw(KEYS)
    tag = f"{key}-moved" if draw(st.floats(0, 1)) < moving else key
    return Wanted(
        key,
        f"{draw(addresses(tag))}@example.com",
        draw(NAMES),
        draw(st.booleans()),
        draw(st.dictionaries(st.sampled_from([rule.name for rule in RULES]), FILLED)),
        draw(st.integers(3, 2**64 - 1)),
    )


@st.composite
def held_contacts(draw: st.DrawFn) -> Held:
    key = draw(KEYS)
    return Held(
        key,
        f"{draw(addresses(key))}@example.com",
        draw(st.one_of(st.none(), VALUES)),
        draw(st.booleans()),
        draw(st.dictionaries(st.sampled_from([*(rule.name for rule in RULES), "other"]), VALUES)),
        draw(st.integers(0, 2**64 - 1).filter(lambda number: number != IN_DOUBT)),
    )


WANTED = st.lists(wanted_contacts(moving=0.3), max_size=12, unique_by=lambda one: one.key)
HELD = st.lists(held_contacts(), max_size=12, unique_by=lambda one: one.key)
OFF = st.sets(KEYS.map(lambda key: f"{key}@example.com"), max_size=4).map(sorted)
CIRCUMSTANCES = st.fixed_dictionaries(
    {"rules": SET_OF_RULES, "named": st.booleans(), "consent": st.sampled_from(Consent), "off": OFF}
)


def expected(
    want: Wanted, held: Held | None, rules: Sequence[VariableRule], *, named: bool, consent: Consent, off: Sequence[str]
) -> Held:
    """What the list should hold then, in the words of the design; the reference the code is compared with."""
    addresses = {address_key(want.email), *([address_key(held.email)] if held else [])}
    active = want.active and not addresses & set(off)
    cells = {rule.name: want.variables.get(rule.name, "" if rule.empty is Empty.SEND else None) for rule in rules}
    filled = {name: cell for name, cell in cells.items() if cell is not None}
    if held is None:
        return Held(want.key, want.email, want.name if named else None, active, filled)
    cleared = {
        rule.name: ""
        for rule in rules
        if cells[rule.name] is None
        and rule.name in held.variables
        and rule.empty is Empty.CLEAR
        and rule.type is not VariableType.DATE
    }
    moved = address_key(want.email) != address_key(held.email)
    return Held(
        want.key,
        want.email if moved else held.email,
        want.name if named else held.name,
        active and (held.active or consent is Consent.SOURCE),
        held.variables | filled | cleared,
    )


def plain(held: Held) -> tuple[str, str, bool, dict[str, str]]:
    """A contact without what is no difference: no name is an empty name."""
    return held.email, held.name or "", held.active, held.variables


def read(variables: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in json.loads(variables)}


def carried_out(changes: pl.DataFrame, contacts: Sequence[Held]) -> dict[str, Held]:
    """The list after every change was carried out as it was sent: what a request leaves out stays."""
    by_key = {contact.key: contact for contact in contacts}
    for row in changes.filter(pl.col(OP) != SAME).iter_rows(named=True):
        before = by_key.get(row[KEY])
        assert (before is None) == (row[OP] == "add")
        assert before is None or before.email == row[CONTACT]
        by_key[row[KEY]] = Held(
            row[KEY],
            row[EMAIL],
            row[NAME] if row[NAME] is not None else before.name if before else None,
            row[ACTIVE],
            (before.variables if before else {}) | read(row[VARIABLES]),
        )
    return by_key


@settings(deadline=None, max_examples=60)
@given(WANTED, HELD, CIRCUMSTANCES)
def test_carrying_out_the_changes_on_the_list_gives_what_was_wanted(
    wanted: list[Wanted],
    held: list[Held],
    circumstances: dict[str, object],
) -> None:
    changes = compare(wanted, held, **circumstances)  # type: ignore[arg-type]
    after = carried_out(changes, held)

    before = {contact.key: contact for contact in held}
    for want in wanted:
        reference = expected(want, before.get(want.key), **circumstances)  # type: ignore[arg-type]
        assert plain(after[want.key]) == plain(reference)
    for key in before.keys() - {want.key for want in wanted}:
        assert after[key] == before[key]


@settings(deadline=None, max_examples=60)
@given(WANTED, HELD, CIRCUMSTANCES)
def test_the_state_after_the_changes_is_what_the_list_holds_and_a_second_diff_is_empty(
    wanted: list[Wanted], held: list[Held], circumstances: dict[str, object]
) -> None:
    changes = compare(wanted, held, **circumstances)  # type: ignore[arg-type]
    on_list = carried_out(changes, held)
    state = snapshot_rows(changes, origin="sync", at=NOW)

    for row in state.iter_rows(named=True):
        recorded = Held(row[KEY], row[EMAIL], row[NAME], row[ACTIVE], read(row[VARIABLES]))
        assert plain(recorded) == plain(on_list[row[KEY]])
        assert row[ADDRESS] == address_key(row[EMAIL])
    off = pl.Series("off", circumstances["off"], dtype=pl.String)
    taken_along = [new for _, new in moved(changes, off)]
    again = compare(wanted, state, **circumstances | {"off": [*off, *taken_along]})  # type: ignore[arg-type]
    assert again[OP].to_list() == [SAME] * len(wanted)


@settings(deadline=None, max_examples=30)
@given(HELD, SET_OF_RULES, st.sampled_from(Consent))
def test_a_diff_of_the_list_with_itself_is_empty(held: list[Held], rules: list[VariableRule], consent: Consent) -> None:
    sound = [replace(one, variables={"note": "", **one.variables}) for one in held]
    wanted = [
        Wanted(
            one.key,
            one.email.swapcase(),
            one.name,
            one.active,
            {name: value for name, value in one.variables.items() if value},
            one.fingerprint,
        )
        for one in sound
    ]

    changes = compare(
        wanted, sound, rules=[rule for rule in rules if rule is not PLAN and rule is not BORN], consent=consent
    )

    assert changes[OP].to_list() == [SAME] * len(sound)
    assert changes[FIELDS].list.len().sum() == 0


@settings(deadline=None, max_examples=30)
@given(WANTED, HELD, CIRCUMSTANCES)
def test_what_is_told_as_different_is_exactly_what_differs(
    wanted: list[Wanted], held: list[Held], circumstances: dict[str, object]
) -> None:
    before = {contact.key: contact for contact in held}

    for row in compare(wanted, held, **circumstances).filter(pl.col(KNOWN)).iter_rows(named=True):  # type: ignore[arg-type]
        want = next(one for one in wanted if one.key == row[KEY])
        was = before[row[KEY]]
        now = expected(want, was, **circumstances)  # type: ignore[arg-type]
        differences = {name for name in now.variables if now.variables[name] != was.variables.get(name)}
        differences |= {"email"} if now.email != was.email else set()
        differences |= {"name"} if (now.name or "") != (was.name or "") else set()
        differences |= {"active"} if now.active != was.active else set()
        assert [name for name, _, _ in told(row[FIELDS])] == sorted(differences)
        assert row[OP] == (SAME if not differences else "rename" if "email" in differences else "update")


@settings(deadline=None, max_examples=30)
@given(WANTED, HELD, CIRCUMSTANCES)
def test_only_mapped_variables_are_sent_and_nobody_is_raised_who_must_not_be(
    wanted: list[Wanted], held: list[Held], circumstances: dict[str, object]
) -> None:
    was_on = {contact.key: contact.active for contact in held}
    mapped = {rule.name for rule in circumstances["rules"]}  # type: ignore[attr-defined]

    for row in compare(wanted, held, **circumstances).iter_rows(named=True):  # type: ignore[arg-type]
        assert read(row[VARIABLES]).keys() <= mapped
        assert not (row[ACTIVE] and row[ADDRESS] in circumstances["off"])  # type: ignore[operator]
        if circumstances["consent"] is Consent.KEEP and was_on.get(row[KEY]) is False:
            assert row[ACTIVE] is False


@settings(deadline=None, max_examples=15)
@given(WANTED, HELD, CIRCUMSTANCES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    wanted: list[Wanted], held: list[Held], circumstances: dict[str, object], chance: random.Random
) -> None:
    changes = compare(wanted, held, **circumstances)  # type: ignore[arg-type]
    shuffled = held.copy()
    chance.shuffle(shuffled)
    strangers = [Held("never-asked-for", "z@example.com")]

    assert compare(wanted, [*shuffled, *strangers], **circumstances).equals(changes)  # type: ignore[arg-type]
    assert changes[ORDINAL].to_list() == [*range(len(wanted))]


def plainly(
    want: Wanted, was: Held, rules: Sequence[VariableRule], *, named: bool, consent: Consent, off: Sequence[str]
) -> dict[str, object]:
    """The change of a known contact, said without frames: one variable after the other, from JSON to JSON."""
    in_doubt = was.fingerprint == IN_DOUBT
    active = want.active and not {address_key(want.email), address_key(was.email)} & set(off)
    active = active and (was.active or consent is Consent.SOURCE)
    name = want.name if named else was.name
    sent, told = {}, {}
    for rule in rules:
        before = was.variables.get(rule.name)
        cell = want.variables.get(rule.name, "" if rule.empty is Empty.SEND else None)
        if cell is None and rule.empty is Empty.CLEAR and rule is not BORN and (in_doubt or before is not None):
            cell = ""
        if cell is not None and cell != before:
            told[rule.name] = (before, cell)
        if cell is not None or before is not None:
            sent[rule.name] = cell if cell is not None else before
    moves = address_key(want.email) != address_key(was.email)
    told |= {EMAIL: (was.email, want.email)} if moves else {}
    told |= {NAME: (was.name, name or "")} if (name or "") != (was.name or "") else {}
    told |= {ACTIVE: (str(was.active).lower(), str(active).lower())} if active != was.active else {}
    return {
        OP: SAME if not told and not in_doubt else "rename" if moves else "update",
        EMAIL: want.email if moves else was.email,
        CONTACT: was.email,
        NAME: "" if name is None and (in_doubt or was.name) else name,
        ACTIVE: active,
        VARIABLES: as_json(sent),  # type: ignore[arg-type]
        AFTER: as_json(was.variables | sent),  # type: ignore[operator]
        FIELDS: [{"field": one, "before": told[one][0], "after": told[one][1]} for one in sorted(told)],
    }


@settings(deadline=None, max_examples=15)
@given(WANTED, HELD, CIRCUMSTANCES, st.sets(KEYS))
def test_a_change_says_what_comparing_one_contact_after_the_other_says(
    wanted: list[Wanted], held: list[Held], circumstances: dict[str, object], in_doubt: set[str]
) -> None:
    before = {one.key: replace(one, fingerprint=IN_DOUBT if one.key in in_doubt else one.fingerprint) for one in held}
    asked = {want.key: want for want in wanted}

    changes = compare(wanted, [*before.values()], **circumstances).filter(pl.col(KNOWN))  # type: ignore[arg-type]

    references = [plainly(asked[key], before[key], **circumstances) for key in changes[KEY]]  # type: ignore[arg-type]
    assert changes.select(OP, EMAIL, CONTACT, NAME, ACTIVE, VARIABLES, AFTER, FIELDS).to_dicts() == references
