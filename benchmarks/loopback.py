"""A stand-in for API v2 that costs next to nothing, in a process of its own, so that it is never what is measured.

It accepts everything, and answers in the form the documents give: an add with `result`, a batch update with as many
ids as there were contacts. It checks nothing: correctness is the sandbox's business. What it counts is told at
`GET /told`: requests, contacts, connections, when requests came, and the CPU it took.

    python benchmarks/loopback.py --port 0 --latency 0.1
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


def answer(body: bytes) -> bytes:
    return _OK % (len(body), body)


ADDED = answer(b'{"result":true}')
UPDATED = [
    answer(json.dumps({"result": True, "updated": [f"5a0d{number:020x}" for number in range(count)]}).encode())
    for count in range(101)
]


@dataclass
class Counts:
    latency: float
    contacts: int = 0
    connections: int = 0
    open: int = 0
    most_open: int = 0
    bytes: int = 0
    came: list[float] = field(default_factory=list)
    first_contacts: int = 0  #: requests before the first with contacts

    def told(self) -> dict[str, float]:
        came = self.came
        busiest = max((index + 1 - bisect_left(came, came[index] - 1.0) for index in range(len(came))), default=0)
        return {
            "requests": len(came),
            "contacts": self.contacts,
            "connections": self.connections,
            "most_open": self.most_open,
            "bytes": self.bytes,
            "busiest_second": busiest,
            "seconds": came[-1] - came[0] if came else 0.0,
            "rate": self.rate,
            "cpu": time.process_time(),
        }

    @property
    def rate(self) -> float:
        """Requests a second from the first with contacts to the last."""
        came = self.came[self.first_contacts :]
        return (len(came) - 1) / (came[-1] - came[0]) if len(came) > 1 else 0.0


class Service(asyncio.Protocol):
    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.buffer = bytearray()
        self.need = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour only
        self.counts.connections += 1
        self.counts.open += 1
        self.counts.most_open = max(self.counts.most_open, self.counts.open)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.counts.open -= 1
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= self.need and self._take():
            pass

    def _take(self) -> bool:
        """One request, if it is there whole."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        found = _LENGTH.search(self.buffer, 0, end + 2)
        size = end + 4 + (int(found[1]) if found else 0)
        if len(self.buffer) < size:
            self.need = size
            return False
        request = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.need = 0
        self._answer(request)
        return bool(self.buffer)

    def _answer(self, request: bytes) -> None:
        counts = self.counts
        path = request[: request.index(b"\r\n")].split(b" ")[1]
        if path == b"/told":
            self._give(answer(json.dumps(counts.told()).encode()))
            return
        if not counts.contacts:
            counts.first_contacts = len(counts.came)
        counts.came.append(time.monotonic())
        counts.bytes += len(request)
        if path.endswith(b"contacts-batch/update"):
            number = request.count(b'{"contact":')
            reply = UPDATED[number]
        else:
            number = request.count(b'{"email":') if path.endswith(b"contacts/add") else 0
            reply = ADDED
        counts.contacts += number
        if counts.latency:
            asyncio.get_running_loop().call_later(counts.latency, self._give, reply)
        else:
            self._give(reply)

    def _give(self, reply: bytes) -> None:
        if self.transport is not None:
            self.transport.write(reply)


async def serve(port: int, latency: float) -> None:
    counts = Counts(latency)
    server = await asyncio.get_running_loop().create_server(lambda: Service(counts), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass
class Loopback:
    """The service as the benchmark sees it."""

    url: str

    def told(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self.url}/told", timeout=60) as reply:  # noqa: S310  # loopback
            told: dict[str, float] = json.load(reply)
        return told


@contextlib.contextmanager
def running(latency: float = 0.0, port: int = 0, *, prompt: bool = False) -> Iterator[Loopback]:
    """The service in a process of its own. Port 0: any that is free. `prompt`: before everybody else on the machine."""
    command = [sys.executable, __file__, "--port", str(port), "--latency", str(latency)]
    command += ["--prompt"] if prompt else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        try:
            yield Loopback(f"http://127.0.0.1:{int(told)}")
        finally:
            process.terminate()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    arguments.add_argument("--prompt", action="store_true", help="see requests when they come, on a busy machine too")
    given = arguments.parse_args()
    if given.prompt:
        with contextlib.suppress(PermissionError):  # it takes root
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        import uvloop  # noqa: PLC0415  # an extra

        runner = uvloop.run
    except ImportError:
        runner = asyncio.run
    with contextlib.suppress(KeyboardInterrupt):
        runner(serve(given.port, given.latency))


if __name__ == "__main__":
    main()
