"""Writes what the CRMs export, synthetic and the same every time: one small file per preset, in `crm/`.

    python sample_data/crm.py [FOLDER]

Thirty people each. By their number: 3 opted out, 4 bounced, 5 has no address, 6 is number 0 again, 7 has a typing error
where the address should be, 8 has two addresses in one cell (all modulo 10, in the first twenty).
"""

import csv
import datetime as dt
import html
import io
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST = ("Anna", "Ben", "Chloé", "Emil", "Fatma", "Hugo", "Inês", "Jürgen", "Lena", "Moe")
LAST = ("Adler", "Brown", "Evans", "Fischer", "O'Neil", "Lopez", "Müller", "Nowak", "Rossi", "Smith")
RUSSIAN_FIRST = ("Анна", "Борис", "Дарья", "Егор", "Жанна", "Игорь", "Ксения", "Лев", "Мария", "Олег")
RUSSIAN_LAST = ("Адамов", "Белова", "Волков", "Громова", "Дмитриев", "Ежова", "Жуков", "Зимина", "Иванов", "Ковалёва")
CITIES = ("Almaty", "Berlin", "London", "München", "Porto")
COMPANIES = ("Acme, Inc.", 'The "Blue" Shop', "Pixel Foundry", "Müller & Söhne", "North Wind")
EPOCH = dt.date(1970, 1, 5)

Columns = Mapping[str, Callable[["Person"], str]]


@dataclass(frozen=True)
class Person:
    """One of thirty."""

    number: int

    @property
    def role(self) -> str:
        if self.number >= 20:
            return ""
        roles = {3: "opted out", 4: "bounced", 5: "no address", 6: "again", 7: "invalid", 8: "two addresses"}
        return roles.get(self.number % 10, "")

    @property
    def first(self) -> str:
        return FIRST[self.number % 10]

    @property
    def last(self) -> str:
        return LAST[self.number * 3 % 10]

    @property
    def russian(self) -> tuple[str, str]:
        return RUSSIAN_FIRST[self.number % 10], RUSSIAN_LAST[self.number * 3 % 10]

    @property
    def address(self) -> str:
        return f"person{self.number:02}@example.com"

    def email(self, between: str = "; ") -> str:
        """The cell as the CRM writes it; `between` stands between two addresses."""
        return {
            "no address": "",
            "again": f"PERSON{self.number - 6:02}@example.com",
            "invalid": f"person{self.number:02}(at)example.com",
            "two addresses": f"{self.address}{between}second{self.number:02}@example.org",
        }.get(self.role, self.address)

    @property
    def other(self) -> str:
        return f"private{self.number:02}@example.org" if self.number % 4 == 1 else ""

    @property
    def phone(self) -> str:
        return f"+1 202 555 01{self.number:02}"

    @property
    def city(self) -> str:
        return CITIES[self.number % 5]

    @property
    def company(self) -> str:
        return COMPANIES[self.number % 5] if self.number % 3 else ""

    @property
    def born(self) -> dt.date | None:
        return EPOCH + dt.timedelta(days=self.number * 397) if self.number % 2 else None

    def born_as(self, form: str, nothing: str = "") -> str:
        return self.born.strftime(form) if self.born else nothing

    @property
    def created(self) -> dt.datetime:
        return dt.datetime(2025, 1, 1, 9, 14, tzinfo=dt.UTC) + dt.timedelta(
            days=self.number * 11, minutes=self.number * 7
        )

    def when(self, role: str, yes: str, no: str = "") -> str:
        return yes if self.role == role else no


PEOPLE = tuple(map(Person, range(30)))


def constant(text: str) -> Callable[[Person], str]:
    return lambda _: text


def empty(*headers: str) -> Columns:
    return dict.fromkeys(headers, constant(""))


