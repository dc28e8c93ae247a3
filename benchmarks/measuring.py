"""What a whole process costs, and how a result is kept. Every script here measures with this, and with nothing else.

A process is started, watched from outside, and waited for: wall clock, processor time (its children's too), the most
memory it had resident, and the most that was its own (anonymous: pages of mapped files can be dropped at any time).
What is compared runs in turns in one run of a script, so that a busy machine disturbs all alike; a ratio is made of two
runs beside each other, and what is told is the median of the rounds. On a shared machine the ratio of processor time
says more than that of wall clock, and stands beside it.
"""

import argparse
import dataclasses
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = HERE / "data"
PACKAGES = ("syncengine", "polars", "httpx", "anyio", "uvloop")
_KILOBYTES = re.compile(r"^(VmHWM|RssAnon):\s*(\d+) kB$", re.MULTILINE)
_NOT_INHERITED = {"PYTHONDONTWRITEBYTECODE", "_RJEM_MALLOC_CONF"}
"""What a process is measured without: the one has every module compiled anew, the other is set by polars where it is
imported, so by scripts here."""
LOOK_EVERY = 0.02  #: seconds between two looks at a process's memory


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took. Seconds, and MB of 10^6 bytes; memory is 0 where the system does not tell."""

    wall: float
    cpu: float
    resident: float
    private: float
    output: str = dataclasses.field(default="", repr=False)

    def told(self) -> dict[str, float]:
        """For a result's file."""
        return {
            "wall_s": round(self.wall, 3),
            "cpu_s": round(self.cpu, 3),
            "peak_rss_mb": round(self.resident, 1),
            "peak_private_mb": round(self.private, 1),
        }


def environment() -> dict[str, str]:
    """Of a process that is measured."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}


def measure(command: Sequence[str | Path], *, cwd: Path | None = None, codes: Sequence[int] = (0,)) -> Cost:
    """Run a command to its end; `output` is its stdout. Ends this script where the command ends with another code."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(words, cwd=cwd, env=environment(), stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        resident = private = 0.0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            seen = _memory(process.pid)
            resident, private = max(resident, seen[0]), max(private, seen[1])
            time.sleep(LOOK_EVERY)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            talk = (out.read() + err.read()).decode(errors="replace")[-4_000:]
            sys.exit(f"{shlex.join(words)} ended with {process.returncode}:\n{talk}")
        return Cost(wall, usage.ru_utime + usage.ru_stime, resident, private, out.read().decode())


def _memory(pid: int) -> tuple[float, float]:
    """Most resident so far, and private now, in MB. Not ru_maxrss: that of a child begins with its parent's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0, 0.0  # it has ended, or this is no Linux
    found = {name: int(value) for name, value in _KILOBYTES.findall(status)}
    return found.get("VmHWM", 0) * 1.024e-3, found.get("RssAnon", 0) * 1.024e-3


def in_turns(rounds: int, *works: Callable[[], Cost]) -> list[list[Cost]]:
    """Each work once a round, one after the other; gives the costs of each."""
    costs: list[list[Cost]] = [[] for _ in works]
    for number in range(rounds):
        for work, kept in zip(works, costs, strict=True):
            kept.append(work())
            print(f"  round {number + 1} of {rounds}: {kept[-1]}", file=sys.stderr, flush=True)
    return costs


def ratio(over: Sequence[Cost], under: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """The median over the rounds."""
    return statistics.median(of(one) / of(other) for one, other in zip(over, under, strict=True))


def wall(cost: Cost) -> float:
    return cost.wall


def cpu(cost: Cost) -> float:
    return cost.cpu


def typical(costs: Sequence[Cost]) -> Cost:
    """The medians of a work's costs, each for itself."""
    return Cost(
        *(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "resident", "private"))
    )


def facts() -> dict[str, object]:
    """When, where, and of what."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {_memory_of_machine()}{platform.system()}",
        "load": round(os.getloadavg()[0], 1),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": commit(),
    }


def _memory_of_machine() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, "
    except (ValueError, OSError):
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """The commit measured; with a + where files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--dirty=+"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def keep(name: str, content: Mapping[str, Any]) -> Path:
    """Write a result to results/<name>.json, with date, machine, versions and the command."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {**facts(), "command": _command(sys.argv), **content}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _command(words: Sequence[str]) -> str:
    """How to measure it again: as it was called, but for what is this machine's or this day's."""
    kept = [f"benchmarks/{Path(words[0]).name}"]
    rest = iter(words[1:])
    for word in rest:
        if word in {"--data", "--note"}:
            next(rest)
        else:
            kept.append(word)
    return shlex.join(["python", *kept])


def arguments(document: str | None, *, rows: Sequence[int] = (), rounds: int = 0) -> argparse.ArgumentParser:
    """What the scripts have in common: where files go, how many rows, how often, and whether the result is kept."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="write the result to benchmarks/results/")
    parser.add_argument("--note", default="", help="a word on this measurement, for the table")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="where files are made and left (default: benchmarks/data)"
    )
    if rows:
        several = "+" if len(rows) > 1 else None
        parser.add_argument("--rows", type=int, nargs=several, default=list(rows) if several else rows[0])
    if rounds:
        parser.add_argument("--rounds", type=int, default=rounds)
    return parser
