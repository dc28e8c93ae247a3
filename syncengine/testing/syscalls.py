"""Faults at system calls of the unmodified program: strace makes the n-th one fail, or kills the process there.

strace counts the calls of each thread by itself, so that "the 7th" may strike in any thread that gets there.
"""

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

WRITES: Final = "write,pwrite64,ftruncate,rename,unlink,mkdir"
SYNCS: Final = "fsync,fdatasync"
TALK: Final = "sendto,recvfrom"


@dataclass(frozen=True, slots=True)
class Injection:
    """What happens at which call. `when` is the number of the call, from 1; "7+" means it and all that follow."""

    calls: str  #: names, separated by commas
    what: str  #: "signal=KILL", "error=EIO", "delay_enter=50000" (µs)
    when: str | int

    def __str__(self) -> str:
        return f"{self.what} at {self.calls} number {self.when}"

    def command(self) -> tuple[str, ...]:
        """What the program is to be run under."""
        fault = f"inject={self.calls}:{self.what}:when={self.when}"
        quick = () if "signal" in self.what else ("--seccomp-bpf",)  # strace 6.1 forgets the signal with it
        return ("strace", "-f", "-qq", *quick, "-o", os.devnull, "-e", f"trace={self.calls}", "-e", fault)


@functools.cache
def no_strace() -> str:
    """Why processes can't be run under strace here; "" if they can."""
    if shutil.which("strace") is None:
        return "there is no strace on this machine (Debian: apt-get install strace)"
    probe = [*Injection(SYNCS, "error=EIO", 999).command(), "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # our own words
    if done.returncode:
        return f"strace may not trace here: {done.stderr.strip() or done.returncode}"
    return ""
