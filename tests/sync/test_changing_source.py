"""A source that changes while it is read: nothing from it is sent, whatever the change and whenever it comes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncengine.digests import Identity
from syncengine.errors import SourceError
from syncengine.ports import Chunk, Description, Source
from syncengine.sources import SourceOptions, open_source
from syncengine.testing import MemoryDestination, Trial, run_sync

pytestmark = pytest.mark.anyio

ROWS = "email,active,city\n" + "".join(f"user{number}@example.com,yes,Ulm\n" for number in range(2_000))


def cut(path: Path) -> None:
    os.truncate(path, len(ROWS) // 2)


def grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("late@example.com,yes,Ulm\n")


def overwrite(path: Path) -> None:
    """Other rows of the same length, in place: told from before as soon as the kernel's clock has ticked."""
    before = Identity.of(path.stat())
    path.write_text(ROWS.replace("Ulm", "Rom"))
    while Identity.of(path.stat()) == before:
        os.utime(path)


def replace(path: Path) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(ROWS.replace("Ulm", "Rom"))
    fresh.replace(path)


def remove(path: Path) -> None:
    path.unlink()


class Disturbed:
    """A file that something happens to when this many of its chunks have been read (a `Source`)."""

    def __init__(self, inner: Source, disturb: Callable[[], None], *, after: int) -> None:
        self._inner = inner
        self._disturb = disturb
        self._after = after
        self.name, self.columns = inner.name, inner.columns

    def chunks(self) -> Iterator[Chunk]:
        for number, chunk in enumerate(self._inner.chunks(), start=1):
            yield chunk
            if number == self._after:
                self._disturb()

    def digest(self) -> str:
        return self._inner.digest()

    def describe(self) -> Description:
        return self._inner.describe()

    def verify_unchanged(self) -> None:
        self._inner.verify_unchanged()


@pytest.mark.parametrize("disturb", [cut, grow, overwrite, replace, remove], ids=lambda disturb: disturb.__name__)
@pytest.mark.parametrize("when", ["after the first chunk", "after the last"])
async def test_s1_s2_nothing_of_a_file_that_changes_while_it_is_read_is_sent(
    trial: Trial, to: MemoryDestination, tmp_path: Path, disturb: Callable[[Path], None], when: str
) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(ROWS)
    options = SourceOptions(str(path), chunk_bytes=10_000)
    after = 1 if "first" in when else sum(1 for _ in open_source(options).chunks())

    with pytest.raises(SourceError) as refused:
        await run_sync(trial, Disturbed(open_source(options), lambda: disturb(path), after=after))

    assert refused.value.code in {"source-changed", "no-file"}
    assert (refused.value.exit_code, refused.value.sent) == (2, "nothing was sent")
    assert (to.requests, to.contacts) == (0, {})


async def test_the_digest_of_the_file_is_kept_in_the_plan(trial: Trial, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(ROWS)
    source = open_source(SourceOptions(str(path)))

    await run_sync(trial, source)

    (kept,) = (tmp_path / "runs").glob("*/run.json")
    assert f'"{source.digest()}"' in kept.read_text(encoding="utf-8")
