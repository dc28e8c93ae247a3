"""How many requests a contact costs when the service is vague: `python benchmarks/requests_per_contact.py`.

Whole runs against the sandbox in process, in virtual time: the numbers are the same on every machine. Prints requests
per contact beside the target of the design, and ends with 1 if one is missed. `--keep` writes the result to
benchmarks/results/, with machine, date and versions.
"""

import argparse
import asyncio
import functools
import json
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import httpx
from measuring import keep

from syncengine.destinations._http import Door
from syncengine.destinations._pacing import Pacer
from syncengine.destinations.v2 import SmartSenderV2
from syncengine.model import Op
from syncengine.redaction import Secret
from syncengine.report import Report
from syncengine.sandbox.behaviour import Add, Behaviour, ErrorNaming
from syncengine.sandbox.sandbox import Sandbox
from syncengine.testing import FrameSource, MemoryJournal, MemoryStateStore, Trial, people, run_sync
from syncengine.testing.virtual_time import VirtualTimeLoop

CONTACTS = 3_000
REFUSAL = {
    "error_stack": ['Not valid type for argument "contacts" in query "addContactToEmailList"'],
    "requestId": "1",
}
LIST = "5537ab2a08d241dc69326b19"
HONEST = [add for add in Add if add is not Add.APPLIED_BUT_REPORTED_FAILED]  # the other one fails every add
CASES = [
    *((f"30 % exist, add {add.value}, errors name", add, ErrorNaming.DOCUMENTED, 0.3, 0.0, 0.05) for add in Add),
    *((f"30 % exist, add {add.value}, errors name nobody", add, ErrorNaming.NONE, 0.3, 0.0, 2.0) for add in Add),
    *((f"1 % bad, add {add.value}, errors name nobody", add, ErrorNaming.NONE, 0.0, 0.01, 0.15) for add in HONEST),
]


async def load(behaviour: Behaviour, exist: float, bad: float, folder: Path) -> tuple[Report, int]:
    """A first load of CONTACTS contacts; gives the report and the number of requests about contacts."""
    sandbox = Sandbox(behaviour)
    chance = random.Random(11)
    rows = people(CONTACTS).drop("city")
    existing = [email for email in rows["email"] if chance.random() < exist]
    sandbox.seed(LIST, [{"email": email, "name": "Old", "active": False} for email in existing])
    refused = {email for email in rows["email"] if chance.random() < bad}
    transport = functools.partial(_Refusing, sandbox, refused)
    door = Door("http://127.0.0.1", Secret("sandbox-token"), Pacer(1_000), timeout=30, transport=transport)
    journal = MemoryJournal()
    trial = Trial(folder, SmartSenderV2(door, LIST), MemoryStateStore(journal), journal)
    ended = await run_sync(trial, FrameSource(rows))
    await door.aclose()
    return ended.report, door.requests


class _Refusing(httpx.AsyncBaseTransport):
    """The sandbox behind a service that refuses a whole request for some contacts, and never says for whom."""

    def __init__(self, sandbox: Sandbox, refused: set[str]) -> None:
        self._inner = httpx.ASGITransport(app=sandbox.app)
        self._refused = refused

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if any(f'"{email}"'.encode() in body for email in self._refused):
            return httpx.Response(200, stream=httpx.ByteStream(json.dumps(REFUSAL).encode()))
        return await self._inner.handle_async_request(request)


def main() -> int:
    parser = argparse.ArgumentParser(description="Requests a contact costs when the service is vague.")
    parser.add_argument("--keep", action="store_true", help="write the result to benchmarks/results/")
    options = parser.parse_args()
    missed = 0
    rows: list[dict[str, object]] = []
    print(f"{'case':<62}{'requests':>10}{'a contact':>12}{'target':>9}")
    for name, add, naming, exist, bad, target in CASES:
        behaviour = replace(Behaviour(), add=add, error_naming=naming)
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            report, requests = runner.run(load(behaviour, exist, bad, Path(folder)))
        each = requests / CONTACTS
        fits = each <= target and report.confirmed[Op.ADD] + report.rejected == CONTACTS and report.unresolved == 0
        missed += not fits
        rows.append({"case": name, "requests": requests, "a_contact": round(each, 4), "target": target, "met": fits})
        print(f"{name:<62}{requests:>10,}{each:>12.3f}{target:>9}{'' if fits else '  MISSED'}")
    if options.keep:
        keep("requests_per_contact", {"contacts": CONTACTS, "cases": rows})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
