"""Whole lives of the engine: every promise kept in every one of them, and each one repeatable."""

import os
import subprocess
import sys

import pytest

from syncengine.simulation import Verdict, simulate

SEEDS = 40  # benchmarks/simulate.py runs as many as there is time for
SHARE = 40  #: seeds a test, so that the workers of a test run share them out


def told(verdict: Verdict) -> str:
    seed = verdict.setting.seed
    return f"seed {seed}: {'; '.join(verdict.broken)}\n  see it again: python benchmarks/simulate.py --seed {seed}"


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_nothing_is_lost_and_no_promise_broken_whatever_happens(first: int) -> None:
    verdicts = [simulate(seed) for seed in range(first, first + SHARE)]

    assert [told(verdict) for verdict in verdicts if not verdict.kept] == []
    assert sum(verdict.tally.confirmed for verdict in verdicts) > SHARE
    assert sum(verdict.tally.kills for verdict in verdicts) > 0


@pytest.mark.parametrize("seed", [4, 26, 135])
def test_a_seed_is_the_same_story_every_time(seed: int) -> None:
    """Also in another interpreter, whose strings hash otherwise."""
    here = [simulate(seed).trace for _ in range(2)]
    program = f"from syncengine.simulation import simulate; print(simulate({seed}).trace)"
    environment = {**os.environ, "PYTHONHASHSEED": str(seed + 1)}
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    assert [*here, there.stdout.strip()] == [here[0]] * 3


def test_seeds_are_different_stories() -> None:
    assert len({simulate(seed).trace for seed in range(5)}) == 5
