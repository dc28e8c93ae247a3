"""One writer a state directory: an operating system lock that dies with its process, and a note of who holds it."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from syncengine.durable import PRIVATE_FILE, make_private_folder
from syncengine.errors import LockError

LOCK_FILE: Final = "lock"
OWNER_FILE: Final = "lock.owner"
_GLANCE: Final = 0.2  #: seconds; `at_work` holds the lock for a moment to see whether anybody does


@contextlib.contextmanager
def locked(folder: Path, *, wait: float = 0.0, doing: str = "sync") -> Iterator[None]:
    """Hold the state in `folder` while the block runs. Raises LockError naming the owner after `wait` seconds."""
    make_private_folder(folder)
    lock = FileLock(folder / LOCK_FILE, mode=PRIVATE_FILE)
    try:
        lock.acquire(timeout=max(wait, _GLANCE), poll_interval=0.05)
    except Timeout:
        raise _held_by_another(folder) from None
    owner = folder / OWNER_FILE
    try:
        owner.write_text(json.dumps(_myself(doing)))
        owner.chmod(PRIVATE_FILE)
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def at_work(folder: Path) -> int | None:
    """The process that runs a sync on the state in `folder`, by its note; None if nobody holds the lock.

    The note alone would do for as long as some process has that number: in a container, after a kill, for ever.
    """
    try:
        owner = json.loads((folder / OWNER_FILE).read_text())
        if owner["doing"] not in {"sync", "retry"}:
            return None
        pid = int(owner["pid"])
        if owner["host"] == socket.gethostname():
            os.kill(pid, 0)
            if not _is_held(folder):
                return None
    except PermissionError:
        return pid  # it lives, and is another user's
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid


def _is_held(folder: Path) -> bool:
    try:
        with FileLock(folder / LOCK_FILE, mode=PRIVATE_FILE, blocking=False):
            return False
    except Timeout:
        return True


def _myself(doing: str) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "doing": doing,
        "monotonic": time.monotonic(),
    }


def _held_by_another(folder: Path) -> LockError:
    try:
        owner = json.loads((folder / OWNER_FILE).read_text())
        who = f"pid {owner['pid']} on {owner['host']}, since {owner['since']} ({owner['doing']})"
    except (OSError, ValueError, KeyError, TypeError):
        who = "a process that has left no note yet"
    return LockError(
        "another run is at work on this state",
        why=f"held by {who}",
        fix="wait for it: --wait-lock 600 (of sync, plan and retry); or look: syncengine status",
    )
