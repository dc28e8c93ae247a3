"""Rows that were read before are not parsed again, and it makes no difference to what is planned, sent and told."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import anyio
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncengine.config.model import Bound
from syncengine.errors import GuardError
from syncengine.guards import Guards
from syncengine.journal import Journal
from syncengine.ledger import open_ledger
from syncengine.model import Mode, Op
from syncengine.ports import Changes, Chunk, Description, Hashes, Source
from syncengine.row_memory import Recollection
from syncengine.sources import SourceOptions, open_source
from syncengine.state import StateStore
from syncengine.testing import MemoryDestination, Trial, run_sync

pytestmark = pytest.mark.anyio

HEADER = "email,name,active,city,note\n"


@dataclass
class Plainly:
    """A source whose rows can't be told apart by their bytes: every one is parsed."""

    inner: Source

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self.inner.columns

    def chunks(self) -> Iterator[Chunk]:
        return self.inner.chunks()

    def digest(self) -> str:
        return self.inner.digest()

    def describe(self) -> Description:
        return self.inner.describe()

    def verify_unchanged(self) -> None:
        self.inner.verify_unchanged()


@dataclass
class Watched(Plainly):
    """A source that counts what its rows' memory knew."""

    known: int = 0
    asked: int = 0

    @property
    def reading(self) -> str:
        return self.inner.reading  # type: ignore[attr-defined, no-any-return]

    def chunks_but(self, recall: Callable[[Hashes], Recollection]) -> Iterator[Chunk]:
        def counted(rows: Hashes) -> Recollection:
            found = recall(rows)
            self.asked += rows.size
            self.known += int(found.known.sum())
            return found

        return self.inner.chunks_but(counted)  # type: ignore[attr-defined, no-any-return]


def read(path: str | None) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""


def memories(folder: Path) -> list[Path]:
    return list(folder.glob("lists/list/rows-*.rows"))


def notes(folder: Path) -> list[Path]:
    return list(folder.glob("runs/*/rows.notes*"))


@dataclass
class Shop:
    """A list with its durable state, and files that are brought to it one after the other."""

    folder: Path
    mode: Mode = Mode.MIRROR
    destination: MemoryDestination = field(default_factory=MemoryDestination)
    told: list[object] = field(default_factory=list)

    async def bring(self, content: str, wrap: Callable[[Source], Source]) -> Source:
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "contacts.csv"
        path.write_bytes(content.encode())
        source = wrap(open_source(SourceOptions(str(path), chunk_bytes=150)))
        with contextlib.closing(open_ledger(self.folder)) as ledger:
            state = StateStore(ledger, self.folder, "list", "http://127.0.0.1")
            trial = Trial(self.folder, self.destination, state, Journal(ledger), mode=self.mode)
            trial._runs = iter([f"{len(self.told)}"])  # type: ignore[assignment]
            ended = await run_sync(trial, source)
            assert ended.problem is None
            report = ended.report
            snapshot = state.snapshot()
            contents = snapshot.rows_at(pl.Series(range(snapshot.size)).to_numpy()).drop("confirmed_at")
            errors = read(report.paths.get("errors"))
            self.told.append(
                (
                    report.rows, report.held, report.held_by_code, report.same, report.planned, report.confirmed,
                    errors, contents.sort("key").rows(),
                )
            )  # fmt: skip
        return source


PEOPLE = st.sampled_from(
    ["ann@example.com", " ANN@example.com", "bob@example.com", "eve@example.com", "ida@example.com", "no-address", ""]
)
CELLS = st.sampled_from(["", "Rome", "Oslo", '"a\nb"', '"a\r\nb"', '"say ""hi"""', "=1+1", "\ufeffx", "ü"])
ROWS = st.lists(
    st.tuples(PEOPLE, CELLS, st.sampled_from(["yes", "no", "", "perhaps"]), CELLS, CELLS), min_size=3, max_size=25
)
FILES = st.lists(st.tuples(ROWS, st.sampled_from(["\n", "\r\n"])), min_size=2, max_size=3)


