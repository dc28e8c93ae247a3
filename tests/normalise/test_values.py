"""Cells as values: each function against a table and against the same rule in plain Python."""

import re
from collections.abc import Callable, Sequence
from datetime import date as day_of
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.errors import ConfigError
from syncengine.normalise.values import (
    BLANKS,
    DATE_CANDIDATES,
    DATE_SENTINELS,
    FALSE_WORDS,
    ISO,
    SENTINELS,
    STATE_WORDS,
    TRUE_WORDS,
    DateEvidence,
    blank_sentinels,
    boolean,
    control_characters,
    date,
    date_evidence,
    inverted_boolean,
    is_iso_date,
    phone,
    scientific_phone,
    text,
)

CELL = pl.col("cell")
UNTIMED = settings(deadline=None)
FEWER = settings(deadline=None, max_examples=30)  # thirty formats for every column


def _each(cells: Sequence[str | None], value: pl.Expr) -> list[object]:
    return pl.Series("cell", cells, dtype=pl.String).to_frame().lazy().select(value).collect().to_series().to_list()


def _one(cell: str | None, value: pl.Expr) -> object:
    return _each([cell], value)[0]


ODD = [*BLANKS, "\x00", "\x1b", "\x7f", "\ufffd", "\u200d", "-", "n/a", "NULL", "Yes", "да", "1", "e", "+", ".", ","]
CELLS = st.none() | st.text(max_size=12) | st.lists(st.sampled_from(ODD), max_size=5).map("".join)


# Text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("Anna", "Anna"),
        ("  Anna  Maria\t", "Anna  Maria"),
        ("\ufeff\u00a0Anna\u200b", "Anna"),
        ("\u2003\u3000x\r\n", "x"),
        ("O'Neil", "O'Neil"),
        ('"quoted"', '"quoted"'),
        ("00712", "00712"),
        ("1e5", "1e5"),
        ("=1+1", "=1+1"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("രാജന\u0d4d\u200d", "രാജന\u0d4d\u200d"),
        ("line\none", "line\none"),
        ("", None),
        (" \u00a0\u200b\ufeff", None),
        (None, None),
    ],
)
def test_text_loses_the_blanks_around_it_and_nothing_else(cell: str | None, value: str | None):
    assert _one(cell, text(CELL)) == value


@UNTIMED
@given(st.lists(CELLS))
def test_text_is_what_plain_python_makes_of_it(cells: list[str | None]):
    assert _each(cells, text(CELL)) == [((cell or "").strip(BLANKS) or None) for cell in cells]


def test_blanks_are_unicodes_white_space_and_three_without_width():
    # Python counts the four information separators as white space; Unicode's property does not.
    spaces = {chr(code) for code in range(0x110000) if chr(code).isspace()} - set("\x1c\x1d\x1e\x1f")
    assert set(BLANKS) == spaces | set("\u200b\u2060\ufeff")


# Sentinels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["n/a", "N/A", "None", "NULL", "-", "(No value)", "#N/A", "не указано", "НЕТ ДАННЫХ", r"\N"]
)
def test_a_word_for_nothing_becomes_nothing(cell: str):
    assert _one(cell, blank_sentinels(CELL)) is None


@pytest.mark.parametrize(
    "cell", ["NA", "Nan", "no", "unknown", "nullable", "-1", "n/a.", "0/0/00", "Noneman", "0", "."]
)
def test_a_word_that_may_mean_something_stays(cell: str):
    assert _one(cell, blank_sentinels(CELL)) == cell


@pytest.mark.parametrize(
    "cell", ["0/0/00", "00-00-0000", "0000-00-00", "не закрыта", "1/0/1900", "-", "0001-01-01T00:00:00"]
)
def test_a_date_has_sentinels_of_its_own(cell: str):
    assert _one(cell, blank_sentinels(CELL, DATE_SENTINELS)) is None


@pytest.mark.parametrize("cell", ["1900-01-01", "01.01.1970", "2024-01-01", "10"])
def test_a_day_on_which_people_are_born_is_no_sentinel(cell: str):
    assert _one(cell, blank_sentinels(CELL, DATE_SENTINELS)) == cell


@UNTIMED
@given(st.lists(CELLS | st.sampled_from(sorted(DATE_SENTINELS)).map(str.upper)))
def test_sentinels_are_what_plain_python_makes_of_them(cells: list[str | None]):
    expected = [None if cell is None or cell.lower() in DATE_SENTINELS else cell for cell in cells]
    assert _each(cells, blank_sentinels(CELL, DATE_SENTINELS)) == expected


