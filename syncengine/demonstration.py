"""The demo: plan, sync, sync again, edit, sync, on sample data against a sandbox on a real loopback port."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from syncengine.bootstrap import JobEnd, Overrides, Screen, Workshop, open_session, plan_job, sync_jobs
from syncengine.config.loading import load_config
from syncengine.errors import ConfigError
from syncengine.sandboxing import SAMPLE_FILES, copy_samples, demo_sandbox

FOLDER = "syncengine-demo"
RATE = 50.0  #: requests a second
EDITED_CITY = "Astana"


class Stage(Protocol):
    """Who tells the story."""

    def opened(self, url: str, folder: Path) -> None: ...

    def planned(self, view: dict[str, object]) -> None: ...

    def step(self, title: str) -> None: ...

    def screen(self) -> Screen:
        """Someone to look on during a sync."""
        ...


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo ended with: one end a sync."""

    folder: Path
    ends: tuple[JobEnd, ...]


def run_demo(stage: Stage, parent: Path) -> Demo:
    """The whole loop in a folder of its own below `parent`; running it again starts over. Raises what a sync raises."""
    folder = parent / FOLDER
    _start_over(folder)
    copy_samples(folder)
    with demo_sandbox(RATE) as url:
        _point_at(folder / "syncengine.toml", url)
        stage.opened(url, folder)
        workshop = Workshop(load_config(folder / "syncengine.toml", {}), Overrides(rate=RATE))
        jobs = workshop.jobs([])
        stage.step("plan: what would change")
        with open_session(workshop, doing="plan") as session:
            stage.planned(plan_job(session, jobs[0]).view)
        ends = []
        for title in ("sync: the first load", "sync again: nothing has changed", "sync after edits in the file"):
            if "edits" in title:
                _edit(folder / "contacts.csv")
            stage.step(title)
            ends += sync_jobs(workshop, jobs, stage.screen())
    return Demo(folder, tuple(ends))


def _start_over(folder: Path) -> None:
    """An empty folder for the demo. What somebody made of an earlier one is not touched. Raises ConfigError."""
    try:
        if folder.exists() and not _is_as_left(folder):
            raise ConfigError(
                f"{folder} is not as the demo left it",
                why="starting over would delete what is in it",
                fix="rename it, or run the demo elsewhere: syncengine demo --folder /tmp",
                code="demo",
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise ConfigError(
            f"no folder for the demo can be made at {folder}",
            why=str(error),
            fix="name one where you may write: syncengine demo --folder /tmp",
            code="demo",
        ) from error


def _is_as_left(folder: Path) -> bool:
    """Whether nobody but the demo wrote into the folder; its state aside, which follows from the rest."""
    names = {path.name for path in folder.iterdir()} - {".syncengine"}
    if not names <= set(SAMPLE_FILES):
        return False
    with tempfile.TemporaryDirectory() as made:
        fresh = Path(made)
        copy_samples(fresh)
        ours = [(fresh / "contacts.csv").read_bytes()]
        _edit(fresh / "contacts.csv")
        ours.append((fresh / "contacts.csv").read_bytes())
        contacts, config = folder / "contacts.csv", folder / "syncengine.toml"
        return (not contacts.exists() or contacts.read_bytes() in ours) and (
            not config.exists() or _without_url(config) == _without_url(fresh / "syncengine.toml")
        )


def _without_url(config: Path) -> str:
    return re.sub(r'^url = "[^"]*"', "", config.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)


def _point_at(config: Path, url: str) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r'^url = "[^"]*"', f'url = "{url}"', text, flags=re.MULTILINE), encoding="utf-8")


def _edit(source: Path) -> None:
    """What people do to a file between two nights: 25 contacts move, 12 are new."""
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    moved = 0
    for index, line in enumerate(lines):
        if ",Berlin," in line and moved < 25:
            lines[index] = line.replace(",Berlin,", f",{EDITED_CITY},")
            moved += 1
    new = [f"new.{number}@example.com,New Contact {number},yes,Porto,,01.02.1990,,red,\n" for number in range(12)]
    source.write_text("".join([*lines, *new]), encoding="utf-8")
