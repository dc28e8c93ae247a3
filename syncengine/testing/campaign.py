"""Real processes, killed: the program at random places, the sandbox in a process of its own; then: was anything lost?

A trial loads a list, changes the file, and syncs again; whatever runs is killed a few times on the way and then left to
end. Afterwards the list has to be what the file says, and nothing that was written may hold the token.
"""

import base64
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

TOKEN: Final = "kill-campaign/4711+token=="  # noqa: S105  # a canary: it is looked for in all that is written
SCENARIOS: Final = (
    "documented",
    "partial-named",
    "partial-unnamed",
    "stop-at-first",
    "lost-answers",
    "update-replaces",
)
CONCURRENCY: Final = 8
CONTACTS_A_BATCH: Final = 100
REQUESTS_A_CONTACT: Final = 3  #: at most, where one that was in flight is sent again: add, update, add
_LOOK_EVERY: Final = 0.01  #: seconds
_PATIENCE: Final = 120.0  #: seconds a process may take


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox in a process of its own, looked at over HTTP."""

    url: str

    def ask(self, path: str, content: object = None) -> Any:
        """GET, or POST where there is content; the JSON that comes back."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(  # noqa: S310  # our own loopback server
            f"{self.url}/sandbox/{path}", data=body, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def contacts(self, list_id: str) -> dict[str, dict[str, Any]]:
        """What a list holds, by address."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = self.ask(f"lists/{list_id}/contacts?offset={len(found)}&limit=10000")
            found |= {one["email"]: one for one in page["contacts"]}
            if len(found) >= page["total"]:
                return found


@contextlib.contextmanager
def sandbox_process(*words: str) -> Iterator[SandboxProcess]:
    """`syncengine sandbox` on a free port for as long as the block lasts."""
    command = [sys.executable, "-m", "syncengine", "sandbox", "--port", "0", "--token", TOKEN, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603
    try:
        assert process.stdout is not None  # it is a pipe
        line = process.stdout.readline()
        yield SandboxProcess(line.rpartition(" ")[2].strip())
    finally:
        process.terminate()
        process.communicate(timeout=_PATIENCE)


@dataclass(slots=True)
class Trial:
    """What one trial did and found. `faults` is what should not have been."""

    seed: int
    scenario: str
    kills: int = 0
    sent: int = 0  #: contacts in all requests
    least: int = 0  #: contacts that had to be sent
    faults: list[str] = field(default_factory=list)


def run_trial(
    sandbox: SandboxProcess, folder: Path, seed: int, *, kills: Sequence[int], contacts: int = 1_000
) -> Trial:
    """One trial in `folder`, on a list of its own.

    kills   processes that are killed, at most, over the first file, and over the changed one where there is a second
            number. What was on its way when one died may hold up the changes of the next file for two minutes
    """
    chance = random.Random(seed)  # noqa: S311  # repeatable
    trial = Trial(seed, chance.choice(SCENARIOS))
    site = _Site(sandbox, folder, f"{seed:024x}", chance)
    site.begin(trial.scenario, contacts)
    first = _people(contacts)
    site.write(first)
    sandbox.ask(f"lists/{site.list_id}/seed", {"contacts": [_seed(one) for one in chance.sample(list(first), 30)]})
    for desired, some in zip((first, _changed(first, chance)), kills, strict=False):
        site.write(desired)
        trial.least += len(desired)
        for _ in range(some):
            trial.kills += site.run_and_kill(2 * (contacts // CONTACTS_A_BATCH) // some)
        trial.faults += site.run_to_the_end()
        trial.faults += site.compare(desired)
    trial.sent = site.sent()
    most = trial.least * REQUESTS_A_CONTACT + trial.kills * CONCURRENCY * CONTACTS_A_BATCH * REQUESTS_A_CONTACT
    if trial.sent > most:
        trial.faults.append(f"{trial.sent} contacts sent, {most} at most expected")
    trial.faults += site.leaks()
    return trial


@cache
def forms_of(token: str) -> tuple[bytes, ...]:
    """How a token could stand in bytes that somebody wrote."""
    raw = token.encode()
    return (
        raw,
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
        urllib.parse.quote(token, safe="").encode(),
        json.dumps(token)[1:-1].encode(),
        json.dumps(token)[1:-1].replace("/", "\\/").encode(),
        raw.hex().encode(),
    )


#: Files of a state directory that are there to hold contacts (DESIGN.md §4): the state, the plan, and who was refused.
MADE_FOR_CONTACTS: Final = re.compile(
    r"(^|/)\.?(state\.(backup\.)?sqlite(-wal|-shm)?|lists/.*\.parquet|plan/.*\.parquet|errors\.csv)(\.[^/]*(draft|new))?$"
)


def leaks_in(name: str, data: bytes, token: str) -> list[str]:
    """What stands in a file (`name`: its path) or an output that should not: the token, or people's addresses."""
    faults = [f"{name} holds the token"] if any(form in data for form in forms_of(token)) else []
    if (b"@example.com" in data or b"%40example.com" in data) and not MADE_FOR_CONTACTS.search(name):
        faults.append(f"{name} holds addresses")
    return faults


People = Mapping[str, tuple[str, bool]]
"""Address → (name, active)."""


def _people(count: int) -> People:
    return {f"person{number}@example.com": (f"Name {number}", number % 7 != 0) for number in range(count)}


