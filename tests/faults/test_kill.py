"""Real processes and real kills: whatever is killed wherever, the list ends as the file says, and nothing leaks."""

from pathlib import Path

import pytest

from syncengine.testing.campaign import forms_of, run_trial, sandbox_process, summed

KILLS = 6  #: processes a trial tries to kill; those that end before do not count
TRIALS = 5


@pytest.mark.parametrize("lane", [0, 1])
def test_p01_p16_p17_killed_runs_lose_nothing_and_the_next_ones_take_over(tmp_path: Path, lane: int) -> None:
    """The lock of a killed process is gone with it: otherwise no run after a kill would start."""
    with sandbox_process() as sandbox:
        trials = []
        for number in range(TRIALS):
            trials.append(run_trial(sandbox, tmp_path / str(number), lane * TRIALS + number, kills=KILLS, contacts=600))
            sandbox.ask("reset", {})

    figures = summed(trials)
    assert figures["faults"] == []
    assert figures["kills"] >= 20


def test_a_token_is_found_however_it_is_written() -> None:
    assert len(set(forms_of("a/b+c=="))) >= 5
