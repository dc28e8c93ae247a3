"""Headers as variables: the reference table, the choice, and what the person is told to paste."""

import re
import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from syncengine.errors import ConfigError
from syncengine.normalise.names import (
    RESERVED_NAMES,
    NameChoice,
    NameCollision,
    choose_names,
    near_miss,
    variable_name,
)

UNTIMED = settings(deadline=None)
NAME = re.compile(r"[a-z][A-Za-z]*")

# Deriving -------------------------------------------------------------------------------------------------------------

TABLE = {
    "First Name": "firstName",
    "MEMBER_RATING": "memberRating",
    "E-mail 1 - Value": "emailOneValue",
    "Person - Email - Work": "personEmailWork",
    "Mailing State/Province": "mailingStateProvince",
    "UTM_SOURCE": "utmSource",
    "HTMLBody": "htmlBody",
    "2nd Email": "secondEmail",
    "Дата 2024": "dataTwoZeroTwoFour",
    "Регион": "region",
    "Region": "region",
    "Щёлково объём": "shchelkovoObem",
    "Рабочий e-mail": "rabochiyEmail",
    "Город/Область": "gorodOblast",
    "Компания 1С": "kompaniyaOneS",
    "ИНН (компания)": "innKompaniya",
    "Қала": "qala",
    "Ünïcode Straße": "unicodeStrasse",
    "客户名称": "kehumingcheng",
    "الاسم": "lsm",
    "🎂": "field",
    "": "field",
}
MORE = {
    "firstName": "firstName",
    "address2Line": "addressTwoLine",
    "E-Mail-Adresse": "emailAdresse",
    "E‑mail": "email",
    "E-MAILS": "emails",
    "eMail": "email",
    "Е-mail для рассылок": "emailDlyaRassylok",
    "Адрес эл. почты": "adresElPochty",
    "Mother's maiden name": "mothersMaidenName",
    "Mother’s maiden name": "mothersMaidenName",
    "Ім'я": "imya",
    "ДатаРождения": "dataRozhdeniya",
    "Регион (доставка)": "regionDostavka",
    "UF_CRM_1610": "ufCrmOneSixOneZero",
    "Associated Company IDs": "associatedCompanyIDs",
    "10th visit": "tenthVisit",
    "21st": "twoOneSt",
    "٢٠": "twoZero",
    "m²": "mTwo",
    "हिन्दी": "hindi",
    "e\u0301tat": "etat",
    "\ufeffName\u00a0": "name",
    "___": "field",
    "\ud800": "field",
}


@pytest.mark.parametrize(("header", "name"), [*TABLE.items(), *MORE.items()])
def test_a_header_becomes_a_name(header: str, name: str):
    assert variable_name(header) == name


@UNTIMED
@given(st.text(alphabet=st.characters(), max_size=30))
def test_every_header_becomes_a_name_the_service_takes(header: str):
    assert NAME.fullmatch(variable_name(header))


@UNTIMED
@given(st.text(alphabet="aB9 -_é'ж", max_size=12))
def test_separators_around_a_header_do_not_matter(header: str):
    assert variable_name(f" {header} - ") == variable_name(header)


# Choosing -------------------------------------------------------------------------------------------------------------


def _names(
    *columns: str, stored: Mapping[str, str] | None = None, explicit: Mapping[str, str] | None = None
) -> list[str]:
    return [choice.name for choice in choose_names(columns, stored=stored or {}, explicit=explicit or {})]


def test_a_configured_name_goes_before_a_stored_one_and_that_before_a_derived_one():
    choices = choose_names(
        ["Born", "City", "Colour"], stored={"Born": "born", "City": "town"}, explicit={"Born": "birthDate"}
    )
    assert choices == (
        NameChoice(
            "Born", "birthDate", stored=False, note="was 'born' until now: the list keeps that variable and its values"
        ),
        NameChoice("City", "town", stored=True, note=""),
        NameChoice("Colour", "colour", stored=False, note=""),
    )