HUBSPOT: Columns = {
    "Record ID": lambda p: str(9_001 + p.number),
    "First Name": lambda p: p.first,
    "Last Name": lambda p: p.last,
    "Email": lambda p: p.email(";"),
    "Phone Number": lambda p: p.phone,
    "Contact owner": constant("Sam Seller"),
    "Lead Status": lambda p: "Open" if p.number % 2 else "(No value)",
    "Lifecycle Stage": lambda p: ("Lead", "Customer", "Subscriber")[p.number % 3],
    "Marketing contact status": lambda p: "Marketing contact" if p.number % 2 else "Non-marketing contact",
    "Unsubscribed from all email": lambda p: p.when("opted out", "true"),
    "Email hard bounce reason": lambda p: p.when("bounced", "Unknown user"),
    "Create Date": lambda p: p.created.strftime("%Y-%m-%d %H:%M"),
    "Date of birth": lambda p: p.born_as("%Y-%m-%d"),
    "City": lambda p: p.city,
    "Associated Company IDs": lambda p: f"{p.number};{p.number + 1}",
    "Associated Company": lambda p: p.company,
    "Favourite colour": lambda p: ("red", "green", "")[p.number % 3],
}

SALESFORCE_REPORT: Columns = {
    "Salutation": constant("Ms."),
    "First Name": lambda p: p.first,
    "Last Name": lambda p: p.last,
    "Title": constant("Buyer"),
    "Account Name": lambda p: p.company,
    "Mailing Street": lambda p: f"{p.number} Main St\nFloor 2" if p.number % 3 == 0 else f"{p.number} Main St",
    "Mailing City": lambda p: p.city,
    "Mailing State/Province": constant(""),
    "Mailing Zip/Postal Code": lambda p: f"0{p.number:04}",
    "Mailing Country": constant("Germany"),
    "Phone": lambda p: p.phone,
    "Email": lambda p: p.email(),
    "Email Opt Out": lambda p: p.when("opted out", "1", "0"),
    "Email Bounced Reason": lambda p: p.when("bounced", "550 no such user"),
    "Account Owner": constant("Sam Seller"),
    "Last Activity": lambda p: p.created.strftime("%d/%m/%Y"),
}
SALESFORCE_FOOTER = (
    "\n\n"
    '"Grand Totals (30 records)"\n'
    '"Newsletter contacts"\n'
    '"Copyright (c) 2000-2026 salesforce.com, inc. All rights reserved."\n'
    '"Confidential Information - Do Not Distribute"\n'
    '"Generated By: Sam Seller 22/11/2026 09:14"\n'
    '"Example Ltd"\n'
)

SALESFORCE_API: Columns = {
    "Id": lambda p: f"0035g00000{p.number:05}AAA",
    "AccountId": lambda p: f"0015g00000{p.number:05}AAA",
    "IsDeleted": lambda p: "true" if p.number == 29 else "false",
    "FirstName": lambda p: p.first,
    "LastName": lambda p: p.last,
    "Email": lambda p: p.email(),
    "MobilePhone": lambda p: p.phone,
    "MailingCity": lambda p: p.city,
    "MailingCountry": constant("Germany"),
    "Birthdate": lambda p: p.born_as("%Y-%m-%d"),
    "OwnerId": constant("0055g000001AAAA"),
    "HasOptedOutOfEmail": lambda p: p.when("opted out", "true", "false"),
    "EmailBouncedReason": lambda p: p.when("bounced", "550 no such user"),
    "CreatedDate": lambda p: p.created.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "SystemModstamp": lambda p: p.created.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "Loyalty_Level__c": lambda p: ("gold", "silver")[p.number % 2],
}

