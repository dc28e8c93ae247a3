"""Which file is meant, whether it is still the one that was opened, and its digest."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xxhash

from syncengine.digests import DigestAhead, Identity
from syncengine.errors import SourceError
from syncengine.sources.files import digest, local_file

if TYPE_CHECKING:
    from conftest import Sources

ROWS = "Email,Name\n" + "".join(f"a{number}@example.com,Ann\n" for number in range(2_000))


def touch_until_noticed(path: Path, before: os.stat_result) -> None:
    """The kernel's clock ticks every few milliseconds; a change within one tick can't be seen by anybody."""
    while Identity.of(path.stat()) == Identity.of(before):
        os.utime(path)


def set_age(path: Path, seconds: int) -> Path:
    os.utime(path, ns=(10**18 - seconds * 10**9,) * 2)
    return path


def test_a_glob_means_the_newest_file(sources: "Sources") -> None:
    for name, age in {"contacts-1.csv": 10, "contacts-2.csv": 5, "contacts-3.csv": 20}.items():
        set_age(sources.write(name, f"Email\n{name}@example.com\n"), age)
    read = sources.read("contacts-*.csv")
    assert read.rows == [("contacts-2.csv@example.com",)]
    assert read.described.files == ("contacts-2.csv",)
    assert read.described.size == len("Email\ncontacts-2.csv@example.com\n")


def test_of_files_of_one_age_the_last_name_is_the_newest(sources: "Sources") -> None:
    for name in ("b.csv", "c.csv", "a.csv"):
        set_age(sources.write(name, f"Email\n{name}@example.com\n"), 5)
    assert sources.read("*.csv").rows == [("c.csv@example.com",)]


def test_all_files_of_a_glob_are_read_by_name_each_chunk_saying_which(sources: "Sources") -> None:
    sources.write("b.csv", "Email,Name\nb@example.com,Bob\n")
    sources.write("a.csv", "Name;Email\nAnn;a@example.com\n")
    sources.write("deep/c.csv", "Email,Name\nc@example.com,Cid\n")
    read = sources.read("**/*.csv", pick="all")
    assert read.columns == ("Name", "Email")
    assert read.rows == [("Ann", "a@example.com"), ("Bob", "b@example.com"), ("Cid", "c@example.com")]
    assert [chunk.file for chunk in read.chunks] == ["a.csv", "b.csv", "deep/c.csv"]
    assert read.lines == [2, 2, 2]
    assert read.described.files == ("a.csv", "b.csv", "deep/c.csv")


def test_held_rows_of_several_files_have_the_columns_in_one_order(sources: "Sources") -> None:
    sources.write("a.csv", "Name,Email\nAnn,a@example.com\n")
    sources.write("b.csv", "Email,Name\nb@example.com,Bob\nc@example.com\n")
    read = sources.read("*.csv", pick="all")
    assert read.held_cells == [(None, "c@example.com")]


def test_files_with_other_columns_are_refused_and_the_difference_is_named(sources: "Sources") -> None:
    sources.write("a.csv", "Email,Name\na@example.com,Ann\n")
    sources.write("b.csv", "Email,Phone,City\nb@example.com,1,Ulm\n")
    error = sources.refusal("*.csv", pick="all")
    assert error.code == "columns-differ"
    assert error.why == "more: Phone, City; missing: Name"


def test_a_file_whose_name_looks_like_a_glob_is_itself(sources: "Sources") -> None:
    sources.write("a[1].csv", "Email\nx@example.com\n")
    sources.write("a1.csv", "Email\ny@example.com\n")
    assert sources.read("a[1].csv").rows == [("x@example.com",)]


def test_an_absolute_path_and_one_through_a_parent_are_fine(sources: "Sources") -> None:
    path = sources.write("sub/a.csv", "Email\nx@example.com\n")
    assert sources.read(path).rows == [("x@example.com",)]
    assert sources.read("sub/../sub/a.csv").rows == [("x@example.com",)]


def test_a_missing_file_is_answered_with_names_that_are_near(sources: "Sources") -> None:
    sources.write("contacts-2024.csv", "x")
    error = sources.refusal("contact-2024.csv")
    assert error.code == "no-file"
    assert str(sources.folder / "contact-2024.csv") in error.why
    assert error.fix == "there is: contacts-2024.csv"


def test_a_glob_without_a_match_says_what_there_is(sources: "Sources") -> None:
    sources.write("contacts.csv", "x")
    error = sources.refusal("contacts-*.csv")
    assert error.what == "no file matches contacts-*.csv"
    assert "contacts.csv" in error.fix
    assert "no folder" in sources.refusal("nowhere/*.csv").fix


@pytest.mark.parametrize("path", ["", "  ", "a\0b"])
def test_s19_a_path_that_is_none_is_refused(sources: "Sources", path: str) -> None:
    assert sources.refusal(path).code == "no-path"


def test_a_name_that_is_no_utf_8_can_be_shown(sources: "Sources") -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    sources.write(name, "Email\na@example.com\n")
    assert [chunk.file for chunk in sources.read("*.csv").chunks] == ["caf\N{REPLACEMENT CHARACTER}.csv"]
    assert sources.refusal("cafe.csv").fix.encode()
    assert sources.refusal("~nobody-of-this-name/x.csv").code == "no-file"


def test_s19_a_folder_is_refused_with_a_glob_to_paste(sources: "Sources") -> None:
    sources.write("exports/a.csv", "x")
    error = sources.refusal("exports")
    assert error.code == "not-a-file"
    assert error.fix == 'name the files in it: source = "exports/*.csv"'


def test_s19_a_pipe_is_refused_and_nobody_waits_for_a_writer(sources: "Sources") -> None:
    os.mkfifo(sources.folder / "contacts.csv")
    error = sources.refusal("contacts.csv")
    assert error.code == "not-a-file"
    assert "pipe" in error.what


def test_s19_a_device_is_refused(sources: "Sources") -> None:
    assert sources.refusal("/dev/zero").code == "not-a-file"


def test_s19_a_file_that_may_not_be_read_is_refused(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert sources.refusal(path).code == "unreadable"


def test_s19_a_link_that_leads_to_itself_is_refused(sources: "Sources") -> None:
    (sources.folder / "contacts.csv").symlink_to("contacts.csv")
    assert sources.refusal("contacts.csv").code in {"unreadable", "no-file"}


def test_s19_a_path_through_a_file_and_one_that_is_too_long_are_refused(sources: "Sources") -> None:
    sources.write("contacts.csv", ROWS)
    assert sources.refusal("contacts.csv/more.csv").code == "no-file"
    assert sources.refusal("x" * 5_000).code == "unreadable"


def test_s19_a_file_that_vanishes_after_it_was_opened_is_noticed(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    source = sources.open(path)
    path.unlink()
    for work in (lambda: list(source.chunks()), source.digest, source.verify_unchanged):
        with pytest.raises(SourceError) as caught:
            work()
        assert caught.value.code in {"source-changed", "no-file"}


def test_s1_a_file_truncated_while_it_is_read_is_noticed_before_the_next_chunk(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    chunks = sources.open(path, chunk_bytes=1_024).chunks()
    next(chunks)
    os.truncate(path, 5_000)
    with pytest.raises(SourceError) as caught:
        list(chunks)
    assert caught.value.code == "source-changed"
    assert "bytes when opened" in caught.value.why or "ended at byte" in caught.value.why


def test_s2_a_file_that_grows_while_it_is_read_is_noticed(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    chunks = sources.open(path, chunk_bytes=1_024).chunks()
    next(chunks)
    with path.open("a") as out:
        out.write("b@example.com,Bob\n")
    with pytest.raises(SourceError) as caught:
        list(chunks)
    assert caught.value.code == "source-changed"


def test_s2_a_file_that_is_overwritten_in_place_is_noticed_though_its_size_is_the_same(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    source = sources.open(path, chunk_bytes=1_024)
    before = path.stat()
    chunks = source.chunks()
    next(chunks)
    path.write_text(ROWS.replace("Ann", "Bob"))
    touch_until_noticed(path, before)
    with pytest.raises(SourceError) as caught:
        list(chunks)
    assert caught.value.code == "source-changed"


def test_s2_a_file_that_is_replaced_is_noticed(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    source = sources.open(path, chunk_bytes=1_024)
    chunks = source.chunks()
    next(chunks)
    shutil.copy(path, path.with_name("new.csv"))
    path.with_name("new.csv").replace(path)
    with pytest.raises(SourceError, match="changed") as caught:
        list(chunks)
    assert "another file has taken its place" in caught.value.why


def test_s2_a_change_in_one_of_several_files_is_noticed(sources: "Sources") -> None:
    first, _ = sources.write("a.csv", ROWS), sources.write("b.csv", ROWS)
    chunks = sources.open("*.csv", pick="all").chunks()
    next(chunks)
    os.truncate(first, 100)
    with pytest.raises(SourceError) as caught:
        list(chunks)
    assert caught.value.code == "source-changed"


def test_s3_an_edit_with_size_and_mtime_put_back_is_noticed(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    source = sources.open(path)
    digest_before, before = source.digest(), path.stat()
    path.write_text(ROWS.replace("Ann", "Bob"))
    touch_until_noticed(path, before)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SourceError) as caught:
        source.verify_unchanged()
    assert caught.value.code == "source-changed"
    assert sources.open(path).digest() != digest_before


def test_the_digest_is_of_names_sizes_and_bytes(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    found = sources.open(path).digest()
    frame = b"12:contacts.csv:%d:" % len(ROWS)
    assert found == "xxh3-128:" + xxhash.xxh3_128(frame + ROWS.encode()).hexdigest()
    assert found == sources.open(path).digest()


def test_no_two_lists_of_files_have_one_digest(sources: "Sources") -> None:
    ab = [sources.write("a.csv", "Email\nab"), sources.write("b.csv", "Email\n")]
    a_b = [sources.write("one/a.csv", "Email\na"), sources.write("one/b.csv", "bEmail\n")]
    swapped = [ab[1], ab[0]]
    renamed = [shutil.copy(ab[0], sources.folder / "c.csv"), ab[1]]
    lists = [ab, a_b, swapped, renamed, ab[:1], []]
    digests = {digest([local_file(Path(path), sources.folder, wanted="x") for path in paths]) for paths in lists}
    assert len(digests) == len(lists)


def test_a_digest_that_was_begun_before_is_taken_if_it_is_of_this_file(tmp_path: Path) -> None:
    path, other = tmp_path / "contacts.csv", tmp_path / "other.csv"
    for one in (path, other):
        one.write_text(ROWS)
    ahead = DigestAhead(path, at_least=0)
    file, another = (local_file(one, tmp_path, wanted="x") for one in (path, other))

    assert ahead.of(file.path, file.identity) == digest([file]) == digest([file], ahead)
    assert ahead.of(another.path, another.identity) is None
    assert digest([another], ahead) == digest([another])


def test_a_digest_that_was_begun_before_the_file_changed_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(ROWS)
    before = local_file(path, tmp_path, wanted="x")
    ahead = DigestAhead(path, at_least=0)
    of_old = ahead.of(path, before.identity)
    path.write_text(ROWS.replace("Ann", "Bob"))
    touch_until_noticed(path, path.stat())
    now = local_file(path, tmp_path, wanted="x")

    assert of_old is not None
    assert ahead.of(path, now.identity) is None
    assert digest([now], ahead) not in {of_old, None}
    with pytest.raises(SourceError, match="changed"):
        digest([before], ahead)


@pytest.mark.parametrize("name", ["missing.csv", "", "small.csv"])
def test_a_digest_that_can_not_be_begun_is_not_known(tmp_path: Path, name: str) -> None:
    (tmp_path / "small.csv").write_text(ROWS)
    identity = Identity.of((tmp_path / "small.csv").stat())

    assert DigestAhead(tmp_path / name).of(tmp_path / name, identity) is None


def test_a_digest_is_refused_if_the_file_changes(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    source = sources.open(path)
    with path.open("a") as out:
        out.write("x")
    with pytest.raises(SourceError) as caught:
        source.digest()
    assert caught.value.code == "source-changed"


def test_an_untouched_source_is_verified(sources: "Sources") -> None:
    sources.open(sources.write("contacts.csv", ROWS)).verify_unchanged()


def test_the_name_of_a_source_is_what_the_user_wrote(sources: "Sources") -> None:
    sources.write("contacts-1.csv", ROWS)
    assert sources.open("contacts-*.csv").name == "contacts-*.csv"


def test_an_explicit_format_is_a_promise_the_bytes_must_keep(sources: "Sources") -> None:
    path = sources.write("contacts.csv", ROWS)
    assert sources.read(path, format="csv").columns == ("Email", "Name")
    error = sources.refusal(path, format="parquet")
    assert error.code == "format"
    assert error.what == "contacts.csv is not parquet"
    assert error.why == "by its bytes it is csv"


def test_files_that_belong_together_may_have_different_columns(sources: "Sources") -> None:
    sources.write("a.csv", "Email,City\na@example.com,Ulm\n")
    sources.write("b.csv", "Left,Email\nyes,b@example.com\nshort\n")

    read = sources.read("*.csv", pick="all", columns="union", file_column="export file")

    assert read.columns == ("Email", "City", "Left", "export file")
    assert read.rows == [("a@example.com", "Ulm", None, "a.csv"), ("b@example.com", None, "yes", "b.csv")]
    assert read.held_cells == [(None, None, "short", "b.csv")]


@pytest.mark.parametrize("name", ["Email", "row", " "])
def test_the_column_that_tells_the_file_needs_a_name_of_its_own(sources: "Sources", name: str) -> None:
    path = sources.write("a.csv", "Email,City\na@example.com,Ulm\n")

    assert sources.refusal(path, file_column=name).code == "file-column"


def test_entities_in_cells_become_characters_where_that_is_asked_for(sources: "Sources") -> None:
    rows = "a@example.com,&quot;Acme&quot; &amp;amp; Co&#33;,?a=1&copy=2\nb@example.com,&nope; &,&#x41;\n"
    path = sources.write("a.csv", "Email,Company,Link\n" + rows)

    assert sources.read(path).rows[0][1] == "&quot;Acme&quot; &amp;amp; Co&#33;"
    assert sources.read(path, unescape_html=True).rows == [
        ("a@example.com", '"Acme" &amp; Co!', "?a=1&copy=2"),
        ("b@example.com", "&nope; &", "A"),
    ]
