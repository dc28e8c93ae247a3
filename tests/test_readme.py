"""The README tells the truth: its commands run, and what it lists is what there is."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from syncengine.cli.main import VERBS
from syncengine.config.model import (
    Account,
    Columns,
    Guard,
    Hold,
    Instance,
    Mirror,
    PresetJob,
    SourceTable,
    State,
)
from syncengine.presets import load_presets
from syncengine.report import EXIT_CODES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
DEMO, LOOK_AROUND, TESTS = BLOCKS[0].strip(), BLOCKS[1].strip().splitlines(), BLOCKS[-1].strip()


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the README, with `syncengine` being the one under test."""
    words = shlex.split(command)
    words = [sys.executable, "-m", *words] if words[0] == "syncengine" else words
    environment = {**os.environ, "CI": "1"}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_the_demo_and_the_look_around_work_as_told(tmp_path: Path) -> None:
    demo = shell(DEMO.rsplit("&&", 1)[1].strip().replace(".venv/bin/", ""), tmp_path)
    assert demo.returncode == 0, demo.stderr
    assert "976 added" in demo.stdout
    assert "976 unchanged" in demo.stdout

    on_path, change_folder, *commands = LOOK_AROUND
    assert (on_path, change_folder) == ('export PATH="$PWD/.venv/bin:$PATH"', "cd syncengine-demo")
    for command in commands:
        done = shell(command, tmp_path / "syncengine-demo")
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout


def test_ci_runs_exactly_the_two_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert TESTS in script
    for part in DEMO.split("&&"):
        assert part.strip() in script


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_is_told_and_helps(verb: str) -> None:
    assert f"syncengine {verb}" in README
    done = shell(f"syncengine {verb} --help", ROOT)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5


def test_every_room_is_told() -> None:
    layout = README.split("Where things are")[1]
    rooms = [path.parent.name for path in (ROOT / "syncengine").glob("*/__init__.py")]

    assert len(rooms) > 15
    assert [name for name in sorted(rooms) if f"`{name}/`" not in layout] == []


def test_every_setting_is_told() -> None:
    settings = [
        field.alias or name
        for model in (Account, Instance, State, PresetJob, SourceTable, Columns, Mirror, Guard, Hold)
        for name, field in model.model_fields.items()
        if name not in {"api", "columns", "variables", "mirror", "guard", "hold", "opt_out"}
    ]

    assert [name for name in settings if f"`{name}`" not in README] == []


def test_every_exit_code_is_told() -> None:
    codes = {*EXIT_CODES.values(), 2, 6, 8, 10, 143}

    assert [code for code in sorted(codes) if not re.search(rf"^\| .*\b{code}\b.* \|", README, re.MULTILINE)] == []


def test_every_preset_is_told_with_its_export_and_what_happens_to_opt_outs() -> None:
    for name, preset in load_presets(ROOT / "nowhere").items():
        title = f"{preset.title} (preview)" if preset.preview else preset.title
        assert f"| {title} · `{name}` | {preset.export} | {preset.opt_out} |" in README


def test_inspect_and_init_work_as_told(tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_bytes((ROOT / "sample_data" / "contacts.csv").read_bytes())
    commands = next(block for block in BLOCKS if "syncengine inspect" in block).strip().splitlines()

    for command in [*commands, "syncengine plan"]:
        done = shell(command, tmp_path)
        assert done.returncode == 0, f"{command}: {done.stderr}"
