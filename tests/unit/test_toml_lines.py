"""Where a key of the config stands, for a person to look at."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.config.toml_lines import locate

TEXT = """\
# [account] in a comment
[account]
token = "x"   # rate = 1
  rate= 5
"quoted key" = 1
'single' = 2

[ state ]
path = ".syncengine"

[[job]]   # the first
name = "one"
source = { path = "a.csv", pick = "all" }
[job.columns]
email = { column = [
  "Email",
  "Other",
] }
active = true
[job.variables.born]
column = "Born"
[[job.hold]]
column = "a"
[[job.hold]]
column = "b"

[[ job ]]
name = "two"
columns.email = "Email"
columns . active = true
[[job.hold]]
column = "c"
"""

PLACES: dict[tuple[str | int, ...], int] = {
    ("account",): 2,
    ("account", "token"): 3,
    ("account", "rate"): 4,
    ("account", "quoted key"): 5,
    ("account", "single"): 6,
    ("state",): 8,
    ("state", "path"): 9,
    ("job",): 11,
    ("job", 0): 11,
    ("job", 0, "name"): 12,
    ("job", 0, "source"): 13,
    ("job", 0, "source", "path"): 13,
    ("job", 0, "source", "pick"): 13,
    ("job", 0, "columns"): 14,
    ("job", 0, "columns", "email"): 15,
    ("job", 0, "columns", "email", "column"): 15,
    ("job", 0, "columns", "active"): 19,
    ("job", 0, "variables"): 20,
    ("job", 0, "variables", "born"): 20,
    ("job", 0, "variables", "born", "column"): 21,
    ("job", 0, "hold"): 22,
    ("job", 0, "hold", 0): 22,
    ("job", 0, "hold", 0, "column"): 23,
    ("job", 0, "hold", 1, "column"): 25,
    ("job", 1): 27,
    ("job", 1, "name"): 28,
    ("job", 1, "columns", "email"): 29,
    ("job", 1, "columns", "active"): 30,
    ("job", 1, "hold", 0, "column"): 32,
}


@pytest.mark.parametrize(("path", "line"), PLACES.items())
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert locate(TEXT, path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("account", "tokn"), 2),
        (("job", 0, "consent"), 11),
        (("job", 2), 11),
        (("job", 1, "columns", "name"), 27),
        (("job", 0, "columns", "email", "several"), 15),
        (("job", 0, "hold", 1, "is"), 24),
        (("job", 0, "columns", "email", "column", 1), 15),
    ],
)
def test_a_key_that_is_missing_is_looked_for_where_it_would_stand(path: tuple[str | int, ...], line: int) -> None:
    assert locate(TEXT, path) == line


@pytest.mark.parametrize("path", [(), ("mirror",), ("rate",), ("token", "x")])
def test_what_stands_nowhere_has_no_line(path: tuple[str | int, ...]) -> None:
    assert locate(TEXT, path) is None
    assert locate("", path) is None


def test_windows_line_ends_and_a_missing_last_one_do_not_matter() -> None:
    text = TEXT.replace("\n", "\r\n").rstrip()

    assert {path: locate(text, path) for path in PLACES} == PLACES


def _once(table: tuple[str, object]) -> object:
    """A table may be written once, an array of tables often."""
    header = table[0]
    return object() if header.startswith("[[") else header


NAMES = st.sampled_from(["a", "b", "key-1", "under_score"])
VALUES = st.sampled_from(["1", '"text"', "[1, 2]", "{ x = 1 }", "true"])
TABLES = st.lists(
    st.tuples(
        st.sampled_from(["[a]", "[b]", "[[c]]", "[[d]]"]),
        st.lists(st.tuples(NAMES, VALUES), max_size=3, unique_by=lambda pair: pair[0]),
    ),
    max_size=5,
    unique_by=_once,
)


@settings(deadline=None)
@given(TABLES)
def test_every_key_of_any_file_is_found_where_it_was_written(
    tables: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    lines: list[str] = []
    places: dict[tuple[str | int, ...], int] = {}
    counts: dict[str, int] = {}
    for header, keys in tables:
        lines.append(header)
        name = header.strip("[]")
        place: tuple[str | int, ...] = (name,)
        if header.startswith("[["):
            counts[name] = counts.get(name, -1) + 1
            place = (name, counts[name])
        places[place] = len(lines)
        for key, value in keys:
            lines.append(f"{key} = {value}")
            places[*place, key] = len(lines)
    text = "\n".join(lines)
    tomllib.loads(text)

    assert {place: locate(text, place) for place in places} == places


@settings(deadline=None)
@given(st.text("ab[]{}=\"'#.\n ,1"), st.lists(st.sampled_from(["a", "b", 0]), max_size=3))
def test_no_text_makes_it_fail(text: str, path: list[str | int]) -> None:
    line = locate(text, path)

    assert line is None or 1 <= line <= len(text.splitlines())
