"""Presets: their files, how a CRM's export is recognised, and what is taken from it."""

from pathlib import Path
from types import ModuleType

import pytest

from syncengine.errors import ConfigError
from syncengine.model import VariableType
from syncengine.normalise.mapping import HoldRule, Several
from syncengine.presets import USE, Preset, load_presets, preset_named, read_preset, recognise, resolve
from syncengine.sources import SourceOptions, open_source

PRESETS = load_presets(Path("/nonexistent"))
SAMPLES = Path(__file__).parents[2] / "sample_data" / "crm"

OWN = """
name = "shop"
title = "Our shop"
export = "Admin > Export"
opt_out = "`Newsletter` = no is not subscribed"
no_opt_out = "no column Newsletter"
detect.any_of = [["Customer no.", "Newsletter", "Mail"]]
email.columns = ["Mail"]
consent = [{ column = "Newsletter", is_not = ["yes"] }]
columns = { firstName = "First", born = { column = ["Born", "Birthday"], type = "date" } }
"""

#: sample file → the preset it belongs to
FILES = {
    "hubspot-crm-exports-all-contacts-2026-11-22.csv": "hubspot",
    "report1763800000000.csv": "salesforce-report",
    "salesforce-Contact.csv": "salesforce-api",
    "audience_export_8f3a.zip": "mailchimp",
    "activecampaign.csv": "activecampaign",
    "people-1234567-8.csv": "pipedrive",
    "zoho-Contacts_001.csv": "zoho",
    "amocrm_export_contacts_2026-11-22.csv": "amocrm",
    "kommo_export_contacts.csv": "kommo",
    "CONTACT_20261122.csv": "bitrix24",
    "CONTACT_20261122.xls": "bitrix24",
    "CONTACT_en.csv": "bitrix24-en",
    "google-contacts.csv": "google-contacts",
    "outlook.csv": "outlook",
    "outlook-auf-deutsch.csv": "outlook",
    "outlook-po-russki.csv": "outlook",
    "pessoas-1234567-9.csv": "pipedrive",
}


def preset(name: str) -> Preset:
    return PRESETS[name]


def columns_of(file: str) -> tuple[str, ...]:
    packed = {"member": "*", "columns": "union", "file_column": "export file"} if file.endswith(".zip") else {}
    return open_source(SourceOptions(str(SAMPLES / file), **packed)).columns  # type: ignore[arg-type]


# The samples ----------------------------------------------------------------------------------------------------------


def test_the_samples_are_what_their_script_writes(crm: ModuleType, tmp_path: Path) -> None:
    crm.write(tmp_path)

    assert {path.name: path.read_bytes() for path in SAMPLES.iterdir()} == {
        path.name: path.read_bytes() for path in tmp_path.iterdir()
    }


def test_every_preset_has_a_sample() -> None:
    assert set(FILES.values()) == set(PRESETS)
    assert set(FILES) == {path.name for path in SAMPLES.iterdir()}


# Recognising ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_an_export_is_recognised_by_its_headers_whatever_its_name(file: str) -> None:
    best, *others = recognise(columns_of(file), PRESETS.values(), ["export.csv"])

    assert (best.preset.name, best.score, best.sure) == (FILES[file], 1.0, True)
    assert best.known > 0.8 * best.of
    assert all(other.known < best.known for other in others)


@pytest.mark.parametrize(
    "columns",
    [
        ("Email", "Full name", "Subscribed", "City"),
        ("Email", "First Name", "Last Name", "Phone"),
        ("ID", "E-mail", "Имя", "Телефон"),
        ("EMAIL", "LASTNAME", "FIRSTNAME", "SMS", "EMAIL_BLACKLISTED"),
        ("email",),
    ],
)
def test_a_file_of_no_crm_we_know_is_taken_for_none(columns: tuple[str, ...]) -> None:
    assert recognise(columns, PRESETS.values()) == ()


def test_case_blanks_and_look_alike_letters_do_not_matter() -> None:
    cyrillic = "Рабочий e-mаil"  # its second a is Cyrillic

    (match,) = recognise((cyrillic, "ЧАСТНЫЙ E-MAIL", " доступен  для всех"), PRESETS.values())

    assert (match.preset.name, match.score) == ("bitrix24", 1.0)
    assert resolve(match.preset, (cyrillic,)).email == (cyrillic,)


