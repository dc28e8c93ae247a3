"""`demo` shows the whole loop, starts over in its own folder, and touches nothing that is somebody's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "syncengine", "demo", *arguments]
    environment = {**os.environ, "CI": "1"}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_the_loop_is_told_in_four_steps_and_can_be_run_again(tmp_path: Path) -> None:
    first, again = demo(tmp_path), demo(tmp_path)

    for done in (first, again):
        assert done.returncode == 0, done.stderr
        for told in (
            "1/4 plan: what would change",
            "Plan: 6 variables to create, 976 to add.",
            "976 added · 0 unchanged",
            "3/4 sync again: nothing has changed",
            "0 requests (0 retries)",
            'city  "Berlin" -> "Astana"',
            "12 added · 24 updated · 952 unchanged",
        ):
            assert told in done.stdout


def test_after_the_demo_the_folder_answers_questions(tmp_path: Path) -> None:
    demo(tmp_path)

    asked = [sys.executable, "-m", "syncengine", "status", "--json"]
    done = subprocess.run(asked, cwd=tmp_path / "syncengine-demo", capture_output=True, text=True, check=True)

    (job,) = json.loads(done.stdout)["jobs"]
    assert (job["contacts"], job["last_run"]["result"], job["next"]) == (988, "ok", None)


@pytest.mark.parametrize(
    ("name", "content"),
    [("syncengine.toml", "# my own\n"), ("contacts.csv", "Email\nme@example.com\n"), ("mine.csv", "Email\n")],
)
def test_what_somebody_made_of_the_folder_is_not_deleted(tmp_path: Path, name: str, content: str) -> None:
    demo(tmp_path)
    mine = tmp_path / "syncengine-demo" / name
    mine.write_text(content)

    done = demo(tmp_path)

    assert done.returncode == 2
    assert "is not as the demo left it" in done.stderr
    assert mine.read_text() == content


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = demo(tmp_path, "--folder", "file/below")

    assert done.returncode == 2
    assert "no folder for the demo can be made" in done.stderr
    assert "Traceback" not in done.stderr
