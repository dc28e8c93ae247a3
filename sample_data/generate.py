"""Write synthetic contacts: `python sample_data/generate.py contacts.csv --rows 1000`.

The same number of rows and the same seed give the same file. Every address is at example.com or example.org. About
one row in thirty has one of the usual troubles: duplicates (also in other case), bad or several addresses, an empty
or unreadable subscription, impossible dates, quotes, line breaks, Cyrillic, emoji.
"""

import argparse
import csv
import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path

COLUMNS = ("Email", "Full name", "Subscribed", "City", "Company", "Born", "Last order", "Favourite colour", "Note")
FIRST = ("Anna", "Ben", "Chloé", "Дарья", "Emil", "Fatma", "Жанна", "Hugo", "Ines", "Jürgen", "Қанат", "Łucja", "Moe")
LAST = ("Adler", "Brown", "Çelik", "Дмитриев", "Evans", "Fischer", "O'Neil", "Ковалёва", "Lopez", "Müller", "Nowak")
CITIES = ("Almaty", "Astana", "Berlin", "Warszawa", "Київ", "London", "München", "Porto", "Тбилиси", "")
COMPANIES = ("Acme, Inc.", 'The "Blue" Shop', "Северный ветер", "Müller & Söhne", "Pixel Foundry", "")
COLOURS = ("red", "green", "blue", "amber", "")
EPOCH = dt.date(1950, 1, 1)


def rows(count: int, *, seed: int = 7, troubles: bool = True) -> Iterator[list[str]]:
    """`count` rows in the order of COLUMNS."""
    chance = random.Random(seed)
    for number in range(count):
        row = _row(number, chance)
        yield _troubled(row, number) if troubles and number % 30 == 29 else row


def _row(number: int, chance: random.Random) -> list[str]:
    first, last = chance.choice(FIRST), chance.choice(LAST)
    born = EPOCH + dt.timedelta(days=chance.randrange(20_000))
    ordered = dt.date(2025, 1, 1) + dt.timedelta(days=chance.randrange(500))
    return [
        f"contact.{number:07}@example.{'com' if number % 3 else 'org'}",
        f"{first} {last}",
        "no" if chance.random() < 0.1 else "yes",
        chance.choice(CITIES),
        chance.choice(COMPANIES),
        born.strftime("%d.%m.%Y"),
        ordered.isoformat() if chance.random() < 0.6 else "",
        chance.choice(COLOURS),
        "",
    ]


def _troubled(row: list[str], number: int) -> list[str]:
    kind = (number // 30) % 11
    earlier = f"contact.{max(0, number - 7):07}@example.{'com' if (number - 7) % 3 else 'org'}"
    changes = {
        0: {0: earlier},  # the same contact again, with other values
        1: {0: earlier.upper() + " "},  # and in another spelling
        2: {0: "not an address"},
        3: {0: ""},
        4: {0: f"{row[0]}; second.{number}@example.com"},
        5: {2: ""},
        6: {2: "maybe"},
        7: {5: "31.02.1990"},
        8: {8: 'said "call me",\nthen left'},
        9: {8: "🎂 loves cake; =1+1"},
        10: {0: f"contact.{number:07}@пример.example.com"},
    }[kind]
    return [changes.get(place, cell) for place, cell in enumerate(row)]


def write(path: Path, count: int, *, seed: int = 7, troubles: bool = True) -> None:
    """Write `count` rows as CSV, or as Parquet where the name says so."""
    if path.suffix == ".parquet":
        import polars as pl  # noqa: PLC0415  # the CSV needs nothing but Python

        data = list(rows(count, seed=seed, troubles=troubles))
        pl.DataFrame(data, schema=dict.fromkeys(COLUMNS, pl.String), orient="row").write_parquet(path)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows(count, seed=seed, troubles=troubles))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-troubles", action="store_true")
    arguments = parser.parse_args()
    write(arguments.path, arguments.rows, seed=arguments.seed, troubles=not arguments.no_troubles)


if __name__ == "__main__":
    main()
