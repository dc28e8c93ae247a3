"""What reading strictly costs: our chunks of a CSV file against polars' scan of the same file.

    python benchmarks/prescan.py [--rows 1000000] [--rounds 9]

Prints, for one million rows of twelve columns, how much longer the source takes than `pl.scan_csv(file).collect()`,
as a share of that: everything we do besides the parsing polars does for us. Must stay at or below 0.50.
Both are run in turns, and the best of all rounds counts, so that a busy machine disturbs both alike. The pre-scan of
the next stretch runs beside the parsing of this one, which needs a core that is idle now and then: on a busy machine
the share of processor time in the last column says more.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from syncengine.sources import SourceOptions, open_source

HEADER = ("id", "email", "first", "last", "phone", "company", "city", "country", "created", "status", "score", "note")
FIRST = ("Anna", "Bob", "Carlos", "Dmitri", "Eve", "Frank", "Grace", "Heidi")
LAST = ("Smith", "Jones", "Müller", "Ivanova", "Garcia", "Lee", "Brown")
TARGET = 0.5


def rows(count: int, *, street: str = "") -> Iterator[tuple[str, ...]]:
    for number in range(count):
        first, last = FIRST[number % 8], LAST[number % 7]
        yield (
            str(100_000 + number),
            f"{first.lower()}.{last.lower().replace('ü', 'u')}{number}@example.com",
            first,
            last,
            f"+1202555{number % 10_000:04d}",
            f"Company {number % 5_000}{street if number % 4 == 0 else ''}",
            "Berlin",
            "DE",
            f"2024-05-{number % 28 + 1:02d}T10:22:33Z",
            "active",
            str(number % 997 / 10),
            "n/a" if number % 3 else "",
        )


def write(path: Path, records: Iterator[tuple[str, ...]], *, quote: str, line_end: str = "\n") -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        for record in (HEADER, *records):
            out.write(",".join(f"{quote}{cell}{quote}" for cell in record) + line_end)


def seconds(work: Callable[[], int], expected: int) -> tuple[float, float]:
    """Wall clock and processor time of one go."""
    start, cpu = time.perf_counter(), time.process_time()
    found = work()
    took = time.perf_counter() - start, time.process_time() - cpu
    if found != expected:
        sys.exit(f"{found:,} rows instead of {expected:,}")
    return took


def measure(path: Path, count: int, rounds: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Wall clock and processor time of polars alone and of the source, the best of all rounds."""
    schema = dict.fromkeys(HEADER, pl.String())

    def alone() -> int:
        return pl.scan_csv(path, schema=schema).collect().height

    def source() -> int:
        return sum(chunk.rows.height for chunk in open_source(SourceOptions(str(path))).chunks())

    goes = [(seconds(alone, count), seconds(source, count)) for _ in range(rounds)]
    by_polars, by_us = zip(*goes, strict=True)
    return best(by_polars), best(by_us)


def best(goes: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(go[0] for go in goes), min(go[1] for go in goes)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=9)
    given = arguments.parse_args()
    cases = {
        "unquoted": {"quote": ""},
        "all quoted": {"quote": '"'},
        "all quoted, CRLF": {"quote": '"', "line_end": "\r\n"},
        "quoted newlines in every 4th row": {"quote": '"', "street": "\nFloor 2"},
    }
    print(f"{given.rows:,} rows × {len(HEADER)} columns; polars {pl.__version__}, {pl.thread_pool_size()} threads")
    print(f"{'file':34}{'MB':>7}{'polars s':>10}{'source s':>10}{'pre-scan ÷ polars':>19}{'same, CPU':>11}")
    with tempfile.TemporaryDirectory() as folder:
        for name, how in cases.items():
            path = Path(folder) / "rows.csv"
            write(path, rows(given.rows, street=how.pop("street", "")), **how)
            alone, source = measure(path, given.rows, given.rounds)
            share, cpu = (source[0] - alone[0]) / alone[0], (source[1] - alone[1]) / alone[1]
            size = path.stat().st_size / 1e6
            verdict = "" if share <= TARGET else f"   over {TARGET}"
            print(f"{name:34}{size:7.1f}{alone[0]:10.3f}{source[0]:10.3f}{share:19.2f}{cpu:11.2f}{verdict}")


if __name__ == "__main__":
    main()