MAILCHIMP: Columns = {
    "Email Address": lambda p: p.address,
    "First Name": lambda p: p.first,
    "Last Name": lambda p: p.last,
    "Address": lambda p: f"{p.number} Main St  {p.city}  Germany",
    "Phone Number": lambda p: p.phone,
    "Birthday": lambda p: p.born_as("%m/%d"),
    "MEMBER_RATING": lambda p: str(p.number % 5 + 1),
    "OPTIN_TIME": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "OPTIN_IP": lambda p: f"192.0.2.{p.number}",
    "CONFIRM_TIME": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "LAST_CHANGED": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "LEID": lambda p: str(500 + p.number),
    "EUID": lambda p: f"a{p.number:09x}",
    "NOTES": constant(""),
    "TAGS": lambda p: '"VIP","Blog, weekly"' if p.number % 2 else "",
}
UNSUBSCRIBED: Columns = {"UNSUB_TIME": constant("2026-05-01 10:00:00"), "UNSUB_REASON": constant("NORMAL")}
CLEANED: Columns = {"CLEAN_TIME": constant("2026-06-01 10:00:00")}

ACTIVECAMPAIGN: Columns = {
    "Contact ID": lambda p: str(p.number + 1),
    "Email": lambda p: p.email(),
    "First Name": lambda p: p.first,
    "Last Name": lambda p: p.last,
    "Phone": lambda p: p.phone,
    "Account": lambda p: p.company,
    "Tags": lambda p: "vip, blog" if p.number % 2 else "",
    "Date Created": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "Date Updated": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "IP": lambda p: f"192.0.2.{p.number}",
    "Status": lambda p: {"opted out": "Unsubscribed", "bounced": "Bounced"}.get(
        p.role, "Unconfirmed" if p.number == 29 else "Active"
    ),
    "Interests": lambda p: "red||green" if p.number % 2 else "blue",
}

PIPEDRIVE: Columns = {
    "Person - ID": lambda p: str(p.number + 1),
    "Person - Name": lambda p: f"{p.first} {p.last}",
    "Person - First name": lambda p: p.first,
    "Person - Last name": lambda p: p.last,
    "Person - Label": lambda p: "Hot lead" if p.number % 2 else "",
    "Person - Organization": lambda p: p.company,
    "Person - Email - Work": lambda p: p.email(", "),
    "Person - Email - Home": lambda p: p.other,
    "Person - Phone - Mobile": lambda p: p.phone,
    "Person - Owner": constant("Sam Seller"),
    "Person - Person created": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "Person - Marketing status": lambda p: {"opted out": "Unsubscribed", "bounced": "Bounced"}.get(
        p.role, "Subscribed"
    ),
}

ZOHO: Columns = {
    "Record Id": lambda p: f"zcrm_54010000000{p.number:05}",
    "Contact Owner.id": constant("zcrm_5401000000000001"),
    "Contact Owner": constant("Sam Seller"),
    "Lead Source": constant("Web"),
    "First Name": lambda p: p.first,
    "Last Name": lambda p: p.last,
    "Account Name.id": constant(""),
    "Account Name": lambda p: p.company,
    "Email": lambda p: p.email(),
    "Secondary Email": lambda p: p.other,
    "Mobile": lambda p: p.phone,
    "Date of Birth": lambda p: p.born_as("%Y-%m-%d"),
    "Created By.id": constant("zcrm_5401000000000001"),
    "Created By": constant("Sam Seller"),
    "Created Time": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "Modified Time": lambda p: p.created.strftime("%Y-%m-%d %H:%M:%S"),
    "Email Opt Out": lambda p: p.when("opted out", "true", "false"),
    "Unsubscribed Time": lambda p: p.when("bounced", "2026-05-01 10:00:00"),
    "Mailing City": lambda p: p.city,
    "Tag": lambda p: "vip" if p.number % 2 else "",
}

AMOCRM: Columns = {
    "ID": lambda p: str(31_000_000 + p.number),
    "Тип": lambda p: "компания" if p.number == 29 else "контакт",
    "Полное имя контакта": lambda p: " ".join(p.russian),
    "Компания контакта": lambda p: html.escape(p.company),
    "Ответственный": constant("Иван Продавцов"),
    "Дата создания": lambda p: p.created.strftime("%d.%m.%Y %H:%M:%S"),
    "Кем создан": constant("Иван Продавцов"),
    "Теги": lambda p: "vip" if p.number % 2 else "",
    "Рабочий телефон": constant(""),
    "Мобильный телефон": lambda p: p.phone,
    "Рабочий email": lambda p: p.email(", "),
    "Личный email": lambda p: p.other,
    "Другой email": constant(""),
    "Должность": constant("Покупатель"),
    "День рождения": lambda p: p.born_as("%d.%m.%Y"),
}

