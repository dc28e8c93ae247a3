"""The address table, and what must hold for every cell there can be."""

import csv
import re
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.normalise.addresses import AddressCode, address_key, examine_addresses, split_addresses

OK = "ok"
UNTIMED = settings(deadline=None)
FEWER = settings(deadline=None, max_examples=40)  # columns, each cell of which is examined alone as well
COLUMNS = ["email", "key", "code", "reason"]


def _unescaped(cell: str) -> str:
    r"""`\u00a0`, `\t`, `\n`, `\r` and `\\` as in Python; `{a*64}` is sixty-four times `a`."""
    cell = re.sub(r"\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), cell)
    names = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return re.sub(
        r"\\(?:u([0-9a-f]{4})|(.))", lambda found: chr(int(found[1], 16)) if found[1] else names[found[2]], cell
    )


@cache
def _cases() -> list[dict[str, str]]:
    text = (Path(__file__).parent / "addresses.csv").read_text(encoding="utf-8")
    return [{name: _unescaped(cell) for name, cell in row.items()} for row in csv.DictReader(text.splitlines())]


def _examined(*cells: str | None) -> list[dict[str, str | None]]:
    return examine_addresses(pl.Series("cell", cells, dtype=pl.String)).to_dicts()


def _code(cell: str) -> str:
    return _examined(cell)[0]["code"] or OK


# The table ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", _cases(), ids=lambda case: f"{case['class']}: {case['cell'][:30]!r}")
def test_a_cell_is_judged_as_the_table_says(case: dict[str, str]):
    [found] = _examined(case["cell"])
    assert (found["code"] or OK, found["key"] or "") == (case["code"], case["key"])
    if case["code"] == OK:
        assert found["email"] == (case["email"] or case["cell"])


def test_the_table_is_judged_alike_as_one_column():
    together = _examined(*(case["cell"] for case in _cases()))
    judged = [(found["code"] or OK, found["key"] or "") for found in together]
    assert judged == [(case["code"], case["key"]) for case in _cases()]


def test_the_table_has_at_least_120_cases_of_every_code():
    assert len(_cases()) >= 120
    assert {case["code"] for case in _cases()} == {OK, *AddressCode}


def test_nothing_in_the_table_could_reach_a_stranger():
    made_up = (
        r"@(?:.*\.)?(?:example\.(?:com|org|net)|example|test|xn--80akhbyknj4f|xn--zckzah|averylongtopleveldomain)$"
    )
    sent = [case["key"] for case in _cases() if case["code"] == OK]
    assert [key for key in sent if not re.search(made_up, key)] == []


def test_every_held_cell_has_a_reason_and_every_address_sent_has_none():
    for found in _examined(*(case["cell"] for case in _cases())):
        assert (found["code"] is None) == (found["reason"] is None)
        assert found["reason"] is None or found["reason"].endswith(".")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("anna", "An email address must have an @-sign."),
        ("anna..b@example.com", "An email address cannot have two periods in a row."),
        ("anna@example.com; bob@example.org; eve@example.org", "There are 3 addresses in one cell."),
        ("anna@" + "b" * 260 + ".example", "The email address is too long (273 bytes, 254 is the most)."),
        ("\u0430nna@example.com", "The address mixes alphabets: '\u0430' is a Cyrillic small letter a."),
        ("anna@exam_ple.com", "The part after the @-sign contains invalid characters: '_'."),
    ],
)
def test_the_reason_says_what_is_wrong(cell: str, reason: str):
    assert _examined(cell)[0]["reason"] == reason


def test_no_reason_repeats_the_address():
    """Reasons travel into logs, and logs carry no addresses."""
    reasons = [found["reason"] or "" for found in _examined(*(case["cell"] for case in _cases()))]
    assert [reason for reason in reasons if "@example" in reason] == []


# Any cell -------------------------------------------------------------------------------------------------------------