def test_sentinels_are_written_in_lower_case():
    assert {word.lower() for word in DATE_SENTINELS} == DATE_SENTINELS > SENTINELS


# Booleans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        "true", "TRUE", "Yes", " y ", "1", "x", "X", "on", "да", "Да", "ДА", "oui", "Sí", "si\u0301", "sim", "tak",
        "так", "иә", "evet", "是", "はい", "예", "ja", "wahr",
        "ИСТИНА", "✓", "Subscribed", "active", "подписан", "\u00a0yes\ufeff",
    ],
)  # fmt: skip
def test_a_word_for_yes_is_true(cell: str):
    assert _one(cell, boolean(CELL)) is True


@pytest.mark.parametrize(
    "cell",
    [
        "false", "FALSE", "No", "n", "0", "off", "нет", "НЕТ", "nein", "non", "não", "nie", "ні", "жоқ", "hayır",
        "HAYIR", "否", "いいえ", "아니요", "nee", "ЛОЖЬ", "Unsubscribed", "inactive", "отписан",
    ],
)  # fmt: skip
def test_a_word_for_no_is_false(cell: str):
    assert _one(cell, boolean(CELL)) is False


@pytest.mark.parametrize(
    "cell",
    [None, "", "-", "maybe", "2", "-1", "yes!", "y n", "s", "o", "+", "bounced", "cleaned", "pending", "none", "null"],
)
def test_any_other_word_is_neither(cell: str | None):
    assert _one(cell, boolean(CELL)) is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [("yes", False), ("Нет", True), ("0", True), ("unsubscribed", None), ("Active", None), ("?", None)],
)
def test_an_inverted_column_never_subscribes_who_says_unsubscribed(cell: str, value: bool | None):  # noqa: FBT001
    assert _one(cell, inverted_boolean(CELL)) is value


def test_no_word_is_both_true_and_false():
    assert TRUE_WORDS.isdisjoint(FALSE_WORDS)
    assert STATE_WORDS <= TRUE_WORDS | FALSE_WORDS


def test_no_empty_cell_of_an_export_is_a_boolean():
    assert (TRUE_WORDS | FALSE_WORDS).isdisjoint(SENTINELS)


def test_boolean_words_are_written_in_lower_case():
    words = TRUE_WORDS | FALSE_WORDS
    assert {word.lower() for word in words} == words


@UNTIMED
@given(st.lists(CELLS | st.sampled_from(sorted(TRUE_WORDS | FALSE_WORDS)).map(str.title)))
def test_booleans_are_what_plain_python_makes_of_them(cells: list[str | None]):
    words = [cell if cell is None else cell.strip(BLANKS).lower() for cell in cells]
    expected = [True if word in TRUE_WORDS else False if word in FALSE_WORDS else None for word in words]
    assert _each(cells, boolean(CELL)) == expected


# Dates ----------------------------------------------------------------------------------------------------------------

DOTTED = ["%d.%m.%Y", "%d.%m.%Y %H:%M:%S"]


@pytest.mark.parametrize(
    ("cell", "formats", "value"),
    [
        ("2024-05-31", [], "2024-05-31"),
        (" 2024-05-31\u00a0", [], "2024-05-31"),
        ("2024-02-29", [], "2024-02-29"),
        ("2024-05-31T10:22:33.000Z", [], "2024-05-31"),
        ("2024-05-31 10:22", [], "2024-05-31"),
        ("2024-05-31 10:22:33 UTC", [], "2024-05-31"),
        ("2024-05-31T23:30:00-05:00", [], "2024-05-31"),
        ("31.05.2024", DOTTED, "2024-05-31"),
        ("1.5.2024", DOTTED, "2024-05-01"),
        ("05.01.2024 10:22:11", DOTTED, "2024-01-05"),
        ("3/15/2024 2:30 PM", ["%m/%d/%Y %I:%M %p"], "2024-03-15"),
        ("3/15/2024 2:30 pm", ["%m/%d/%Y %I:%M %p"], "2024-03-15"),
        ("5 Jan 2024", ["%d %b %Y"], "2024-01-05"),
        ("JAN 5, 2024", ["%b %d, %Y"], "2024-01-05"),
        ("5 January 2024", ["%d %B %Y"], "2024-01-05"),
        ("20240105", ["%Y%m%d"], "2024-01-05"),
        ("05.01.2024 10:22:11.123456", ["%d.%m.%Y %H:%M:%S.%f"], "2024-01-05"),
        ("100% 05/01/2024", ["100%% %d/%m/%Y"], "2024-01-05"),
        ("03/04/2025", ["%d/%m/%Y"], "2025-04-03"),
        ("03/04/2025", ["%m/%d/%Y"], "2025-03-04"),
        ("1000-01-01", [], "1000-01-01"),
        ("9999-12-31", [], "9999-12-31"),
    ],
)
def test_a_date_is_read_as_iso_or_as_declared(cell: str, formats: list[str], value: str):
    assert _one(cell, date(CELL, formats)) == value


