"""The gate before a run: who finds what the last run found is told so at once; everybody else takes the long way."""

import contextlib
import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from syncengine.bootstrap import JobEnd, Overrides, Session, Workshop
from syncengine.bootstrap.gate import Gate
from syncengine.bootstrap.holding import held_state
from syncengine.bootstrap.running import run_jobs
from syncengine.config.loading import load_config
from syncengine.digests import Identity, KnowsDigests
from syncengine.events import Event
from syncengine.ledger import BACKUP
from syncengine.ports import Correction
from syncengine.state import ConsentBook
from syncengine.webhooks.events import HookBody, event_of
from syncengine.webhooks.inbox import Arrival, open_inbox

if TYPE_CHECKING:
    from conftest import Project

LIST = "5537ab2a08d241dc69326b19"
SAMPLES = Path(__file__).parents[2] / "sample_data" / "crm"


@dataclass
class Onlooker:
    """A `Screen` that says yes to everything."""

    # ruff: noqa: ARG002  # it looks at nothing

    ends: list[JobEnd] = field(default_factory=list)

    def approve(self, view: Mapping[str, Any]) -> bool:
        return True

    def observe(self, event: Event) -> None:
        pass

    def ended(self, end: JobEnd) -> None:
        self.ends.append(end)

    def stopping(self, reason: str) -> None:
        pass


def at_the_gate(
    project: "Project", *, until: datetime | None = None, ahead: KnowsDigests | None = None
) -> tuple[list[JobEnd], bool]:
    """How the jobs ended that ended there, and whether that is all."""
    workshop = Workshop(load_config(project.folder / "syncengine.toml"), Overrides(), ahead=ahead)
    screen = Onlooker()
    with held_state(workshop.state_folder) as connection:
        ends, over = Gate(workshop, connection).end_unchanged(workshop.jobs([]), screen, until=until)
    assert screen.ends == ends
    return ends, over


def takes_a_plan(project: "Project") -> bool:
    """Whether nothing ends at the gate, and nothing is noted there either."""
    before = runs(project)
    ends, over = at_the_gate(project)
    assert ends or (runs(project), over) == (before, False)
    return not ends


def runs(project: "Project", database: str = "state.sqlite") -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(project.folder / ".syncengine" / database)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM runs ORDER BY run")]


def in_the_ledger(project: "Project", statement: str) -> None:
    """A change of the state as another verb would make it."""
    with held_state(project.folder / ".syncengine") as connection:
        connection.execute(statement)


def reconfigure(project: "Project", old: str, new: str) -> None:
    config = project.folder / "syncengine.toml"
    text = config.read_text(encoding="utf-8")
    assert old in text
    config.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def synced(project: "Project") -> "Project":
    """Twenty contacts, on the list and in the state."""
    project.write_source(*project.people(20))
    assert project.run("sync", "--yes").code == 0
    return project


def test_a_run_without_a_change_loads_neither_polars_nor_httpx(synced: "Project") -> None:
    program = (
        "import sys\n"
        "from syncengine.cli.main import main\n"
        "try:\n"
        "    main(['sync', '--yes', '--json'])\n"
        "except SystemExit as left:\n"
        "    assert left.code == 0\n"
        "heavy = {'polars', 'numpy', 'httpx', 'anyio', 'asyncio', 'structlog', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=synced.folder
    )

    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["runs"]
    assert (report["result"], report["rows"], report["same"]) == ("ok", 20, 20)


def test_the_gate_tells_and_notes_what_the_long_way_does(synced: "Project") -> None:
    synced.write_source(*synced.people(20), "broken", "nobody,Nobody,yes,Nowhere")  # two held rows
    assert synced.run("sync", "--yes").code == 0
    workshop = Workshop(load_config(synced.folder / "syncengine.toml"))
    requests = len(synced.sandbox.log)

    ((quick,), _) = at_the_gate(synced)
    with held_state(workshop.state_folder) as connection:
        (long,) = run_jobs(
            Session(workshop, connection), workshop.jobs([]), Onlooker(), until=None, fresh=False, given=None
        )

    assert quick.report is not None
    assert long.report is not None
    assert (quick.report.held, quick.report.same) == (2, 20)
    own = ("run", "seconds")
    told, expected = quick.report.to_json(), long.report.to_json()
    assert {**told, **dict.fromkeys(own)} == {**expected, **dict.fromkeys(own)}
    noted, also_noted = runs(synced)[-2:]
    assert noted.keys() == also_noted.keys()
    assert (noted["run"], json.loads(noted["facts"])["run"]) == (quick.report.run, quick.report.run)
    assert (noted["status"], noted["result"], noted["started_at"]) == ("finished", "ok", noted["ended_at"])
    assert json.loads(noted["facts"]).keys() == json.loads(also_noted["facts"]).keys()
    assert len(synced.sandbox.log) == requests


