"""200 damaged states, each met by a whole run: it stops before its first request and leaves everything as found.

The one damage that a run may go on with is more behind the end of a log; then it has to come to a good end.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from syncengine.anchor import ANCHOR, DATABASE, Anchor, write_anchor
from syncengine.durable import file_digest
from syncengine.ledger import IDENTITY
from syncengine.simulation.crashes import NEVER, Crashes, World, recover, refused, worlds_of
from syncengine.simulation.disk import Image, image_of, restore
from syncengine.simulation.process import Engine
from syncengine.simulation.reference import MIRROR, UNKNOWN_PAIR, Reference

LOG = f"{DATABASE}-wal"
FEWEST = 200
FLIPS = 9


def truncated(data: bytes, _: Random) -> Iterator[bytes]:
    yield b""
    for part in (0.1, 0.5, 0.9):
        yield data[: int(len(data) * part)]
    yield data[:-1]


def zeroed(data: bytes, chance: Random) -> Iterator[bytes]:
    yield bytes(len(data))
    size = max(1, min(512, len(data) // 3))
    for _ in range(2):
        place = chance.randrange(len(data) - size)
        yield data[:place] + bytes(size) + data[place + size :]


def flipped(data: bytes, chance: Random) -> Iterator[bytes]:
    for _ in range(FLIPS):
        place, bit = chance.randrange(len(data)), chance.randrange(8)
        yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def foreign(data: bytes, chance: Random) -> Iterator[bytes]:
    yield chance.randbytes(len(data))
    yield b"Email,Name\r\nsomebody@example.com,Somebody\r\n"
    yield b"PAR1" + data[4:-4] + b"SQLi"
    yield data + data


DAMAGES = {"truncated": truncated, "zeroed": zeroed, "flipped": flipped, "foreign": foreign}


@cache
def resting() -> World:
    """What a finished run left, with another export to be carried out."""
    return worlds_of(MIRROR, Engine(), Crashes())[0]


@cache
def dead() -> World:
    """What a process left that died with something settled and something on its way."""
    worlds = worlds_of(UNKNOWN_PAIR, Engine(), Crashes())
    return next(world for world in worlds if world.on_the_way and any(done for done, _ in world.of_run.values()))


def file_of(world: World, name: str) -> str:
    """The one file that ends like this; a plan's and a snapshot's names have a number."""
    (found,) = (file for file in world.disk if file.endswith(name))
    return found


WHERE: list[tuple[Reference, Callable[[], World], str]] = [
    (MIRROR, resting, DATABASE),
    (MIRROR, resting, ANCHOR),
    (MIRROR, resting, IDENTITY),
    (MIRROR, resting, "snapshot-1.parquet"),
    (UNKNOWN_PAIR, dead, DATABASE),
    (UNKNOWN_PAIR, dead, LOG),
    (UNKNOWN_PAIR, dead, ANCHOR),
    (UNKNOWN_PAIR, dead, IDENTITY),
    (UNKNOWN_PAIR, dead, "run.json"),
    (UNKNOWN_PAIR, dead, "add.parquet"),
]


def damaged(world: World, name: str) -> Iterator[tuple[str, Image]]:
    file = file_of(world, name)
    chance = Random(name)
    seen = {world.disk[file]}
    for kind, damage in DAMAGES.items():
        for data in damage(world.disk[file], chance):
            if data not in seen:
                seen.add(data)
                yield kind, {**world.disk, file: data}


def newer(world: World, folder: Path) -> Image:
    """The state as a later version of the program would have left it, in accord with itself."""
    restore(world.disk, folder)
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA user_version=99")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    write_anchor(folder, Anchor(file_digest(folder / DATABASE), ""))
    return image_of(folder)


def test_there_are_enough_of_them() -> None:
    counts = Counter(kind for _, make, name in WHERE for kind, _ in damaged(make(), name))

    assert counts.total() >= FEWEST
    assert min(counts[kind] for kind in DAMAGES) >= 15


@pytest.mark.parametrize(
    ("reference", "make", "name"), WHERE, ids=[f"{where[1].__name__}-{where[2]}" for where in WHERE]
)
def test_a_damaged_state_stops_a_run_before_its_first_request_and_is_left_as_found(
    reference: Reference, make: Callable[[], World], name: str
) -> None:
    world = make()
    file = file_of(world, name)
    went_on = 0
    for kind, disk in damaged(world, name):
        stopped = refused(reference, replace(world, disk=disk))
        if stopped is None:
            went_on += 1
            assert recover(reference, replace(world, disk=disk), arrives=NEVER) == ()
            continue
        assert (stopped.problem.exit_code, stopped.requests) == (8, 0), kind
        assert stopped.problem.sent in {"nothing was sent", "nothing more was sent"}, kind
        assert stopped.disk[file] == disk[file], kind

    assert went_on == (1 if name == LOG else 0)  # what is behind a log's last commit was never said


@pytest.mark.parametrize(("reference", "make"), [(MIRROR, resting), (UNKNOWN_PAIR, dead)])
def test_a_newer_state_stops_a_run_before_its_first_request_and_is_left_as_found(
    reference: Reference, make: Callable[[], World], tmp_path: Path
) -> None:
    disk = newer(make(), tmp_path / "state")

    stopped = refused(reference, replace(make(), disk=disk))

    assert stopped is not None
    assert (stopped.problem.exit_code, stopped.requests, stopped.disk) == (8, 0, disk)
    assert "written by a newer version (schema 99" in stopped.problem.why


def test_what_is_not_damaged_goes_on() -> None:
    """Or else all of these would stop for another reason."""
    for reference, make in ((MIRROR, resting), (UNKNOWN_PAIR, dead)):
        assert refused(reference, make()) is None
