"""What polars writes is the JSON that json.dumps would write, and nulls are left out."""

import json
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.wire import joined, joined_in_parts, json_string, variable_columns, variable_json

AWKWARD = [
    "",
    " ",
    '"',
    "\\",
    '\\"',
    '"}',
    "O'Neil",
    "a\nb",
    "a\r\nb",
    "\t",
    "\x00",
    "\x07",
    "\x08\x0c",
    "\x1b[0m",
    "\x1f",
    "\x7f",
    "\x80",
    "\x85",
    "\xa0",
    "\u2028\u2029",
    "\ufeff",
    "\ufffe\uffff",
    "😀👩‍👩‍👧",
    "Ü ü ß ﬁ",
    "Привет",
    "مرحبا",
    "</script>",
    "a/b",
    "null",
    "{}",
    "${x} {{y}} %s",
    "x" * 100_000,
]
TEXTS = st.one_of(st.text(), st.text('"\\\n\r\t\x00\x1f\x7f/u0041😀é\u2028'), st.sampled_from(AWKWARD[:-1]))
CELLS = st.lists(st.one_of(st.none(), TEXTS), max_size=8)


def written(cells: list[str | None]) -> list[str | None]:
    return (
        pl.DataFrame({"cell": cells}, schema={"cell": pl.String}).select(json_string(pl.col("cell")))["cell"].to_list()
    )


def dumped(text: str | None) -> str | None:
    return None if text is None else json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("text", AWKWARD, ids=range(len(AWKWARD)))
def test_an_awkward_text_is_written_as_json_dumps_does(text: str) -> None:
    assert written([text]) == [dumped(text)]


@settings(deadline=None, max_examples=300)
@given(CELLS)
@example([])
@example([None])
@example([None, '"'])
def test_any_column_is_written_as_json_dumps_does_and_nulls_stay(cells: list[str | None]) -> None:
    assert written(cells) == [dumped(cell) for cell in cells]


@settings(deadline=None, max_examples=200)
@given(CELLS, st.sampled_from(["plain", 'quo"ted']))
def test_a_neighbour_in_the_column_changes_nothing(cells: list[str | None], neighbour: str) -> None:
    assert written([*cells, neighbour])[:-1] == written(cells)


def test_the_column_keeps_its_name_and_place_beside_others() -> None:
    frame = pl.DataFrame({"a": ['x"', None], "b": ["y", "z"]})

    assert frame.with_columns(json_string(pl.col("a")), json_string(pl.col("b"))).rows() == [
        ('"x\\""', '"y"'),
        (None, '"z"'),
    ]


VARIABLES = st.lists(
    st.tuples(st.from_regex(r"[a-z][A-Za-z]{0,8}", fullmatch=True), st.one_of(st.none(), TEXTS)),
    max_size=6,
    unique_by=lambda pair: pair[0],
)


@settings(deadline=None, max_examples=300)
@given(VARIABLES)
def test_variables_are_a_list_of_names_and_values_without_the_nulls(variables: list[tuple[str, str | None]]) -> None:
    frame = pl.DataFrame({"row": [1], **{name: [value] for name, value in variables}}).cast(
        {name: pl.String for name, _ in variables}
    )

    told = frame.select(variable_json([(name, pl.col(name)) for name, _ in variables]).alias("json"))["json"].item()

    expected = [{"name": name, "value": value} for name, value in variables if value is not None]
    assert told == json.dumps(expected, ensure_ascii=False, separators=(",", ":"))


def test_each_contact_has_its_own_variables_in_the_given_order() -> None:
    frame = pl.DataFrame({"b": ["1", None, None, 'q"'], "a": ["2", "3", None, None]})

    told = frame.select(variable_json([("b", pl.col("b")), ("a", pl.col("a"))]).alias("json"))["json"].to_list()

    assert told == [
        '[{"name":"b","value":"1"},{"name":"a","value":"2"}]',
        '[{"name":"a","value":"3"}]',
        "[]",
        '[{"name":"b","value":"q\\""}]',
    ]


def test_a_contact_without_the_variables_of_others_leaves_no_comma_behind() -> None:
    frame = pl.DataFrame({"a": ["1", None, None], "b": ["2", "2,]", None], "c": ["3", None, "}],"]})

    told = frame.select(variable_json([(name, pl.col(name)) for name in "abc"]).alias("json"))["json"].to_list()

    assert [[one["value"] for one in json.loads(text)] for text in told] == [["1", "2", "3"], ["2,]"], ["}],"]]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(*[st.one_of(st.none(), TEXTS)] * 3), min_size=1, max_size=5))
def test_variables_of_several_contacts_are_what_json_dumps_writes(rows: list[tuple[str | None, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.String), orient="row")

    told = frame.select(variable_json([(name, pl.col(name)) for name in "abc"]).alias("json"))["json"].to_list()

    assert told == [
        json.dumps(
            [{"name": name, "value": value} for name, value in zip("abc", row, strict=True) if value is not None],
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for row in rows
    ]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=4), max_size=8), st.data())
def test_parts_cut_at_any_edges_are_the_texts_joined_between_them(texts: list[str], data: st.DataObject) -> None:
    inner = data.draw(st.sets(st.sampled_from(range(1, len(texts))) if len(texts) > 1 else st.nothing()))
    edges = [0, *sorted(inner), *([len(texts)] if texts else [])]
    contacts = pl.Series(texts, dtype=pl.String)

    parts = [bytes(part).decode() for part in joined_in_parts(contacts, edges)]

    assert parts == [",".join(texts[low:high]) for low, high in pairwise(edges)]
    assert joined(contacts).decode() == ",".join(texts)


def test_no_variables_are_an_empty_list_for_everybody() -> None:
    frame = pl.DataFrame({"key": ["a", "b"]})

    assert frame.with_columns(variable_json([]).alias("json"))["json"].to_list() == ["[]", "[]"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "city", "name", "value"]), TEXTS), max_size=6))
def test_variables_are_read_as_they_were_written(contacts: list[dict[str, str]]) -> None:
    names = sorted({name for contact in contacts for name in contact})
    told = [[{"name": name, "value": contact[name]} for name in sorted(contact)] for contact in contacts]
    texts = pl.Series([json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in told], dtype=pl.String)

    columns = variable_columns(texts)

    assert {name: values.to_list() for name, values in columns.items()} == {
        name: [contact.get(name) for contact in contacts] for name in names
    }
