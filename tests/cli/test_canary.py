"""Canaries for a token and for people: every verb is run, in good and in bad hours, and every byte it writes is looked
through. Where an address may stand is listed here; the token may stand nowhere.
"""

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from syncengine.cli.main import VERBS
from syncengine.sandbox import Behaviour, Drop, Fault, Html, RawBody, Redirect, Status, When
from syncengine.sandbox.behaviour import Add
from syncengine.sandbox.contract import Endpoint, VariableType
from syncengine.testing.campaign import forms_of

if TYPE_CHECKING:
    from conftest import Project, Ran

TOKEN = "canary/4711+token=%41\"quoted'"
KEY = "canary-key-4712/+="
PEOPLE = "canary.example.com"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[8m\x9b31m"

#: Files that hold people, because it is what they are for; all else below the folder of a project may not.
FOR_PEOPLE = re.compile(
    r"c\.csv|people\.csv|mend\.csv|export\.csv|mailed.*\.csv"  # a person's own, or asked for by name
    r"|.*/errors\.csv|.*/mailings/[^/]*\.csv|.*/differences\.csv|.*\.parquet|.*/rows\.[a-z.]*|.*\.sqlite(-wal)?|.*/memory/.*|demo/.*"
)


class Witness:
    """Runs commands and keeps what they print."""

    def __init__(self, project: "Project") -> None:
        self.project = project
        self.printed: list[tuple[str, str]] = []
        self.verbs: set[str] = set()

    def run(self, *words: str, code: int | None = 0, people: bool = False) -> "Ran":
        """One command. `people`: it was asked for a person, or to show people."""
        ran = self.project.run(*words)
        self.verbs.add(words[0])
        self.printed.append((" ".join(words), ran.out + ran.err))
        told = ran.out + ran.err
        assert code is None or ran.code == code, (words, told)
        assert people or PEOPLE not in told.replace(f"***@{PEOPLE}", ""), (words, told)
        assert not re.search(r"\x1b(?!\[(?:[01]|[39][1-7])m)|[\x07\x9b]", told), (words, told)
        assert "Traceback" not in told
        return ran

    def holding(self, forms: list[bytes]) -> list[str]:
        """What holds one of these: commands by what they printed, and files."""
        found = [words for words, told in self.printed if any(form in told.encode() for form in forms)]
        files = {str(path.relative_to(self.project.folder)): path for path in self.project.folder.rglob("*")}
        return found + [
            name for name, path in files.items() if path.is_file() and any(form in path.read_bytes() for form in forms)
        ]


@pytest.fixture
def witness(project: "Project", monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    monkeypatch.setenv("SMARTSENDER_TOKEN", TOKEN)
    monkeypatch.setenv("SMARTSENDER_KEY", KEY)
    project.sandbox.tokens.clear()
    project.sandbox.tokens.add(TOKEN)
    project.write_config(account=f'key = "${{SMARTSENDER_KEY}}"\nsend_url = "{project.url}"\ntimeout = 2')
    config = project.folder / "syncengine.toml"
    config.write_text(config.read_text().replace('"sandbox-token"', '"${SMARTSENDER_TOKEN}"'))
    project.contacts.add_variable("city", VariableType.DATE)
    return Witness(project)


def people(count: int = 0, more: str = "") -> list[str]:
    """Some are held, some rejected (their city is a date there), and one speaks to the terminal. `more` are others: who
    got no answer is not sent anything else for two minutes.
    """
    names = [f"anna{n}" for n in range(60)] + [f"anna{n}{more}" for n in range(count) if more]
    rows = [f"{name}@{PEOPLE},{name},yes,{'2020-01-01' if n % 5 else 'soon'}" for n, name in enumerate(names)]
    return [
        *rows,
        f"bo@{PEOPLE} {ESCAPES},Bo,yes,",
        f"carl@@{PEOPLE},=cmd(),yes,",
        f"anna1@{PEOPLE},Again,yes,2020-01-01",
    ]


QUOTES = {
    "a page that quotes the token": Status(500, body=f"<p>bad token {TOKEN}"),
    "an error that quotes it": RawBody(json.dumps({"error_stack": [f"for {TOKEN}: {ESCAPES} no"]}).encode()),
    "a page in place of an answer": Html(),
    "no answer": Drop(),
}


def test_every_verb_in_good_and_bad_hours_writes_neither_the_token_nor_people_where_they_may_not_be(
    witness: Witness,
) -> None:
    project, run = witness.project, witness.run
    project.write_source(*people())

    run("inspect", "c.csv")
    run("check")
    run("check", "--online")
    run("plan")
    run("plan", "--json")
    project.sandbox.behaviour = Behaviour(add=Add.PARTIAL)
    for number, effect in enumerate(QUOTES.values()):
        project.sandbox.faults.add(
            Fault(what=effect, nth=number + 1, endpoint=Endpoint.CONTACTS_ADD, when=When.AFTER_APPLY)
        )
    run("sync", "--yes", code=3)
    for words in (("errors",), ("errors", "--json"), ("status",), ("status", "--json"), ("explain", "email-invalid")):
        run(*words, code=None)
    run("errors", "--csv", "mend.csv", people=False)
    run("retry", "--yes", code=None)
    run("state", "show", f"anna1@{PEOPLE}", people=True)
    for words in (("show",), ("verify",), ("export", "export.csv"), ("adopt", "export.csv", "--yes")):
        run("state", *words, code=None)
    project.write_source(*people(20, "-later"))
    run("plan", code=0)
    run("sync", "--yes", "--json", code=3)
    run("state", "forget", f"anna2@{PEOPLE}", "--yes", people=True)
    run("webhooks", "status", code=None)
    run("demo", code=None)
    run("init", "c.csv", "-c", "other.toml", code=None)
    run("dns", "check", "not a domain", code=2)
    run("smartersends", "campaigns", code=2)

    project.write_source(*people(), name="people.csv")
    for effect in QUOTES.values():
        project.sandbox.faults.add(Fault(what=effect, when=When.AFTER_APPLY))
        send = ("--from", f"shop@{PEOPLE}", "--to", f"anna@{PEOPLE}", "--subject", "x", "--text", "c.csv")
        run("mail", "send", *send, code=None)
    run("mail", "trigger", "58a8", "--file", "people.csv", "--yes", code=None)

    # Bad hours of the whole run
    project.write_source(*people(20, "-last"))
    project.sandbox.tokens.clear()
    run("sync", "--yes", code=4)
    project.sandbox.tokens.add(TOKEN)
    project.sandbox.faults.add(Fault(what=Redirect("https://attacker.example.org/steal"), times=1))
    run("sync", "--yes", code=4)
    run("sync", "--yes", "--token", TOKEN, code=2)
    (project.folder / ".syncengine" / "state.sqlite").write_bytes(b"x")
    run("sync", "--yes", code=8)

    assert set(VERBS) - witness.verbs == {"sandbox"}  # it has no token of ours, and no people of theirs
    assert witness.holding(forms_of(TOKEN)) == []
    assert witness.holding(forms_of(KEY)) == []
    where = [name for name in witness.holding([PEOPLE.encode()]) if " " not in name and name not in VERBS]
    assert [name for name in where if not FOR_PEOPLE.fullmatch(name)] == []
    assert any(name.endswith("errors.csv") for name in where)  # the search finds what is there
    assert private(project.folder / ".syncengine") == []


def private(folder: Path) -> list[str]:
    """What others than its user could look at."""
    return [
        str(path)
        for path in [folder, *folder.rglob("*")]
        if stat.S_IMODE(path.stat().st_mode) & 0o077 or (path.is_dir() and stat.S_IMODE(path.stat().st_mode) != 0o700)
    ]


def test_whoever_asks_for_people_is_shown_them_and_the_log_as_well(witness: Witness) -> None:
    witness.project.write_source(*people())

    plain = witness.run("sync", "--yes", code=None)
    log = next(witness.project.folder.glob(".syncengine/runs/*/log.jsonl")).read_text()
    witness.project.write_source(*people(5, "-more"))
    witness.run("sync", "--yes", "--show-pii", code=None, people=True)
    logs = "".join(path.read_text() for path in witness.project.folder.glob(".syncengine/runs/*/log.jsonl"))

    assert plain.code == 3
    assert PEOPLE not in log
    assert f"anna0-more@{PEOPLE}" in logs
    assert not any(form.decode() in logs for form in forms_of(TOKEN))


def test_a_bug_of_ours_is_told_without_the_people_it_stumbled_over(
    witness: Witness, capsys: pytest.CaptureFixture[str]
) -> None:
    from syncengine.cli._exit import leave

    with pytest.raises(SystemExit) as left, leave(as_json=False):
        raise KeyError(f"anna@{PEOPLE}")

    told = capsys.readouterr()
    assert left.value.code == 1
    assert "Traceback" in told.err
    assert PEOPLE not in told.out + told.err