def test_a_stored_name_is_never_derived_again():
    assert variable_name("0A:A") == "zeroAA"
    assert variable_name("zeroAA") == "zeroAa"
    assert _names("0A:A", stored={"0A:A": "zeroAA"}) == ["zeroAA"]
    assert _names("Region", stored={"Region": "oldWayToSayRegion"}) == ["oldWayToSayRegion"]


def test_a_configured_name_that_is_stored_already_needs_no_remark():
    [choice] = choose_names(["Born"], stored={"Born": "birthDate"}, explicit={"Born": "birthDate"})
    assert choice == NameChoice("Born", "birthDate", stored=True, note="")


@pytest.mark.parametrize(
    ("column", "note"),
    [
        ("الاسم", "hard to recognise: consider renaming"),
        ("ID", "hard to recognise: consider renaming"),
        ("🎂", "nothing in the header can be made a name: consider renaming"),
        ("City", ""),
    ],
)
def test_a_poor_name_is_remarked_on(column: str, note: str):
    [choice] = choose_names([column], stored={}, explicit={})
    assert choice.note == note


def test_taking_over_the_variable_of_a_column_that_left_is_remarked_on():
    [choice] = choose_names(["Регион"], stored={"Region": "region"}, explicit={})
    assert (choice.name, choice.note) == ("region", "the variable that the column 'Region' had")


def _refused(
    *columns: str, stored: Mapping[str, str] | None = None, explicit: Mapping[str, str] | None = None
) -> tuple[ConfigError, dict[str, str]]:
    """The error, and what it says to paste as TOML reads it: name -> column."""
    with pytest.raises(ConfigError) as caught:
        choose_names(columns, stored=stored or {}, explicit=explicit or {})
    return caught.value, tomllib.loads(caught.value.fix)["job"]["variables"]


def test_two_columns_in_one_name_are_told_with_their_places_and_a_line_for_the_second():
    error, table = _refused("Регион", "City", "Region", explicit={"City": "city"})
    assert isinstance(error, NameCollision)
    assert error.code == "name-collision"
    assert error.exit_code == 2
    assert error.what == "'Регион' (column 1) and 'Region' (column 3) meet in the name 'region'"
    assert error.fix == '[job.variables]\nregionTwo = "Region"'
    assert table == {"regionTwo": "Region"}


def test_places_are_those_in_the_file_when_they_are_given():
    with pytest.raises(NameCollision, match=re.escape("'Регион' (column 4) and 'Region' (column 9)")):
        choose_names(["Регион", "Region"], stored={}, explicit={}, positions=[4, 9])


def test_without_a_table_in_the_config_the_whole_table_is_given():
    """Once there is `[job.variables]`, only the columns it names are taken: one line alone would drop the others."""
    _, table = _refused("Регион", "City", "Region")
    assert table == {"region": "Регион", "city": "City", "regionTwo": "Region"}


def test_names_that_differ_in_case_only_meet():
    error, _ = _refused("Iphone", "iPhone")
    assert isinstance(error, NameCollision)


def test_who_has_the_name_already_keeps_it():
    _, table = _refused("Регион", "Region", "City", stored={"Region": "region"}, explicit={"City": "city"})
    assert table == {"regionTwo": "Регион"}
    _, table = _refused("Регион", "Region", stored={"Регион": "region"}, explicit={"Region": "region"})
    assert table == {"regionTwo": "Регион"}


def test_three_columns_in_one_name_get_three_names_past_those_taken():
    _, table = _refused("Region", "Регион", "region", "Region 2", explicit={"Region 2": "regionTwo"})
    assert table == {"regionThree": "Регион", "regionFour": "region"}


@pytest.mark.parametrize(
    "name", ["email", "name", "active", "contact", "phoneNumber", "userId", "externalId", "createdAt"]
)
def test_a_reserved_name_is_refused_with_another(name: str):
    error, table = _refused(name)
    assert error.code == "name-reserved"
    [(other, column)] = table.items()
    assert column == name
    assert other.lower() not in RESERVED_NAMES
    assert NAME.fullmatch(other)


def test_a_column_for_a_field_of_the_contact_can_be_mapped_there_instead():
    error, table = _refused("E-mail", "Name")
    assert '[job.columns] email = "E-mail"' in error.why
    assert '[job.columns] name = "Name"' in error.why
    assert table == {"otherEmail": "E-mail", "fullName": "Name"}


