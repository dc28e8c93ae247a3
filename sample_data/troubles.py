"""Writes files as people have them: one small synthetic file per documented trouble, in `troubles/`.

    python sample_data/troubles.py [FOLDER]

Some are read with a word about them, some hold rows, some are refused; `syncengine inspect` says which and why.
"""

import gzip
import sys
from collections.abc import Mapping
from pathlib import Path

HEADER = "Email,First name,City\n"
ANN = "ann@example.com,Ann,Ulm\n"
BOB = "bob@example.com,Bob,Rom\n"
ZOE = "zoe@example.com,Zoe,Bonn\n"


def utf8(*lines: str) -> bytes:
    return "".join(lines).encode()


FILES: Mapping[str, bytes] = {
    # encodings and dialects
    "excel-in-german.csv": 'sep=;\r\nE-Mail;Vorname;Straße\r\njo@example.com;Jörg;"Hauptstr. 1; EG"\r\n'.encode("cp1252"),
    "excel-unicode-text.txt": "Email\tИмя\r\nzh@example.com\tЖанна\r\n".encode("utf-16"),
    "windows-1251.csv": ("Email;Имя;Город\n" + "".join(f"p{n}@example.com;Жанна;Казань\n" for n in range(9))).encode("cp1251"),
    "latin-1-lands-in-utf-8.csv": utf8(HEADER, "é@example.com,Zoë,Köln\n" * 3) + b"bad@example.com,Andr\xe9,Paris\n" + utf8(ZOE),
    "byte-order-mark.csv": "\ufeff".encode() + utf8(HEADER, ANN),
    "packed-called-csv.csv": gzip.compress(utf8(HEADER, ANN, BOB), mtime=0),
    "pipes.txt": utf8("Email|Name\na@example.com|Ann, B.\nb@example.com|Bob\n"),
    # rows
    "title-above-header.csv": utf8("Newsletter contacts\n\n", HEADER, ANN, BOB),
    "salesforce-totals.csv": utf8(HEADER, ANN, BOB, '\n\n"Grand Totals (2 records)"\n"Confidential Information - Do Not Distribute"\n'),
    "short-and-long-rows.csv": utf8(HEADER, ANN, "short@example.com\n", "long@example.com,L,Ulm,more\n", ZOE),
    "open-quote.csv": utf8(HEADER, ANN, 'open@example.com,"Never closed,Ulm\n', BOB, ZOE),
    "cut-in-the-last-row.csv": utf8(HEADER, ANN, BOB, "zoe@exam"),
    "nul-bytes.csv": utf8(HEADER, ANN, "nul@example.com,N\0ul,Ulm\n", ZOE),
    "note-over-lines.csv": utf8("Email,Note\n", 'a@example.com,"first\nsecond"\n', "b@example.com,one\n"),
    # cells
    "dates-of-either-order.csv": utf8("Email,Born\n", "a@example.com,03/04/1990\n", "b@example.com,05/06/1991\n"),
    "dates-month-first.csv": utf8("Email,Born\n", "a@example.com,03/14/1990\n", "b@example.com,05/06/1991\n"),
    "dates-that-are-none.csv": utf8("Email,Born\n", *(f"p{n}@example.com,0{n}.05.1990\n" for n in range(1, 9)), "x@example.com,0/0/00\n"),
    "several-addresses.csv": utf8("Email,Name\n", '"a@example.com; b@example.com",Ann\n', "* c@example.com ::: d@example.com,Cid\n", "e@example.com,Eve\n"),
    "same-person-again.csv": utf8(HEADER, ANN, BOB, "ANN@example.com,Anna,Ulm\n", " bob@example.com ,Bob,Rome\n"),
    "rounded-phones.csv": utf8("Email,Phone\n", "a@example.com,7.9E+10\n", "b@example.com,+1 555 0100\n"),
    "phones-kept-as-text.csv": utf8("Email,Mobile,Fax\n", "a@example.com,'+79161234567,\"=\"\"+1 555 0100\"\"\"\n", "b@example.com,'7.9E+10,\n", "c@example.com,+1 555 0101,\n"),
    "words-for-nothing.csv": utf8("Email,City,Colour\n", "a@example.com,n/a,-\n", "b@example.com,(No value),red\n", "c@example.com,Ulm,\n"),
    "placeholder-addresses.csv": utf8(HEADER, ANN, "noemail@example.com,No,Ulm\n", "n/a,Na,Ulm\n", "test@test.com,T,Ulm\n"),
    "exchange-paths.csv": utf8(HEADER, "/o=ExchangeLabs/ou=x/cn=ann,Ann,Ulm\n", BOB, ZOE),
    "opted-out-in-russian.csv": utf8("Email,Отписан\n", "a@example.com,Да\n", "b@example.com,Нет\n", "c@example.com,может быть\n"),
    "subscribed-in-words.csv": utf8("Email,Status\n", "a@example.com,subscribed\n", "b@example.com,unsubscribed\n", "c@example.com,cleaned\n"),
    # headers
    "names-that-meet.csv": utf8("Email,Регион,Region,E-mail\n", "a@example.com,Север,North,x\n"),
    "reserved-names.csv": utf8("Email,User ID,Created at,Phone number\n", "a@example.com,1,yesterday,+1 555 0100\n"),
    "headers-in-many-scripts.csv": utf8("Email,客户名称,Қала,Straße 2,हिन्दी,الاسم\n", "a@example.com,a,b,c,d,e\n"),
    # an export we know, and something is missing
    "hubspot-without-opt-out.csv": utf8("Record ID,Email,Lifecycle Stage\n", "1,a@example.com,Lead\n"),
    "subscribed_email_audience_export_8f3a.csv": utf8("Email Address,MEMBER_RATING,OPTIN_TIME,LEID,EUID\n", "a@example.com,2,2025-01-01 10:00:00,1,a1\n"),
    "bitrix24-saved-again-by-excel.csv": utf8("ID,Имя,Рабочий e-mail,Частный e-mail,Доступен для всех\n", "1,Жанна,a@example.com,,Y\n"),
    # refused
    "empty.csv": b"",
    "old-mac-line-ends.csv": b"Email,Name\ra@example.com,Ann\rb@example.com,Bob\r",
    "no-header.csv": utf8(ANN, BOB),
    "a-header-twice.csv": utf8("Email,Name,Email\n", "a@example.com,Ann,b@example.com\n"),
    "no-addresses.csv": utf8("Name,City\n", "Ann,Ulm\n"),
    "a-login-page.csv": b"<!DOCTYPE html><title>Log in</title><body>Please log in</body>",
}  # fmt: skip


def write(folder: Path) -> None:
    """All files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "troubles")
