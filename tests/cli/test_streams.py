"""stdout is the answer, stderr is talk, whoever reads them: pipes that close, full disks, no colours, one document."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncengine.cli.main import ALLOCATION, main

if TYPE_CHECKING:
    from conftest import Project

BASH = shutil.which("bash") or "bash"
PROGRAM = [sys.executable, "-m", "syncengine"]


def shell(project: "Project", command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line for bash, in which `$SYNCENGINE` is the program; its exit code is that of the first command of a pipe."""
    line = f"{command}; exit ${{PIPESTATUS[0]}}"
    settings = {**os.environ, "SYNCENGINE": " ".join(PROGRAM), **environment}
    return subprocess.run(
        [BASH, "-c", line], cwd=project.folder, capture_output=True, text=True, check=False, env=settings
    )


def on_terminal(project: "Project", arguments: list[str], **environment: str) -> str:
    """What the program writes where both its outputs are a terminal."""
    import pty

    theirs, ours = pty.openpty()
    settings = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR", "FORCE_COLOR"}}
    done = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=ours,
        stderr=ours,
        env={**settings, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(ours)
    written = b""
    while True:
        try:
            more = os.read(theirs, 65536)
        except OSError:  # Linux: the other side is closed
            break
        if not more:
            break
        written += more
    os.close(theirs)
    done.wait()
    return written.decode()


@pytest.mark.parametrize("verb", ["plan", "explain", "plan --json", "status"])
def test_a_reader_that_leaves_is_no_failure(project: "Project", verb: str) -> None:
    done = shell(project, f"$SYNCENGINE {verb} | true")

    assert (done.returncode, done.stderr.count("error")) == (0, 0), done.stderr
    assert "Traceback" not in done.stderr


def test_a_sync_whose_reader_leaves_does_all_its_work(project: "Project") -> None:
    done = shell(project, "$SYNCENGINE sync --yes 2>&1 | true")

    assert done.returncode == 0
    assert len(project.contacts.contacts) == 250
    assert project.run("sync", "--yes", "--json").report["same"] == 250


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_an_answer_that_finds_no_room_is_told_and_the_work_is_kept(project: "Project") -> None:
    done = shell(project, "$SYNCENGINE sync --yes --json > /dev/full")

    assert done.returncode == 1
    assert "error[answer-lost]" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.run("sync", "--yes", "--json").report["same"] == 250


def test_colours_are_for_terminals_that_want_them(project: "Project") -> None:
    project.write_config(job='consent = "nobody"')

    assert "\x1b[" in on_terminal(project, ["plan"])
    assert "\x1b[" not in on_terminal(project, ["plan"], NO_COLOR="1")
    assert "\x1b[" not in on_terminal(project, ["status"], NO_COLOR="1")
    assert "\x1b[" not in on_terminal(project, ["plan"], TERM="dumb")
    assert "\x1b[" not in shell(project, "$SYNCENGINE plan").stderr


def test_bars_are_for_terminals_and_ci_gets_lines(project: "Project") -> None:
    watched = on_terminal(project, ["sync", "--yes"])
    assert "Ctrl-C stops safely" in watched
    assert "250/250" in watched

    project.write_source(*project.people(250, **{f"n{number}": "Moved" for number in range(250)}))
    in_ci = on_terminal(project, ["sync", "--yes"], CI="true")
    assert "250/250 (100%) · 0 not confirmed" in in_ci
    assert "━" not in in_ci


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["plan", "--limit", "none", "--json"], "usage"),
        (["sync", "--jsn", "--json"], "usage"),
        (["snyc", "--json"], "usage"),
        (["sync", "--yes", "--until", "25:99", "--json"], "until"),
        (["plan", "nobody", "--json"], "job-unknown"),
        (["status", "nobody", "--json"], "job-unknown"),
        (["plan", "-c", "none.toml", "--json"], "config-missing"),
        (["errors", "none", "--json"], "run-unknown"),
        (["sync", "--json"], "yes-missing"),
    ],
)
def test_with_json_every_ending_has_exactly_one_document(project: "Project", arguments: list[str], code: str) -> None:
    answer = project.run(*arguments)

    assert answer.code == 2
    document = json.loads(answer.out)
    error = document["error"] if "error" in document else document["runs"][0]["error"]
    assert (document["schema_version"], error["code"], error["sent"]) == (1, code, "nothing was sent")
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(("given", "then"), [(None, ALLOCATION[1]), ("narenas:4", "narenas:4")])
def test_memory_is_given_back_at_once_unless_somebody_wants_it_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, then: str
) -> None:
    monkeypatch.setenv(ALLOCATION[0], given or "")
    if given is None:
        monkeypatch.delenv(ALLOCATION[0])

    with pytest.raises(SystemExit):
        main(["--version"])

    assert os.environ[ALLOCATION[0]] == then
