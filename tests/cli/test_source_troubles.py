"""Files of trouble through the whole program, in a job that removes whoever left: nobody is removed because of one.

The list holds twenty people. Each case puts another file in the place of theirs, with every guard wide open, so that
nothing but the reading protects them: it is refused (exit 2, nothing sent), or its bad rows are held, with line and
code.
"""

import bz2
import contextlib
import csv
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from backports import zstd

from syncengine.cli.main import main
from syncengine.sandbox.sandbox import Sandbox
from syncengine.sandbox.serve import running
from syncengine.testing.workbooks import workbook

LIST = "5537ab2a08d241dc69326b19"
HEADER = "Email,Name,Note\n"
ROWS = [f"p{number:02}@example.com,Person {number:02},note\n" for number in range(20)]
GOOD = HEADER + "".join(ROWS)
PEOPLE = {f"p{number:02}@example.com" for number in range(20)}


def with_row(row: str, *, at: int = 5) -> str:
    """The good file with one row more, as line `at` + 2."""
    return HEADER + "".join([*ROWS[:at], row, *ROWS[at:]])


def zipped(**files: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


def encrypted_zip() -> bytes:
    content = bytearray(zipped(c_csv=GOOD))
    content[6] |= 1  # the flag in the local header …
    content[content.index(b"PK\x01\x02") + 8] |= 1  # … and in the directory
    return bytes(content)


def parquet(**columns: list[Any]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


GOOD_WORKBOOK = workbook({"S": dict(enumerate((line.split(",") for line in GOOD.splitlines()), start=1))})
GOOD_PARQUET = parquet(Email=sorted(PEOPLE), Name=["x"] * 20, Note=["y"] * 20)

#: name → content, the code of the refusal
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "nothing": (b"", "source-empty"),
    "a byte order mark and nothing": (b"\xef\xbb\xbf", "source-empty"),
    "blank lines": ("\n \r\n\n", "source-empty"),
    "line ends of old Macs": (GOOD.replace("\n", "\r"), "line-ends"),
    "a header twice": ("Email,Name,Email\na@example.com,b,c\n", "header-duplicate"),
    "a header twice after trimming": ("Email,Name, Name\ufeff\na@example.com,b,c\n", "header-duplicate"),
    "no header": ("".join(ROWS), "header-missing"),
    "numbers for a header": ("1,2,3\n4,5,6\n", "header-missing"),
    "only separators": (",,\n,,\n", "header-missing"),
    "a column without a name": ("Email,,Name\na@example.com,x,Ann\n", "header-empty"),
    "a quote open in the header": ('"Email,Name,Note\n' + "".join(ROWS) * 40, "header-endless"),
    "2,001 columns": (",".join(f"c{n}" for n in range(2_001)) + "\n", "too-many-columns"),
    "100,000 columns": (",".join(f"c{n}" for n in range(100_000)) + "\n1\n", "too-many-columns"),
    "a line without end": ("x" * 3_000_000, "header-endless"),
    "every row short": (HEADER + "a\nb\nc\n", "no-rows"),
    "every row broken": (HEADER + '1,"2"3,4\n' * 3, "no-rows"),
    "another separator than its rows": ("Email,Name,Note\n" + "".join(ROWS).replace(",", ";"), "no-rows"),
    "zero bytes": (bytes(5_000), "not-text"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "format"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "format"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "format"),
    "a workbook with a password": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le"),
        "format",
    ),
    "a workbook cut off": (b"PK\x03\x04\x14\x00\x00\x00" + bytes(100), "damaged"),
    "Excel 2003 XML": (
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        "format",
    ),
    "a login page": ("<!DOCTYPE html><title>Log in</title><body>Please log in</body>", "no-table"),
    "JSON": ('[{"email": "a@example.com"}]', "format"),
    "JSON lines": ('{"email": "a@example.com"}\n', "format"),
    "a database": (b"SQLite format 3\0" + bytes(80), "format"),
    "a RAR archive": (b"Rar!\x1a\x07\x01\x00", "format"),
    "a 7z archive": (b"7z\xbc\xaf\x27\x1c\x00\x04", "format"),
    "an xz file": (b"\xfd7zXZ\x00\x00\x04", "format"),
    "a tar archive": (b"contacts.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(200), "format"),
    "an encrypted Parquet file": (b"PARE\x15\x04\x15\x00" + bytes(20), "format"),
    "half a Parquet file": (GOOD_PARQUET[: len(GOOD_PARQUET) // 2], "unreadable"),
    "a Parquet file without its end": (GOOD_PARQUET[:-8], "unreadable"),
    "half a gzip file": (gzip.compress(GOOD.encode())[:60], "damaged"),
    "a gzip file with a wrong checksum": (gzip.compress(GOOD.encode())[:-8] + bytes(8), "damaged"),
    "half a zstd file": (zstd.compress(GOOD.encode())[:60], "damaged"),
    "half a workbook": (GOOD_WORKBOOK[: len(GOOD_WORKBOOK) // 2], "damaged"),
    "a workbook of something else": (workbook({"S": {1: ["Id", "Deal"], 2: [1, "x"]}}), "column-missing"),
    "an empty workbook": (workbook({"S": {}}), "source-empty"),
    "half a bz2 file": (bz2.compress(GOOD.encode())[:60], "damaged"),
    "half a zip file": (zipped(c_csv=GOOD)[:120], "damaged"),
    "an empty zip": (b"PK\x05\x06" + bytes(18), "no-member"),
    "an encrypted zip": (encrypted_zip(), "encrypted"),
    "a zip of two tables": (zipped(a_csv=GOOD, b_csv=GOOD), "several-members"),
    "a zip in a gzip": (gzip.compress(zipped(c_csv=GOOD)), "format"),
    "a gzip that inflates without end": (gzip.compress(GOOD.encode() + b"\n" * 100_000_000), "inflates"),
    "another export": ("Id,Deal,Sum\n1,x,2\n", "column-missing"),
    "a header in another case": (GOOD.replace("Email", "EMAIL"), "column-missing"),
    "a Parquet file of something else": (parquet(Id=[1], Deal=["x"]), "column-missing"),
    "an address column of bytes": (parquet(Email=[b"a"], Name=["x"], Note=["y"]), "column-missing"),
}

#: name → content, line and code of each held row
HELD: dict[str, tuple[str | bytes, list[tuple[int, str]]]] = {
    "a short row": (with_row("x@example.com\n"), [(7, "row-short")]),
    "a long row": (with_row("x@example.com,X,y,z\n"), [(7, "row-long")]),
    "a person's row cut short": (GOOD.replace(ROWS[5], "p05@example.com\n"), [(7, "row-short")]),
    "a person's row with a comma too many": (GOOD.replace("Person 05", "Person, 05"), [(7, "row-long")]),
    "a quote that never closes": (GOOD.replace("Person 05", '"Person 05'), [(7, "row-quote")]),
    "a quote in mid-cell": (GOOD.replace("Person 05", 'Per"son 05'), [(7, "row-quote")]),
    "a file cut in its last row": (GOOD.rstrip("\n")[: -len(ROWS[-1]) + 6], [(21, "row-cut")]),
    "a file cut inside quotes": (GOOD.replace(ROWS[19], '"p19@exam'), [(21, "row-cut")]),
    "a NUL": (GOOD.replace("Person 05", "Per\0son 05"), [(7, "row-nul")]),
    "an invalid byte": (
        GOOD.replace("Person 06", "Pérson éé").encode().replace(b"Person 05", b"Pers\xffn 05"),
        [(7, "row-encoding")],
    ),
    "an overlong sequence": (
        GOOD.replace("Person 06", "Pérson éé").encode().replace(b"Person 05", b"\xc0\xaf"),
        [(7, "row-encoding")],
    ),
    "a lone carriage return": (GOOD.replace("Person 05", "Person\r05"), [(7, "row-return")]),
    "a cell of ten megabytes": (GOOD.replace("Person 05", "y" * 10_000_000), [(7, "cell-too-long")]),
    "a control character": (GOOD.replace("Person 05", "Per\x1bson"), [(7, "control-character")]),
    "a row of empty cells": (with_row(",,\n"), [(7, "row-empty")]),
    "an address twice": (with_row(ROWS[3]), [(5, "duplicate")]),
    "an address in another case": (with_row("P03@Example.com,Person 03,note\n", at=3), [(5, "duplicate")]),
    "an empty address": (with_row(",X,y\n"), [(7, "email-empty")]),
    "no address": (with_row("not an address,X,y\n"), [(7, "email-invalid")]),
    "a placeholder": (with_row("noemail@example.com,X,y\n"), [(7, "email-placeholder")]),
    "an Exchange path": (with_row("/o=ExchangeLabs/ou=x/cn=y,X,y\n"), [(7, "email-exchange")]),
    "a second address in a person's cell": (
        GOOD.replace("p05@example.com", "p05@example.com; x@example.com"),
        [(7, "email-several")],
    ),
}

#: files that look like trouble and are none
FINE: dict[str, str | bytes] = {
    "a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "Windows line ends": GOOD.replace("\n", "\r\n"),
    "mixed line ends": GOOD.replace("\n", "\r\n", 5),
    "no line end at the end": GOOD.rstrip("\n"),
    "semicolons that a first line announces": "sep=;\n" + GOOD.replace(",", ";"),
    "tabs": GOOD.replace(",", "\t"),
    "UTF-16": GOOD.encode("utf-16"),
    "gzip called csv": gzip.compress(GOOD.encode()),
    "zip called csv": zipped(c_csv=GOOD),
    "Parquet called csv": GOOD_PARQUET,
    "a workbook called csv": GOOD_WORKBOOK,
    "zstd called csv": zstd.compress(GOOD.encode()),
    "everything quoted": "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in GOOD.splitlines()
    ),
    "a line break in quotes": GOOD.replace("Person 05", '"Person\n05"'),
    "a title and a footer": f'Newsletter\n\n{GOOD}\n"Grand Totals (20 records)"\n',
    "blank lines between": GOOD.replace("\n", "\n\n"),
}


@dataclass
class Loaded:
    """Twenty people on a list, and a mirroring job over `c.csv`."""

    folder: Path
    sandbox: Sandbox

    def people(self) -> set[str]:
        return {contact.email for contact in self.sandbox.lists[LIST].contacts.values() if contact.active}

    def sync(self, *arguments: str) -> tuple[int, str, str]:
        out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
                main(["sync", "--yes", "--json", *arguments])
        finally:
            os.chdir(before)
        assert "Traceback" not in err.getvalue()
        return int(left.value.code or 0), out.getvalue(), err.getvalue()

    def sync_file(self, content: str | bytes) -> tuple[int, str, str]:
        """A sync over this file, after which the good one is back."""
        path = self.folder / "c.csv"
        try:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            return self.sync()
        finally:
            path.write_text(GOOD)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("mirror")
    sandbox = Sandbox()
    with running(sandbox) as url:
        (folder / "syncengine.toml").write_text(
            f"""
[account]
token = "sandbox-token"
url = "{url}"
rate = 1000

[[job]]
name = "members"
list = "{LIST}"
source = "c.csv"
consent = "source"
mode = "mirror"
mirror = {{ on_missing = "remove", max_missing = "100%" }}
guard = {{ max_shrink = "100%", max_held = "100%" }}
columns = {{ email = "Email", active = true }}
variables = {{ name = "Name" }}
""".replace('name = "Name"', 'fullName = "Name"'),
            encoding="utf-8",
        )
        (folder / "syncengine.toml").chmod(0o600)
        project = Loaded(folder, sandbox)
        assert project.sync_file(GOOD)[0] == 0
        assert project.people() == PEOPLE
        yield project


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_table_of_contacts_is_refused_and_removes_nobody(loaded: Loaded, name: str) -> None:
    content, code = REFUSED[name]
    requests = len(loaded.sandbox.log)

    exit_code, out, err = loaded.sync_file(content)

    problem = json.loads(out)
    assert (exit_code, f"error[{code}]" in err) == (2, True), err
    assert "nothing was sent" in err
    assert problem["runs"] == [] or problem["runs"][0]["result"] in {"failed", "ok"}
    assert (loaded.people(), len(loaded.sandbox.log)) == (PEOPLE, requests)


@pytest.mark.parametrize("name", HELD)
def test_a_bad_row_is_held_with_line_and_code_and_its_person_stays(loaded: Loaded, name: str) -> None:
    content, expected = HELD[name]

    exit_code, out, err = loaded.sync_file(content)

    assert exit_code == 0, err
    (report,) = json.loads(out)["runs"]
    csv.field_size_limit(20_000_000)
    with Path(report["paths"]["errors"]).open(encoding="utf-8", newline="") as file:
        held = [(int(row["row"]), row["code"]) for row in csv.DictReader(file)]
    assert held == expected
    assert report["rows"] == report["held"] + report["same"] + sum(report["planned"].values())
    assert report["planned"]["remove"] == 0
    assert loaded.people() == PEOPLE


@pytest.mark.parametrize("name", FINE)
def test_a_file_that_only_looks_like_trouble_is_read_whole(loaded: Loaded, name: str) -> None:
    exit_code, out, err = loaded.sync_file(FINE[name])

    assert exit_code == 0, err
    (report,) = json.loads(out)["runs"]
    assert (report["rows"], report["held"], report["planned"]["remove"]) == (20, 0, 0)
    assert loaded.people() == PEOPLE


def folder_in_its_place(path: Path) -> None:
    path.mkdir()


def pipe_in_its_place(path: Path) -> None:
    os.mkfifo(path)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("/nonexistent/contacts.csv")


def no_file(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    "put",
    [folder_in_its_place, pipe_in_its_place, link_to_a_device, link_to_nothing, no_file],
    ids=lambda put: put.__name__,
)
def test_s19_what_is_no_file_is_refused_and_removes_nobody(loaded: Loaded, put: Callable[[Path], None]) -> None:
    path = loaded.folder / "c.csv"
    requests = len(loaded.sandbox.log)
    path.unlink()
    try:
        put(path)
        exit_code, _, err = loaded.sync()
    finally:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_text(GOOD)

    assert exit_code == 2
    assert "nothing was sent" in err
    assert (loaded.people(), len(loaded.sandbox.log)) == (PEOPLE, requests)


def test_there_are_more_than_sixty_files_of_trouble() -> None:
    assert len(REFUSED) + len(HELD) >= 60
