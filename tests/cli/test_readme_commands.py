"""The commands of the README's later sections run as they stand, against a sandbox, in a folder with what they name."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TEMPLATE = "58a819c6f0152"


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def commands(title: str) -> list[str]:
    return [
        line
        for block in re.findall(r"```sh\n(.*?)```", section(title), re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("syncengine ")
    ]


def run_all(project: "Project", title: str) -> list[int]:
    codes = []
    for command in commands(title):
        ran = project.run(*shlex.split(command, comments=True)[1:])
        assert ran.code in {0, 7}, f"{command}: {ran.err}"  # 7: --limit has mails left
        codes.append(ran.code)
    return codes


@pytest.fixture
def mailer(project: "Project") -> "Project":
    project.write_config(account=f'key = "sandbox-key"\nsend_url = "{project.url}"')
    people = [{"email": f"user{number}@example.com"} for number in range(20)]
    project.sandbox.seed(project.contacts.id, [*people, {"email": "anna@example.com"}])
    project.write_source(*project.people(20), name="people.csv")
    (project.folder / "hello.html").write_text("<p>Hello</p>", encoding="utf-8")
    return project


def test_mail_to_the_list(mailer: "Project") -> None:
    assert run_all(mailer, "Mail to the list") == [0, 7, 0, 0, 0]
    assert len(mailer.sandbox.account.messages) == 1 + 20 + 1
    assert (mailer.folder / "stats.parquet").is_file()


def test_reports_and_events_of_smartersends(project: "Project", monkeypatch: pytest.MonkeyPatch) -> None:
    """With the README's own config, but for the address."""
    (config,) = re.findall(r"```toml\n(.*?)```", section("Reports and events of SmarterSends"), re.DOTALL)
    config = config.replace("https://your-instance.smartersends.com", f"{project.url}/smartersends")
    project.write_config(extra=f"\n{config}")
    monkeypatch.setenv("SMARTERSENDS_KEY", "sandbox-instance-key")

    assert run_all(project, "Reports and events of SmarterSends") == [0] * 5
    assert {"campaigns.parquet", "usage.csv"} <= {path.name for path in project.folder.iterdir()}


@pytest.mark.anyio
async def test_the_library_in_python(mailer: "Project") -> None:
    from syncengine import client

    (block,) = re.findall(r"```python\n(.*?)```", section("Mail to the list"), re.DOTALL)
    block = block.replace("SmartSender(", f'SmartSender(url="{mailer.url}", send_url="{mailer.url}", ')
    names = {name: getattr(client, name) for name in client.__all__}
    names |= {"token": "sandbox-token", "key": "sandbox-key", "list_id": mailer.contacts.id}
    mailer.sandbox.lists[mailer.contacts.id].remove(mailer.contacts.find("anna@example.com"), request=0)
    lines = "\n".join(f"    {line}" for line in block.splitlines())
    exec(f"async def main():\n{lines}\n    return reports", names)  # noqa: S102  # the README's own words

    (report,) = await names["main"]()
    assert report.to[0].email == "anna@example.com"
