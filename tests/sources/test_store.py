"""Objects in a store, fetched through polars from a stand-in for S3 on the loopback."""

import gzip
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from syncengine.sources.spool import Spool, scheme_of

if TYPE_CHECKING:
    from conftest import Sources


class Bucket(ThreadingHTTPServer):
    """Answers HEAD and GET of objects, with ranges, as S3 does for a path-style request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.objects: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Bucket

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self.server.objects.get(self.path.partition("?")[0])
        if content is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        part = content
        self.send_response(206 if wanted else 200)
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(content) - int(last))
            stop = min(int(last) + 1, len(content)) if first and last else len(content)
            part = content[start:stop]
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Wed, 01 May 2024 10:00:00 GMT")
        self.end_headers()
        if body:
            self.wfile.write(part)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """One for all tests here: polars keeps the client of a bucket, address included."""
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-central-1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        yield server
    server.shutdown()
    thread.join()
    server.server_close()


TEXT = "Email,Name\r\na@example.com,Müller\r\n\r\nb@example.com,Bob\r\n"


def test_a_text_in_a_store_is_read_through_a_private_copy(sources: "Sources", bucket: Bucket) -> None:
    bucket.objects["/crm/exports/contacts.csv"] = TEXT.encode()
    source = sources.open("s3://crm/exports/contacts.csv")
    (chunk,) = source.chunks()
    assert chunk.rows.rows() == [(2, "a@example.com", "Müller"), (4, "b@example.com", "Bob")]
    assert chunk.file == "s3://crm/exports/contacts.csv"
    assert source.digest() == sources.open("s3://crm/exports/contacts.csv").digest()
    source.verify_unchanged()


def test_a_compressed_text_in_a_store_is_unpacked_on_the_way(sources: "Sources", bucket: Bucket) -> None:
    bucket.objects["/crm/contacts.csv.gz"] = gzip.compress(TEXT.encode())
    assert sources.read("s3://crm/contacts.csv.gz").rows == [("a@example.com", "Müller"), ("b@example.com", "Bob")]


def test_a_parquet_file_in_a_store_is_read(sources: "Sources", bucket: Bucket) -> None:
    out = io.BytesIO()
    pl.DataFrame({"Email": ["a@example.com"], "Id": [1]}).write_parquet(out)
    bucket.objects["/crm/contacts.parquet"] = out.getvalue()
    assert sources.read("s3://crm/contacts.parquet").rows == [("a@example.com", "1")]


def test_an_object_that_is_not_there_or_not_utf_8_is_refused(sources: "Sources", bucket: Bucket) -> None:
    error = sources.refusal("s3://crm/nothing.csv")
    assert error.code == "unreadable"
    assert "credentials" in error.fix
    bucket.objects["/crm/old.csv"] = "Имя\nЖанна\n".encode("cp1251")
    assert sources.refusal("s3://crm/old.csv").code == "unreadable"


@pytest.mark.parametrize(
    "path", ["http://example.com/a.csv", "hf://datasets/a.csv", "ftp://example.com/a", "file:///a.csv"]
)
def test_other_schemes_are_refused(sources: "Sources", path: str) -> None:
    error = sources.refusal(path)
    assert error.code == "scheme"
    assert "download it" in error.fix


def test_a_glob_in_a_store_is_refused(sources: "Sources") -> None:
    assert sources.refusal("s3://crm/contacts-*.csv").code == "scheme"


@pytest.mark.parametrize(
    ("path", "scheme"),
    [("s3://b/k", "s3"), ("GS://b/k", "gs"), ("az://c/k", "az"), ("abfs://c/k", "abfs"), ("exports/a.csv", None)],
)
def test_a_scheme_is_told_from_a_path(path: str, scheme: str | None) -> None:
    assert scheme_of(path) == scheme


def test_a_copy_is_private_and_gone_with_its_source() -> None:
    spool = Spool()
    folder = Path(spool.folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    del spool
    assert not folder.exists()