def test_a_part_of_the_tell_tale_headers_is_worth_a_word_and_no_more() -> None:
    (match,) = recognise(("Email Address", "MEMBER_RATING", "OPTIN_TIME"), PRESETS.values())

    assert match.preset.name == "mailchimp"
    assert 0.6 <= match.score < USE
    assert not match.sure


def test_the_name_of_the_file_decides_between_presets_that_fit_alike() -> None:
    twin = preset("bitrix24").model_copy(
        update={"name": "twin", "detect": preset("bitrix24").detect.model_copy(update={"file": ("TWIN_*",)})}
    )
    columns = columns_of("CONTACT_20261122.csv")

    assert recognise(columns, [preset("bitrix24"), twin], ["exports/twin_1.csv"])[0].preset.name == "twin"
    assert recognise(columns, [twin, preset("bitrix24")], ["CONTACT_1.csv"])[0].preset.name == "bitrix24"


@pytest.mark.parametrize(
    ("columns", "name", "email", "first"),
    [
        (
            ("Prénom", "Nom", "Société", "Adresse de messagerie", "Type de messagerie", "Adresse de messagerie 2",
             "Adresse de messagerie 3"),
            "outlook", "Adresse de messagerie", "Prénom",
        ),
        (
            ("Nombre", "Apellidos", "Puesto", "Dirección de correo electrónico", "Dirección de correo electrónico 2",
             "Dirección del correo electrónico 3"),
            "outlook", "Dirección de correo electrónico", "Nombre",
        ),
        (
            ("Nome", "Cognome", "Indirizzo posta elettronica", "Tipo posta elettronica",
             "Nome visualizzato posta elettronica"),
            "outlook", "Indirizzo posta elettronica", "Nome",
        ),
        (
            ("Person - Name", "Person - Vorname", "Person - E-Mail-Adresse - Büro", "Person - Telefon - Mobil"),
            "pipedrive", "Person - E-Mail-Adresse - Büro", "Person - Vorname",
        ),
        (
            ("Persona - Nombre", "Persona - Primer nombre", "Persona - Correo electrónico - Trabajo"),
            "pipedrive", "Persona - Correo electrónico - Trabajo", "Persona - Primer nombre",
        ),
    ],
)  # fmt: skip
def test_headers_in_the_language_of_the_user_are_the_same_export(
    columns: tuple[str, ...], name: str, email: str, first: str
) -> None:
    best = recognise(columns, PRESETS.values())[0]
    taken = resolve(best.preset, columns)

    assert (best.preset.name, best.sure, taken.email[0]) == (name, True, email)
    assert {rule.name: rule.column for rule in taken.variables}["firstName"] == first


@pytest.mark.parametrize(
    "header", ["Person - Marketing-Status", "Persona - Estado de marketing", "Pessoa - Status de marketing"]
)
def test_of_states_in_words_we_do_not_know_only_those_that_say_subscribed_are(header: str) -> None:
    (rule,) = resolve(preset("pipedrive"), ("Person - Name", header)).opt_outs

    assert (rule.column, rule.code) == (header, "opted-out")
    assert {"Subscribed", "Abonniert", ""} <= set(rule.none_of)


# Taking ---------------------------------------------------------------------------------------------------------------


def test_a_preset_is_brought_to_the_headers_the_file_has() -> None:
    taken = resolve(preset("hubspot"), columns_of("hubspot-crm-exports-all-contacts-2026-11-22.csv"))

    assert (taken.email, taken.several, taken.id, taken.name) == (("Email",), Several.HOLD, "Record ID", None)
    assert {rule.name: rule.column for rule in taken.variables} == {
        "firstName": "First Name",
        "lastName": "Last Name",
        "phone": "Phone Number",
        "company": "Associated Company",
        "city": "City",
        "lifecycleStage": "Lifecycle Stage",
        "leadStatus": "Lead Status",
        "birthDate": "Date of birth",
    }
    assert {rule.name for rule in taken.variables if rule.phone} == {"phone"}
    assert {rule.name for rule in taken.variables if rule.type is VariableType.DATE} == {"birthDate"}
    assert taken.opt_outs == (
        HoldRule("Unsubscribed from all email", code="opted-out", yes=True),
        HoldRule("Email hard bounce reason", not_empty=True, code="opted-out"),
    )
    assert taken.others == ("Favourite colour",)
    assert "Associated Company IDs" in taken.dropped