@pytest.mark.parametrize(
    ("cell", "formats"),
    [
        (None, DOTTED),
        ("", DOTTED),
        ("0000-00-00", DOTTED),
        ("2024-02-30", DOTTED),
        ("2023-02-29", DOTTED),
        ("1900-02-29", DOTTED),
        ("2024-13-01", DOTTED),
        ("2024-5-31", DOTTED),
        ("0999-01-01", DOTTED),
        ("10000-01-01", DOTTED),
        ("+2024-05-31", DOTTED),
        ("2024-05-31T25:00", DOTTED),
        ("2024-05-31 noon", DOTTED),
        ("31.04.2024", DOTTED),
        ("1. 5.2024", DOTTED),
        ("1.5.24", DOTTED),
        ("01.05.2024.", DOTTED),
        ("01/05/2024", DOTTED),
        ("01.05.2024 10:22", DOTTED),
        ("05.01.2024 25:22:11", DOTTED),
        ("01/02/03", ["%d/%m/%Y"]),
        ("45413", DOTTED),
        ("1714521600000", DOTTED),
        ("--03-07", DOTTED),
        ("2024115", ["%Y%m%d"]),
        ("1152024", ["%d%m%Y"]),
        ("5 January 2024", ["%d %b %Y"]),
        ("٢٠٢٤-٠١-٠١", DOTTED),
        ("не закрыта", DOTTED),
    ],
)
def test_anything_else_is_no_date(cell: str | None, formats: list[str]):
    assert _one(cell, date(CELL, formats)) is None


@pytest.mark.parametrize(
    "format_", ["%d.%m.%y", "%d.%m", "%Y", "%m/%Y", "%Q %d.%m.%Y", "%d.%m.%Y %", "%d.%m.%Y %f", "%x", ""]
)
def test_a_format_that_can_not_name_a_day_is_refused_with_one_that_can(format_: str):
    with pytest.raises(ConfigError, match=re.escape(repr(format_))) as caught:
        date(CELL, [format_])
    assert caught.value.code == "date-format"
    assert '"%d.%m.%Y"' in caught.value.fix


FORMATS = ["%d.%m.%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d", "%d%m%Y", "%d %b %Y", "%B %d, %Y"]
TIMES = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", "T%H:%M:%S.%f", " %H:%M:%S"]


@UNTIMED
@given(
    st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 31)),  # noqa: DTZ001  # no zone in a cell
    st.sampled_from(FORMATS),
    st.sampled_from(TIMES),
)
def test_every_day_written_in_a_format_is_read_back_in_it(moment: datetime, format_: str, time: str):
    assert _one(moment.strftime(format_ + time), date(CELL, [format_ + time])) == moment.date().isoformat()


NUMBERS = (
    st.integers(0, 40).map(str) | st.integers(0, 40).map("{:02}".format) | st.integers(0, 12000).map("{:04}".format)
)
DATE_LIKE = st.builds(
    lambda numbers, marks, end: "".join(sum(zip(numbers, marks, strict=True), ())) + end,
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.sampled_from([("-", "-", ""), (".", ".", ""), ("/", "/", ""), ("", "", ""), ("/", "-", "")]),
    st.sampled_from(["", "", " 10:00", " 9:05:07", " 2:30 PM", " 25:00", "T10:00:00Z", "."]),
)


def _parsed(cell: str | None, format_: str) -> str | None:
    """strptime, without its tolerance for blanks, and for unpadded digits that touch."""
    try:
        found = datetime.strptime(cell or "", format_).date()  # noqa: DTZ007  # no zone in a cell
    except ValueError:
        return None
    exact = "%Y%m%d" not in format_ or len(cell or "") == 8
    padded_minutes = not re.search(r":\d(?:\D|$)", cell or "")
    return found.isoformat() if exact and padded_minutes and found.year >= 1000 else None


def _iso(cell: str | None) -> str | None:
    shape = r"(\d{4}-\d\d-\d\d)(?:[T ]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: ?(?:Z|UTC))?)?"
    found = re.fullmatch(shape, cell or "", re.ASCII)
    return _parsed(found[1], "%Y-%m-%d") if found else None


