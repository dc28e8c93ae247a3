"""Exported files are read piece by piece, and what is no such file is told."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.errors import UnavailableError
from syncengine.smartersends.files import iter_array, usage_tables
from syncengine.smartersends.usage import GROUP_COLUMNS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Drops(io.StringIO):
    """Gives three characters at a time, however many are asked for."""

    def read(self, _: int | None = -1, /) -> str:
        return super().read(3)


@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=5), indent=st.sampled_from([None, 1])
)
def test_an_array_is_what_it_is_however_it_comes(rows: list[dict[str, object]], indent: int | None) -> None:
    assert list(iter_array(Drops(json.dumps(rows, indent=indent)))) == rows


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[",
        "[{}",
        '[{"a": 1',
        '[{"a": 1},',
        "[{},]",
        "[{} {}]",
        "[1]",
        "[[]]",
        "[{}] x",
        "[{}][]",
        "<html>",
    ],
)
def test_what_is_no_array_of_objects_is_told(text: str) -> None:
    with pytest.raises(UnavailableError, match="not what the page describes"):
        list(iter_array(io.StringIO(text)))


HEAD = ",".join(GROUP_COLUMNS)


def test_two_tables_in_one_file_are_two_tables() -> None:
    group = '5,"Sales, ""North""\nand South",1,1,0,0,0,0,0,0,,2.5'
    text = f"metric,value\ntotal_conversations,3\nstale,\nnew_metric,1\n\n{HEAD}\n{group}\n"
    metrics, groups = usage_tables(text)
    assert metrics == {"total_conversations": "3", "stale": ""}
    assert (groups[0]["group_name"], groups[0]["avg_first_response_minutes"]) == ('Sales, "North"\nand South', "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "metric,value\n",
        "name,value\na,1\n\n" + HEAD,
        "metric,value\na,1,2\n\n" + HEAD,
        "metric,value\na,1\n\ngroup_id,group_name\n",
        f"metric,value\na,1\n\n{HEAD}\n5,Marketing\n",
        "<html>",
    ],
)
def test_what_is_no_usage_file_is_told(text: str) -> None:
    with pytest.raises(UnavailableError, match="not what the page describes"):
        usage_tables(text)
