"""How a file is read, from the file to the list: what the plan shows of it, and the one line that overrides it."""

import gzip
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from backports import zstd

from syncengine.testing.workbooks import workbook

if TYPE_CHECKING:
    from conftest import Project

HEADER = ["Email", "Имя", "Город"]
ROWS = [["zhanna@example.com", "Жанна", "Казань"], ["oleg@example.com", "Олег, мл.", "Пермь"]]


def table(separator: str) -> str:
    return "".join(
        separator.join(f'"{cell}"' if separator in cell else cell for cell in row) + "\n" for row in (HEADER, *ROWS)
    )


def configure(project: "Project", source: str) -> None:
    """A job with this `source` as its config has it, quotes and all."""
    (project.folder / "syncengine.toml").write_text(
        f"""
[account]
token = "sandbox-token"
url = "{project.url}"
rate = 500

[[job]]
name = "newsletter"
list = "{project.contacts.id}"
source = {source}
consent = "source"
columns = {{ email = "Email", active = true, name = "Имя" }}
variables = {{ city = "Город" }}
""",
        encoding="utf-8",
    )


def on_list(project: "Project") -> list[list[str | None]]:
    return [[one.email, one.name, one.variables.get("city")] for one in project.contacts.contacts.values()]


def zipped(project: "Project") -> bytes:
    path = project.folder / "made.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", table(","))
        archive.writestr("deals.csv", "Id,Sum\n1,2\n")
        archive.writestr("readme.pdf", b"%PDF-1.7")
    content = path.read_bytes()
    path.unlink()
    return content


def page(_: "Project") -> bytes:
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in (HEADER, *ROWS))
    return f"<html><body><table>{rows}</table></body></html>".encode()


def parquet(project: "Project") -> bytes:
    path = project.folder / "made.parquet"
    frame = pl.DataFrame(ROWS, schema=HEADER, orient="row").with_columns(pl.col("Город").cast(pl.Categorical))
    frame.write_parquet(path)
    return path.read_bytes()


