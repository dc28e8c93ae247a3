"""State directories that earlier versions have left, opened by this one. tests/golden/make.py makes more.

Each has a finished run and one that was stopped: a run begun by one version goes on under the next.
"""

import contextlib
import importlib.util
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from syncengine.ledger import open_ledger
from syncengine.sandbox.contract import VariableType
from syncengine.schema import MIGRATIONS, SCHEMA_VERSION
from syncengine.simulation.disk import image_of, restore
from syncengine.testing.faulty_disk import OK, FaultyDisk, Step, no_faulty_disk

if TYPE_CHECKING:
    from conftest import Project

GOLDEN = Path(__file__).parents[1] / "golden"
KEPT = sorted(int(path.stem.partition("-")[2]) for path in GOLDEN.glob("state-*.zip"))
LIST = "5537ab2a08d241dc69326b19"
CHANGES, PENDING = 115, 15
TABLES = ("lists", "sources", "variables", "names", "runs", "batches", "verdicts", "refusals", "suppressions")


def maker() -> ModuleType:
    """tests/golden/make.py."""
    spec = importlib.util.spec_from_file_location("make_golden", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unpack(version: int, folder: Path) -> Path:
    with zipfile.ZipFile(GOLDEN / f"state-{version}.zip") as packed:
        packed.extractall(folder)
    return folder


@contextlib.contextmanager
def plainly(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database, past all that guards it."""
    with contextlib.closing(sqlite3.connect(folder / "state.sqlite")) as database:
        yield database
        database.commit()


def rows(folder: Path) -> dict[str, list[Any]]:
    """What is remembered, but for columns that later versions add."""
    with plainly(folder) as database:
        return {
            table: sorted(str(row[:5]) for row in database.execute(f"SELECT * FROM {table}"))  # noqa: S608
            for table in TABLES
        }


def version_of(folder: Path) -> int:
    with plainly(folder) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture(params=KEPT)
def golden(request: pytest.FixtureRequest, project: "Project") -> int:
    """A project whose state an earlier version has left, and a list as it was then."""
    version: int = request.param
    made = maker()
    state = unpack(version, project.folder / ".syncengine")
    with plainly(state) as database:  # the sandbox of the test has another port, which is all that is changed
        database.execute("UPDATE lists SET account = ?", (project.url,))
    (state / "state.sum").unlink(missing_ok=True)
    (project.folder / "syncengine.toml").write_text(
        made.CONFIG.format(url=project.url).replace("${SMARTSENDER_TOKEN}", "sandbox-token"), encoding="utf-8"
    )
    (project.folder / "c.csv").write_text(made.source(later=True), encoding="utf-8")
    project.sandbox.lists[LIST].add_variable("city", VariableType.STRING)
    contacts = [
        {"email": email, "name": name, "active": active == "yes", "variables": {"city": city}}
        for email, name, active, city in (line.split(",") for line in made.source(later=False).splitlines()[1:-1])
    ]
    project.sandbox.seed(LIST, contacts)
    return version


def test_every_version_a_state_is_brought_up_from_has_one_in_the_tests() -> None:
    missing = sorted(set(MIGRATIONS) - set(KEPT))

    assert missing == [], f"with the program of schema {missing}: python tests/golden/make.py"


def test_a_state_of_an_earlier_version_is_looked_at_without_being_changed(project: "Project", golden: int) -> None:
    state = project.folder / ".syncengine"
    before = (state / "state.sqlite").read_bytes()

    status = project.run("status", "--json")

    assert (status.code, status.json["jobs"][0]["job"]) == (0, "people"), status.err
    assert (state / "state.sqlite").read_bytes() == before


def contacts_sent(project: "Project") -> int:
    return sum(one.size for one in project.sandbox.log if "contacts" in one.endpoint)


def test_a_run_begun_by_an_earlier_version_goes_on_under_this_one(project: "Project", golden: int) -> None:
    """But for those of the first schema, whose plans do not say what their files must be: they are planned anew."""
    pending = PENDING
    if golden == 1:
        refused = project.run("sync", "--yes", "--json")
        assert (refused.code, project.sandbox.log, "sync --fresh" in refused.err) == (8, [], True)
        pending = CHANGES

    ran = project.run("sync", "--yes", "--json", *(["--fresh"] if golden == 1 else []))

    assert ran.code == 0, ran.err
    assert (ran.report["confirmed"]["update"], ran.report["pending"]) == (CHANGES, 0)
    assert contacts_sent(project) == pending
    moved = [one for one in project.contacts.contacts.values() if one.variables["city"] in {"Aktau", "Astana"}]
    assert len(moved) == pending
    assert project.run("state", "verify").code == 0
    again = project.run("sync", "--yes", "--json")
    assert (again.code, again.report["same"] + again.report["held"]) == (0, 231), again.err
    assert contacts_sent(project) == pending


def test_an_earlier_version_is_brought_up_after_a_copy_of_it_was_put_aside(project: "Project", golden: int) -> None:
    state = project.folder / ".syncengine"
    before = rows(state)

    with contextlib.closing(open_ledger(state)):
        pass

    assert (version_of(state), rows(state)) == (SCHEMA_VERSION, before)
    copy = state / f"state.v{golden}.sqlite"
    assert copy.exists() is (golden < SCHEMA_VERSION)
    if golden < SCHEMA_VERSION:
        with contextlib.closing(sqlite3.connect(copy)) as database:
            assert database.execute("PRAGMA user_version").fetchone()[0] == golden
            assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@pytest.mark.skipif(no_faulty_disk() != "", reason=no_faulty_disk() or "-")
@pytest.mark.parametrize("power", [True, False], ids=["the power is cut", "the process is killed"])
@pytest.mark.parametrize("version", [version for version in KEPT if version < SCHEMA_VERSION])
def test_p04_a_migration_that_is_cut_short_anywhere_is_all_there_or_not_at_all(
    tmp_path: Path, version: int, *, power: bool
) -> None:
    state = unpack(version, tmp_path / "state")
    (state / "state.sum").unlink(missing_ok=True)
    before = rows(state)
    left = []

    def keep(step: Step) -> int:
        image = image_of(state)
        left.append((disk.after_power_cut(image, Random(step.number)) if power else image, step))
        return OK

    with FaultyDisk(state, keep) as disk:
        open_ledger(state).close()

    assert len(left) > 10
    for image, step in left:
        after = restore(image, tmp_path / f"after-{step.number}")
        with contextlib.closing(open_ledger(after)):
            pass
        assert (version_of(after), rows(after)) == (SCHEMA_VERSION, before), step
