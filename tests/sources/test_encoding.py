"""Encodings: marks, proof, presets, and the guess; what is invalid is held, and nothing is sent as U+FFFD."""

import codecs
from typing import TYPE_CHECKING

import pytest

from syncengine.errors import SourceError
from syncengine.sources import guess_encoding
from syncengine.sources.encoding import decide_encoding, invalid_utf8, known_codec, non_ascii_value
from syncengine.sources.text import Transcoder

if TYPE_CHECKING:
    from conftest import Sources

RUSSIAN = "ID;Имя;Фамилия;Рабочий e-mail\n1;Анна;Иванова;anna@example.com\n2;Дмитрий;Петров;dmitri@example.com\n"
FRENCH = "Id,Prénom,Email\n1,Élodie,elodie@example.com\n2,François,francois@example.com\n3,Zoé,zoe@example.com\n"
POLISH = "Id,Imię,Email\n1,Małgorzata,m@example.com\n2,Łukasz,l@example.com\n3,Święcicka,s@example.com\n"
TURKISH = "Id,Ad,Email\n1,Gökçe,g@example.com\n2,Şahin,s@example.com\n3,Yıldız,y@example.com\n"
GREEK = "Id,Όνομα,Email\n1,Γιώργος,g@example.com\n2,Παπαδόπουλος,p@example.com\n"
CHINESE = "Id,姓名,Email\n1,王小明,w@example.com\n2,李四,l@example.com\n3,北京市,b@example.com\n"
JAPANESE = "Id,名前,Email\n1,山田太郎,y@example.com\n2,さとう,s@example.com\n"


def expected(text: str) -> list[tuple[str | None, ...]]:
    separator = ";" if ";" in text else ","
    return [tuple(line.split(separator)) for line in text.splitlines()[1:]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", [RUSSIAN, FRENCH, "Id,Email\n1,a@example.com\n"])
def test_s10_unicode_is_told_by_its_mark_or_its_bytes(sources: "Sources", text: str, encoding: str) -> None:
    read = sources.text(text.encode(encoding))
    assert read.rows == expected(text)
    assert read.columns == tuple(text.splitlines()[0].replace(";", ",").split(","))


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE])
def test_s10_each_byte_order_mark_is_understood(sources: "Sources", mark: bytes) -> None:
    codec = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(
        mark, "utf-32-le" if mark == codecs.BOM_UTF32_LE else "utf-32-be"
    )
    read = sources.text(mark + RUSSIAN.encode(codec))
    assert read.rows == expected(RUSSIAN)
    assert read.described.facts["encoding"] == f"{codec} (byte order mark)"
    assert read.described.facts["sample"] == "Имя"


def test_a_mark_that_was_added_twice_is_left_out_twice(sources: "Sources") -> None:
    assert sources.text(b"\xef\xbb\xbf\xef\xbb\xbf" + FRENCH.encode()).columns == ("Id", "Prénom", "Email")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp866"),
        (RUSSIAN, "mac-cyrillic"),
        (RUSSIAN, "iso8859-5"),
        (FRENCH, "cp1252"),
        (FRENCH, "latin-1"),
        (POLISH, "cp1250"),
        (POLISH, "iso8859-2"),
        (TURKISH, "cp1254"),
        (GREEK, "cp1253"),
        (CHINESE, "gb18030"),
        (CHINESE, "big5"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc-jp"),
    ],
)
def test_s10_a_code_page_is_guessed_and_the_guess_is_shown(sources: "Sources", text: str, encoding: str) -> None:
    if encoding == "big5":
        text = "Id,姓名,Email\n1,王小明,w@example.com\n2,李四,l@example.com\n3,台北市中山區,b@example.com\n"
    read = sources.text(text.encode(encoding))
    assert read.rows == expected(text)
    assert "(a guess)" in read.described.facts["encoding"]
    assert read.described.facts["sample"] in text
    assert any("the encoding is a guess" in warning for warning in read.described.warnings)


