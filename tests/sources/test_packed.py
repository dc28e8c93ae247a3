"""Compressed files and archives: told by their bytes, read as a stream, stopped where they inflate beyond measure."""

import bz2
import gzip
import io
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backports import zstd

from syncengine.sources import SourceOptions, members, open_source
from syncengine.sources.archive import select_members

if TYPE_CHECKING:
    from conftest import Sources

TEXT = "Email,Name\n" + "".join(f"a{number}@example.com,Müller {number}\n" for number in range(3_000))
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "bz2": bz2.compress}


def zipped(files: dict[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


MAILCHIMP = zipped(
    {
        "subscribed_email_audience_export_1a.csv": "Email Address,TAGS\na@example.com,\n",
        "unsubscribed_email_audience_export_1a.csv": "Email Address,UNSUB_TIME\nb@example.com,2024-01-01\n",
        "cleaned_email_audience_export_1a.csv": "Email Address,CLEAN_TIME\nc@example.com,2024-01-01\n",
        "nonsubscribed_email_audience_export_1a.csv": "Email Address,TAGS\nd@example.com,\n",
    }
)


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("chunk_bytes", [1_000, 16 << 20])
def test_s18_a_compressed_file_is_read_whatever_its_name(sources: "Sources", packing: str, chunk_bytes: int) -> None:
    plain = sources.text(TEXT)
    read = sources.text(PACKERS[packing](TEXT.encode()), chunk_bytes=chunk_bytes)
    assert (read.rows, read.lines) == (plain.rows, plain.lines)
    assert read.described.facts["packed"] == packing
    assert read.described.format == "csv"
    assert plain.described.unpacked_size == plain.described.size
    assert read.described.unpacked_size > read.described.size  # memory is planned by it


@pytest.mark.parametrize("packing", PACKERS)
def test_several_frames_one_after_the_other_are_one_text(sources: "Sources", packing: str) -> None:
    pack = PACKERS[packing]
    half = len(TEXT) // 2
    content = pack(TEXT[:half].encode()) + pack(TEXT[half:].encode())
    assert len(sources.text(content).rows) == 3_000


@pytest.mark.parametrize("packing", PACKERS)
def test_a_compressed_file_in_another_encoding_is_read(sources: "Sources", packing: str) -> None:
    read = sources.text(PACKERS[packing](TEXT.encode("utf-16")), chunk_bytes=3_000)
    assert read.rows[-1] == ("a2999@example.com", "Müller 2999")


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
def test_a_compressed_file_that_is_cut_off_is_never_used_in_part(sources: "Sources", packing: str, keep: float) -> None:
    content = PACKERS[packing](TEXT.encode())
    error = sources.text_refusal(content[: int(keep * len(content))], chunk_bytes=1_000)
    assert error.code == "damaged"
    assert error.what == "contacts.csv is damaged or cut off"


@pytest.mark.parametrize("packing", ["gzip", "bz2"])
def test_a_flipped_bit_in_a_compressed_file_is_noticed(sources: "Sources", packing: str) -> None:
    content = bytearray(PACKERS[packing](TEXT.encode()))
    content[len(content) // 2] ^= 0x10
    assert sources.text_refusal(bytes(content)).code == "damaged"


def test_rubbish_behind_a_compressed_text_is_refused(sources: "Sources") -> None:
    assert sources.text_refusal(gzip.compress(TEXT.encode()) + b"rubbish").code == "damaged"


def test_a_bomb_is_stopped(sources: "Sources") -> None:
    error = sources.text_refusal(gzip.compress(b"Email\n" + b"a@example.com\n" * 6_000_000), max_inflated_ratio=100)
    assert error.code == "inflates"
    assert "100 to 1" in error.why
    error = sources.text_refusal(gzip.compress(TEXT.encode()), max_inflated_bytes=10_000)
    assert error.code == "inflates"


BOMB = """
    import pathlib, re, sys
    from syncengine.errors import SourceError
    from syncengine.sources import SourceOptions, open_source
    def peak():  # in MB; ru_maxrss begins with that of the parent
        return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
    before = peak()
    try:
        for chunk in open_source(SourceOptions(sys.argv[1])).chunks():
            pass
    except SourceError as error:
        print(error.code, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell a process its peak")
@pytest.mark.parametrize("shape", ["zeros", "one line", "one cell in quotes", "rows"])
def test_s18_a_bomb_takes_no_more_memory_than_an_honest_file(sources: "Sources", shape: str) -> None:
    piece = {
        "zeros": bytes(1 << 20),
        "one line": b"x" * (1 << 20),
        "one cell in quotes": b"x\n" * (1 << 19),
        "rows": b"a@example.com,b\n" * (1 << 16),
    }[shape]
    start = b'Email,Name\n1,"' if shape == "one cell in quotes" else b"Email,Name\n"
    packer = zstd.ZstdCompressor()
    packed = packer.compress(start) + b"".join(packer.compress(piece) for _ in range(1_500)) + packer.flush()
    path = sources.write("bomb.csv", packed)
    done = subprocess.run(  # our own program
        [sys.executable, "-c", textwrap.dedent(BOMB), str(path)], capture_output=True, text=True, check=True
    )
    code, grown = done.stdout.split()
    assert code in {"inflates", "no-rows", "not-text", "header-endless"}
    assert int(grown) < 400  # MiB


def test_a_zip_with_one_table_is_read_as_that_table(sources: "Sources") -> None:
    content = zipped({"export/contacts.csv": TEXT, "readme.pdf": b"%PDF", "__MACOSX/._contacts.csv": b"x"})
    read = sources.text(content)
    assert len(read.rows) == 3_000
    assert {chunk.file for chunk in read.chunks} == {"export/contacts.csv"}
    assert read.described.facts["packed"] == "zip"


def test_a_lone_member_is_a_table_whatever_its_name(sources: "Sources") -> None:
    assert len(sources.text(zipped({"export": TEXT})).rows) == 3_000


def test_a_zip_with_several_tables_asks_which_and_says_what_there_is(sources: "Sources") -> None:
    error = sources.text_refusal(MAILCHIMP)
    assert error.code == "several-members"
    assert "unsubscribed_email_audience_export_1a.csv" in error.why
    assert error.fix.startswith('say which: member = "subscribed_email')


def test_each_member_of_a_zip_is_a_source_of_its_own(sources: "Sources") -> None:
    path = sources.write("audience.zip", MAILCHIMP)
    options = SourceOptions(str(path))
    found = {}
    for name in members(options):
        source = open_source(replace(options, member=name))
        (chunk,) = source.chunks()
        found[chunk.file.partition("_")[0]] = (source.columns[1], chunk.rows["Email Address"][0])
    assert found == {
        "subscribed": ("TAGS", "a@example.com"),
        "unsubscribed": ("UNSUB_TIME", "b@example.com"),
        "cleaned": ("CLEAN_TIME", "c@example.com"),
        "nonsubscribed": ("TAGS", "d@example.com"),
    }


def test_members_are_chosen_by_a_glob_and_must_then_have_the_same_columns(sources: "Sources") -> None:
    path = sources.write("audience.zip", MAILCHIMP)
    read = sources.read(path, member="[sn]*ubscribed_*")
    assert [row[0] for row in read.rows] == ["a@example.com", "d@example.com"]
    assert len(read.described.files) == 2
    assert read.described.size == len(MAILCHIMP)
    assert sources.refusal(path, member="*").code == "columns-differ"
    assert sources.refusal(path, member="nothing*").code == "no-member"


def test_a_file_that_is_no_archive_has_no_members(sources: "Sources") -> None:
    assert members(SourceOptions(str(sources.write("contacts.csv", TEXT)))) == ()


def test_no_members_is_no_table() -> None:
    with pytest.raises(Exception, match="no table inside"):
        select_members((), None, "f.zip")


def test_an_encrypted_zip_is_refused(sources: "Sources") -> None:
    content = bytearray(zipped({"contacts.csv": TEXT}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    assert sources.text_refusal(bytes(content)).code == "encrypted"


def test_a_damaged_member_of_a_zip_is_refused(sources: "Sources") -> None:
    content = bytearray(zipped({"contacts.csv": TEXT}))
    content[200:220] = bytes(20)
    assert sources.text_refusal(bytes(content)).code == "damaged"


def test_a_zip_cut_off_is_refused(sources: "Sources") -> None:
    content = zipped({"contacts.csv": TEXT})
    assert sources.text_refusal(content[: len(content) // 2]).code == "damaged"


def test_what_is_packed_twice_is_refused(sources: "Sources") -> None:
    assert sources.text_refusal(gzip.compress(gzip.compress(b"Email\n"))).code == "format"
    assert sources.text_refusal(gzip.compress(zipped({"a.csv": TEXT}))).code == "format"
    assert sources.text_refusal(zipped({"a.zip": zipped({"a.csv": TEXT})})).code == "format"
    assert sources.text_refusal(zipped({"a.csv.gz": gzip.compress(b"x")})).code == "format"


@pytest.mark.parametrize(
    ("member", "what"),
    [("word/document.xml", "a Word document"), ("content.xml", "an OpenDocument file"), ("xl/workbook.bin", "xlsb")],
)
def test_other_documents_that_are_zips_are_named(sources: "Sources", member: str, what: str) -> None:
    error = sources.text_refusal(zipped({member: "x"}))
    assert error.code == "format"
    assert what in error.what


def test_a_packed_file_that_changes_while_it_is_read_is_noticed(sources: "Sources") -> None:
    path = sources.write("contacts.csv.gz", gzip.compress(TEXT.encode()))
    chunks = sources.open(path, chunk_bytes=1_000).chunks()
    next(chunks)
    with path.open("ab") as out:
        out.write(b"x")
    with pytest.raises(Exception, match="changed") as caught:
        list(chunks)
    assert caught.value.code == "source-changed"