def test_the_copy_of_the_last_good_run_knows_a_run_without_a_change(synced: "Project") -> None:
    ((end,), _) = at_the_gate(synced)

    assert end.report is not None
    assert runs(synced, BACKUP)[-1]["run"] == end.report.run
    assert runs(synced, BACKUP) == runs(synced)


def test_night_after_night_without_a_change_ends_at_the_gate(synced: "Project") -> None:
    assert [len(at_the_gate(synced)[0]) for _ in range(3)] == [1, 1, 1]
    assert synced.run("sync", "--yes", "--json").report["same"] == 20
    assert len(runs(synced)) == 5


def test_a_file_of_a_crm_that_a_preset_knows_ends_at_the_gate(project: "Project") -> None:
    export = "hubspot-crm-exports-all-contacts-2026-11-22.csv"
    shutil.copy(SAMPLES / export, project.folder)
    config = (project.folder / "syncengine.toml").read_text()
    job = f'name = "people"\nlist = "{LIST}"\nsource = "hubspot-*.csv"\nconsent = "source"\npreset = "hubspot"\n'
    (project.folder / "syncengine.toml").write_text(f"{config[: config.index('[[job]]')]}[[job]]\n{job}")

    took = project.run("sync", "--yes", "--json").report

    assert took["confirmed"]["add"] > 0
    assert not takes_a_plan(project)


def another_byte(project: "Project") -> None:
    path = project.folder / "c.csv"
    path.write_bytes(path.read_bytes().replace(b"City 1", b"City 9", 1))


def another_name(project: "Project") -> None:
    (project.folder / "c.csv").rename(project.folder / "d.csv")
    reconfigure(project, '"c.csv"', '"d.csv"')


def packed(project: "Project") -> None:
    path = project.folder / "c.csv"
    path.with_name("c.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    reconfigure(project, '"c.csv"', '"c.csv.gz"')


def parquet(project: "Project") -> None:
    pl.read_csv(project.folder / "c.csv").write_parquet(project.folder / "c.parquet")
    reconfigure(project, '"c.csv"', '"c.parquet"')


def several_files(project: "Project") -> None:
    (project.folder / "c2.csv").write_bytes((project.folder / "c.csv").read_bytes())
    reconfigure(project, 'source = "c.csv"', 'source = { path = "c*.csv", pick = "all" }')


def no_file(project: "Project") -> None:
    (project.folder / "c.csv").unlink()


def no_column(project: "Project") -> None:
    reconfigure(project, '"City"', '"Town"')


def unfinished(project: "Project") -> None:
    project.write_source(*project.people(300))
    assert project.run("sync", "--yes", "--max-requests", "1", "--concurrency", "1").code == 7
    project.write_source(*project.people(20))


def left(project: "Project") -> None:
    now = time.time()
    body = {"event": "unsubscribed", "datetime": int(now), "emailListId": LIST, "contactId": "c"}
    told = HookBody.model_validate(body | {"email": "user3@example.com"})
    with contextlib.closing(open_inbox(project.folder / ".syncengine" / "webhooks")) as inbox:
        inbox.add([Arrival(event_of(told, lists={LIST}, now=now + 1), now)])


def owed(project: "Project") -> None:
    with held_state(project.folder / ".syncengine") as connection:
        ConsentBook(connection, LIST).owe([Correction("user3@example.com", 0.0, None, "[]", "user3@example.com", "r")])


def a_later_generation(project: "Project") -> None:
    in_the_ledger(project, "UPDATE sources SET generation = generation - 1")


def something_left_to_send(project: "Project") -> None:
    in_the_ledger(project, "UPDATE sources SET clean = 0")


def no_run_yet(project: "Project") -> None:
    in_the_ledger(project, "DELETE FROM sources")


def another_list(project: "Project") -> None:
    in_the_ledger(project, "UPDATE sources SET list = 'aaaaaaaaaaaaaaaaaaaaaaaa'")


def a_name_to_be_stored(project: "Project") -> None:
    in_the_ledger(project, "DELETE FROM names")


def another_account(project: "Project") -> None:
    in_the_ledger(project, "UPDATE lists SET account = 'https://other.example.com'")


def an_inbox_that_is_none(project: "Project") -> None:
    folder = project.folder / ".syncengine" / "webhooks"
    folder.mkdir()
    (folder / "inbox.sqlite").write_bytes(b"no database" * 100)


@pytest.mark.parametrize(
    "change",
    [
        another_byte,
        another_name,
        packed,
        parquet,
        several_files,
        no_file,
        no_column,
        unfinished,
        left,
        owed,
        a_later_generation,
        something_left_to_send,
        no_run_yet,
        another_list,
        a_name_to_be_stored,
        another_account,
        an_inbox_that_is_none,
    ],
)
def test_whatever_is_not_plainly_unchanged_takes_a_plan(synced: "Project", change: Callable[["Project"], None]) -> None:
    assert not takes_a_plan(synced)

    change(synced)

    assert takes_a_plan(synced)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('consent = "source"', 'consent = "keep"'),
        ('consent = "source"', 'consent = "source"\nmode = "mirror"'),
        ('consent = "source"', 'consent = "source"\nduplicates = "first"'),
        ('consent = "source"', 'consent = "source"\nsentinels = ["City 1"]'),
        ('active = "Subscribed"', "active = true"),
        ('name = "Full name"\n', ""),
        ('city = "City"', 'town = "City"'),
        ('city = "City"', 'city = { column = "City", empty = "skip" }'),
        ('source = "c.csv"', 'source = { path = "c.csv", separator = "," }'),
        ('source = "c.csv"', 'source = { path = "c.csv", encoding = "cp1252" }'),
        ("[job.columns]", '[[job.hold]]\ncolumn = "City"\nis = ["City 1"]\n\n[job.columns]'),
        ("[job.columns]", '[[job.opt_out]]\ncolumn = "City"\nis = ["City 1"]\n\n[job.columns]'),
    ],
)
def test_other_rules_take_a_plan(synced: "Project", old: str, new: str) -> None:
    assert not takes_a_plan(synced)

    reconfigure(synced, old, new)

    assert takes_a_plan(synced)