@pytest.mark.parametrize(
    "encoding", ["cp1251", "cp1252", "latin-1", "utf-8", "cp1250", "gb18030", "mac-roman", "koi8-r"]
)
def test_s10_an_encoding_that_is_set_is_used(sources: "Sources", encoding: str) -> None:
    text = RUSSIAN if encoding in {"cp1251", "koi8-r", "gb18030"} else POLISH if encoding == "cp1250" else FRENCH
    read = sources.text(text.encode(encoding), encoding=encoding)
    assert read.rows == expected(text)
    assert "(set in the config)" in read.described.facts["encoding"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "UTF16"])
def test_s10_utf_16_without_a_mark_can_be_set(sources: "Sources", encoding: str) -> None:
    assert sources.text(RUSSIAN.encode("utf-16-le"), encoding=encoding).rows == expected(RUSSIAN)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_s10_an_encoding_that_is_set_is_believed_where_the_bytes_alone_would_look_like_no_text(
    sources: "Sources", encoding: str
) -> None:
    content = "a,b\nĀ,1\nĀ,2\n".encode("utf-16-be" if encoding == "utf-16-be" else "utf-16-le")
    assert sources.text(content, encoding=encoding).rows == [("Ā", "1"), ("Ā", "2")]


def test_presets_are_tried_after_utf_8_and_in_order(sources: "Sources") -> None:
    content = RUSSIAN.encode("cp1251")
    assert sources.text(content, encodings=("utf-8", "cp1251")).rows == expected(RUSSIAN)
    read = sources.text(content, encodings=("ascii", "cp1251", "cp866"))
    assert read.described.facts["encoding"] == "cp1251 (expected by the preset)"
    assert sources.text(RUSSIAN.encode(), encodings=("cp1251",)).rows == expected(RUSSIAN)


def test_the_encoding_is_decided_where_the_first_byte_beyond_ascii_stands(sources: "Sources") -> None:
    ascii_rows = "".join(f"{number},Ann,a{number}@example.com\n" for number in range(60_000))
    content = f"Id,Name,Email\n{ascii_rows}".encode() + "x,Жанна,z@example.com\n".encode("cp1251") * 3
    read = sources.text(content, encodings=("cp1251",), chunk_bytes=100_000)
    assert read.rows[-1] == ("x", "Жанна", "z@example.com")
    assert read.lines == list(range(2, 60_005))
    assert read.held == []
    assert read.described.facts["encoding"] == "cp1251 (expected by the preset)"


def test_ascii_is_read_as_it_is(sources: "Sources") -> None:
    read = sources.text("Id,Email\n1,a@example.com\n")
    assert read.described.facts["encoding"] == "ASCII so far, which is UTF-8 too"


def test_a_damaged_byte_in_utf_8_holds_its_row_and_changes_nothing_else(sources: "Sources") -> None:
    content = RUSSIAN.encode() + b"3;\xd0\xff;x;y\n" + "4;Ольга;x;y\n".encode()
    read = sources.text(content)
    assert read.rows == [*expected(RUSSIAN), ("4", "Ольга", "x", "y")]
    assert read.held == [(4, "row-encoding")]
    assert "utf-8" in read.described.facts["encoding"]


@pytest.mark.parametrize(
    ("encoding", "bad"), [("utf-16-le", b"\x00\xd8"), ("cp1251", b"\x98"), ("gb18030", b"\xff"), ("koi8-r", None)]
)
def test_s10_what_an_encoding_does_not_have_is_held_with_its_offset(
    sources: "Sources", encoding: str, bad: bytes | None
) -> None:
    before = (RUSSIAN + "3;").encode(encoding)
    content = before + (bad or "ж".encode(encoding)) + ";x;y\n5;z;x;y\n".encode(encoding)
    read = sources.text(content, encoding=encoding)
    assert read.rows[-1] == ("5", "z", "x", "y")
    cells = [cell for row in (*read.rows, *read.held_cells) for cell in row if cell]
    assert not any("\N{REPLACEMENT CHARACTER}" in cell for cell in cells)
    if bad is None:  # KOI8-R has a character for every byte
        assert read.held == []
    else:
        assert read.held == [(4, "row-encoding")]
        assert read.reasons == [f"not valid {encoding} at byte {len(before):,} of the file"]