@UNTIMED
@given(
    st.lists(DATE_LIKE | CELLS),
    st.lists(st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%d-%m-%Y %H:%M", "%Y%m%d"]), max_size=3),
)
def test_dates_are_what_plain_python_makes_of_them(cells: list[str | None], formats: list[str]):
    trimmed = [cell if cell is None else cell.strip(BLANKS) for cell in cells]
    ways: list[Callable[[str | None], str | None]] = [
        _iso,
        *(lambda cell, format_=format_: _parsed(cell, format_) for format_ in formats),
    ]
    expected = [next(filter(None, (way(cell) for way in ways)), None) for cell in trimmed]
    assert _each(cells, date(CELL, formats)) == expected


@UNTIMED
@given(st.lists(DATE_LIKE | CELLS))
def test_what_a_date_gives_is_always_a_real_iso_date(cells: list[str | None]):
    found = _each(cells, date(CELL, ["%d.%m.%Y", "%m/%d/%Y", "%d-%m-%Y %H:%M"]))
    assert all(value is None or day_of.fromisoformat(str(value)).isoformat() == value for value in found)
    assert _each([str(value) for value in found if value], is_iso_date(CELL)) == [True for value in found if value]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2024-02-29", True),
        ("2023-02-29", False),
        ("2024-2-29", False),
        (" 2024-02-29", False),
        ("2024-02-29\n", False),
        ("2024-02-29T00:00", False),
        ("0000-00-00", False),
        ("0999-12-31", False),
        ("10000-01-01", False),
        ("", False),
        (None, None),
    ],
)
def test_only_a_real_day_in_iso_is_an_iso_date(cell: str | None, value: bool | None):  # noqa: FBT001
    assert _one(cell, is_iso_date(CELL)) is value


@UNTIMED
@given(st.lists(DATE_LIKE | CELLS | st.dates(min_value=day_of(1000, 1, 1)).map(str)))
def test_iso_dates_are_what_plain_python_makes_of_them(cells: list[str | None]):
    expected = [
        None if cell is None else bool(re.fullmatch(r"\d{4}-\d\d-\d\d", cell, re.ASCII)) and _iso(cell) is not None
        for cell in cells
    ]
    assert _each(cells, is_iso_date(CELL)) == expected


# Evidence -------------------------------------------------------------------------------------------------------------


def _evidence(*cells: str | None) -> DateEvidence:
    return date_evidence(pl.Series(cells, dtype=pl.String))


def test_evidence_counts_the_cells_each_format_reads():
    found = _evidence("31.12.2024", "1.1.2025", "2024-05-31", "2024-05-31T10:00Z", "soon", "", None, "31.12.2024")
    assert found == DateEvidence(
        filled=6, counts={ISO: 2, "%d.%m.%Y": 3}, examples={ISO: "2024-05-31", "%d.%m.%Y": "1.1.2025"}
    )
    assert found.formats() == ("%d.%m.%Y",)
    assert found.questions() == ()
    assert found.share(found.formats()) == pytest.approx(5 / 6)


def test_a_day_beyond_twelve_settles_the_order_for_the_column_times_included():
    found = _evidence("03/04/2025", "05/06/2025", "31/12/2025 10:00")
    assert found.formats() == ("%d/%m/%Y", "%d/%m/%Y %H:%M")
    assert found.questions() == ()
    assert found.share(found.formats()) == 1


def test_month_first_is_seen_as_well():
    found = _evidence("03/04/2025", "12/31/2025 2:30 PM")
    assert found.formats() == ("%m/%d/%Y", "%m/%d/%Y %I:%M %p")


def test_days_up_to_twelve_are_a_question_and_no_guess():
    found = _evidence("03/04/2025", "05/06/2025", "01.02.2025")
    assert found.questions() == (("%d/%m/%Y", "%m/%d/%Y"),)
    assert found.formats() == ("%d.%m.%Y",)
    assert found.examples["%d/%m/%Y"] == "03/04/2025"


def test_days_that_contradict_each_other_are_a_question_too():
    found = _evidence("31/12/2025", "12/31/2025")
    assert found.questions() == (("%d/%m/%Y", "%m/%d/%Y"),)
    assert found.formats() == ()


def test_a_column_without_dates_has_no_evidence():
    assert _evidence("Anna", "7.9E+10", "1.2.3.4", "10:00") == DateEvidence(filled=4)
    assert _evidence(None, " ") == DateEvidence()
    assert DateEvidence().share([]) == 0