KOMMO: Columns = {
    "Contact ID": lambda p: str(31_000_000 + p.number),
    "Type": lambda p: "company" if p.number == 29 else "contact",
    "Full name": lambda p: f"{p.first} {p.last}",
    "Company": lambda p: html.escape(p.company),
    "Responsible user": constant("Sam Seller"),
    "Created at": lambda p: p.created.strftime("%d.%m.%Y %H:%M:%S"),
    "Tags": lambda p: "vip" if p.number % 2 else "",
    "Work phone": lambda p: p.phone,
    "Work email": lambda p: p.email(", "),
}

BITRIX24: Columns = {
    "ID": lambda p: str(p.number + 1),
    "Обращение": constant(""),
    "Имя": lambda p: p.russian[0],
    "Фамилия": lambda p: p.russian[1],
    "Отчество": constant(""),
    "Дата рождения": lambda p: p.born_as("%d.%m.%Y"),
    "Фотография": constant(""),
    "Компания": lambda p: p.company.replace("ü", "u").replace("ö", "o"),
    "Ответственный": constant("Иван Продавцов"),
    "Мобильный телефон": lambda p: p.phone,
    "Рабочий e-mail": lambda p: p.email(", "),
    "Частный e-mail": lambda p: p.other,
    "E-mail для рассылок": constant(""),
    "Контакт Skype": constant(""),
    "Должность": constant("Покупатель"),
    "Тип контакта": lambda p: ("Клиенты", "Партнёры")[p.number % 2],
    "Источник": constant("Сайт"),
    "Экспорт": lambda p: p.when("bounced", "N", "Y"),
    "Доступен для всех": constant("Y"),
    "Подписан на рассылку": lambda p: p.when("opted out", "нет", "да"),
    "UF_CRM_1610": constant(""),
}

BITRIX24_EN: Columns = {
    "ID": lambda p: str(p.number + 1),
    "Salutation": constant(""),
    "First Name": lambda p: p.first,
    "Last Name": lambda p: p.last,
    "Date of birth": lambda p: p.born_as("%d.%m.%Y"),
    "Company": lambda p: p.company,
    "Responsible person": constant("Sam Seller"),
    "Mobile Phone": lambda p: p.phone,
    "Work E-mail": lambda p: p.email(", "),
    "Private E-mail": lambda p: p.other,
    "Position": constant("Buyer"),
    "Contact Type": constant("Client"),
    "Available to everyone": constant("yes"),
}

GOOGLE: Columns = {
    "First Name": lambda p: p.first,
    "Middle Name": constant(""),
    "Last Name": lambda p: p.last,
    **empty("Phonetic First Name", "Phonetic Middle Name", "Phonetic Last Name", "Name Prefix", "Nickname", "File As"),
    "Organization Name": lambda p: p.company,
    "Organization Title": constant(""),
    "Birthday": lambda p: p.born_as("--%m-%d" if p.number % 4 == 1 else "%Y-%m-%d"),
    "Notes": lambda p: "met at the fair\ncalls back" if p.number % 5 == 0 else "",
    "Photo": constant(""),
    "Labels": constant("* myContacts ::: Work"),
    "E-mail 1 - Label": constant("* Work"),
    "E-mail 1 - Value": lambda p: p.email(" ::: "),
    "E-mail 2 - Label": lambda p: "Home" if p.other else "",
    "E-mail 2 - Value": lambda p: p.other,
    "Phone 1 - Label": constant("Mobile"),
    "Phone 1 - Value": lambda p: p.phone,
    "Address 1 - City": lambda p: p.city,
    "Address 1 - Country": constant("Germany"),
}

