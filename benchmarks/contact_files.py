"""Contact files of any size, the same every time: `python benchmarks/contact_files.py 1000000 FOLDER`.

    base.csv        N rows × 12 columns
    rewritten.csv   the same rows in another order: nothing changed, no digest can tell
    delta.csv       1 % of the rows changed, 1 % new, 0.5 % gone, in the order of base.csv

What a row says is computed from its number, column by column, so that ten million rows take seconds and any part of
them can be written by itself. One row in 17 spells its address in capitals with a blank, one in 50 has a quotation
mark, one in 200 a line end within a cell, one in 11 a name with letters beyond ASCII.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

ROWS_AT_A_TIME = 250_000
SEED = np.uint64(0x9E3779B97F4A7C15)

LIST = "5537ab2a08d241dc69326b19"
CONFIG = """\
[account]
token = "sandbox-token"
url = "{url}"
rate = {rate}
concurrency = {concurrency}

[[job]]
name = "newsletter"
list = "5537ab2a08d241dc69326b19"
source = "{source}"
mode = "mirror"
consent = "source"

[job.columns]
email = "Email"
name = "Full name"
active = "Subscribed"

[job.variables]
phone = "Phone"
company = "Company"
city = "City"
country = "Country"
birthDate = {{ column = "Born", type = "date", formats = ["%d.%m.%Y"] }}
plan = "Plan"
score = "Score"
created = "Created"
note = "Note"
"""

_FIRST = ("Anna", "Bob", "Carlos", "Dmitri", "Eve", "Frank", "Grace", "Heidi", "Jürgen", "Zoë", "Юлия")
_LAST = (
    "Smith",
    "Jones",
    "Miller",
    "Ivanova",
    "Garcia",
    "Lee",
    "Brown",
    "O'Neil",
    "Weber",
    "Rossi",
    "Novak",
    "Khan",
    "Silva",
)
_CITIES = (
    "Berlin",
    "Paris",
    "Madrid",
    "Rome",
    "Warsaw",
    "Almaty",
    "Lisbon",
    "Vienna",
    "Oslo",
    "Prague",
    "Kyiv",
    "London",
)
_COUNTRIES = ("DE", "FR", "ES", "IT", "PL", "KZ", "PT", "AT", "NO", "CZ", "UA", "GB")
_PLANS = ("free", "basic", "pro", "team")


def numbers(low: int, high: int) -> np.ndarray:
    return np.arange(low, high, dtype=np.uint64)


def is_changed(number: np.ndarray) -> np.ndarray:
    return np.equal(number % np.uint64(100), 7)


def is_gone(number: np.ndarray) -> np.ndarray:
    return np.equal(number % np.uint64(200), 13)


def frame(number: np.ndarray, *, changed: bool = False) -> pl.DataFrame:
    """The rows with these numbers. `changed`: one in a hundred has moved to another city."""
    mixed = number * SEED
    mixed ^= mixed >> np.uint64(29)
    moved = is_changed(number) & changed
    n = pl.Series("n", number).cast(pl.String)

    def pick(words: tuple[str, ...], shift: int, more: np.ndarray | int = 0) -> pl.Series:
        index = ((mixed >> np.uint64(shift)) + np.asarray(more, dtype=np.uint64)) % np.uint64(len(words))
        return pl.Series(words).gather(pl.Series(index))

    def some(shift: int, of: int) -> pl.Series:
        return pl.Series(((mixed >> np.uint64(shift)) % np.uint64(of)).astype(np.uint32)).cast(pl.String)

    days = pl.Series(((mixed >> np.uint64(11)) % np.uint64(20_000)).astype(np.int32)).cast(pl.Date)
    made = pl.Series(((mixed >> np.uint64(17)) % np.uint64(700_000_000)).astype(np.int64) * 1_000_000).cast(
        pl.Datetime("us")
    )
    rows = pl.DataFrame({
        "n": n,
        "first": pick(_FIRST, 7), "last": pick(_LAST, 13), "city": pick(_CITIES, 19, moved * 5),
        "phone": some(23, 10_000_000), "company": some(31, 50_000), "country": pick(_COUNTRIES, 19),
        "born": days.dt.to_string("%d.%m.%Y"), "plan": pick(_PLANS, 37), "score": some(41, 1000),
        "created": made.dt.to_string("%Y-%m-%dT%H:%M:%SZ"), "mixed": pl.Series(mixed),
    })  # fmt: skip
    number_column = pl.Series("number", number)
    address = pl.lit("contact.") + pl.col("n") + "@example.com"
    odd = number_column % 17 == 5
    return rows.select(
        pl.when(odd).then(pl.lit(" ") + address.str.to_uppercase()).otherwise(address).alias("Email"),
        (pl.col("first") + " " + pl.col("last")).alias("Full name"),
        pl.when(number_column % 23 == 3).then(pl.lit("no")).otherwise(pl.lit("yes")).alias("Subscribed"),
        pl.when(number_column % 3 != 0).then(pl.lit("+49") + pl.col("phone")).alias("Phone"),
        pl.when(number_column % 50 == 9)
        .then(pl.lit('The "') + pl.col("company") + '" company, Ltd')
        .otherwise(pl.lit("Company ") + pl.col("company"))
        .alias("Company"),
        pl.col("city").alias("City"),
        pl.col("country").alias("Country"),
        pl.col("born").alias("Born"),
        pl.col("plan").alias("Plan"),
        pl.col("score").alias("Score"),
        pl.col("created").alias("Created"),
        pl.when(number_column % 200 == 77)
        .then(pl.lit("called\nback twice"))
        .when(number_column % 4 == 0)
        .then(pl.lit("note ") + pl.col("plan"))
        .alias("Note"),
    )  # fmt: skip


def write(path: Path, parts: Iterable[pl.DataFrame]) -> None:
    with path.open("wb") as out:
        for index, part in enumerate(parts):
            part.write_csv(out, include_header=index == 0)


def pieces(rows: int) -> list[tuple[int, int]]:
    return [(low, min(rows, low + ROWS_AT_A_TIME)) for low in range(0, rows, ROWS_AT_A_TIME)]


def write_base(path: Path, rows: int) -> None:
    write(path, (frame(numbers(low, high)) for low, high in pieces(rows)))


def write_rewritten(path: Path, rows: int) -> None:
    """The second half first, and each stretch backwards."""
    spans = pieces(rows)
    half = len(spans) // 2
    write(path, (frame(numbers(low, high)[::-1].copy()) for low, high in spans[half:] + spans[:half]))


def write_delta(path: Path, rows: int) -> None:
    kept = (numbers(low, high) for low, high in pieces(rows))
    parts = (frame(number[~is_gone(number)], changed=True) for number in kept)
    fresh = (frame(numbers(rows + low, rows + high)) for low, high in pieces(rows // 100))
    write(path, (part for group in (parts, fresh) for part in group))


WRITERS = {"base": write_base, "rewritten": write_rewritten, "delta": write_delta}


def ensure(folder: Path, rows: int, *names: str) -> dict[str, Path]:
    """The files of `rows` rows in `folder`, written where they are not there yet."""
    paths = {name: folder / f"{name}-{rows}.csv" for name in names}
    for name, path in paths.items():
        if not path.exists():
            draft = path.with_suffix(".draft")
            WRITERS[name](draft, rows)
            draft.rename(path)
    return paths


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("rows", type=int)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("names", nargs="*", help=f"which of {', '.join(WRITERS)}; all, if none is named")
    given = arguments.parse_args()
    names = given.names or list(WRITERS)
    if not WRITERS.keys() >= set(names):
        arguments.error(f"there are only {', '.join(WRITERS)}")
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, path in ensure(given.folder, given.rows, *names).items():
        print(f"{name:10} {path}  {path.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
