import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from syncengine.cli.main import main
from syncengine.sandbox.contacts import ContactList
from syncengine.sandbox.sandbox import Sandbox
from syncengine.sandbox.serve import running

LIST = "5537ab2a08d241dc69326b19"


@dataclass
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def report(self) -> Any:
        """The only run of a `--json` answer."""
        (run,) = self.json["runs"]
        return run


@dataclass
class Project:
    """A folder with a config and a source, and a sandbox on a real loopback port that it points to."""

    folder: Path
    url: str
    sandbox: Sandbox
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def contacts(self) -> ContactList:
        return self.sandbox.lists[LIST]

    def write_source(self, *rows: str, header: str = "Email,Full name,Subscribed,City", name: str = "c.csv") -> Path:
        path = self.folder / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def people(self, count: int, **changes: str) -> list[str]:
        """Rows of `count` contacts; `changes` maps a number (as `n7`) to another city."""
        return [
            f"user{number}@example.com,Name {number},yes,{changes.get(f'n{number}', f'City {number % 5}')}"
            for number in range(count)
        ]

    def write_config(self, extra: str = "", *, account: str = "", job: str = 'consent = "source"') -> None:
        text = f"""
[account]
token = "sandbox-token"
url = "{self.url}"
rate = 500
{account}

[[job]]
name = "newsletter"
list = "{LIST}"
source = "c.csv"
{job}

[job.columns]
email = "Email"
name = "Full name"
active = "Subscribed"

[job.variables]
city = "City"
{extra}
"""
        (self.folder / "syncengine.toml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> Ran:
        """The command line, as in a shell in the project's folder."""
        out, err = io.StringIO(), io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
                main(list(arguments))
        finally:
            os.chdir(before)
        code = left.value.code
        return Ran(code if isinstance(code, int) else 1, out.getvalue(), err.getvalue())

    def errors(self, report: Any) -> list[dict[str, str]]:
        with Path(report["paths"]["errors"]).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    sandbox = Sandbox()
    with running(sandbox) as url:
        project = Project(tmp_path, url, sandbox)
        project.write_config()
        project.write_source(*project.people(250))
        yield project