def test_what_the_long_way_finds_wrong_is_told_by_it(synced: "Project") -> None:
    no_file(synced)

    ran = synced.run("sync", "--yes", "--json")

    assert (ran.code, ran.report["error"]["code"]) == (2, "no-file")
    another_account(synced)
    assert synced.run("sync", "--yes", "--json").report["error"]["code"] == "state-other-account"


def test_a_job_behind_one_that_takes_a_plan_is_carried_out_as_ever(synced: "Project") -> None:
    config = (synced.folder / "syncengine.toml").read_text()
    second = config[config.index("[[job]]") :].replace("newsletter", "partners").replace(LIST, "b" * 24)
    second = second.replace("c.csv", "p.csv")
    synced.sandbox.create_list("b" * 24, "Partners")
    (synced.folder / "syncengine.toml").write_text(config + second)
    synced.write_source(*synced.people(5), name="p.csv")

    first = synced.run("sync", "--yes", "--json").json["runs"]
    again = synced.run("sync", "--yes", "--json").json["runs"]

    assert [(run["job"], run["same"], run["planned"]["add"]) for run in first] == [
        ("newsletter", 20, 0),
        ("partners", 0, 5),
    ]
    assert [(run["job"], run["same"]) for run in again] == [("newsletter", 20), ("partners", 5)]
    assert len(at_the_gate(synced)[0]) == 2


def test_people_who_left_since_the_last_run_are_told_at_the_gate_too(synced: "Project") -> None:
    left(synced)
    took = synced.run("sync", "--yes", "--json").report

    ((end,), _) = at_the_gate(synced)

    assert took["left"] == {"unsubscribed": 1}
    assert end.report is not None
    assert end.report.left == {}


@dataclass
class Counting:
    """Whoever knows no digest, and counts how often one was asked for."""

    asked: int = 0

    def of(self, path: Path, identity: Identity) -> str | None:
        self.asked += 1
        return None


def test_nobody_waits_for_the_hash_of_a_file_of_another_size(synced: "Project") -> None:
    same, shorter, unknown = Counting(), Counting(), Counting()

    assert len(at_the_gate(synced, ahead=same)[0]) == 1
    synced.write_source(*synced.people(19))
    assert at_the_gate(synced, ahead=shorter) == ([], False)
    shutil.rmtree(synced.folder / ".syncengine" / "runs")
    assert at_the_gate(synced, ahead=unknown) == ([], False)

    assert (same.asked, shorter.asked, unknown.asked) == (1, 0, 1)


@dataclass
class Signalling:
    """A digest that takes long enough for somebody to lose patience."""

    number: signal.Signals

    def of(self, path: Path, identity: Identity) -> str | None:
        os.kill(os.getpid(), self.number)
        return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_gate_ends_the_job_and_leaves_nothing_behind(synced: "Project", number: signal.Signals) -> None:
    before, handler = runs(synced), signal.getsignal(number)

    ((end,), over) = at_the_gate(synced, ahead=Signalling(number))

    assert (over, end.report) == (True, None)
    assert end.problem is not None
    assert end.problem.what == f"stopped by {number.name} while planning"
    assert (runs(synced), signal.getsignal(number)) == (before, handler)
    assert not takes_a_plan(synced)


def test_nothing_more_is_begun_once_it_is_time(synced: "Project") -> None:
    now = datetime.now().astimezone()

    assert at_the_gate(synced, until=now + timedelta(hours=1))[1] is False
    assert at_the_gate(synced, until=now - timedelta(seconds=1))[1] is True
