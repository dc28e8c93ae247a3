"""Six runs that die at each of their crash points: whatever was left, the next run brings it to a good end."""

import sqlite3
from collections.abc import Sequence

import pytest

from syncengine.journal import Journal
from syncengine.ports import Done, Intended, Progress
from syncengine.simulation.crashes import NEVER, Crashes, World, crash_everywhere, recover, worlds_of
from syncengine.simulation.process import Engine
from syncengine.simulation.reference import FIRST_LOAD, REFERENCES, UNCHANGED, Reference

# Far below what there is, so that a check that sees nothing any more is noticed (benchmarks/simulate.py --crashes).
FEWEST = {"turn": 40, "file": 50, "statement": 15, "request-leaves": 4, "request-lands": 4, "end": 1}
FEWEST_WORLDS = 40
FEWEST_HALF_WRITTEN = 12


def test_there_are_six_runs_and_each_is_another() -> None:
    assert len({reference.name for reference in REFERENCES}) == len(REFERENCES) == 6


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_p02_a_run_that_dies_anywhere_is_brought_to_its_end_by_the_next(reference: Reference) -> None:
    crashes = crash_everywhere(reference)

    assert crashes.broken == []
    assert {kind: crashes.points[kind] for kind, least in FEWEST.items() if crashes.points[kind] < least} == {}
    assert crashes.worlds >= FEWEST_WORLDS
    assert crashes.half_written >= FEWEST_HALF_WRITTEN
    assert crashes.recoveries > crashes.worlds + crashes.half_written  # some with a request on its way, told both ways
    assert 0 < crashes.resent <= reference.setting.concurrency * reference.setting.batch_size


def test_p02_a_run_without_a_change_that_dies_anywhere_leaves_nothing_to_be_gone_on_with() -> None:
    crashes = crash_everywhere(UNCHANGED)

    assert crashes.broken == []
    assert crashes.points["statement"] >= 3
    assert crashes.worlds >= 3


class _WithoutIntents(Journal):
    """Notes what is settled, and not what is about to be sent."""

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        for entry in entries:
            if isinstance(entry, Done):
                super().record(run, [Intended(entry.batch, entry.at), entry])


class _WithoutOutcomes(Journal):
    """Notes what is about to be sent, and nothing that came of it until the run ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._kept: list[Progress] = []

    def record(self, run: str, entries: Sequence[Progress]) -> None:
        self._kept += [entry for entry in entries if isinstance(entry, Done)]
        super().record(run, [entry for entry in entries if isinstance(entry, Intended)])

    def settled_batches(self, run: str) -> set[int]:
        super().record(run, self._kept)
        return super().settled_batches(run)


def _first(worlds: list[World]) -> World:
    """The first that leaves something settled, and something on its way."""
    return next(world for world in worlds if world.on_the_way and any(done for done, _ in world.of_run.values()))


@pytest.mark.parametrize(
    ("journal", "broken"), [(_WithoutIntents, "intent: batches"), (_WithoutOutcomes, "forgotten: batches")]
)
def test_a_journal_that_comes_too_late_is_found_out(journal: type[Journal], broken: str) -> None:
    engine = Engine(journal=journal)
    world = _first(worlds_of(FIRST_LOAD, engine, Crashes()))

    assert any(words.startswith(broken) for words in recover(FIRST_LOAD, world, engine, arrives=NEVER))
