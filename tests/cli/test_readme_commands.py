"""The README's later commands run as they stand, against `syncengine sandbox` and the config it prints."""

import contextlib
import re
import shlex
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncengine.sandbox import DEFAULT_INSTANCE_KEY, DEFAULT_LIST

if TYPE_CHECKING:
    from conftest import Project

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def commands(title: str) -> list[str]:
    """The lines of a section's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", section(title), re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def run_all(project: "Project", lines: list[str]) -> list[int]:
    """The exit codes of the program; what else a line has is left to a shell."""
    codes = []
    for line in lines:
        if not line.startswith("syncengine "):
            subprocess.run(["/bin/sh", "-c", line], cwd=project.folder, check=True)
            continue
        words = shlex.split(line, comments=True)[1:]
        words = words[: words.index(">")] if ">" in words else words
        ran = project.run(*words)
        assert ran.code in {0, 7}, f"{line}: {ran.err}"  # 7: --limit has mails left
        codes.append(ran.code)
    return codes


@contextlib.contextmanager
def served(project: "Project", line: str) -> Iterator[tuple[str, str]]:
    """A command of the README that serves until it is ended, on a free port: its answer, and what it says besides."""
    words = [sys.executable, "-m", *shlex.split(line, comments=True), "--port", "0"]
    words = ["0" if words[at - 1] == "--metrics-port" else word for at, word in enumerate(words)]
    with subprocess.Popen(
        words, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        try:
            said = iter(program.stderr.readline, "")
            answer = program.stdout.readline()
            yield answer.partition(": ")[2].strip(), "".join(_until_ctrl_c(said))
        finally:
            program.kill()


def _until_ctrl_c(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("Ctrl-C"):
            return
        yield line


@pytest.fixture
def newcomer(project: "Project") -> Iterator["Project"]:
    """A folder as somebody has it who did what "Without an account" says, with fewer contacts."""
    (project.folder / "syncengine.toml").unlink()
    serve, sync = commands("Without an account")
    with served(project, serve) as (url, said):
        config = said.partition("beside a copy of sample_data/contacts.csv:\n")[2]
        (project.folder / "syncengine.toml").write_text(config, encoding="utf-8")
        sample = (ROOT / "sample_data" / "contacts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (project.folder / "contacts.csv").write_text("".join(sample[:40]), encoding="utf-8")
        project.url = url
        assert run_all(project, [sync]) == [0]
        yield project


def test_mail_to_the_list(newcomer: "Project") -> None:
    assert run_all(newcomer, commands("Mail to the list")) == [0, 7, 0, 0, 0]
    assert (newcomer.folder / "stats.parquet").is_file()


def test_reports_and_events_of_smartersends(newcomer: "Project", monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the sandbox prints, and then with the README's own table, but for the address."""
    lines = commands("Reports and events of SmarterSends")
    assert run_all(newcomer, lines) == [0] * 5
    assert {"campaigns.parquet", "usage.csv"} <= {path.name for path in newcomer.folder.iterdir()}

    (table,) = re.findall(r"```toml\n(.*?)```", section("Reports and events of SmarterSends"), re.DOTALL)
    table = table.replace("https://your-instance.smartersends.com", f"{newcomer.url}/smartersends")
    (newcomer.folder / "syncengine.toml").write_text(table, encoding="utf-8")
    monkeypatch.setenv("SMARTERSENDS_KEY", DEFAULT_INSTANCE_KEY)
    assert run_all(newcomer, lines[-1:]) == [0]


def test_who_leaves_by_themselves(newcomer: "Project") -> None:
    serve, *lines = commands("Who leaves by themselves")
    with served(newcomer, serve) as (hook, said):
        assert "/metrics" in said
        post(f"{newcomer.url}/webhooks", url=hook)
        page = read(f"{newcomer.url}/lists/{DEFAULT_LIST}")
        (contact,) = re.findall(rf"/lists/{DEFAULT_LIST}/contacts/(\w+)", page)[:1]
        post(f"{newcomer.url}/lists/{DEFAULT_LIST}/contacts/{contact}", act="unsubscribe")
        patience = time.monotonic() + 60
        while newcomer.run("webhooks", "status", "--json").json["events"] != {"unsubscribed": 1}:
            assert time.monotonic() < patience, "the sandbox posted nothing"
        plan = newcomer.run("plan").out

        assert run_all(newcomer, lines) == [0] * (len(lines) - 1)

    assert "1 person left since the last run: 1 unsubscribed" in plan


def post(page_url: str, **form: str) -> None:
    with urllib.request.urlopen(page_url, urllib.parse.urlencode(form).encode(), timeout=20) as page:  # noqa: S310
        assert page.status == 200


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as page:  # noqa: S310  # loopback
        return str(page.read().decode())


@pytest.mark.anyio
async def test_the_library_in_python(newcomer: "Project") -> None:
    from syncengine import client

    (block,) = re.findall(r"```python\n(.*?)```", section("Mail to the list"), re.DOTALL)
    block = block.replace("SmartSender(", f'SmartSender(url="{newcomer.url}", send_url="{newcomer.url}", ')
    names = {name: getattr(client, name) for name in client.__all__}
    names |= {"token": "sandbox-token", "key": "sandbox-key", "list_id": DEFAULT_LIST}
    lines = "\n".join(f"    {line}" for line in block.splitlines())
    exec(f"async def main():\n{lines}\n    return reports", names)  # noqa: S102  # the README's own words

    (report,) = await names["main"]()
    assert report.to[0].email == "anna@example.com"