PIECES = [
    "a",
    "B",
    "7",
    "_",
    ".",
    "..",
    "-",
    "--",
    "+",
    "'",
    "@",
    " ",
    "\u00a0",
    "\u200b",
    '"',
    "<",
    ">",
    ";",
    ",",
    "|",
]
PIECES += ["é", "e\u0301", "ß", "ж", "Ж", "ς", "İ", "ſ", "漢", "א", "🎂", "\x00", "\n", "(", ")", "[", "]", "/", ":"]
PIECES += [
    "example",
    ".com",
    ".test",
    ".local",
    ".c",
    "xn--",
    "xn--e1afmkfd",
    "。",
    "＠",
    "\u200d",
    "\u094d",
    "* ",
    "mailto:",
]
JUNK = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
LOCALS = st.lists(st.sampled_from([*PIECES[:10], "é", "ж", "🎂", "漢", "!"]), min_size=1, max_size=6).map("".join)
LABELS = st.lists(st.sampled_from(["a", "B", "7", "-", "_", "é", "ж", "漢", "x"]), min_size=1, max_size=4).map("".join)
DOMAINS = st.builds(
    lambda labels, end: ".".join(labels) + end,
    st.lists(LABELS, min_size=1, max_size=3),
    st.sampled_from([".com", ".test", ".local", ".испытание", ".c", ".c1m", ".42", "", "."]),
)
ADDRESSES = st.builds("{}@{}".format, LOCALS, DOMAINS)
CELLS = st.none() | st.text(max_size=20) | JUNK | ADDRESSES


@FEWER
@given(st.lists(CELLS, max_size=8))
def test_any_column_gives_its_rows_in_order_and_never_raises(cells: list[str | None]):
    frame = examine_addresses(pl.Series("cell", cells, dtype=pl.String))
    assert frame.schema == dict.fromkeys(COLUMNS, pl.String)
    assert frame.to_dicts() == [_examined(cell)[0] for cell in cells]


@UNTIMED
@given(CELLS)
def test_email_and_key_are_missing_only_where_the_cell_is_empty(cell: str | None):
    [found] = _examined(cell)
    empty = found["code"] == AddressCode.EMPTY
    assert (found["email"] is None, found["key"] is None) == (empty, empty)
    assert found["code"] is None or found["code"] in set(AddressCode)


@UNTIMED
@given(CELLS.filter(bool))
def test_what_is_sent_stands_in_the_cell_and_its_key_is_the_scalar_one(cell: str):
    [found] = _examined(cell)
    if found["email"] is not None:
        assert found["email"] in cell
        assert found["key"] == address_key(found["email"])


@UNTIMED
@given(ADDRESSES | JUNK)
def test_blanks_around_a_cell_change_nothing(cell: str):
    """They take the cell past the fast lane, so both lanes agree."""
    assert _examined(f"\u00a0{cell}\u200b") == _examined(cell)


@UNTIMED
@given(JUNK)
def test_no_text_breaks_the_key(text: str):
    assert address_key(f" {text}\ufeff") == address_key(text)


@UNTIMED
@given(st.text(alphabet=st.characters(), max_size=30))
def test_the_key_of_anything_is_a_text_even_of_half_a_character(text: str):
    assert isinstance(address_key(text + "@\ud800"), str)


# Beside email-validator -----------------------------------------------------------------------------------------------


def _well_formed(address: str) -> bool:
    try:
        validate_email(address, check_deliverability=False, strict=True, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def _ours_too(address: str) -> bool:
    """The rules email-validator does not have, in plain Python."""
    words = re.findall(r"[aBxé漢ж]+", address)
    mixed = any("ж" in word and re.search("[aBxé]", word) for word in words)
    top = address.rpartition(".")[2]
    no_top = "." not in address.split("@")[1] or re.fullmatch(r"[A-Za-z]|.*[\d-].*", top)
    return not (address.startswith("'") or mixed or no_top)


@UNTIMED
@given(ADDRESSES)
def test_an_address_passes_when_email_validator_and_our_own_rules_pass_it(address: str):
    stripped = address.strip("\u00a0 ")
    assert (_code(address) == OK) == (_well_formed(stripped) and _ours_too(stripped))


# Keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spellings",
    [
        ["anna@example.com", "Anna@Example.COM", " anna@example.com\n", "\ufeffANNA@EXAMPLE.COM\u200b"],
        [
            "anna@пример.испытание",
            "ANNA@ПРИМЕР.ИСПЫТАНИЕ",
            "anna@xn--e1afmkfd.xn--80akhbyknj4f",
            "anna@пример。испытание",
        ],
        ["jos\u00e9@example.com", "jose\u0301@example.com", "JOS\u00c9@example.com", "JOSE\u0301@EXAMPLE.com"],
        ["anna@b\u00fccher.example", "anna@bu\u0308cher.example", "anna@XN--BCHER-KVA.example"],
    ],
)
def test_spellings_of_one_address_meet_in_one_key(spellings: list[str]):
    assert len({address_key(spelling) for spelling in spellings}) == 1
    assert examine_addresses(pl.Series(spellings))["key"].n_unique() == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@example.com", "anna@example.org"),
        ("anna+news@example.com", "anna@example.com"),
        ("a.nna@example.com", "anna@example.com"),
        ("anna@straße.example", "anna@strasse.example"),
    ],
)
def test_different_mailboxes_keep_different_keys(one: str, other: str):
    assert address_key(one) != address_key(other)