OUTLOOK: Columns = {
    "Title": constant(""),
    "First Name": lambda p: p.first,
    "Middle Name": constant(""),
    "Last Name": lambda p: p.last,
    "Company": lambda p: p.company,
    "Job Title": constant("Buyer"),
    "Business Street": lambda p: f"{p.number} Main St",
    "Business City": lambda p: p.city,
    "Business Country/Region": constant("Germany"),
    "Mobile Phone": lambda p: p.phone,
    "Anniversary": constant("0/0/00"),
    "Birthday": lambda p: p.born_as("%m/%d/%Y", "0/0/00"),
    "Categories": constant("Friends"),
    "E-mail Address": lambda p: p.when("opted out", f"/o=ExchangeLabs/ou=x/cn=person{p.number}", p.email()),
    "E-mail Type": lambda p: p.when("opted out", "EX", "SMTP"),
    "E-mail Display Name": lambda p: f"{p.first} {p.last}",
    "E-mail 2 Address": lambda p: p.other,
    "E-mail 2 Type": lambda p: "SMTP" if p.other else "",
    "Notes": constant(""),
    "Web Page": constant(""),
}


def translated(columns: Columns, headers: Mapping[str, str], *, russian: bool = False) -> Columns:
    """`columns` whose headers are those of another language; those without a translation are left out."""
    names: Columns = {
        "First Name": lambda p: p.russian[0],
        "Last Name": lambda p: p.russian[1],
        "E-mail Display Name": lambda p: " ".join(p.russian),
        "Company": lambda p: p.company.replace("ü", "u").replace("ö", "o"),
        "Business City": constant("Казань"),
    }
    return {headers[header]: (names if russian else {}).get(header, columns[header]) for header in headers}


OUTLOOK_GERMAN = translated(OUTLOOK, {
    "Title": "Anrede", "First Name": "Vorname", "Middle Name": "Weitere Vornamen", "Last Name": "Nachname",
    "Company": "Firma", "Job Title": "Position", "Business Street": "Straße geschäftlich",
    "Business City": "Ort geschäftlich", "Business Country/Region": "Land/Region geschäftlich",
    "Mobile Phone": "Mobiltelefon", "E-mail Address": "E-Mail-Adresse", "E-mail Type": "E-Mail-Typ",
    "E-mail Display Name": "E-Mail: Angezeigter Name", "E-mail 2 Address": "E-Mail 2: Adresse",
    "E-mail 2 Type": "E-Mail 2: Typ", "Categories": "Kategorien", "Notes": "Notizen", "Web Page": "Webseite",
})  # fmt: skip

OUTLOOK_RUSSIAN = translated(OUTLOOK, {
    "Title": "Обращение", "First Name": "Имя", "Middle Name": "Отчество", "Last Name": "Фамилия",
    "Company": "Организация", "Job Title": "Должность", "Business City": "Город (раб. адрес)",
    "Mobile Phone": "Телефон переносной", "Categories": "Категории", "E-mail Address": "Адрес эл. почты",
    "E-mail Type": "Тип эл. почты", "E-mail Display Name": "Краткое имя эл. почты",
    "E-mail 2 Address": "Адрес 2 эл. почты", "E-mail 2 Type": "Тип 2 эл. почты", "Notes": "Заметки",
}, russian=True)  # fmt: skip

PIPEDRIVE_PORTUGUESE = translated(PIPEDRIVE, {
    "Person - ID": "Pessoa - ID", "Person - Name": "Pessoa - Nome", "Person - Label": "Pessoa - Etiquetas",
    "Person - Organization": "Pessoa - Organização", "Person - Email - Work": "Pessoa - E-mail - Trabalho",
    "Person - Email - Home": "Pessoa - E-mail - Residencial", "Person - Phone - Mobile": "Pessoa - Telefone - Celular",
    "Person - Owner": "Pessoa - Proprietário",
})  # fmt: skip


