"""A glance at a file says what opening it says, or nothing; and it loads nothing that reads rows."""

import gzip
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from syncengine.errors import SourceError
from syncengine.sources import SourceOptions, open_source
from syncengine.sources.glance import glance

if TYPE_CHECKING:
    from conftest import Sources

ROWS = "Email,Имя, City \na@example.com,Анна,Москва\n"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (ROWS.encode(), {}),
        (b"\xef\xbb\xbf" + ROWS.encode(), {}),
        (ROWS.encode("cp1251"), {}),
        (ROWS.encode("utf-16"), {}),
        (ROWS.replace(",", ";").encode(), {}),
        (ROWS.replace(",", "|").encode(), {"separator": "|"}),
        (ROWS.replace(",", "\t").encode(), {"format": "tsv"}),
        (b"Export of today\n\n" + ROWS.encode(), {}),
        (b"one line\nanother\n" + ROWS.encode(), {"skip_rows": 2}),
        (b"Email,,Name\na@example.com,,A\n", {}),
        (b"Email\na@example.com\n", {}),
    ],
)
def test_the_columns_of_a_plain_file_are_those_of_its_source(
    sources: "Sources", content: bytes, options: dict[str, Any]
) -> None:
    sources.write("c.csv", content)
    wanted = SourceOptions("c*.csv", sources.folder, **options)

    found, source = glance(wanted), open_source(wanted)

    assert found is not None
    assert (found.options.path, found.columns) == (source.name, source.columns)
    assert (found.file.shown,) == source.describe().files
    assert found.digest() == source.digest()


def test_what_takes_more_than_a_glance_is_left_to_it(sources: "Sources") -> None:
    sources.write("c.csv", ROWS)
    sources.write("d.csv", ROWS)
    sources.write("c.csv.gz", gzip.compress(ROWS.encode()))
    sources.write("c.html", "<table><tr><td>Email</td></tr><tr><td>a@example.com</td></tr></table>")

    for path, options in (
        ("*.csv", {"pick": "all"}),
        ("c.csv.gz", {}),
        ("c.html", {}),
        ("s3://bucket/c.csv", {}),
        ("c.csv", {"file_column": "file"}),
        ("c.csv", {"format": "xlsx"}),
    ):
        assert glance(SourceOptions(path, sources.folder, **options)) is None


@pytest.mark.parametrize("content", ["", "Email,Email\na,b\n", "a" * 2_000, "%PDF-1.7"])
def test_what_can_not_be_opened_is_refused_at_a_glance_in_the_same_words(sources: "Sources", content: str) -> None:
    sources.write("c.csv", content)
    wanted = SourceOptions("c.csv", sources.folder)

    with pytest.raises(SourceError) as at_a_glance:
        glance(wanted)
    with pytest.raises(SourceError) as opened:
        open_source(wanted)

    assert (at_a_glance.value.what, at_a_glance.value.code) == (opened.value.what, opened.value.code)


def test_a_glance_loads_nothing_that_reads_rows() -> None:
    program = (
        "import sys, syncengine.sources.glance, syncengine.presets, syncengine.meaning, syncengine.opening\n"
        "sys.exit(str({'polars', 'numpy', 'fastexcel'} & set(sys.modules)) if 'polars' in sys.modules else 0)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