@FEWER
@given(st.lists(DATE_LIKE | CELLS), st.lists(DATE_LIKE | CELLS), st.lists(DATE_LIKE))
def test_evidence_of_chunks_adds_up_to_that_of_the_column(
    first: list[str | None], second: list[str | None], third: list[str]
):
    whole = _evidence(*first, *second, *third)
    assert _evidence(*first) + _evidence(*second) + _evidence(*third) == whole
    assert _evidence(*third) + (_evidence(*second) + _evidence(*first)) == whole


@FEWER
@given(st.lists(DATE_LIKE | CELLS))
def test_evidence_counts_what_date_reads(cells: list[str | None]):
    found = _evidence(*cells)
    iso = _each(cells, date(CELL, []))
    for format_ in DATE_CANDIDATES:
        read = _each(cells, date(CELL, [] if format_ == ISO else [format_]))
        count = sum(
            value is not None and (format_ == ISO or plain is None) for value, plain in zip(read, iso, strict=True)
        )
        assert found.counts.get(format_, 0) == count


@FEWER
@given(st.lists(DATE_LIKE | CELLS))
def test_the_formats_of_the_evidence_read_the_share_it_says(cells: list[str | None]):
    found = _evidence(*cells)
    read = [value for value in _each(cells, date(CELL, found.formats())) if value is not None]
    assert found.share(found.formats()) * found.filled == pytest.approx(len(read))


# Damage ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["a\x00b", "\x01", "a\x0b", "a\x0c", "\x1b[31m", "\x1f", "caf\ufffd"])
def test_a_control_or_replacement_character_is_seen(cell: str):
    assert _one(cell, control_characters(CELL)) is True


@pytest.mark.parametrize("cell", ["", "a\tb", "a\nb", "a\r\nb", "é", "\u2028", "\u202e", "👩\u200d👧", "\x7f"])
def test_tabs_line_ends_and_text_are_no_control_characters(cell: str):
    assert _one(cell, control_characters(CELL)) is False


@UNTIMED
@given(st.lists(CELLS))
def test_control_characters_are_what_plain_python_finds(cells: list[str | None]):
    bad = set(map(chr, range(32))) - set("\t\n\r") | {"\ufffd"}
    assert _each(cells, control_characters(CELL)) == [
        None if cell is None else not bad.isdisjoint(cell) for cell in cells
    ]


@pytest.mark.parametrize("cell", ["7.9E+10", "7,9E+10", "7.90012E+10", "79e9", "+7.9E+10", "7.9e10", "1E5"])
def test_a_rounded_phone_number_is_seen(cell: str):
    assert _one(cell, scientific_phone(CELL)) is True


@pytest.mark.parametrize(
    "cell", ["+79001234567", "79001234567", "7.9", "E+10", "7.9E+", "1e-5", "12 E 10", "ext. 3E1x", ""]
)
def test_a_phone_number_with_all_its_digits_is_not(cell: str):
    assert _one(cell, scientific_phone(CELL)) is False


@UNTIMED
@given(st.lists(CELLS | st.text(alphabet="+79.,eE", max_size=8)))
def test_rounded_numbers_are_what_plain_python_finds(cells: list[str | None]):
    shape = re.compile(r"\+?[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]{1,2}")
    assert _each(cells, scientific_phone(CELL)) == [
        None if cell is None else bool(shape.fullmatch(cell)) for cell in cells
    ]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("'+79161234567", "+79161234567"),
        ("'89161234567", "89161234567"),
        ("' 8 916", "8 916"),
        ('="+79161234567"', "+79161234567"),
        ('="00712"', "00712"),
        ("+79161234567", "+79161234567"),
        ("(0)30 '12", "(0)30 '12"),
        ('+1 555 0100 "Ann"', '+1 555 0100 "Ann"'),
        ("=1+1", "=1+1"),
        ("''8", "'8"),
        ("'", None),
        ('=""', None),
    ],
)
def test_a_spreadsheets_text_mark_is_no_part_of_a_phone_number(cell: str, number: str | None):
    assert _one(cell, phone(CELL)) == number


@UNTIMED
@given(st.text(alphabet="+79 ()-", min_size=1).filter(lambda number: bool(number.strip())))
def test_a_number_is_the_same_with_and_without_the_mark(number: str):
    assert _one(f"'{number}", phone(CELL)) == _one(f'="{number}"', phone(CELL)) == _one(number.strip(), phone(CELL))


def test_every_function_keeps_height_and_gives_null_for_null():
    expressions = [text(CELL), blank_sentinels(CELL), boolean(CELL), inverted_boolean(CELL), date(CELL, DOTTED)]
    expressions += [is_iso_date(CELL), control_characters(CELL), scientific_phone(CELL), phone(CELL)]
    assert [_each([None, "x", None], value)[::2] for value in expressions] == [[None, None]] * len(expressions)