def table(
    columns: Columns,
    people: tuple[Person, ...] = PEOPLE,
    *,
    separator: str = ",",
    encoding: str = "utf-8",
    quoted: bool = False,
    line_end: str = "\n",
    end: str = "",
) -> bytes:
    """A table of people as a CRM writes it; `end` stands below the last row."""
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=line_end)
    writer.writerow(columns)
    writer.writerows([cell(person) for cell in columns.values()] for person in people)
    return (out.getvalue() + end).encode(encoding)


def web_page(columns: Columns, people: tuple[Person, ...] = PEOPLE) -> bytes:
    """What Bitrix24 calls Excel."""
    rows = [list(columns), *([cell(person) for cell in columns.values()] for person in people)]
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    head = '<meta http-equiv="Content-type" content="text/html;charset=utf-8" />'
    return f"<html><head>{head}</head><body><table border=1>\n{body}</table></body></html>\n".encode()


def archive(members: Mapping[str, bytes]) -> bytes:
    """A zip that is the same every time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(zipfile.ZipInfo(name, (2026, 11, 22, 9, 14, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def mailchimp() -> bytes:
    parts: dict[str, tuple[str, Columns]] = {
        "opted out": ("unsubscribed", {**MAILCHIMP, **UNSUBSCRIBED}),
        "bounced": ("cleaned", {**MAILCHIMP, **CLEANED}),
        "no address": ("nonsubscribed", MAILCHIMP),
    }
    members = {
        "subscribed_email_audience_export_8f3a.csv": table(
            MAILCHIMP, tuple(person for person in PEOPLE if person.role not in parts)
        )
    }
    for role, (name, columns) in parts.items():
        people = tuple(person for person in PEOPLE if person.role == role)
        members[f"{name}_email_audience_export_8f3a.csv"] = table(columns, people)
    return archive(members)


FILES: Mapping[str, Callable[[], bytes]] = {
    "hubspot-crm-exports-all-contacts-2026-11-22.csv": lambda: table(HUBSPOT),
    "report1763800000000.csv": lambda: table(SALESFORCE_REPORT, encoding="cp1252", quoted=True, end=SALESFORCE_FOOTER),
    "salesforce-Contact.csv": lambda: table(SALESFORCE_API, quoted=True),
    "audience_export_8f3a.zip": mailchimp,
    "activecampaign.csv": lambda: table(ACTIVECAMPAIGN),
    "people-1234567-8.csv": lambda: table(PIPEDRIVE),
    "zoho-Contacts_001.csv": lambda: table(ZOHO),
    "amocrm_export_contacts_2026-11-22.csv": lambda: table(AMOCRM, encoding="utf-8-sig", quoted=True),
    "kommo_export_contacts.csv": lambda: table(KOMMO, encoding="utf-8-sig", quoted=True),
    "CONTACT_20261122.csv": lambda: table(BITRIX24, separator=";", encoding="cp1251", quoted=True, line_end="\r\n"),
    "CONTACT_20261122.xls": lambda: web_page(BITRIX24),
    "CONTACT_en.csv": lambda: table(BITRIX24_EN, separator=";", encoding="utf-8-sig", quoted=True),
    "google-contacts.csv": lambda: table(GOOGLE),
    "pessoas-1234567-9.csv": lambda: table(PIPEDRIVE_PORTUGUESE),
    "outlook-auf-deutsch.csv": lambda: table(
        OUTLOOK_GERMAN, separator=";", encoding="cp1252", quoted=True, line_end="\r\n"
    ),
    "outlook-po-russki.csv": lambda: table(OUTLOOK_RUSSIAN, encoding="cp1251", quoted=True, line_end="\r\n"),
    "outlook.csv": lambda: table(OUTLOOK, encoding="cp1252", quoted=True, line_end="\r\n"),
}


def write(folder: Path) -> None:
    """All files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "crm")