#: what the file is → its bytes, and further keys of [job.source]
FORMS: dict[str, tuple["Callable[[Project], bytes]", str]] = {
    "semicolons": (lambda _: table(";").encode(), ""),
    "tabs": (lambda _: table("\t").encode(), ""),
    "pipes": (lambda _: table("|").encode(), ""),
    "windows-1251": (lambda _: table(";").encode("cp1251"), ""),
    "windows-1251, said in the config": (lambda _: table(",").encode("cp1251"), ', encoding = "cp1251"'),
    "UTF-16 with a mark": (lambda _: table("\t").encode("utf-16"), ""),
    "UTF-8 with a mark and Windows line ends": (lambda _: table(",").replace("\n", "\r\n").encode("utf-8-sig"), ""),
    "gzip": (lambda _: gzip.compress(table(",").encode()), ""),
    "zstd": (lambda _: zstd.compress(table(",").encode()), ""),
    "a member of a zip": (zipped, ', member = "people.csv"'),
    "a web page": (page, ""),
    "Parquet": (parquet, ""),
    "a workbook": (lambda _: workbook({"Лист1": {1: HEADER, 2: ROWS[0], 3: ROWS[1]}}), ""),
    "a sheet of a workbook": (
        lambda _: workbook({"Notes": {1: ["x"]}, "People": {1: HEADER, 2: ROWS[0], 3: ROWS[1]}}),
        ', sheet = "People"',
    ),
    "two lines above the header": (
        lambda _: ("Контакты, все\nза 2026 год\n" + table(",")).encode(),
        ", skip_rows = 2",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_people_come_to_the_list_whatever_they_are_written_in(project: "Project", form: str) -> None:
    content, keys = FORMS[form]
    (project.folder / "people.dat").write_bytes(content(project))
    configure(project, f'{{ path = "people.dat"{keys} }}')

    answer = project.run("sync", "--yes", "--json")

    assert answer.code == 0, answer.err
    assert on_list(project) == ROWS


def test_a_guessed_encoding_is_in_the_plan_with_a_value_and_one_line_says_another(project: "Project") -> None:
    (project.folder / "people.csv").write_bytes((table(";")).encode("cp1251"))
    configure(project, '"people.csv"')

    guessed = project.run("plan")
    assert "encoding: cp1251 (a guess) · separator: semicolon (detected) · sample: Имя" in guessed.out
    (warning,) = [line for line in guessed.out.splitlines() if "the encoding is a guess" in line]
    assert warning.endswith('if that is wrong, set it: encoding = "cp1252"')

    configure(project, '{ path = "people.csv", encoding = "cp1252" }')
    told = project.run("plan")
    assert told.code == 2, "the Russian headers of the config are not in a file that is read as Western"
    assert '"Èìÿ"' in told.err

    configure(project, '{ path = "people.csv", encoding = "cp1251" }')
    told = project.run("plan")
    assert "encoding: cp1251 (set in the config)" in told.out
    assert "guess" not in told.out


def test_of_a_glob_the_newest_file_counts_or_all_do(project: "Project") -> None:
    for number in range(3):
        path = project.folder / f"export-{number}.csv"
        path.write_text(f"Email,Имя,Город\nperson{number}@example.com,P,C\nall@example.com,P,City {number}\n")
        os.utime(path, (1_700_000_000 - number, 1_700_000_000 - number))

    configure(project, '"export-*.csv"')
    assert project.run("sync", "--yes").code == 0
    assert [email for email, *_ in on_list(project)] == ["person0@example.com", "all@example.com"]

    configure(project, '{ path = "export-*.csv", pick = "all" }')
    report = project.run("sync", "--yes", "--json").report
    assert (report["rows"], report["held"]) == (6, 2)
    assert {email: city for email, _, city in on_list(project)} == {
        "person0@example.com": "C",
        "person1@example.com": "C",
        "person2@example.com": "C",
        "all@example.com": "City 2",
    }
    assert {row["source file"] for row in project.errors(report)} == {"export-0.csv", "export-1.csv"}


class Store(BaseHTTPRequestHandler):
    """One object of a bucket, with ranges, as S3 answers for it."""

    content = b""

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content, wanted = self.content, self.headers.get("Range")
        first, _, last = (wanted or "bytes=0-").removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        part = content[start : int(last) + 1 if first and last else None]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(part)))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(content)}")
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Wed, 01 May 2024 10:00:00 GMT")
        self.end_headers()
        if body:
            self.wfile.write(part)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Store]]:
    """Every store there is, at this address: credentials and address come from the environment, as with their tools."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    google = tmp_path / "google.json"
    google.write_text(
        json.dumps(
            {
                "gcs_base_url": url,
                "disable_oauth": True,
                **dict.fromkeys(("client_email", "private_key", "private_key_id"), ""),
            }
        )
    )
    settings = {
        "AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "r", "AZURE_STORAGE_ENDPOINT": url, "AZURE_ALLOW_HTTP": "true", "AZURE_STORAGE_ACCOUNT_NAME": "x",
        "AZURE_STORAGE_ACCOUNT_KEY": "eHg=", "GOOGLE_SERVICE_ACCOUNT": str(google),
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield Store
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_an_object_in_a_store_comes_to_the_list_and_a_second_run_sends_nothing(
    project: "Project", store: type[Store], scheme: str
) -> None:
    store.content = table(",").encode()
    configure(project, f'"{scheme}://crm-of-test-reading/people.csv"')

    first = project.run("sync", "--yes", "--json")
    again = project.run("sync", "--yes", "--json")

    assert first.code == 0, first.err
    assert on_list(project) == ROWS
    assert (again.report["same"], again.report["requests"]) == (2, 0)


def test_an_error_file_read_among_others_keeps_its_own_word_for_where_a_row_is_from(project: "Project") -> None:
    for name in ("a", "b"):
        path = project.folder / f"{name}.csv"
        path.write_text(f"Email,Имя,Город,source file\n{name}@example.com,P,C,before.csv\nbad,P,C,before.csv\n")
    configure(project, '{ path = "[ab].csv", pick = "all" }')

    answer = project.run("sync", "--yes", "--json")

    assert answer.code == 0, answer.err
    assert [row["source file"] for row in project.errors(answer.report)] == ["before.csv"] * 2
