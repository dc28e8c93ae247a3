"""What the README says of speed is what was measured, and everything that is wanted has a script that measures it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=BENCHMARKS, capture_output=True, text=True, check=False)


def targets() -> list[str]:
    told = run("-c", "import targets; print(*targets.TARGETS)")
    assert told.returncode == 0, told.stderr
    return told.stdout.split()


def test_the_readme_has_the_tables_that_the_results_make() -> None:
    done = run("table.py", "--check")

    assert done.returncode == 0, done.stdout + done.stderr + "run: python benchmarks/table.py"


def test_every_target_has_a_script_and_a_row_with_a_result_or_says_that_there_is_none() -> None:
    for name in targets():
        assert (BENCHMARKS / f"{name}.py").exists(), name
        row = "".join(line for line in README.splitlines() if f"· `{name}` |" in line)
        assert row, name
        measured = (BENCHMARKS / "results" / f"{name}.json").exists()
        assert measured != ("| not measured |" in row), row


@pytest.mark.parametrize("name", targets())
def test_every_script_of_the_table_says_how_it_is_run(name: str) -> None:
    told = ast.get_docstring(ast.parse((BENCHMARKS / f"{name}.py").read_text(encoding="utf-8")))

    assert told is not None
    assert f"python benchmarks/{name}.py" in told


@pytest.mark.parametrize("name", [*targets(), "beside_peers"])
def test_every_result_says_when_where_of_what_and_how_it_was_measured(name: str) -> None:
    path = BENCHMARKS / "results" / f"{name}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    if kept is not None:  # else the table says so: see above
        assert {"date", "machine", "load", "versions", "commit"} <= kept.keys()
        assert kept["command"].startswith(f"python benchmarks/{name}.py")
        assert str(ROOT.parent) not in json.dumps(kept), "a path of somebody's machine"


def test_a_measurement_is_whole_processes_and_tells_a_ratio(tmp_path: Path) -> None:
    done = run("unchanged_file.py", "--rows", "300", "--rounds", "1", "--data", str(tmp_path / "data"))

    assert done.returncode in {0, 1}, done.stderr  # 1: the target is missed, as it is with so few rows
    assert re.search(r"reached +\d+\.\d × \(\d+\.\d\d s", done.stdout), done.stdout