def _changed(people: People, chance: random.Random) -> People:
    """A later file: one in ten has another name, one in fifty is unsubscribed, some are new."""
    changed = dict(people)
    for number, (email, (name, active)) in enumerate(people.items()):
        if chance.random() < 0.1:
            changed[email] = (f"{name} again", active)
        if chance.random() < 0.02:
            changed[email] = (changed[email][0], False)
        if number % 10 == 0:
            changed[f"new{number}@example.com"] = (f"New {number}", True)
    return changed


def _seed(email: str) -> dict[str, Any]:
    return {"email": email, "name": "There before", "active": False}


@dataclass(slots=True)
class _Site:
    sandbox: SandboxProcess
    folder: Path
    list_id: str
    chance: random.Random
    printed: list[bytes] = field(default_factory=list)
    _first_request: int = 0

    def begin(self, scenario: str, contacts: int) -> None:
        self.folder.mkdir(parents=True)
        self.sandbox.ask("lists", {"id": self.list_id, "name": self.list_id})
        self.sandbox.ask("behaviour", {"scenario": scenario, "latency": 0.02})
        self._first_request = self.sandbox.ask("stats")["requests"]
        rate = max(20, contacts // CONTACTS_A_BATCH * 2)  # a run of about a second, so that kills hit all of it
        (self.folder / "syncengine.toml").write_text(
            f'[account]\ntoken = "${{SMARTSENDER_TOKEN}}"\nurl = "{self.sandbox.url}"\nrate = {rate}\n'
            f'concurrency = {CONCURRENCY}\n\n[[job]]\nname = "people"\nlist = "{self.list_id}"\nsource = "c.csv"\n'
            'consent = "source"\n[job.columns]\nemail = "Email"\nname = "Name"\nactive = "Subscribed"\n',
            encoding="utf-8",
        )

    def write(self, people: People) -> None:
        """The source, replaced as a whole."""
        rows = [f"{email},{name},{'yes' if active else 'no'}" for email, (name, active) in people.items()]
        draft = self.folder / "draft"
        draft.write_text("\n".join(["Email,Name,Subscribed", *rows]) + "\n", encoding="utf-8")
        draft.replace(self.folder / "c.csv")

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # ourselves
            [sys.executable, "-m", "syncengine", "sync", "--yes", "--json"],
            cwd=self.folder,
            env={**os.environ, "SMARTSENDER_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run_and_kill(self, most: int) -> int:
        """Kill a run after a random number of requests, at `most`, or a random time; gives 1 if it lived till then."""
        before = self.sandbox.ask("stats")["requests"]
        after = self.chance.choice([number for number in (0, 0, 1, 1, 2, 3, 5, 8, 13) if number <= most])
        process = self.start()
        deadline = time.monotonic() + _PATIENCE
        pause = self.chance.random() * (1.5 if after == 0 else 0.06)
        while after and process.poll() is None and time.monotonic() < deadline:
            if self.sandbox.ask("stats")["requests"] - before >= after:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
        process.kill()
        self.printed += process.communicate()
        return int(process.returncode == -9)

    def run_to_the_end(self) -> list[str]:
        process = self.start()
        out, err = process.communicate(timeout=_PATIENCE)
        self.printed += (out, err)
        if process.returncode != 0:
            return [f"the run that was left alone ended with {process.returncode}: {err.decode(errors='replace')}"]
        (report,) = json.loads(out)["runs"]
        if report["pending"] or report["unresolved"] or report["rejected"]:
            return [f"not all is confirmed: {report}"]
        return []

    def compare(self, desired: People) -> list[str]:
        """What the list has that it should not, or lacks."""
        held = {email: (one["name"], one["active"]) for email, one in self.sandbox.contacts(self.list_id).items()}
        differing = [email for email in desired if held.get(email) != desired[email]]
        faults = [f"{len(differing)} contacts are not as desired, such as {differing[0]}"] if differing else []
        if strangers := held.keys() - desired.keys():
            faults.append(f"{len(strangers)} contacts nobody sent")
        overlaps = self.sandbox.ask("stats")["overlaps"]
        return [*faults, f"{overlaps} contacts were in two requests at once"] if overlaps else faults

    def sent(self) -> int:
        sent, after = 0, self._first_request
        while log := self.sandbox.ask(f"log?after={after}&limit=10000"):
            sent += sum(one["size"] for one in log if one["list_id"] == self.list_id and "contacts" in one["endpoint"])
            after = log[-1]["number"]
        return sent

    def leaks(self) -> list[str]:
        """Whatever holds the token, and whatever holds an address that should not."""
        files = {str(path.relative_to(self.folder)): path for path in self.folder.rglob("*") if path.is_file()}
        written = {name: path.read_bytes() for name, path in files.items()}
        written |= {f"output {number}": text for number, text in enumerate(self.printed)}
        faults = [fault for name, data in written.items() for fault in leaks_in(name, data, TOKEN)]
        return [fault for fault in faults if not fault.startswith(("c.csv holds addresses", "draft holds addresses"))]


def summed(trials: Sequence[Trial]) -> dict[str, Any]:
    """The figures of a campaign."""
    kills = sum(trial.kills for trial in trials)
    faults = [f"seed {trial.seed} ({trial.scenario}): {fault}" for trial in trials for fault in trial.faults]
    return {
        "trials": len(trials),
        "kills": kills,
        "contacts": sum(trial.least for trial in trials),
        "sent": sum(trial.sent for trial in trials),
        "faults": faults,
        "loss_rate_below_95_percent": None if faults or not kills else round(3 / kills, 5),
    }
