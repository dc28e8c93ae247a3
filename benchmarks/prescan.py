"""What reading strictly costs: the pre-scan, and all our reading, against polars' scan of the same CSV file.

    python benchmarks/prescan.py --rows 1000000 --rounds 9

For each of four shapes of a file of twelve columns: the time of the pre-scan of the whole file as a share of the time
of `pl.scan_csv(file).collect()`; and how much longer the whole source takes than that, as a share of it: everything we
do besides the parsing polars does for us. All are run in turns, and the best of all rounds counts, so that a busy
machine disturbs them alike. The pre-scan of the next stretch runs beside the parsing of this one, which needs a core
that is idle now and then: on a busy machine the shares of processor time, printed beside, say more.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
from measuring import arguments
from targets import conclude

from syncengine.sources import SourceOptions, open_source
from syncengine.sources.content import PlainFile
from syncengine.sources.files import local_file
from syncengine.sources.prescan import prescan

HEADER = ("id", "email", "first", "last", "phone", "company", "city", "country", "created", "status", "score", "note")
FIRST = ("Anna", "Bob", "Carlos", "Dmitri", "Eve", "Frank", "Grace", "Heidi")
LAST = ("Smith", "Jones", "Müller", "Ivanova", "Garcia", "Lee", "Brown")
MOST = 0.5


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


def prescanned(path: Path) -> int:
    """The records the pre-scan counts, over the stretches in which the source takes the file."""
    records = unread = 0
    with PlainFile(local_file(path, path.parent, wanted=path.name)).open(SourceOptions(str(path)).chunk_bytes) as raw:
        while data := raw.take(unread):
            shape = prescan(data, separator=ord(","), columns=len(HEADER), ended=raw.ended, cell_bytes=1 << 20)
            if not shape.sound:
                sys.exit(f"{path.name} is not sound")
            records, unread = records + shape.records, len(data) - shape.end
    return records - 1


Cost = tuple[float, float]  #: seconds of wall clock and of processor time


def measure(path: Path, count: int, rounds: int) -> tuple[Cost, Cost, Cost]:
    """polars alone, the pre-scan alone, and the source: the best of all rounds of each."""
    schema = dict.fromkeys(HEADER, pl.String())

    def alone() -> int:
        return pl.scan_csv(path, schema=schema).collect().height

    def source() -> int:
        return sum(chunk.rows.height for chunk in open_source(SourceOptions(str(path))).chunks())

    goes = [
        (seconds(alone, count), seconds(lambda: prescanned(path), count), seconds(source, count)) for _ in range(rounds)
    ]
    by_polars, by_scan, by_us = zip(*goes, strict=True)
    return best(by_polars), best(by_scan), best(by_us)


def best(goes: Sequence[Cost]) -> Cost:
    return min(go[0] for go in goes), min(go[1] for go in goes)


CASES = {
    "unquoted": {"quote": ""},
    "all quoted": {"quote": '"'},
    "all quoted, CRLF": {"quote": '"', "line_end": "\r\n"},
    "quoted newlines in every 4th row": {"quote": '"', "street": "\nFloor 2"},
}


def case(path: Path, how: dict[str, str], rows_wanted: int, rounds: int) -> dict[str, float]:
    """Seconds and shares of one shape of file."""
    street = how.get("street", "")
    write(path, rows(rows_wanted, street=street), quote=how["quote"], line_end=how.get("line_end", "\n"))
    alone, scan, source = measure(path, rows_wanted, rounds)
    return {
        "mb": round(path.stat().st_size / 1e6, 1),
        "polars_s": round(alone[0], 3),
        "prescan_s": round(scan[0], 3),
        "source_s": round(source[0], 3),
        "prescan_share": round(scan[0] / alone[0], 3),
        "prescan_share_cpu": round(scan[1] / alone[1], 3),
        "source_share": round((source[0] - alone[0]) / alone[0], 3),
        "source_share_cpu": round((source[1] - alone[1]) / alone[1], 3),
    }


def main() -> None:
    given = arguments(__doc__, rows=[1_000_000], rounds=9).parse_args()
    told = {}
    print(
        f"{'file':34}{'MB':>7}{'polars s':>10}{'pre-scan ÷ polars':>19}{'CPU':>7}{'(source - polars) ÷':>21}{'CPU':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, how in CASES.items():
            found = told[name] = case(Path(folder) / "rows.csv", how, given.rows, given.rounds)
            print(
                f"{name:34}{found['mb']:7.1f}{found['polars_s']:10.3f}{found['prescan_share']:19.2f}"
                f"{found['prescan_share_cpu']:7.2f}{found['source_share']:21.2f}{found['source_share_cpu']:7.2f}"
            )
    spans = {what: sorted(one[f"{what}_share"] for one in told.values()) for what in ("prescan", "source")}
    scan, source = (f"{span[0]:.2f} to {span[-1]:.2f} ×" for span in spans.values())
    conclude(
        "prescan",
        f"pre-scan {scan}; all that reading strictly adds {source}",
        {"rounds": given.rounds, "files": told},
        met=spans["prescan"][-1] <= MOST,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} rows × {len(HEADER)} columns, four shapes",
    )


if __name__ == "__main__":
    main()