@UNTIMED
@given(ADDRESSES)
def test_the_key_of_a_key_is_itself(address: str):
    [found] = _examined(address)
    if found["code"] is None and found["key"] is not None:
        assert address_key(found["key"]) == found["key"]
        assert address_key(address.upper().lower()) == address_key(address.lower())


# Several in one cell --------------------------------------------------------------------------------------------------

THREE = ["anna@example.com", "Bob@example.org", "eve@пример.испытание"]


@pytest.mark.parametrize(
    "between", [";", "; ", ",", ", ", " ::: ", ":::", "\n", "\r\n", "|", " | ", " ", " / ", "、", " and "]
)
def test_several_addresses_are_split_as_spelled(between: str):
    assert split_addresses(pl.Series([between.join(THREE)])).to_list() == [THREE]


@pytest.mark.parametrize(
    ("cell", "addresses"),
    [
        (None, []),
        ("", []),
        (" \u00a0", []),
        ("n/a", ["n/a"]),
        ("anna@example.com", ["anna@example.com"]),
        (" Anna <anna@example.com> ", ["anna@example.com"]),
        ("a|b@example.com", ["a|b@example.com"]),
        ('Anna <anna@example.com>, "Doe, Bob" <bob@example.org>', ["anna@example.com", "bob@example.org"]),
        ("anna@example.com ::: * bob@example.org", ["bob@example.org", "anna@example.com"]),
        ("mailto:anna@example.com;mailto:bob@example.org;", ["anna@example.com", "bob@example.org"]),
        ("anna@example.com; ANNA@example.com; bob@example.org", ["anna@example.com", "bob@example.org"]),
        ("anna@xn--bcher-kva.example, anna@bücher.example", ["anna@xn--bcher-kva.example"]),
        ("anna@@example.com", ["anna@@example.com"]),
        ("anna@example.com\u200b;\u200e bob@example.org", ["anna@example.com", "bob@example.org"]),
        ("anna@example.com;*\u00a0bob@example.org", ["bob@example.org", "anna@example.com"]),
    ],
)
def test_a_cell_is_split_into_its_contacts(cell: str | None, addresses: list[str]):
    assert split_addresses(pl.Series([cell], dtype=pl.String)).to_list() == [addresses]


@FEWER
@given(st.lists(CELLS, max_size=8))
def test_splitting_keeps_height_and_order_and_invents_nothing(cells: list[str | None]):
    split = split_addresses(pl.Series("cell", cells, dtype=pl.String))
    assert (split.name, split.dtype) == ("cell", pl.List(pl.String))
    for cell, addresses in zip(cells, split.to_list(), strict=True):
        assert split_addresses(pl.Series([cell], dtype=pl.String)).to_list() == [addresses]
        assert all(address in (cell or "") for address in addresses)


@FEWER
@given(st.lists(CELLS, max_size=8))
def test_a_cell_is_several_exactly_when_splitting_gives_more_than_one(cells: list[str | None]):
    series = pl.Series(cells, dtype=pl.String)
    several = examine_addresses(series)["code"].eq_missing(AddressCode.SEVERAL.value)
    more = split_addresses(series).list.len() > 1
    assert several.to_list() == more.to_list()


# In the flow ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["streaming", "in-memory"])
def test_it_runs_within_a_lazy_frame_of_any_engine(engine: str):
    frame = pl.LazyFrame({"Email": ["anna@example.com", "Bob <bob@example.org>", None]})
    fields = pl.Struct(dict.fromkeys(COLUMNS, pl.String))
    checked = pl.col("Email").map_batches(lambda cells: examine_addresses(cells).to_struct(), return_dtype=fields)
    keys = frame.select(checked.alias("address")).unnest("address").collect(engine=engine)["key"]
    assert keys.to_list() == ["anna@example.com", "bob@example.org", None]


def test_an_empty_column_gives_an_empty_frame():
    assert examine_addresses(pl.Series("cell", [], dtype=pl.String)).schema == dict.fromkeys(COLUMNS, pl.String)
    assert examine_addresses(pl.Series("cell", [None, None]))["code"].to_list() == [AddressCode.EMPTY] * 2