def test_addresses_are_taken_in_the_order_of_the_preset_not_of_the_file() -> None:
    taken = resolve(preset("bitrix24"), ("Частный e-mail", "Рабочий e-mail", "E-mail для рассылок"))

    assert taken.email == ("E-mail для рассылок", "Рабочий e-mail", "Частный e-mail")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("hubspot", ("Record ID", "Email", "Email hard bounce reason")),
        ("salesforce-report", ("Email", "Account Name")),
        ("salesforce-api", ("Email", "IsDeleted")),
        ("activecampaign", ("Email",)),
        ("pipedrive", ("Person - Email - Work",)),
        ("zoho", ("Email", "Unsubscribed Time")),
        ("amocrm", ("Рабочий email",)),
        ("bitrix24", ("Рабочий e-mail", "Экспорт")),
        ("google-contacts", ("E-mail 1 - Value",)),
        ("outlook", ("E-mail Address",)),
    ],
)
def test_a_file_without_the_opt_out_column_its_crm_has_is_told_first_and_loudly(
    name: str, columns: tuple[str, ...]
) -> None:
    assert resolve(preset(name), columns).notes[0] == preset(name).no_opt_out


def test_the_subscribed_file_of_mailchimp_alone_is_told_what_it_lacks() -> None:
    columns = columns_of("audience_export_8f3a.zip")
    files = [f"{kind}_email_audience_export_8f3a.csv" for kind in ("subscribed", "unsubscribed", "cleaned")]

    assert preset("mailchimp").no_opt_out not in resolve(preset("mailchimp"), columns, files=files).notes
    note = resolve(preset("mailchimp"), columns, files=files[:1]).notes[0]
    assert note.startswith("only one file of the export")
    assert note.endswith("(missing: unsubscribed_*, cleaned_*)")


def test_a_preview_says_so() -> None:
    taken = resolve(preset("kommo"), columns_of("kommo_export_contacts.csv"))

    assert any("is a preview" in note for note in taken.notes)
    assert [one.name for one in PRESETS.values() if one.preview] == ["bitrix24-en", "kommo"]


def test_a_file_that_a_spreadsheet_saved_again_is_told() -> None:
    columns = columns_of("CONTACT_20261122.csv")

    assert not any("spreadsheet" in note for note in resolve(preset("bitrix24"), columns, separator=";").notes)
    assert any("spreadsheet" in note for note in resolve(preset("bitrix24"), columns, separator=",").notes)


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_preset_of_ones_own_is_found_beside_the_config_and_beats_ours(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "shop.toml").write_text(OWN, encoding="utf-8")
    (tmp_path / "presets" / "mine.toml").write_text(OWN.replace('"shop"', '"hubspot"'), encoding="utf-8")

    presets = load_presets(tmp_path)

    assert presets["shop"].title == presets["hubspot"].title == "Our shop"
    assert presets["shop"].columns["born"].column == ("Born", "Birthday")
    assert len(presets) == len(PRESETS) + 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "Our shop"', 'titel = "x"', "shop.toml: `title` is missing"),
        ('export = "', 'exportt = "', "exportt"),
        ('email.columns = ["Mail"]', "email.columns = []", "`email.columns`"),
        ('is_not = ["yes"]', 'is_not = ["yes"], yes = true', "exactly one of is, is_not, like"),
        ('type = "date"', 'type = "day"', "`columns.born.type`"),
        ('name = "shop"', 'name = "Our Shop"', "`name`"),
        ("[[", "[", "`detect.any_of`"),
        ("title =", "title", "not TOML"),
        ("consent =", 'dates = ["%d.%m"]\nconsent =', "a four-digit year"),
    ],
)
def test_a_wrong_preset_is_told_with_its_file_and_key(old: str, new: str, says: str) -> None:
    assert old in OWN
    with pytest.raises(ConfigError) as refused:
        read_preset(
            OWN.replace(old, new, 1).replace("]]", "]") if old == "[[" else OWN.replace(old, new, 1), "shop.toml"
        )

    assert says in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_preset_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "bad.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match=r"presets/bad\.toml: can't be read"):
        load_presets(tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as refused:
        preset_named("hubspott", PRESETS)

    assert refused.value.fix == 'preset = "hubspot"'
    assert "mailchimp" in refused.value.why