def test_a_reserved_name_is_refused_from_the_config_too_and_in_any_case():
    error, table = _refused("Telephone", explicit={"Telephone": "phonenumber"})
    assert error.code == "name-reserved"
    assert table == {"phone": "Telephone"}


@pytest.mark.parametrize("name", ["id", "phone", "city", "listName", "emailTwo", "company"])
def test_other_names_are_free(name: str):
    assert _names(name) == [name]


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("e-mail2", "emailTwo"),
        ("First", "first"),
        ("дата", "data"),
        ("line_1", "lineOne"),
        ("", "field"),
        ("naïve", "naive"),
    ],
)
def test_a_configured_name_the_service_would_refuse_comes_with_one_it_takes(name: str, better: str):
    error, table = _refused("Column", explicit={"Column": name})
    assert (error.code, table) == ("name-invalid", {better: "Column"})


def test_everything_wrong_is_told_at_once():
    error, table = _refused("Name", "Имя", "Imya", "Kind", explicit={"Kind": "2nd kind"})
    assert error.code == "name-invalid"
    assert "'2nd kind' can not name a variable" in error.what
    assert "SmartSender keeps 'name' (column 'Name') for itself" in error.what
    assert "'Имя' (column 2) and 'Imya' (column 3) meet in the name 'imya'" in error.what
    assert table == {"fullName": "Name", "imyaTwo": "Imya", "secondKind": "Kind"}


HEADERS = st.lists(
    st.lists(
        st.sampled_from(
            ["Region", "Регион", "region", "Name", "E-mail", "2", "Two", "é", '"', "\\", "\n", "\x7f", "🎂", " "]
        ),
        max_size=3,
    ).map("".join)
    | st.text(max_size=5),
    max_size=8,
    unique=True,
)


@UNTIMED
@given(HEADERS, st.data())
def test_names_are_different_and_right_or_the_fix_makes_them_so(columns: list[str], data: st.DataObject):
    stored = {column: variable_name(column) for column in columns if data.draw(st.booleans())}
    assume(len({name.lower() for name in stored.values()} - RESERVED_NAMES) == len(stored))
    chosen = st.sampled_from(["region", "regionTwo", "Name", "e-mail", "kind", ""])
    explicit = {column: data.draw(chosen) for column in columns if data.draw(st.integers(0, 3)) == 0}
    try:
        choices = choose_names(columns, stored=stored, explicit=explicit)
    except ConfigError as error:
        pasted = {column: name for name, column in tomllib.loads(error.fix)["job"]["variables"].items()}
        choices = choose_names(columns, stored=stored, explicit=explicit | pasted)
    assert [choice.column for choice in choices] == columns
    assert len({choice.name.lower() for choice in choices}) == len(columns)
    assert all(NAME.fullmatch(choice.name) and choice.name.lower() not in RESERVED_NAMES for choice in choices)


# Typos ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("fristName", ["lastName", "firstName"], "firstName"),
        ("firstname", ["firstName"], "firstName"),
        ("fistName", ["firstName"], "firstName"),
        ("firstNames", ["firstName"], "firstName"),
        ("firsstNmae", ["firstName"], "firstName"),
        ("ctiy", ["city"], "city"),
        ("firstName", ["firstName", "fristName"], None),
        ("lastName", ["firstName"], None),
        ("colour", ["favouriteColour"], None),
        ("id", ["ip"], None),
        ("addressLineNine", ["addressLineFive"], None),
        ("phoneTwo", ["phoneOne", "phoneTen"], None),
        ("", ["a"], None),
        ("city", [], None),
    ],
)
def test_a_slip_of_the_finger_is_seen_and_another_name_is_not(name: str, known: list[str], meant: str | None):
    assert near_miss(name, known) == meant


@UNTIMED
@given(st.text(alphabet="abcDE", min_size=8, max_size=12), st.data())
def test_two_swapped_letters_are_always_near(name: str, data: st.DataObject):
    place = data.draw(st.integers(0, len(name) - 2))
    swapped = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    assert near_miss(swapped, [name]) == (None if swapped == name else name)