def text(rows: list[tuple[str, ...]], line_end: str) -> str:
    fillers = [(f"someone{number}@example.com", "Some One", "yes", "Paris", "n") for number in range(12)]
    lines = [HEADER.strip(), *(",".join(row) for row in [*fillers[:6], *rows, *fillers[6:]])]
    return line_end.join([*lines, ""])


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(files=FILES, again=st.booleans())
def test_what_is_told_and_kept_is_the_same_with_and_without_it(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[tuple[str, ...]], str]], *, again: bool
) -> None:
    base = tmp_path_factory.mktemp("shops")
    fast, slow = Shop(base / "fast"), Shop(base / "slow")

    async def bring_all() -> None:
        contents = [text(*file) for file in files]
        if again:
            contents.append(contents[-1] + "last@example.com,,yes,,\n")  # nearly all of it is known
        for content in contents:
            await fast.bring(content, lambda source: source)
            await slow.bring(content, Plainly)

    anyio.run(bring_all)
    assert [told[:-2] for told in fast.told] == [told[:-2] for told in slow.told]  # type: ignore[index]
    assert [told[-1] for told in fast.told] == [told[-1] for told in slow.told]  # type: ignore[index]
    assert [sorted(told[-2].splitlines()) for told in fast.told] == [  # type: ignore[index]
        sorted(told[-2].splitlines())
        for told in slow.told  # type: ignore[index]
    ]


def people(count: int, city: str = "Rome") -> str:
    return HEADER + "".join(f'p{number}@example.com,"P\n{number}",yes,{city},\n' for number in range(count))


async def test_known_rows_are_not_parsed_and_a_changed_one_is_found(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    first = await shop.bring(people(300), Watched)
    second = await shop.bring(people(300) + "new@example.com,N,yes,Rome,\n", Watched)
    third = await shop.bring(people(300).replace("p7@example.com,", "p7@example.com ,"), Watched)

    assert isinstance(first, Watched)
    assert isinstance(second, Watched)
    assert isinstance(third, Watched)
    assert (first.known, first.asked > 280) == (0, True)
    assert 280 < second.known < second.asked  # of the last stretch none is remembered: there may be a footer in it
    assert 0 < third.known < third.asked
    assert [told[3] for told in shop.told] == [0, 300, 300]  # type: ignore[index]
    assert [told[4][Op.ADD] for told in shop.told] == [300, 1, 0]  # type: ignore[index]


async def test_another_mapping_or_other_columns_make_rows_unknown(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.bring(people(300), lambda source: source)
    other = people(300).replace("city,note", "town,note")

    source = await shop.bring(other, Watched)
    assert isinstance(source, Watched)
    assert source.known == 0


async def test_a_run_that_a_guard_stops_leaves_no_notes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.bring(people(300), lambda source: source)
    path = tmp_path / "contacts.csv"
    path.write_text(people(20, "Oslo"))
    with contextlib.closing(open_ledger(tmp_path)) as ledger:
        state = StateStore(ledger, tmp_path, "list", "http://127.0.0.1")
        trial = Trial(tmp_path, shop.destination, state, Journal(ledger), mode=Mode.MIRROR)
        trial._runs = iter(["stopped"])  # type: ignore[assignment]
        nobody = Bound(count=0)
        trial.guards = Guards(nobody, nobody, nobody)

        ended = await run_sync(trial, open_source(SourceOptions(str(path), chunk_bytes=150)))

    assert isinstance(ended.problem, GuardError)
    assert not notes(tmp_path)


async def test_who_is_erased_leaves_no_hash_of_a_row(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.bring(people(300), lambda source: source)
    assert memories(tmp_path)

    with contextlib.closing(open_ledger(tmp_path)) as ledger:
        nothing = pl.DataFrame(
            schema={
                "key": pl.String,
                "fingerprint": pl.UInt64,
                "outcome": pl.String,
                "code": pl.String,
                "text": pl.String,
            }
        )
        gone = pl.LazyFrame(schema={"key": pl.String, "key_hash": pl.UInt64})
        StateStore(ledger, tmp_path, "list", "http://127.0.0.1").erase(
            Changes([], [], [gone], nothing, pl.DataFrame()), datetime.now(UTC)
        )

    assert not memories(tmp_path)
