"""Request bodies made column-wise, as the engine makes them, beside a dict for each contact and orjson.

    python benchmarks/bodies.py --rows 200000

Both begin with the same normalised rows in memory and end with the same bodies of 100 contacts as bytes (each process
tells a digest of what its bodies say, and they must be equal). One company in 50 has quotation marks, one note in 200 a
line end, one name in five letters beyond ASCII. Only the making of bodies is timed: reading the rows is not.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import polars as pl
import xxhash
from contact_files import LIST, frame, numbers
from measuring import Cost, arguments, in_turns, measure, ratio
from targets import conclude

from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.dispatch.preparing import BODIES_AT_A_TIME
from syncengine.model import Call
from syncengine.redaction import Secret
from syncengine.wire import joined_in_parts, variable_json

LIMIT = 3.0
VARIABLES = {
    "phone": "Phone", "company": "Company", "city": "City", "country": "Country", "birthDate": "Born",
    "plan": "Plan", "score": "Score", "created": "Created", "note": "Note",
}  # fmt: skip


def write_rows(path: Path, rows: int) -> None:
    """Normalised contacts: email, name, active, and the variables."""
    born = pl.col("Born").str.to_date("%d.%m.%Y").dt.to_string("%Y-%m-%d")
    frame(numbers(0, rows)).select(
        pl.col("Email").str.strip_chars().alias("email"),
        pl.col("Full name").alias("name"),
        (pl.col("Subscribed") == "yes").alias("active"),
        *((born if column == "Born" else pl.col(column)).alias(name) for name, column in VARIABLES.items()),
    ).write_parquet(path)


def by_columns(rows: pl.DataFrame) -> Iterator[bytes]:
    """As planning and dispatch do it: variables once, then the form of the call, cut into bodies."""
    service = SmartSenderV2(Door("http://127.0.0.1", Secret("sandbox-token"), Pacer(1), timeout=1), LIST)
    values = variable_json([(name, pl.col(name)) for name in VARIABLES])
    plan = rows.select("email", "name", "active", values.alias("variables"))
    beginning = f'{{"emailListId":"{LIST}","contacts":['.encode()
    for part in plan.iter_slices(BODIES_AT_A_TIME * 100):
        edges = [*range(0, part.height, 100), part.height]
        for contacts in joined_in_parts(service.prepare(part, Call.ADD), edges):
            yield b"".join((beginning, contacts, b"]}"))


def by_dicts(rows: pl.DataFrame) -> Iterator[bytes]:
    """As a careful person writes it."""
    for part in rows.iter_slices(100):
        contacts = [
            {
                "email": row["email"],
                "name": row["name"],
                "active": row["active"],
                "variables": [{"name": name, "value": row[name]} for name in VARIABLES if row[name] is not None],
            }
            for row in part.iter_rows(named=True)
        ]
        yield orjson.dumps({"emailListId": LIST, "contacts": contacts})


WAYS: dict[str, Callable[[pl.DataFrame], Iterator[bytes]]] = {"columns": by_columns, "dicts": by_dicts}


def make(way: str, path: Path) -> dict[str, object]:
    """Make all bodies; tells seconds, processor time, and what the bodies say."""
    rows = pl.read_parquet(path)
    for _ in WAYS[way](rows.head(1_000)):  # whatever is loaded at the first use is loaded now
        pass
    began, cpu = time.perf_counter(), time.process_time()
    bodies = list(WAYS[way](rows))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    digest = xxhash.xxh3_64()
    for body in bodies:
        digest.update(orjson.dumps(orjson.loads(body)))
    return {
        "seconds": took,
        "cpu": used,
        "bytes": sum(map(len, bodies)),
        "bodies": len(bodies),
        "says": digest.hexdigest(),
    }


def main() -> None:
    parser = arguments(__doc__, rows=[200_000], rounds=5)
    parser.add_argument("--way", choices=list(WAYS), help="only make them this way, of the rows in --data")
    given = parser.parse_args()
    if given.way:
        print(json.dumps(make(given.way, given.data)))
        return
    given.data.mkdir(parents=True, exist_ok=True)
    path = given.data / f"bodies-{given.rows}.parquet"
    write_rows(path, given.rows)
    command = [sys.executable, __file__, "--data", path, "--way"]
    ours, theirs = in_turns(given.rounds, *(partial(measure, [*command, way]) for way in WAYS))
    path.unlink()
    if len({told(cost)["says"] for cost in (*ours, *theirs)}) != 1:
        sys.exit("the two ways do not say the same")
    walls, cpus = ratio(theirs, ours, seconds), ratio(theirs, ours, processor)
    runs = dict(zip(WAYS, (ours, theirs), strict=True))
    speed = {way: given.rows / median(map(seconds, costs)) for way, costs in runs.items()}
    each = {way: median(map(processor, costs)) / given.rows * 1e6 for way, costs in runs.items()}
    conclude(
        "bodies",
        f"{walls:.1f} × ({speed['columns']:,.0f} contacts/s; CPU {each['columns']:.1f} µs each, {cpus:.1f} × less)",
        {
            "rows": given.rows,
            "ratio_wall": round(walls, 2),
            "ratio_cpu": round(cpus, 2),
            "contacts_a_second": {way: round(value) for way, value in speed.items()},
            "cpu_us_a_contact": {way: round(value, 2) for way, value in each.items()},
        },
        met=walls >= LIMIT,
        keep=given.keep,
        note=given.note,
        size=f"{given.rows:,} contacts",
    )


def told(cost: Cost) -> dict[str, Any]:
    """What a process said of itself."""
    said: dict[str, Any] = json.loads(cost.output)
    return said


def seconds(cost: Cost) -> float:
    return float(told(cost)["seconds"])


def processor(cost: Cost) -> float:
    return float(told(cost)["cpu"])


if __name__ == "__main__":
    main()