def test_a_text_in_another_encoding_than_the_one_set_is_refused(sources: "Sources") -> None:
    error = sources.text_refusal(("Id,Email\n" + "é," * 40_000).encode("latin-1"), encoding="utf-16-le")
    assert error.code in {"encoding-wrong", "header-endless", "no-rows", "source-empty"}
    error = sources.text_refusal(RUSSIAN.encode("utf-8-sig"), encoding="cp1251")
    assert error.code == "encoding-wrong"
    assert "byte order mark of utf-8" in error.what


def test_a_transcoder_gives_up_on_what_is_no_text_of_its_encoding() -> None:
    with pytest.raises(SourceError, match="f is not cp1251") as caught:
        Transcoder("cp1251", shown="f").feed(b"\x98" * 5_000, final=True)
    assert "invalid" in caught.value.why


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-32-be", "gb18030", "cp1251", "cp932"])
def test_a_transcoder_does_not_mind_where_its_input_is_cut(codec: str, size: int) -> None:
    text = "Жанна,ж\n" * 40
    data = text.encode(codec)
    transcoder = Transcoder(codec, shown="f")
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    out = b"".join(transcoder.feed(piece, final=number == len(pieces) - 1) for number, piece in enumerate(pieces))
    assert out.decode() == text
    assert transcoder.origins == {}


def test_a_transcoder_marks_what_is_invalid_and_remembers_where_it_was() -> None:
    transcoder = Transcoder("utf-16-le", shown="f")
    data = "ж1".encode("utf-16-le") + b"\x00\xdc" + "2".encode("utf-16-le") + b"\x00"
    assert transcoder.feed(data, final=True) == "ж1".encode() + b"\xff" + b"2" + b"\xff"
    assert transcoder.origins == {3: 4, 5: 8}


@pytest.mark.parametrize(
    "name", ["utf-7", "no-such", "base64", "unicode_escape", "iso2022_jp", "idna", "hz", "", "rot13"]
)
def test_an_encoding_that_no_export_is_in_is_refused(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        known_codec(name)
    assert caught.value.code == "encoding-unknown"
    assert 'encoding = "' in caught.value.fix


def test_a_misspelt_encoding_is_answered_with_the_right_one() -> None:
    with pytest.raises(SourceError) as caught:
        known_codec("cp-1251x")
    assert "cp1251" in caught.value.fix


def test_the_guess_is_one_function_and_says_how_sure_it_is() -> None:
    guess = guess_encoding(RUSSIAN.encode("cp1251"))
    assert guess.codec == "cp1251"
    assert 0 < guess.confidence <= 1
    assert guess_encoding("n\nJosé Núñez\nMüller\n".encode("cp1252")).codec == "cp1252"
    assert guess_encoding(b"\x81").codec


def test_no_decision_is_made_on_ascii() -> None:
    assert decide_encoding(b"Id,Email\n", shown="f", presets=("cp1251",)) is None


def test_a_declared_encoding_comes_before_the_presets() -> None:
    found = decide_encoding(RUSSIAN.encode("cp1251"), shown="f", presets=("koi8-r",), declared="cp1251")
    assert found is not None
    assert (found.codec, str(found.how)) == ("cp1251", "declared in the file")


def test_invalid_utf_8_is_found_once_a_line_whatever_the_windows() -> None:
    data = b"ok\n\xff\xff\n" + b"x" * 65_530 + "é".encode() + b"\n" + b"y" * 65_530 + b"\xc3\n" + b"\xe2\x82"
    assert list(invalid_utf8(data)) == [3, 6 + 65_533 + 65_530, len(data) - 2]
    assert list(invalid_utf8("ж".encode() * 100_000)) == []


def test_a_value_is_shown_as_it_was_decoded() -> None:
    assert non_ascii_value("Id,Email\n1,Zoë Müller,x\n") == "Zoë Müller"
    assert non_ascii_value("plain") == ""
    assert len(non_ascii_value("ж" * 100)) == 40
