"""kill -9 in earnest, 40 times and more: real processes, killed at random places, and nothing is lost or leaked."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from syncengine.testing.campaign import SCENARIOS, Trial, run_trial, sandbox_process, summed

#: Of each trial the seed, which decides the kind of service, and how many are killed over its first file (and over the
#: changed one). Nobody is killed over a file that another follows: that one would wait for what was on its way.
LANES = (
    ((0, (8,)), (2, (0, 8)), (5, (8,)), (6, (8,))),
    ((1, (0, 8)), (7, (8,)), (19, (0, 8)), (9, (8,))),
)
CONTACTS = 1_000
FEWEST_KILLS = 40  # of 64 processes; one in five comes to its end before its time is up, and is not killed


def lane(folder: Path, trials: Sequence[tuple[int, tuple[int, ...]]]) -> list[Trial]:
    """Trials one after the other, each on a list of its own, with a sandbox of their own."""
    done = []
    with sandbox_process() as sandbox:
        for seed, kills in trials:
            done.append(run_trial(sandbox, folder / str(seed), seed, kills=kills, contacts=CONTACTS))
            sandbox.ask("reset", {})
    return done


def test_processes_that_are_killed_lose_nothing_and_leak_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(len(LANES)) as pool:
        trials = [trial for some in pool.map(lambda trials: lane(tmp_path, trials), LANES) for trial in some]

    figures = summed(trials)

    assert figures["faults"] == []
    assert figures["kills"] >= FEWEST_KILLS
    assert figures["sent"] > figures["contacts"]  # some were sent again: they were killed while they worked
    assert {trial.scenario for trial in trials} == set(SCENARIOS)
