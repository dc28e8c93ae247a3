"""The engine as a process of its own, as anybody runs it: `python -m syncengine … sync --yes --json`."""

import contextlib
import json
import os
import shutil
import sys
import tomllib
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loopback
import measuring
from contact_files import CONFIG
from measuring import Cost, measure

UNLIMITED = 100_000  #: requests a second: more than any server here answers


@dataclass(frozen=True, slots=True)
class Engine:
    """A folder with a config in it. Its source is `contacts.csv`, whatever file that is at the time."""

    folder: Path

    def configure(self, url: str, *, rate: float = UNLIMITED, concurrency: int = 16) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(url=url, rate=rate, concurrency=concurrency, source="contacts.csv")
        (self.folder / "syncengine.toml").write_text(config, encoding="utf-8")

    @contextlib.contextmanager
    def service(self, latency: float = 0.0) -> Iterator[loopback.Loopback]:
        """The service it is configured for, at that address: a state belongs to one."""
        config = tomllib.loads((self.folder / "syncengine.toml").read_text(encoding="utf-8"))
        with loopback.running(latency, urllib.parse.urlsplit(config["account"]["url"]).port or 0) as service:
            yield service

    def read(self, source: Path) -> None:
        """Take this file from now on."""
        link = self.folder / "contacts.csv"
        link.unlink(missing_ok=True)
        link.symlink_to(source.absolute())

    def run(self, *words: str) -> Cost:
        return measure([sys.executable, "-m", "syncengine", *words], cwd=self.folder)

    def sync(self, source: Path | None = None) -> Cost:
        if source is not None:
            self.read(source)
        return self.run("sync", "--yes", "--json")

    def copy(self, folder: Path) -> "Engine":
        """An engine that remembers the same. Replaces what is in `folder`."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, symlinks=True)
        os.sync()  # else the system writes the copy while something is measured
        return Engine(folder)


def report(cost: Cost) -> dict[str, Any]:
    """The run that a sync told of."""
    run: dict[str, Any] = json.loads(cost.output)["runs"][0]
    return run


def loaded(engine: Engine, base: Path) -> Cost | None:
    """Bring `base` onto an empty list, so that a state exists. Gives what it cost; None: it was there already."""
    marker = engine.folder / f"loaded-{base.stem}"
    if marker.exists():
        return None
    shutil.rmtree(engine.folder, ignore_errors=True)
    with loopback.running() as service:
        engine.configure(service.url)
        cost = engine.sync(base)
    told = report(cost)
    if told["result"] != "ok" or told["confirmed"]["add"] != told["planned"]["add"] or not told["planned"]["add"]:
        sys.exit(f"the first load did not end well: {told}")
    marker.touch()
    return cost


def contact_files(data: Path, rows: int, *names: str) -> dict[str, Path]:
    """Files of so many rows, made by a process of its own where they are not there."""
    paths = {name: data / f"{name}-{rows}.csv" for name in names}
    if not all(path.exists() for path in paths.values()):
        data.mkdir(parents=True, exist_ok=True)
        measure([sys.executable, measuring.HERE / "contact_files.py", str(rows), data, *names])
    return paths
