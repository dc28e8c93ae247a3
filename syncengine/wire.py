"""Contacts as JSON, column-wise: each part of a request body is built by polars, never contact by contact.

The form is SmartSender's: variables are a list of {"name", "value"}.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from syncengine.frames import VARIABLE_LIST

_TO_ESCAPE: Final = ['"', "\\", *map(chr, range(0x20))]


def json_string(column: pl.Expr) -> pl.Expr:
    """Each text as a JSON string, quotes included; null stays null."""
    return column.map_batches(_quoted, return_dtype=pl.String, is_elementwise=True)


def json_text(column: pl.Expr) -> pl.Expr:
    """Each text as it stands between the quotes of a JSON string; null stays null."""
    return column.map_batches(_escaped, return_dtype=pl.String, is_elementwise=True)


def _quoted(cells: pl.Series) -> pl.Series:
    text = _escaped(cells).to_frame("v")
    return text.select(pl.concat_str(pl.lit('"'), "v", pl.lit('"')).alias(cells.name)).to_series()


def _escaped(cells: pl.Series) -> pl.Series:
    """Most columns hold nothing to escape, and of the others few cells do: only those are encoded."""
    if _is_plain(joined(cells)):
        return cells
    awkward = cells.str.contains_any(_TO_ESCAPE).arg_true()
    texts = cells.gather(awkward).alias("v").to_frame()
    encoded = texts.select(pl.struct("v").struct.json_encode().str.slice(6).str.head(-2)).to_series()  # {"v":"…"}
    return cells.clone().scatter(awkward, encoded)


def _is_plain(text: bytes) -> bool:
    """Whether nothing in it is escaped in JSON. All cells of a column at once: a quarter of the price of looking into
    each, and of many chunks a tenth, since what is looked for is told to polars anew for each of them.
    """
    return not text or (b'"' not in text and b"\\" not in text and np.frombuffer(text, np.uint8).min() >= 0x20)


def joined(contacts: pl.Series) -> bytes:
    """JSON texts in the order they stand, with commas between them."""
    text: bytes = contacts.str.join(",").cast(pl.Binary).item() if len(contacts) else b""
    return text


def joined_in_parts(contacts: pl.Series, edges: Sequence[int]) -> Iterator[memoryview]:
    """What `joined` gives of each stretch from one edge to the next, cut out of one text: 0 is the first edge."""
    whole = memoryview(joined(contacts))
    ends = (contacts.str.len_bytes().cast(pl.UInt64) + 1).cum_sum()
    for low, high in pairwise([0, *ends.gather([edge - 1 for edge in edges[1:]])]):
        yield whole[low : high - 1]


def variable_json(variables: Sequence[tuple[str, pl.Expr]]) -> pl.Expr:
    """`[{"name":…,"value":…},…]` of the variables that are not null, in the given order."""
    if not variables:
        return pl.lit("[]")
    names = [name for name, _ in variables]
    return pl.map_batches(
        [value for _, value in variables],
        lambda columns: _listed(names, columns),
        return_dtype=pl.String,
        is_elementwise=True,
    )


def variable_columns(texts: pl.Series) -> dict[str, pl.Series]:
    """What `variable_json` made texts of: the values of each variable by its name, null where a text has none.

    Texts in which nothing is escaped are cut at what stands between two values: 0.6 of the price of parsing JSON.
    """
    escaped = texts.str.contains("\\", literal=True)
    if not escaped.any():
        owners, names, values = _cut(texts)
    else:
        plain, others = (~escaped).arg_true(), escaped.arg_true()
        (here, *cut), (there, *parsed) = _cut(texts.gather(plain)), _parsed(texts.gather(others))
        owners = np.concatenate([plain.to_numpy()[here], others.to_numpy()[there]])
        names, values = (pl.concat(both) for both in zip(cut, parsed, strict=True))
    return {name: _placed(values, owners, (names == name).arg_true(), texts.len()) for name in names.unique().sort()}


_Pairs = tuple[npt.NDArray[np.int64], pl.Series, pl.Series]  #: the number of a text, a name and a value in it


def _cut(texts: pl.Series) -> _Pairs:
    inner = pl.col("v").str.strip_prefix('[{"name":"').str.strip_suffix('"}]')
    between = inner.str.replace_all('"},{"name":"', '","value":"', literal=True).str.split('","value":"')
    filled = (texts != "[]").arg_true()
    words = texts.gather(filled).to_frame("v").select(between).to_series()
    counts = words.list.len().to_numpy() // 2
    told = words.explode()
    return np.repeat(filled.to_numpy().astype(np.int64), counts), told.gather_every(2), told.gather_every(2, 1)


def _parsed(texts: pl.Series) -> _Pairs:
    pairs = texts.str.json_decode(VARIABLE_LIST)
    owners = np.repeat(np.arange(texts.len()), pairs.list.len().to_numpy())
    told = pairs.filter(pairs.list.len() > 0).explode().struct
    return owners, told.field("name"), told.field("value")


def _placed(values: pl.Series, owners: npt.NDArray[np.int64], chosen: pl.Series, height: int) -> pl.Series:
    """The values numbered `chosen`, each at the place of its owner; null elsewhere."""
    numbers = np.zeros(height, np.uint32)
    numbers[owners[chosen.to_numpy()]] = chosen.to_numpy() + np.uint32(1)
    at = pl.Series(numbers)
    return values.gather(at.set(at == 0, None) - 1 if len(chosen) < height else at - 1)


def _listed(names: Sequence[str], columns: Sequence[pl.Series]) -> pl.Series:
    """One concatenation, however many variables: a column for each pair takes five times as long."""
    texts = pl.DataFrame([_escaped(column.alias(name)) for name, column in zip(names, columns, strict=True)])
    always = next((place for place, name in enumerate(names) if not texts[name].null_count()), len(names))
    parts = [pl.lit("[")]
    for place, name in enumerate(names):
        # A comma on the side of the first variable that everybody has: so none is left over where others are null.
        before, after = "," if place > always else "", "," if place < always else ""
        opening = f'{before}{{"name":{json.dumps(name, ensure_ascii=False)},"value":"'
        pair = [pl.lit(opening), pl.col(name), pl.lit(f'"}}{after}')]
        parts += [pl.concat_str(pair)] if texts[name].null_count() else pair
    if always == len(names):
        parts = [pl.concat_str(*parts, ignore_nulls=True).str.strip_suffix(",")]
    return texts.select(pl.concat_str(*parts, pl.lit("]"), ignore_nulls=True).alias(columns[0].name)).to_series()
