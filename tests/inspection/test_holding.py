"""What a first sync would hold, counted without keeping the file in memory."""

from collections.abc import Iterator, Sequence

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.inspection.holding import MEMORY, Held, count_held
from syncengine.normalise.mapping import ActiveRule, EmailRule, HoldRule, Mapping
from syncengine.ports import Chunk, Description

LEFT = HoldRule("Left", code="opted-out", yes=True)
MAPPING = Mapping(EmailRule(("Email",)), ActiveRule(constant=True), opt_outs=(LEFT,))
SCHEMA = {"row": pl.UInt64, "Email": pl.String, "Left": pl.String}
Row = tuple[str, str]


class Cut:
    """A source that was cut into these chunks."""

    name = "cut"
    columns = ("Email", "Left")

    def __init__(self, chunks: Sequence[Sequence[Row]]) -> None:
        self._chunks = chunks

    def chunks(self) -> Iterator[Chunk]:
        line = 2
        for chunk in self._chunks:
            cells = pl.DataFrame(chunk, schema={"Email": pl.String, "Left": pl.String}, orient="row")
            rows = cells.select(pl.int_range(line, line + pl.len(), dtype=pl.UInt64).alias("row"), "Email", "Left")
            line += rows.height
            nothing = [pl.lit("", pl.String).alias(name) for name in ("code", "reason")]
            yield Chunk("cut.csv", rows, rows.clear().select("row", *nothing, "Email", "Left"), plain=True)

    def digest(self) -> str:
        return ""

    def describe(self) -> Description:
        return Description("csv", ("cut.csv",), 0)

    def verify_unchanged(self) -> None:
        pass


def counted(source: Cut, rows: int, memory: int) -> dict[str, tuple[int, tuple[int, ...]]]:
    held = Held()
    count_held(source, MAPPING, rows, held, lambda: None, memory=memory)
    return {code: (rows.count, rows.first) for code, rows in held.items()}


def one_by_one(rows: Sequence[Row]) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The same, told the slow way: the last row of a contact counts, and whoever left in one of them has left."""
    last = {email.lower(): line for line, (email, _) in enumerate(rows, start=2)}
    gone = {email.lower() for email, left in rows if left == "yes"}
    codes: dict[str, list[int]] = {}
    for line, (email, _) in enumerate(rows, start=2):
        if last[email.lower()] != line:
            codes.setdefault("duplicate", []).append(line)
        elif email.lower() in gone:
            codes.setdefault("opted-out", []).append(line)
    return {code: (len(lines), tuple(lines[:3])) for code, lines in codes.items()}


ROWS = st.lists(
    st.tuples(st.sampled_from(["a@x.test", "A@x.test", "b@x.test", "c@x.test"]), st.sampled_from(["", "yes"]))
)


@settings(deadline=None, max_examples=80)
@given(st.lists(ROWS, max_size=5), st.sampled_from([0, 3 << 20, 1 << 40]), st.sampled_from([0, 100, MEMORY]))
def test_losers_and_leavers_are_told_by_their_lines_wherever_the_rows_are_kept(
    chunks: list[list[Row]], expected_rows: int, memory: int
) -> None:
    told = counted(Cut(chunks), expected_rows, memory)

    assert told == one_by_one([row for chunk in chunks for row in chunk])
